//! Every interleaving: the real `watch` code runs over the store in memory, one
//! call at a time, and an explorer decides who goes on and what each call does:
//! it is applied, or its answer is lost before or after it was, or the process
//! crashes before or after it. In every state that can be reached the protocol's
//! promises are checked. Complete: nothing is sampled, unless a test says so.
//!
//! `make test` explores most settings with a crash or a lost answer, `make model`
//! with both. `-- --nocapture` prints states and runs.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt::{self, Write as _};
use std::future::{Future, poll_fn};
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pushwatch::clock::Clock;
use pushwatch::event::Push;
use pushwatch::finding::{Finding, Owed, Reason, Sightings, finding_id};
use pushwatch::identity::Uploader;
use pushwatch::notify::Notifier;
use pushwatch::policy::{HabitReports, Policy};
use pushwatch::record::{Record, Standing};
use pushwatch::render::Message;
use pushwatch::store::{Commit, CommitAnswer, LEASE, MemoryStore, Store, TouchAnswer};
use pushwatch::watch::Watch;

use crate::support::events::{iam_user, read, record, time, usual};
use crate::support::intercept::{Answer, Call, Intercept, Intercepted, ready};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Effect {
    Applied,
    LostBefore,
    LostAfter,
    Refused,
    CrashBefore,
    CrashAfter,
}

/// What the explorer can choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// A process goes on, and this happens to the call that it waits for.
    Step(usize, Effect),
    /// Leases run out.
    Jump,
}

/// A push that is to be handled.
#[derive(Debug, Clone)]
struct Event {
    push: Push,
    uploader: Uploader,
    /// The id of a finding about it, by reason; made once, since that takes long.
    finding_ids: BTreeMap<Reason, String>,
}

/// What is explored.
#[derive(Clone)]
struct Setting {
    name: &'static str,
    /// Each delivery; the same event may be there twice.
    deliveries: Vec<Event>,
    known: Vec<Record>,
    /// How many findings of others are owed already.
    owed: usize,
    policy: ModelPolicy,
    handlers: usize,
    sweeps: usize,
    crashes: usize,
    lost: usize,
    refusals: usize,
    jumps: usize,
}

/// What a policy is made of, since policies can't be copied.
#[derive(Clone, Copy, Default)]
struct ModelPolicy {
    suppress_all: bool,
    /// Whether unusual pushes are told.
    habits: HabitReports,
    /// Whether whoever is new is learned.
    learns: bool,
    /// The budget; none is kept without one.
    per_minute: Option<u8>,
}

impl ModelPolicy {
    fn policy(self) -> Policy {
        Policy {
            suppress: self
                .suppress_all
                .then(|| pushwatch::suppress::Suppression::parse("true").unwrap()),
            learning_until: self.learns.then(|| time("2027-01-01T00:00:00Z")),
            habits: self.habits,
            ..Policy::default()
        }
    }
}

/// Everything but the processes.
struct World {
    store: MemoryStore,
    now: Timestamp,
    queue: VecDeque<usize>,
    /// What each process waits for, and what it is told.
    waiting: Vec<Option<&'static str>>,
    effect: Vec<Option<Effect>>,
    /// What each process has seen since it began with its event: with the code
    /// it decides what it does next.
    history: Vec<u64>,
    at: Vec<Option<usize>>,
    /// Ids in the messages that were accepted.
    published: Vec<String>,
    /// Times of the successful pushes that were applied, by key.
    applied: BTreeMap<String, Vec<Timestamp>>,
    left: Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Left {
    crashes: usize,
    lost: usize,
    refusals: usize,
    jumps: usize,
}

type Shared = Arc<Mutex<World>>;

fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap()
}

#[derive(Debug, thiserror::Error)]
#[error("the answer was lost")]
struct Lost;

/// Store, notifier and clock of one process.
#[derive(Clone)]
struct Process {
    world: Shared,
    number: usize,
}

impl Process {
    /// Waits for the explorer, and does what it says. `now` is the time that is
    /// in the call, which is that of the asking.
    async fn ask<T: fmt::Debug>(
        &self,
        name: &'static str,
        now: Option<Timestamp>,
        apply: impl FnOnce(&mut World) -> T,
    ) -> Result<T, Lost> {
        let mut asked = false;
        let effect = poll_fn(|_| {
            let mut world = lock(&self.world);
            if !asked {
                asked = true;
                world.waiting[self.number] = Some(name);
                let seen = hash(&(world.history[self.number], name, now));
                world.history[self.number] = seen;
                return Poll::Pending;
            }
            match world.effect[self.number].take() {
                Some(effect) => Poll::Ready(effect),
                None => Poll::Pending,
            }
        })
        .await;
        let mut world = lock(&self.world);
        world.waiting[self.number] = None;
        let result = match effect {
            Effect::Applied => Ok(apply(&mut world)),
            Effect::LostAfter => {
                apply(&mut world);
                Err(Lost)
            }
            _ => Err(Lost),
        };
        let seen = hash(&(world.history[self.number], name, format!("{result:?}")));
        world.history[self.number] = seen;
        result
    }
}

