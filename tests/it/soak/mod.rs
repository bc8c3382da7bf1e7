//! Everything at once, for long: pushes by many uploaders of all kinds, repeated and out of
//! order, handled by several processes of the built function, of whose calls every twentieth
//! fails, which are killed at random, and sweep meanwhile. Afterwards every finding is there
//! and was published, first and last seen are exact, and the memory is what it was.
//!
//! `SOAK_SEED` makes the same pushes in the same order again, and the same faults. Which
//! process handles what is up to the machine.

mod processes;
mod uploaders;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use self::processes::{Happened, SAMPLE_EVERY, Work, unreliable};
use self::uploaders::{Event, Uploader, uploaders};
use crate::support::deployment::{outcome, push};
use crate::support::lambda::{Function, scheduled};
use crate::support::moto::{Item, Stack};
use crate::support::random::Random;
use crate::support::subscriber::Subscriber;
use crate::support::{block_on, setting};

/// Of so many pushes, one is delivered twice, one together with another of its uploader, and
/// one at any time instead of near its own.
const PUSHES_A_REPEAT: usize = 10;
const PUSHES_A_PAIR: usize = 3;
const PUSHES_A_STRAY: usize = 5;
/// How far from its own time a push is delivered otherwise.
const DISORDER: SignedDuration = SignedDuration::from_mins(10);
/// Of so many uploaders, the first push of one is delivered last.
const UPLOADERS_A_LATE_FIRST: usize = 10;
/// More than are needed to publish all that can be owed, though calls fail.
const MOST_SWEEPS: usize = 200;
/// By how much a process may have more memory in the second half of its life than any had in
/// the first, in kB: no two sweeps are of one size.
const MOST_GROWTH: u64 = 512;

/// What an uploader pushed.
type Pushed = (Uploader, Vec<Event>);

/// So many pushes by so many uploaders: a few by each, and many by some.
fn pushed(pushes: usize, count: usize, now: Timestamp, random: &mut Random) -> Vec<Pushed> {
    let mut counts = vec![2; count];
    for _ in count * 2..pushes {
        let (one, other) = (random.below(count), random.below(count));
        counts[one * other / count] += 1;
    }
    let uploaders = uploaders(count, random).into_iter().zip(counts);
    uploaders
        .map(|(uploader, count)| {
            let push = |nth| uploader.push(nth, now, random);
            let events = (0..count).map(push).collect();
            (uploader, events)
        })
        .collect()
}

/// In which order the events are delivered, and some of them again.
fn deliveries<'a>(pushed: &'a [Pushed], random: &mut Random) -> Vec<&'a Value> {
    let all = || pushed.iter().flat_map(|(_, events)| events);
    let begin = all().map(|event| event.time).min().unwrap();
    let end = all().map(|event| event.time).max().unwrap();
    let seconds = |duration: SignedDuration| usize::try_from(duration.as_secs()).unwrap();
    let mut deliveries = Vec::new();
    for (_, events) in pushed {
        let first = events.iter().min_by_key(|event| event.time).unwrap();
        let is_first_late = random.one_in(UPLOADERS_A_LATE_FIRST);
        let mut before = None;
        for event in events {
            let at = seconds(event.time.duration_since(begin));
            let at = if is_first_late && event.id == first.id {
                seconds(end.duration_since(begin)) + seconds(DISORDER)
            } else if let Some(before) = before.filter(|_| random.one_in(PUSHES_A_PAIR)) {
                before
            } else if random.one_in(PUSHES_A_STRAY) {
                random.below(seconds(end.duration_since(begin)))
            } else {
                at + random.below(seconds(DISORDER))
            };
            before = Some(at);
            deliveries.push((at, &event.json));
            if random.one_in(PUSHES_A_REPEAT) {
                // Right after it, when another process has it still, or later.
                let later = random.below(2) * random.below(seconds(DISORDER));
                deliveries.push((at + later, &event.json));
            }
        }
    }
    // Stable: what is delivered at once stays together.
    deliveries.sort_by_key(|(at, _)| *at);
    deliveries.into_iter().map(|(_, event)| event).collect()
}

