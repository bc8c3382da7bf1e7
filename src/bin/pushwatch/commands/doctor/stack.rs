//! The stack: complete, and not half-updated.

use aws_sdk_cloudformation::types::StackResourceSummary;

use super::Deployed;
use super::check::{Check, Read, aws};

/// What the template makes that nothing works without.
const NEEDED: [&str; 11] = [
    "UploadersTable",
    "FindingsTable",
    "FindingsTopic",
    "OperationsTopic",
    "FailureQueue",
    "DeadLetterQueue",
    "ParkedQueue",
    "FunctionRole",
    "Function",
    "PushRule",
    "SweepRule",
];

pub struct Facts<'a> {
    pub status: &'a str,
    pub reason: Option<&'a str>,
    pub resources: &'a Read<Vec<StackResourceSummary>>,
}

pub fn judge(facts: &Facts<'_>, deployed: &Deployed) -> Vec<Check> {
    let mut checks = vec![status(facts, deployed)];
    let resources = match facts.resources {
        Ok(resources) => resources,
        Err(error) => {
            checks.push(Check::unread("What is in the stack", error));
            return checks;
        }
    };
    let is_under_way = facts.status.ends_with("_IN_PROGRESS");
    let mut is_whole = true;
    for resource in resources {
        let (Some(name), Some(status)) = (
            resource.logical_resource_id(),
            resource
                .resource_status()
                .map(aws_sdk_cloudformation::types::ResourceStatus::as_str),
        ) else {
            continue;
        };
        let is_gone = matches!(status, "DELETE_COMPLETE" | "DELETE_SKIPPED");
        if status.ends_with("_FAILED") || is_gone {
            is_whole = false;
            let why = resource
                .resource_status_reason()
                .unwrap_or("CloudFormation gives no reason");
            checks.push(
                Check::ill(format!("{name} of the stack is in status {status}"), why)
                    .mend("Deploy again: sam deploy"),
            );
        } else if status.ends_with("_IN_PROGRESS") && !is_under_way {
            is_whole = false;
            checks.push(Check::warning(
                format!("{name} of the stack is in status {status}"),
                "it is being changed",
            ));
        }
    }
    for needed in NEEDED {
        let mut names = resources.iter().filter_map(|one| one.logical_resource_id());
        if !names.any(|name| name == needed) {
            is_whole = false;
            checks.push(
                Check::ill(
                    format!("The stack has no {needed}"),
                    "its template is of an earlier version, or was changed",
                )
                .mend("Deploy the template of this version: sam build && sam deploy"),
            );
        }
    }
    if is_whole {
        checks.push(Check::well("All resources of the stack are complete"));
    }
    checks
}

fn status(facts: &Facts<'_>, deployed: &Deployed) -> Check {
    let status = facts.status;
    let what = format!("Stack {} is in status {status}", deployed.stack);
    let reason = facts.reason.unwrap_or("CloudFormation gives no reason");
    let events = aws(
        &deployed.region,
        &[
            "cloudformation",
            "describe-stack-events",
            "--stack-name",
            &deployed.stack,
            "--query",
            "StackEvents[?contains(ResourceStatus, 'FAILED')].[LogicalResourceId,ResourceStatusReason]",
            "--output",
            "table",
        ],
    );
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => {
            Check::well(format!("Stack {} is complete ({status})", deployed.stack))
        }
        "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => Check::warning(
            what,
            format!("the last update failed and was taken back: {reason}"),
        )
        .mend("See what failed, then deploy again:")
        .mend(events),
        _ if status.ends_with("_IN_PROGRESS") && !status.starts_with("DELETE") => Check::warning(
            what,
            "an update is under way: run the doctor again when it is over",
        ),
        _ => Check::ill(what, format!("the stack is not whole: {reason}"))
            .mend("See what failed, then deploy again:")
            .mend(events),
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, NEEDED, judge};
    use crate::commands::doctor::check::Level;
    use crate::commands::doctor::tests::{deployed, levels};
    use aws_sdk_cloudformation::types::{ResourceStatus, StackResourceSummary};

    fn resources(odd: Option<&(&str, ResourceStatus)>) -> Vec<StackResourceSummary> {
        let status = |name| match odd {
            Some((odd, status)) if *odd == name => status.clone(),
            _ => ResourceStatus::CreateComplete,
        };
        NEEDED
            .into_iter()
            .map(|name| {
                StackResourceSummary::builder()
                    .logical_resource_id(name)
                    .resource_status(status(name))
                    .build()
            })
            .collect()
    }

    #[test]
    fn a_stack_is_as_its_status_says() {
        for (status, level) in [
            ("CREATE_COMPLETE", Level::Well),
            ("UPDATE_COMPLETE", Level::Well),
            ("UPDATE_ROLLBACK_COMPLETE", Level::Warning),
            ("UPDATE_IN_PROGRESS", Level::Warning),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Level::Warning),
            ("UPDATE_ROLLBACK_FAILED", Level::Ill),
            ("ROLLBACK_COMPLETE", Level::Ill),
            ("DELETE_IN_PROGRESS", Level::Ill),
            ("DELETE_FAILED", Level::Ill),
        ] {
            let resources = Ok(resources(None));
            let facts = Facts {
                status,
                reason: None,
                resources: &resources,
            };
            assert_eq!(
                levels(&judge(&facts, &deployed())),
                [level, Level::Well],
                "{status}"
            );
        }
    }

    #[test]
    fn what_failed_or_is_missing_is_named() {
        let of = |resources: Vec<StackResourceSummary>| {
            let resources = Ok(resources);
            let facts = Facts {
                status: "UPDATE_COMPLETE",
                reason: None,
                resources: &resources,
            };
            judge(&facts, &deployed()).swap_remove(1)
        };
        for (status, level) in [
            (ResourceStatus::UpdateFailed, Level::Ill),
            (ResourceStatus::DeleteComplete, Level::Ill),
            (ResourceStatus::UpdateInProgress, Level::Warning),
        ] {
            let check = of(resources(Some(&("PushRule", status))));
            assert_eq!(check.level, level);
            assert!(
                check
                    .what
                    .starts_with("PushRule of the stack is in status "),
                "{check:?}"
            );
        }
        let mut without = resources(None);
        without.retain(|one| one.logical_resource_id() != Some("ParkedQueue"));
        assert_eq!(of(without).what, "The stack has no ParkedQueue");
    }
}
