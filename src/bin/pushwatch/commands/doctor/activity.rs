//! What the deployment did of late: pushes, image actions, sweeps, and what is owed.

use jiff::{SignedDuration, Timestamp};
use pushwatch::finding::Owed;
use pushwatch::store::OwedFinding;

use super::Deployed;
use super::check::{Check, Read, aws};
use crate::deployment::{Activity, Series};
use crate::known::OwedCounts;
use crate::ui::{ago, counted};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// With how many weeks the last one is compared.
const WEEKS: u32 = 4;
/// From when on a sweep is missing: the schedule's slowest is four minutes, and metrics
/// come some minutes late.
const SWEEP_LATE: SignedDuration = SignedDuration::from_mins(20);
/// From when on an owed finding is late, as `FindingsOwedAlarm` has it.
const OWED_LATE: SignedDuration = SignedDuration::from_mins(5);
/// The same of what waits for the daily digest.
const DIGEST_LATE: SignedDuration = SignedDuration::from_hours(26);

pub struct Facts<'a> {
    pub metrics: &'a Read<Activity>,
    pub owed: &'a Read<Vec<OwedFinding>>,
    /// Whether the function counts image actions: the stack's parameter.
    pub counts_image_actions: bool,
    /// When the stack was made, if that is known.
    pub since: Option<Timestamp>,
    /// Of the function.
    pub log_group: &'a str,
    pub now: Timestamp,
}

pub fn judge(facts: &Facts<'_>, deployed: &Deployed) -> Vec<Check> {
    let mut checks = Vec::new();
    match facts.metrics {
        Ok(metrics) => {
            checks.push(sweeps(metrics, facts, deployed));
            checks.push(pushes(&metrics.pushes, facts));
            if facts.counts_image_actions {
                checks.extend(image_actions(metrics, facts));
            }
        }
        Err(error) => checks.push(Check::unread("What the function did of late", error)),
    }
    checks.push(owed(facts));
    checks
}

fn sweeps(metrics: &Activity, facts: &Facts<'_>, deployed: &Deployed) -> Check {
    let last = metrics.sweeps.last();
    let means = "findings that could not be published at once are not published";
    match last {
        Some(time) if facts.now.duration_since(time) <= SWEEP_LATE => {
            Check::well(format!("The last sweep was {}", ago(time, facts.now)))
        }
        _ => {
            let what = match last {
                Some(time) => format!("The last sweep was {}", ago(time, facts.now)),
                None => "No sweep was in the last three hours".to_owned(),
            };
            if facts.is_younger_than(SWEEP_LATE) {
                return Check::warning(
                    what,
                    "the stack is new; run the doctor again in a quarter of an hour",
                );
            }
            Check::ill(what, means)
                .mend("See whether SweepRule is enabled and the function can run (above), and the function's log:")
                .mend(aws(
                    &deployed.region,
                    &["logs", "tail", facts.log_group, "--since", "30m"],
                ))
        }
    }
}

fn pushes(pushes: &Series, facts: &Facts<'_>) -> Check {
    let now = facts.now;
    let last_week = pushes.sum(now - WEEK, now);
    let before: Vec<f64> = (1..=WEEKS)
        .map(|week| {
            let end = now - WEEK * i32::try_from(week).unwrap_or_default();
            pushes.sum(end - WEEK, end)
        })
        .collect();
    let last = pushes.last();
    let when = last.map_or_else(
        || "none in five weeks".to_owned(),
        |time| format!("the last one in the hour from {time}"),
    );
    let usual = before.iter().copied().fold(f64::INFINITY, f64::min);
    // Each of the weeks before had pushes, and this one hardly any.
    if usual >= 1.0 && last_week * 10.0 < usual {
        return Check::warning(
            format!(
                "{} in the last week, where there are at least {} in each of the {WEEKS} weeks before; {when}",
                counted(count(last_week), "push"),
                count(usual),
            ),
            "holidays look like that; so does a trail or a rule that somebody changed",
        )
        .mend("If the trail and PushRule are well (above): did anybody push? pushwatch reconcile compares with CloudTrail");
    }
    if last.is_none() && !facts.is_younger_than(WEEK) {
        return Check::warning(
            "No push was recorded in five weeks",
            "nobody pushes in this region, or nobody records it",
        )
        .mend("Push an image; within a quarter of an hour pushwatch status shows it");
    }
    Check::well(format!(
        "{} in the last week; {when}",
        counted(count(last_week), "push")
    ))
}

