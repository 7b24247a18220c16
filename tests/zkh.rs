//! The program `zkh`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use zkhelper::embedded::Server;
use zkhelper::{Client, Code, Mutex, MutexOptions, Options, Persistent};

mod wire;

fn zkh(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zkh"));
    command.args(arguments);
    command
}

/// Killed when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_server_says_where_it_listens_and_what_it_is_for_and_serves() {
    let child = zkh(&["server", "--port", "0", "--tick", "100"]).stdout(Stdio::piped()).spawn();
    let mut running = Running(child.expect("zkh starts"));
    let stdout = running.0.stdout.take().expect("its output");
    let mut lines = BufReader::new(stdout).lines().map(|line| line.expect("a line"));
    let first = lines.next().expect("the first line");
    let address: SocketAddr =
        first.strip_prefix("zkh: listening on ").expect(&first).parse().expect("an address");
    assert!(address.ip().is_loopback());
    let second = lines.next().expect("the second line");
    assert!(second.contains("development and tests only") && second.contains("in memory"), "{second}");

    let session = wire::Session::open(address, 60_000);
    assert_eq!(session.timeout_ms, 2_000, "20 ticks");
}

#[test]
fn a_wrong_call_says_how_to_call_it_and_fails() {
    let run = |arguments: &[&str]| -> Output { zkh(arguments).output().expect("zkh runs") };
    for arguments in [
        &[][..],
        &["serve"],
        &["server", "--port"],
        &["server", "--port", "x"],
        &["server", "-p", "1"],
        &["locks"],
        &["locks", "127.0.0.1:1"],
        &["locks", "127.0.0.1:1", "/a", "b"],
        &["revoke", "127.0.0.1:1", "/a", "b"],
        &["release", "127.0.0.1:1", "/a"],
        &["release", "127.0.0.1:1", "/a", "lock-0000000000", "--force", "x"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stderr.starts_with(b"zkh: "), "{arguments:?}");
    }
    let help = run(&["--help"]);
    assert!(help.status.success() && help.stdout.starts_with(b"usage: zkh server"));
}

#[tokio::test]
async fn locks_are_listed_asked_for_and_released() {
    let server = Server::start(0).expect("a server");
    let said = |arguments: &[&str]| {
        let output =
            zkh(&[&arguments[..1], &[server.address(), "/a/lock"], &arguments[1..]].concat()).output();
        let output = output.expect("zkh runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let told = |arguments: &[&str]| {
        let (good, out, err) = said(arguments);
        assert!(good && err.is_empty(), "{arguments:?}: {err}");
        out
    };
    let refused = |arguments: &[&str], why: &str| {
        let (good, out, err) = said(arguments);
        assert!(!good && out.is_empty() && err.contains(why), "{arguments:?}: {err}");
    };
    assert_eq!(told(&["locks"]), "nobody holds /a/lock or waits for it\n");
    let persistent = Some(Persistent { lease: Duration::from_millis(500) });
    let options = MutexOptions { persistent, ..MutexOptions::default() };
    let owner = Client::connect(server.address(), Options::default()).await.expect("a connection");
    let mutex = Mutex::new(&owner, "/a/lock", options).expect("a mutex");
    let mut revocations = mutex.revocations();
    let hold = mutex.lock(None, "a \"job\"").await.expect("the lock");
    let (name, czxid) = ("lock-0000000000", hold.token().to_string());
    let listed = told(&["locks"]);
    let begins = format!("{name} holds czxid={czxid} persistent owner=living since=20");
    assert!(listed.starts_with(&begins), "{listed}");
    assert!(listed.ends_with(&format!(" pid={} desc=\"a \\\"job\\\"\"\n", std::process::id())), "{listed}");

    refused(&["release", name], "lives, or somebody else is releasing it");
    refused(&["release", name, "--force", "1"], &format!("is {czxid}, not 1"));
    refused(&["release", "lock"], "not a contender's name");
    assert_eq!(told(&["revoke", name, "at noon"]), format!("{name} is asked to give /a/lock up\n"));
    assert_eq!(revocations.recv().await.expect("told").reason, "at noon");
    assert!(told(&["locks"]).ends_with(" asked=\"at noon\"\n"));

    owner.close(Duration::from_secs(60)).await.expect("closed");
    assert!(told(&["locks"]).contains(" owner=gone "));
    assert_eq!(told(&["release", name]), format!("{name} is released: its owner was gone\n"));
    refused(&["release", name], "does not exist");

    let other = Client::connect(server.address(), Options::default()).await.expect("a connection");
    let options = MutexOptions { persistent, ..MutexOptions::default() };
    let mutex = Mutex::new(&other, "/a/lock", options).expect("a mutex");
    let hold = mutex.lock(None, "").await.expect("the lock");
    let name = mutex.contenders().await.expect("a list").remove(0).name;
    let released = told(&["release", &name, "--force", &hold.token().to_string()]);
    assert_eq!(released, format!("{name} is released by force\n"));
    assert_eq!(hold.release().await.expect_err("lost").code(), Code::LOCK_LOST);
}
