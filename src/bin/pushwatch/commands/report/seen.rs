//! The pushes of an archive in 40 bytes each, so that ten million fit into memory.
//!
//! What a decision asks for is kept once for all pushes that share it: the uploader, and the
//! push without its time, id and all that is only told.

use std::collections::HashMap;

use compact_str::{CompactString, format_compact};
use jiff::Timestamp;
use pushwatch::event::{Artifact, Push};
use pushwatch::identity::Uploader;
use uuid::Uuid;

use crate::input::IdentifiedPush;

/// A push, as far as it differs from others of its uploader to the same place.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// In seconds.
    time: i64,
    id: EventId,
    uploader: u32,
    shape: u32,
    source: u32,
}

/// An event's id. Nearly all are UUIDs.
#[derive(Debug, Clone, Copy)]
enum EventId {
    Uuid([u8; 16]),
    Other(u32),
}

/// All pushes.
#[derive(Debug, Default)]
pub struct SeenPushes {
    pushes: Vec<Seen>,
    pub uploaders: Vec<Uploader>,
    uploader_numbers: HashMap<(CompactString, CompactString, Option<CompactString>), u32>,
    /// The pushes without what is their own.
    shapes: Vec<Push>,
    shape_numbers: HashMap<[Option<CompactString>; 7], u32>,
    other_ids: Vec<CompactString>,
    /// Keep all of each push: an expression may ask for anything.
    whole: bool,
}

/// A push that counts: neither failed nor delivered twice.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    pub time: i64,
    pub uploader: usize,
    pub shape: usize,
}

impl SeenPushes {
    /// None yet.
    pub fn new(whole: bool) -> Self {
        Self {
            whole,
            ..Self::default()
        }
    }

    /// Remembers a push.
    pub fn add(&mut self, source: usize, pushed: IdentifiedPush) {
        let IdentifiedPush {
            push,
            identification,
            ..
        } = pushed;
        let time = push.event_time.as_second();
        let id = self.id_of(&push.event_id);
        let uploader = self.uploader_number(identification.uploader);
        let shape = self.shape_number(push);
        self.pushes.push(Seen {
            time,
            id,
            uploader,
            shape,
            source: number(source),
        });
    }

    /// Puts them in the order of a replay: by time, then as they were read.
    pub fn sort(&mut self) {
        self.pushes.sort_by_key(|push| (push.time, push.source));
        self.uploader_numbers = HashMap::new();
        self.shape_numbers = HashMap::new();
    }

    pub fn len(&self) -> usize {
        self.pushes.len()
    }

    /// A push as it is decided, and who is behind it.
    pub fn get(&mut self, index: usize) -> (&Push, &Uploader) {
        let seen = self.pushes[index];
        let push = &mut self.shapes[seen.shape as usize];
        push.event_time = Timestamp::from_second(seen.time).unwrap_or(push.event_time);
        push.event_id = match seen.id {
            EventId::Uuid(bytes) => format_compact!("{}", Uuid::from_bytes(bytes)),
            EventId::Other(number) => self.other_ids[number as usize].clone(),
        };
        (push, &self.uploaders[seen.uploader as usize])
    }

    /// Leaves a push out of what is counted.
    pub fn discount(&mut self, index: usize) {
        self.pushes[index].shape = u32::MAX;
    }

    /// Those that count, in their order.
    pub fn counted(&self) -> impl Iterator<Item = Counted> {
        self.pushes
            .iter()
            .filter(|push| push.shape != u32::MAX)
            .map(|push| Counted {
                time: push.time,
                uploader: push.uploader as usize,
                shape: push.shape as usize,
            })
    }

    /// Where each shape was pushed to.
    pub fn places(&self) -> Vec<CompactString> {
        self.shapes.iter().map(Push::place).collect()
    }

    fn id_of(&mut self, id: &CompactString) -> EventId {
        match Uuid::try_parse(id) {
            // Another spelling of a UUID is another id.
            Ok(uuid) if format_compact!("{uuid}") == *id => EventId::Uuid(uuid.into_bytes()),
            _ => {
                self.other_ids.push(id.clone());
                EventId::Other(number(self.other_ids.len() - 1))
            }
        }
    }

    fn uploader_number(&mut self, mut uploader: Uploader) -> u32 {
        if self.whole {
            self.uploaders.push(uploader);
            return number(self.uploaders.len() - 1);
        }
        // The session is told, and decides nothing.
        uploader.session = None;
        let key = (
            uploader.key.clone(),
            uploader.kind.clone(),
            uploader.principal_id.clone(),
        );
        *self.uploader_numbers.entry(key).or_insert_with(|| {
            self.uploaders.push(uploader);
            number(self.uploaders.len() - 1)
        })
    }

    fn shape_number(&mut self, mut push: Push) -> u32 {
        if self.whole {
            self.shapes.push(push);
            return number(self.shapes.len() - 1);
        }
        let key = [
            push.event_source.clone(),
            push.account.clone(),
            push.region.clone(),
            push.registry_id.clone(),
            push.repository.clone(),
            Some(push.way.clone()),
            push.error_code.as_ref().map(|_| CompactString::default()),
        ];
        *self.shape_numbers.entry(key).or_insert_with(|| {
            for told in [
                &mut push.shared_event_id,
                &mut push.tag,
                &mut push.digest,
                &mut push.media_type,
                &mut push.source_ip,
                &mut push.user_agent,
                &mut push.access_key_id,
                &mut push.request_id,
                &mut push.error_message,
                &mut push.artifact_subject,
            ] {
                *told = None;
            }
            push.credentials = pushwatch::event::Credentials::default();
            push.artifact = Artifact::default();
            self.shapes.push(push);
            number(self.shapes.len() - 1)
        })
    }
}

/// More than four billion of anything do not fit into memory.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn a_push_takes_forty_bytes() {
        assert_eq!(size_of::<Seen>(), 40);
    }
}
