//! The library as a user has it: installed by `make install` below a directory of its own.

use super::{TempDir, on_this_package};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The root of the repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs a command that has to succeed, and answers with what it printed on standard output.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out
}

/// The build tool, without its job slots and settings that this test was started with.
pub fn make() -> Command {
    let mut make = on_this_package(Command::new("make"));
    make.env_remove("MAKEFLAGS").env_remove("CARGO_MAKEFLAGS");
    make
}

/// The installed library.
pub struct Installed {
    prefix: TempDir,
}

/// The one that the tests of a program share.
pub fn installed() -> &'static Installed {
    static INSTALLED: OnceLock<Installed> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let prefix = TempDir::new("install");
        run(make().arg("install").arg(format!("PREFIX={}", prefix.path().display())));
        Installed { prefix }
    })
}

impl Installed {
    /// The directory that it was installed below.
    pub fn prefix(&self) -> &Path {
        self.prefix.path()
    }

    /// Where the libraries are.
    pub fn lib(&self) -> PathBuf {
        self.prefix().join("lib")
    }

    /// What `pkg-config` says of it.
    pub fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.args(arguments).arg("zkhelper").env("PKG_CONFIG_PATH", self.lib().join("pkgconfig"));
        run(&mut command).split_whitespace().map(str::to_owned).collect()
    }
}
