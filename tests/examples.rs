//! The example programs in Rust, on Apache ZooKeeper and on the embedded server. Those in C and C++ are run by `capi.rs`
//! and `cpp.rs`, in Python by `scripts/python.sh`, in Go by `scripts/go.sh`; those with TLS by `tls.rs`.

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use support::process::Program;
use support::zookeeper::shared_single;

/// Ends a test that hangs; no working test comes near it, on a slow machine either.
const LIMIT: Duration = Duration::from_secs(600);

/// The examples as they are built with these tests, which a run of single tests alone does not do.
fn directory() -> &'static PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let mut features: Vec<&str> = Vec::new();
        features.extend(cfg!(feature = "capi").then_some("capi"));
        features.extend(cfg!(feature = "tls").then_some("tls"));
        features.extend(cfg!(feature = "simulation").then_some("simulation"));
        let mut build = support::cargo();
        build.args(["build", "--quiet", "--locked", "--examples", "--features", &features.join(",")]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo").success());
        let tests = std::env::current_exe().expect("this program");
        tests.ancestors().nth(2).expect("a directory").join("examples")
    })
}

fn start(name: &str, arguments: &[&str]) -> Program {
    let mut command = Command::new(directory().join(name));
    command.args(arguments);
    Program::spawn(command)
}

#[test]
fn each_example_does_as_it_says_on_both_servers() {
    let address = shared_single().connect_string();
    let path = format!("/{}", support::unique("example"));
    for here in [address.as_str(), "embedded"] {
        for (name, more, lines) in [
            ("lock", vec![], &["held; the fencing token is "][..]),
            ("lock_async", vec![], &["ann holds the lock", "bob holds the lock", "cid holds the lock"]),
            ("watchful", vec![], &["step 1 under token ", "step 3 under token "]),
            ("guarded", vec![], &["the late write is refused", "the report says \"in time\""]),
            (
                "nodes",
                vec![],
                &["/a: \"hello!\", version 1, until it is", "/b: \"bye\", version 0, until this"],
            ),
            ("tree", vec![], &["  /zk/tree/nyc/shards/1", "  sfo/shards/0", "deleted"]),
            ("queue_lock", vec![], &["working on job-", "done"]),
            ("pid_node", vec![], &["the node is there", "the node is lost (", "the node is gone"]),
            ("elector", vec!["0"], &["leads with token ", "ended"]),
            ("handover", vec!["ann", &path, "3", "1", "4000"], &["ann pid=", " holds token=", "is done"]),
        ] {
            let arguments: Vec<_> = [here].into_iter().chain(more).collect();
            let output = start(name, &arguments).wait_success(LIMIT);
            assert!(lines.iter().all(|line| output.contains(line)), "{name} {arguments:?}: {output}");
        }
    }
    let output = start("watch", &[]).wait_success(LIMIT);
    for line in ["/watched created", "/watched changed", "/watched deleted", "there is no node"] {
        assert!(output.contains(line), "{output}");
    }
}

/// The holder, one who looks, and one who asks.
#[test]
fn the_example_of_a_persistent_lock_gives_it_up_when_it_is_asked() {
    let address = shared_single().connect_string();
    let path = format!("/{}", support::unique("example"));
    let run = |words: &[&str]| {
        let arguments: Vec<_> = [address.as_str(), &path].into_iter().chain(words.iter().copied()).collect();
        start("persistent", &arguments)
    };
    let mut holder = run(&["hold"]);
    holder.wait_for_line("held; the fencing token is ", LIMIT);
    let list = run(&["list"]).wait_success(LIMIT);
    assert!(list.contains(&format!("owner=Living pid={}", holder.pid())), "{list}");
    assert!(!run(&["release"]).wait(LIMIT).success());
    run(&["ask", "somebody else's turn"]).wait_success(LIMIT);
    holder.wait_for_line(": somebody else's turn", LIMIT);
    holder.wait_success(LIMIT);
    assert_eq!(run(&["list"]).wait_success(LIMIT), "");
    assert!(run(&["release"]).wait_success(LIMIT).contains("nobody holds it"));
}

/// As in the demo: the leader is killed, and the other one takes over.
#[test]
fn the_example_of_a_candidate_takes_over_from_one_that_is_killed() {
    let address = shared_single().connect_string();
    let path = format!("/{}", support::unique("example"));
    let stand = |name: &str| start("candidate", &[&address, name, &path, "2000", "1000"]);
    let mut ann = stand("ann");
    ann.wait_for_line(" leads token=", LIMIT);
    let mut bob = stand("bob");
    bob.wait_for_line(" stands", LIMIT);
    ann.kill();
    bob.wait_for_line(" leads token=", LIMIT);
    bob.kill();
}