/// A record as an item, whose habits are sets.
fn item(record: &Value) -> Item {
    let mut item: Item = serde_dynamo::to_item(record).unwrap();
    for set in ["places", "ways"] {
        if let Some(habits) = record[set].as_array() {
            let habits = habits
                .iter()
                .map(|habit| habit.as_str().unwrap().to_owned());
            item.insert(set.to_owned(), AttributeValue::Ss(habits.collect()));
        }
    }
    item
}

#[test]
#[ignore = "needs moto"]
fn nothing_is_lost_while_calls_fail_and_processes_are_killed() {
    let began = Instant::now();
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = setting("SOAK_SEED", u64::from(clock.unwrap().subsec_nanos()));
    println!("SOAK_SEED={seed}");
    let mut random = Random::new(seed);
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let count = setting("SOAK_UPLOADERS", 80);
    let pushed = pushed(setting("SOAK_PUSHES", 400), count, now, &mut random);
    let deliveries = deliveries(&pushed, &mut random);
    let delivered = deliveries.len();

    let stack = block_on(Stack::create());
    let subscriber = block_on(Subscriber::of(&stack));
    for record in pushed
        .iter()
        .filter_map(|(uploader, _)| uploader.record_before(now))
    {
        block_on(stack.put(&stack.uploaders, item(&record)));
    }
    let learned = now - SignedDuration::from_hours(uploaders::LEARNED_BEFORE);
    let settings = [
        ("TRUSTED_UPLOADERS", uploaders::TRUSTED),
        ("SUPPRESS_FINDINGS", uploaders::SUPPRESSED),
        ("LEARNING_UNTIL", &learned.to_string()),
    ];

    // A sweep leaves to its push what is owed for less than 45 seconds. A short soak has two
    // parts, and time passes between them.
    let mut happened = Vec::new();
    for part in deliveries.chunks(delivered.div_ceil(setting("SOAK_PARTS", 2))) {
        let part = VecDeque::from(part.to_vec());
        let kills = setting("SOAK_KILLS", 20);
        let work = Work::new(&stack, &settings, delivered / kills, part);
        happened.extend(run(&work, setting("SOAK_PROCESSES", 3), &mut random));
        block_on(stack.age(60));
    }
    // Unusual pushes wait for a day.
    block_on(stack.age(25 * 60 * 60));
    let swept: u64 = happened.iter().map(|one| one.swept).sum();
    happened.push(sweep_all(&stack, &settings, &mut random));
    let seconds = began.elapsed().as_secs();

    let told = block_on(subscriber.take());
    let counted = remembered(&stack, &pushed, now);
    let findings = reported(&stack, &pushed);
    let published = published(&told, &findings);
    nothing_blocks(&stack, &subscriber, &settings);

    let sum = |figure: fn(&Happened) -> usize| happened.iter().map(figure).sum::<usize>();
    let events: usize = pushed.iter().map(|(_, events)| events.len()).sum();
    println!(
        "{events} pushes by {count} uploaders in {delivered} deliveries, {seconds} s\n\
         {} calls, of which {} failed before and {} after the server acted\n\
         {} kills, {} errors, {} batches, {} sweeps\n\
         {} findings in {} messages, {} of them published again, {swept} by sweeps beside pushes\n\
         {counted} pushes counted again",
        sum(|one| one.calls),
        sum(|one| one.failed_before),
        sum(|one| one.failed_after),
        sum(|one| one.kills),
        sum(|one| one.errors),
        sum(|one| one.batches),
        sum(|one| one.sweeps),
        findings.len(),
        told.len(),
        published - findings.len(),
    );
    let mut outcomes = BTreeMap::<_, usize>::new();
    for (outcome, count) in happened.iter().flat_map(|one| &one.outcomes) {
        *outcomes.entry(outcome).or_default() += count;
    }
    println!("{outcomes:?}");
    decided_once(&happened);
    memory_is_flat(&happened);
    // All of it took place.
    assert!(sum(|one| one.kills) > 0 && swept > 0);
    assert!(sum(|one| one.failed_before) > 0 && sum(|one| one.failed_after) > 0);
}

