//! A module a target: the bytes that libFuzzer makes, through the real code, to the oracles.

pub mod archive;
pub mod event;
pub mod expression;
pub mod finding;
pub mod glob;
pub mod investigate;
pub mod queue;
pub mod report;
pub mod stored_item;
pub mod uploaders_file;