/// Whether ECR stored what CloudTrail recorded no push of.
fn image_actions(metrics: &Activity, facts: &Facts<'_>) -> Option<Check> {
    let now = facts.now;
    // Pushes come minutes after the image action.
    let end = now - SignedDuration::from_hours(1);
    let actions = metrics.image_actions.sum(now - WEEK, end);
    let pushes = metrics.pushes.sum(now - WEEK, now);
    if actions >= 1.0 && pushes < 1.0 {
        return Some(
            Check::ill(
                format!(
                    "ECR stored {} in the last week, and CloudTrail recorded no push",
                    counted(count(actions), "image")
                ),
                "PushWatch is blind, or all images come by replication or a pull-through cache",
            )
            .mend("What to do: docs/operations.md#blindalarm"),
        );
    }
    if actions >= 20.0 && pushes * 2.0 < actions {
        return Some(
            Check::warning(
                format!(
                    "ECR stored {} in the last week, and CloudTrail recorded {}",
                    counted(count(actions), "image"),
                    counted(count(pushes), "push"),
                ),
                "more than half were not seen, or came by replication or a pull-through cache",
            )
            .mend("Compare with CloudTrail: pushwatch reconcile"),
        );
    }
    (actions >= 1.0).then(|| {
        Check::well(format!(
            "ECR stored {} in the last week, and CloudTrail recorded {}",
            counted(count(actions), "image"),
            counted(count(pushes), "push"),
        ))
    })
}

fn owed(facts: &Facts<'_>) -> Check {
    let owed = match facts.owed {
        Ok(owed) => owed,
        Err(error) => return Check::unread("What is owed", error),
    };
    let is_late = |one: &&OwedFinding| match (one.owed, one.since) {
        (Owed::Finding, Some(since)) => facts.now.duration_since(since) > OWED_LATE,
        // As long as learning lasts the digest is daily, and the last one an hour after.
        (Owed::Digest, Some(since)) => facts.now.duration_since(since) > DIGEST_LATE,
        (_, None) => false,
    };
    let late: Vec<_> = owed.iter().filter(is_late).collect();
    let oldest = late.iter().filter_map(|one| one.since).min();
    if let Some(oldest) = oldest {
        return Check::ill(
            format!(
                "{} owed and late, the oldest since {oldest} ({})",
                are(late.len(), "finding"),
                ago(oldest, facts.now)
            ),
            "nothing is lost, and each sweep tries again; but nobody was told yet",
        )
        .mend("The function's log says why SNS does not take them: docs/operations.md#findingsowedalarm");
    }
    let counts = OwedCounts::of(owed);
    Check::well(match (counts.findings, counts.digest) {
        (0, 0) => "Nothing is owed".to_owned(),
        (0, digest) => format!("{} for the next digest", wait(digest)),
        (findings, 0) => format!("{} owed, and on the way", are(findings, "finding")),
        (findings, digest) => format!(
            "{} owed, and on the way; {} for the next digest",
            are(findings, "finding"),
            wait(digest)
        ),
    })
}

impl Facts<'_> {
    fn is_younger_than(&self, age: SignedDuration) -> bool {
        self.since
            .is_some_and(|since| self.now.duration_since(since) < age)
    }
}

fn are(count: usize, noun: &str) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(count, noun))
}

fn wait(count: usize) -> String {
    let verb = if count == 1 { "waits" } else { "wait" };
    format!("{} {verb}", counted(count, "finding"))
}

/// A sum of counts as the whole number that it is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count, and never negative"
)]
fn count(sum: f64) -> u64 {
    sum.round() as u64
}

#[cfg(test)]
mod tests {
    use super::{Facts, judge};
    use crate::commands::doctor::check::{Check, Level};
    use crate::commands::doctor::tests::{denied, deployed};
    use crate::deployment::{Activity, Series};
    use jiff::{SignedDuration, Timestamp};
    use pushwatch::finding::Owed;
    use pushwatch::store::OwedFinding;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    /// So many an hour in the middle of each week, the last week first.
    fn weeks(counts: &[u32]) -> Series {
        let points = counts.iter().enumerate().map(|(week, count)| {
            let hours = i64::try_from(week).unwrap() * 7 * 24 + 84;
            (now() - SignedDuration::from_hours(hours), f64::from(*count))
        });
        Series::of(points.filter(|(_, count)| *count > 0.0).collect())
    }

