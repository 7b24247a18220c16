//! What trees do, on whichever server the test that takes this in names.

use super::{LIMIT, client, client_of, code, grow, meddled, path, server};
use crate::support::proxy::{Direction, Proxy};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use zkhelper::proto::{Acl, CreateMode, Request, permissions};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Options, Tree, acl};

const PLAIN: CreateMode = CreateMode::Persistent;

fn now() -> OpOptions {
    OpOptions::default()
}

#[tokio::test]
async fn tree_row_1_a_bad_path_is_refused_before_anything_is_sent() {
    // Nothing listens there: a request would fail otherwise, and later.
    let client = Client::new("127.0.0.1:1", Options::default()).expect("a client");
    let tree = Tree::new(&client);
    for path in ["", "a", "/a/", "/a//b", "/a/../b", "/a\0b", "//"] {
        assert_eq!(code(tree.create(path, b"", &acl::default(), PLAIN).await), Code::BAD_PATH, "{path:?}");
        let update = tree.create_or_update(path, b"", &acl::default(), PLAIN, true).await;
        assert_eq!(code(update), Code::BAD_PATH, "{path:?}");
        let all = vec![("/fine".to_owned(), Vec::new()), (path.to_owned(), Vec::new())];
        assert_eq!(code(tree.create_all(all, &acl::default(), PLAIN).await), Code::BAD_PATH, "{path:?}");
        assert_eq!(code(tree.delete(path, -1).await), Code::BAD_PATH, "{path:?}");
        assert_eq!(code(tree.children(path).await), Code::BAD_PATH, "{path:?}");
        assert_eq!(code(tree.exists(path).await), Code::BAD_PATH, "{path:?}");
    }
    assert_eq!(code(tree.delete("/", -1).await), Code::BAD_PATH);
    assert_eq!(code(tree.delete("/a", -2).await), Code::BAD_ARGUMENT);
    assert_eq!(code(tree.create("/a", b"", &[], PLAIN).await), Code::BAD_ARGUMENT);
    let ttl = tree.create("/a", b"", &acl::default(), CreateMode::PersistentTtl).await;
    assert_eq!(code(ttl), Code::BAD_ARGUMENT);
}

#[tokio::test]
async fn tree_row_1_parents_are_plain_and_give_nobody_more_than_the_node_does() {
    let client = client().await;
    let (zk, tree) = (client.zk(), Tree::new(&client));
    let top = path("plain");
    let leaf = format!("{top}/a/b");
    let made = tree.create(&leaf, b"data", &acl::file(), CreateMode::Ephemeral).await.expect("made");
    assert_eq!(made, leaf);
    let (data, stat) = zk.get(&leaf, now()).await.expect("the node");
    assert_eq!((data.as_slice(), stat.ephemeral_owner), (b"data".as_slice(), client.session().id));
    assert_eq!(zk.get_acl(&leaf, now()).await.expect("a list").0, acl::file());
    for parent in [top.clone(), format!("{top}/a")] {
        let (data, stat) = zk.get(&parent, now()).await.expect("a parent");
        assert_eq!((data.len(), stat.ephemeral_owner), (0, 0), "{parent}");
        // A file's list lets its owners do all: ADMIN can give itself the rest.
        assert_eq!(zk.get_acl(&parent, now()).await.expect("a list").0, acl::directory());
    }
    // With a list of two identities, who may only read the node may only read its parents.
    client.add_auth("digest", b"me:secret").await.expect("taken");
    let top = path("narrow");
    let list = [Acl::world(permissions::READ), Acl::creator(permissions::ALL)];
    tree.create(&format!("{top}/a"), b"", &list, PLAIN).await.expect("made");
    let parent = zk.get_acl(&top, now()).await.expect("a list").0;
    assert_eq!(parent.iter().find(|entry| entry.scheme == "world"), Some(&Acl::world(permissions::READ)));
    assert_eq!(parent.len(), 2);
    // Nobody could create the node below such a parent, so none is made.
    let top = path("closed");
    let refused = tree.create(&format!("{top}/a"), b"", &[Acl::world(permissions::READ)], PLAIN).await;
    assert_eq!(code(refused), Code::INVALID_ACL);
    assert!(!tree.exists(&top).await.expect("an answer"));
}

