//! The C ABI from C: programs of `tests/capi`, compiled against the installed library and run on Apache
//! ZooKeeper, as they are and under AddressSanitizer and valgrind.

#![cfg(feature = "capi")]

mod support;

use nix::sys::signal::Signal;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::installed::{How, ROOT, STRICT, installed, run, target};
use support::process::Program;
use support::proxy::Proxy;
use support::zookeeper::{Ensemble, Flavor, shared_single};
use support::{TempDir, eventually};

/// Ends a test that hangs; no working test comes near it, on a slow machine either.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs a program on the shared server in every way, with an argument of its own for each.
fn in_every_way(source: &str, ways: &[(How, &str)], last_line: &str) {
    on_server(&shared_single().connect_string(), source, ways, last_line);
}

/// The same on a server at this address, which may be "embedded".
fn on_server(address: &str, source: &str, ways: &[(How, &str)], last_line: &str) {
    let dir = TempDir::new("capi");
    for (how, argument) in ways {
        let program = installed().compile(&dir, source, *how);
        let mut command = installed().command(&program, *how);
        command.arg(address).arg(argument);
        let output = Program::spawn(command).wait_success(LIMIT);
        assert!(output.trim_end().ends_with(last_line), "{source}, {how:?}:\n{output}");
    }
}

