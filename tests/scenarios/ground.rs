//! What the scenarios of the recipes beside the mutex have in common.

use crate::support;
use std::time::Duration;
use zkhelper::proto::CreateMode;
use zkhelper::{Client, Code, Options, Result, Tree, acl};

/// Ends a test that hangs; no working test comes near it.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn options() -> Options {
    Options { session_timeout: Duration::from_secs(6), ..Options::default() }
}

pub(crate) async fn client_of(address: &str) -> Client {
    Client::connect(address, options()).await.expect("a connection")
}

/// A path of one test, whose parent may be missing.
pub(crate) fn path(name: &str) -> String {
    format!("/zk/{}", support::unique(name))
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.expect_err("an error").code()
}

/// Makes these nodes below a path.
pub(crate) async fn grow(client: &Client, top: &str, names: &[&str]) {
    let mut nodes: Vec<_> = names.iter().map(|name| (format!("{top}/{name}"), Vec::new())).collect();
    nodes.sort();
    for made in
        Tree::new(client).create_all(nodes, &acl::default(), CreateMode::Persistent).await.expect("valid")
    {
        made.expect("made");
    }
}