#[tokio::test]
async fn tree_row_1_flags_are_honoured_and_the_path_is_returned() {
    let client = client().await;
    let (zk, tree) = (client.zk(), Tree::new(&client));
    let top = path("flags");
    let at = format!("{top}/a/b");
    let update = async |data: &'static [u8], mode, recursive| {
        tree.create_or_update(&at, data, &acl::default(), mode, recursive).await
    };
    assert_eq!(code(update(b"", PLAIN, false).await), Code::NO_NODE);
    assert_eq!(update(b"1", CreateMode::Ephemeral, true).await.expect("created"), at);
    let (_, stat) = zk.get(&at, now()).await.expect("the node");
    assert_eq!((stat.ephemeral_owner, stat.version), (client.session().id, 0));
    assert_eq!(update(b"2", PLAIN, false).await.expect("updated"), at);
    let (data, stat) = zk.get(&at, now()).await.expect("the node");
    assert_eq!((data.as_slice(), stat.version), (b"2".as_slice(), 1));
    for number in 0..2 {
        let job = format!("{top}/queue/job-");
        let mode = CreateMode::PersistentSequential;
        let made = tree.create_or_update(&job, b"", &acl::default(), mode, true).await.expect("created");
        assert_eq!(made, format!("{job}{number:010}"));
    }
    let sequential = CreateMode::PersistentSequential;
    let bare = tree.create(&format!("{top}/bare/"), b"", &acl::default(), sequential).await;
    assert_eq!(bare.expect("created"), format!("{top}/bare/0000000000"));
    let again = tree.create(&at, b"", &acl::default(), PLAIN).await;
    assert_eq!(code(again), Code::NODE_EXISTS);
}

#[tokio::test]
async fn missing_parents_cost_one_flight_however_many_they_are() {
    let proxy = Proxy::new(server());
    let client = client_of(&proxy.address().to_string()).await;
    let tree = Tree::new(&client);
    let top = path("deep");
    let deep = top.clone() + &"/d".repeat(50);
    let before = (proxy.frames(Direction::ToServer), proxy.chunks(Direction::ToServer));
    tree.create(&deep, b"", &acl::default(), PLAIN).await.expect("made");
    let frames = proxy.frames(Direction::ToServer) - before.0;
    let chunks = proxy.chunks(Direction::ToServer) - before.1;
    // The node, its parents (with "/zk" itself), and the node again; a ping may come in between.
    assert!((53..=54).contains(&frames), "{frames} requests");
    assert!(chunks <= 4, "{chunks} flights");
    tree.delete(&top, -1).await.expect("deleted");
}

#[tokio::test]
async fn a_list_is_relative_and_sorted_and_every_node_once() {
    let client = client().await;
    let top = path("list");
    grow(&client, &top, &["b", "a/y", "a/x/1", "a-b", "c", "a/x/0"]).await;
    let names = Tree::new(&client).children(&top).await.expect("a list");
    assert_eq!(names, ["a", "a-b", "a/x", "a/x/0", "a/x/1", "a/y", "b", "c"]);
    assert!(Tree::new(&client).children(&format!("{top}/c")).await.expect("a list").is_empty());
    assert_eq!(code(Tree::new(&client).children(&format!("{top}/d")).await), Code::NO_NODE);
    let quota = Tree::new(&client).children("/zookeeper").await.expect("a list");
    assert!(quota.contains(&"quota".to_owned()), "{quota:?}");
}

#[tokio::test]
async fn a_list_that_may_not_be_complete_is_none() {
    let client = client().await;
    let top = path("unlisted");
    grow(&client, &top, &["a"]).await;
    let unreadable = [Acl::world(permissions::ALL & !permissions::READ)];
    client.zk().create(&format!("{top}/b"), b"", &unreadable, PLAIN, now()).await.expect("made");
    let error = Tree::new(&client).children(&top).await.expect_err("refused");
    assert_eq!((error.code(), error.path()), (Code::NO_AUTH, Some(format!("{top}/b").as_str())));
    // It may be deleted all the same: that is for the list of its parent to say.
    Tree::new(&client).delete(&top, -1).await.expect("deleted");
}

#[tokio::test]
async fn tree_row_3_a_failed_delete_changes_no_access_control_list() {
    let owner = client().await;
    owner.add_auth("digest", b"owner:secret").await.expect("taken");
    let top = path("guarded");
    grow(&owner, &top, &["open/a", "shut"]).await;
    // Nobody but the owner may delete what is below it.
    let shut = [Acl::world(permissions::READ), Acl::creator(permissions::ALL)];
    let zk = owner.zk();
    zk.set_acl(&format!("{top}/shut"), &shut, -1, now()).await.expect("set");
    zk.create(&format!("{top}/shut/a"), b"", &acl::default(), PLAIN, now()).await.expect("made");
    let list = async |at: &str| zk.get_acl(&format!("{top}{at}"), now()).await.expect("a list");
    let before = [list("").await, list("/shut").await];
    let other = client().await;
    let error = Tree::new(&other).delete(&top, -1).await.expect_err("refused");
    assert_eq!((error.code(), error.path()), (Code::NO_AUTH, Some(format!("{top}/shut/a").as_str())));
    for (at, (acl, stat)) in ["", "/shut"].iter().zip(before) {
        let (now, now_stat) = list(at).await;
        assert_eq!((now, now_stat.aversion), (acl, stat.aversion), "{at:?}");
    }
    Tree::new(&owner).delete(&top, -1).await.expect("deleted");
    assert!(!Tree::new(&owner).exists(&top).await.expect("an answer"));
    assert_eq!(code(Tree::new(&owner).delete(&top, -1).await), Code::NO_NODE);
}