#[test]
fn exactly_the_committed_symbols_are_exported() {
    let library = installed().lib().join("libzkhelper.so");
    let table = run(Command::new("nm").args(["-D", "--defined-only"]).arg(&library));
    let mut names: Vec<_> = table.lines().filter_map(|line| line.split_whitespace().last()).collect();
    names.sort_unstable();
    let committed = include_str!("capi/symbols.txt");
    assert_eq!(names, committed.lines().collect::<Vec<_>>());
    assert!(names.iter().all(|name| name.starts_with("zkh_")));

    let header = include_str!("../include/zkhelper.h");
    for name in names {
        assert!(header.contains(&format!("{name}(")), "{name} is not in the header");
    }

    let dynamic = run(Command::new("readelf").arg("-d").arg(&library));
    assert!(dynamic.contains("soname: [libzkhelper.so.0]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

#[test]
fn the_header_is_what_the_source_makes_it() {
    let arguments =
        ["run", "--quiet", "--locked", "--features", "capi,tls", "--example", "gen_header", "--", "--check"];
    run(support::cargo().args(arguments));
}

#[test]
fn misuse_gets_a_status_and_a_message() {
    let ways = [(How::Shared, "20"), (How::Archive, "2"), (How::Sanitized, "3"), (How::Valgrind, "2")];
    in_every_way("tests/capi/misuse.c", &ways, "each misuse was told of");
}

#[test]
fn each_loss_is_told_once_with_its_reason_and_the_embedded_server_shows_it() {
    let ways = [(How::Shared, ""), (How::Archive, ""), (How::Sanitized, ""), (How::Valgrind, "")];
    in_every_way("tests/capi/lease.c", &ways, "each loss was told once");
}

#[test]
fn persistent_locks_are_listed_asked_for_and_released_and_guarded_writes_fail_once_one_is_lost() {
    let ways = [(How::Shared, ""), (How::Archive, ""), (How::Sanitized, ""), (How::Valgrind, "")];
    in_every_way("tests/capi/persistent.c", &ways, "nobody had it twice");
}

/// Its owner is killed; it is shown as gone, and released.
#[test]
fn the_persistent_example_outlasts_its_owner() {
    let dir = TempDir::new("capi");
    let program = installed().compile(&dir, "examples/c/persistent.c", How::Shared);
    let server = Ensemble::single(Flavor::Debian);
    let start = |arguments: &[&str]| {
        let mut command = installed().command(&program, How::Shared);
        command.args([&server.connect_string(), "/zk/example"]).args(arguments);
        Program::spawn(command)
    };
    let mut first = start(&["hold"]);
    first.wait_for_line("held; the fencing token is ", LIMIT);
    let list = || start(&["list"]).wait_success(LIMIT);
    assert!(list().contains(&format!("owner=living process {} on ", first.pid())), "{}", list());
    assert!(list().ends_with("ms: a migration\n"), "{}", list());
    first.kill();
    eventually(LIMIT, "the end of its session", || list().contains("owner=gone").then_some(()));
    let mut second = start(&["hold"]);
    eventually(LIMIT, "a second one", || (list().lines().count() == 2).then_some(()));
    assert!(start(&["release"]).wait_success(LIMIT).contains("released lock-0000000000"));
    second.wait_for_line("held; the fencing token is ", LIMIT);
    start(&["ask", "the night is over"]).wait_success(LIMIT);
    assert!(second.wait_success(LIMIT).contains(": the night is over"));
    assert_eq!(list(), "");
    assert_eq!(start(&["ask"]).wait(LIMIT).code(), Some(2));
}

#[test]
fn callbacks_come_once_whatever_is_cancelled_and_freed() {
    let ways = [(How::Shared, "200"), (How::Archive, "20"), (How::Sanitized, "30"), (How::Valgrind, "10")];
    in_every_way("tests/capi/async.c", &ways, "each callback came once");
}

#[test]
fn each_wait_ends_as_it_should_whichever_thread_carries() {
    let ways = [(How::Shared, "100"), (How::Archive, "20"), (How::Sanitized, "20"), (How::Valgrind, "3")];
    in_every_way("tests/capi/waiting.c", &ways, "each wait ended as it should");
    on_server("embedded", "tests/capi/waiting.c", &ways[..1], "each wait ended as it should");
}

#[test]
fn each_callback_comes_once_also_where_the_thread_of_the_call_lingers() {
    let ways = [(How::Shared, "100"), (How::Archive, "20"), (How::Sanitized, "20"), (How::Valgrind, "3")];
    in_every_way("tests/capi/lingering.c", &ways, "each callback came once, and alone");
    on_server("embedded", "tests/capi/lingering.c", &ways[..1], "each callback came once, and alone");
}

#[test]
fn each_operation_answers_and_refuses_as_it_says() {
    let ways = [(How::Shared, ""), (How::Static, ""), (How::Sanitized, ""), (How::Valgrind, "")];
    in_every_way("tests/capi/ops.c", &ways, "each operation was as it says");
    let ways = [(How::Shared, ""), (How::Sanitized, "")];
    on_server("embedded", "tests/capi/ops.c", &ways, "each operation was as it says");
}

#[test]
fn each_watch_tells_what_it_saw_and_ends_when_it_is_freed() {
    let ways = [(How::Shared, "500"), (How::Static, "50"), (How::Sanitized, "50"), (How::Valgrind, "20")];
    in_every_way("tests/capi/watches.c", &ways, "each watch told what it saw");
    let ways = [(How::Shared, "500"), (How::Sanitized, "50")];
    on_server("embedded", "tests/capi/watches.c", &ways, "each watch told what it saw");
}

#[test]
fn a_term_whose_task_is_no_thread_ends_by_a_call() {
    let ways = [(How::Shared, ""), (How::Sanitized, ""), (How::Valgrind, "")];
    in_every_way("tests/capi/terms.c", &ways, "each term was ended once");
    on_server("embedded", "tests/capi/terms.c", &ways[..1], "each term was ended once");
}

#[test]
fn each_term_of_a_leader_begins_and_ends_once() {
    let ways = [(How::Shared, "30"), (How::Archive, "3"), (How::Sanitized, "10"), (How::Valgrind, "3")];
    in_every_way("tests/capi/elections.c", &ways, "each term was begun and ended once");
    on_server("embedded", "tests/capi/elections.c", &ways[..1], "each term was begun and ended once");
}

#[test]
fn each_recipe_answers_and_refuses_as_it_says() {
    let ways = [(How::Shared, ""), (How::Static, ""), (How::Sanitized, ""), (How::Valgrind, "")];
    in_every_way("tests/capi/recipes.c", &ways, "each recipe was as it says");
    let ways = [(How::Shared, ""), (How::Sanitized, "")];
    on_server("embedded", "tests/capi/recipes.c", &ways, "each recipe was as it says");
}

#[test]
fn the_examples_of_recipes_work_on_both_servers() {
    let dir = TempDir::new("capi");
    for (source, lines) in [
        ("examples/c/tree.c", ["  /zk/tree/nyc/shards/1", "  sfo/shards/0", "deleted"]),
        ("examples/c/queue_lock.c", ["working on job-", "job-000000000", "done"]),
        ("examples/c/pid_node.c", ["the node is there", "the node is lost (3)", "the node is gone"]),
        ("examples/c/guarded.c", ["the late write is refused", "the report says ", "\"in time\""]),
        ("examples/c/lock_async.c", ["ann holds the lock", "bob holds the lock", "cid holds the lock"]),
    ] {
        for how in [How::Shared, How::Sanitized] {
            let program = installed().compile(&dir, source, how);
            for address in [Some(shared_single().connect_string()), None] {
                let mut command = installed().command(&program, how);
                command.args(address);
                let output = Program::spawn(command).wait_success(LIMIT);
                assert!(lines.iter().all(|line| output.contains(line)), "{source}, {how:?}: {output}");
            }
        }
    }
}

#[test]
fn a_lent_connection_carries_locks_and_says_what_it_cannot_know() {
    let ways = [(How::Shared, ""), (How::Sanitized, ""), (How::Valgrind, "")];
    in_every_way("tests/capi/lent.c", &ways, "the lent connection carried them");
    on_server("embedded", "tests/capi/lent.c", &[(How::Shared, "")], "the lent connection carried them");
}

#[test]
fn the_checkers_see_what_is_wrong() {
    let dir = TempDir::new("capi");
    for (source, in_asan, in_valgrind) in [
        ("tests/capi/wrong.c", "heap-use-after-free", "Invalid read"),
        ("tests/capi/leak.c", "detected memory leaks", "definitely lost"),
    ] {
        for (how, text) in [(How::Sanitized, in_asan), (How::Valgrind, in_valgrind)] {
            let program = installed().compile(&dir, source, how);
            let mut program = Program::spawn(installed().command(&program, how));
            let status = program.wait(LIMIT);
            let output = program.output();
            assert!(!status.success() && output.contains(text), "{source}, {how:?}: {status}\n{output}");
        }
    }
}

#[test]
fn the_watchful_example_works_on_both_servers() {
    let dir = TempDir::new("capi");
    let program = installed().compile(&dir, "examples/c/watchful.c", How::Shared);
    for address in [Some(shared_single().connect_string()), None] {
        let mut command = installed().command(&program, How::Shared);
        command.args(address);
        let output = Program::spawn(command).wait_success(LIMIT);
        assert!(output.contains("step 3 under token "), "{output}");
    }
}

#[test]
fn the_examples_of_nodes_and_watches_work_on_both_servers() {
    let dir = TempDir::new("capi");
    for how in [How::Shared, How::Sanitized] {
        for (source, arguments, lines) in [
            (
                "examples/c/nodes.c",
                vec![shared_single().connect_string()],
                ["/a: \"hello!\", version 1", "/b: \"bye\""],
            ),
            ("examples/c/nodes.c", vec![], ["/a: \"hello!\", version 1", "/b: \"bye\""]),
            ("examples/c/watch.c", vec![], ["/watched created", "/watched deleted"]),
        ] {
            let program = installed().compile(&dir, source, how);
            let mut command = installed().command(&program, how);
            command.args(arguments);
            let output = Program::spawn(command).wait_success(LIMIT);
            assert!(lines.iter().all(|line| output.contains(line)), "{source}, {how:?}: {output}");
        }
    }
    // With somebody else who changes what it watches.
    let program = installed().compile(&dir, "examples/c/watch.c", How::Shared);
    let mut command = installed().command(&program, How::Shared);
    command.args([&shared_single().connect_string(), "/"]);
    let mut watch = Program::spawn(command);
    watch.wait_for_line("watching /", LIMIT);
    let nodes = installed().compile(&dir, "examples/c/nodes.c", How::Shared);
    let mut command = installed().command(&nodes, How::Shared);
    command.arg(shared_single().connect_string());
    Program::spawn(command).wait_success(LIMIT);
    watch.wait_for_line("/b created", LIMIT);
    watch.write_line("");
    watch.wait_success(LIMIT);
}

#[test]
fn the_example_of_an_election_hands_over_to_another_process() {
    let dir = TempDir::new("capi");
    let program = installed().compile(&dir, "examples/c/elector.c", How::Sanitized);
    let output = Program::spawn({
        let mut command = installed().command(&program, How::Sanitized);
        command.args(["embedded", "1"]);
        command
    })
    .wait_success(LIMIT);
    assert!(output.contains("leads with token") && output.contains("ended"), "{output}");
    let start = || {
        let mut command = installed().command(&program, How::Sanitized);
        command.arg(shared_single().connect_string());
        Program::spawn(command)
    };
    let mut first = start();
    first.wait_for_line("leads with token", LIMIT);
    let mut second = start();
    first.signal(Signal::SIGINT);
    first.wait_success(LIMIT);
    second.wait_for_line("leads with token", LIMIT);
    second.signal(Signal::SIGINT);
    second.wait_success(LIMIT);
}

/// The connection is the Apache C client's, whose own memory is not ours to judge.
#[test]
fn the_example_of_a_lent_connection_locks_over_the_apache_client() {
    let dir = TempDir::new("capi");
    let program = dir.path().join("lent");
    let mut cc = Command::new("cc");
    cc.args(STRICT).args(["-g", "-pthread", "-fsanitize=address,undefined", "-o"]).arg(&program);
    cc.arg(Path::new(ROOT).join("examples/c/lent.c")).args(installed().pkg_config(&["--cflags", "--libs"]));
    run(cc.arg("-lzookeeper_mt"));
    let mut command = installed().command(&program, How::Sanitized);
    command.arg(shared_single().connect_string());
    let output = Program::spawn(command).wait_success(LIMIT);
    assert!(output.contains("held over session "), "{output}");
}

#[test]
fn the_example_works_shared_and_static() {
    let dir = TempDir::new("capi");
    let address = shared_single().connect_string();
    for how in [How::Shared, How::Archive, How::Static, How::Sanitized] {
        let program = installed().compile(&dir, "examples/c/lock.c", how);
        let mut command = installed().command(&program, how);
        command.arg(&address);
        let output = Program::spawn(command).wait_success(LIMIT);
        assert!(output.contains("held; the fencing token is "), "{how:?}: {output}");
        let needed = run(Command::new("readelf").arg("-d").arg(&program)).contains("libzkhelper.so.0");
        assert_eq!(needed, matches!(how, How::Shared | How::Sanitized), "{how:?}");
    }
}

/// As [`LIMIT`], where the Python module has to be built first.
const DEMO_LIMIT: Duration = Duration::from_secs(1800);

/// The demo, whose files and processes are below a directory of its own.
fn demo(dir: &TempDir, arguments: &[String]) -> Command {
    installed();
    let mut demo = Command::new("sh");
    demo.arg(format!("{ROOT}/examples/demo.sh")).args(arguments);
    demo.env("CARGO_TARGET_DIR", target()).env("TMPDIR", dir.path());
    demo
}

/// Nothing of the demo is left: no process that it started, and no file.
fn is_over(dir: &TempDir) {
    let of_it = format!("TMPDIR={}", dir.path().display()).into_bytes();
    for process in std::fs::read_dir("/proc").expect("the processes") {
        let path = process.expect("one").path();
        // One that has just ended cannot be read.
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        let left = environment.split(|byte| *byte == 0).any(|variable| variable == of_it);
        assert!(!left, "{} is left", path.display());
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("the directory").count(), 0);
}

#[test]
fn the_demo_shows_what_it_says() {
    let dir = TempDir::new("demo");
    let output = Program::spawn(demo(&dir, &[shared_single().connect_string()])).wait_success(DEMO_LIMIT);
    assert!(
        output.contains("the tokens grew each time") && output.contains("with a greater token"),
        "{output}"
    );
    // On each of the two servers.
    for language in ["C", "C++", "Python", "Go"] {
        let leads =
            |line: &&str| line.starts_with(&format!("   {language} ")) && line.contains(" leads (process ");
        assert_eq!(output.lines().filter(leads).count(), 2, "{language}:\n{output}");
    }
    assert_eq!(output.matches(" s after the one before was killed\n").count(), 6, "{output}");
    is_over(&dir);
}

/// What the tools of a language make here ends at once; the tools of another one are not there.
#[test]
fn a_demo_that_fails_says_why_and_ends_what_it_started() {
    let (dir, tools) = (TempDir::new("demo"), TempDir::new("tools"));
    let go = tools.path().join("go");
    let text =
        "#!/bin/sh\n# go build -o PROGRAM FILE\nprintf '#!/bin/sh\\nexit 3\\n' >\"$3\" && chmod +x \"$3\"\n";
    std::fs::write(&go, text).expect("a file");
    run(Command::new("chmod").arg("+x").arg(&go));
    let path = std::env::var("PATH").expect("a path");
    let mut demo = demo(&dir, &[]);
    demo.env("PATH", format!("{}:{path}", tools.path().display())).env("CXX", "no-such-compiler");
    let mut demo = Program::spawn(demo);
    let status = demo.wait(DEMO_LIMIT);
    let output = demo.output();
    assert!(!status.success(), "{output}");
    assert!(output.contains("C++ is left out: there is no C++ compiler.\n"), "{output}");
    assert!(output.contains("in this order: C Python Go."), "{output}");
    assert!(output.contains("demo: Go does not stand in the election\n"), "{output}");
    is_over(&dir);
}

/// With `make prove`: the library's own code is instrumented too, which takes a build of its own.
#[test]
fn an_instrumented_library_is_clean() {
    if std::env::var_os("ZKHELPER_PROVE").is_none() {
        return;
    }
    let dir = TempDir::new("capi");
    let program = installed().compile(&dir, "tests/capi/twice.c", How::Instrumented);
    let mut twice = Program::spawn(installed().command(&program, How::Instrumented));
    let status = twice.wait(LIMIT);
    let output = twice.output();
    assert!(!status.success() && output.contains("in zkh_error_free"), "{status}\n{output}");
    assert!(output.contains("ERROR: AddressSanitizer: heap-use-after-free"), "{output}");
    in_every_way("tests/capi/misuse.c", &[(How::Instrumented, "20")], "each misuse was told of");
    in_every_way("tests/capi/async.c", &[(How::Instrumented, "300")], "each callback came once");
}

/// The state callback: every state, with the session that was lost and the new one.
#[test]
fn a_lost_session_is_told_with_the_old_and_the_new_one() {
    let dir = TempDir::new("capi");
    let server = Ensemble::single(Flavor::Debian);
    let proxy = Proxy::new(server.address(0));
    let program = installed().compile(&dir, "tests/capi/states.c", How::Shared);
    let mut command = installed().command(&program, How::Shared);
    command.arg(proxy.address().to_string());
    let mut program = Program::spawn(command);
    program.wait_for_line("held", LIMIT);
    let old = *server.sessions().first().expect("a session");
    proxy.refuse(true);
    proxy.cut_now();
    eventually(LIMIT, "the session's end", || server.sessions().is_empty().then_some(()));
    proxy.refuse(false);
    program.wait_for_line(&format!("lost session=0 previous={old:x} reason="), LIMIT);
    let connected = program.wait_for_line("connected session=", LIMIT).text;
    let new = *server.sessions().first().expect("a new session");
    assert!(connected.starts_with(&format!("connected session={new:x} previous={old:x} ")), "{connected}");
    program.write_line("");
    program.wait_for_line("over", LIMIT);
    program.wait_success(LIMIT);

    let states: Vec<_> = program.lines().into_iter().map(|line| line.text).collect();
    let first_words: Vec<_> = states.iter().filter_map(|line| line.split(' ').next()).collect();
    let expected =
        ["connecting", "connected", "suspended", "lost", "connected", "closed", "destroyed", "over"];
    let told: Vec<_> = first_words.into_iter().filter(|word| *word != "held").collect();
    assert_eq!(told, expected, "{states:#?}");
}

/// A host that leaves SIGPIPE as it is dies of a write to a connection that was reset, unless its library
/// takes care.
#[test]
fn a_host_with_default_signals_survives_reset_connections() {
    let dir = TempDir::new("capi");
    let proxy = Proxy::new(shared_single().address(0));
    let program = installed().compile(&dir, "tests/capi/reset.c", How::Shared);
    let mut command = installed().command(&program, How::Shared);
    command.arg(proxy.address().to_string());
    let mut program = Program::spawn(command);
    for round in 1..=40 {
        program.write_line("");
        // Resets meet it at every point: idle, before and after a request, and while it connects.
        for _ in 0..round % 4 {
            std::thread::sleep(Duration::from_millis(round % 7));
            proxy.cut_now();
        }
        program.wait_for_line(&round.to_string(), LIMIT);
    }
    assert!(program.wait_success(LIMIT).ends_with("over\n"));
    assert!(proxy.connections() > 20, "only {} connections", proxy.connections());
}

/// 10,000 waiting locks of one thread: no thread for each, none lost by a server's restart, none left behind.
#[test]
fn ten_thousand_locks_wait_without_threads_through_a_restart() {
    const PATHS: u64 = 100;
    const WAITERS: u64 = 100;
    let server = Ensemble::build(Flavor::Debian).max_session_timeout(Duration::from_secs(60)).start();
    let nodes = || server.metric(0, "zk_ephemerals_count");
    // A server that has only just started may leave the question unanswered.
    let counted = || eventually(LIMIT, "the number of nodes", nodes);
    let dir = TempDir::new("capi");
    let program = installed().compile(&dir, "tests/capi/many.c", How::Shared);
    let mut command = installed().command(&program, How::Shared);
    command.arg(server.connect_string()).arg("/many").args([PATHS.to_string(), WAITERS.to_string()]);
    let mut program = Program::spawn(command);

    program.wait_for_line("asked", LIMIT);
    let all = PATHS * (WAITERS + 1);
    eventually(LIMIT, "all nodes", || (nodes() == Some(all)).then_some(()));
    program.write_line("status");
    let before = program.wait_for_line("waiting:", LIMIT).text;
    server.restart(0);
    server.wait_up(0);
    program.write_line("status");
    let after = program.wait_for_line("waiting:", LIMIT).text;
    assert_eq!(counted(), all, "the session outlives the restart, and its nodes with it");
    program.write_line("go");
    let served = program.wait_for_line("served:", LIMIT).text;
    program.wait_for_line("9000 served, 1000 cancelled", LIMIT);
    eventually(LIMIT, "no node", || (nodes() == Some(0)).then_some(()));
    program.write_line("end");
    assert!(program.wait_success(LIMIT).ends_with("over\n"));
    println!("before the restart: {before}\nafter it: {after}\nat the end: {served}");
    for line in [before, after, served] {
        // The program's own, the IO thread, and the one for callbacks.
        assert!(line.contains("Threads:\t3"), "{line}");
    }
}

/// 5,000 persistent and 5,000 recursive watches through a server's restart and a time without connection, while
/// what they watch changes: every change is told, or that some may have been missed, and whoever reads again
/// then knows the last state.
#[test]
fn ten_thousand_watches_lose_no_event_without_a_word() {
    let server = Ensemble::build(Flavor::Debian).max_session_timeout(Duration::from_secs(60)).start();
    let proxy = Proxy::new(server.address(0));
    let dir = TempDir::new("capi");
    let program = installed().compile(&dir, "tests/capi/many_watches.c", How::Shared);
    let mut command = installed().command(&program, How::Shared);
    // Named twice: a starting server may never answer the first attempt that it takes.
    command.arg(format!("{0},{0}", proxy.address())).arg(format!("{0},{0}", server.connect_string()));
    command.arg("5000");
    let mut program = Program::spawn(command);
    program.wait_for_line("armed", LIMIT);
    program.write_line("one");
    let before = program.wait_for_line("each once: ", LIMIT).text;
    assert!(before.contains(" 10000 events; 0 missed, 0 times told so"), "{before}");

    program.write_line("go");
    program.wait_for_line("going", LIMIT);
    // Who watches is away for longer than the server, so that changes are missed.
    proxy.refuse(true);
    server.restart(0);
    server.wait_up(0);
    program.write_line("go on");
    program.wait_for_line("went on", LIMIT);
    proxy.refuse(false);
    program.write_line("missed");
    program.wait_for_line("every watch was told", LIMIT);
    program.write_line("stop");
    let under_changes = program.wait_for_line("under changes: ", LIMIT).text;

    program.write_line("one");
    let after = program.wait_for_line("each once: ", LIMIT).text;
    program.write_line("end");
    assert!(program.wait_success(LIMIT).ends_with("over\n"));
    println!("{before}\n{under_changes}\n{after}");
    let number = |line: &str, behind: &str| -> u64 {
        let words: Vec<_> = line.split(' ').collect();
        let at = words.iter().position(|word| *word == behind).expect("a number before it");
        words[at - 1].parse().expect("a number")
    };
    assert!(number(&under_changes, "missed,") > 0, "nothing was missed, so this shows nothing");
    assert!(number(&under_changes, "times") >= 10_000);
    // Nothing more was missed afterwards.
    assert_eq!(number(&after, "missed,"), number(&under_changes, "missed,"));
    assert_eq!(number(&after, "events;"), number(&under_changes, "events;") + 10_000);
}
