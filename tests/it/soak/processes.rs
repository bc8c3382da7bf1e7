//! The processes of the soak: each handles pushes, batches from the failure queue and
//! sweeps, behind a proxy that breaks its calls, and is killed at random.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::failure_queue::FailureQueue;
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::lambda::{Function, scheduled};
use crate::support::moto::Stack;
use crate::support::random::Random;

/// Calls fail in rows: of so many calls that could, one begins a row, and of so many in a
/// row, one ends it. Together every twentieth fails, and some rows outlast the function's tries.
const DYNAMODB: (usize, usize) = (40, 2);
/// SNS is called seldom, and fails more.
const SNS: (usize, usize) = (20, 8);
/// Of so many failures that come before the server acts, one lets nobody listen for a second.
const FAILURES_A_REFUSAL: usize = 40;
/// Between a sweep and the next one.
const SWEEP_EVERY: Duration = Duration::from_secs(3);
/// Of so many sweeps, one is followed by another at once, and one is killed.
const SWEEPS_A_PAIR: usize = 3;
const SWEEPS_A_KILL: usize = 8;
/// A process that is killed lives for less than this with a push, or with a sweep.
const PUSH: Duration = Duration::from_millis(60);
const SWEEP: Duration = Duration::from_secs(3);
/// The memory of a process is read each time it has handled so many pushes.
pub const SAMPLE_EVERY: usize = 10;
/// In how many processes one is never killed: what grows shows in a long life.
const SPARED: usize = 4;

/// What the processes share.
pub struct Work<'a> {
    pub stack: &'a Stack,
    pub settings: &'a [(&'a str, &'a str)],
    /// Of so many pushes one kills its process.
    pub pushes_a_kill: usize,
    /// The pushes to hand over, the next one first.
    pushes: Mutex<VecDeque<&'a Value>>,
    queue: FailureQueue,
    /// How many deliveries are left, those under way included.
    left: AtomicUsize,
    next_sweep: Mutex<Instant>,
    /// How often an event came again; if it is as often as there are events, something
    /// never works.
    again: AtomicUsize,
    most_again: usize,
    /// A process that panics ends the others too.
    panicked: AtomicBool,
}

/// Of a process that runs.
struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_or(std::thread::panicking(), Ordering::SeqCst);
    }
}

/// What happened to a process and to those that took its place.
#[derive(Debug, Default)]
pub struct Happened {
    pub kills: usize,
    /// Events that the function answered with an error.
    pub errors: usize,
    /// Batches from the failure queue.
    pub batches: usize,
    pub sweeps: usize,
    /// Findings that these published.
    pub swept: u64,
    /// How often each outcome was answered to a push that came alone.
    pub outcomes: BTreeMap<String, usize>,
    /// The findings that were answered: the id, and from when to when that took.
    pub findings: Vec<(String, Instant, Instant)>,
    /// Calls of AWS, and how many of them failed before and after the server acted.
    pub calls: usize,
    pub failed_before: usize,
    pub failed_after: usize,
    /// `RssAnon` of each life, in kB: one after each [`SAMPLE_EVERY`] pushes.
    pub memory: Vec<Vec<u64>>,
}

enum Task<'a> {
    Push(&'a Value),
    Batch(Vec<Value>),
    Sweep,
    Wait,
}

impl<'a> Work<'a> {
    pub fn new(
        stack: &'a Stack,
        settings: &'a [(&'a str, &'a str)],
        pushes_a_kill: usize,
        pushes: VecDeque<&'a Value>,
    ) -> Self {
        Self {
            stack,
            settings,
            pushes_a_kill,
            left: AtomicUsize::new(pushes.len()),
            again: AtomicUsize::new(0),
            most_again: pushes.len(),
            pushes: Mutex::new(pushes),
            queue: FailureQueue::default(),
            next_sweep: Mutex::new(Instant::now()),
            panicked: AtomicBool::new(false),
        }
    }

