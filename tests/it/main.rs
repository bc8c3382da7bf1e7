//! All tests but those that stand beside the code they test. One program, which builds
//! and links once.
//!
//! - Of the rules, without I/O: `event_reading`, `identity_table`, `decision_table`,
//!   `renderings`; `real_records` reads what other people published.
//! - Of the protocol, over the store in memory: `decision_properties`, `sweep`, `reconcile`,
//!   and `model`, which explores every interleaving.
//! - Of the stores: `store_behaviour`, one suite for both, and `stores_agree`, which
//!   compares them. `wire` shows the requests that go to AWS.
//! - Of the built command line: `replay`, `render`, `report`, `investigate`, `sample_events`,
//!   `bad_input` and `heavy_input`;
//!   `uploaders_files` works on files, `uploaders`, `findings`, `explained`, `learn`,
//!   `reconcile_stack`, `report_stack`, `redrive` and `restore` on a deployment.
//! - Of the built function: `function`, `queues`, `outage`, which drains one, `wire_faults`,
//!   which breaks its calls, and `soak`, which does all of it at once.
//! - Of the threat model in SECURITY.md: `attackers`.
//! - Of the documents: `documents`.
//!
//! `support` holds what they share, `snapshots` what people read.
//!
//! ```sh
//! cargo test --test it identity_table::            # one module
//! cargo test --test it row_3                       # by a part of the name
//! make .venv/installed                             # once, for moto
//! cargo test --all-features --test it -- --ignored a_duplicate_and_a_late   # one moto test
//! ```
//!
//! Tests that need moto, which plays AWS on this machine, are ignored unless they are
//! asked for; `make unit` runs all.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

#[cfg(all(feature = "aws", feature = "function"))]
mod attackers;
#[cfg(feature = "cli")]
mod bad_input;
mod decision_properties;
mod decision_table;
#[cfg(feature = "cli")]
mod details;
#[cfg(all(feature = "aws", feature = "function"))]
mod doctor;
mod documents;
mod event_reading;
#[cfg(all(feature = "aws", feature = "function"))]
mod explained;
#[cfg(all(feature = "aws", feature = "function"))]
mod findings;
#[cfg(all(feature = "aws", feature = "function"))]
mod function;
mod habits;
#[cfg(feature = "cli")]
mod heavy_input;
mod identity_table;
#[cfg(feature = "cli")]
mod investigate;
#[cfg(all(feature = "aws", feature = "function"))]
mod investigated_online;
#[cfg(feature = "cli")]
mod late_finding;
#[cfg(all(feature = "aws", feature = "function"))]
mod learn;
mod model;
#[cfg(all(feature = "aws", feature = "function"))]
mod outage;
#[cfg(all(feature = "aws", feature = "function"))]
mod queues;
mod real_records;
#[cfg(feature = "cli")]
mod reconcile;
#[cfg(all(feature = "aws", feature = "function"))]
mod reconcile_stack;
#[cfg(all(feature = "aws", feature = "function"))]
mod redrive;
#[cfg(feature = "cli")]
mod render;
#[cfg(feature = "cli")]
mod renderings;
#[cfg(feature = "cli")]
mod replay;
#[cfg(feature = "cli")]
mod report;
#[cfg(all(feature = "aws", feature = "function"))]
mod report_stack;
#[cfg(all(feature = "aws", feature = "function"))]
mod restore;
#[cfg(feature = "cli")]
mod sample_events;
#[cfg(all(feature = "aws", feature = "function"))]
mod soak;
#[cfg(all(feature = "aws", feature = "function"))]
mod status;
mod store_behaviour;
#[cfg(feature = "sdk")]
mod stores_agree;
mod sweep;
#[cfg(feature = "cli")]
mod test_findings;
#[cfg(all(feature = "aws", feature = "function"))]
mod uploaders;
#[cfg(feature = "cli")]
mod uploaders_files;
#[cfg(feature = "sdk")]
mod wire;
#[cfg(all(feature = "aws", feature = "function"))]
mod wire_faults;
