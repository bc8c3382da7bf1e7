//! What AWS says of an image now: the registry, and what runs images.

use compact_str::CompactString;

use super::answer::{ImageFacts, Question, Unknown, Workload};
use super::call::Call;
use super::registry::Registry;
use super::source::Images;
use super::workloads::Workloads;
use crate::deployment::Session;

/// AWS, as the caller may see it.
pub struct Live<'a> {
    session: &'a Session,
    /// Whether functions are asked for, too.
    lambda: bool,
    /// Whether there is no limit to how much is looked through.
    thorough: bool,
    unknown: Vec<Unknown>,
}

impl<'a> Live<'a> {
    pub fn of(session: &'a Session, lambda: bool, thorough: bool) -> Self {
        Self {
            session,
            lambda,
            thorough,
            unknown: Vec::new(),
        }
    }

    /// The registry of the push; none if it can't be asked.
    fn registry(&mut self, push: &Call) -> Option<Registry> {
        match Registry::of(self.session, push) {
            Ok(registry) => Some(registry),
            Err(why) => {
                self.note(Question::Image, vec![why]);
                None
            }
        }
    }

    /// Notes what can't be known, once.
    fn note(&mut self, question: Question, reasons: Vec<String>) {
        for why in reasons {
            let unknown = Unknown { question, why };
            if !self.unknown.contains(&unknown) {
                self.unknown.push(unknown);
            }
        }
    }
}

impl Images for Live<'_> {
    async fn platforms(&mut self, push: &Call) -> Option<Vec<CompactString>> {
        let registry = self.registry(push)?;
        match registry.platforms().await {
            Ok(platforms) => Some(platforms),
            Err(why) => {
                self.note(Question::Image, vec![why]);
                None
            }
        }
    }

    async fn facts(&mut self, push: &Call) -> ImageFacts {
        let Some(registry) = self.registry(push) else {
            return ImageFacts::default();
        };
        let mut unknown = Vec::new();
        let facts = registry.facts(&mut unknown).await;
        self.note(Question::Image, unknown);
        facts
    }

    async fn workloads(&mut self, push: &Call, digests: &[CompactString]) -> Vec<Workload> {
        let Some(region) = push.region.as_deref() else {
            let why = "the record names no region, so nothing that runs images was asked";
            self.note(Question::RunsOn, vec![why.to_owned()]);
            return Vec::new();
        };
        let mut workloads = Workloads::of(self.session, region, digests, self.thorough);
        match Registry::of(self.session, push) {
            Ok(registry) => workloads.ask_inspector(&registry).await,
            Err(why) => workloads.unknown.push(why),
        }
        workloads.ask_ecs().await;
        if self.lambda {
            workloads.ask_lambda().await;
        }
        workloads.say_what_was_not_asked(self.lambda);
        self.note(Question::RunsOn, workloads.unknown);
        workloads.found
    }

    fn unknown(&self) -> Vec<Unknown> {
        self.unknown.clone()
    }
}
