//! Questions of yes or no, on the terminal.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Write as _};

use thiserror::Error;

use super::say;

/// Why a question has no answer.
#[derive(Debug, Error)]
pub enum AskError {
    #[error("there is no terminal to ask on; give --yes if you mean it")]
    NoTerminal,
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("the runtime can't start: {0}")]
    Runtime(io::Error),
}

/// Asks, unless the answer is given already. Without a terminal there is nobody to
/// ask.
///
/// # Errors
/// When there is no terminal, or the answer can't be read.
pub async fn ask(question: &str, yes: bool) -> Result<bool, AskError> {
    if !yes && !io::stdin().is_terminal() {
        return Err(AskError::NoTerminal);
    }
    ask_on(question, yes, || Ok(Box::new(io::stdin().lock()))).await
}

/// Asks the same when standard input is taken by something else.
///
/// # Errors
/// The same.
pub async fn ask_beside_input(question: &str, yes: bool) -> Result<bool, AskError> {
    ask_on(question, yes, || {
        Ok(Box::new(BufReader::new(File::open("/dev/tty")?)))
    })
    .await
}

async fn ask_on(
    question: &str,
    yes: bool,
    terminal: impl FnOnce() -> io::Result<Box<dyn BufRead>> + Send + 'static,
) -> Result<bool, AskError> {
    if yes {
        return Ok(true);
    }
    if !io::stderr().is_terminal() {
        return Err(AskError::NoTerminal);
    }
    let question = format!("{question} [y/N] ");
    // On a thread of its own, so that Ctrl-C is heard meanwhile.
    let answer = tokio::task::spawn_blocking(move || {
        let mut terminal = terminal().map_err(|_| AskError::NoTerminal)?;
        let mut answer = String::new();
        let mut stderr = io::stderr();
        stderr
            .write_all(question.as_bytes())
            .and_then(|()| stderr.flush())
            .and_then(|()| terminal.read_line(&mut answer))
            .map_err(AskError::Output)?;
        if !answer.ends_with('\n') {
            say("");
        }
        Ok::<_, AskError>(answer)
    });
    let answer = answer
        .await
        .map_err(|error| AskError::Runtime(io::Error::other(error)))??;
    let is_yes = is_yes(&answer);
    if !is_yes {
        say("Nothing is done.");
    }
    Ok(is_yes)
}

/// Nothing else is a yes, nor is the end of the input.
fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn nothing_but_y_and_yes_is_a_yes() {
        for yes in ["y\n", "Y\n", "yes\n", "YES\r\n", " yes \n"] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in [
            "",
            "\n",
            "n\n",
            "no\n",
            "maybe\n",
            "yy\n",
            "yes please\n",
            "ye\n",
        ] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
