//! What the tests share.

#[cfg(all(feature = "aws", feature = "function"))]
pub mod account;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(all(feature = "aws", feature = "function"))]
pub mod deployment;
pub mod events;
#[cfg(all(feature = "aws", feature = "function"))]
pub mod failure_queue;
#[cfg(all(feature = "aws", feature = "function"))]
pub mod fault_proxy;
#[cfg(all(feature = "aws", feature = "function"))]
pub mod healthy;
pub mod intercept;
#[cfg(all(feature = "aws", feature = "function"))]
pub mod lambda;
#[cfg(all(feature = "aws", feature = "function"))]
pub mod lambda_api;
#[cfg(all(feature = "aws", feature = "function"))]
pub mod lookup_events;
#[cfg(feature = "sdk")]
#[cfg_attr(not(feature = "function"), allow(dead_code))] // the function's tests use it all
pub mod moto;
#[cfg(all(feature = "aws", feature = "function"))]
pub mod overlay;
#[cfg(all(feature = "aws", feature = "function"))]
pub mod random;
#[cfg(all(feature = "aws", feature = "function"))]
pub mod subscriber;

use std::future::Future;

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

/// A number from the environment, as a target of the Makefile sets it, or another.
#[cfg(all(feature = "aws", feature = "function"))]
pub fn setting<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str, otherwise: T) -> T {
    std::env::var(name).map_or(otherwise, |number| number.parse().unwrap())
}
