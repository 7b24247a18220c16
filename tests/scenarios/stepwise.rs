//! Recipes over a connection without transactions, with stand-ins for them.

use super::server;
use crate::ground::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use zkhelper::proto::{CreateMode, MultiOp, Request};
use zkhelper::zk::{BoxFuture, OpOptions, Reply, SessionView, Watch, Zk};
use zkhelper::{
    Client, Code, Elector, ElectorOptions, Error, Mutex, MutexOptions, Outcome, Persistent, StateEvent,
    Stepwise, Strict, Time, Tree, acl,
};

const MINUTE: Duration = Duration::from_secs(60);
/// Of locks that somebody waits out.
const LEASE: Duration = Duration::from_secs(15);

/// Another client's connection, which knows no transaction and proves nothing.
struct Plain(Arc<dyn Zk>);

impl Zk for Plain {
    fn submit(&self, request: Request, options: OpOptions) -> Reply {
        if matches!(request, Request::Multi(_)) {
            let (sender, reply) = Reply::channel();
            sender.send(Err(Error::new(Code::UNSUPPORTED)));
            return reply;
        }
        self.0.submit(request, options)
    }

    fn submit_watch(&self, request: Request, options: OpOptions) -> (Reply, Watch) {
        self.0.submit_watch(request, options)
    }

    fn session(&self) -> SessionView {
        SessionView { valid_until: None, without_lease: true, ..self.0.session() }
    }

    fn states(&self) -> UnboundedReceiver<StateEvent> {
        self.0.states()
    }

    fn now(&self) -> Time {
        self.0.now()
    }

    fn sleep_until(&self, until: Time) -> BoxFuture<()> {
        self.0.sleep_until(until)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.0.spawn(task);
    }

    fn random(&self) -> u64 {
        self.0.random()
    }
}

fn over(zk: Arc<dyn Zk>) -> Arc<dyn Zk> {
    Arc::new(Stepwise::over(Arc::new(Plain(zk))))
}

/// A client, and another one over its connection with stand-ins for transactions.
async fn lent() -> (Client, Client) {
    let client = client_of(&server().to_string()).await;
    let lent = Client::lent(over(Arc::clone(client.zk())), None);
    (client, lent)
}

fn create(path: String) -> MultiOp {
    let (data, acl, mode) = (Vec::new(), acl::default(), CreateMode::Persistent);
    MultiOp::Create { path, data, acl, mode, ttl_ms: 0, with_stat: true }
}

fn check(path: &str, version: i32) -> MultiOp {
    MultiOp::Check { path: path.to_owned(), version }
}

async fn commit(zk: &Arc<dyn Zk>, ops: Vec<MultiOp>) -> zkhelper::Result<()> {
    zk.multi(ops, OpOptions::default()).await.map(drop)
}

#[tokio::test]
async fn the_checks_of_a_transaction_come_first_and_a_refused_one_takes_its_creations_back() {
    let (client, lent) = lent().await;
    let (top, zk) = (path("stepwise"), lent.zk());
    grow(&client, &top, &["there"]).await;
    let at = |name: &str| format!("{top}/{name}");
    commit(zk, vec![create(at("a")), check(&top, 0)]).await.expect("committed");
    // The check behind the creation fails before anything is created.
    let error = commit(zk, vec![create(at("b")), check(&top, 7)]).await.expect_err("another version");
    assert_eq!((error.code(), error.path()), (Code::BAD_VERSION, Some(top.as_str())));
    assert_eq!(code(commit(zk, vec![check(&at("none"), -1)]).await), Code::NO_NODE);
    // The second creation fails, and the first is taken back.
    let error =
        commit(zk, vec![create(at("c")), create(at("there")), create(at("d"))]).await.expect_err("there");
    assert_eq!((error.code(), error.path()), (Code::NODE_EXISTS, Some(at("there").as_str())));
    assert_eq!(children(&client, &top).await, ["a", "there"]);
    let set = MultiOp::SetData { path: at("a"), data: b"new".to_vec(), version: 0 };
    let delete = MultiOp::Delete { path: at("there"), version: 0 };
    commit(zk, vec![set, delete]).await.expect("committed");
    assert_eq!(children(&client, &top).await, ["a"]);
    assert_eq!(client.zk().get(&at("a"), OpOptions::default()).await.expect("there").0, b"new");
}

