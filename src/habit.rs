//! Habits: where a known uploader pushes to, and how its pushes are authorised.
//!
//! Whoever may assume a known role is known. What a thief of its credentials rarely
//! shares with it are its habits: a push to another **place**, or by another **way**, is
//! unusual.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::text::clean_cut;

/// The most places that are remembered. An uploader with one more is wide.
pub const MAX_PLACES: usize = 20;
/// The most ways that are remembered.
pub const MAX_WAYS: usize = 5;
/// Longest place or way, in characters; see [`Push`](crate::event::Push) for their parts.
const MAX_LENGTH: usize = 1024;

/// The habits of an uploader, with the attribute names of the uploaders table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "WrittenHabits")]
pub struct Habits {
    /// `<registry>/<region>/<repository>` of each repository that was pushed to, in
    /// order; see [`Push::place`](crate::event::Push::place).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<CompactString>,
    /// Whether it pushes everywhere: there were more than [`MAX_PLACES`], and places
    /// say nothing any more.
    #[serde(skip_serializing_if = "is_false")]
    pub wide: bool,
    /// How pushes were authorised, in order; see [`Push::way`](crate::event::Push::way).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<CompactString>,
    /// Event time of the first push whose habits were remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub habits_since: Option<Timestamp>,
}

/// Habits as somebody wrote them, in a list or by hand.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenHabits {
    places: Vec<CompactString>,
    wide: bool,
    ways: Vec<CompactString>,
    #[serde(deserialize_with = "crate::time::deserialize")]
    habits_since: Option<Timestamp>,
}

impl From<WrittenHabits> for Habits {
    /// Sorted, each once, cleaned, and no more than are remembered.
    fn from(written: WrittenHabits) -> Self {
        let mut habits = Self {
            wide: written.wide,
            habits_since: written.habits_since,
            ..Self::default()
        };
        let cleaned = |habit: CompactString| clean_cut(&habit, MAX_LENGTH);
        for place in written.places.into_iter().map(cleaned) {
            if !place.is_empty() {
                habits.add_place(&place);
            }
        }
        for way in written.ways.into_iter().map(cleaned) {
            if !way.is_empty() {
                habits.add_way(&way);
            }
        }
        habits
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
fn is_false(value: &bool) -> bool {
    !value
}

/// What is unusual of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unusual {
    /// A place where the uploader never pushed before.
    Place,
    /// A way in which it never pushed before.
    Way,
    /// One place more than are remembered: it pushes everywhere from now on.
    Wide,
}

impl Habits {
    /// Whether a push to the place by the way is usual.
    #[must_use]
    pub fn include(&self, place: &str, way: &str) -> bool {
        self.has_place(place) && self.has_way(way)
    }

    /// Whether a push to the place is usual.
    #[must_use]
    pub fn has_place(&self, place: &str) -> bool {
        self.wide || self.places.iter().any(|known| known == place)
    }

    /// Whether a push by the way is usual.
    #[must_use]
    pub fn has_way(&self, way: &str) -> bool {
        self.ways.iter().any(|known| known == way)
    }

    /// Remembers a push at `time`, and says what is unusual of it. A way beyond
    /// [`MAX_WAYS`] is unusual each time, since it is not remembered.
    pub fn remember(&mut self, place: &str, way: &str, time: Timestamp) -> Vec<Unusual> {
        self.habits_since.get_or_insert(time);
        let place = self.add_place(place);
        let way = (!self.has_way(way)).then(|| {
            self.add_way(way);
            Unusual::Way
        });
        let mut unusual: Vec<_> = place.into_iter().chain(way).collect();
        unusual.sort_unstable();
        unusual
    }

    /// Adds a place, and says what that changes.
    pub fn add_place(&mut self, place: &str) -> Option<Unusual> {
        if self.has_place(place) {
            return None;
        }
        if self.places.len() >= MAX_PLACES {
            self.widen();
            return Some(Unusual::Wide);
        }
        insert(&mut self.places, place);
        Some(Unusual::Place)
    }

    /// Adds a way; false if there are too many already.
    pub fn add_way(&mut self, way: &str) -> bool {
        if self.has_way(way) {
            return true;
        }
        let fits = self.ways.len() < MAX_WAYS;
        if fits {
            insert(&mut self.ways, way);
        }
        fits
    }

    /// Lets places say nothing any more.
    pub fn widen(&mut self) {
        self.wide = true;
        self.places = Vec::new();
    }