impl Intercept for Process {
    type Error = Lost;

    async fn call(&self, call: Call<'_>) -> Result<Answer, Lost> {
        let now = match &call {
            Call::Commit(commit) => Some(commit.now),
            Call::CommitTimes(revoked) => Some(revoked.now),
            Call::TakeToken(_, _, now) | Call::Lease(_, _, now) | Call::LeaseSweep(_, now) => {
                Some(*now)
            }
            // The store in memory does not keep when a finding was settled.
            _ => None,
        };
        let name = call.name();
        self.ask(name, now, |world| world.make(call)).await
    }
}

impl Notifier for Process {
    type Error = Lost;

    async fn publish(&self, message: Message<'_>, _: Duration) -> Result<String, Lost> {
        self.ask("publish", None, |world| {
            let ids = message
                .findings()
                .iter()
                .map(|finding| finding.id.to_string());
            world.published.extend(ids);
            "m".to_owned()
        })
        .await
    }
}

impl Clock for Process {
    fn now(&self) -> Timestamp {
        lock(&self.world).now
    }

    async fn sleep(&self, _: Duration) {}

    /// A call that is never answered is one whose answer is lost.
    async fn until(&self, _: Timestamp) {
        std::future::pending::<()>().await;
    }
}

impl World {
    /// Makes the call, and notes the push that it applied.
    fn make(&mut self, call: Call<'_>) -> Answer {
        let applied = match &call {
            Call::Touch(push, uploader, _) | Call::TouchLate(push, uploader, _) => {
                Some((uploader.key.clone(), push.event_time))
            }
            Call::CommitTimes(revoked) => {
                Some((revoked.read.uploader.clone(), revoked.push.event_time))
            }
            Call::Commit(Commit {
                record: Some(record),
                ..
            }) => {
                let before = ready(self.store.find(&record.uploader)).unwrap();
                let is_counted = record.pushes > before.map_or(0, |before| before.pushes);
                is_counted.then(|| {
                    // The event that was decided is the last one.
                    let id = record.last_event_id.as_deref().unwrap();
                    (record.uploader.clone(), event_time(id))
                })
            }
            _ => None,
        };
        let answer = call.make(&self.store);
        if let Some((key, time)) = applied
            && matches!(
                answer,
                Answer::Touch(TouchAnswer::Ordinary) | Answer::Commit(CommitAnswer::Applied)
            )
        {
            self.note_applied(&key, time);
        }
        answer
    }

    fn note_applied(&mut self, key: &str, time: Timestamp) {
        self.applied.entry(key.to_owned()).or_default().push(time);
    }
}

/// Events are called `e<second>`, or `e<second><letter>`.
fn event_time(id: &str) -> Timestamp {
    let digits: String = id.chars().filter(char::is_ascii_digit).collect();
    time("2026-01-01T00:00:00Z") + SignedDuration::from_secs(digits.parse().unwrap())
}

fn event(id: &str, principal: &str, failed: bool) -> Event {
    event_at(id, principal, failed, "team/app")
}

fn event_at(id: &str, principal: &str, failed: bool, repository: &str) -> Event {
    let mut identity = iam_user("test");
    identity["principalId"] = principal.into();
    let mut event = record(id, &event_time(id).to_string(), &identity);
    event["requestParameters"]["repositoryName"] = repository.into();
    if failed {
        event["errorCode"] = "AccessDenied".into();
    }
    let (mut push, identified) = read(&event);
    // Once, and not for each finding of each run.
    push.read_details();
    let uploader = identified.uploader;
    let finding_ids = [
        Reason::NewUploader,
        Reason::LearnedUploader,
        Reason::RecreatedPrincipal,
        Reason::RevokedUploader,
        Reason::AttemptedUpload,
        Reason::UnusualPush,
    ]
    .map(|reason| {
        (
            reason,
            finding_id(&uploader.key, reason, &push.event_id).to_string(),
        )
    });
    Event {
        push,
        uploader,
        finding_ids: finding_ids.into(),
    }
}

/// Hashes what a value looks like.
fn hash(value: &impl fmt::Debug) -> u64 {
    struct Into(DefaultHasher);
    impl fmt::Write for Into {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            text.hash(&mut self.0);
            Ok(())
        }
    }
    let mut hasher = Into(DefaultHasher::new());
    write!(hasher, "{value:?}").unwrap();
    hasher.0.finish()
}

type Run = Pin<Box<dyn Future<Output = ()>>>;

