//! The tables: there, whole, and safe from being lost.

use aws_sdk_dynamodb::types::{
    ContinuousBackupsDescription, IndexStatus, KeyType, PointInTimeRecoveryStatus,
    TableDescription, TableStatus, TimeToLiveDescription, TimeToLiveStatus,
};
use pushwatch::aws::AwsError;
use pushwatch::store::OWED_INDEX;

use super::Deployed;
use super::check::{Check, Read, aws};
use crate::deployment::Session;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Uploaders,
    Findings,
}

pub struct Facts {
    pub kind: Kind,
    pub name: String,
    pub table: Read<Option<TableDescription>>,
    pub backups: Read<Option<ContinuousBackupsDescription>>,
    /// Of the findings table only.
    pub expiry: Read<Option<TimeToLiveDescription>>,
}

pub async fn read(session: &Session, kind: Kind, name: &str) -> Facts {
    let client = session.dynamodb();
    let target = format!("table {name}");
    let (table, backups, expiry) = tokio::join!(
        client.describe_table().table_name(name).send(),
        client.describe_continuous_backups().table_name(name).send(),
        async {
            match kind {
                Kind::Uploaders => Ok(None),
                Kind::Findings => {
                    let answer = client.describe_time_to_live().table_name(name).send().await;
                    answer.map(|answer| answer.time_to_live_description)
                }
            }
        },
    );
    Facts {
        kind,
        name: name.to_owned(),
        table: table
            .map(|answer| answer.table)
            .map_err(|error| AwsError::new("DynamoDB DescribeTable", target.as_str(), error)),
        backups: backups
            .map(|answer| answer.continuous_backups_description)
            .map_err(|error| {
                AwsError::new("DynamoDB DescribeContinuousBackups", target.as_str(), error)
            }),
        expiry: expiry
            .map_err(|error| AwsError::new("DynamoDB DescribeTimeToLive", target.as_str(), error)),
    }
}

pub fn judge(facts: &Facts, deployed: &Deployed) -> Vec<Check> {
    let (noun, key) = match facts.kind {
        Kind::Uploaders => ("The uploaders table", "uploader"),
        Kind::Findings => ("The findings table", "findingId"),
    };
    let thing = format!("{noun} ({})", facts.name);
    let table = match &facts.table {
        Ok(Some(table)) => table,
        Ok(None) => {
            return vec![Check::unknown(
                format!("{thing} is not described"),
                "an empty answer",
            )];
        }
        Err(error) => return vec![unread(&thing, error)],
    };
    let region = &deployed.region;
    let mut checks = Vec::new();
    match table.table_status() {
        None | Some(TableStatus::Active) => {}
        Some(TableStatus::Updating) => checks.push(Check::warning(
            format!("{thing} is being updated"),
            "it works meanwhile; run the doctor again later",
        )),
        Some(TableStatus::InaccessibleEncryptionCredentials) => checks.push(
            Check::ill(
                format!("{thing} can't be used: DynamoDB may not use its key"),
                "no push is decided. DynamoDB archives the table after a week without its key",
            )
            .mend("Enable the key (KmsKeyArn), and let it be used: docs/deployment.md#a-key-of-your-own"),
        ),
        Some(status) => checks.push(
            Check::ill(format!("{thing} is in status {status}"), "no push is decided")
                .mend("Deploy again (sam deploy); if it was deleted, restore it first: docs/operations.md"),
        ),
    }
    let is_keyed = table.key_schema().is_empty()
        || table
            .key_schema()
            .iter()
            .any(|one| one.attribute_name() == key && *one.key_type() == KeyType::Hash);
    if !is_keyed {
        checks.push(Check::ill(
            format!("{thing} has not the partition key {key}"),
            "it is another table than the template's",
        ));
    }
    if facts.kind == Kind::Findings {
        checks.extend(index(table, &thing));
        checks.extend(expiry(facts, &thing, region));
    }
    if table.deletion_protection_enabled() != Some(true) {
        checks.push(
            Check::warning(
                format!("{thing} has no deletion protection"),
                "one call deletes everything that was learned",
            )
            .mend(aws(
                region,
                &[
                    "dynamodb",
                    "update-table",
                    "--table-name",
                    &facts.name,
                    "--deletion-protection-enabled",
                ],
            )),
        );
    }
    match &facts.backups {
        Ok(backups) => {
            let status = backups
                .as_ref()
                .and_then(|backups| backups.point_in_time_recovery_description())
                .and_then(|recovery| recovery.point_in_time_recovery_status());
            if status != Some(&PointInTimeRecoveryStatus::Enabled) {
                checks.push(
                    Check::warning(
                        format!("{thing} has no point-in-time recovery"),
                        "what is deleted or overwritten can't be brought back",
                    )
                    .mend(aws(
                        region,
                        &[
                            "dynamodb",
                            "update-continuous-backups",
                            "--table-name",
                            &facts.name,
                            "--point-in-time-recovery-specification",
                            "PointInTimeRecoveryEnabled=true",
                        ],
                    )),
                );
            }
        }
        Err(error) => checks.push(Check::unread(&format!("The recovery of {thing}"), error)),
    }
    if checks.is_empty() {
        checks.push(Check::well(format!("{thing} is active, and protected")));
    }
    checks
}

