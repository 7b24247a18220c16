//! What globs do, on whichever server the test that takes this in names.

use super::{client, code, grow, path};
use zkhelper::proto::{CreateMode, permissions};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Tree, acl};

async fn found(client: &Client, patterns: &[String]) -> Vec<String> {
    let matches = Tree::new(client).glob(patterns).await.expect("matches");
    assert!(matches.unreadable.is_empty(), "{:?}", matches.unreadable);
    matches.paths
}

#[tokio::test]
async fn patterns_are_resolved_in_their_order_and_each_is_sorted() {
    let client = client().await;
    let top = path("glob");
    grow(
        &client,
        &top,
        &["nyc/shards/0", "nyc/shards/10", "nyc/shards/9", "sfo/shards/1", "sfo/log", "ams", "n*c"],
    )
    .await;
    let glob = async |patterns: &[&str]| {
        let patterns: Vec<_> = patterns.iter().map(|p| format!("{top}{p}")).collect();
        let paths = found(&client, &patterns).await;
        paths.iter().map(|p| p.strip_prefix(&top).expect("below the top").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(glob(&["/*"]).await, ["/ams", "/n*c", "/nyc", "/sfo"]);
    assert_eq!(glob(&["/*/shards"]).await, ["/nyc/shards", "/sfo/shards"]);
    assert_eq!(glob(&["/*/shards/?"]).await, ["/nyc/shards/0", "/nyc/shards/9", "/sfo/shards/1"]);
    assert_eq!(
        glob(&["/[^a]*/shards/[0-9]*"]).await,
        ["/nyc/shards/0", "/nyc/shards/10", "/nyc/shards/9", "/sfo/shards/1"]
    );
    assert_eq!(
        glob(&["/sfo/*", "/ams", "/n?c/*/10", "/ams"]).await,
        ["/sfo/log", "/sfo/shards", "/ams", "/nyc/shards/10", "/ams"]
    );
    // A backslash takes the wildcard's meaning away, also where nothing else is a wildcard.
    assert_eq!(glob(&[r"/n\*c"]).await, ["/n*c"]);
    assert_eq!(glob(&[r"/[n]\*c", r"/n[*]c"]).await, ["/n*c", "/n*c"]);
    let root = Tree::new(&client).glob(&["/zookeepe?", "/"]).await.expect("matches").paths;
    assert_eq!(root, ["/zookeeper", "/"]);
}

#[tokio::test]
async fn a_literal_path_is_returned_unchecked_and_what_is_not_there_has_no_matches() {
    let client = client().await;
    let absent = path("absent");
    let literal = [absent.clone()];
    assert_eq!(found(&client, &literal).await, literal);
    assert!(found(&client, &[format!("{absent}/*"), format!("{absent}/a[b]/c/*/d")]).await.is_empty());
    assert!(found(&client, &[]).await.is_empty());
}

#[tokio::test]
async fn a_bad_pattern_is_refused_before_anything_is_sent() {
    // Nothing listens there: a request would fail otherwise, and later.
    let client = Client::new("127.0.0.1:1", zkhelper::Options::default()).expect("a client");
    let tree = Tree::new(&client);
    for pattern in ["/a/[", "/a/[]x]", "/a/[a-]", "/a/*[", r"/a/b\", "/a/[x-", r"/\./*"] {
        let error = tree.glob(&["/fine/*", pattern]).await.expect_err(pattern);
        assert_eq!(error.code(), Code::BAD_ARGUMENT, "{error}");
        assert_eq!(error.path(), Some(pattern));
    }
    for pattern in ["", "*", "a/*", "/a/*/", "/a//*", "/../*"] {
        assert_eq!(code(tree.glob(&[pattern]).await), Code::BAD_PATH, "{pattern:?}");
    }
}

#[tokio::test]
async fn tree_row_2_what_may_not_be_listed_is_told_and_the_rest_is_not_lost() {
    let client = client().await;
    let top = path("locked");
    grow(&client, &top, &["a/x", "c/x"]).await;
    let unreadable = [zkhelper::proto::Acl::world(permissions::ALL & !permissions::READ)];
    let mode = CreateMode::Persistent;
    client
        .zk()
        .create(&format!("{top}/b"), b"", &unreadable, mode, OpOptions::default())
        .await
        .expect("made");
    let matches = Tree::new(&client).glob(&[format!("{top}/*/*")]).await.expect("matches");
    assert_eq!(matches.paths, [format!("{top}/a/x"), format!("{top}/c/x")]);
    let [error] = matches.unreadable.as_slice() else { panic!("{:?}", matches.unreadable) };
    assert_eq!((error.code(), error.path()), (Code::NO_AUTH, Some(format!("{top}/b").as_str())));
    // A literal end needs no list of what is above it.
    let tail = Tree::new(&client).glob(&[format!("{top}/?/x")]).await.expect("matches");
    assert_eq!((tail.paths.len(), tail.unreadable.len()), (2, 0));
    Tree::new(&client).create(&format!("{top}/b/x"), b"", &acl::file(), mode).await.expect("made");
}