/// One run of a setting, as far as it has come.
struct Running<'a> {
    setting: &'a Setting,
    world: Shared,
    processes: Vec<Option<Run>>,
}

impl<'a> Running<'a> {
    fn new(setting: &'a Setting) -> Self {
        let count = setting.handlers + setting.sweeps;
        let world = World {
            store: MemoryStore::with_records(setting.known.clone()),
            now: time("2026-11-24T00:00:00Z"),
            queue: (0..setting.deliveries.len()).collect(),
            waiting: vec![None; count],
            effect: vec![None; count],
            history: vec![0; count],
            at: vec![None; count],
            published: Vec::new(),
            applied: BTreeMap::new(),
            left: Left {
                crashes: setting.crashes,
                lost: setting.lost,
                refusals: setting.refusals,
                jumps: setting.jumps,
            },
        };
        for record in &setting.known {
            assert!(record.revision > 0);
        }
        for finding in owed_before(setting.owed) {
            let commit = Commit {
                read_revision: None,
                record: None,
                finding: Some(&finding),
                owed: Owed::Finding,
                now: world.now - LEASE * 2,
            };
            assert_eq!(ready(world.store.commit(commit)), Ok(CommitAnswer::Applied));
        }
        let mut running = Self {
            setting,
            world: Arc::new(Mutex::new(world)),
            processes: (0..count).map(|_| None).collect(),
        };
        for number in 0..count {
            running.start(number);
        }
        running
    }

    /// Starts a process and runs it to its first call.
    fn start(&mut self, number: usize) {
        let process = Process {
            world: Arc::clone(&self.world),
            number,
        };
        {
            let mut world = lock(&self.world);
            world.waiting[number] = None;
            world.effect[number] = None;
            world.history[number] = 0;
        }
        let watch = Watch {
            store: Intercepted(process.clone()),
            notifier: process.clone(),
            clock: process.clone(),
            policy: self.setting.policy.policy(),
            findings_per_minute: self.setting.policy.per_minute,
        };
        let is_sweep = number >= self.setting.handlers;
        let deliveries = self.setting.deliveries.clone();
        let run: Run = if is_sweep {
            Box::pin(async move {
                let deadline = watch.clock.now() + SignedDuration::from_hours(1);
                watch.sweep(&format!("sweep {number}"), deadline).await;
            })
        } else {
            Box::pin(async move {
                loop {
                    let next = {
                        let mut world = lock(&process.world);
                        let next = world.queue.pop_front();
                        world.at[number] = next;
                        world.history[number] = 0;
                        next
                    };
                    let Some(delivery) = next else { return };
                    let Event { push, uploader, .. } = &deliveries[delivery];
                    if watch.push(push, uploader, Timestamp::MAX).await.is_err() {
                        // Lambda delivers it again.
                        lock(&process.world).queue.push_back(delivery);
                    }
                }
            })
        };
        self.processes[number] = Some(run);
        self.poll(number);
    }

    fn poll(&mut self, number: usize) {
        let Some(run) = &mut self.processes[number] else {
            return;
        };
        if run
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
        {
            self.processes[number] = None;
            lock(&self.world).at[number] = None;
        }
    }

    fn choices(&self) -> Vec<Choice> {
        let world = lock(&self.world);
        let mut choices = Vec::new();
        for (number, waiting) in world.waiting.iter().enumerate() {
            let Some(call) = waiting else { continue };
            let mut effects = vec![Effect::Applied];
            if world.left.lost > 0 {
                effects.extend([Effect::LostBefore, Effect::LostAfter]);
            }
            if world.left.crashes > 0 {
                effects.extend([Effect::CrashBefore, Effect::CrashAfter]);
            }
            if world.left.refusals > 0 && *call == "publish" {
                effects.push(Effect::Refused);
            }
            choices.extend(
                effects
                    .into_iter()
                    .map(|effect| Choice::Step(number, effect)),
            );
        }
        if world.left.jumps > 0 && !choices.is_empty() {
            choices.push(Choice::Jump);
        }
        choices
    }

