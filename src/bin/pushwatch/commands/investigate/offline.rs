//! Records out of CloudTrail files, without AWS.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};
use pushwatch::text::clean;
use pushwatch::time::moved;

use super::answer::{Covered, ImageFacts, Question, Unknown, Workload};
use super::call::Call;
use super::issuance::{is_issuing, names};
use super::session::same_principal;
use super::source::{Images, Records, Traces};
use crate::error::CommandError;
use crate::input::{Archive, Found, Search, Span};
use crate::ui::{counted, say};

/// How long credentials last at most: those of `GetSessionToken` and `GetFederationToken`.
const LONGEST: SignedDuration = SignedDuration::from_hours(36);
/// How much later than a call the file that has it may be named.
const DELIVERY: SignedDuration = SignedDuration::from_mins(60);
/// How much earlier: the name has the begin of a file's time.
const BEFORE: SignedDuration = SignedDuration::from_mins(20);

/// CloudTrail files.
pub struct ArchiveRecords {
    archive: Archive,
    /// How it was named, in words.
    name: String,
    span: Span,
    /// Calls that gave credentials out, from files whose names say no time.
    issuing: Vec<Call>,
    /// What could not be read.
    faults: Vec<String>,
}

impl ArchiveRecords {
    /// Nothing is read yet.
    ///
    /// # Errors
    /// When there is no file.
    pub fn of(paths: &[PathBuf]) -> Result<Self, CommandError> {
        let archive = Archive::of(paths).map_err(|fault| CommandError::Usage(fault.to_owned()))?;
        for fault in archive.faults() {
            say(fault);
        }
        let names = paths.iter().map(|path| clean(&path.to_string_lossy()));
        let name = names.collect::<Vec<_>>().join(", ");
        if archive.files() == 0 {
            return Err(CommandError::Usage(format!(
                "{name}: no CloudTrail file is in it; files end in .json, .jsonl or .ndjson, also \
                 with .gz"
            )));
        }
        Ok(Self {
            faults: archive.faults().to_vec(),
            archive,
            name,
            span: Span::default(),
            issuing: Vec::new(),
        })
    }

    /// Whether something could not be read; it was said.
    pub fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// An archive in which no record was found at all is the wrong one.
    fn check(&self, is_empty: bool) -> Result<(), CommandError> {
        if !is_empty {
            return Ok(());
        }
        Err(CommandError::Usage(format!(
            "{}: no record of CloudTrail is in {}; give the folder AWSLogs of the trail's bucket",
            self.name,
            counted(self.archive.files(), "file"),
        )))
    }

    fn search<T: Send>(
        &mut self,
        search: &Search,
        read: impl Fn(&str) -> Option<T> + Sync,
    ) -> Found<T> {
        let found = self.archive.search(search, read);
        for fault in &found.faults {
            // A second reading meets the same.
            if !self.faults.contains(fault) {
                say(fault);
                self.faults.push(fault.clone());
            }
        }
        found
    }
}

/// The texts by which calls of the push's session, and those about its image, are known.
fn texts(traces: &Traces) -> Vec<String> {
    let push = &traces.push;
    let identity = &push.identity;
    // The root user's unique id is its account, which every record has.
    let is_root = identity.kind.as_deref() == Some("Root");
    let unique = identity.principal_id.as_ref().filter(|_| !is_root);
    let known = [
        push.session.access_key.as_ref(),
        unique,
        identity.user_id.as_ref(),
        push.shared_event_id.as_ref(),
        identity.arn.as_ref().filter(|_| unique.is_none()),
    ];
    let known = known.into_iter().flatten().map(as_in_json);
    known.chain(["\"PutImage\"".to_owned()]).collect()
}

/// Whether a call may be of the session, may have begun it, or is about the image.
fn is_related(traces: &Traces, call: &Call) -> bool {
    let push = &traces.push;
    let same = |ours: &Option<CompactString>, theirs: &Option<CompactString>| {
        ours.is_some() && ours == theirs
    };
    let key = &push.session.access_key;
    let is_of_image = call.image.as_ref().is_some_and(|image| {
        let repository = push.image.as_ref().map(|image| &image.repository);
        let mut digests = image.digest.iter().chain(&image.about);
        let mut platforms = image.platforms.iter().flatten();
        repository == Some(&image.repository)
            || digests.any(|digest| traces.digests.contains(digest))
            || platforms.any(|digest| traces.digests.contains(digest))
    });
    is_of_image
        || same_principal(push, call)
        || same(key, &call.session.access_key)
        || same(key, &call.issued_key)
        || key.as_ref().is_some_and(|key| names(call, key))
        || same(&push.identity.principal_id, &call.issued_principal)
        || same(&push.shared_event_id, &call.shared_event_id)
}

