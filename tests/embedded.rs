//! The embedded server's own rules and its faults, seen from a bare socket. That it answers what Apache
//! ZooKeeper answers is the differential test's matter.

mod wire;

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::{Answer, Session, Wire, create, handshake};
use zkhelper::Code;
use zkhelper::embedded::{self, Moment, Operation, Server};
use zkhelper::proto::{CreateMode, MultiOp, MultiResult, Request, Response};

/// Long enough to tell a server that does not answer from one that does.
const SILENCE: Duration = Duration::from_millis(200);

fn start() -> (Server, SocketAddr) {
    start_with_tick(2_000)
}

fn start_with_tick(ms: u64) -> (Server, SocketAddr) {
    let server = Server::start_with_tick(0, Duration::from_millis(ms)).expect("a free port");
    let address = server.address().parse().expect("an address");
    (server, address)
}

#[track_caller]
fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    let start = Instant::now();
    while !look() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_first_lock_node_is_there_within_50_ms_of_the_start() {
    let best = (0..5)
        .map(|_| {
            let begin = Instant::now();
            let (_server, address) = start();
            Session::open(address, 10_000).create("/lock-", CreateMode::EphemeralSequential);
            begin.elapsed()
        })
        .min()
        .expect("five attempts");
    println!("{best:?}");
    assert!(best < Duration::from_millis(50), "{best:?}");
}

#[test]
fn the_shared_server_is_one_for_the_process() {
    let (a, b) = (embedded::shared().expect("starts"), embedded::shared().expect("runs"));
    assert_eq!(a.address(), b.address());
    assert!(a.address().starts_with("127.0.0.1:"));
    assert_ne!(a.port(), 0);
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_it() {
    let (server, _) = start();
    let error = Server::start(server.port()).expect_err("the port is taken");
    assert_eq!(error.code(), Code::BAD_ADDRESS);
    assert!(error.to_string().contains(server.address()), "{error}");
}

#[test]
fn a_dropped_server_is_gone_and_its_port_free() {
    let (server, address) = start();
    let mut session = Session::open(address, 10_000);
    let port = server.port();
    drop(server);
    assert_eq!(session.ask(Request::Ping), Answer::Closed);
    drop(Server::start(port).expect("the port is free"));
}

#[test]
fn a_cut_before_the_second_create_leaves_no_node_and_keeps_the_session() {
    let (server, address) = start();
    let mut session = Session::open(address, 10_000);
    server.cut(Operation::Create, 2, Moment::BeforeApplying);
    session.create("/first", CreateMode::Ephemeral);
    assert_eq!(session.ask(create("/second", CreateMode::Ephemeral)), Answer::Closed);
    assert_eq!(server.cuts_left(), 0);
    let mut again = session.attach(address).expect("the session lives");
    assert!(again.exists("/first") && !again.exists("/second"));
}

#[test]
fn a_cut_after_a_create_leaves_the_node_and_loses_the_answer() {
    let (server, address) = start();
    let (mut session, mut other) = (Session::open(address, 10_000), Session::open(address, 10_000));
    other.ask(Request::Exists { path: "/node".to_owned(), watch: true });
    server.cut(Operation::Create, 1, Moment::AfterApplying);
    assert_eq!(session.ask(create("/node", CreateMode::Ephemeral)), Answer::Closed);
    assert!(other.exists("/node"));
    assert_eq!(other.events.len(), 1, "others hear of it");
    assert!(session.attach(address).expect("the session lives").exists("/node"));
}

#[test]
fn a_cut_handshake_leaves_a_session_behind_only_if_it_was_applied() {
    let (server, address) = start();
    for (moment, left) in [(Moment::BeforeApplying, 0), (Moment::AfterApplying, 1)] {
        server.cut(Operation::Connect, 1, moment);
        assert!(Wire::connect(address, &handshake(10_000, 0, &[0; 16], 0)).is_none());
        assert_eq!(server.sessions().len(), left, "{moment:?}");
    }
}

#[test]
fn a_frozen_server_answers_nothing_and_then_everything_in_order() {
    let (server, address) = start();
    let mut session = Session::open(address, 10_000);
    server.freeze();
    let requests = [Request::Ping, create("/a", CreateMode::Persistent), Request::WhoAmI];
    let numbers = requests.each_ref().map(|request| session.send(request));
    assert_eq!(session.wait_within(numbers[0], &requests[0], SILENCE), None);
    server.thaw();
    for (number, request) in numbers.into_iter().zip(&requests) {
        assert!(matches!(session.wait(number, request), Answer::Ok(_)));
    }
}

#[test]
fn sessions_whose_time_passed_while_the_server_was_frozen_are_gone_when_it_thaws() {
    let (server, address) = start_with_tick(50);
    let mut session = Session::open(address, 100);
    session.create("/mine", CreateMode::Ephemeral);
    server.freeze();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.sessions().len(), 1, "a stopped server ends nothing");
    let ping = session.send(&Request::Ping);
    server.thaw();
    assert_eq!(session.wait(ping, &Request::Ping), Answer::Closed);
    assert!(session.attach(address).is_none());
    assert!(!Session::open(address, 1_000).exists("/mine"));
}