    fn next(&self, random: &mut Random) -> Task<'a> {
        let mut next_sweep = self.next_sweep.lock().unwrap();
        if *next_sweep <= Instant::now() {
            if !random.one_in(SWEEPS_A_PAIR) {
                *next_sweep = Instant::now() + SWEEP_EVERY;
            }
            return Task::Sweep;
        }
        drop(next_sweep);
        let batch = self.queue.receive();
        if !batch.is_empty() {
            return Task::Batch(batch);
        }
        let push = self.pushes.lock().unwrap().pop_front();
        push.map_or(Task::Wait, Task::Push)
    }

    /// An event that failed comes again: half of them at once, as Lambda tries again, half
    /// from the failure queue.
    fn again(&self, push: &'a Value, random: &mut Random) {
        let number = self.again.fetch_add(1, Ordering::SeqCst);
        assert!(number < self.most_again, "too many events fail");
        if random.one_in(2) {
            self.pushes.lock().unwrap().push_front(push);
        } else {
            self.queue.send(format!("message-{number}"), push);
        }
    }

    /// Works as one of the processes until all is handled.
    pub fn run(&self, number: usize, random: &mut Random) -> Happened {
        let calls = Arc::<Mutex<Happened>>::default();
        let proxy = unreliable(random.clone(), Arc::clone(&calls));
        let endpoint = format!("http://127.0.0.1:{}", proxy.port);
        let settings = [self.settings, &[("AWS_ENDPOINT_URL", &endpoint)]].concat();
        let start = || Function::start(self.stack, &settings);
        let is_spared = number.is_multiple_of(SPARED);

        let mut happened = Happened::default();
        let mut function = start();
        let mut memory = Vec::new();
        let mut handled = 0;
        let running = Running(&self.panicked);
        while self.left.load(Ordering::SeqCst) > 0 && !running.0.load(Ordering::SeqCst) {
            let task = self.next(random);
            let (event, life, killed_in) = match &task {
                Task::Push(push) => (push.to_string(), PUSH, self.pushes_a_kill),
                Task::Batch(batch) => {
                    let event = json!({ "Records": batch });
                    (event.to_string(), PUSH, self.pushes_a_kill)
                }
                Task::Sweep => (scheduled().to_string(), SWEEP, SWEEPS_A_KILL),
                Task::Wait => {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
            };
            let is_killed = !is_spared && random.one_in(killed_in);
            let kill_after =
                is_killed.then(|| life * u32::try_from(random.below(100)).unwrap() / 100);
            let began = Instant::now();
            let answer = function.invoke_and_kill(event, kill_after);
            match (task, answer) {
                (Task::Push(_), Some(Ok(answer))) => {
                    let outcome = answer["outcome"].as_str().unwrap().to_owned();
                    *happened.outcomes.entry(outcome).or_default() += 1;
                    if let Some(id) = answer["findingId"].as_str() {
                        let finding = (id.to_owned(), began, Instant::now());
                        happened.findings.push(finding);
                    }
                    self.left.fetch_sub(1, Ordering::SeqCst);
                    handled += 1;
                }
                (Task::Push(push), failed) => {
                    happened.errors += usize::from(failed.is_some());
                    self.again(push, random);
                }
                (Task::Batch(batch), answer) => {
                    let answer = answer.map(|answer| answer.expect("a batch is answered"));
                    let done = self.queue.delete(&batch, answer.as_ref());
                    happened.errors += answer.map_or(0, |_| batch.len() - done);
                    happened.batches += 1;
                    self.left.fetch_sub(done, Ordering::SeqCst);
                    handled += done;
                }
                (Task::Sweep, answer) => {
                    let answer = answer.map(|answer| answer.expect("a sweep never fails"));
                    if let Some(answer) = answer {
                        assert_eq!(answer["outcome"], "swept");
                        happened.swept += answer["published"].as_u64().unwrap();
                    }
                    happened.sweeps += 1;
                }
                (Task::Wait, _) => {}
            }
            assert_eq!(self.queue.parked(), 0);
            if is_killed {
                happened.kills += 1;
                happened.memory.push(std::mem::take(&mut memory));
                handled = 0;
                function = start();
            } else if handled / SAMPLE_EVERY > memory.len() {
                memory.push(function.memory("RssAnon"));
            }
        }
        happened.memory.push(memory);
        let calls = calls.lock().unwrap();
        Happened {
            calls: calls.calls,
            failed_before: calls.failed_before,
            failed_after: calls.failed_after,
            ..happened
        }
    }
}

/// A proxy that breaks some calls, half of them after the server acted; it notes how many.
pub fn unreliable(mut random: Random, noted: Arc<Mutex<Happened>>) -> Arc<FaultProxy> {
    let proxy = FaultProxy::start();
    let mut rows = [None; 2];
    proxy.leave_to(Box::new(move |request| {
        let is_publish = request.contains("Action=Publish");
        let (begins, ends) = if is_publish { SNS } else { DYNAMODB };
        let row = &mut rows[usize::from(is_publish)];
        *row = match *row {
            Some(fault) if fault != Fault::Refused && !random.one_in(ends) => Some(fault),
            Some(_) => None,
            None => random.one_in(begins).then(|| fault(&mut random)),
        };
        let mut noted = noted.lock().unwrap();
        noted.calls += 1;
        if let Some(fault) = *row {
            let failed = if fault.acts() {
                &mut noted.failed_after
            } else {
                &mut noted.failed_before
            };
            *failed += 1;
        }
        *row
    }));
    proxy
}

fn fault(random: &mut Random) -> Fault {
    if random.one_in(2) {
        random.one_of(&[Fault::ResetAfter, Fault::Error500After])
    } else if random.one_in(FAILURES_A_REFUSAL) {
        Fault::Refused
    } else {
        random.one_of(&[Fault::ResetBefore, Fault::Error500, Fault::Throttled503])
    }
}