/// Lets the processes work until all is handled.
fn run(work: &Work<'_>, processes: usize, random: &mut Random) -> Vec<Happened> {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..processes)
            .map(|number| {
                let mut random = Random::new(u64::try_from(random.below(usize::MAX)).unwrap());
                scope.spawn(move || work.run(number, &mut random))
            })
            .collect();
        let ended = running.into_iter().map(|process| process.join().unwrap());
        ended.collect()
    })
}

/// Sweeps until nothing is owed, though calls fail.
fn sweep_all(stack: &Stack, settings: &[(&str, &str)], random: &mut Random) -> Happened {
    let noted = Arc::<Mutex<Happened>>::default();
    let proxy = unreliable(random.clone(), Arc::clone(&noted));
    let endpoint = format!("http://127.0.0.1:{}", proxy.port);
    let settings = [settings, &[("AWS_ENDPOINT_URL", &endpoint)]].concat();
    let mut function = Function::start(stack, &settings);
    for sweeps in 1..=MOST_SWEEPS {
        let swept = function.invoke_and_kill(scheduled().to_string(), None);
        assert_eq!(swept.unwrap().unwrap()["outcome"], "swept");
        let is_done = block_on(stack.findings())
            .iter()
            .all(|finding| finding["owed"].is_null());
        if is_done {
            let mut happened = std::mem::take(&mut *noted.lock().unwrap());
            happened.sweeps = sweeps;
            return happened;
        }
        // What it published but could not settle, it holds.
        block_on(stack.age(60));
    }
    panic!("something is still owed after {MOST_SWEEPS} sweeps");
}

/// What is remembered of each uploader; how many pushes were counted again.
fn remembered(stack: &Stack, pushed: &[Pushed], now: Timestamp) -> u64 {
    let records = block_on(stack.uploaders());
    let record = |key: &str| records.iter().find(|record| record["uploader"] == key);
    let (mut again, mut expected) = (0, 0);
    for (uploader, events) in pushed {
        let key = uploader.key();
        let Some(remembered) = uploader.remembered(events, now) else {
            assert!(record(&key).is_none(), "{key}");
            continue;
        };
        expected += 1;
        let record = record(&key).unwrap_or_else(|| panic!("{key} is not remembered"));
        let time = |name: &str| record[name].as_str().map(|time| time.parse().unwrap());
        assert_eq!(
            (
                record["standing"].as_str(),
                time("firstSeen"),
                time("lastSeen")
            ),
            (
                Some(remembered.standing),
                remembered.first_seen,
                remembered.last_seen
            ),
            "{record}"
        );
        let counted = record["pushes"].as_u64().unwrap_or_default();
        let more = counted.checked_sub(remembered.pushes.try_into().unwrap());
        again += more.unwrap_or_else(|| panic!("not all pushes are counted: {record}"));
    }
    assert_eq!(records.len(), expected);
    again
}