#[test]
fn a_server_without_its_quorum_answers_pings_and_reads_but_no_writes() {
    let (server, address) = start();
    let (mut writer, mut reader) = (Session::open(address, 10_000), Session::open(address, 10_000));
    server.isolate();
    let request = create("/a", CreateMode::Persistent);
    let number = writer.send(&request);
    assert_eq!(writer.wait_within(number, &request, SILENCE), None);
    assert!(matches!(reader.ask(Request::Ping), Answer::Ok(_)));
    assert!(!reader.exists("/a"));
    let sync = Request::Sync { path: "/".to_owned() };
    let sync_number = reader.send(&sync);
    assert_eq!(reader.wait_within(sync_number, &sync, SILENCE), None);
    server.rejoin();
    assert!(matches!(writer.wait(number, &request), Answer::Ok(_)));
    assert!(matches!(reader.wait(sync_number, &sync), Answer::Ok(_)));
    assert!(reader.exists("/a"));
}

#[test]
fn pings_to_a_server_without_its_quorum_keep_no_session_alive() {
    let (server, address) = start_with_tick(50);
    let mut session = Session::open(address, 100);
    server.isolate();
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(30));
        assert!(matches!(session.ask(Request::Ping), Answer::Ok(_)));
    }
    server.rejoin();
    eventually("the end of the session", || server.sessions().is_empty());
    assert!(session.attach(address).is_none());
}

#[test]
fn a_delay_holds_answers_back() {
    let (server, address) = start();
    let mut session = Session::open(address, 10_000);
    server.set_delay(Duration::from_millis(80));
    let begin = Instant::now();
    assert!(matches!(session.ask(Request::Ping), Answer::Ok(_)));
    assert!(begin.elapsed() >= Duration::from_millis(80));
    server.set_delay(Duration::ZERO);
}

#[test]
fn a_session_ended_on_request_takes_its_nodes_and_tells_those_who_watch() {
    let (server, address) = start();
    let (mut doomed, mut other) = (Session::open(address, 10_000), Session::open(address, 10_000));
    doomed.create("/mine", CreateMode::Ephemeral);
    other.ask(Request::GetData { path: "/mine".to_owned(), watch: true });
    server.expire(doomed.id).expect("the session lives");
    assert_eq!(doomed.ask(Request::Ping), Answer::Closed);
    assert!(doomed.attach(address).is_none());
    assert!(!other.exists("/mine"));
    assert_eq!(other.events.iter().map(|event| event.path.as_str()).collect::<Vec<_>>(), ["/mine"]);
    assert_eq!(server.expire(doomed.id).expect_err("it is gone").code(), Code::SESSION_EXPIRED);
}

#[test]
fn a_session_that_nobody_keeps_alive_ends_after_its_timeout_and_one_that_pings_does_not() {
    let (server, address) = start_with_tick(50);
    let silent = Session::open(address, 200);
    let mut lively = Session::open(address, 200);
    let begin = Instant::now();
    eventually("the end of the silent session", || {
        assert!(matches!(lively.ask(Request::Ping), Answer::Ok(_)));
        server.sessions().len() == 1
    });
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert!(silent.attach(address).is_none());
}

#[test]
fn cut_connections_leave_the_sessions() {
    let (server, address) = start();
    let mut session = Session::open(address, 10_000);
    server.disconnect_all();
    assert_eq!(session.ask(Request::Ping), Answer::Closed);
    eventually("the connection's end", || server.sessions().iter().all(|session| !session.connected));
    assert!(session.attach(address).is_some());
}

