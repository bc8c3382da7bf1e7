//! A trail that logs pushes in this region: without one nobody records them.

use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsOutput;
use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusOutput;
use aws_sdk_cloudtrail::types::{AdvancedFieldSelector, ReadWriteType, Trail};
use futures_util::future::join_all;
use pushwatch::aws::AwsError;

use super::check::{Check, Read, aws};
use super::{Deployed, is_push_source};
use crate::deployment::Session;

pub struct TrailFacts {
    pub trail: Trail,
    pub status: Read<GetTrailStatusOutput>,
    pub selectors: Read<GetEventSelectorsOutput>,
}

/// The trails that apply to the region: its own, and those of all regions or of the
/// organization.
pub async fn read(session: &Session) -> Read<Vec<TrailFacts>> {
    let client = session.cloudtrail(session.region());
    let described = client
        .describe_trails()
        .include_shadow_trails(true)
        .send()
        .await
        .map_err(|error| AwsError::new("CloudTrail DescribeTrails", "trails", error))?;
    let trails = described.trail_list.unwrap_or_default().into_iter();
    let facts = trails.map(|trail| async {
        // A trail of another region or account is known by its ARN alone.
        let arn = trail
            .trail_arn()
            .or(trail.name())
            .unwrap_or_default()
            .to_owned();
        let target = format!("trail {arn}");
        let (status, selectors) = tokio::join!(
            client.get_trail_status().name(&arn).send(),
            client.get_event_selectors().trail_name(&arn).send(),
        );
        TrailFacts {
            trail,
            status: status.map_err(|error| {
                AwsError::new("CloudTrail GetTrailStatus", target.as_str(), error)
            }),
            selectors: selectors.map_err(|error| {
                AwsError::new("CloudTrail GetEventSelectors", target.as_str(), error)
            }),
        }
    });
    Ok(join_all(facts).await)
}

pub fn judge(trails: &Read<Vec<TrailFacts>>, deployed: &Deployed) -> Vec<Check> {
    let thing = "Whether a trail logs pushes";
    let trails = match trails {
        Ok(trails) => trails,
        Err(error) => return vec![Check::unread(thing, error)],
    };
    let region = &deployed.region;
    let mut unread = Vec::new();
    let mut faults = Vec::new();
    let mut mends = Vec::new();
    for one in trails {
        let name = one.trail.name().unwrap_or("without a name");
        let arn = one.trail.trail_arn().unwrap_or(name);
        // What can be changed is the trail itself, in its home region.
        let home = one.trail.home_region().unwrap_or(region);
        match (&one.status, &one.selectors) {
            (Ok(status), Ok(selectors)) => {
                let fault = if status.is_logging() == Some(true) {
                    let fault = why_not(selectors);
                    if fault.is_some() {
                        mends.push(format!(
                            "{} replaces all its selectors by management events, read and write: \
                             see them first with get-event-selectors",
                            aws(
                                home,
                                &[
                                    "cloudtrail",
                                    "put-event-selectors",
                                    "--trail-name",
                                    arn,
                                    "--event-selectors",
                                    r#"[{"ReadWriteType":"All","IncludeManagementEvents":true}]"#,
                                ]
                            )
                        ));
                    }
                    fault
                } else {
                    mends.push(aws(home, &["cloudtrail", "start-logging", "--name", arn]));
                    Some("its logging is switched off".to_owned())
                };
                match fault {
                    Some(fault) => faults.push(format!("trail {name}: {fault}")),
                    None => return vec![logging(name, status)],
                }
            }
            (Err(error), _) | (_, Err(error)) => unread.push(error),
        }
    }
    if let Some(error) = unread.first() {
        let mut check = Check::unread(thing, error);
        if !faults.is_empty() {
            let others = faults.join("; ");
            check.why = Some(format!("{}. {others}", check.why.unwrap_or_default()));
        }
        return vec![check];
    }
    let why = match faults.as_slice() {
        [] => "there is no trail in this region, none of all regions and none of the organization"
            .to_owned(),
        faults => faults.join("; "),
    };
    let mut check = Check::ill(
        format!("No trail logs pushes in {region}: PushWatch is blind"),
        why,
    );
    if mends.is_empty() {
        mends.push(
            "Make a trail of all regions with management events, read and write: \
             https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-create-a-trail-using-the-console-first-time.html"
                .to_owned(),
        );
    }
    check.mend = mends;
    vec![check.mend(
        "Find out who changed it: docs/operations.md#blindalarm. See what was pushed meanwhile: \
         pushwatch learn shows who in the event history is new, before it asks",
    )]
}

