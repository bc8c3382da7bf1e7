//! The command line on a deployment in moto, and the function beside it.

use std::ops::Deref;

use serde_json::Value;

use super::block_on;
use super::cli::{Laptop, Ran};
use super::events::{envelope, iam_user, record};
use super::lambda::Function;
use super::moto::{REGION, Stack, moto};

pub struct Deployment {
    pub stack: Stack,
    laptop: Laptop,
}

impl Deref for Deployment {
    type Target = Laptop;

    fn deref(&self) -> &Laptop {
        &self.laptop
    }
}

impl Deployment {
    pub fn new() -> Self {
        Self {
            stack: block_on(Stack::create()),
            laptop: Laptop::on(&moto().address()),
        }
    }

    /// Runs the words of `command`, then `--table` and its like.
    pub fn run(&self, command: &[&str]) -> Ran {
        let mut args = command.to_vec();
        args.extend([
            "--table",
            &self.stack.uploaders,
            "--findings-table",
            &self.stack.findings,
            "--region",
            REGION,
        ]);
        self.run_bare(&args, &[])
    }

    pub fn uploader(&self, key: &str) -> Value {
        let all = block_on(self.stack.uploaders());
        let found = all.into_iter().find(|item| item["uploader"] == key);
        found.unwrap_or_default()
    }
}

pub fn push(id: &str, time: &str, name: &str) -> Value {
    envelope(&record(id, time, &iam_user(name)))
}

pub fn outcome(function: &Function, event: &Value) -> String {
    let answer = function.invoke(event).unwrap();
    answer["outcome"].as_str().unwrap().to_owned()
}