/// Apache ZooKeeper's counter sticks at its greatest value, and the last name is given out as long as nobody
/// has it; within one transaction it runs over into the negative numbers.
#[test]
fn sequences_end_at_2_to_the_31_as_apache_zookeepers_do() {
    let (server, address) = start();
    let mut session = Session::open(address, 10_000);
    session.create("/locks", CreateMode::Persistent);
    server.set_sequence("/locks", i32::MAX - 1).expect("the node is there");
    let sequential = || create("/locks/lock-", CreateMode::EphemeralSequential);
    assert_eq!(session.create("/locks/lock-", CreateMode::EphemeralSequential), "/locks/lock-2147483646");
    assert_eq!(session.create("/locks/lock-", CreateMode::EphemeralSequential), "/locks/lock-2147483647");
    assert_eq!(session.ask(sequential()), Answer::Error(Code::NODE_EXISTS.number()));
    session.ask(Request::Delete { path: "/locks/lock-2147483647".to_owned(), version: -1 });
    assert_eq!(session.create("/locks/lock-", CreateMode::EphemeralSequential), "/locks/lock-2147483647");

    server.set_sequence("/locks", i32::MAX).expect("the node is there");
    session.ask(Request::Delete { path: "/locks/lock-2147483647".to_owned(), version: -1 });
    let op = || match sequential() {
        Request::Create { path, data, acl, mode, ttl_ms, with_stat } => {
            MultiOp::Create { path, data, acl, mode, ttl_ms, with_stat }
        }
        other => panic!("{other:?}"),
    };
    let names = ["/locks/lock-2147483647", "/locks/lock--2147483648"];
    let results = names.map(|path| MultiResult::Create { path: path.to_owned() }).to_vec();
    assert_eq!(session.ask(Request::Multi(vec![op(), op()])), Answer::Ok(Response::Multi(results)));
    assert_eq!(server.set_sequence("/none", 1).expect_err("no such node").code(), Code::NO_NODE);
}

#[test]
fn a_lenient_server_numbers_from_one_and_takes_an_empty_list() {
    let (server, address) = start();
    let mut session = Session::open(address, 10_000);
    let unlisted = |path: &str, mode| match create(path, mode) {
        Request::Create { path, data, mode, ttl_ms, with_stat, .. } => {
            Request::Create { path, data, acl: Vec::new(), mode, ttl_ms, with_stat }
        }
        other => panic!("{other:?}"),
    };
    let refused = Answer::Error(Code::INVALID_ACL.number());
    assert_eq!(session.ask(unlisted("/a", CreateMode::Persistent)), refused);
    server.set_lenient(true);
    let made = |path: &str| Answer::Ok(Response::Create { path: path.to_owned() });
    assert_eq!(session.ask(unlisted("/a", CreateMode::Persistent)), made("/a"));
    assert_eq!(session.ask(unlisted("/a/plain", CreateMode::Persistent)), made("/a/plain"));
    for path in ["/a/0000000001", "/a/0000000002"] {
        assert_eq!(session.ask(unlisted("/a/", CreateMode::PersistentSequential)), made(path));
    }
    session.ask(Request::Delete { path: "/a/0000000002".to_owned(), version: -1 });
    assert_eq!(session.create("/a/", CreateMode::PersistentSequential), "/a/0000000003");
    server.set_lenient(false);
    assert_eq!(session.ask(unlisted("/b", CreateMode::Persistent)), refused);
    assert_eq!(session.create("/a/", CreateMode::PersistentSequential), "/a/0000000004");
}

#[test]
fn containers_go_after_their_last_child_and_nodes_with_a_time_to_live_after_that_time() {
    let (server, address) = start();
    let mut session = Session::open(address, 10_000);
    session.create("/new", CreateMode::Container);
    session.create("/used", CreateMode::Container);
    session.create("/used/child", CreateMode::Persistent);
    session.create("/short", CreateMode::PersistentTtl);
    server.check_containers();
    assert!(session.exists("/used") && session.exists("/new"));
    session.ask(Request::Delete { path: "/used/child".to_owned(), version: -1 });
    session.ask(Request::GetData { path: "/used".to_owned(), watch: true });
    std::thread::sleep(Duration::from_millis(5));
    server.check_containers();
    let there = ["/new", "/used", "/short"].map(|path| session.exists(path));
    assert_eq!(there, [true, false, false]);
    assert_eq!(session.events.len(), 1);
}

#[test]
fn four_letter_words_are_answered_and_the_connection_closed() {
    let (server, address) = start();
    let mut session = Session::open(address, 10_000);
    session.create("/a", CreateMode::Ephemeral);
    let ask = |word: &str| {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).expect("the server listens");
        stream.write_all(word.as_bytes()).expect("written");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        text
    };
    assert_eq!(ask("ruok"), "imok");
    let srvr = ask("srvr");
    assert!(srvr.contains("Mode: standalone\n") && srvr.contains("Zxid: 0x2\n"), "{srvr}");
    let mntr = ask("mntr");
    assert!(mntr.contains("zk_ephemerals_count\t1\n") && mntr.contains("zk_znode_count\t6\n"), "{mntr}");
    assert!(ask("cons").contains(&format!("sid={:#x}", session.id)));
    assert!(ask("conf").contains(&format!("clientPort={}\n", server.port())));
    assert!(ask("stat").contains("Clients:\n"));
}

#[test]
fn a_session_attached_to_again_closes_its_other_connection() {
    let (_server, address) = start();
    let mut session = Session::open(address, 10_000);
    let mut again = session.attach(address).expect("the session lives");
    assert_eq!(session.ask(Request::Ping), Answer::Closed);
    assert!(matches!(again.ask(Request::Ping), Answer::Ok(_)));
}
