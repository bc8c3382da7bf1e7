//! `pushwatch report` of a deployment in moto.

use std::fs;

use crate::support::cli::succeeded;
use crate::support::deployment::{Deployment, outcome, push};
use crate::support::lambda::Function;

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";

#[test]
#[ignore = "needs moto"]
fn a_deployment_without_its_pushes_says_so_and_asks_what_nobody_answered() {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[]);
    for event in [push("1", T1, "test"), push("2", T2, "ada")] {
        assert_eq!(outcome(&function, &event), "finding_published");
    }
    let args = [
        "report",
        "--since",
        T1,
        "--quiet",
        "--summary",
        "--output",
        "r.html",
    ];
    let before = succeeded(laptop.run(&args));
    assert!(
        before.out.starts_with(
            "2 new uploaders since 1 January 2026, 2 not reviewed; 2 findings need an answer.\n"
        ),
        "{}",
        before.out
    );
    let page = fs::read_to_string(laptop.folder.path().join("r.html")).unwrap();
    for words in [
        "pushwatch findings answer ",
        "Pushes by day are left out",
        "Left out: the tables count pushes",
        "the tables have no counts",
        "The single pushes: the tables remember",
    ] {
        assert!(page.contains(words), "{words}");
    }
    // The command that the page gives answers the finding.
    let (_, rest) = page.split_once("pushwatch findings answer ").unwrap();
    let (id, rest) = rest.split_once(' ').unwrap();
    assert!(rest.starts_with("--reason 'WHY' --"), "{rest:.80}");
    succeeded(laptop.run(&["findings", "answer", id, "--reason", "asked her"]));
    let after = succeeded(laptop.run(&args));
    assert!(
        after.out.starts_with(
            "2 new uploaders since 1 January 2026, 1 not reviewed; 1 finding needs an answer.\n"
        ),
        "{}",
        after.out
    );
}