/// A text as JSON writes it, without its quotes.
fn as_in_json(text: &CompactString) -> String {
    let json = serde_json::to_string(text).unwrap_or_default();
    json.trim_matches('"').to_owned()
}

impl Records for ArchiveRecords {
    async fn event(&mut self, id: &str) -> Result<Option<Call>, CommandError> {
        let search = Search {
            texts: vec![as_in_json(&id.into())],
            first: true,
            ..Search::default()
        };
        let found = self.search(&search, |json| {
            Call::read(json).filter(|call| call.event_id == id)
        });
        let is_empty = found.span.records == 0;
        let event = found.values.into_iter().next();
        if event.is_some() {
            return Ok(event);
        }
        self.check(is_empty)?;
        Ok(None)
    }

    async fn related(&mut self, traces: &Traces) -> Result<Vec<Call>, CommandError> {
        let search = Search {
            texts: texts(traces),
            // Steps further back read only files whose names fit: of the others all calls that
            // may be such a step are kept now.
            texts_without_time: vec!["sts.amazonaws.com".to_owned()],
            ..Search::default()
        };
        let push = &traces.push;
        let found = self.search(&search, |json| {
            let mut call = Call::read(json)?;
            // Only that of the push is asked for; manifests are large.
            call.record = None;
            let may_be_a_step = is_issuing(&call)
                && call.time <= push.time
                && push.time.duration_since(call.time) <= LONGEST * 2;
            let is_related = is_related(traces, &call);
            (is_related || may_be_a_step).then_some((call, is_related, may_be_a_step))
        });
        self.span = found.span;
        self.check(found.span.records == 0)?;
        let mut related = Vec::new();
        for (call, is_related, may_be_a_step) in found.values {
            if may_be_a_step {
                self.issuing.push(call.clone());
            }
            if is_related {
                related.push(call);
            }
        }
        Ok(related)
    }

    async fn issuing(&mut self, call: &Call) -> Result<Vec<Call>, CommandError> {
        let mut issuing = self.issuing.clone();
        // The answer has the key that it gave out, or the principal whose session it began.
        let known = [&call.session.access_key, &call.identity.principal_id];
        let search = Search {
            texts: known.into_iter().flatten().map(as_in_json).collect(),
            times: Some(times(call)),
            ..Search::default()
        };
        let found = self.search(&search, |json| Call::read(json).filter(is_issuing));
        issuing.extend(found.values);
        Ok(issuing)
    }

    fn covered(&self) -> Covered {
        Covered {
            from: self.span.from,
            to: self.span.to,
            records: self.span.records,
            sources: vec![format!(
                "{} ({})",
                self.name,
                counted(self.archive.files(), "file")
            )],
        }
    }

    fn unknown(&self) -> Vec<Unknown> {
        if self.faults.is_empty() {
            return Vec::new();
        }
        let why = format!(
            "{} of the archive could not be read, named above",
            counted(self.faults.len(), "part")
        );
        [Question::From, Question::IssuedBy, Question::Calls]
            .map(|question| Unknown {
                question,
                why: why.clone(),
            })
            .to_vec()
    }
}

/// When the credentials of a call were given out: when its session began, or in the hours
/// before the call.
fn times(call: &Call) -> RangeInclusive<Timestamp> {
    match call.session.start {
        Some(start) => moved(start, -BEFORE)..=moved(start, DELIVERY),
        None => moved(call.time, -LONGEST)..=moved(call.time, DELIVERY),
    }
}

/// What AWS would say of the image, if it were asked.
pub struct NotAsked;

impl Images for NotAsked {
    async fn platforms(&mut self, _: &Call) -> Option<Vec<CompactString>> {
        None
    }

    async fn facts(&mut self, _: &Call) -> ImageFacts {
        ImageFacts::default()
    }

    async fn workloads(&mut self, _: &Call, _: &[CompactString]) -> Vec<Workload> {
        Vec::new()
    }

    fn unknown(&self) -> Vec<Unknown> {
        let of = |question, why: &str| Unknown {
            question,
            why: why.to_owned(),
        };
        vec![
            of(
                Question::Image,
                "size, last pull and signatures are not in CloudTrail files: with --stack NAME \
                 the registry is asked",
            ),
            of(
                Question::RunsOn,
                "what runs it is not in CloudTrail files: with --stack NAME Inspector and ECS are \
                 asked, and the kubectl command below asks a cluster",
            ),
        ]
    }
}
