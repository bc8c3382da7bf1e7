//! What the tests share.

#[cfg(all(feature = "aws", feature = "function"))]
pub mod account;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(all(feature = "aws", feature = "function"))]
pub mod deployment;
pub mod events;
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

use std::future::Future;

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}