fn logging(name: &str, status: &GetTrailStatusOutput) -> Check {
    match status.latest_delivery_error().filter(|error| !error.is_empty()) {
        None => Check::well(format!("Trail {name} logs pushes in this region")),
        Some(error) => Check::warning(
            format!("Trail {name} logs pushes, but can't write its files to S3 ({error})"),
            "events still reach EventBridge, but there are no files to look back into",
        )
        .mend("Mend the bucket and its policy: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html"),
    }
}

/// Why a push is not among what the selectors select; none if it is.
fn why_not(output: &GetEventSelectorsOutput) -> Option<String> {
    let advanced = output.advanced_event_selectors();
    if !advanced.is_empty() {
        let selects = advanced
            .iter()
            .any(|selector| selector.field_selectors().iter().all(selects));
        return (!selects).then(|| {
            "none of its advanced event selectors selects write management events of ECR".to_owned()
        });
    }
    let plain = output.event_selectors();
    // A trail without selectors logs all management events.
    if plain.is_empty() {
        return None;
    }
    let selects = plain.iter().any(|selector| {
        selector.include_management_events() != Some(false)
            && selector.read_write_type() != Some(&ReadWriteType::ReadOnly)
            && !selector
                .exclude_management_event_sources()
                .iter()
                .any(|source| is_push_source(source))
    });
    (!selects).then(|| "its event selectors leave out write management events".to_owned())
}

/// Whether a push passes one statement of an advanced event selector.
fn selects(statement: &AdvancedFieldSelector) -> bool {
    let value = match statement.field() {
        "eventCategory" => "Management",
        "readOnly" => "false",
        "eventSource" => "ecr.amazonaws.com",
        "eventName" => "PutImage",
        "eventType" => "AwsApiCall",
        // Of what only some pushes have: others would be missed.
        _ => return false,
    };
    let any = |words: &[String], is: fn(&str, &str) -> bool| {
        words.is_empty() || words.iter().any(|word| is(value, word))
    };
    let none =
        |words: &[String], is: fn(&str, &str) -> bool| !words.iter().any(|word| is(value, word));
    let equals = |value: &str, word: &str| value == word;
    let starts = |value: &str, word: &str| value.starts_with(word);
    let ends = |value: &str, word: &str| value.ends_with(word);
    any(statement.equals(), equals)
        && any(statement.starts_with(), starts)
        && any(statement.ends_with(), ends)
        && none(statement.not_equals(), equals)
        && none(statement.not_starts_with(), starts)
        && none(statement.not_ends_with(), ends)
}

#[cfg(test)]
mod tests {
    use super::{TrailFacts, judge};
    use crate::commands::doctor::check::Level;
    use crate::commands::doctor::tests::{denied, deployed};
    use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsOutput;
    use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusOutput;
    use aws_sdk_cloudtrail::types::{
        AdvancedEventSelector, AdvancedFieldSelector, EventSelector, ReadWriteType, Trail,
    };

    fn trail(is_logging: bool, selectors: GetEventSelectorsOutput) -> TrailFacts {
        TrailFacts {
            trail: Trail::builder()
                .name("main")
                .trail_arn("arn:aws:cloudtrail:us-east-1:111122223333:trail/main")
                .home_region("us-east-1")
                .build(),
            status: Ok(GetTrailStatusOutput::builder()
                .is_logging(is_logging)
                .build()),
            selectors: Ok(selectors),
        }
    }

    fn plain(kind: ReadWriteType, management: bool, excluded: &str) -> GetEventSelectorsOutput {
        let selector = EventSelector::builder()
            .read_write_type(kind)
            .include_management_events(management)
            .exclude_management_event_sources(excluded);
        GetEventSelectorsOutput::builder()
            .event_selectors(selector.build())
            .build()
    }

