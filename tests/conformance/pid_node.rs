//! The pid node: scenarios 82 to 86.

use super::address;
use crate::ground::*;
use tokio::sync::mpsc::UnboundedReceiver;

async fn begin() -> (Client, Client, String) {
    let (a, b) = (connect(&address()).await, connect(&address()).await);
    let at = home(&a).await + "/pid";
    (a, b, at)
}

async fn start(client: &Client, path: &str, options: PidNodeOptions) -> Result<PidNode> {
    within(PidNode::create(client, path, b"4711", options)).await
}

async fn plain(client: &Client, path: &str) -> PidNode {
    start(client, path, PidNodeOptions::default()).await.expect("made")
}

/// Takes events up to one that is wanted.
async fn told(events: &mut UnboundedReceiver<PidEvent>, wanted: impl Fn(&PidEvent) -> bool) {
    while !wanted(&within(events.recv()).await.expect("an event")) {}
}

fn owner_of(node: Option<Stat>) -> i64 {
    node.expect("there").ephemeral_owner
}

#[tokio::test]
async fn s82_pid_node_until_it_is_closed() {
    let (a, b, at) = begin().await;
    let node = plain(&a, &at).await;
    let (data, found) = read(&b, &at).await;
    assert_eq!((data.as_str(), found.ephemeral_owner), ("4711", a.session().id));
    node.close().await.expect("closed");
    assert!(stat(&b, &at).await.is_none());
}

#[tokio::test]
async fn s83_pid_node_is_not_taken() {
    let (a, b, at) = begin().await;
    let _node = plain(&a, &at).await;
    let short = PidNodeOptions { wait: SHORT, ..PidNodeOptions::default() };
    assert_eq!(code(start(&b, &at, short).await), Code::NODE_EXISTS);
    assert_eq!(owner_of(stat(&b, &at).await), a.session().id);
}

#[tokio::test]
async fn s84_pid_node_is_taken_if_asked() {
    let (a, b, at) = begin().await;
    let node = plain(&a, &at).await;
    let mut events = node.events();
    let options = PidNodeOptions { take_over: TakeOver::Live, ..PidNodeOptions::default() };
    let _taken = start(&b, &at, options).await.expect("taken");
    told(&mut events, |event| *event == PidEvent::Lost(Loss::NodeDeleted)).await;
    node.close().await.expect("closed");
    assert_eq!(owner_of(stat(&a, &at).await), b.session().id);
}

#[tokio::test]
async fn s85_pid_node_is_made_again() {
    let (a, b, at) = begin().await;
    let node = plain(&a, &at).await;
    let mut events = node.events();
    told(&mut events, |event| matches!(event, PidEvent::Made { .. })).await;
    delete(&b, &at).await;
    told(&mut events, |event| *event == PidEvent::Lost(Loss::NodeDeleted)).await;
    told(&mut events, |event| matches!(event, PidEvent::Made { .. })).await;
    let (data, found) = read(&b, &at).await;
    assert_eq!((data.as_str(), found.ephemeral_owner), ("4711", a.session().id));
}

#[tokio::test]
async fn s86_pid_node_keeps_its_list() {
    let (a, b, at) = begin().await;
    let list = vec![Acl::world(permissions::READ)];
    let node = start(&a, &at, PidNodeOptions { acl: list.clone(), ..PidNodeOptions::default() }).await;
    let mut events = node.as_ref().expect("made").events();
    let old = a.session().id;
    end_session(&a, &address()).await;
    told(&mut events, |event| matches!(event, PidEvent::Made { session, .. } if *session != old)).await;
    assert_eq!(b.zk().get_acl(&at, O).await.expect("a list").0, list);
    assert_ne!(owner_of(stat(&b, &at).await), old);
}
