//! The bytes of a list of uploaders: an uploaders file, CSV, or plain keys.

use std::cmp::Reverse;
use std::path::Path;

use pushwatch::record::Record;
use pushwatch::text::clean_cut;

use crate::chosen;
use crate::command_line::{Ran, caught, run};
use crate::list;
use crate::oracles::{characters, links, printed};
use crate::scratch::Scratch;

/// How much of a key a list shows.
const KEY: usize = 1024;

pub fn check(input: &[u8]) {
    let scratch = Scratch::new();
    let path = scratch.file("list", input);
    let (records, _, said) = caught(|| list::read(&path));
    characters::assert_lines(&said);
    let records = match records {
        Ok(records) => records,
        Err(error) => {
            characters::assert_lines(&error.to_string());
            // What can be read line by line is imported all the same.
            let file = scratch.path("imported.jsonl");
            let options = ["--skip-bad", "--yes", "--file"].map(Path::new);
            let ran = uploaders("import", &[&[&*path], &options[..], &[&*file]].concat());
            printed::assert_shown(&ran);
            return;
        }
    };
    let (rewritten, ..) = caught(|| list::check_can_be_rewritten(&path));
    if let Err(error) = rewritten {
        characters::assert_lines(&error.to_string());
    }

    // What is saved is read as the same again.
    let saved = scratch.path("saved.jsonl");
    let save = list::Save::prepare(&saved).expect("a new file");
    save.write(&records).expect("a file in memory");
    let (again, ..) = caught(|| list::read(&saved));
    assert_eq!(
        again.map_err(|error| error.to_string()).as_ref(),
        Ok(&records)
    );

    let file = ["--file".as_ref(), path.as_path()];
    let mut listed = uploaders("list", &file);
    assert!(listed.is_done, "{}", listed.err);
    // Keys stay as they are, since they are typed again. One may be a part of another.
    let keys = records
        .iter()
        .map(|record| clean_cut(&record.uploader, KEY));
    let mut keys: Vec<_> = keys.collect();
    keys.sort_by_key(|key| Reverse(key.len()));
    for key in keys {
        listed.out = listed.out.replace(&key, "KEY");
    }
    printed::assert_shown(&listed);
    let listed = uploaders("list", &[&file[..], &["--json".as_ref()]].concat());
    assert!(listed.is_done, "{}", listed.err);
    // Machines get the texts whole.
    printed::assert_said(&listed);
    show(input, &file, &records);
}

/// Shows one of the uploaders, as far as its key can be typed.
fn show(input: &[u8], file: &[&Path], records: &[Record]) {
    if records.is_empty() {
        return;
    }
    let key = chosen(input, records).uploader.as_str();
    let typed = ["--".as_ref(), Path::new(key)];
    let shown = uploaders("show", &[file, &typed].concat());
    assert!(shown.is_done || key.trim().is_empty(), "{}", shown.err);
    printed::assert_said(&shown);
    // Its first line is the key. Places are typed again, and reasons were; a line without a
    // label has more of them.
    let labels = [
        "  trust reason",
        "  revoke reason",
        "  allow reason",
        "  places",
        "    ",
    ];
    for line in shown.out.lines().skip(1) {
        if !labels.iter().any(|label| line.starts_with(label)) {
            links::assert_none(line);
        }
    }
    let json = [file, &["--json".as_ref()], &typed].concat();
    printed::assert_said(&uploaders("show", &json));
}

fn uploaders(command: &str, arguments: &[&Path]) -> Ran {
    run(&[&[Path::new("uploaders"), Path::new(command)], arguments].concat())
}