    /// Selectors of statements: field, operator, value.
    fn advanced(statements: &[(&str, &str, &str)]) -> GetEventSelectorsOutput {
        let statements = statements.iter().map(|(field, operator, value)| {
            let statement = AdvancedFieldSelector::builder().field(*field);
            let statement = match *operator {
                "Equals" => statement.equals(*value),
                "NotEquals" => statement.not_equals(*value),
                _ => statement.not_starts_with(*value),
            };
            statement.build().unwrap()
        });
        let selector = AdvancedEventSelector::builder()
            .set_field_selectors(Some(statements.collect()))
            .build()
            .unwrap();
        GetEventSelectorsOutput::builder()
            .advanced_event_selectors(selector)
            .build()
    }

    #[test]
    fn a_trail_logs_pushes_if_write_management_events_of_ecr_are_selected() {
        let management = ("eventCategory", "Equals", "Management");
        let kms = ("eventSource", "NotEquals", "kms.amazonaws.com");
        let ecr = ("eventSource", "NotEquals", "ecr.amazonaws.com");
        for (selectors, logs) in [
            (GetEventSelectorsOutput::builder().build(), true),
            (plain(ReadWriteType::All, true, "kms.amazonaws.com"), true),
            (
                plain(ReadWriteType::WriteOnly, true, "rdsdata.amazonaws.com"),
                true,
            ),
            (plain(ReadWriteType::ReadOnly, true, ""), false),
            (plain(ReadWriteType::All, false, ""), false),
            (plain(ReadWriteType::All, true, "ecr.amazonaws.com"), false),
            (advanced(&[management]), true),
            (advanced(&[management, kms]), true),
            (
                advanced(&[management, ("readOnly", "Equals", "false")]),
                true,
            ),
            (
                advanced(&[management, ("readOnly", "Equals", "true")]),
                false,
            ),
            (advanced(&[management, ecr]), false),
            (
                advanced(&[management, ("eventSource", "NotStartsWith", "ec")]),
                false,
            ),
            (
                advanced(&[management, ("userIdentity.arn", "Equals", "x")]),
                false,
            ),
            (advanced(&[("eventCategory", "Equals", "Data")]), false),
        ] {
            let words = format!("{selectors:?}");
            let checks = judge(&Ok(vec![trail(true, selectors)]), &deployed());
            let level = if logs { Level::Well } else { Level::Ill };
            assert_eq!(checks[0].level, level, "{words}");
        }
    }

    #[test]
    fn one_trail_that_logs_is_enough() {
        let good = || trail(true, plain(ReadWriteType::All, true, ""));
        let off = || trail(false, plain(ReadWriteType::All, true, ""));
        let unread = || TrailFacts {
            status: Err(denied("CloudTrail GetTrailStatus")),
            ..off()
        };
        for (trails, level, word) in [
            (vec![], Level::Ill, "there is no trail"),
            (vec![off()], Level::Ill, "its logging is switched off"),
            (vec![off(), good()], Level::Well, ""),
            (vec![unread(), good()], Level::Well, ""),
            (
                vec![unread(), off()],
                Level::Unknown,
                "its logging is switched off",
            ),
        ] {
            let checks = judge(&Ok(trails), &deployed());
            assert_eq!(checks[0].level, level, "{checks:?}");
            assert!(
                checks[0].why.clone().unwrap_or_default().contains(word),
                "{checks:?}"
            );
        }
        let checks = judge(&Ok(vec![off()]), &deployed());
        assert_eq!(
            checks[0].mend[0],
            "aws cloudtrail start-logging --name arn:aws:cloudtrail:us-east-1:111122223333:trail/main --region us-east-1"
        );
    }

    #[test]
    fn files_that_can_t_be_written_are_a_warning() {
        let mut trail = trail(true, GetEventSelectorsOutput::builder().build());
        let status = GetTrailStatusOutput::builder().is_logging(true);
        trail.status = Ok(status.latest_delivery_error("AccessDenied").build());
        let checks = judge(&Ok(vec![trail]), &deployed());
        assert_eq!(checks[0].level, Level::Warning);
        assert!(checks[0].what.contains("(AccessDenied)"), "{checks:?}");
    }
}