#[tokio::test]
async fn what_is_submitted_behind_a_transaction_sees_it() {
    let (client, lent) = lent().await;
    let (top, zk) = (path("stepwise-order"), lent.zk());
    grow(&client, &top, &["x"]).await;
    for n in 0..20 {
        let made = zk.multi(
            vec![check(&top, -1), create(format!("{top}/a{n}")), create(format!("{top}/b{n}"))],
            OpOptions::default(),
        );
        let (seen, watch) = zk.children_watch(&top, OpOptions::default());
        let next = zk.multi(vec![create(format!("{top}/c{n}"))], OpOptions::default());
        made.await.expect("committed");
        let names = seen.await.expect("a list").0;
        assert!(names.contains(&format!("a{n}")) && names.contains(&format!("b{n}")), "{n}: {names:?}");
        assert!(!names.contains(&format!("c{n}")), "{n}: {names:?}");
        next.await.expect("committed");
        watch.await;
    }
    // The queue moves on where nobody waits for what is in it.
    let made = zk.multi(vec![create(format!("{top}/last"))], OpOptions::default());
    drop(zk.delete(&format!("{top}/none"), -1, OpOptions::default()));
    made.await.expect("committed");
    zk.delete(&format!("{top}/last"), -1, OpOptions::default()).await.expect("there");
}

/// Takes the lock over a connection without transactions, and passes it on to a rival that has them.
async fn lock_and_pass_on(client: &Client, lent: &Client, at: String, options: MutexOptions) {
    let mutex = Mutex::new(lent, &at, options.clone()).expect("a mutex");
    let rival = Mutex::new(client, &at, options).expect("a mutex");
    let hold = mutex.lock(Some(LIMIT), "").await.expect("the lock");
    let valid = hold.valid_until().expect("held");
    assert!(valid > Time::now() && valid <= Time::now() + MINUTE, "a lease that ends");
    let tried = rival.lock(Some(Duration::ZERO), "").await;
    assert_eq!(code(tried), Code::TIMEOUT);
    let waiting = rival.lock(Some(LIMIT), "");
    hold.release().await.expect("released");
    waiting.await.expect("the lock").release().await.expect("released");
}

#[tokio::test]
async fn locks_and_elections_of_every_kind_run_step_by_step() {
    let (client, lent) = lent().await;
    let at = path("stepwise-lock");
    let strict = Strict { lease: LEASE, delay: LEASE };
    tokio::join!(
        lock_and_pass_on(&client, &lent, format!("{at}-default"), MutexOptions::default()),
        // Its path is made in steps too, so whoever makes it waits as for somebody who left no word.
        lock_and_pass_on(
            &client,
            &lent,
            format!("{at}-strict"),
            MutexOptions { strict: Some(strict), ..MutexOptions::default() },
        ),
        lock_and_pass_on(
            &client,
            &lent,
            format!("{at}-persistent"),
            MutexOptions { persistent: Some(Persistent { lease: LEASE }), ..MutexOptions::default() },
        ),
    );
    let elector =
        Elector::new(&lent, &format!("{at}-election"), ElectorOptions::default()).expect("an elector");
    let terms = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&terms);
    let error = elector
        .run(move |_| {
            let counted = Arc::clone(&counted);
            async move {
                counted.fetch_add(1, Ordering::Relaxed);
                Outcome::Interrupted
            }
        })
        .await;
    assert_eq!((error.code(), terms.load(Ordering::Relaxed)), (Code::INTERRUPTED, 1));
    let tree = Tree::new(&lent);
    grow(&client, &at, &["a/b", "c"]).await;
    tree.delete(&at, -1).await.expect("deleted");
    assert!(!tree.exists(&at).await.expect("an answer"));
}

#[tokio::test]
async fn a_lock_over_it_is_lost_with_its_node_and_its_session() {
    let (client, lent) = lent().await;
    let mutex = Mutex::new(&lent, &path("stepwise-loss"), MutexOptions::default()).expect("a mutex");
    let mut losses = mutex.losses();
    let _hold = mutex.lock(Some(LIMIT), "").await.expect("the lock");
    end_session(&client, &server().to_string()).await;
    tokio::time::timeout(LIMIT, losses.recv()).await.expect("in time").expect("told");
    assert!(!mutex.is_held());
}

#[tokio::test]
async fn somebody_who_comes_in_between_is_what_it_cannot_promise() {
    // The documented difference: between the check and the change of a transaction somebody else deletes what was checked.
    let client = client_of(&server().to_string()).await;
    let top = path("stepwise-between");
    grow(&client, &top, &["guard"]).await;
    let (guard, made) = (format!("{top}/guard"), format!("{top}/made"));
    let (target, gone) = (made.clone(), guard.clone());
    let meddled = meddled(&client, move |request| match request {
        Request::Create { path, .. } if *path == target => {
            Some(Request::Delete { path: gone.clone(), version: -1 })
        }
        _ => None,
    });
    commit(&over(meddled), vec![check(&guard, 0), create(made)]).await.expect("each step for itself");
    assert_eq!(children(&client, &top).await, ["made"]);
}
