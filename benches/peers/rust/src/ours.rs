//! zkhelper from Rust.

use super::rows::Peer;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use zkhelper::{Elector, ElectorOptions};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Hold, Mutex, MutexOptions, Options, Tree};

pub const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Session(pub Client);

pub fn options() -> Options {
    Options { session_timeout: TIMEOUT, ..Options::default() }
}

impl Peer for Session {
    type Lock = Mutex;
    type Held = Hold;

    async fn connect(address: &str) -> Self {
        Self(Client::connect(address, options()).await.expect("a connection"))
    }

    async fn make(&self, path: &str) {
        make(&self.0, path).await;
    }

    fn lock_on(&self, path: &str) -> Mutex {
        Mutex::new(&self.0, path, MutexOptions::default()).expect("a mutex")
    }

    async fn acquire(&self, lock: &Mutex) -> Hold {
        lock.lock(None, "").await.expect("the lock")
    }

    async fn release(&self, held: Hold) {
        held.release().await.expect("released");
    }

    async fn count(&self, path: &str) -> usize {
        self.0.zk().children(path, OpOptions::default()).await.expect("a list").0.len()
    }

    async fn lead(&self, path: &str, led: mpsc::UnboundedSender<Instant>, resign: Rc<Notify>) {
        let elector = Elector::new(&self.0, path, ElectorOptions::default()).expect("an elector");
        let term = elector.campaign().await.expect("the lead");
        let _ = led.send(Instant::now());
        resign.notified().await;
        term.end().await.expect("ended");
    }

    async fn close(self) {
        self.0.close(TIMEOUT).await.expect("closed");
    }
}

pub async fn make(client: &Client, path: &str) {
    let tree = Tree::new(client);
    match tree.create(path, b"", &zkhelper::acl::default(), zkhelper::proto::CreateMode::Persistent).await {
        Ok(_) => {}
        Err(error) if error.code() == zkhelper::Code::NODE_EXISTS => {}
        Err(error) => panic!("{path}: {error}"),
    }
}