    fn choose(&mut self, choice: Choice) {
        let Choice::Step(number, effect) = choice else {
            let mut world = lock(&self.world);
            world.left.jumps -= 1;
            world.now += LEASE + SignedDuration::from_secs(15);
            return;
        };
        let crashed = {
            let mut world = lock(&self.world);
            match effect {
                Effect::Applied => {}
                Effect::LostBefore | Effect::LostAfter => world.left.lost -= 1,
                Effect::Refused => world.left.refusals -= 1,
                Effect::CrashBefore | Effect::CrashAfter => world.left.crashes -= 1,
            }
            world.effect[number] = Some(match effect {
                Effect::CrashAfter => Effect::LostAfter,
                effect => effect,
            });
            matches!(effect, Effect::CrashBefore | Effect::CrashAfter)
        };
        if effect != Effect::CrashBefore {
            self.poll_once_if(number, crashed);
        }
        if crashed {
            self.processes[number] = None;
            let again = {
                let mut world = lock(&self.world);
                world.waiting[number] = None;
                world.at[number].take()
            };
            if let Some(delivery) = again {
                lock(&self.world).queue.push_back(delivery);
            }
            if number < self.setting.handlers {
                self.start(number);
            }
        } else {
            self.poll(number);
            // Whoever had nothing to do may have something now.
            for idle in 0..self.setting.handlers {
                let has_work = !lock(&self.world).queue.is_empty();
                if self.processes[idle].is_none() && has_work {
                    self.start(idle);
                }
            }
        }
    }

    /// For a crash after the call: the call is made, and its answer is the last
    /// that the process sees. What it would do next it only asks for.
    fn poll_once_if(&mut self, number: usize, crashed: bool) {
        if crashed {
            let queue = lock(&self.world).queue.clone();
            let at = lock(&self.world).at[number];
            self.poll(number);
            // A process that is gone takes nothing from the queue, nor gives back.
            let mut world = lock(&self.world);
            world.queue = queue;
            world.at[number] = at;
        }
    }

    fn key(&self) -> u64 {
        let world = lock(&self.world);
        let published: BTreeMap<_, _> =
            world
                .published
                .iter()
                .fold(BTreeMap::new(), |mut counts, id| {
                    *counts.entry(id).or_insert(0_usize) += 1;
                    counts
                });
        let mut applied = world.applied.clone();
        for times in applied.values_mut() {
            times.sort();
            times.dedup();
        }
        let mut hasher = DefaultHasher::new();
        world.store.hash(&mut hasher);
        (world.now, &world.queue).hash(&mut hasher);
        (&world.waiting, &world.history, &world.at).hash(&mut hasher);
        (published, applied, world.left).hash(&mut hasher);
        hasher.finish()
    }

    /// The promises that hold in every state.
    fn check(&self) {
        let world = lock(&self.world);
        let findings: BTreeMap<_, _> = world.store.findings().into_iter().collect();
        for record in world.store.records() {
            self.check_that_nobody_is_known_in_silence(&record, &findings);
            if self.setting.policy.suppress_all && self.setting.known.is_empty() {
                assert!(matches!(
                    record.standing,
                    Standing::Suppressed | Standing::Attempted
                ));
            }
            // Times are the least and the greatest of what was applied.
            let applied = world.applied.get(record.uploader.as_str());
            let times = self.times(&record.uploader, applied.into_iter().flatten().copied());
            assert_eq!(record.first_seen, times.iter().min().copied());
            assert_eq!(record.last_seen, times.iter().max().copied());
        }
        for (id, owed) in &findings {
            assert!(
                owed.is_some() || world.published.contains(id),
                "settled and not published"
            );
        }
        self.check_that_only_what_is_new_is_told(&findings);
        drop(world);
        self.check_that_a_sweep_settles_everything();
    }

    /// The times of pushes by a key, and those that were known before.
    fn times(&self, key: &str, pushes: impl Iterator<Item = Timestamp>) -> Vec<Timestamp> {
        let known = self.setting.known.iter();
        let known = known.filter(|known| known.uploader == key);
        pushes
            .chain(known.flat_map(|known| known.first_seen.into_iter().chain(known.last_seen)))
            .collect()
    }

