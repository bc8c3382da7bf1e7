//! How far a command is, drawn on standard error while it lasts; only if that is a
//! terminal.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(100);

/// A spinner that names what is waited for. It goes with this value.
#[derive(Debug)]
pub struct Spinner(ProgressBar);

impl Spinner {
    /// Shows that `what` is waited for.
    pub fn on(what: &'static str, quiet: bool) -> Self {
        if quiet {
            return Self(ProgressBar::hidden());
        }
        let spinner = ProgressBar::new_spinner()
            .with_style(style("{spinner} {msg} ({elapsed})"))
            .with_message(what);
        spinner.enable_steady_tick(TICK);
        Self(spinner)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar that moves and names what is waited for.
pub fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_style(style(template));
    bar.enable_steady_tick(TICK);
    bar
}

/// A bar that moves only when its position does.
pub fn still_bar(length: u64, template: &str) -> ProgressBar {
    ProgressBar::new(length).with_style(style(template))
}

/// A style; the templates are ours.
pub fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Writes above a bar instead of into it.
#[derive(Debug)]
pub struct AboveBar<W> {
    pub bar: ProgressBar,
    pub writer: W,
}

impl<W: Write> Write for AboveBar<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| self.writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
