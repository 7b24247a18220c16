//! The conformance scenarios of `conformance.md` in Rust, on Apache ZooKeeper and on the embedded server.

#![allow(clippy::duplicate_mod, reason = "the same scenarios for each server")]

#[path = "conformance/ground.rs"]
mod ground;
mod support;

#[path = "conformance"]
mod zookeeper {
    mod client;
    mod election;
    mod errors;
    mod lent;
    mod mutex;
    mod persistent;
    mod pid_node;
    mod plain;
    mod queue_lock;
    mod strict;
    mod tree;
    mod watch;

    /// The server that the scenarios share.
    pub(crate) fn address() -> String {
        crate::support::zookeeper::shared_single().connect_string()
    }
}

#[path = "conformance"]
mod embedded {
    mod client;
    mod election;
    mod errors;
    mod lent;
    mod mutex;
    mod persistent;
    mod pid_node;
    mod plain;
    mod queue_lock;
    mod strict;
    mod tree;
    mod watch;

    /// The server that the scenarios share.
    pub(crate) fn address() -> String {
        crate::ground::embedded_server().address().to_owned()
    }
}

/// The scenarios with a server of their own run once.
#[path = "conformance/faults.rs"]
mod faults;

/// The scenarios in C and C++, each as one program.
#[cfg(feature = "capi")]
mod programs {
    use crate::support::TempDir;
    use crate::support::installed::{How, ROOT, installed, run};
    use crate::support::process::Program;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::LazyLock;

    /// How many processes share the scenarios of a server: most of them wait most of the time.
    const SHARES: usize = 3;

    /// Number, place and name of each scenario.
    fn scenarios() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        include_str!("conformance/scenarios.txt").lines().map(|line| {
            let mut words = line.split(' ');
            let mut word = || words.next().expect("a number, a place and a name");
            (word(), word(), word())
        })
    }

    /// The source files of a language, and a directory with the table of those scenarios that they have.
    fn sources(language: &str) -> (TempDir, Vec<PathBuf>) {
        let dir = TempDir::new("conformance");
        let below = Path::new(ROOT).join("tests/conformance").join(language);
        let mut sources: Vec<_> = std::fs::read_dir(below)
            .expect("sources")
            .map(|entry| entry.expect("a file").path())
            .filter(|path| path.extension().is_some_and(|e| e == language))
            .collect();
        sources.sort();
        let table: String = scenarios()
            .filter(|scenario| !left_out(language, scenario.0))
            .map(|(number, place, name)| format!("S({number}, {place}, s{number:0>2}_{name}, \"{name}\")\n"))
            .collect();
        std::fs::write(dir.path().join("scenarios.inc"), table).expect("written");
        (dir, sources)
    }

    /// A program lends its connection in C; `conformance_list.rs` leaves out the same.
    fn left_out(language: &str, number: &str) -> bool {
        language == "cpp" && (105..=109).any(|lent| lent.to_string() == number)
    }

    /// The program of a language, and the directory that it is in.
    fn program(language: &str) -> &'static Path {
        static C: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
            let (dir, sources) = sources("c");
            let program = installed().compile_all(&dir, "conformance", &sources, How::Shared);
            (dir, program)
        });
        // One file that includes all: the header is read once.
        static CPP: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
            let (dir, sources) = sources("cpp");
            let all = dir.path().join("all.cpp");
            let includes: String =
                sources.iter().map(|source| format!("#include \"{}\"\n", source.display())).collect();
            std::fs::write(&all, includes).expect("written");
            let program = dir.path().join("conformance");
            let mut compiler = Command::new("clang++");
            compiler.args([
                "-std=c++17",
                "-Wall",
                "-Wextra",
                "-pedantic",
                "-Werror",
                "-Wshadow",
                "-Wconversion",
            ]);
            compiler.args(["-g1", "-pthread", "-o"]).arg(&program).arg(all).arg("-I").arg(dir.path());
            run(compiler.args(installed().pkg_config(&["--cflags", "--libs"])));
            (dir, program)
        });
        if language == "c" { &C.1 } else { &CPP.1 }
    }

    fn all_pass_on(language: &str, address: &str, place: &str) {
        let wanted: Vec<_> =
            scenarios().filter(|scenario| scenario.1 == place && !left_out(language, scenario.0)).collect();
        let start = |share: usize| {
            let mut command = installed().command(program(language), How::Shared);
            command.arg(address).args(wanted.iter().skip(share).step_by(SHARES).map(|scenario| scenario.0));
            Program::spawn(command)
        };
        let running: Vec<_> = (0..SHARES).map(start).collect();
        let output: String =
            running.into_iter().map(|mut share| share.wait_success(crate::ground::LIMIT * 3)).collect();
        for (number, _, name) in wanted {
            let line = format!("ok {number} {name}");
            assert_eq!(output.lines().filter(|told| **told == line).count(), 1, "{line}\n{output}");
        }
    }

    #[test]
    fn c_passes_on_zookeeper() {
        all_pass_on("c", &crate::zookeeper::address(), "both");
    }

    #[test]
    fn c_passes_on_the_embedded_server() {
        all_pass_on("c", &crate::embedded::address(), "both");
    }

    #[test]
    fn c_passes_on_servers_of_its_own() {
        all_pass_on("c", "embedded", "own");
    }

    #[test]
    fn cpp_passes_on_zookeeper() {
        all_pass_on("cpp", &crate::zookeeper::address(), "both");
    }

    #[test]
    fn cpp_passes_on_the_embedded_server() {
        all_pass_on("cpp", &crate::embedded::address(), "both");
    }

    #[test]
    fn cpp_passes_on_servers_of_its_own() {
        all_pass_on("cpp", "embedded", "own");
    }
}