    /// Whether one of these events was told or is owed, for one of these reasons.
    fn is_told<'e>(
        findings: &Findings,
        events: impl IntoIterator<Item = &'e Event>,
        reasons: &[Reason],
    ) -> bool {
        events.into_iter().any(|event| {
            let mut ids = reasons.iter().map(|reason| &event.finding_ids[reason]);
            ids.any(|id| findings.contains_key(id))
        })
    }

    /// Of whom there is a record, somebody was told, or is owed it, or knew it
    /// before, or a rule says why not.
    fn check_that_nobody_is_known_in_silence(&self, record: &Record, findings: &Findings) {
        if self.setting.policy.suppress_all {
            return;
        }
        let mut known = self.setting.known.iter();
        let before = known.find(|known| known.uploader == record.uploader);
        let is_same = before.is_some_and(|before| before.principal_id == record.principal_id);
        let by_this = self
            .setting
            .deliveries
            .iter()
            .filter(|event| event.uploader.principal_id == record.principal_id);
        match record.standing {
            Standing::New | Standing::Learned => assert!(
                is_same || Self::is_told(findings, by_this, &KNOWN_BY),
                "known in silence"
            ),
            Standing::Attempted => assert!(
                Self::is_told(
                    findings,
                    &self.setting.deliveries,
                    &[Reason::AttemptedUpload]
                ),
                "attempted in silence"
            ),
            _ => {}
        }
    }

    fn check_that_only_what_is_new_is_told(&self, findings: &Findings) {
        let ids = |reason| {
            let events = self.setting.deliveries.iter();
            let ids = events.map(|event| &event.finding_ids[&reason]);
            let ids: HashSet<_> = ids.filter(|id| findings.contains_key(*id)).collect();
            ids.len()
        };
        let new = ids(Reason::NewUploader) + ids(Reason::LearnedUploader);
        assert!(new <= 1, "told as new twice");
        assert!(
            ids(Reason::AttemptedUpload) <= 1,
            "an attempt was told twice"
        );
        let told = findings.len() - self.setting.owed;
        if self.setting.policy.suppress_all {
            assert_eq!(told, 0, "told though suppressed");
        }
        if let [known] = &self.setting.known[..] {
            assert_eq!(new, 0, "somebody known was told as new");
            let mut events = self.setting.deliveries.iter();
            let is_ordinary = known.standing != Standing::Revoked
                && events.all(|event| event.uploader.principal_id == known.principal_id);
            assert!(
                !is_ordinary || told == ids(Reason::UnusualPush),
                "an ordinary push was told"
            );
        }
        self.check_that_each_new_place_is_told_once(findings);
    }

    /// The places of the setting's pushes, and how many findings there are of each.
    fn unusual(&self, findings: &Findings) -> BTreeMap<String, usize> {
        let mut places = BTreeMap::<_, HashSet<_>>::new();
        let events = self.setting.deliveries.iter();
        for event in events.filter(|event| !event.push.failed()) {
            let id = &event.finding_ids[&Reason::UnusualPush];
            let of_place = places.entry(event.push.place().to_string()).or_default();
            if findings.contains_key(id) {
                of_place.insert(id);
            }
        }
        let places = places.into_iter();
        places.map(|(place, ids)| (place, ids.len())).collect()
    }

    fn check_that_each_new_place_is_told_once(&self, findings: &Findings) {
        for (place, count) in self.unusual(findings) {
            let known = self.setting.known.iter();
            let mut known = known.filter(|known| known.habits.has_place(&place));
            let most = usize::from(known.next().is_none());
            assert!(count <= most, "{place} was told {count} times");
        }
    }

    /// Of somebody known, each new place was told, and is a habit now.
    fn check_that_new_places_were_told(&self, findings: &Findings, record: &Record) {
        let [known] = &self.setting.known[..] else {
            return;
        };
        let policy = self.setting.policy;
        if known.standing == Standing::Revoked || policy.habits == HabitReports::Off {
            return;
        }
        for (place, count) in self.unusual(findings) {
            let is_new = !known.habits.has_place(&place);
            let is_silent = policy.suppress_all || policy.learns;
            assert_eq!(count, usize::from(is_new && !is_silent), "{place}");
            let is_habit = record.habits.has_place(&place);
            assert_eq!(is_habit, !is_new || !policy.suppress_all, "{place}");
        }
    }

    /// From here, with faults off and leases over, one sweep tells what is owed.
    fn check_that_a_sweep_settles_everything(&self) {
        let world = lock(&self.world);
        if !world
            .store
            .findings()
            .iter()
            .any(|(_, owed)| owed.is_some())
        {
            return;
        }
        let (store, now) = (world.store.clone(), world.now);
        drop(world);
        let clock = Later(now + LEASE * 2);
        let inbox = Inbox::default();
        let watch = Watch {
            store,
            notifier: &inbox,
            clock: &clock,
            policy: Policy::default(),
            findings_per_minute: None,
        };
        let owed: Vec<_> = watch
            .store
            .findings()
            .into_iter()
            .filter(|(_, owed)| owed.is_some())
            .collect();
        let swept = ready(watch.sweep("last", clock.0 + SignedDuration::from_hours(1)));
        assert_eq!((swept.published, swept.owed), (owed.len(), 0), "{swept:?}");
        assert!(
            watch
                .store
                .findings()
                .iter()
                .all(|(_, owed)| owed.is_none())
        );
        for (id, _) in owed {
            assert!(inbox.0.lock().unwrap().contains(&id));
        }
    }

    /// When nothing is left to do: each event has left behind what it must.
    fn check_end(&self) {
        let world = lock(&self.world);
        assert!(world.queue.is_empty(), "an event was not handled");
        let findings: BTreeMap<_, _> = world.store.findings().into_iter().collect();
        let (failed, succeeded): (Vec<_>, Vec<_>) = self
            .setting
            .deliveries
            .iter()
            .partition(|event| event.push.failed());

        for event in &succeeded {
            let key = &event.uploader.key;
            let record = ready(world.store.find(key)).unwrap();
            let record = record.unwrap();
            // All of them, whether this run saw them applied or not; of somebody
            // revoked those that failed too.
            let failed = failed
                .iter()
                .filter(|_| record.standing == Standing::Revoked);
            let moving = succeeded.iter().chain(failed);
            let times = self.times(key, moving.map(|event| event.push.event_time));
            assert_eq!(record.first_seen, times.iter().min().copied());
            assert_eq!(record.last_seen, times.iter().max().copied());
            let mut by_all = self.setting.deliveries.iter();
            if by_all.all(|other| other.uploader.principal_id == event.uploader.principal_id) {
                self.check_that_new_places_were_told(&findings, &record);
            }
        }
        let is_revoked = |known: &Record| known.standing == Standing::Revoked;
        if self.setting.known.iter().any(is_revoked) {
            for event in &self.setting.deliveries {
                let told = Self::is_told(&findings, [event], &[Reason::RevokedUploader]);
                assert!(told, "a revoked uploader pushed in silence");
            }
        } else if !self.setting.policy.suppress_all {
            // Each principal that is not the one known before was told once at least.
            for event in &succeeded {
                let id = &event.uploader.principal_id;
                let mut known = self.setting.known.iter();
                let by_this = succeeded.iter().copied();
                let by_this = by_this.filter(|other| other.uploader.principal_id == *id);
                assert!(
                    known.any(|known| known.principal_id == *id)
                        || Self::is_told(&findings, by_this, &KNOWN_BY),
                    "a principal pushed in silence"
                );
            }
            if succeeded.is_empty() && self.setting.known.is_empty() && !failed.is_empty() {
                let told = Self::is_told(&findings, failed, &[Reason::AttemptedUpload]);
                assert!(told, "an attempt was not told");
            }
        }

        let untouched = world.left.crashes == self.setting.crashes
            && world.left.lost == self.setting.lost
            && world.left.refusals == self.setting.refusals
            && world.left.jumps == self.setting.jumps;
        if untouched {
            // No crash, no lost answer, no lease that ran out: exactly once. What
            // the budget or the digest keeps back is not published yet.
            let may_wait = |owed| match owed {
                None => false,
                Some(Owed::Digest) => true,
                Some(Owed::Finding) => self.setting.policy.per_minute.is_some(),
            };
            for (id, owed) in findings {
                let count = world.published.iter().filter(|one| **one == id).count();
                let expected = usize::from(!may_wait(owed));
                assert_eq!(count, expected, "{id} was published {count} times");
            }
        }
    }
}