#[tokio::test]
async fn tree_row_3_the_version_guards_the_top_nodes_data() {
    let client = client().await;
    let (zk, tree) = (client.zk(), Tree::new(&client));
    let top = path("version");
    grow(&client, &top, &["a/b", "c"]).await;
    // Its list's version and its data's differ, and the children's do not matter.
    zk.set_acl(&top, &acl::default(), -1, now()).await.expect("set");
    zk.set_acl(&top, &acl::default(), -1, now()).await.expect("set");
    zk.set(&top, b"new", -1, now()).await.expect("set");
    zk.set(&format!("{top}/a"), b"new", -1, now()).await.expect("set");
    for wrong in [0, 2] {
        assert_eq!(code(tree.delete(&top, wrong).await), Code::BAD_VERSION);
        assert_eq!(tree.children(&top).await.expect("a list"), ["a", "a/b", "c"]);
    }
    tree.delete(&top, 1).await.expect("deleted");
    assert!(!tree.exists(&top).await.expect("an answer"));
}

#[tokio::test]
async fn tree_row_3_what_is_below_stays_once_the_top_nodes_data_has_changed() {
    let client = client().await;
    let top = path("midway");
    grow(&client, &top, &["a/b", "c"]).await;
    // Somebody sets the data when the version was looked at, and right before anything is deleted.
    let (at, once) = (top.clone(), AtomicBool::new(true));
    let zk = meddled(&client, move |request| {
        let first = matches!(request, Request::Multi(_)) && once.swap(false, Ordering::SeqCst);
        first.then(|| Request::SetData { path: at.clone(), data: b"new".to_vec(), version: -1 })
    });
    assert_eq!(code(Tree::over(zk).delete(&top, 0).await), Code::BAD_VERSION);
    assert_eq!(Tree::new(&client).children(&top).await.expect("a list"), ["a", "a/b", "c"]);
    // Also where nodes are deleted one by one, because one was created in between.
    let (at, step) = (top.clone(), AtomicUsize::new(0));
    let zk = meddled(&client, move |request| {
        if !matches!(request, Request::Multi(_)) {
            return None;
        }
        Some(match step.fetch_add(1, Ordering::SeqCst) {
            0 => Request::Create {
                path: format!("{at}/c/new"),
                data: Vec::new(),
                acl: acl::default(),
                mode: PLAIN,
                ttl_ms: 0,
                with_stat: true,
            },
            _ => Request::SetData { path: at.clone(), data: b"new".to_vec(), version: -1 },
        })
    });
    assert_eq!(code(Tree::over(zk).delete(&top, 1).await), Code::BAD_VERSION);
    assert_eq!(Tree::new(&client).children(&top).await.expect("a list"), ["a", "a/b", "c", "c/new"]);
}

#[tokio::test]
async fn a_tree_that_others_write_to_is_deleted_all_the_same() {
    let client = client().await;
    let top = path("written");
    for _ in 0..5 {
        grow(&client, &top, &["a/b/c", "d", "e/f"]).await;
        let writer = client_of(&server().to_string()).await;
        let (other, at) = (writer.clone(), top.clone());
        let writing = tokio::spawn(async move {
            // Some are created under the delete, some are deleted beside it.
            for number in 0..60 {
                let node = format!("{at}/a/b/new-{number}");
                let _ = other.zk().create(&node, b"", &acl::default(), PLAIN, now()).await;
                let _ = other.zk().delete(&format!("{at}/a/b/new-{}", number / 2), -1, now()).await;
            }
        });
        match Tree::new(&client).delete(&top, -1).await {
            Ok(()) => assert!(!Tree::new(&client).exists(&top).await.expect("an answer")),
            Err(error) => {
                assert_eq!(error.code(), Code::NOT_EMPTY, "{error}");
                writing.await.expect("written");
                Tree::new(&client).delete(&top, -1).await.expect("deleted");
            }
        }
        writer.close(LIMIT).await.expect("closed");
    }
}

