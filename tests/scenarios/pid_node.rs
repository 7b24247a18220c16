//! What pid nodes do, on whichever server the test that takes this in names.

use super::{LIMIT, client, client_of, code, end_session, grow, own_server, path, server};
use crate::support::proxy::{Direction, Proxy};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use zkhelper::proto::{Acl, CreateMode, Stat, permissions};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Loss, Options, PidEvent, PidNode, PidNodeOptions, Result, TakeOver, Tree, acl};

async fn create(client: &Client, at: &str, options: PidNodeOptions) -> Result<PidNode> {
    tokio::time::timeout(LIMIT, PidNode::create(client, at, b"4711", options)).await.expect("an outcome")
}

async fn make(client: &Client, at: &str) -> PidNode {
    create(client, at, PidNodeOptions::default()).await.expect("made")
}

async fn stat(client: &Client, at: &str) -> Option<Stat> {
    client.zk().exists(at, OpOptions::default()).await.expect("an answer")
}

async fn until_gone(client: &Client, at: &str) {
    while stat(client, at).await.is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn next(events: &mut UnboundedReceiver<PidEvent>) -> PidEvent {
    tokio::time::timeout(LIMIT, events.recv()).await.expect("in time").expect("an event")
}

/// A path whose parent is there.
async fn place(client: &Client, name: &str) -> String {
    let top = path(name);
    grow(client, &top, &["x"]).await;
    format!("{top}/pid")
}

#[tokio::test]
async fn pid_node_row_it_is_there_with_its_data_and_list_until_it_is_closed_or_dropped() {
    let (client, other) = (client().await, client().await);
    let at = place(&client, "life").await;
    let node = make(&client, &at).await;
    assert!(node.is_there());
    let (data, stat_now) = other.zk().get(&at, OpOptions::default()).await.expect("there");
    assert_eq!((data.as_slice(), stat_now.ephemeral_owner), (b"4711".as_slice(), client.session().id));
    assert_eq!(other.zk().get_acl(&at, OpOptions::default()).await.expect("a list").0, acl::file());
    let mut events = node.events();
    let made = PidEvent::Made { czxid: stat_now.czxid, session: client.session().id };
    assert_eq!(next(&mut events).await, made);
    // What others do to its data is no loss.
    other.zk().set(&at, b"else", -1, OpOptions::default()).await.expect("set");
    node.close().await.expect("closed");
    assert!(stat(&other, &at).await.is_none());
    assert_eq!(events.recv().await, None);
    drop(make(&client, &at).await);
    until_gone(&other, &at).await;
    // With its client, it is told.
    let node = make(&client, &at).await;
    let mut events = node.events();
    next(&mut events).await;
    client.close(LIMIT).await.expect("closed");
    assert_eq!(next(&mut events).await, PidEvent::Lost(Loss::ClientClosed));
    until_gone(&other, &at).await;
    node.close().await.expect("nothing is left");
}

#[tokio::test]
async fn pid_node_row_it_is_never_taken_from_a_live_owner() {
    let (owner, other) = (client().await, client().await);
    let at = place(&owner, "live").await;
    let node = make(&owner, &at).await;
    let before = stat(&owner, &at).await.expect("there");
    for wait in [Duration::ZERO, Duration::from_millis(300)] {
        let options = PidNodeOptions { wait: Some(wait), ..Default::default() };
        let error = create(&other, &at, options).await.expect_err("refused");
        assert_eq!((error.code(), error.path()), (Code::NODE_EXISTS, Some(at.as_str())));
        assert!(error.to_string().contains(&format!("{:#x}", owner.session().id)), "{error}");
    }
    // Also by default, after the session timeout.
    let options = Options { session_timeout: Duration::from_secs(1), ..Options::default() };
    let hasty = Client::connect(&server().to_string(), options).await.expect("a connection");
    assert_eq!(code(create(&hasty, &at, PidNodeOptions::default()).await), Code::NODE_EXISTS);
    let dead = PidNodeOptions { take_over: TakeOver::Dead, wait: Some(Duration::ZERO), ..Default::default() };
    assert_eq!(code(create(&other, &at, dead).await), Code::NODE_EXISTS);
    // Another handle of the same session is another owner too, and needs not be waited for.
    let error = create(&owner, &at, PidNodeOptions::default()).await.expect_err("refused");
    assert_eq!(error.code(), Code::NODE_EXISTS);
    assert_eq!(stat(&owner, &at).await.expect("there"), before);
    assert!(node.is_there());
    node.close().await.expect("closed");
}

#[tokio::test]
async fn pid_node_row_a_dead_owners_node_is_waited_for() {
    let proxy = Proxy::new(server());
    let options = Options { session_timeout: Duration::from_secs(2), ..Options::default() };
    let owner = Client::connect(&proxy.address().to_string(), options).await.expect("a connection");
    let other = client().await;
    let at = place(&other, "dead").await;
    let node = make(&owner, &at).await;
    let mut events = node.events();
    assert!(matches!(next(&mut events).await, PidEvent::Made { .. }));
    proxy.freeze(Direction::ToServer);
    proxy.freeze(Direction::ToClient);
    let successor = make(&other, &at).await;
    assert_eq!(stat(&other, &at).await.expect("there").ephemeral_owner, other.session().id);
    // The dead one comes back: it is told, and leaves the node alone until its turn comes again.
    proxy.cut_now();
    proxy.thaw(Direction::ToServer);
    proxy.thaw(Direction::ToClient);
    assert_eq!(next(&mut events).await, PidEvent::Lost(Loss::SessionOver));
    let PidEvent::Refused(error) = next(&mut events).await else { panic!("not refused") };
    assert_eq!(error.code(), Code::NODE_EXISTS);
    assert!(!node.is_there());
    successor.close().await.expect("closed");
    assert!(matches!(next(&mut events).await, PidEvent::Made { .. }));
    node.close().await.expect("closed");
    assert!(stat(&other, &at).await.is_none());
}

#[tokio::test]
async fn pid_node_row_it_is_made_again_with_the_same_permissions() {
    let (owner, other) = (client().await, client().await);
    owner.add_auth("digest", b"me:secret").await.expect("taken");
    let at = place(&other, "again").await;
    let list = vec![Acl::world(permissions::READ), Acl::creator(permissions::ALL)];
    let options = PidNodeOptions { acl: list, ..Default::default() };
    let node = create(&owner, &at, options).await.expect("made");
    let before = other.zk().get_acl(&at, OpOptions::default()).await.expect("a list");
    let mut events = node.events();
    let mut czxid = before.1.czxid;
    next(&mut events).await;
    for lost in [Loss::SessionOver, Loss::NodeDeleted] {
        match lost {
            Loss::SessionOver => end_session(&owner, &server().to_string()).await,
            // Who may delete is for the parent's list to say.
            _ => other.zk().delete(&at, -1, OpOptions::default()).await.expect("deleted"),
        }
        // Whichever is heard first of a session's end: itself, or that it took the node along.
        let PidEvent::Lost(loss) = next(&mut events).await else { panic!("no loss") };
        assert!(loss == lost || loss == Loss::NodeDeleted, "{loss:?}");
        let (czxid_now, session) = loop {
            match next(&mut events).await {
                PidEvent::Made { czxid, session } => break (czxid, session),
                PidEvent::Lost(_) => {}
                PidEvent::Refused(error) => panic!("{error}"),
            }
        };
        assert!(czxid_now > czxid);
        czxid = czxid_now;
        let (data, stat) = other.zk().get(&at, OpOptions::default()).await.expect("there");
        assert_eq!((data.as_slice(), stat.czxid, stat.ephemeral_owner), (b"4711".as_slice(), czxid, session));
        assert_eq!(other.zk().get_acl(&at, OpOptions::default()).await.expect("a list").0, before.0);
    }
    node.close().await.expect("closed");
    assert!(stat(&other, &at).await.is_none());
}

#[tokio::test]
async fn a_live_owner_is_relieved_only_if_that_is_asked_for_and_is_told() {
    let (owner, other) = (client().await, client().await);
    let at = place(&owner, "relieved").await;
    let short = Some(Duration::from_millis(200));
    let live = PidNodeOptions { take_over: TakeOver::Live, wait: short, ..Default::default() };
    let node = create(&owner, &at, live.clone()).await.expect("made");
    let mut events = node.events();
    next(&mut events).await;
    let taken = create(&other, &at, live).await.expect("taken over");
    assert_eq!(stat(&owner, &at).await.expect("there").ephemeral_owner, other.session().id);
    assert_eq!(next(&mut events).await, PidEvent::Lost(Loss::NodeDeleted));
    // It does not take it back, though it might have taken it in the first place.
    assert!(matches!(next(&mut events).await, PidEvent::Refused(_)));
    assert!(taken.is_there() && !node.is_there());
    // What is closed while another's node stands there leaves that one alone.
    node.close().await.expect("closed");
    assert_eq!(stat(&owner, &at).await.expect("there").ephemeral_owner, other.session().id);
    taken.close().await.expect("closed");
}

#[tokio::test]
async fn a_node_that_no_session_keeps_is_replaced_only_if_that_is_asked_for() {
    let client = client().await;
    let at = place(&client, "persistent").await;
    let tree = Tree::new(&client);
    tree.create(&at, b"old", &acl::default(), CreateMode::Persistent).await.expect("made");
    let error = create(&client, &at, PidNodeOptions::default()).await.expect_err("refused");
    assert_eq!(error.code(), Code::NODE_EXISTS);
    assert!(error.to_string().contains("persistent"), "{error}");
    let dead = PidNodeOptions { take_over: TakeOver::Dead, ..Default::default() };
    let node = create(&client, &at, dead.clone()).await.expect("taken over");
    assert_eq!(stat(&client, &at).await.expect("there").ephemeral_owner, client.session().id);
    node.close().await.expect("closed");
    tree.create(&format!("{at}/child"), b"", &acl::default(), CreateMode::Persistent).await.expect("made");
    assert_eq!(code(create(&client, &at, dead).await), Code::NOT_EMPTY);
    assert!(stat(&client, &format!("{at}/child")).await.is_some());
}

#[tokio::test]
async fn a_pid_node_that_cannot_be_made_says_why() {
    let client = client().await;
    let at = path("why");
    let error =
        create(&client, &format!("{at}/pid"), PidNodeOptions::default()).await.expect_err("no parent");
    assert_eq!((error.code(), error.path()), (Code::NO_NODE, Some(format!("{at}/pid").as_str())));
    assert_eq!(code(create(&client, "a", PidNodeOptions::default()).await), Code::BAD_PATH);
    let nobody = PidNodeOptions { acl: Vec::new(), ..Default::default() };
    assert_eq!(code(create(&client, "/a", nobody).await), Code::BAD_ARGUMENT);
    let options = Options { session_timeout: Duration::from_millis(100), ..Options::default() };
    let nowhere = Client::new("127.0.0.1:1", options).expect("a client");
    assert_eq!(code(create(&nowhere, "/a", PidNodeOptions::default()).await), Code::NOT_SENT);
}

#[tokio::test]
async fn a_creation_that_nobody_waits_for_leaves_no_node() {
    let (client, other) = (client().await, client().await);
    let at = place(&client, "dropped").await;
    // Before it is sent, while it is under way, and while it waits for another's node.
    for _ in 0..20 {
        let creation = PidNode::create(&client, &at, b"", PidNodeOptions::default());
        let look = stat(&other, &at);
        tokio::select! {
            biased;
            made = creation => drop(made),
            _ = look => {}
        }
    }
    let node = make(&other, &at).await;
    let waiting = PidNode::create(&client, &at, b"", PidNodeOptions::default());
    assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err());
    node.close().await.expect("closed");
    client.zk().sync("/", OpOptions::default()).await.expect("an answer");
    until_gone(&other, &at).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(stat(&other, &at).await.is_none());
}

#[tokio::test]
async fn it_is_kept_through_cut_connections_and_a_restart_of_the_server() {
    let mut server = own_server();
    let proxy = Proxy::new(server.address().parse().expect("an address"));
    let (owner, other) = (client_of(&proxy.address().to_string()).await, client_of(&server.address()).await);
    let node = make(&owner, "/kept").await;
    let before = stat(&other, "/kept").await.expect("there");
    proxy.cut_now();
    owner.zk().sync("/", OpOptions::default()).await.expect("connected again");
    server.restart();
    owner.zk().sync("/", OpOptions::default()).await.expect("connected again");
    assert_eq!(stat(&other, "/kept").await.expect("there").czxid, before.czxid);
    // The watch is still armed.
    let mut events = node.events();
    next(&mut events).await;
    other.zk().delete("/kept", -1, OpOptions::default()).await.expect("deleted");
    assert_eq!(next(&mut events).await, PidEvent::Lost(Loss::NodeDeleted));
    assert!(matches!(next(&mut events).await, PidEvent::Made { .. }));
    proxy.cut_now();
    node.close().await.expect("closed");
    assert!(stat(&other, "/kept").await.is_none());
}
