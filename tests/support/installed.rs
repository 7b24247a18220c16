//! The library as a user has it, installed, and C programs compiled against it.

use super::{TempDir, cargo, on_this_package};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

pub const STRICT: [&str; 5] = ["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror"];

pub fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target directory").to_owned()
}

/// Runs a command to its good end, and answers with what it printed.
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

/// The library as a user has it: installed by `make install` below a directory of its own.
pub struct Installed {
    prefix: TempDir,
}

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

    pub fn lib(&self) -> PathBuf {
        self.prefix().join("lib")
    }

    /// The directory of a library that has AddressSanitizer in itself, made with the standard library as it is.
    fn instrumented() -> PathBuf {
        let target = target().join("address-sanitizer");
        let triple = run(Command::new("rustc").arg("-vV"));
        let triple = triple.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
        let mut build = cargo();
        build.args(["build", "--quiet", "--release", "--locked", "--lib", "--features", "capi"]);
        build.args(["--target", triple]).env("CARGO_TARGET_DIR", &target);
        build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
        run(&mut build);
        let dir = target.join(triple).join("release");
        let soname = dir.join("libzkhelper.so.0");
        let _ = std::fs::remove_file(&soname);
        std::os::unix::fs::symlink("libzkhelper.so", soname).expect("a link");
        dir
    }

    pub fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.args(arguments).arg("zkhelper").env("PKG_CONFIG_PATH", self.lib().join("pkgconfig"));
        run(&mut command).split_whitespace().map(str::to_owned).collect()
    }

    /// Compiles a program, and answers with where it is.
    pub fn compile(&self, dir: &TempDir, source: &str, how: How) -> PathBuf {
        let name = Path::new(source).file_stem().and_then(|stem| stem.to_str()).expect("a name");
        self.compile_all(dir, name, &[Path::new(ROOT).join(source)], how)
    }

    /// Compiles several files, which may include others of that directory, into the program `name`.
    pub fn compile_all(&self, dir: &TempDir, name: &str, sources: &[PathBuf], how: How) -> PathBuf {
        let program = dir.path().join(format!("{name}-{how:?}"));
        let mut cc = Command::new("cc");
        cc.args(STRICT).args(["-g", "-pthread", "-o"]).arg(&program).args(sources);
        cc.arg("-I").arg(dir.path()).args(self.pkg_config(&["--cflags"]));
        match how {
            How::Shared | How::Valgrind => cc.args(self.pkg_config(&["--libs"])),
            How::Sanitized | How::Instrumented => cc
                .args([
                    "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all",
                    "-fno-omit-frame-pointer",
                ])
                .args(self.pkg_config(&["--libs"])),
            How::Archive => {
                let others = self.pkg_config(&["--libs", "--static"]);
                cc.arg(self.lib().join("libzkhelper.a"));
                cc.args(others.into_iter().filter(|flag| flag != "-lzkhelper"))
            }
            How::Static => cc.arg("-static").args(self.pkg_config(&["--libs", "--static"])),
        };
        run(&mut cc);
        program
    }

    /// A command that runs a program.
    pub fn command(&self, program: &Path, how: How) -> Command {
        let mut command = match how {
            How::Valgrind => {
                let mut valgrind = Command::new("valgrind");
                valgrind.args([
                    "--error-exitcode=9",
                    "--leak-check=full",
                    "--errors-for-leak-kinds=definite",
                    "--show-leak-kinds=definite",
                    "--num-callers=30",
                    "-q",
                ]);
                valgrind.arg(program);
                valgrind
            }
            _ => Command::new(program),
        };
        let lib = if how == How::Instrumented { Self::instrumented() } else { self.lib() };
        command.env("LD_LIBRARY_PATH", lib);
        command
    }
}

/// How a program is linked and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Shared,
    /// The static archive of this library in a program that is otherwise dynamic.
    Archive,
    /// No shared library at all.
    Static,
    /// AddressSanitizer (with its search for leaks) and UndefinedBehaviorSanitizer.
    Sanitized,
    /// The same, and the library has AddressSanitizer in itself.
    Instrumented,
    Valgrind,
}
