//! What the scenarios of the recipes beside the mutex have in common.

use crate::support;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use zkhelper::proto::{CreateMode, Request};
use zkhelper::zk::{BoxFuture, OpOptions, Reply, SessionView, Watch, Zk};
use zkhelper::{Client, Code, Options, Result, StateEvent, Time, Tree, acl};

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

/// Ends a client's session at the server, as its expiry would.
pub(crate) async fn end_session(client: &Client, server: &str) {
    let credentials = client.credentials();
    let session = credentials.session_id;
    let options = Options { reattach: Some(credentials), ..options() };
    let thief = Client::connect(server, options).await.expect("re-attached");
    assert_eq!(thief.session().id, session);
    thief.close(LIMIT).await.expect("closed");
}

/// The names of a node's children, sorted; none where it is not there.
pub(crate) async fn children(client: &Client, path: &str) -> Vec<String> {
    let mut names = match client.zk().children(path, OpOptions::default()).await {
        Ok((names, _)) => names,
        Err(error) if error.code() == Code::NO_NODE => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    names.sort();
    names
}

/// Looks until this holds of a node's children.
pub(crate) async fn until_children(
    client: &Client,
    path: &str,
    holds: impl Fn(&[String]) -> bool,
) -> Vec<String> {
    loop {
        let names = children(client, path).await;
        if holds(&names) {
            return names;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A client's connection on which something else is sent right before some requests: another's deed, at the
/// worst moment.
pub(crate) fn meddled(
    client: &Client,
    meddle: impl Fn(&Request) -> Option<Request> + Send + Sync + 'static,
) -> Arc<dyn Zk> {
    Arc::new(Meddled { zk: Arc::clone(client.zk()), meddle: Box::new(meddle) })
}

type Meddle = dyn Fn(&Request) -> Option<Request> + Send + Sync;

struct Meddled {
    zk: Arc<dyn Zk>,
    meddle: Box<Meddle>,
}

impl Meddled {
    fn before(&self, request: &Request) {
        if let Some(other) = (self.meddle)(request) {
            let reply = self.zk.submit(other, OpOptions::default());
            self.zk.spawn(Box::pin(async move { drop(reply.await) }));
        }
    }
}

impl Zk for Meddled {
    fn submit(&self, request: Request, options: OpOptions) -> Reply {
        self.before(&request);
        self.zk.submit(request, options)
    }

    fn submit_watch(&self, request: Request, options: OpOptions) -> (Reply, Watch) {
        self.before(&request);
        self.zk.submit_watch(request, options)
    }

    fn session(&self) -> SessionView {
        self.zk.session()
    }

    fn states(&self) -> UnboundedReceiver<StateEvent> {
        self.zk.states()
    }

    fn now(&self) -> Time {
        self.zk.now()
    }

    fn sleep_until(&self, until: Time) -> BoxFuture<()> {
        self.zk.sleep_until(until)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.zk.spawn(task);
    }

    fn random(&self) -> u64 {
        self.zk.random()
    }
}
