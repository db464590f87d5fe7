//! What others make of the service: tools that read its description, browsers, clients in other languages.
//! `tests/run.sh` installs them into `target/test-tools`.

mod browser;
mod schemathesis;
mod typescript;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of `tests/tools`.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(name)
}

/// A program of the Python environment.
fn python(program: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-tools/python/bin").join(program);
    assert!(path.exists(), "{} is missing: ./tests/run.sh installs it", path.display());
    let mut command = Command::new(path);
    // The working directory is where some of them leave what they remember.
    command.current_dir(std::env::temp_dir()).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a tool to its end, and shows what it printed if it failed.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; ./tests/run.sh installs it"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    printed
}
