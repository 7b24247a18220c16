//! The clients that nobody here wrote.

use super::process::{Program, Stream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long they may take to be fetched and built.
const FETCH_LIMIT: Duration = Duration::from_secs(600);

/// The directory where `tests/interop/prepare.sh` put these (all of them if none is named).
///
/// # Panics
///
/// With what the script said where they cannot be had, such as a package that is missing.
#[track_caller]
pub fn prepare(clients: &[&str]) -> PathBuf {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/prepare.sh"));
    command.args(clients);
    if let Some(target) = option_env!("CARGO_TARGET_TMPDIR").and_then(|tmp| Path::new(tmp).parent()) {
        command.env("CARGO_TARGET_DIR", target);
    }
    let mut script = Program::spawn(command);
    let status = script.wait(FETCH_LIMIT);
    assert!(status.success(), "{}", script.output());
    let said = script.lines().into_iter().rfind(|line| line.stream == Stream::Out);
    said.map(|line| PathBuf::from(line.text)).unwrap_or_else(|| panic!("prepare.sh named no directory"))
}
