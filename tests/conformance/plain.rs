//! Plain operations: scenarios 11 to 24.

use super::address;
use crate::ground::*;

async fn begin() -> (Client, String) {
    let a = connect(&address()).await;
    let home = home(&a).await;
    (a, home)
}

fn creation(path: String) -> MultiOp {
    MultiOp::Create { path, data: Vec::new(), acl: acl::default(), mode: PLAIN, ttl_ms: 0, with_stat: true }
}

#[tokio::test]
async fn s11_create_get_set_delete() {
    let (a, home) = begin().await;
    let at = home + "/n";
    let (path, made) = a.zk().create(&at, b"one", &acl::default(), PLAIN, O).await.expect("made");
    assert_eq!((path, made.version), (at.clone(), 0));
    assert_eq!(a.zk().set(&at, b"two", 0, O).await.expect("set").version, 1);
    assert_eq!(read(&a, &at).await.0, "two");
    a.zk().delete(&at, 1, O).await.expect("deleted");
    assert!(stat(&a, &at).await.is_none());
}

#[tokio::test]
async fn s12_sequential_names() {
    let (a, home) = begin().await;
    use CreateMode::{EphemeralSequential, PersistentSequential};
    for (n, mode) in [PersistentSequential, PersistentSequential, EphemeralSequential].into_iter().enumerate()
    {
        assert_eq!(make(&a, &format!("{home}/job-"), mode).await, format!("{home}/job-{n:010}"));
    }
    assert_eq!(names(&a, &home).await, ["job-0000000000", "job-0000000001", "job-0000000002"]);
}

#[tokio::test]
async fn s13_ephemerals_have_an_owner() {
    let (a, home) = begin().await;
    let plain = make(&a, &format!("{home}/p"), PLAIN).await;
    let ephemeral = make(&a, &format!("{home}/e"), CreateMode::Ephemeral).await;
    assert_eq!(stat(&a, &plain).await.expect("there").ephemeral_owner, 0);
    assert_eq!(stat(&a, &ephemeral).await.expect("there").ephemeral_owner, a.session().id);
    let child = a.zk().create(&(ephemeral + "/c"), b"", &acl::default(), PLAIN, O).await;
    assert_eq!(code(child), Code::NO_CHILDREN_FOR_EPHEMERALS);
}

#[tokio::test]
async fn s14_wrong_version_changes_nothing() {
    let (a, home) = begin().await;
    assert_eq!(code(a.zk().set(&home, b"new", 5, O).await), Code::BAD_VERSION);
    assert_eq!(code(a.zk().delete(&home, 5, O).await), Code::BAD_VERSION);
    let (data, stat) = read(&a, &home).await;
    assert_eq!((data.as_str(), stat.version), ("", 0));
}

#[tokio::test]
async fn s15_codes_of_what_is_there_and_is_not() {
    let (a, home) = begin().await;
    let (zk, none, world) = (a.zk(), format!("{home}/none"), acl::default());
    assert_eq!(code(zk.get(&none, O).await), Code::NO_NODE);
    assert_eq!(code(zk.set(&none, b"", -1, O).await), Code::NO_NODE);
    assert_eq!(code(zk.delete(&none, -1, O).await), Code::NO_NODE);
    assert_eq!(code(zk.children(&none, O).await), Code::NO_NODE);
    assert_eq!(code(zk.create(&format!("{none}/c"), b"", &world, PLAIN, O).await), Code::NO_NODE);
    assert_eq!(zk.exists(&none, O).await.expect("an answer"), None);
    make(&a, &format!("{home}/c"), PLAIN).await;
    assert_eq!(code(zk.create(&home, b"", &world, PLAIN, O).await), Code::NODE_EXISTS);
    assert_eq!(code(zk.delete(&home, -1, O).await), Code::NOT_EMPTY);
}

#[tokio::test]
async fn s16_list_has_its_own_version() {
    let (a, home) = begin().await;
    let at = make(&a, &(home + "/n"), PLAIN).await;
    let read_only = [Acl::world(permissions::READ | permissions::ADMIN)];
    assert_eq!(a.zk().set_acl(&at, &read_only, 0, O).await.expect("set").aversion, 1);
    let (list, stat) = a.zk().get_acl(&at, O).await.expect("a list");
    assert_eq!((list.as_slice(), stat.aversion, stat.version), (&read_only[..], 1, 0));
    assert_eq!(code(a.zk().set_acl(&at, &read_only, 0, O).await), Code::BAD_VERSION);
}

