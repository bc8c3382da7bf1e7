//! Every sample of events/, as the command line shows it.

use std::fs;

use crate::support::cli::{events, pushwatch};

#[test]
fn each_sample_alone() {
    let mut samples = 0;
    for entry in fs::read_dir(events()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let sample = path.file_name().unwrap().to_str().unwrap();
        let run = |args: &[&str]| {
            let ran = pushwatch(&events(), &[args, &[sample]].concat());
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{sample}");
            ran.out
        };
        let shown = [
            run(&["replay", "--quiet"]),
            run(&["replay", "--quiet", "--format", "json"]),
            run(&["explain"]),
        ]
        .join("----\n");
        insta::assert_snapshot!(path.file_stem().unwrap().to_str().unwrap(), shown);
        samples += 1;
    }
    assert!(samples >= 18, "{samples}");
}

#[test]
fn all_samples_together() {
    let ran = pushwatch(&events(), &["replay", "."]);
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!("together", format!("{}----\n{}", ran.out, ran.err));
}

#[test]
fn the_readme_has_a_line_for_each_sample() {
    let readme = fs::read_to_string(events().join("README.md")).unwrap();
    for entry in fs::read_dir(events()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "README.md" || readme.contains(&format!("`{name}`")),
            "{name}"
        );
    }
}
