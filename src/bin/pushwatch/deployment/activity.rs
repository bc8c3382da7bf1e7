//! What a deployment did of late, as the metrics of its function say.

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use jiff::{SignedDuration, Timestamp};
use pushwatch::aws::AwsError;

use super::Session;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Five weeks, by the hour.
const LONG: SignedDuration = SignedDuration::from_hours(5 * 7 * 24);
/// Three hours, by the minute: as long as CloudWatch keeps these, and more than a sweep
/// is ever late.
const SHORT: SignedDuration = SignedDuration::from_hours(3);

/// The values of a metric by their times, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series(Vec<(Timestamp, f64)>);

impl Series {
    /// Puts values in the order of their times.
    pub fn of(mut points: Vec<(Timestamp, f64)>) -> Self {
        points.sort_by_key(|(time, _)| *time);
        Self(points)
    }

    /// The sum of what lies from one time to before another.
    pub fn sum(&self, from: Timestamp, to: Timestamp) -> f64 {
        let within = self.0.iter().filter(|(time, _)| (from..to).contains(time));
        within.map(|(_, value)| value).sum()
    }

    /// The latest time with a value above zero.
    pub fn last(&self) -> Option<Timestamp> {
        let last = self.0.iter().rev().find(|(_, value)| *value > 0.0);
        last.map(|(time, _)| *time)
    }
}

/// What a deployment did of late.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Activity {
    /// Pushes by the hour, for five weeks.
    pub pushes: Series,
    /// Images that ECR says it stored, the same.
    pub image_actions: Series,
    /// Sweeps by the minute, for three hours.
    pub sweeps: Series,
}

impl Session {
    /// What the function did of late.
    ///
    /// # Errors
    /// When CloudWatch refuses.
    pub async fn activity(&self, function: &str, now: Timestamp) -> Result<Activity, AwsError> {
        let client = self.cloudwatch();
        // One request has one span; each period is asked for over its own.
        let long = [
            ("pushes", "Pushes", "Sum"),
            ("images", "ImageActions", "Sum"),
        ];
        let short = [("sweeps", "FindingsOwed", "SampleCount")];
        let (long, short) = tokio::try_join!(
            series(&client, function, &long, 3_600, (now - LONG, now + HOUR)),
            series(&client, function, &short, 60, (now - SHORT, now + HOUR)),
        )?;
        let [pushes, image_actions] = long;
        let [sweeps] = short;
        Ok(Activity {
            pushes,
            image_actions,
            sweeps,
        })
    }
}

async fn series<const N: usize>(
    client: &aws_sdk_cloudwatch::Client,
    function: &str,
    metrics: &[(&str, &str, &str); N],
    period: i32,
    (from, to): (Timestamp, Timestamp),
) -> Result<[Series; N], AwsError> {
    let queries = metrics.iter().map(|(id, name, statistic)| {
        let dimension = Dimension::builder().name("FunctionName").value(function);
        let metric = Metric::builder()
            .namespace("PushWatch")
            .metric_name(*name)
            .dimensions(dimension.build());
        let metric = MetricStat::builder()
            .metric(metric.build())
            .period(period)
            .stat(*statistic);
        MetricDataQuery::builder()
            .id(*id)
            .metric_stat(metric.build())
            .build()
    });
    let queries: Vec<_> = queries.collect();
    let mut points = [const { Vec::new() }; N];
    let mut next = None;
    loop {
        let page = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.clone()))
            .start_time(DateTime::from_secs(from.as_second()))
            .end_time(DateTime::from_secs(to.as_second()))
            .set_next_token(next)
            .send()
            .await
            .map_err(|error| AwsError::new("CloudWatch GetMetricData", "metrics", error))?;
        for result in page.metric_data_results() {
            let index = metrics
                .iter()
                .position(|(id, _, _)| result.id() == Some(id));
            let Some(index) = index else { continue };
            let values = result.timestamps().iter().zip(result.values());
            points[index].extend(values.filter_map(|(time, value)| {
                Some((Timestamp::from_second(time.secs()).ok()?, *value))
            }));
        }
        next = page.next_token;
        if next.is_none() {
            return Ok(points.map(Series::of));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Series;
    use jiff::Timestamp;

    #[test]
    fn a_series_sums_a_span_and_knows_its_last_value() {
        let at = |hour: i64| Timestamp::from_second(hour * 3_600).unwrap();
        let series = Series::of(vec![(at(3), 0.0), (at(1), 2.0), (at(2), 3.0)]);
        assert!((series.sum(at(1), at(2)) - 2.0).abs() < 0.1);
        assert!((series.sum(at(1), at(4)) - 5.0).abs() < 0.1);
        assert_eq!(series.last(), Some(at(2)));
        assert_eq!(Series::default().last(), None);
    }
}
