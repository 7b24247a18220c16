//! The ground the integration tests stand on: Apache ZooKeeper servers that a test can kill, freeze
//! and cut off, a proxy that can spoil a connection, and child programs under a deadline.
//!
//! A test file takes it in with `mod support;`. It uses nothing of zkhelper, so that a fault of the
//! library cannot hide itself by spoiling the yardstick too.

// Each test binary compiles the whole module and uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod certificates;
pub mod foreign;
pub mod installed;
pub mod port;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod zookeeper;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Looks every 20 ms until `look` finds something.
///
/// # Panics
///
/// When `limit` has passed; the message names `what`.
#[track_caller]
pub fn eventually<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Cargo, on this package and in the target directory of the tests.
///
/// Without what cargo tells the tests about this package: build scripts of dependencies (ring's) ask for the same
/// variables, and all would be built anew, now and by the next cargo that is not run by a test.
pub fn cargo() -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    on_this_package(Command::new(cargo))
}

/// Anything that runs cargo, such as make, in the same way.
pub fn on_this_package(mut command: Command) -> Command {
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "OUT_DIR" || text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    if let Some(target) = option_env!("CARGO_TARGET_TMPDIR").and_then(|tmp| Path::new(tmp).parent()) {
        command.env("CARGO_TARGET_DIR", target);
    }
    command
}

/// A name that no other test of this process or of another one that runs now has.
pub fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{stem}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A directory of one test, removed at drop.
///
/// What a killed test run left behind is removed by the next one: a directory's name carries the
/// process that made it.
pub struct TempDir(PathBuf);

impl TempDir {
    #[track_caller]
    pub fn new(stem: &str) -> Self {
        let base = temp_base();
        sweep(&base);
        let dir = base.join(unique(&format!("zkhelper-{stem}")));
        std::fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("cannot make {}: {e}", dir.display()));
        Self(dir)
    }

    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Cargo's directory for the files of integration tests; elsewhere (an example) the system's.
fn temp_base() -> PathBuf {
    option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

fn sweep(base: &std::path::Path) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|n| n.starts_with("zkhelper-")) else { continue };
            let owner = name.rsplit('-').nth(1).and_then(|pid| pid.parse::<u32>().ok());
            if owner.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    });
}
