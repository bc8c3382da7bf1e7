//! Runs what waits: for AWS, for a person, for Ctrl-C.

use crate::error::CommandError;

/// Runs a future on this thread, to its end or to Ctrl-C: then it is dropped,
/// and cleans up behind it.
///
/// # Errors
/// When the runtime can't start; on Ctrl-C.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    block_on_to_the_end(async {
        tokio::select! {
            done = future => Ok(done),
            Ok(()) = tokio::signal::ctrl_c() => Err(CommandError::Interrupted),
        }
    })?
}

/// Runs a future on this thread to its end: it listens for Ctrl-C itself.
///
/// # Errors
/// When the runtime can't start.
pub fn block_on_to_the_end<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)?;
    let done = runtime.block_on(future);
    // Files that are being read are not waited for.
    runtime.shutdown_background();
    Ok(done)
}
