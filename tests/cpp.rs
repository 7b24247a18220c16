//! The C++ header: programs of `tests/cpp` and `examples/cpp`, compiled against the installed library and run on Apache
//! ZooKeeper and on the embedded server, as they are and under AddressSanitizer and UndefinedBehaviorSanitizer.

#![cfg(feature = "capi")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::TempDir;
use support::installed::{ROOT, installed, run};
use support::process::Program;
use support::zookeeper::shared_single;

/// Ends a test that hangs; no working test comes near it, on a slow machine either.
const LIMIT: Duration = Duration::from_secs(600);

const WARNINGS: [&str; 8] = [
    "-Wall",
    "-Wextra",
    "-pedantic",
    "-Werror",
    "-Wshadow",
    "-Wconversion",
    "-Wold-style-cast",
    "-Wnon-virtual-dtor",
];

const SANITIZED: [&str; 4] =
    ["-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];

/// Compiles files into one program, and answers with where it is.
fn compile(dir: &TempDir, sources: &[&str], standard: &str, more: &[&str]) -> PathBuf {
    compile_by("g++", dir, sources, standard, more)
}

fn compile_by(compiler: &str, dir: &TempDir, sources: &[&str], standard: &str, more: &[&str]) -> PathBuf {
    let name = Path::new(sources[0]).file_stem().and_then(|stem| stem.to_str()).expect("a name");
    let program = dir.path().join(format!("{name}{}{standard}", more.len()));
    let mut compiler = Command::new(compiler);
    compiler.current_dir(ROOT).arg(format!("-std={standard}")).args(WARNINGS).args(["-pthread", "-o"]);
    compiler.arg(&program).args(sources).args(more);
    compiler.args(installed().pkg_config(&["--cflags", "--libs"]));
    run(&mut compiler);
    program
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", installed().lib());
    command
}

/// Runs a program on both servers, sanitized on both.
fn on_both_servers(source: &str, last_line: &str) {
    let dir = TempDir::new("cpp");
    // It takes half the time that the other compiler takes for this.
    let program = compile_by("clang++", &dir, &[source], "c++17", &SANITIZED);
    for address in [shared_single().connect_string(), "embedded".to_owned()] {
        let mut command = command(&program);
        command.arg(&address);
        let output = Program::spawn(command).wait_success(LIMIT);
        assert!(output.trim_end().ends_with(last_line), "{source}, {address}:\n{output}");
    }
}

#[test]
fn locks_are_guards_that_know_their_token_and_their_loss() {
    on_both_servers("tests/cpp/lock.cpp", "each lock was as it says");
}

#[test]
fn operations_watches_and_states_are_values_futures_and_callbacks() {
    on_both_servers("tests/cpp/nodes.cpp", "each operation was as it says");
}

#[test]
fn elections_run_tasks_and_call_back() {
    on_both_servers("tests/cpp/election.cpp", "each election was as it says");
}

#[test]
fn trees_queues_pid_nodes_and_persistent_locks_are_there() {
    on_both_servers("tests/cpp/recipes.cpp", "each recipe was as it says");
}

#[test]
fn the_compiler_refuses_what_is_no_use_and_two_files_link() {
    let dir = TempDir::new("cpp");
    // As two parts of a program that hide their symbols, too.
    for (standard, more) in [("c++17", &["-fvisibility=hidden"][..]), ("c++20", &[])] {
        let sources = ["tests/cpp/traits.cpp", "tests/cpp/second_file.cpp"];
        let program = compile(&dir, &sources, standard, more);
        Program::spawn(command(&program)).wait_success(LIMIT);
    }
    // A guard or a future that is thrown away is a lock that is released at once: the compiler says so.
    let source = dir.path().join("wrong.cpp");
    let takes = |body: &str| {
        let text = format!(
            "#include <mutex>\n#include <zkhelper.hpp>\nvoid f(zkh::client &client, zkh::mutex &mutex);\n\
             void f(zkh::client &client, zkh::mutex &mutex) {{ (void)client; (void)mutex; {body} }}\n"
        );
        std::fs::write(&source, text).expect("a file");
        let mut compiler = Command::new("clang++");
        compiler.args(["-std=c++17", "-fsyntax-only", "-Werror", "-I", &format!("{ROOT}/include")]);
        compiler.arg(&source).output().expect("a compiler").status.success()
    };
    assert!(takes("const auto guard = mutex.lock();"));
    for wrong in [
        "mutex.lock();",
        "mutex.lock_future();",
        "client.get_future(\"/a\");",
        "std::lock_guard<zkh::mutex> a(mutex);",
        "zkh::mutex copy(mutex);",
        "mutex.lock(5);",
        "client.watch_recursive(\"/\", [](zkh::event, const std::string &) {});",
    ] {
        assert!(!takes(wrong), "the compiler takes {wrong}");
    }
}

/// What of the C ABI has its counterpart elsewhere, or is for C programs alone.
fn only_in_c(name: &str) -> bool {
    // An error's name is its code's message. A program lends its connection in C, and hands the client over.
    let lending = ["zkh_call_", "zkh_lend_", "zkh_request_", "zkh_lent_", "zkh_client_lent_"];
    name == "zkh_error_name" || lending.iter().any(|prefix| name.starts_with(prefix))
}

#[test]
fn every_function_and_every_constant_of_c_has_its_place() {
    let mut text = String::new();
    for entry in std::fs::read_dir(format!("{ROOT}/include/zkhelper")).expect("a directory") {
        text += &std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
    }
    let words: std::collections::BTreeSet<_> =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let functions = include_str!("capi/symbols.txt").lines().filter(|name| !only_in_c(name));
    let header = include_str!("../include/zkhelper.h");
    let constants = header.lines().filter_map(|line| line.strip_prefix("#define ")?.split(' ').next());
    // Permissions are summed as they are, requests are those that are lent; the rest has no values.
    let plain = ["ZKH_OK", "ZKH_VERSION_NUMBER", "ZKHELPER_H"];
    let constants = constants.filter(|name| {
        !plain.contains(name) && !name.starts_with("ZKH_PERM_") && !name.starts_with("ZKH_REQUEST_")
            || *name == "ZKH_REQUEST_TIMEOUT"
    });
    let tasks = ["ZKH_ACL_EMPTY", "ZKH_TASK_DONE"];
    assert!(tasks.iter().all(|name| words.contains(name)), "the header was not read");
    let missing: Vec<_> = functions.chain(constants).filter(|name| !words.contains(name)).collect();
    assert!(missing.is_empty(), "not in C++: {missing:?}");
}

#[test]
fn the_examples_do_the_same_as_those_in_c() {
    let names = |language: &str, ending: &str| {
        let all = std::fs::read_dir(format!("{ROOT}/examples/{language}")).expect("a directory");
        let mut names: Vec<_> = all
            .filter_map(|entry| {
                entry.expect("an entry").file_name().to_str()?.strip_suffix(ending).map(str::to_owned)
            })
            .collect();
        names.sort_unstable();
        names
    };
    // Lending is for C programs, which have a connection to lend.
    let in_c: Vec<_> = names("c", ".c").into_iter().filter(|name| !name.contains("lent")).collect();
    assert_eq!(names("cpp", ".cpp"), in_c);

    let dir = TempDir::new("cpp");
    let address = shared_single().connect_string();
    let here = address.as_str();
    let path = format!("/{}", support::unique("cpp"));
    for (name, arguments, lines) in [
        ("lock", vec![here], &["held; the fencing token is "][..]),
        ("watchful", vec![here], &["step 3 under token "]),
        ("watchful", vec![], &["step 3 under token "]),
        ("lock_async", vec![here], &["ann holds the lock", "bob holds the lock", "cid holds the lock"]),
        ("guarded", vec![here], &["the late write is refused", "the report says \"in time\""]),
        ("nodes", vec![here], &["/a: \"hello!\", version 1", "/b: \"bye\""]),
        ("watch", vec![], &["/watched created", "/watched deleted"]),
        ("tree", vec![here], &["  /zk/tree/nyc/shards/1", "  sfo/shards/0", "deleted"]),
        ("queue_lock", vec![here], &["working on job-", "done"]),
        ("pid_node", vec![here], &["the node is there", "the node is lost (3)", "the node is gone"]),
        ("elector", vec![here, "0"], &["leads with token ", "ended"]),
        ("handover", vec![here, "ann", &path, "3", "1"], &["ann pid=", " holds token=", "is done"]),
    ] {
        let source = format!("examples/cpp/{name}.cpp");
        let program = dir.path().join(format!("{name}0c++17"));
        let program = if program.exists() { program } else { compile(&dir, &[&source], "c++17", &[]) };
        let mut command = command(&program);
        command.args(&arguments);
        let output = Program::spawn(command).wait_success(LIMIT);
        assert!(lines.iter().all(|line| output.contains(line)), "{name} {arguments:?}: {output}");
    }

    // Three at one persistent lock: the holder, one who looks, one who asks.
    let program = compile(&dir, &["examples/cpp/persistent.cpp"], "c++17", &[]);
    let start = |words: &[&str]| {
        let mut command = command(&program);
        command.args([here, &path]).args(words);
        Program::spawn(command)
    };
    let mut holder = start(&["hold"]);
    holder.wait_for_line("held; the fencing token is ", LIMIT);
    let list = start(&["list"]).wait_success(LIMIT);
    assert!(list.contains("owner=living") && list.contains(": a migration"), "{list}");
    start(&["ask", "somebody else's turn"]).wait_success(LIMIT);
    holder.wait_for_line("somebody else's turn", LIMIT);
    holder.wait_success(LIMIT);

    // Without TLS in the library it says so.
    let program = compile(&dir, &["examples/cpp/tls.cpp"], "c++17", &[]);
    let mut command = command(&program);
    command.args([here, "/none"]);
    let mut tls = Program::spawn(command);
    assert!(!tls.wait(LIMIT).success() && tls.output().contains("UNSUPPORTED"), "{}", tls.output());
}
