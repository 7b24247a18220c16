//! The program `zkh`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

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
    for arguments in
        [&[][..], &["serve"], &["server", "--port"], &["server", "--port", "x"], &["server", "-p", "1"]]
    {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stderr.starts_with(b"zkh: "), "{arguments:?}");
    }
    let help = run(&["--help"]);
    assert!(help.status.success() && help.stdout.starts_with(b"usage: zkh server"));
}
