//! Lent connections: scenarios 105 to 109.

use super::address;
use crate::ground::*;
use tokio::sync::mpsc::UnboundedReceiver;
use zkhelper::proto::Request;
use zkhelper::zk::{BoxFuture, Reply, SessionView, Watch, Zk};
use zkhelper::{Error, StateEvent};

/// A program's connection as it lends it: another client's, with transactions or without.
struct Loan {
    zk: Arc<dyn Zk>,
    without_transactions: bool,
}

impl Zk for Loan {
    fn submit(&self, request: Request, options: OpOptions) -> Reply {
        if self.without_transactions && matches!(request, Request::Multi(_)) {
            let (sender, reply) = Reply::channel();
            sender.send(Err(Error::new(Code::UNSUPPORTED)));
            return reply;
        }
        self.zk.submit(request, options)
    }

    fn submit_watch(&self, request: Request, options: OpOptions) -> (Reply, Watch) {
        self.zk.submit_watch(request, options)
    }

    fn session(&self) -> SessionView {
        let view = self.zk.session();
        let valid_until = view.valid_until.filter(|_| !self.without_transactions);
        SessionView { valid_until, without_lease: self.without_transactions, ..view }
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

/// The client whose connection is lent, the one over it, another one, and the path of a lock.
async fn begin(without_transactions: bool) -> (Client, Client, Client, String) {
    let (a, b) = (connect(&address()).await, connect(&address()).await);
    let at = home(&a).await + "/lock";
    let lent = Client::lent(Arc::new(Loan { zk: Arc::clone(a.zk()), without_transactions }), None);
    (a, lent, b, at)
}

#[tokio::test]
async fn s105_lent_lock_excludes() {
    let (a, lent, b, at) = begin(false).await;
    let hold = lock(&mutex(&lent, &at)).await;
    let node = stat(&b, &only(&b, &at).await).await.expect("there");
    assert_eq!((node.ephemeral_owner, node.czxid), (a.session().id, hold.token()));
    assert_eq!(code(tries(&mutex(&b, &at)).await), Code::TIMEOUT);
    let valid = hold.valid_until().expect("held").since(Time::now());
    assert!(valid > Duration::ZERO && valid <= SESSION, "{valid:?}");
    hold.release().await.expect("released");
    drop(tries(&mutex(&b, &at)).await.expect("free"));
}

#[tokio::test]
async fn s106_lent_session_end_is_a_loss() {
    let (a, lent, _, at) = begin(false).await;
    let handle = mutex(&lent, &at);
    let mut losses = handle.losses();
    let hold = lock(&handle).await;
    end_session(&a, &address()).await;
    let reason = within(losses.recv()).await.expect("told").reason;
    assert!([Loss::SessionOver, Loss::NodeDeleted].contains(&reason), "{reason:?}");
    assert!(!hold.is_held());
}

#[tokio::test]
async fn s107_without_transactions_no_lease() {
    let (_, lent, b, at) = begin(true).await;
    let hold = lock(&mutex(&lent, &at)).await;
    assert!(hold.is_held());
    assert_eq!(hold.valid_until(), Some(Time::NEVER));
    hold.release().await.expect("released");
    assert!(names(&b, &at).await.is_empty());
}

#[tokio::test]
async fn s108_without_transactions_no_strict_mode() {
    let (_, lent, _, at) = begin(true).await;
    for options in [strict(MINUTE), persistent(MINUTE)] {
        assert_eq!(code(Mutex::new(&lent, &at, options)), Code::UNSUPPORTED);
    }
    assert_eq!(code(Elector::new(&lent, &at, ElectorOptions::default())), Code::UNSUPPORTED);
}

#[tokio::test]
async fn s109_lent_has_no_session_of_its_own() {
    let (a, lent, b, at) = begin(false).await;
    make(&lent, &at, CreateMode::Ephemeral).await;
    assert_eq!(code(lent.add_auth("digest", b"me:secret").await), Code::UNSUPPORTED);
    assert_eq!(code(lent.add_watch(&at, WatchMode::Persistent).await), Code::UNSUPPORTED);
    lent.close(LIMIT).await.expect("closed");
    assert_eq!(stat(&b, &at).await.expect("there").ephemeral_owner, a.session().id);
}
