//! Client and session: scenarios 1 to 10.

use super::address;
use crate::ground::*;

#[tokio::test]
async fn s01_connect_and_close() {
    let a = connect(&address()).await;
    assert!(a.state() == State::Connected && a.session().id != 0);
    a.close(LIMIT).await.expect("closed");
    assert_eq!(a.state(), State::Closed);
    assert_eq!(code(a.zk().get("/", O).await), Code::CLOSED);
}

#[tokio::test]
async fn s02_close_removes_ephemerals() {
    let (a, b) = (connect(&address()).await, connect(&address()).await);
    let at = make(&a, &(home(&a).await + "/e"), CreateMode::Ephemeral).await;
    assert!(stat(&b, &at).await.is_some());
    a.close(LIMIT).await.expect("closed");
    assert!(stat(&b, &at).await.is_none());
}

#[tokio::test]
async fn s03_chroot_is_below() {
    let b = connect(&address()).await;
    let home = home(&b).await;
    let a = connect(&(address() + &home)).await;
    let (path, _) = a.zk().create("/n", b"x", &acl::default(), PLAIN, O).await.expect("made");
    assert_eq!(path, "/n");
    assert_eq!(read(&b, &format!("{home}/n")).await.0, "x");
}

#[tokio::test]
async fn s04_bad_addresses_are_refused() {
    for bad in ["", ":2181", "127.0.0.1:port", "127.0.0.1:2181/a/"] {
        assert_eq!(code(Client::new(bad, options())), Code::BAD_ADDRESS, "{bad:?}");
    }
}

#[tokio::test]
async fn s05_no_server_in_time() {
    let options = Options { connect_timeout: Duration::from_millis(200), ..options() };
    let error = Client::connect(NOBODY, options).await.expect_err("nobody listens");
    assert_eq!(error.code(), Code::CONNECTION_LOSS);
    assert!(error.to_string().contains(NOBODY), "{error}");
}

#[tokio::test]
async fn s06_nothing_is_sent_without_a_server() {
    let options = Options { operation_timeout: Duration::from_millis(100), ..options() };
    let a = Client::new(NOBODY, options).expect("a client");
    assert_eq!(code(a.zk().get("/", O).await), Code::NOT_SENT);
    assert_eq!(code(a.zk().create("/a", b"", &acl::default(), PLAIN, O).await), Code::NOT_SENT);
}

#[tokio::test]
async fn s07_lost_session_is_told_and_replaced() {
    let a = connect(&address()).await;
    let home = home(&a).await;
    let old = a.session().id;
    let mut states = a.states();
    end_session(&a, &address()).await;
    let mut lost = false;
    let new = loop {
        let event = within(states.recv()).await.expect("a state");
        match event.state {
            State::Lost => {
                assert_eq!(event.previous_session, old);
                lost = true;
            }
            State::Connected if event.session != old => break event,
            _ => {}
        }
    };
    assert!(lost && new.previous_session == old && a.session().id == new.session);
    set(&a, &home, "new").await;
}

#[tokio::test]
async fn s08_reattach_takes_the_session() {
    let (a, b) = (connect(&address()).await, connect(&address()).await);
    let at = make(&a, &(home(&a).await + "/e"), CreateMode::Ephemeral).await;
    let options = Options { reattach: Some(a.credentials()), ..options() };
    let thief = Client::connect(&address(), options).await.expect("re-attached");
    assert_eq!(stat(&b, &at).await.expect("there").ephemeral_owner, thief.session().id);
    thief.close(LIMIT).await.expect("closed");
    assert!(stat(&b, &at).await.is_none());
}

#[tokio::test]
async fn s09_credentials_open_what_a_list_closes() {
    let (a, b) = (connect(&address()).await, connect(&address()).await);
    let at = home(&a).await + "/mine";
    a.add_auth("digest", b"me:secret").await.expect("taken");
    a.zk().create(&at, b"x", &[Acl::creator(permissions::ALL)], PLAIN, O).await.expect("made");
    assert_eq!(code(b.zk().get(&at, O).await), Code::NO_AUTH);
    b.add_auth("digest", b"me:secret").await.expect("taken");
    assert_eq!(read(&b, &at).await.0, "x");
    let mine = zkhelper::client::Auth { scheme: "digest".to_owned(), credentials: b"me:secret".to_vec() };
    let c =
        Client::connect(&address(), Options { auth: vec![mine], ..options() }).await.expect("a connection");
    assert_eq!(read(&c, &at).await.0, "x");
}

#[tokio::test]
async fn s10_who_am_i() {
    let a = connect(&address()).await;
    a.add_auth("digest", b"me:secret").await.expect("taken");
    let all = a.who_am_i().await.expect("an answer");
    assert!(all.iter().any(|who| who.scheme == "digest" && who.user == "me"), "{all:?}");
}
