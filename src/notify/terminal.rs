//! Findings on a terminal: as text for people, or in another form for tools.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Notifier;
use crate::render::{Format, Message, RenderContext, render};

/// Writes findings as they come. Text has terminal styles in it; give a writer
/// that removes them where they are not wanted.
#[derive(Debug)]
pub struct TerminalNotifier<W> {
    writer: Mutex<W>,
    format: Format,
    context: RenderContext,
}

impl<W: Write> TerminalNotifier<W> {
    /// Writes to `writer`.
    pub fn new(writer: W, format: Format, context: RenderContext) -> Self {
        Self {
            writer: Mutex::new(writer),
            format,
            context,
        }
    }
}

impl<W: Write + Send> Notifier for TerminalNotifier<W> {
    type Error = io::Error;

    async fn publish(&self, message: Message<'_>, _: Duration) -> io::Result<String> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        for finding in message.findings() {
            let shown = render(Message::Finding(finding), self.format, &self.context);
            writeln!(writer, "{shown}")?;
        }
        writer.flush()?;
        Ok(String::new())
    }
}