/// Findings by their ids, and how they are owed, if they are.
type Findings = BTreeMap<String, Option<Owed>>;

/// Why somebody is known from now on.
const KNOWN_BY: [Reason; 3] = [
    Reason::NewUploader,
    Reason::RecreatedPrincipal,
    Reason::LearnedUploader,
];

struct Later(Timestamp);

impl Clock for &Later {
    fn now(&self) -> Timestamp {
        self.0
    }

    async fn sleep(&self, _: Duration) {}

    /// A call that is never answered is one whose answer is lost.
    async fn until(&self, _: Timestamp) {
        std::future::pending::<()>().await;
    }
}

#[derive(Default)]
struct Inbox(Mutex<Vec<String>>);

impl Notifier for &Inbox {
    type Error = Lost;

    async fn publish(&self, message: Message<'_>, _: Duration) -> Result<String, Lost> {
        let ids = message
            .findings()
            .iter()
            .map(|finding| finding.id.to_string());
        self.0.lock().unwrap().extend(ids);
        Ok("m".to_owned())
    }
}

/// Runs the setting in every way there is; gives states and runs.
fn explore(setting: &Setting) -> (usize, usize) {
    let mut seen = HashSet::new();
    // At each depth how many choices there were, and which was taken.
    let mut path: Vec<(usize, usize)> = Vec::new();
    let mut runs = 0;
    loop {
        let mut running = Running::new(setting);
        let mut depth = 0;
        let mut trace = Vec::new();
        loop {
            let choices = running.choices();
            if depth == path.len() {
                if !seen.insert(running.key()) {
                    break;
                }
                let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    running.check();
                    if choices.is_empty() {
                        running.check_end();
                    }
                }));
                assert!(checked.is_ok(), "{}: {trace:#?}", setting.name);
                if choices.is_empty() {
                    break;
                }
                path.push((choices.len(), 0));
            }
            let choice = choices[path[depth].1];
            if let Choice::Step(number, _) = choice {
                trace.push((choice, lock(&running.world).waiting[number]));
            } else {
                trace.push((choice, None));
            }
            running.choose(choice);
            depth += 1;
        }
        runs += 1;
        while let Some((count, taken)) = path.pop() {
            if taken + 1 < count {
                path.push((count, taken + 1));
                break;
            }
        }
        if path.is_empty() {
            println!(
                "{}: complete, {} states, {runs} runs",
                setting.name,
                seen.len()
            );
            return (seen.len(), runs);
        }
    }
}