    fn swept(minutes: i64) -> Series {
        Series::of(vec![(now() - SignedDuration::from_mins(minutes), 1.0)])
    }

    fn activity(pushes: &[u32], actions: &[u32]) -> Activity {
        Activity {
            pushes: weeks(pushes),
            image_actions: weeks(actions),
            sweeps: swept(3),
        }
    }

    fn judged(activity: Activity, owed: Vec<OwedFinding>, age_days: i64) -> Vec<Check> {
        let facts = Facts {
            metrics: &Ok(activity),
            owed: &Ok(owed),
            counts_image_actions: true,
            since: Some(now() - SignedDuration::from_hours(age_days * 24)),
            log_group: "pw-log",
            now: now(),
        };
        judge(&facts, &deployed())
    }

    #[test]
    fn a_week_is_odd_only_if_it_is_plainly_unlike_the_weeks_before() {
        for (pushes, age, level) in [
            (&[50, 40, 60, 50, 40][..], 400, Level::Well),
            (&[5, 40, 60, 50, 40], 400, Level::Well),
            (&[3, 40, 60, 50, 40], 400, Level::Warning),
            (&[0, 1, 1, 1, 1], 400, Level::Warning),
            // Not each week has pushes.
            (&[0, 1, 0, 3, 0], 400, Level::Well),
            (&[0, 0, 0, 0, 0], 400, Level::Warning),
            (&[0, 0, 0, 0, 0], 2, Level::Well),
            (&[7], 8, Level::Well),
        ] {
            let checks = judged(activity(pushes, &[]), vec![], age);
            assert_eq!(checks[1].level, level, "{pushes:?}: {checks:?}");
        }
    }

    #[test]
    fn images_without_pushes_mean_blindness() {
        for (pushes, actions, level) in [
            (10, 10, Level::Well),
            (10, 30, Level::Warning),
            (4, 15, Level::Well),
            (0, 1, Level::Ill),
        ] {
            let checks = judged(activity(&[pushes], &[actions]), vec![], 3);
            assert_eq!(checks[2].level, level, "{pushes} of {actions}: {checks:?}");
        }
    }

    #[test]
    fn sweeps_that_fall_silent_are_ill_but_in_a_new_stack() {
        for (sweeps, age, level) in [
            (swept(3), 9, Level::Well),
            (swept(30), 9, Level::Ill),
            (Series::default(), 9, Level::Ill),
            (Series::default(), 0, Level::Warning),
        ] {
            let activity = Activity {
                sweeps,
                ..activity(&[1], &[])
            };
            let checks = judged(activity, vec![], age);
            assert_eq!(checks[0].level, level, "{checks:?}");
        }
    }

    #[test]
    fn what_is_owed_for_long_is_ill() {
        let one = |owed, minutes| OwedFinding {
            id: "f".to_owned(),
            owed,
            since: Some(now() - SignedDuration::from_mins(minutes)),
            severity: None,
        };
        for (owed, level, word) in [
            (vec![], Level::Well, "Nothing is owed"),
            (
                vec![one(Owed::Finding, 2)],
                Level::Well,
                "1 finding is owed, and on the way",
            ),
            (
                vec![one(Owed::Finding, 7), one(Owed::Finding, 2)],
                Level::Ill,
                "1 finding is owed and late",
            ),
            (
                vec![one(Owed::Digest, 600)],
                Level::Well,
                "1 finding waits for the next digest",
            ),
            (
                vec![one(Owed::Digest, 27 * 60)],
                Level::Ill,
                "owed and late",
            ),
        ] {
            let check = judged(activity(&[1], &[]), owed, 9).pop().unwrap();
            assert_eq!(check.level, level, "{check:?}");
            assert!(
                check.what.starts_with(word) || check.what.contains(word),
                "{check:?}"
            );
        }
    }

    #[test]
    fn what_can_t_be_read_is_named() {
        let facts = Facts {
            metrics: &Err(denied("CloudWatch GetMetricData")),
            owed: &Err(denied("DynamoDB Scan")),
            counts_image_actions: true,
            since: None,
            log_group: "pw-log",
            now: now(),
        };
        let checks = judge(&facts, &deployed());
        assert!(
            checks.iter().all(|check| check.level == Level::Unknown),
            "{checks:?}"
        );
        assert!(
            checks[0].what.contains("cloudwatch:GetMetricData"),
            "{checks:?}"
        );
    }
}