fn unread(thing: &str, error: &AwsError) -> Check {
    let mut check = Check::unread(thing, error);
    if super::check::is_missing(error) {
        check.mend = vec![
            "Restore it from its last backup if it was deleted, then deploy again: docs/operations.md"
                .to_owned(),
        ];
    }
    check
}

fn index(table: &TableDescription, thing: &str) -> Option<Check> {
    let index = table
        .global_secondary_indexes()
        .iter()
        .find(|index| index.index_name() == Some(OWED_INDEX));
    let means = "the sweep can't see what is owed, and does not publish it";
    match index.map(|index| index.index_status()) {
        None => Some(
            Check::ill(format!("{thing} has no index {OWED_INDEX}"), means)
                .mend("Deploy again: sam deploy"),
        ),
        Some(None | Some(IndexStatus::Active | IndexStatus::Updating)) => None,
        Some(Some(status)) => Some(Check::ill(
            format!("The index {OWED_INDEX} of {thing} is in status {status}"),
            means,
        )),
    }
}

fn expiry(facts: &Facts, thing: &str, region: &str) -> Option<Check> {
    let expiry = match &facts.expiry {
        Ok(expiry) => expiry.as_ref(),
        Err(error) => return Some(Check::unread(&format!("The expiry of {thing}"), error)),
    };
    let is_on = expiry.is_some_and(|expiry| {
        expiry.attribute_name() == Some("expiresAt")
            && matches!(
                expiry.time_to_live_status(),
                Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
            )
    });
    (!is_on).then(|| {
        Check::warning(
            format!("{thing} does not let go of old findings"),
            "published findings are kept for ever instead of 400 days, and cost more each year",
        )
        .mend(aws(
            region,
            &[
                "dynamodb",
                "update-time-to-live",
                "--table-name",
                &facts.name,
                "--time-to-live-specification",
                "Enabled=true,AttributeName=expiresAt",
            ],
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::{Facts, Kind, judge};
    use crate::commands::doctor::check::Level;
    use crate::commands::doctor::tests::{denied, deployed};
    use aws_sdk_dynamodb::types::{
        ContinuousBackupsDescription, ContinuousBackupsStatus, GlobalSecondaryIndexDescription,
        IndexStatus, KeySchemaElement, KeyType, PointInTimeRecoveryDescription,
        PointInTimeRecoveryStatus, TableDescription, TableStatus, TimeToLiveDescription,
        TimeToLiveStatus,
    };

    fn index(name: &str, status: IndexStatus) -> GlobalSecondaryIndexDescription {
        let index = GlobalSecondaryIndexDescription::builder().index_name(name);
        index.index_status(status).build()
    }

    fn table() -> TableDescription {
        let key = KeySchemaElement::builder().attribute_name("findingId");
        TableDescription::builder()
            .table_status(TableStatus::Active)
            .key_schema(key.key_type(KeyType::Hash).build().unwrap())
            .global_secondary_indexes(index("owed-index", IndexStatus::Active))
            .deletion_protection_enabled(true)
            .build()
    }

    fn backups(status: PointInTimeRecoveryStatus) -> ContinuousBackupsDescription {
        let recovery = PointInTimeRecoveryDescription::builder();
        ContinuousBackupsDescription::builder()
            .continuous_backups_status(ContinuousBackupsStatus::Enabled)
            .point_in_time_recovery_description(
                recovery.point_in_time_recovery_status(status).build(),
            )
            .build()
            .unwrap()
    }

    fn facts() -> Facts {
        let expiry = TimeToLiveDescription::builder().attribute_name("expiresAt");
        Facts {
            kind: Kind::Findings,
            name: "findings".to_owned(),
            table: Ok(Some(table())),
            backups: Ok(Some(backups(PointInTimeRecoveryStatus::Enabled))),
            expiry: Ok(Some(
                expiry
                    .time_to_live_status(TimeToLiveStatus::Enabled)
                    .build(),
            )),
        }
    }

    type Change = fn(&mut Facts);

    fn with_table(facts: &mut Facts, change: impl FnOnce(&mut TableDescription)) {
        let mut changed = table();
        change(&mut changed);
        facts.table = Ok(Some(changed));
    }

    #[test]
    fn a_table_is_as_what_it_lacks() {
        let cases: [(Change, Level, &str); 11] = [
            (|_| {}, Level::Well, "active, and protected"),
            (
                |facts| {
                    with_table(facts, |table| {
                        table.table_status = Some(TableStatus::Deleting);
                    });
                },
                Level::Ill,
                "in status DELETING",
            ),
            (
                |facts| {
                    with_table(facts, |table| {
                        table.table_status = Some(TableStatus::InaccessibleEncryptionCredentials);
                    });
                },
                Level::Ill,
                "may not use its key",
            ),
            (
                |facts| with_table(facts, |table| table.global_secondary_indexes = None),
                Level::Ill,
                "no index owed-index",
            ),
            (
                |facts| {
                    with_table(facts, |table| {
                        table.global_secondary_indexes =
                            Some(vec![index("owed-index", IndexStatus::Creating)]);
                    });
                },
                Level::Ill,
                "in status CREATING",
            ),
            (
                |facts| {
                    with_table(facts, |table| {
                        table.deletion_protection_enabled = Some(false);
                    });
                },
                Level::Warning,
                "no deletion protection",
            ),
            (
                |facts| facts.backups = Ok(Some(backups(PointInTimeRecoveryStatus::Disabled))),
                Level::Warning,
                "no point-in-time recovery",
            ),
            (
                |facts| facts.expiry = Ok(None),
                Level::Warning,
                "does not let go",
            ),
            (
                |facts| facts.expiry = Err(denied("DynamoDB DescribeTimeToLive")),
                Level::Unknown,
                "dynamodb:DescribeTimeToLive",
            ),
            (
                |facts| facts.table = Err(denied("DynamoDB DescribeTable")),
                Level::Unknown,
                "dynamodb:DescribeTable",
            ),
            (
                |facts| facts.kind = Kind::Uploaders,
                Level::Ill,
                "not the partition key uploader",
            ),
        ];
        for (change, level, word) in cases {
            let mut facts = facts();
            change(&mut facts);
            let checks = judge(&facts, &deployed());
            assert_eq!(checks[0].level, level, "{checks:?}");
            assert!(checks[0].what.contains(word), "{checks:?}");
        }
    }
}
