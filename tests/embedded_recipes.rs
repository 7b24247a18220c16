//! The scenarios of the recipes beside the mutex on the embedded server, and what Apache ZooKeeper cannot be
//! brought to on purpose.

#[path = "scenarios/glob.rs"]
mod glob;
#[path = "scenarios/ground.rs"]
mod ground;
#[path = "scenarios/pid_node.rs"]
mod pid_node;
#[path = "scenarios/queue_lock.rs"]
mod queue_lock;
#[path = "scenarios/seed.rs"]
mod seed;
#[path = "scenarios/stepwise.rs"]
mod stepwise;
mod support;
#[path = "scenarios/tree.rs"]
mod tree;

use ground::*;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;
use zkhelper::embedded::{Moment, Operation, Server};
use zkhelper::proto::CreateMode;
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, PidNode, PidNodeOptions, QueueLock, QueueLockOptions, TakeOver, Tree, acl};

/// The tick of the tests' Apache ZooKeeper.
const TICK: Duration = Duration::from_millis(500);

/// The server that the scenarios share.
fn server() -> SocketAddr {
    static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start_with_tick(0, TICK).expect("a server"));
    SERVER.address().parse().expect("an address")
}

/// A server of one's own. It keeps nothing on disk, so a restart of it is that all its connections end.
struct Own(Server);

impl Own {
    fn address(&self) -> String {
        self.0.address().to_owned()
    }

    fn restart(&mut self) {
        self.0.disconnect_all();
    }
}

fn own_server() -> Own {
    Own(Server::start_with_tick(0, TICK).expect("a server"))
}

