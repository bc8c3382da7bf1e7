//! The built command line, run on files of the test's own.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn pushwatch(folder: &Path, args: &[&str]) -> Ran {
    pushwatch_with_input(folder, args, "")
}

pub fn pushwatch_with_input(folder: &Path, args: &[&str], input: &str) -> Ran {
    let output = Command::cargo_bin("pushwatch")
        .unwrap()
        .current_dir(folder)
        .args(args)
        .write_stdin(input)
        .output()
        .unwrap();
    Ran::of(output)
}

/// With nothing of the caller's environment but these variables.
pub fn pushwatch_in(folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> Ran {
    let output = Command::cargo_bin("pushwatch")
        .unwrap()
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .envs(environment.iter().copied())
        .args(args)
        .output()
        .unwrap();
    Ran::of(output)
}

/// The same on a terminal of so many columns, where somebody types `typed`. What
/// is written there is in `out`.
pub fn pushwatch_on_terminal(
    folder: &Path,
    args: &[&str],
    environment: &[(&str, &str)],
    typed: &str,
    columns: u16,
) -> Ran {
    let program = env!("CARGO_BIN_EXE_pushwatch");
    on_terminal(
        folder,
        &[&[program], args].concat(),
        environment,
        typed,
        columns,
    )
}

/// Runs a command so.
pub fn on_terminal(
    folder: &Path,
    command: &[&str],
    environment: &[(&str, &str)],
    typed: &str,
    columns: u16,
) -> Ran {
    let output = Command::new("python3")
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .envs(environment.iter().copied())
        .args(["-c", include_str!("terminal.py")])
        .args([&columns.to_string(), typed])
        .args(command)
        .output()
        .unwrap();
    let mut ran = Ran::of(output);
    ran.out = ran.out.replace("\r\n", "\n");
    ran
}

impl Ran {
    fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The findings of `--format json`: reason and key.
    pub fn findings(&self) -> Vec<(String, String)> {
        self.out
            .lines()
            .map(|line| {
                let finding: serde_json::Value = serde_json::from_str(line).unwrap();
                let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                (text(&finding["reason"]), text(&finding["uploader"]["key"]))
            })
            .collect()
    }
}

/// A folder with these files.
pub fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("events")
}

/// Somebody's folder, and what their environment says of AWS.
pub struct Laptop {
    pub folder: TempDir,
    pub endpoint: String,
}

impl Laptop {
    /// Without AWS: nobody listens there.
    pub fn new() -> Self {
        Self::on("http://127.0.0.1:1")
    }

    /// With AWS at this address.
    pub fn on(endpoint: &str) -> Self {
        Self {
            folder: folder(&[]),
            endpoint: endpoint.to_owned(),
        }
    }

    pub fn run_bare(&self, args: &[&str], more: &[(&str, &str)]) -> Ran {
        let mut environment = vec![
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        environment.extend(more);
        pushwatch_in(self.folder.path(), args, &environment)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }
}

#[track_caller]
pub fn succeeded(ran: Ran) -> Ran {
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran
}
