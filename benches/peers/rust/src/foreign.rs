//! The crate zookeeper-client, with its own lock.

use super::ours::TIMEOUT;
use super::rows::Peer;
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::{Notify, mpsc};
use zookeeper_client::{Acls, Client, CreateMode, LockPrefix};

#[derive(Clone)]
pub struct Session(Rc<Client>);

impl Peer for Session {
    type Lock = String;
    /// The node's path.
    type Held = String;

    async fn connect(address: &str) -> Self {
        let connecting = Client::connector().with_session_timeout(TIMEOUT).connect(address);
        Self(Rc::new(connecting.await.expect("a connection")))
    }

    async fn make(&self, path: &str) {
        let mode = CreateMode::Persistent.with_acls(Acls::anyone_all());
        self.0.mkdir(path, &mode).await.expect("made");
    }

    fn lock_on(&self, path: &str) -> String {
        path.to_owned()
    }

    async fn acquire(&self, path: &String) -> String {
        let prefix = LockPrefix::new_curator(path, "lock-").expect("a prefix");
        let held = self.0.lock(prefix, b"", Acls::anyone_all()).await.expect("the lock");
        let node = held.lock_path().to_owned();
        // Dropping it would delete the node in the background; what is measured is a release that is known.
        std::mem::forget(held);
        node
    }

    async fn release(&self, node: String) {
        self.0.delete(&node, None).await.expect("released");
    }

    async fn count(&self, path: &str) -> usize {
        self.0.list_children(path).await.expect("a list").len()
    }

    async fn lead(&self, path: &str, led: mpsc::UnboundedSender<Instant>, resign: Rc<Notify>) {
        let held = self.acquire(&path.to_owned()).await;
        let _ = led.send(Instant::now());
        resign.notified().await;
        self.release(held).await;
    }

    async fn close(self) {}
}
