//! Who pushes where: the most worrying uploaders, and their repositories.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use compact_str::CompactString;
use pushwatch::record::Record;
use pushwatch::text::clean_cut;

use super::data::{Cell, Lane, MAX_KEY_SHOWN, Matrix, Row};

/// Rows and columns of the matrix.
const MOST_ROWS: usize = 25;
const MOST_PLACES: usize = 20;

/// The matrix of what the records remember: places without counts.
pub fn of_places(
    lanes: &[Lane],
    numbers: &HashMap<CompactString, usize>,
    records: &[Record],
) -> Matrix {
    let mut cells = Vec::new();
    let mut wide = Vec::new();
    for record in records {
        let Some(lane) = numbers.get(&record.uploader).copied() else {
            continue;
        };
        if record.habits.wide {
            wide.push(lane);
        }
        for place in &record.habits.places {
            let cell = Cell {
                pushes: None,
                is_new: lanes[lane].is_new,
            };
            cells.push((lane, place.as_str(), cell));
        }
    }
    matrix(cells, &wide)
}

/// The most worrying uploaders, and the repositories that they push to: the ones with the most
/// that is new, then those with the most uploaders.
pub fn matrix(mut cells: Vec<(usize, &str, Cell)>, wide: &[usize]) -> Matrix {
    let mut rows: Vec<usize> = cells.iter().map(|(lane, ..)| *lane).collect();
    rows.extend(wide);
    rows.sort_unstable();
    rows.dedup();
    let other_rows = rows.len().saturating_sub(MOST_ROWS) as u64;
    rows.truncate(MOST_ROWS);
    cells.retain(|(lane, ..)| rows.binary_search(lane).is_ok());
    let mut weights: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (_, place, cell) in &cells {
        let weight = weights.entry(place).or_default();
        weight.0 += u64::from(cell.is_new);
        weight.1 += 1;
    }
    let mut places: Vec<_> = weights.into_iter().collect();
    places.sort_by_key(|(place, weight)| (Reverse(*weight), *place));
    let other_places = places.len().saturating_sub(MOST_PLACES) as u64;
    places.truncate(MOST_PLACES);
    let cells: HashMap<(usize, &str), Cell> = cells
        .into_iter()
        .map(|(lane, place, cell)| ((lane, place), cell))
        .collect();
    let rows = rows.into_iter().map(|lane| Row {
        lane,
        is_wide: wide.contains(&lane),
        cells: places
            .iter()
            .map(|(place, _)| cells.get(&(lane, *place)).copied())
            .collect(),
    });
    Matrix {
        rows: rows.collect(),
        places: places
            .iter()
            .map(|(place, _)| clean_cut(place, MAX_KEY_SHOWN))
            .collect(),
        other_places,
        other_rows,
    }
}