    /// Adds the habits of another record of the same uploader.
    pub fn merge(&mut self, other: &Self) {
        if other.wide {
            self.widen();
        }
        for place in &other.places {
            self.add_place(place);
        }
        for way in &other.ways {
            self.add_way(way);
        }
        self.habits_since = match (self.habits_since, other.habits_since) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
    }
}

fn insert(known: &mut Vec<CompactString>, new: &str) {
    let at = known.partition_point(|one| one.as_str() < new);
    // Most uploaders have few habits: no room is kept for more.
    known.reserve_exact(1);
    known.insert(at, new.into());
}

#[cfg(test)]
mod tests {
    use super::{Habits, MAX_PLACES, Unusual};
    use jiff::Timestamp;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const JAN: &str = "2026-01-01T00:00:00Z";
    const FEB: &str = "2026-02-01T00:00:00Z";

    fn habits(places: usize) -> Habits {
        let mut habits = Habits::default();
        for number in 0..places {
            habits.remember(&format!("place {number:02}"), "plain", time(JAN));
        }
        habits
    }

    #[test]
    fn each_place_and_way_is_unusual_once() {
        let mut habits = Habits::default();
        for (place, way, unusual) in [
            ("a", "plain", &[Unusual::Place, Unusual::Way][..]),
            ("a", "plain", &[]),
            ("b", "plain", &[Unusual::Place]),
            ("a", "console", &[Unusual::Way]),
            ("c", "instance", &[Unusual::Place, Unusual::Way]),
            ("b", "console", &[]),
        ] {
            assert_eq!(habits.include(place, way), unusual.is_empty());
            assert_eq!(habits.remember(place, way, time(JAN)), unusual);
        }
        assert_eq!(habits.places, ["a", "b", "c"]);
        assert_eq!(habits.ways, ["console", "instance", "plain"]);
    }

    #[test]
    fn one_place_more_than_are_remembered_makes_it_wide() {
        let mut habits = habits(MAX_PLACES);
        assert!(!habits.wide);
        assert_eq!(habits.remember("more", "plain", time(JAN)), [Unusual::Wide]);
        assert!(habits.wide && habits.places.is_empty());
        assert_eq!(habits.remember("yet more", "plain", time(JAN)), []);
        // Its ways are unusual as before.
        let unusual = habits.remember("yet more", "console", time(JAN));
        assert_eq!(unusual, [Unusual::Way]);
    }

    #[test]
    fn a_way_and_wide_at_once_are_both_unusual() {
        let unusual = habits(MAX_PLACES).remember("more", "console", time(JAN));
        assert_eq!(unusual, [Unusual::Way, Unusual::Wide]);
    }

    #[test]
    fn a_sixth_way_is_unusual_each_time() {
        let mut habits = Habits::default();
        for way in ["delegate:1", "provider:a", "console", "instance", "plain"] {
            habits.remember("a", way, time(JAN));
        }
        for _ in 0..2 {
            let unusual = habits.remember("a", "provider:b", time(JAN));
            assert_eq!(unusual, [Unusual::Way]);
        }
        assert_eq!(habits.ways.len(), 5);
    }

    /// A late event must not end the time in which they are learned.
    #[test]
    fn habits_begin_with_the_first_that_is_remembered() {
        let mut habits = Habits::default();
        for at in [FEB, JAN, FEB] {
            habits.remember("a", "plain", time(at));
            assert_eq!(habits.habits_since, Some(time(FEB)));
        }
    }

    #[test]
    fn habits_that_somebody_wrote_are_held_to_the_limits() {
        let read = |json: serde_json::Value| serde_json::from_value::<Habits>(json).unwrap();
        let places: Vec<_> = (0..30).map(|number| format!("place {number}")).collect();
        let habits =
            read(serde_json::json!({"places": places, "ways": ["a", "b", "c", "d", "e", "f"]}));
        assert!(habits.wide && habits.places.is_empty());
        assert_eq!(habits.ways.len(), 5);
        let habits = read(serde_json::json!({"places": ["b", "a", "b", "", "x\ny"]}));
        assert_eq!(habits.places, ["a", "b", "x\\ny"]);
        assert_eq!(read(serde_json::json!({})), Habits::default());
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for places in [0, 3, MAX_PLACES + 1] {
            let mut habits = habits(places);
            habits.habits_since = Some(time(JAN));
            let written = serde_json::to_value(&habits).unwrap();
            assert_eq!(written.get("wide").is_some(), places > MAX_PLACES);
            assert_eq!(serde_json::from_value::<Habits>(written).unwrap(), habits);
        }
    }

    #[test]
    fn the_habits_of_two_records_are_those_of_both() {
        let (mut one, mut two) = (Habits::default(), Habits::default());
        one.remember("a", "plain", time(FEB));
        two.remember("b", "console", time(JAN));
        one.merge(&two);
        assert_eq!(one.places, ["a", "b"]);
        assert_eq!(one.ways, ["console", "plain"]);
        assert_eq!(one.habits_since, Some(time(JAN)));
        // More than fit are wide, and wide stays so.
        one.merge(&habits(MAX_PLACES));
        assert!(one.wide && one.places.is_empty());
        two.merge(&one);
        assert!(two.wide);
    }
}
