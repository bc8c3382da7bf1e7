//! The bytes of a file of events through `pushwatch report`, to its page and its summary.
//! JSON that begins as the data in a page does is compared with, too.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::chosen;
use crate::command_line::{Ran, run};
use crate::oracles::{html, printed};
use crate::scratch::Scratch;

pub fn check(input: &[u8]) {
    let scratch = Scratch::new();
    if is_data(input) {
        let last = scratch.file("last.html", &page_with(input));
        let events = scratch.file("events.json", b"{}");
        compare(&scratch, &events, &last);
        return;
    }
    let events = scratch.file("events.json", input);
    let page = scratch.path("page.html");
    let ran = report(&[&events, "--summary".as_ref(), "--output".as_ref(), &page]);
    assert!(ran.is_done, "{}", ran.err);
    printed::assert_shown(&ran);
    html::assert_inert(&fs::read_to_string(&page).expect("a page"));
    // Half of the time, since a page takes long.
    if *chosen(input, &[true, false]) {
        assert!(compare(&scratch, &events, &page));
    }
}

/// Whether it may be the data in a page.
fn is_data(input: &[u8]) -> bool {
    input.starts_with(b"{\"") && input.windows(10).any(|word| word == b"\"version\":")
}

/// Makes a report that is compared with the last one; false if that can't be read.
fn compare(scratch: &Scratch, events: &Path, last: &Path) -> bool {
    let page = scratch.path("second.html");
    let options = ["--compare", "--summary", "--output"].map(Path::new);
    let [compare, summary, output] = options;
    let ran = report(&[events, compare, last, summary, output, &page]);
    printed::assert_shown(&ran);
    if ran.is_done {
        html::assert_inert(&fs::read_to_string(&page).expect("a page"));
    }
    ran.is_done
}

fn report(arguments: &[&Path]) -> Ran {
    run(&[&[Path::new("report"), Path::new("--quiet")], arguments].concat())
}

/// A page with the data, as if it were of ours.
fn page_with(json: &[u8]) -> Vec<u8> {
    let hash = Sha256::digest(json);
    let hash = hash.iter().fold(String::new(), |mut hex, byte| {
        _ = write!(hex, "{byte:02x}");
        hex
    });
    let begin = format!("<template id=\"pushwatch-report\" data-sha256=\"{hash}\">");
    [begin.as_bytes(), json, b"</template>"].concat()
}
