//! What is fuzzed, and what must hold of it. Each fuzz target calls the `check` of the
//! module of its name in [`targets`]; what the targets demand is in `oracles`.

// The command line, compiled as it is: its modules name each other by `crate::`.
#[path = "../../src/bin/pushwatch/args.rs"]
mod args;
#[path = "../../src/bin/pushwatch/commands/mod.rs"]
mod commands;
#[allow(dead_code)] // as in main.rs
#[path = "../../src/bin/pushwatch/deployment/mod.rs"]
mod deployment;
#[path = "../../src/bin/pushwatch/error.rs"]
mod error;
#[path = "../../src/bin/pushwatch/input/mod.rs"]
mod input;
#[path = "../../src/bin/pushwatch/known/mod.rs"]
mod known;
#[path = "../../src/bin/pushwatch/list/mod.rs"]
mod list;
#[path = "../../src/bin/pushwatch/runtime.rs"]
mod runtime;
#[allow(dead_code, unused_imports)] // as in main.rs
#[path = "../../src/bin/pushwatch/ui/mod.rs"]
mod ui;
#[path = "../../src/bin/pushwatch/when.rs"]
mod when;

// Of a command that needs AWS, what it reads.
#[path = "../../src/bin/pushwatch/commands/redrive/failure.rs"]
mod failure;

// Events of the tests, and the deployment that they name.
#[allow(dead_code)]
#[path = "../../tests/it/support/events.rs"]
mod events;

mod command_line;
mod gzip;
mod oracles;
mod played_aws;
mod scratch;

pub mod json_mutator;
pub mod targets;

use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Runs a future to its end.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// One of several things to try, the same for the same input.
fn chosen<'a, T>(input: &[u8], of: &'a [T]) -> &'a T {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let index = usize::try_from(hasher.finish() % of.len() as u64).unwrap_or_default();
    &of[index]
}

/// Makes a panic end the process only where the program itself would end: some crates panic
/// in a thread of their own, and the program goes on. `libfuzzer_sys` catches what reaches
/// it.
pub fn begin() {
    command_line::say_panics();
}
