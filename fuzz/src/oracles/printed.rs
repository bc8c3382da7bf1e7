//! What a command prints on a terminal.

use super::{characters, links};
use crate::command_line::Ran;

/// No character of it is obeyed, and what is said beside the output has no link.
#[track_caller]
pub fn assert_said(ran: &Ran) {
    characters::assert_lines(&ran.out);
    characters::assert_lines(&ran.err);
    links::assert_none_within(&ran.err);
}

/// The same of an output for people, which has no link either.
#[track_caller]
pub fn assert_shown(ran: &Ran) {
    assert_said(ran);
    links::assert_none_within(&ran.out);
}
