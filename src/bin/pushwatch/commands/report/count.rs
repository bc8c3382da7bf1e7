//! The pushes of an archive, counted by lane and column, by repository, and by week and kind.

use std::cmp::Reverse;
use std::collections::HashMap;

use compact_str::CompactString;
use jiff::Timestamp;
use pushwatch::text::clean_cut;

use super::buckets::Buckets;
use super::data::{Cell, Lane, MOST_MARKS, Matrix, Series};
use super::places::matrix;
use super::seen::SeenPushes;

/// Kinds of uploaders that are counted each by itself.
const MOST_KINDS: usize = 8;

/// What the pushes are counted by.
pub struct Axes {
    pub columns: Buckets,
    pub weeks: Buckets,
    pub since: Option<Timestamp>,
    pub new_since: Timestamp,
    pub absence_days: u16,
}

/// A repository of a lane, counted.
#[derive(Default)]
struct Pushed {
    pushes: u64,
    first: Option<i64>,
}

/// Counts the pushes of each lane by column and place, and all of them by week and kind.
pub fn of_pushes(
    lanes: &mut [Lane],
    numbers: &HashMap<CompactString, usize>,
    pushes: &SeenPushes,
    axes: &Axes,
) -> (Matrix, Vec<Series>) {
    let numbers: Vec<Option<usize>> = pushes
        .uploaders
        .iter()
        .map(|uploader| numbers.get(&uploader.key).copied())
        .collect();
    let kinds = pushes.uploaders.iter();
    let kinds: Vec<String> = kinds
        .map(|uploader| clean_cut(&uploader.kind, 30))
        .collect();
    let (kind_numbers, kind_of) = numbered(&kinds);
    let places = pushes.places();
    let (place_numbers, place_of) = numbered(&places);
    let mut by_column = vec![vec![0_u64; axes.columns.count]; lanes.len()];
    let mut by_week = vec![vec![0_u64; axes.weeks.count]; kind_numbers.len()];
    let mut by_place: HashMap<(usize, usize), Pushed> = HashMap::new();
    let mut last: Vec<Option<i64>> = vec![None; lanes.len()];
    for push in pushes.counted() {
        let day = push.time.div_euclid(86_400);
        let is_shown = axes
            .since
            .is_none_or(|since| push.time >= since.as_second());
        if is_shown && let Some(week) = axes.weeks.of(day) {
            by_week[kind_of[push.uploader]][week] += 1;
        }
        let Some(lane) = numbers[push.uploader] else {
            continue;
        };
        if is_shown && let Some(column) = axes.columns.of(day) {
            by_column[lane][column] += 1;
        }
        if let Some(before) = last[lane].replace(day)
            && axes.absence_days > 0
            && day - before > i64::from(axes.absence_days)
            && day >= axes.columns.first_day
        {
            lanes[lane].absences.push((before, day));
        }
        let place = by_place.entry((lane, place_of[push.shape])).or_default();
        place.first.get_or_insert(push.time);
        place.pushes += u64::from(is_shown);
    }
    for (lane, counts) in lanes.iter_mut().zip(by_column) {
        let counts = counts.into_iter().enumerate();
        lane.density = Some(counts.filter(|(_, count)| *count > 0).collect());
        lane.absences.truncate(MOST_MARKS);
    }
    let mut place_names = vec![""; place_numbers.len()];
    for (place, number) in place_numbers {
        place_names[number] = place;
    }
    let cells = by_place
        .into_iter()
        .filter(|(_, pushed)| pushed.pushes > 0)
        .map(|((lane, place), pushed)| {
            let first = pushed.first.unwrap_or_default();
            let cell = Cell {
                pushes: Some(pushed.pushes),
                is_new: first >= axes.new_since.as_second(),
            };
            (lane, place_names[place], cell)
        });
    let matrix = matrix(cells.collect(), &[]);
    (matrix, series(kind_numbers, by_week, axes.weeks))
}

/// The numbers of each kind by week, the most first; those of rare kinds together.
fn series(
    kind_numbers: HashMap<&str, usize>,
    mut by_week: Vec<Vec<u64>>,
    weeks: Buckets,
) -> Vec<Series> {
    let mut series: Vec<_> = kind_numbers
        .into_iter()
        .map(|(kind, number)| Series {
            name: kind.to_owned(),
            values: std::mem::take(&mut by_week[number]),
        })
        .filter(|series| series.values.iter().any(|count| *count > 0))
        .collect();
    series.sort_by_cached_key(|series| {
        (
            Reverse(series.values.iter().sum::<u64>()),
            series.name.clone(),
        )
    });
    if series.len() > MOST_KINDS {
        let rest = series.split_off(MOST_KINDS - 1);
        let mut values = vec![0; weeks.count];
        for other in &rest {
            for (sum, value) in values.iter_mut().zip(&other.values) {
                *sum += value;
            }
        }
        let name = format!("{} other kinds", rest.len());
        series.push(Series { name, values });
    }
    series
}

/// A number for each text that is another one, and the number of each.
fn numbered<T: AsRef<str>>(texts: &[T]) -> (HashMap<&str, usize>, Vec<usize>) {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let of = texts.iter().map(|text| {
        let next = numbers.len();
        *numbers.entry(text.as_ref()).or_insert(next)
    });
    let of = of.collect();
    (numbers, of)
}
