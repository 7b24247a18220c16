//! A Python with the packages that tests use as a control.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

const KAZOO: &str = "2.11.0";

/// An interpreter that has kazoo: of a virtual environment below cargo's target directory, made once.
///
/// # Panics
///
/// With one line that says what to do, where it cannot be had.
#[track_caller]
pub fn with_kazoo() -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let base = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let home = base.join(format!("kazoo-{KAZOO}"));
    let python = home.join("bin/python");
    let has_kazoo = || succeeds(Command::new(&python).args(["-c", "import kazoo.client"])).is_ok();
    if has_kazoo() {
        return python;
    }
    let made = succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))
        .and_then(|()| install(&python));
    if let Err(trouble) = made {
        panic!("no kazoo {KAZOO} (needs python3 with venv, and pip's package index): {trouble}");
    }
    assert!(has_kazoo(), "kazoo {KAZOO} was installed in {} and cannot be imported", home.display());
    python
}

fn install(python: &Path) -> Result<(), String> {
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    succeeds(Command::new(python).args(pip).arg(format!("kazoo=={KAZOO}")))
}

/// The last line of what it complained about, if it fails.
fn succeeds(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("{name}: {}: {last}", output.status))
}
