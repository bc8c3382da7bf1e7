//! `pushwatch investigate`: from where, by whom, and where does it run.

mod answer;
mod call;
mod source;
