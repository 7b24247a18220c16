//! Errors and bad input: scenarios 93 to 95.

use super::address;
use crate::ground::*;

#[tokio::test]
async fn s93_bad_paths_are_refused_unsent() {
    let a = Client::new(NOBODY, options()).expect("a client");
    for bad in ["", "a", "/a/", "/a//b", "/a/../b"] {
        assert_eq!(code(a.zk().create(bad, b"", &acl::default(), PLAIN, O).await), Code::BAD_PATH, "{bad:?}");
        assert_eq!(code(Mutex::new(&a, bad, MutexOptions::default())), Code::BAD_PATH, "{bad:?}");
        let tree = Tree::new(&a);
        assert_eq!(code(tree.create(bad, b"", &acl::default(), PLAIN).await), Code::BAD_PATH, "{bad:?}");
    }
}

#[tokio::test]
async fn s94_errors_say_what_and_where() {
    let a = connect(&address()).await;
    let none = home(&a).await + "/none";
    let error = a.zk().get(&none, O).await.expect_err("no node");
    assert_eq!((error.code().number(), error.code().name(), error.path()), (-101, "NO_NODE", Some(&*none)));
    let text = error.to_string();
    assert!(text.contains("NO_NODE") && text.contains(&none) && !error.is_retriable(), "{text}");
    let _hold = lock(&mutex(&a, &none)).await;
    let error = tries(&mutex(&a, &none)).await.expect_err("held");
    assert_eq!((error.code().number(), error.code()), (-1009, Code::TIMEOUT));
}

#[tokio::test]
async fn s95_bad_options_are_refused() {
    let a = Client::new(NOBODY, options()).expect("a client");
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    let short = Some(Strict { lease: minute, delay: second });
    for bad in [
        MutexOptions { strict: short, ..MutexOptions::default() },
        MutexOptions { persistent: Some(Persistent { lease: minute }), ..strict(minute) },
        MutexOptions { extra_lock_patterns: vec![String::new()], ..MutexOptions::default() },
    ] {
        assert_eq!(code(Mutex::new(&a, "/a", bad)), Code::BAD_ARGUMENT);
    }
    assert_eq!(code(MutexOptions::default().contents_json("[]")), Code::BAD_ARGUMENT);
    // A negative wait cannot be said in Rust.
    let none = Options { session_timeout: Duration::ZERO, ..Options::default() };
    assert_eq!(code(Client::new(NOBODY, none)), Code::BAD_ARGUMENT);
}
