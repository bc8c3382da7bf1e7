//! Runs a command of the command line in this process, and catches what it prints.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::panic;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use clap::Parser as _;

use crate::commands::Cli;
use crate::error::exit_code;

/// What a command printed, and whether it ran to its end.
pub struct Ran {
    pub is_done: bool,
    pub out: String,
    pub err: String,
}

/// Standard error as it was when the process began, for the words of a panic.
static STDERR: OnceLock<OwnedFd> = OnceLock::new();

/// Prints panics to the real standard error, and goes on: whoever catches one decides.
pub fn say_panics() {
    let stderr = io::stderr();
    if let Ok(kept) = rustix::io::dup(&stderr) {
        _ = STDERR.set(kept);
    }
    panic::set_hook(Box::new(|panicked| {
        if let Some(kept) = STDERR.get()
            && let Ok(kept) = kept.try_clone()
        {
            let backtrace = std::backtrace::Backtrace::force_capture();
            _ = writeln!(File::from(kept), "{panicked}\n{backtrace}");
        }
    }));
}

/// Runs `pushwatch` with these arguments.
pub fn run<A: AsRef<Path>>(arguments: &[A]) -> Ran {
    let words = std::iter::once(Path::new("pushwatch")).chain(arguments.iter().map(AsRef::as_ref));
    let cli = Cli::try_parse_from(words.map(Path::as_os_str)).expect("a command line");
    let (result, out, err) = caught(|| cli.run());
    let is_done = result.is_ok();
    let mut err = err;
    if let Err(error) = result {
        assert!(!error.is_closed_output(), "{error}");
        assert_eq!(error.exit_code(), exit_code(true), "{error}");
        _ = write!(err, "error: {error}");
    }
    Ran { is_done, out, err }
}

/// What is printed meanwhile.
pub fn caught<T>(run: impl FnOnce() -> T) -> (T, String, String) {
    static FILES: OnceLock<Mutex<[File; 2]>> = OnceLock::new();
    let files = FILES.get_or_init(|| Mutex::new([memory_file(), memory_file()]));
    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
    let [out, err] = &mut *files;
    for file in [&mut *out, &mut *err] {
        file.set_len(0)
            .and_then(|()| file.rewind())
            .expect("a file in memory");
    }
    let kept_out = rustix::io::dup(io::stdout()).expect("standard output");
    let kept_err = rustix::io::dup(io::stderr()).expect("standard error");
    rustix::stdio::dup2_stdout(&*out).expect("standard output");
    rustix::stdio::dup2_stderr(&*err).expect("standard error");
    let result = run();
    _ = io::stdout().flush();
    rustix::stdio::dup2_stdout(kept_out).expect("standard output");
    rustix::stdio::dup2_stderr(kept_err).expect("standard error");
    (result, text(out), text(err))
}

fn memory_file() -> File {
    tempfile::tempfile_in("/dev/shm")
        .or_else(|_| tempfile::tempfile())
        .expect("a file in memory")
}

fn text(file: &mut File) -> String {
    let mut text = String::new();
    file.rewind()
        .and_then(|()| file.read_to_string(&mut text))
        .expect("text");
    text
}