const AIDA: &str = "AIDAEXAMPLEONE";

/// Whether everything is to be explored that there is, which takes minutes.
fn whole() -> bool {
    std::env::var_os("MODEL_WHOLE").is_some()
}

/// Two events of one uploader, each delivered twice, two handlers and one sweep.
fn base(name: &'static str, first: Event, second: Event) -> Setting {
    Setting {
        name,
        deliveries: vec![first.clone(), second.clone(), first, second],
        known: Vec::new(),
        owed: 0,
        policy: ModelPolicy::default(),
        handlers: 2,
        sweeps: 1,
        crashes: 1,
        lost: 1,
        refusals: 0,
        jumps: 1,
    }
}

/// Explores a setting with one crash and one lost answer; in short, with either.
fn explore_faults(setting: &Setting) {
    if whole() {
        explore(setting);
        return;
    }
    for (crashes, lost) in [(1, 0), (0, 1)] {
        explore(&Setting {
            crashes,
            lost,
            ..setting.clone()
        });
    }
}

/// Findings about pushes of somebody whom nothing identifies.
fn owed_before(count: usize) -> Vec<Finding> {
    let findings = (0..count).map(|number| {
        let id = format!("before {number}");
        let nobody = serde_json::json!({"invokedBy": "AWS Internal"});
        let event = record(&id, &event_time("e0").to_string(), &nobody);
        let (push, identified) = read(&event);
        Finding::new(
            Reason::UnidentifiedUploader,
            &push,
            &identified.uploader,
            Sightings::default(),
        )
    });
    findings.collect()
}

fn known(standing: Standing) -> Record {
    let event = event("e0", AIDA, false);
    Record {
        principal_id: event.uploader.principal_id,
        first_seen: Some(event.push.event_time),
        last_seen: Some(event.push.event_time),
        last_event_id: Some("e0".into()),
        pushes: 1,
        revision: 1,
        habits: usual(),
        ..Record::unseen(event.uploader.key, standing)
    }
}

#[test]
fn two_events_of_a_new_uploader() {
    let (first, second) = (event("e1", AIDA, false), event("e2", AIDA, false));
    explore(&base("two events of a new uploader", first, second));
}

#[test]
fn a_failed_push_and_a_success() {
    let (failed, success) = (event("e1", AIDA, true), event("e2", AIDA, false));
    explore_faults(&base("a failed push and a success", failed, success));
}

#[test]
fn a_revoked_uploader() {
    let mut setting = base(
        "a revoked uploader",
        event("e1", AIDA, false),
        event("e2", AIDA, true),
    );
    setting.known = vec![known(Standing::Revoked)];
    explore_faults(&setting);
}

#[test]
fn a_recreated_principal() {
    let mut setting = base(
        "a recreated principal",
        event("e1", AIDA, false),
        event("e2", "AIDAEXAMPLETWO", false),
    );
    setting.known = vec![known(Standing::New)];
    explore_faults(&setting);
}

#[test]
fn a_known_uploader_is_not_told() {
    let mut setting = base(
        "a known uploader",
        event("e1", AIDA, false),
        event("e2", AIDA, true),
    );
    setting.known = vec![known(Standing::Learned)];
    let (states, _) = explore(&setting);
    assert!(states > 100);
}

/// A new place each, for two handlers at once.
#[test]
fn two_new_places_of_a_known_uploader() {
    let (first, second) = (
        event_at("e1", AIDA, false, "team/web"),
        event_at("e2", AIDA, false, "team/api"),
    );
    let mut setting = base("two new places", first, second);
    setting.known = vec![known(Standing::New)];
    setting.policy.habits = HabitReports::Tell;
    // Leases have nothing to do with it, and make it ten times as large.
    setting.jumps = 0;
    explore_faults(&setting);
    for (name, change) in [
        (
            "one new place twice",
            &(|_: &mut Setting| {}) as &dyn Fn(&mut _),
        ),
        ("a new place, suppressed", &|setting: &mut Setting| {
            setting.policy.suppress_all = true;
        }),
        (
            "a new place while habits are learned",
            &|setting: &mut Setting| {
                setting.policy.learns = true;
            },
        ),
        ("a new place without habits", &|setting: &mut Setting| {
            setting.policy.habits = HabitReports::Off;
        }),
    ] {
        let (first, second) = (
            event_at("e1", AIDA, false, "team/web"),
            event_at("e2", AIDA, false, "team/web"),
        );
        let mut setting = Setting {
            name,
            deliveries: vec![first.clone(), second.clone(), first, second],
            ..setting.clone()
        };
        change(&mut setting);
        explore_faults(&setting);
    }
}