async fn client() -> Client {
    client_of(&server().to_string()).await
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_a_tree_created_updated_listed_and_deleted() {
    let server = Server::start(0).expect("a server");
    let client = client_of(server.address()).await;
    let tree = Tree::new(&client);
    let names: Vec<String> = (0..400).map(|n| format!("{}/{n}", n % 3)).collect();
    for moment in [Moment::BeforeApplying, Moment::AfterApplying] {
        for n in [1, 2, 5, 100, 300] {
            let nodes: Vec<_> = names.iter().map(|name| (format!("/lost/{name}"), Vec::new())).collect();
            server.cut(Operation::Create, n, moment);
            let made = tree.create_all(nodes, &acl::default(), CreateMode::Persistent).await.expect("valid");
            for outcome in made {
                // What was applied and not answered is there, and is not known to be ours.
                assert!(
                    outcome.as_ref().is_ok_and(|at| at.starts_with("/lost/"))
                        || code(outcome) == Code::OUTCOME_UNKNOWN
                );
            }
            server.clear_cuts();
            server.cut(Operation::GetChildren, n, moment);
            assert_eq!(tree.children("/lost").await.expect("a list").len(), 403, "{moment:?} {n}");
            server.clear_cuts();
            server.cut(Operation::GetChildren, 1, moment);
            assert_eq!(tree.glob(&["/lost/*/?"]).await.expect("matches").paths.len(), 10);
            server.clear_cuts();
            server.cut(if n == 1 { Operation::Delete } else { Operation::Multi }, 1, moment);
            tree.delete("/lost", -1).await.expect("deleted");
            assert!(!tree.exists("/lost").await.expect("an answer"), "{moment:?} {n}");
            server.clear_cuts();
        }
        for operation in [Operation::Create, Operation::SetData] {
            for _ in 0..2 {
                server.cut(operation, 1, moment);
                let plain = CreateMode::Persistent;
                let update = tree.create_or_update("/u/v", b"x", &acl::file(), plain, true).await;
                assert_eq!(update.expect("settled"), "/u/v");
                server.clear_cuts();
            }
            assert_eq!(client.zk().get("/u/v", OpOptions::default()).await.expect("there").0, b"x");
            tree.delete("/u", -1).await.expect("deleted");
        }
    }
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_settled_where_it_can_be() {
    let server = Server::start(0).expect("a server");
    let client = client_of(server.address()).await;
    let tree = Tree::new(&client);
    let create = async |path: &'static str, mode| tree.create(path, b"", &acl::default(), mode).await;
    for (moment, persistent) in
        [(Moment::BeforeApplying, None), (Moment::AfterApplying, Some(Code::OUTCOME_UNKNOWN))]
    {
        server.cut(Operation::Create, 1, moment);
        assert_eq!(create("/e", CreateMode::Ephemeral).await.expect("settled: its owner tells"), "/e");
        server.clear_cuts();
        server.cut(Operation::Create, 1, moment);
        assert_eq!(create("/p", CreateMode::Persistent).await.err().map(|error| error.code()), persistent);
        server.clear_cuts();
        server.cut(Operation::Create, 1, moment);
        let job = create("/job-", CreateMode::PersistentSequential).await;
        assert_eq!(code(job), Code::OUTCOME_UNKNOWN);
        server.clear_cuts();
        for path in ["/e", "/p"] {
            tree.delete(path, -1).await.expect("there");
        }
    }
    // The creation that was applied was not made twice.
    assert_eq!(tree.glob(&["/job-*"]).await.expect("matches").paths.len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_a_queue_with_one_node_and_then_none() {
    let server = Server::start(0).expect("a server");
    let client = client_of(server.address()).await;
    let lock = QueueLock::new(&client, "/queue", QueueLockOptions::default()).expect("a queue lock");
    lock.lock(Some(LIMIT), "").await.expect("the lock").release().await.expect("released");
    for moment in [Moment::BeforeApplying, Moment::AfterApplying] {
        for operation in [Operation::Create, Operation::GetChildren, Operation::Exists, Operation::Delete] {
            server.cut(operation, 1, moment);
            let hold = lock.lock(Some(LIMIT), "").await.expect("the lock");
            assert_eq!(children(&client, "/queue").await.len(), 1, "{operation:?} {moment:?}");
            let other = QueueLock::new(&client, "/queue", QueueLockOptions::default()).expect("a queue lock");
            let waiting = other.lock(Some(LIMIT), "");
            until_children(&client, "/queue", |names| names.len() == 2).await;
            hold.release().await.expect("released");
            waiting.await.expect("the lock").release().await.expect("released");
            assert!(children(&client, "/queue").await.is_empty(), "{operation:?} {moment:?}");
            server.clear_cuts();
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_one_pid_node_and_then_none() {
    let server = Server::start(0).expect("a server");
    let client = client_of(server.address()).await;
    for moment in [Moment::BeforeApplying, Moment::AfterApplying] {
        for operation in [Operation::Create, Operation::Exists, Operation::Delete, Operation::Multi] {
            for take_over in [TakeOver::Never, TakeOver::Live] {
                if take_over == TakeOver::Live {
                    let plain = CreateMode::Persistent;
                    Tree::new(&client).create("/pid", b"", &acl::default(), plain).await.expect("made");
                }
                server.cut(operation, 1, moment);
                let options = PidNodeOptions { take_over, ..PidNodeOptions::default() };
                let node = PidNode::create(&client, "/pid", b"1", options).await.expect("made");
                let (_, stat) = client.zk().get("/pid", OpOptions::default()).await.expect("there");
                assert_eq!(stat.ephemeral_owner, client.session().id, "{operation:?} {moment:?}");
                node.close().await.expect("closed");
                let look = client.zk().exists("/pid", OpOptions::default());
                assert_eq!(look.await.expect("an answer"), None, "{operation:?} {moment:?}");
                server.clear_cuts();
            }
        }
        // Nobody waits for a creation whose answer is lost.
        server.cut(Operation::Create, 1, moment);
        let creation = PidNode::create(&client, "/pid", b"1", PidNodeOptions::default());
        assert!(tokio::time::timeout(Duration::from_millis(5), creation).await.is_err());
        loop {
            let look = client.zk().exists("/pid", OpOptions::default());
            if server.cuts_left() == 0 && look.await.expect("an answer").is_none() {
                break;
            }
        }
        server.clear_cuts();
    }
}

#[tokio::test]
async fn near_the_end_of_the_sequence_a_queue_lock_refuses() {
    let server = Server::start(0).expect("a server");
    let client = client_of(server.address()).await;
    Tree::new(&client).create("/end", b"", &acl::default(), CreateMode::Persistent).await.expect("made");
    let lock = QueueLock::new(&client, "/end", QueueLockOptions::default()).expect("a queue lock");
    for next in [i32::MAX - (1 << 20) + 1, i32::MAX, i32::MIN, -1] {
        server.set_sequence("/end", next).expect("set");
        assert_eq!(code(lock.lock(Some(LIMIT), "").await), Code::SEQUENCE_EXHAUSTED, "{next}");
        assert!(children(&client, "/end").await.is_empty(), "{next}");
    }
}
