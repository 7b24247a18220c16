//! `zkh`: zkhelper on the command line.

mod locks;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use zkhelper::embedded::{DEFAULT_TICK, Server};

const USAGE: &str = "\
usage: zkh server [--port N] [--tick MS]
       zkh locks ADDRESS PATH
       zkh revoke ADDRESS PATH NAME REASON
       zkh release ADDRESS PATH NAME [--force CZXID]

  server        run an in-memory ZooKeeper server, for development and tests only
    --port N    the loopback port to listen on; 2181 if not given, 0 takes a free one
    --tick MS   session timeouts lie between 2 and 20 ticks; 2000 if not given

  locks         who holds the lock at PATH and who waits for it, in the order of service: name, czxid (the
                fencing token), whether the owner is living, gone or unknown, since when, on which host
  revoke        asks the contender NAME to give the lock up; it is told the REASON, and decides
  release       releases the persistent lock NAME if its owner is gone, after the time for which the owner may
                still believe
    --force C   releases it whatever its owner does, if its czxid is C: only where nobody relies on it any more

ADDRESS is HOST:PORT, several with commas between them.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Nobody may be left to read it.
            let _ = writeln!(std::io::stderr(), "zkh: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let mut words = arguments.iter().map(String::as_str);
    match words.next() {
        Some("server") => {}
        Some(command @ ("locks" | "revoke" | "release")) => {
            return say(&locks::run(command, &words.collect::<Vec<_>>())?);
        }
        Some("help" | "--help" | "-h") => return say(USAGE),
        Some(other) => return Err(format!("no such command: {other}\n{USAGE}")),
        None => return Err(format!("no command given\n{USAGE}")),
    }
    let (mut port, mut tick) = (2181, DEFAULT_TICK);
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option} needs a value\n{USAGE}"))?;
        let wrong = |_| format!("{option} {value}: not a number that fits");
        match option {
            "--port" => port = value.parse().map_err(wrong)?,
            "--tick" => tick = Duration::from_millis(value.parse().map_err(wrong)?),
            _ => return Err(format!("no such option: {option}\n{USAGE}")),
        }
    }
    let server = Server::start_with_tick(port, tick).map_err(|e| e.to_string())?;
    say(&format!(
        "zkh: listening on {}\n\
         zkh: for development and tests only: everything is in memory and gone when this ends, and only this \
         machine can connect; production runs on Apache ZooKeeper\n",
        server.address()
    ))?;
    loop {
        std::thread::park();
    }
}

fn say(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| e.to_string())
}