/// In any order, so that one of them is late.
#[test]
fn late_pushes_of_a_known_uploader() {
    let mut setting = base(
        "late pushes",
        event("e1", AIDA, false),
        event("e2", AIDA, false),
    );
    setting.known = vec![known(Standing::New)];
    let (states, _) = explore(&setting);
    assert!(states > 1_000, "{states}");
}

#[test]
fn sns_refuses_for_a_while() {
    let (first, second) = (event("e1", AIDA, false), event("e2", AIDA, false));
    let mut setting = base("SNS refuses for a while", first, second);
    setting.refusals = 2;
    explore_faults(&setting);
}

#[test]
fn suppressed_pushes_make_nobody_known() {
    let (first, second) = (event("e1", AIDA, false), event("e2", AIDA, true));
    let mut setting = base("suppressed pushes", first, second);
    setting.policy.suppress_all = true;
    explore(&setting);
}

#[test]
fn two_tags_of_one_build() {
    let (first, second) = (event("e1", AIDA, false), event("e1b", AIDA, false));
    explore_faults(&base("two tags of one build", first, second));
}

#[test]
fn a_budget_of_one() {
    let mut setting = base(
        "a budget of one",
        event("e1", AIDA, false),
        event("e2", "AIDAEXAMPLETWO", false),
    );
    setting.policy.per_minute = Some(1);
    // Leases have nothing to do with it, and make it ten times as large.
    setting.jumps = 0;
    explore_faults(&setting);
}

#[test]
fn whoever_is_learned_is_owed_to_the_digest() {
    let (first, second) = (event("e1", AIDA, false), event("e2", AIDA, true));
    let mut setting = base("learning", first, second);
    setting.policy.learns = true;
    explore_faults(&setting);
}

/// Six, which go as a list: claimed, published and settled by one sweep with
/// faults, or by two without.
#[test]
fn a_list_of_owed_findings() {
    let (first, second) = (event("e1", AIDA, false), event("e2", AIDA, false));
    let alone = Setting {
        deliveries: Vec::new(),
        owed: 6,
        handlers: 0,
        ..base("a list and one sweep", first, second)
    };
    explore(&alone);
    explore(&Setting {
        name: "a list and two sweeps",
        sweeps: 2,
        crashes: 0,
        lost: 0,
        jumps: usize::from(whole()),
        ..alone
    });
}

/// Larger than can be explored whole: random runs, of a seed that is printed.
#[test]
fn random_runs_of_larger_settings() {
    let runs = if whole() { 100_000 } else { 2_000 };
    let seed = std::env::var("MODEL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let mut random: u64 = seed.unwrap_or(0x9e37_79b9_7f4a_7c15);
    println!("random runs: {runs}, MODEL_SEED={random}");
    let mut next = |below: usize| {
        // xorshift64*
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        let high = random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % below
    };
    let events = [
        event("e1", AIDA, false),
        event("e2", AIDA, true),
        event("e3", AIDA, false),
        event("e4", "AIDAEXAMPLETWO", false),
        event("e2b", AIDA, false),
        event_at("e5", AIDA, false, "team/web"),
        event_at("e0b", AIDA, false, "team/web"),
    ];
    let mut states = HashSet::new();
    for _ in 0..runs {
        let setting = Setting {
            name: "random",
            deliveries: (0..8).map(|_| events[next(events.len())].clone()).collect(),
            known: if next(3) == 0 {
                vec![known(Standing::New)]
            } else {
                Vec::new()
            },
            owed: [0, 7][next(2)],
            policy: ModelPolicy {
                learns: next(4) == 0,
                per_minute: [None, Some(1)][next(2)],
                suppress_all: false,
                habits: HabitReports::Tell,
            },
            handlers: 3,
            sweeps: 2,
            crashes: next(3),
            lost: next(3),
            refusals: next(3),
            jumps: next(3),
        };
        let mut running = Running::new(&setting);
        let mut trace = Vec::new();
        loop {
            let choices = running.choices();
            if states.insert(running.key()) {
                let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    running.check();
                    if choices.is_empty() {
                        running.check_end();
                    }
                }));
                assert!(checked.is_ok(), "{trace:#?}");
            }
            if choices.is_empty() {
                break;
            }
            // What goes well is the likelier, or else every run ends in faults.
            let well: Vec<_> = choices
                .iter()
                .filter(|choice| matches!(choice, Choice::Step(_, Effect::Applied)))
                .collect();
            let choice = if next(3) == 0 {
                choices[next(choices.len())]
            } else {
                *well[next(well.len())]
            };
            trace.push(choice);
            running.choose(choice);
        }
    }
    println!("random runs: {} states", states.len());
}