#[tokio::test]
async fn s17_multi_is_all_or_nothing() {
    let (a, home) = begin().await;
    let (at, none) = (format!("{home}/a"), format!("{home}/none"));
    let bad = MultiOp::SetData { path: none, data: Vec::new(), version: -1 };
    assert_eq!(code(a.zk().multi(vec![creation(at.clone()), bad], O).await), Code::NO_NODE);
    assert!(stat(&a, &at).await.is_none());
    assert_eq!(a.zk().multi(vec![creation(at.clone())], O).await.expect("committed").len(), 1);
    assert!(stat(&a, &at).await.is_some());
}

#[tokio::test]
async fn s18_multi_checks_versions() {
    let (a, home) = begin().await;
    let check = |version| MultiOp::Check { path: home.clone(), version };
    let node = |name| creation(format!("{home}/{name}"));
    a.zk().multi(vec![check(0), node("a")], O).await.expect("committed");
    assert_eq!(code(a.zk().multi(vec![check(7), node("b")], O).await), Code::BAD_VERSION);
    assert_eq!(names(&a, &home).await, ["a"]);
}

#[tokio::test]
async fn s19_multi_read_answers_each() {
    let (a, home) = begin().await;
    let at = make(&a, &format!("{home}/n"), PLAIN).await;
    set(&a, &at, "data").await;
    let none = MultiOp::GetData { path: format!("{home}/none") };
    let reads = vec![MultiOp::GetData { path: at }, MultiOp::GetChildren { path: home }, none];
    let all = a.zk().multi_read(reads, O).await.expect("answered");
    assert!(matches!(&all[0], MultiResult::GetData { data, .. } if data == b"data"), "{all:?}");
    assert_eq!(all[1], MultiResult::GetChildren { children: vec!["n".to_owned()] });
    assert_eq!(all[2].err(), Code::NO_NODE.number());
}

#[tokio::test]
async fn s20_data_of_every_kind() {
    let (a, home) = begin().await;
    for data in [Vec::new(), (0..=255).collect(), vec![b'x'; 100_000]] {
        a.zk().set(&home, &data, -1, O).await.expect("set");
        assert_eq!(a.zk().get(&home, O).await.expect("there").0, data);
    }
}

#[tokio::test]
async fn s21_too_large_is_refused_unsent() {
    let (a, home) = begin().await;
    let before = a.session();
    assert_eq!(code(a.zk().set(&home, &vec![0; 2_000_000], -1, O).await), Code::TOO_LARGE);
    set(&a, &home, "small").await;
    assert_eq!((a.session().id, a.session().connection), (before.id, before.connection));
}

#[tokio::test]
async fn s22_many_at_once_keep_their_order() {
    let (a, home) = begin().await;
    let sets: Vec<_> = (1..=200).map(|n: u32| a.zk().set(&home, n.to_string().as_bytes(), -1, O)).collect();
    for set in sets {
        set.await.expect("set");
    }
    let (data, stat) = read(&a, &home).await;
    assert_eq!((data.as_str(), stat.version), ("200", 200));
}

#[tokio::test]
async fn s23_sync_then_read() {
    let (a, home) = begin().await;
    let b = connect(&address()).await;
    set(&a, &home, "new").await;
    b.zk().sync(&home, O).await.expect("answered");
    assert_eq!(read(&b, &home).await.0, "new");
}

#[tokio::test]
async fn s24_ephemerals_of_the_session() {
    let (a, home) = begin().await;
    let b = connect(&address()).await;
    for (client, name) in [(&a, "one"), (&a, "two"), (&b, "three")] {
        make(client, &format!("{home}/{name}"), CreateMode::Ephemeral).await;
    }
    let mut own = a.zk().ephemerals(&home, O).await.expect("a list");
    own.sort();
    assert_eq!(own, [format!("{home}/one"), format!("{home}/two")]);
}