/// Every finding that must be there, and no other; their ids.
fn reported(stack: &Stack, pushed: &[Pushed]) -> BTreeSet<String> {
    let findings = block_on(stack.findings());
    let mut of_key = BTreeMap::<&str, Vec<(&str, &str)>>::new();
    for finding in &findings {
        for held in ["owed", "owedSince", "leaseUntil", "leaseHolder"] {
            assert!(finding[held].is_null(), "{finding}");
        }
        assert!(finding["publishedAt"].is_string(), "{finding}");
        let text = |name: &str| finding[name].as_str().unwrap();
        let of_key = of_key.entry(text("uploader")).or_default();
        of_key.push((text("reason"), text("eventId")));
    }
    for (uploader, events) in pushed {
        let key = uploader.key();
        let mut found = of_key.remove(key.as_str()).unwrap_or_default();
        let new = found.iter().filter(|(reason, _)| *reason == "new_uploader");
        assert_eq!(new.count(), uploader.reported_as_new(), "{key}");
        for reported in uploader.reported(events) {
            let is_it = |(reason, event): &mut (&str, &str)| {
                reported.reasons.contains(reason) && reported.events.contains(*event)
            };
            let these: Vec<_> = found.extract_if(.., is_it).collect();
            let is_right = these.len() == 1 || (reported.perhaps && these.is_empty());
            assert!(is_right, "of {key}: {these:?}, but one of {reported:?}");
        }
        assert!(found.is_empty(), "of {key} too much: {found:?}");
    }
    assert!(of_key.is_empty(), "nobody's: {of_key:?}");
    let ids = findings.iter().map(|finding| finding["findingId"].as_str());
    ids.map(|id| id.unwrap().to_owned()).collect()
}

/// Each finding was published, and nothing else; how often all together.
fn published(told: &[Vec<Value>], findings: &BTreeSet<String>) -> usize {
    let ids: Vec<_> = told
        .iter()
        .flatten()
        .map(|finding| finding["id"].as_str().unwrap().to_owned())
        .collect();
    let count = ids.len();
    let ids: BTreeSet<_> = ids.into_iter().collect();
    let missing: Vec<_> = findings.difference(&ids).collect();
    let unknown: Vec<_> = ids.difference(findings).collect();
    assert!(missing.is_empty(), "never published: {missing:?}");
    assert!(unknown.is_empty(), "published, but no finding: {unknown:?}");
    count
}

/// A repeated event decides nothing again. Only two processes that write its finding in the
/// same millisecond both take it for their own.
fn decided_once(happened: &[Happened]) {
    let mut findings: Vec<_> = happened.iter().flat_map(|one| &one.findings).collect();
    findings.sort_unstable();
    for pair in findings.windows(2) {
        let ((id, _, ended), (next, began, _)) = (pair[0], pair[1]);
        assert!(id != next || began < ended, "{id} was decided again");
    }
    let again = findings.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    println!("{} findings decided twice at once", again.count());
}

/// Whatever was killed left nothing behind that holds up the next finding.
fn nothing_blocks(stack: &Stack, subscriber: &Subscriber, settings: &[(&str, &str)]) {
    let function = Function::start(stack, settings);
    let event = push("the-next-one", "2026-01-01T00:00:00Z", "the-next-one");
    // Learned, since it is so long ago, and so left to the sweep.
    assert_eq!(outcome(&function, &event), "learned");
    assert_eq!(function.sweep()["published"], 1);
    let told = block_on(subscriber.take());
    assert_eq!(told[0][0]["push"]["eventId"], "the-next-one");
}

/// No process has more memory in the second half of its life than any had in the first: a
/// large sweep takes as much early as late, and what leaks is there late alone.
fn memory_is_flat(happened: &[Happened]) {
    let mut lives: Vec<_> = happened.iter().flat_map(|one| &one.memory).collect();
    lives.retain(|memory| memory.len() > 1);
    lives.sort_by_key(|memory| std::cmp::Reverse(memory.len()));
    let halves: Vec<_> = lives
        .into_iter()
        .map(|memory| {
            let (first, second) = memory.split_at(memory.len() / 2);
            let pushes = memory.len() * SAMPLE_EVERY;
            (
                pushes,
                first.iter().max().unwrap(),
                second.iter().max().unwrap(),
            )
        })
        .collect();
    for (pushes, first, second) in halves.iter().take(4) {
        println!("RssAnon over {pushes} pushes: {first} kB at most, then {second} kB");
    }
    let early = halves.iter().map(|(_, first, _)| **first).max().unwrap();
    for (pushes, first, second) in halves {
        let what = format!("over {pushes} pushes {first} kB, then {second} kB");
        assert!(*second <= early + MOST_GROWTH, "{what}; others {early} kB");
    }
}
