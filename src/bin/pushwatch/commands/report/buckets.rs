//! A time axis in parts of whole days.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Parts of the same length, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Buckets {
    /// Days since 1970.
    pub first_day: i64,
    /// Days in each.
    pub days: i64,
    pub count: usize,
}

impl Buckets {
    /// From one day to another, in no more than `most` parts of a multiple of `unit` days. A
    /// part of weeks begins on a Monday.
    pub fn between(first: i64, last: i64, unit: i64, most: i64) -> Self {
        let first_day = if unit == 7 {
            // 1970 began on a Thursday.
            (first + 3).div_euclid(7) * 7 - 3
        } else {
            first
        };
        let units = (last.max(first) - first_day) / unit + 1;
        let days = unit * ((units + most - 1) / most);
        let count = (last.max(first) - first_day) / days + 1;
        Self {
            first_day,
            days,
            count: usize::try_from(count).unwrap_or(1),
        }
    }

    /// The part in which a day lies.
    pub fn of(&self, day: i64) -> Option<usize> {
        let part = usize::try_from((day - self.first_day).div_euclid(self.days)).ok()?;
        (part < self.count).then_some(part)
    }

    /// The first day of a part.
    pub fn begin(&self, part: usize) -> i64 {
        self.first_day + self.days * i64::try_from(part).unwrap_or_default()
    }

    /// The first and last day of a part, in words.
    pub fn name(&self, part: usize) -> String {
        let begin = self.begin(part);
        match self.days {
            1 => date(begin),
            days => format!("{} to {}", date(begin), date(begin + days - 1)),
        }
    }

    /// Where a time lies, in percent of the axis; none if it lies outside.
    #[allow(clippy::cast_precision_loss)] // a pixel is less exact
    pub fn percent(&self, time: Timestamp) -> Option<f64> {
        let whole = (self.days * DAY) as f64 * self.count as f64;
        let at = (time.as_second() - self.first_day * DAY) as f64 / whole * 100.0;
        (0.0..=100.0).contains(&at).then_some(at)
    }
}

/// Days since 1970.
pub fn day(time: Timestamp) -> i64 {
    time.as_second().div_euclid(DAY)
}

/// The beginning of a day.
pub fn begin_of(day: i64) -> Timestamp {
    Timestamp::from_second(day.saturating_mul(DAY)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `2026-01-31`
pub fn date(day: i64) -> String {
    begin_of(day).strftime("%Y-%m-%d").to_string()
}

/// `2026-01-31`
pub fn date_of(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// `31 January 2026`
pub fn in_prose(time: Timestamp) -> String {
    time.strftime("%-d %B %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::{Buckets, date};

    #[test]
    fn an_axis_has_whole_parts_and_all_days_lie_in_one() {
        // 20,454 is Thursday, 2026-01-01.
        for (first, last, unit, most, begin, days, count) in [
            (20_454, 20_454, 1, 120, "2026-01-01", 1, 1),
            (20_454, 20_463, 1, 120, "2026-01-01", 1, 10),
            (20_454, 20_818, 1, 120, "2026-01-01", 4, 92),
            (20_454, 20_470, 7, 60, "2025-12-29", 7, 3),
            (20_454, 20_454 + 7 * 61, 7, 60, "2025-12-29", 14, 31),
            (20_454, 20_400, 1, 120, "2026-01-01", 1, 1),
        ] {
            let buckets = Buckets::between(first, last, unit, most);
            assert_eq!(date(buckets.first_day), begin);
            assert_eq!(
                (buckets.days, buckets.count),
                (days, count),
                "{first}–{last}"
            );
            assert_eq!(buckets.of(first), Some(0));
            assert_eq!(buckets.of(last.max(first)), Some(count - 1));
            assert_eq!(buckets.of(buckets.first_day - 1), None);
            assert_eq!(buckets.of(buckets.begin(count)), None);
        }
    }
}
