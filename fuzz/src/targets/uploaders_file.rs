//! The bytes of a list of uploaders: an uploaders file, CSV, or plain keys.

use std::path::Path;

use crate::command_line::{caught, run};
use crate::list;
use crate::oracles::characters;
use crate::scratch::Scratch;

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
            let ran = run(&[
                "uploaders".as_ref(),
                "import".as_ref(),
                path.as_path(),
                "--file".as_ref(),
                file.as_path(),
                "--skip-bad".as_ref(),
                "--yes".as_ref(),
            ]);
            characters::assert_lines(&ran.out);
            characters::assert_lines(&ran.err);
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
    assert_eq!(again.map_err(|error| error.to_string()), Ok(records));

    for options in [&[][..], &["--json"]] {
        let begin = ["uploaders", "list", "--file"].map(Path::new);
        let options: Vec<_> = options.iter().map(Path::new).collect();
        let ran = run(&[&begin, &[path.as_path()][..], &options].concat());
        assert!(ran.is_done, "{}", ran.err);
        characters::assert_lines(&ran.out);
        characters::assert_lines(&ran.err);
    }
}
