//! The four-letter words: what an operator asks on a bare connection.

use super::core::Report;
use std::fmt::Write;

/// What the server says it is.
const VERSION: &str = concat!("3.9-zkhelper-", env!("CARGO_PKG_VERSION"));

/// The answer to a word; `None` if the four bytes are none, and so the length of a frame.
pub(super) fn answer(word: [u8; 4], report: impl FnOnce() -> Report) -> Option<String> {
    Some(match &word {
        b"ruok" => "imok".to_owned(),
        b"isro" => "rw".to_owned(),
        b"srvr" => server(&report()),
        b"stat" => status(&report()),
        b"mntr" => monitor(&report()),
        b"conf" => configuration(&report()),
        b"cons" => connections(&report()),
        b"envi" => format!("Environment:\nzookeeper.version={VERSION}, built on this machine\n"),
        _ => return None,
    })
}

fn version_line() -> String {
    format!("Zookeeper version: {VERSION}, built on this machine\n")
}

fn server(report: &Report) -> String {
    version_line() + &numbers(report)
}

fn status(report: &Report) -> String {
    format!("{}Clients:\n{}\n{}", version_line(), connections(report), numbers(report))
}

fn numbers(report: &Report) -> String {
    format!(
        "Latency min/avg/max: 0/0.0/0\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: 0\nZxid: {:#x}\n\
         Mode: standalone\nNode count: {}\n",
        report.received,
        report.sent,
        report.connections.len(),
        report.zxid,
        report.nodes
    )
}

fn monitor(report: &Report) -> String {
    let mut text = format!("zk_version\t{VERSION}, built on this machine\nzk_server_state\tstandalone\n");
    let values: [(&str, i64); 10] = [
        ("zk_packets_received", report.received),
        ("zk_packets_sent", report.sent),
        ("zk_num_alive_connections", report.connections.len().try_into().unwrap_or(i64::MAX)),
        ("zk_outstanding_requests", 0),
        ("zk_znode_count", report.nodes),
        ("zk_watch_count", report.watches),
        ("zk_ephemerals_count", report.ephemerals),
        ("zk_approximate_data_size", report.data_size),
        ("zk_global_sessions", report.sessions),
        ("zk_uptime", report.uptime_ms),
    ];
    for (name, value) in values {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{name}\t{value}");
    }
    text
}

fn configuration(report: &Report) -> String {
    let tick = report.tick_ms;
    format!(
        "clientPort={}\ntickTime={tick}\nminSessionTimeout={}\nmaxSessionTimeout={}\nserverId=0\n",
        report.port,
        tick.saturating_mul(2),
        tick.saturating_mul(20)
    )
}

fn connections(report: &Report) -> String {
    report
        .connections
        .iter()
        .map(|(address, session)| format!(" /{address}[1](sid={session:#x})\n"))
        .collect()
}
