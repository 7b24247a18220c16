//! The connect string: `host:port,host:port/chroot`, as ZooKeeper's own clients take it.

use crate::error::{Code, Error, Result};
use crate::path;

/// ZooKeeper's client port where none is given.
const DEFAULT_PORT: u16 = 2181;

/// A server's address as it was given; names are resolved when a connection is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub name: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// What a connect string says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectString {
    /// The servers, in the order given; at least one.
    pub hosts: Vec<Host>,
    /// Goes before every path; empty, or a valid path other than the root.
    pub chroot: String,
}

impl ConnectString {
    /// Reads `h1:2181,h2,[::1]:2181/chroot`.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |why: String| Error::new(Code::BAD_ADDRESS).because(format!("{text:?}: {why}"));
        let (servers, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        if !chroot.is_empty() {
            path::validate(chroot).map_err(|e| refuse(format!("the part after the servers: {e}")))?;
        }
        let hosts = servers
            .split(',')
            .map(|server| {
                parse_host(server.trim()).map_err(|why| refuse(format!("server {server:?}: {why}")))
            })
            .collect::<Result<Vec<_>>>()?;
        let chroot = if chroot == "/" { "" } else { chroot };
        Ok(Self { hosts, chroot: chroot.to_owned() })
    }
}

fn parse_host(text: &str) -> Result<Host, &'static str> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (name, after) = rest.split_once(']').ok_or("\"[\" without \"]\"")?;
        if name.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("not an IPv6 address between \"[\" and \"]\"");
        }
        match after {
            "" => (name, None),
            _ => (name, Some(after.strip_prefix(':').ok_or("text after \"]\" that is no port")?)),
        }
    } else {
        match text.rsplit_once(':') {
            Some((name, _)) if name.contains(':') => {
                return Err("an IPv6 address must stand in brackets: [::1]:2181");
            }
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        }
    };
    if name.is_empty() {
        return Err("the host is missing");
    }
    if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("white space or a control character in the host");
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => match port.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err("the port is not in 1 … 65535"),
        },
        Some(_) => return Err("the port is not a number"),
    };
    Ok(Host { name: name.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn hosts_ports_chroot_and_ipv6() {
        let parsed = ConnectString::parse("a:1, b ,[::1]:3,[fe80::1]/x/y").expect("valid");
        let hosts = vec![host("a", 1), host("b", 2181), host("::1", 3), host("fe80::1", 2181)];
        assert_eq!(parsed, ConnectString { hosts, chroot: "/x/y".to_owned() });
        assert_eq!(ConnectString::parse("a/").expect("valid").chroot, "");
        assert_eq!(host("::1", 3).to_string(), "[::1]:3");
    }

    #[test]
    fn bad_connect_strings_are_refused_with_the_part_that_is_wrong() {
        for (text, why) in [
            ("", "the host is missing"),
            ("a,,b", "the host is missing"),
            (":2181", "the host is missing"),
            ("a:0", "1 … 65535"),
            ("a:65536", "1 … 65535"),
            ("a:x", "not a number"),
            ("a:", "1 … 65535"),
            ("::1:2181", "in brackets"),
            ("[::1", "without"),
            ("[x]:1", "not an IPv6"),
            ("[::1]x", "no port"),
            ("a b:1", "white space"),
            ("a:1/b/", "must not end with"),
            ("a:1//b", "empty part"),
        ] {
            let error = ConnectString::parse(text).expect_err(text);
            assert_eq!(error.code(), Code::BAD_ADDRESS, "{text}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