#[tokio::test]
async fn two_deletions_of_one_tree_both_succeed() {
    let client = client().await;
    let other = super::client().await;
    let top = path("both");
    let names: Vec<String> = (0..600).map(|n| format!("{}/{n}", n % 7)).collect();
    grow(&client, &top, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (one, two) = (Tree::new(&client), Tree::new(&other));
    let (one, two) = tokio::join!(one.delete(&top, -1), two.delete(&top, -1));
    for outcome in [one, two] {
        if let Err(error) = outcome {
            // It was gone before this one began.
            assert_eq!(error.code(), Code::NO_NODE, "{error}");
        }
    }
    assert!(!Tree::new(&client).exists(&top).await.expect("an answer"));
}

#[tokio::test]
async fn tree_row_2_ten_thousand_nodes_take_one_request_a_node_and_a_number_of_flights() {
    let proxy = Proxy::new(server());
    let options = Options { session_timeout: Duration::from_secs(20), ..Options::default() };
    let client = Client::connect(&proxy.address().to_string(), options).await.expect("a connection");
    let tree = Tree::new(&client);
    let top = path("large");
    let mut nodes = Vec::new();
    for dir in 0..100 {
        nodes.push((format!("{top}/dir-{dir:02}"), Vec::new()));
        nodes.extend((0..99).map(|leaf| (format!("{top}/dir-{dir:02}/leaf-{leaf:02}"), b"data".to_vec())));
    }
    let count = nodes.len();
    assert_eq!(count, 10_000);
    // Flights: what arrives in one piece. Pings may come in between on a slow machine.
    let mut seen = (0, 0);
    let mut spent = |what: &str, most_requests: usize, most_flights: usize| {
        let now = (proxy.frames(Direction::ToServer), proxy.chunks(Direction::ToServer));
        let (requests, flights) = (now.0 - seen.0, now.1 - seen.1);
        seen = now;
        println!("{what}: {requests} requests in {flights} flights");
        assert!(requests <= most_requests, "{what}: {requests} requests");
        assert!(flights <= most_flights, "{what}: {flights} flights");
    };
    spent("connect", 2, 2);
    let made = tree.create_all(nodes, &acl::default(), PLAIN).await.expect("valid");
    assert!(made.iter().all(Result::is_ok));
    // Each once, the first one twice, and the parents.
    spent("create", count + 20, 300);
    let names = tree.children(&top).await.expect("a list");
    assert!(names.is_sorted() && names.len() == count);
    spent("list", count + 20, 300);
    let leaves = tree.glob(&[format!("{top}/dir-*/*")]).await.expect("matches").paths;
    assert!(leaves.is_sorted() && leaves.len() == 9_900);
    spent("glob", 100 + 20, 30);
    let ends = tree
        .glob(&[format!("{top}/*/leaf-0[0-4]"), format!("{top}/*/leaf-98")])
        .await
        .expect("matches")
        .paths;
    assert_eq!(ends.len(), 600);
    spent("two globs, one with a literal end", 2 * 101 + 100 + 20, 40);
    tree.delete(&top, -1).await.expect("deleted");
    spent("delete", count + 70, 400);
    assert!(!tree.exists(&top).await.expect("an answer"));
}

#[tokio::test]
async fn a_tree_may_be_deep() {
    let client = client().await;
    let tree = Tree::new(&client);
    let top = path("chain");
    let depth = 2_000;
    tree.create(&(top.clone() + &"/d".repeat(depth)), b"", &acl::default(), PLAIN).await.expect("made");
    let names = tree.children(&top).await.expect("a list");
    assert_eq!((names.len(), names.last().map(String::len)), (depth, Some(2 * depth - 1)));
    tree.delete(&top, -1).await.expect("deleted");
    assert!(!tree.exists(&top).await.expect("an answer"));
}

#[tokio::test]
async fn an_operation_that_nobody_waits_for_any_more_ends() {
    let client = client().await;
    let tree = Tree::new(&client);
    let top = path("dropped");
    let nodes: Vec<_> = (0..5_000).map(|n| (format!("{top}/{n}"), Vec::new())).collect();
    let acl = acl::default();
    let creating = tree.create_all(nodes, &acl, PLAIN);
    let watching =
        async { while client.zk().exists(&format!("{top}/0"), now()).await.expect("an answer").is_none() {} };
    tokio::select! {
        biased;
        () = watching => {}
        _ = creating => panic!("it was done before it was seen to begin"),
    }
    // What was under way is settled when this is answered.
    client.zk().sync("/", now()).await.expect("an answer");
    let made = tree.children(&top).await.expect("a list").len();
    assert!(made < 5_000, "{made}");
    client.zk().sync("/", now()).await.expect("an answer");
    assert_eq!(tree.children(&top).await.expect("a list").len(), made);
    tree.delete(&top, -1).await.expect("deleted");
}
