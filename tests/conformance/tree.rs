//! Trees and globs: scenarios 87 to 92.

use super::address;
use crate::ground::*;

async fn begin() -> (Client, Tree, String) {
    let a = connect(&address()).await;
    let home = home(&a).await;
    let tree = Tree::new(&a);
    (a, tree, home)
}

async fn grow(tree: &Tree, home: &str, names: &[&str]) {
    for name in names {
        tree.create(&format!("{home}/{name}"), b"", &acl::default(), PLAIN).await.expect("made");
    }
}

#[tokio::test]
async fn s87_parents_are_plain() {
    let (a, tree, home) = begin().await;
    let leaf = format!("{home}/t/a/b");
    tree.create(&leaf, b"x", &acl::file(), CreateMode::Ephemeral).await.expect("made");
    assert_eq!(stat(&a, &leaf).await.expect("there").ephemeral_owner, a.session().id);
    for parent in [format!("{home}/t"), format!("{home}/t/a")] {
        let (list, found) = a.zk().get_acl(&parent, O).await.expect("a list");
        assert_eq!((list, found.ephemeral_owner, found.data_length), (acl::directory(), 0, 0));
    }
}

#[tokio::test]
async fn s88_create_or_update() {
    let (a, tree, home) = begin().await;
    let at = format!("{home}/u/v");
    let update = async |data: &'static str, recursive| {
        tree.create_or_update(&at, data.as_bytes(), &acl::default(), PLAIN, recursive).await
    };
    assert_eq!(code(update("0", false).await), Code::NO_NODE);
    assert_eq!(update("1", true).await.expect("created"), at);
    assert_eq!(update("2", true).await.expect("updated"), at);
    let (data, found) = read(&a, &at).await;
    assert_eq!((data.as_str(), found.version), ("2", 1));
}

#[tokio::test]
async fn s89_children_are_sorted_and_relative() {
    let (_, tree, home) = begin().await;
    grow(&tree, &home, &["b", "a/x", "a-b"]).await;
    assert_eq!(tree.children(&home).await.expect("a list"), ["a", "a-b", "a/x", "b"]);
    assert_eq!(code(tree.children(&(home + "/none")).await), Code::NO_NODE);
}

#[tokio::test]
async fn s90_delete_is_guarded_by_the_version() {
    let (_, tree, home) = begin().await;
    grow(&tree, &home, &["a/b", "c"]).await;
    assert_eq!(code(tree.delete(&home, 5).await), Code::BAD_VERSION);
    assert_eq!(tree.children(&home).await.expect("a list"), ["a", "a/b", "c"]);
    tree.delete(&home, 0).await.expect("deleted");
    assert_eq!(code(tree.delete(&home, -1).await), Code::NO_NODE);
}

#[tokio::test]
async fn s91_glob_matches() {
    let (_, tree, home) = begin().await;
    grow(&tree, &home, &["nyc/7", "nyc/1", "nyc/0", "sfo/5"]).await;
    let glob = async |pattern: &str| {
        let found = tree.glob(&[format!("{home}/{pattern}")]).await.expect("matches").paths;
        found.into_iter().map(|path| path[home.len() + 1..].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(glob("*/[0-5]").await, ["nyc/0", "nyc/1", "sfo/5"]);
    assert_eq!(glob("s?o").await, ["sfo"]);
    assert_eq!(glob("[^n]*").await, ["sfo"]);
    assert_eq!(glob("none").await, ["none"]);
}

#[tokio::test]
async fn s92_glob_refuses_bad_patterns() {
    let (_, tree, home) = begin().await;
    assert_eq!(code(tree.glob(&["/a/["]).await), Code::BAD_ARGUMENT);
    assert_eq!(code(tree.glob(&["a/*"]).await), Code::BAD_PATH);
    assert!(tree.glob(&[home + "/none/*"]).await.expect("matches").paths.is_empty());
}
