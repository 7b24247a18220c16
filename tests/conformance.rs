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

/// The scenarios in C, as one program.
#[cfg(feature = "capi")]
mod c {
    use crate::support::TempDir;
    use crate::support::installed::{How, ROOT, installed};
    use crate::support::process::Program;
    use std::path::{Path, PathBuf};
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

    /// The program, and the directory that it is in.
    fn program() -> &'static Path {
        static PROGRAM: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
            let dir = TempDir::new("conformance");
            let table: String = scenarios()
                .map(|(number, place, name)| {
                    format!("S({number}, {place}, s{number:0>2}_{name}, \"{name}\")\n")
                })
                .collect();
            std::fs::write(dir.path().join("scenarios.inc"), table).expect("written");
            let sources = Path::new(ROOT).join("tests/conformance/c");
            let mut sources: Vec<_> = std::fs::read_dir(sources)
                .expect("sources")
                .map(|entry| entry.expect("a file").path())
                .filter(|path| path.extension().is_some_and(|e| e == "c"))
                .collect();
            sources.sort();
            let program = installed().compile_all(&dir, "conformance", &sources, How::Shared);
            (dir, program)
        });
        &PROGRAM.1
    }

    fn all_pass_on(address: &str, place: &str) {
        let wanted: Vec<_> = scenarios().filter(|scenario| scenario.1 == place).collect();
        let start = |share: usize| {
            let mut command = installed().command(program(), How::Shared);
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
    fn all_pass_on_zookeeper() {
        all_pass_on(&crate::zookeeper::address(), "both");
    }

    #[test]
    fn all_pass_on_the_embedded_server() {
        all_pass_on(&crate::embedded::address(), "both");
    }

    #[test]
    fn all_pass_on_servers_of_their_own() {
        all_pass_on("embedded", "own");
    }
}
