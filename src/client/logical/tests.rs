//! The logical client: commands, bytes and virtual time in; bytes, outcomes, states and events out.

use super::super::fake::*;
use super::super::options::Reattach;
use super::*;
use crate::proto::{CreateMode, EventType, Stat, WatchMode, xid};
use crate::zk::WatchEventKind;
use std::collections::HashSet;

fn node(event: EventType) -> WatchEventKind {
    WatchEventKind::Node(event)
}

fn told(kind: WatchEventKind, path: &str) -> Option<WatchEvent> {
    Some(WatchEvent { kind, path: path.to_owned() })
}

fn digest(credentials: &str) -> Auth {
    Auth { scheme: "digest".to_owned(), credentials: credentials.as_bytes().to_vec() }
}

fn create(path: &str, mode: CreateMode) -> Request {
    Request::Create {
        path: path.to_owned(),
        data: Vec::new(),
        acl: Vec::new(),
        mode,
        ttl_ms: 0,
        with_stat: true,
    }
}

fn add_watch(path: &str, mode: WatchMode) -> Request {
    Request::AddWatch { path: path.to_owned(), mode }
}

fn answers(request: &Request) -> Option<Response> {
    Some(match request {
        Request::GetData { .. } => data(),
        Request::GetChildren2 { .. } => children(),
        Request::Exists { .. } | Request::SetData { .. } => stat(),
        Request::AddWatch { .. } => Response::Code(0),
        _ => Response::Empty,
    })
}

/// A read of `request` that has armed its watch.
fn armed(rig: &mut Rig, request: Request) -> oneshot::Receiver<WatchEvent> {
    let (mut asked, watch) = rig.watch(request);
    let sent = rig.sent_one();
    rig.feed(&reply(sent.xid, 10, &answers(&sent.request).unwrap()));
    asked.ok();
    watch
}

fn names(sent: &[Sent]) -> Vec<&'static str> {
    sent.iter().map(|sent| sent.request.name()).collect()
}

// ---- point 2 and 7: sessions ----

#[test]
fn a_new_client_goes_from_connecting_to_connected() {
    let mut rig = Rig::new("a:1", Options::default());
    rig.connect(&handshake(SESSION, 6000));
    let states: Vec<_> = rig.states().iter().map(|e| (e.state, e.session, e.previous_session)).collect();
    assert_eq!(states, [(State::Connecting, 0, 0), (State::Connected, SESSION, 0)]);
    assert!(rig.logical.view().connected);
}

#[test]
fn an_expired_session_is_told_and_followed_by_a_new_one_with_both_ids() {
    let mut rig = Rig::connected("a:1", Options::default());
    rig.lose();
    rig.connect(&expired());
    assert_eq!(rig.logical.view().id, 0);
    rig.connect(&handshake(SESSION + 7, 6000));
    let states: Vec<_> = rig.states().iter().map(|e| (e.state, e.session, e.previous_session)).collect();
    assert_eq!(
        states,
        [(State::Suspended, SESSION, 0), (State::Lost, 0, SESSION), (State::Connected, SESSION + 7, SESSION)]
    );
    assert_eq!(rig.logical.view().connection, 3, "connections are counted over sessions");
}

#[test]
fn a_given_session_is_attached_to_and_if_it_is_over_a_new_one_is_made() {
    let reattach = Some(Reattach { session_id: SESSION, password: PASSWORD.to_vec(), last_zxid: 3 });
    let options = Options { reattach, ..Options::default() };
    let mut rig = Rig::new("a:1", options.clone());
    let greeting = rig.connect(&handshake(SESSION, 6000));
    assert_eq!((greeting.session_id, greeting.last_zxid_seen), (SESSION, 3));
    assert_eq!(rig.logical.credentials(), (SESSION, PASSWORD.to_vec(), 3));

    let mut rig = Rig::new("a:1", options);
    rig.connect(&expired());
    let greeting = rig.connect(&handshake(5, 6000));
    assert_eq!((greeting.session_id, greeting.last_zxid_seen), (0, 3));
    assert_eq!(greeting.password, [0; 16]);
    let states: Vec<_> = rig.states().iter().map(|e| e.state).collect();
    assert_eq!(states, [State::Connecting, State::Lost, State::Connected]);
}

#[test]
fn a_session_bound_request_ends_with_its_session() {
    let mut rig = Rig::connected("a:1", Options::default());
    rig.lose();
    let mut bound = rig.ask_with(create("/a", CreateMode::Ephemeral), OpOptions::default().on(SESSION));
    let mut free = rig.ask(create("/b", CreateMode::Persistent));
    rig.connect(&expired());
    assert_eq!(bound.err().code(), Code::SESSION_EXPIRED);
    rig.connect(&handshake(SESSION + 1, 6000));
    assert_eq!(rig.sent_one().request.path(), Some("/b"));
    assert!(free.is_pending());
    let mut late = rig.ask_with(delete("/a"), OpOptions::default().on(SESSION));
    assert_eq!(late.err().code(), Code::SESSION_EXPIRED);
    assert!(rig.sent().is_empty());
}

#[test]
fn session_moved_is_not_expiry() {
    let mut rig = Rig::connected("a:1", Options::default());
    let mut asked = rig.ask(set("/a"));
    let sent = rig.sent_one();
    rig.feed(&error(sent.xid, 5, Code::SESSION_MOVED.number()));
    rig.lose();
    assert_eq!(asked.err().code(), Code::SESSION_MOVED);
    let greeting = rig.connect(&handshake(SESSION, 6000));
    assert_eq!(greeting.session_id, SESSION);
    let states: Vec<_> = rig.states().iter().map(|e| e.state).collect();
    assert_eq!(states, [State::Suspended, State::Connected]);
}

#[test]
fn refused_credentials_are_final() {
    let options = Options { auth: vec![digest("a:b")], ..Options::default() };
    let mut rig = Rig::connected("a:1", options);
    let mut waiting = rig.ask(set("/a"));
    rig.sent();
    rig.feed(&error(xid::AUTH, 0, Code::AUTH_FAILED.number()));
    assert_eq!(waiting.err().code(), Code::OUTCOME_UNKNOWN, "it was written");
    let last = rig.states().pop().expect("a state");
    assert_eq!((last.state, last.reason.map(|e| e.code())), (State::Closed, Some(Code::AUTH_FAILED)));
    assert_eq!(rig.ask(get("/a")).err().code(), Code::AUTH_FAILED);
    assert_eq!(rig.logical.next_deadline(), Time::NEVER);
    assert!(rig.logical.poll_dial(rig.now + ms(60_000)).is_none());
}

// ---- point 3: time ----

#[test]
fn each_host_gets_an_equal_share_of_the_connect_timeout() {
    let options = Options { connect_timeout: ms(9000), ..Options::default() };
    let mut rig = Rig::new("a:1,b:1,c:1", options);
    for _ in 0..3 {
        let begun = rig.now;
        let attempt = rig.dial();
        assert_eq!(attempt.deadline, begun + ms(3000));
        assert_eq!(rig.logical.next_deadline(), attempt.deadline);
        rig.advance(ms(2999));
        assert!(rig.logical.is_trying());
        rig.advance(ms(1));
        assert!(!rig.logical.is_trying());
    }
}

#[test]
fn with_a_session_a_round_takes_no_longer_than_its_timeout() {
    let mut rig = Rig::connected("a:1,b:1,c:1", Options::default());
    rig.lose();
    let now = rig.now;
    assert_eq!(rig.dial().deadline, now + ms(2000), "6 s shared by three");
}

#[test]
fn a_lone_server_that_takes_connections_before_it_serves_is_tried_again_while_it_has_the_session() {
    let mut rig = Rig::connected("a:1", Options::default());
    rig.lose();
    // It is down for longer than the session timeout, and says so each time.
    let begun = rig.now;
    while rig.now < begun + ms(9000) {
        rig.dial();
        rig.logical.not_opened(rig.now, "refused", true);
    }
    let refused = rig.now;
    let attempt = rig.dial();
    rig.logical.opened(rig.now);
    assert_eq!(attempt.deadline, rig.now + ms(2000), "a third of 6 s");
    rig.advance(ms(2000));
    assert!(!rig.logical.wants_transport());
    rig.connect(&handshake(SESSION, 6000));
    assert!(rig.now < refused + ms(6000));
    assert_eq!(rig.logical.state(), State::Connected);
}

#[test]
fn a_lone_server_whose_answers_do_not_come_is_not_asked_again_before_the_session_is_over_there() {
    let mut rig = Rig::connected("a:1", Options { connect_timeout: ms(1000), ..Options::default() });
    let heard = rig.now;
    let mut greeted = Vec::new();
    while greeted.len() < 20 {
        rig.dial();
        rig.logical.opened(rig.now);
        greeted.push(rig.now);
    }
    // The server rounds up by at most half a timeout.
    let late: Vec<_> = greeted.iter().filter(|at| **at > heard + ms(6000)).collect();
    assert!(late.len() > 10);
    for pair in greeted.windows(2).filter(|pair| pair[1] > heard + ms(6000)) {
        assert!(pair[1] > pair[0] + ms(9000), "{:?} after the last", pair[1].since(pair[0]));
    }
    // An answer that comes after all is taken.
    rig.feed(&handshake(SESSION, 6000));
    assert_eq!(rig.logical.state(), State::Connected);
}

#[test]
fn a_server_that_takes_the_connection_and_says_nothing_is_left_at_the_attempts_deadline() {
    let mut rig = Rig::new("a:1,b:1", Options::default());
    let first = rig.dial();
    rig.logical.opened(rig.now);
    assert!(rig.logical.wants_transport());
    rig.advance(ms(5000));
    assert!(!rig.logical.wants_transport());
    let reason = rig.logical.last_reason().expect("a reason");
    assert!(reason.detail().contains("did not answer the handshake"), "{reason}");
    assert!(reason.detail().contains(&first.host.to_string()), "{reason}");
    assert_ne!(rig.dial().host, first.host);
}

#[test]
fn hosts_are_shuffled_by_the_seed_and_all_tried_in_turn() {
    let order = |seed| {
        let mut rig = Rig::new("a:1,b:1,c:1,d:1,e:1", Options { seed: Some(seed), ..Options::default() });
        let mut order = Vec::new();
        for _ in 0..5 {
            order.push(rig.dial().host.name);
            rig.logical.not_opened(rig.now, "refused", true);
        }
        let again: Vec<_> = (0..5)
            .map(|_| {
                let name = rig.dial().host.name;
                rig.logical.not_opened(rig.now, "refused", true);
                name
            })
            .collect();
        assert_eq!(order, again, "one round is like the other");
        order
    };
    let orders: HashSet<_> = (0..40).map(order).collect();
    assert!(orders.len() > 20, "{orders:?}");
    assert!(orders.iter().all(|order| order.iter().collect::<HashSet<_>>().len() == 5));
    assert_eq!(order(3), order(3));
}

#[test]
fn the_first_round_has_no_pause_and_later_ones_grow_with_jitter_to_the_limit() {
    let mut pauses = Vec::new();
    for seed in 0..20 {
        let options = Options { seed: Some(seed), max_backoff: ms(400), ..Options::default() };
        let mut rig = Rig::new("a:1,b:1", options);
        let mut rounds = Vec::new();
        for round in 0..8 {
            for host in 0..2 {
                let before = rig.now;
                rig.dial();
                let pause = rig.now.since(before);
                match (round, host) {
                    (0, 0) | (_, 1) => assert_eq!(pause, ms(0)),
                    _ => rounds.push(pause),
                }
                rig.logical.not_opened(rig.now, "refused", true);
            }
        }
        for (round, pause) in (1..).zip(&rounds) {
            let full = ms((50 << round).min(400));
            assert!(*pause >= full / 2 && *pause <= full, "round {round}: {pause:?} of {full:?}");
        }
        pauses.push(rounds);
    }
    let different: HashSet<_> = pauses.iter().map(|rounds| rounds[6]).collect();
    assert!(different.len() > 15, "chance spreads them: {different:?}");
}

#[test]
fn a_settled_connection_that_breaks_is_followed_at_once() {
    let mut rig = Rig::connected("a:1", Options::default());
    rig.advance(ms(1500));
    rig.lose();
    let now = rig.now;
    rig.dial();
    assert_eq!(rig.now, now);
}

#[test]
fn connections_that_never_settle_are_not_made_without_pause() {
    let mut rig = Rig::new("a:1", Options::default());
    let begun = rig.now;
    for _ in 0..20 {
        rig.connect(&handshake(SESSION, 6000));
        rig.lose();
    }
    let took = rig.now.since(begun);
    assert!(took > ms(5000), "20 connections in {took:?} of pauses");
}

#[test]
fn an_expiry_is_followed_by_a_short_pause_of_chance() {
    let pauses: HashSet<_> = (0..10)
        .map(|seed| {
            let mut rig = Rig::connected("a:1", Options { seed: Some(seed), ..Options::default() });
            rig.lose();
            rig.connect(&expired());
            let before = rig.now;
            rig.dial();
            rig.now.since(before)
        })
        .collect();
    assert!(pauses.len() > 8 && pauses.iter().all(|pause| *pause <= ms(50)), "{pauses:?}");
}

#[test]
fn nothing_is_due_at_once_again_after_a_tick() {
    // A driver sleeps until the deadline: one that stays in the past would be a busy loop.
    let mut rig = Rig::new("a:1,b:1", Options::default());
    let mut asked: Vec<_> = (0..5).map(|_| rig.ask(set("/a"))).collect();
    for step in 0..200 {
        match step % 5 {
            0 => drop(rig.logical.poll_dial(rig.now)),
            1 => rig.logical.opened(rig.now),
            2 if step % 2 == 0 => rig.feed(&handshake(SESSION, 6000)),
            3 => asked.push(rig.ask(get("/a"))),
            _ => {}
        }
        let due = rig.logical.next_deadline();
        rig.now = due.max(rig.now).min(rig.now + ms(20_000));
        rig.logical.tick(rig.now);
        let dialable = rig.logical.poll_dial(rig.now).is_some();
        assert!(dialable || rig.logical.next_deadline() > rig.now, "step {step}");
        rig.sent();
    }
}

// ---- point 4: the order of a reconnect ----

#[test]
fn after_a_reconnect_credentials_go_first_then_watches_then_what_waits() {
    let options = Options { auth: vec![digest("one:1")], ..Options::default() };
    let mut rig = Rig::connected("a:1", options);
    assert_eq!(names(&rig.sent()), ["auth"]);
    rig.feed(&error(xid::AUTH, 0, 0));
    let auth = rig.logical.add_auth(digest("two:2"));
    rig.ask(auth);
    rig.sent();
    rig.feed(&error(xid::AUTH, 0, 0));
    let _data = armed(&mut rig, get_watch("/data"));
    rig.lose();
    let _write = rig.ask(set("/w"));
    let _read = rig.ask(get("/r"));
    rig.connect(&handshake(SESSION, 6000));
    let sent = rig.sent();
    assert_eq!(names(&sent), ["auth", "auth", "setWatches", "set", "get"]);
    assert_eq!(sent[0].request, auth_request(&digest("one:1")));
    assert_eq!(sent[1].request, auth_request(&digest("two:2")));
}

#[test]
fn the_same_credentials_are_replayed_once() {
    let mut rig = Rig::connected("a:1", Options::default());
    for _ in 0..3 {
        let request = rig.logical.add_auth(digest("a:b"));
        rig.ask(request);
    }
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    let sent = rig.sent();
    assert!(names(&sent).iter().all(|name| *name == "auth"));
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    assert!(names(&rig.sent()).contains(&"auth"));
    assert_eq!(rig.logical.options.auth.len(), 1);
}

#[test]
fn ten_thousand_watches_with_long_paths_come_back_in_frames_of_at_most_128_kib() {
    let mut rig = Rig::connected("a:1", Options::default());
    let path = |i: usize| format!("/{}/{i:06}", "long".repeat(20 + i % 200));
    let mut watches = Vec::new();
    for i in 0..10_500 {
        let request = match i % 3 {
            0 => get_watch(&path(i)),
            1 => exists_watch(&path(i)),
            _ => children_watch(&path(i)),
        };
        watches.push(rig.watch(request));
    }
    let sent = rig.answer_all(10, answers);
    assert_eq!((sent.len(), rig.logical.watch_count()), (10_500, 10_500));
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    let frames = rig.sent();
    assert!(frames.len() > 30, "{}", frames.len());
    let (mut data, mut child) = (HashSet::new(), HashSet::new());
    for frame in &frames {
        assert!(frame.len <= 128 * 1024, "{}", frame.len);
        match &frame.request {
            Request::SetWatches { relative_zxid: 10, data: d, exist, child: c } => {
                assert!(exist.is_empty());
                data.extend(d.clone());
                child.extend(c.clone());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(data, (0..10_500).filter(|i| i % 3 != 2).map(path).collect());
    assert_eq!(child, (0..10_500).filter(|i| i % 3 == 2).map(path).collect());
    for _ in &frames {
        rig.feed(&error(xid::SET_WATCHES, 11, 0));
    }
    assert!(watches.iter_mut().all(|(_, watch)| ready(watch).is_none()));
}

#[test]
fn frames_of_watches_keep_to_a_smaller_limit_and_a_long_path_goes_alone() {
    let mut rig = Rig::connected("a:1", Options { max_frame: 2000, ..Options::default() });
    let mut watches: Vec<_> = (0..100).map(|i| armed(&mut rig, get_watch(&format!("/{i:0>99}")))).collect();
    watches.push(armed(&mut rig, get_watch(&format!("/{}", "x".repeat(1900)))));
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    let frames = rig.sent();
    assert!(frames.iter().all(|frame| frame.len <= 2000), "{frames:?}");
    let count = |frame: &Sent| match &frame.request {
        Request::SetWatches { data, .. } => data.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(frames.iter().map(count).sum::<usize>(), 101);

    let mut rig = Rig::connected("a:1", Options::default());
    let long = format!("/{}", "x".repeat(100_000));
    let mut watches: Vec<_> = (0..1000).map(|i| armed(&mut rig, get_watch(&format!("/{i:0>99}")))).collect();
    watches.push(armed(&mut rig, children_watch(&long)));
    watches.push(armed(&mut rig, get_watch(&long)));
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    let frames = rig.sent();
    assert_eq!(frames.iter().filter(|frame| frame.len > 128 * 1024).count(), 1);
    assert!(frames.iter().all(|frame| frame.len < 201_000), "the long path goes alone");
}

#[test]
fn persistent_watches_are_added_again_with_their_modes() {
    let mut rig = Rig::connected("a:1", Options::default());
    let (mut a, mut stream) = rig.stream(add_watch("/p", WatchMode::Persistent));
    let (mut b, _recursive) = rig.stream(add_watch("/r", WatchMode::PersistentRecursive));
    rig.answer_all(10, answers);
    a.ok();
    b.ok();
    let _one = armed(&mut rig, get_watch("/d"));
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    assert_eq!(
        rig.sent_one().request,
        Request::SetWatches2 {
            relative_zxid: 10,
            data: vec!["/d".to_owned()],
            exist: Vec::new(),
            child: Vec::new(),
            persistent: vec!["/p".to_owned()],
            recursive: vec!["/r".to_owned()],
        }
    );
    assert_eq!(stream.try_recv().ok(), told(WatchEventKind::MayHaveMissed, "/p"));
    rig.feed(&error(xid::SET_WATCHES, 12, 0));

    rig.lose();
    rig.connect(&expired());
    rig.connect(&handshake(SESSION + 1, 6000));
    let mut sent: Vec<_> = rig.sent().into_iter().map(|sent| format!("{:?}", sent.request)).collect();
    sent.sort();
    assert_eq!(sent, ["addWatch /p", "addWatch /r"]);
    assert_eq!(stream.try_recv().ok(), told(WatchEventKind::MayHaveMissed, "/p"));
    rig.feed(&event(EventType::ChildrenChanged, "/p", -1));
    assert_eq!(stream.try_recv().ok(), told(node(EventType::ChildrenChanged), "/p"));
}

#[test]
fn a_one_shot_watch_whose_event_came_while_away_fires_from_the_servers_answer() {
    let mut rig = Rig::connected("a:1", Options::default());
    let mut gone = armed(&mut rig, get_watch("/gone"));
    let mut made = {
        let (mut asked, watch) = rig.watch(exists_watch("/made"));
        let sent = rig.sent_one();
        rig.feed(&error(sent.xid, 10, Code::NO_NODE.number()));
        assert_eq!(asked.err().code(), Code::NO_NODE);
        watch
    };
    let mut kept = armed(&mut rig, get_watch("/kept"));
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    match rig.sent_one().request {
        Request::SetWatches { mut data, exist, .. } => {
            data.sort();
            assert_eq!((data, exist), (vec!["/gone".into(), "/kept".into()], vec!["/made".into()]));
        }
        other => panic!("{other:?}"),
    }
    rig.feed(&event(EventType::Deleted, "/gone", -1));
    rig.feed(&event(EventType::Created, "/made", -1));
    rig.feed(&error(xid::SET_WATCHES, 12, 0));
    assert_eq!(ready(&mut gone).map(Result::ok), Some(told(node(EventType::Deleted), "/gone")));
    assert_eq!(ready(&mut made).map(Result::ok), Some(told(node(EventType::Created), "/made")));
    assert!(ready(&mut kept).is_none());
    assert_eq!(rig.logical.watch_count(), 1);
}

#[test]
fn one_shot_watches_end_with_their_session_and_when_they_are_not_re_armed() {
    let mut rig = Rig::connected("a:1", Options::default());
    let mut watch = armed(&mut rig, get_watch("/a"));
    rig.lose();
    assert!(ready(&mut watch).is_none(), "a disconnect alone ends no watch");
    rig.connect(&expired());
    assert_eq!(ready(&mut watch).map(Result::ok), Some(told(WatchEventKind::SessionLost, "/a")));

    let mut rig = Rig::connected("a:1", Options::default());
    let mut watch = armed(&mut rig, get_watch("/a"));
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    rig.sent();
    rig.feed(&error(xid::SET_WATCHES, 12, Code::UNIMPLEMENTED.number()));
    assert_eq!(ready(&mut watch).map(Result::ok), Some(told(WatchEventKind::SessionLost, "/a")));
}

// ---- point 5: outcome, cancel, deadlines ----

#[test]
fn at_a_disconnect_reads_and_what_was_not_written_are_sent_again_and_writes_are_unknown() {
    let mut rig = Rig::connected("a:1", Options::default());
    let mut write = rig.ask(set("/written"));
    let mut read = rig.ask(get("/read"));
    let mut partly = rig.ask(delete("/partly"));
    let all = rig.logical.output().len();
    rig.write(all - 1);
    let mut unwritten = rig.ask(set("/unwritten"));
    rig.lose();
    assert_eq!(write.err().code(), Code::OUTCOME_UNKNOWN);
    let error = partly.err();
    assert_eq!(
        (error.code(), error.path(), error.operation()),
        (Code::OUTCOME_UNKNOWN, Some("/partly"), "delete")
    );
    rig.connect(&handshake(SESSION, 6000));
    let sent = rig.answer_all(20, answers);
    let paths: Vec<_> = sent.iter().filter_map(|sent| sent.request.path()).collect();
    assert_eq!(paths, ["/read", "/unwritten"], "in their order");
    assert_eq!((read.ok().zxid, unwritten.ok().connection), (20, 2));
}

#[test]
fn what_does_not_wait_while_suspended_ends_at_the_disconnect() {
    let options = Options { while_suspended: WhileSuspended::Refuse, ..Options::default() };
    let mut rig = Rig::connected("a:1", options);
    let mut written = rig.ask(set("/a"));
    let mut read = rig.ask(get("/a"));
    rig.sent();
    let mut unwritten = rig.ask(set("/a"));
    rig.lose();
    assert_eq!(written.err().code(), Code::OUTCOME_UNKNOWN);
    assert_eq!(read.err().code(), Code::CONNECTION_LOSS);
    assert_eq!(unwritten.err().code(), Code::NOT_SENT);
    assert_eq!(rig.ask(get("/a")).err().code(), Code::NOT_SENT);
    let wait = OpOptions { while_suspended: Some(WhileSuspended::Wait), ..OpOptions::default() };
    let mut waits = rig.ask_with(set("/w"), wait);
    rig.connect(&handshake(SESSION, 6000));
    rig.answer_all(20, answers);
    waits.ok();
}

#[test]
fn a_request_cancelled_before_it_is_written_is_never_sent() {
    let mut rig = Rig::connected("a:1", Options::default());
    rig.lose();
    let waiting = rig.ask(create("/waiting", CreateMode::EphemeralSequential));
    rig.logical.withdraw(waiting.tag);
    rig.connect(&handshake(SESSION, 6000));
    assert!(rig.sent().is_empty());

    let buffered = rig.ask(create("/buffered", CreateMode::EphemeralSequential));
    let _other = rig.ask(get("/other"));
    rig.logical.withdraw(buffered.tag);
    assert_eq!(rig.sent_one().request.path(), Some("/other"));
}

#[test]
fn cancelling_does_not_pile_up_places_in_the_queue() {
    let mut rig = Rig::connected("a:1", Options::default());
    rig.lose();
    for _ in 0..10_000 {
        let asked = rig.ask(get("/a"));
        rig.logical.withdraw(asked.tag);
    }
    assert!(rig.logical.queue.len() <= 65 && rig.logical.ops.is_empty() && rig.logical.deadlines.is_empty());
}

#[test]
fn the_answer_to_a_cancelled_request_is_dropped() {
    let mut rig = Rig::connected("a:1", Options::default());
    let cancelled = rig.ask(set("/a"));
    let sent = rig.sent_one();
    rig.logical.withdraw(cancelled.tag);
    rig.feed(&reply(sent.xid, 5, &stat()));
    let mut next = rig.ask(get("/a"));
    rig.answer_all(5, answers);
    next.ok();
}

#[test]
fn a_deadline_ends_a_request_as_not_sent_unknown_or_timed_out() {
    let mut rig = Rig::connected("a:1", Options::default());
    let soon = |rig: &Rig| OpOptions::until(rig.now + ms(1000));
    let options = soon(&rig);
    let mut write = rig.ask_with(set("/write"), options);
    let mut read = rig.ask_with(get("/read"), options);
    rig.sent();
    let mut buffered = rig.ask_with(create("/buffered", CreateMode::Ephemeral), options);
    rig.advance(ms(999));
    assert!(write.is_pending() && read.is_pending() && buffered.is_pending());
    assert_eq!(rig.logical.next_deadline(), rig.now + ms(1));
    rig.advance(ms(1));
    assert_eq!(write.err().code(), Code::OUTCOME_UNKNOWN);
    assert_eq!(read.err().code(), Code::OPERATION_TIMEOUT);
    assert_eq!(buffered.err().code(), Code::NOT_SENT);
    assert!(rig.sent().is_empty(), "what was given up in the buffer is not sent");

    rig.lose();
    let options = soon(&rig);
    let mut waiting = rig.ask_with(set("/waiting"), options);
    rig.advance(ms(1000));
    let error = waiting.err();
    assert_eq!(error.code(), Code::NOT_SENT);
    assert!(error.detail().contains("reset by the test"), "why no server was connected: {error}");
}

#[test]
fn a_request_whose_deadline_has_passed_is_not_sent() {
    let mut rig = Rig::connected("a:1", Options::default());
    let options = OpOptions::until(rig.now);
    assert_eq!(rig.ask_with(set("/a"), options).err().code(), Code::NOT_SENT);
    rig.lose();
    let options = OpOptions::until(rig.now + ms(10));
    let mut late = rig.ask_with(set("/late"), options);
    rig.open();
    rig.now = rig.now + ms(20);
    // The answer to the handshake is read before anything else is looked at.
    rig.feed(&handshake(SESSION, 6000));
    assert_eq!(late.err().code(), Code::NOT_SENT);
    rig.logical.tick(rig.now);
    assert!(rig.sent().is_empty());
}

#[test]
fn a_requests_deadline_holds_where_none_is_given() {
    let mut rig = Rig::connected("a:1", Options { operation_timeout: ms(700), ..Options::default() });
    rig.lose();
    let mut asked = rig.ask(get("/a"));
    rig.advance(ms(700));
    assert_eq!(asked.err().code(), Code::NOT_SENT);
}

#[test]
fn a_waiting_queue_outlives_ten_thousand_requests_without_piling_up_in_the_session() {
    let mut rig = Rig::connected("a:1", Options::default());
    let mut all: Vec<_> = (0..10_000).map(|_| rig.ask(set("/a"))).collect();
    assert_eq!(rig.logical.session.in_flight(), WINDOW);
    let sent = rig.answer_all(9, answers);
    assert_eq!(sent.len(), 10_000);
    assert!(all.iter_mut().all(|asked| asked.ok().zxid == 9));

    let big = Request::SetData { path: "/a".to_owned(), data: vec![0; 700_000], version: -1 };
    let _big: Vec<_> = (0..20).map(|_| rig.ask(big.clone())).collect();
    assert!(rig.logical.output().len() < MAX_OUTPUT + 800_000, "{}", rig.logical.output().len());
    let sent = rig.answer_all(9, answers);
    assert_eq!(sent.len(), 20);
}

// ---- point 6 ----

#[test]
fn an_answer_tells_its_send_time_session_and_connection() {
    let mut rig = Rig::connected("a:1", Options::default());
    let sent_at = rig.now;
    let mut asked = rig.ask(set("/a"));
    let sent = rig.sent_one();
    rig.advance(ms(300));
    rig.feed(&reply(sent.xid, 44, &stat()));
    let answer = asked.ok();
    assert_eq!((answer.sent_at, answer.session, answer.connection, answer.zxid), (sent_at, SESSION, 1, 44));
}

#[test]
fn a_read_sent_again_tells_the_time_of_the_second_sending() {
    let mut rig = Rig::connected("a:1", Options::default());
    let mut asked = rig.ask(get("/a"));
    rig.sent();
    rig.advance(ms(500));
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    let again = rig.now;
    rig.answer_all(9, answers);
    assert_eq!(asked.ok().sent_at, again);
}

// ---- point 8 ----

#[test]
fn a_request_too_large_is_refused_by_its_public_path_and_harms_nothing() {
    let mut rig = Rig::connected("a:1/ch", Options::default());
    let big = Request::SetData { path: "/big".to_owned(), data: vec![0; 1 << 20], version: -1 };
    let mut refused = rig.ask(big);
    let error = refused.err();
    assert_eq!((error.code(), error.path(), error.operation()), (Code::TOO_LARGE, Some("/big"), "set"));
    let mut next = rig.ask(get("/a"));
    rig.answer_all(9, answers);
    next.ok();
    assert!(rig.states().is_empty());
}

#[test]
fn what_only_the_client_may_send_and_bad_paths_are_refused_before_anything_is_sent() {
    let mut rig = Rig::connected("a:1", Options::default());
    for request in [
        Request::Ping,
        Request::CloseSession,
        Request::Check { path: "/a".to_owned(), version: 0 },
        Request::SetWatches { relative_zxid: 0, data: vec![], exist: vec![], child: vec![] },
    ] {
        assert_eq!(rig.ask(request).err().code(), Code::BAD_ARGUMENT);
    }
    for path in ["", "a", "/a/", "/a//b", "/a/./b", "/a\0", "/a\u{1}"] {
        let multi = Request::Multi(vec![
            MultiOp::Check { path: "/ok".to_owned(), version: 0 },
            MultiOp::Delete { path: path.to_owned(), version: 0 },
        ]);
        for request in [get(path), create(path, CreateMode::Persistent), multi] {
            let error = rig.ask(request).err();
            assert_eq!((error.code(), error.path()), (Code::BAD_PATH, Some(path)));
        }
    }
    assert!(rig.sent().is_empty());
}

// ---- point 10: close ----

#[test]
fn close_ends_what_waits_lets_what_was_sent_finish_and_waits_for_the_reply() {
    let mut rig = Rig::connected("a:1", Options::default());
    let mut sent_before = rig.ask(set("/sent"));
    rig.logical.close(rig.now, rig.now + ms(2000));
    assert_eq!(rig.ask(get("/late")).err().code(), Code::CLOSED);
    let sent = rig.sent();
    assert_eq!(names(&sent), ["set", "closeSession"]);
    assert_ne!(rig.logical.state(), State::Closed);
    rig.feed(&reply(sent[0].xid, 5, &stat()));
    sent_before.ok();
    rig.feed(&error(sent[1].xid, 6, 0));
    let states = rig.states();
    assert_eq!(states.len(), 1);
    assert_eq!((states[0].state, &states[0].reason), (State::Closed, &None));
    assert!(!rig.logical.wants_transport());
}

#[test]
fn close_is_bounded_when_no_reply_comes() {
    let mut rig = Rig::connected("a:1", Options::default());
    rig.logical.close(rig.now, rig.now + ms(2000));
    rig.sent();
    assert!(rig.logical.next_deadline() <= rig.now + ms(2000));
    rig.advance(ms(1999));
    assert_ne!(rig.logical.state(), State::Closed);
    rig.advance(ms(1));
    let last = rig.states().pop().expect("a state");
    assert_eq!((last.state, last.reason.map(|e| e.code())), (State::Closed, Some(Code::CLOSED)));
}

#[test]
fn close_whose_connection_breaks_is_sent_again_on_the_next() {
    let mut rig = Rig::connected("a:1", Options::default());
    rig.logical.close(rig.now, rig.now + ms(3000));
    rig.sent();
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    let sent = rig.sent_one();
    assert_eq!(sent.request, Request::CloseSession);
    rig.feed(&error(sent.xid, 1, 0));
    assert_eq!(rig.logical.state(), State::Closed);
}

#[test]
fn a_second_close_does_not_wait_for_a_longer_first_one() {
    let mut rig = Rig::connected("a:1", Options::default());
    rig.logical.close(rig.now, rig.now + ms(60_000));
    rig.logical.close(rig.now, rig.now + ms(100));
    rig.logical.close(rig.now, rig.now + ms(60_000));
    rig.sent();
    rig.advance(ms(100));
    assert_eq!(rig.logical.state(), State::Closed);
}

#[test]
fn close_while_suspended_reconnects_to_end_the_session_and_is_bounded() {
    let mut rig = Rig::connected("a:1", Options::default());
    rig.lose();
    let mut waiting = rig.ask(set("/a"));
    rig.logical.close(rig.now, rig.now + ms(3000));
    rig.advance(ms(0));
    assert_eq!(waiting.err().code(), Code::CLOSED);
    rig.connect(&handshake(SESSION, 6000));
    let sent = rig.sent_one();
    assert_eq!(sent.request, Request::CloseSession);
    rig.feed(&error(sent.xid, 1, 0));
    assert_eq!(rig.logical.state(), State::Closed);

    let mut rig = Rig::connected("a:1", Options::default());
    rig.lose();
    rig.logical.close(rig.now, rig.now + ms(3000));
    rig.advance(ms(3000));
    assert_eq!(rig.logical.state(), State::Closed);

    let mut rig = Rig::connected("a:1", Options::default());
    rig.logical.close(rig.now, rig.now + ms(3000));
    rig.sent();
    rig.lose();
    rig.connect(&expired());
    let states = rig.states();
    assert_eq!(
        states.last().map(|e| (e.state, e.reason.is_none())),
        Some((State::Closed, true)),
        "it is gone"
    );
}

#[test]
fn close_while_connecting_ends_at_once() {
    let mut rig = Rig::new("a:1", Options::default());
    rig.logical.close(rig.now, rig.now + ms(3000));
    assert_eq!(rig.logical.state(), State::Closed);
    let mut rig = Rig::new("a:1", Options::default());
    rig.open();
    rig.logical.close(rig.now, rig.now + ms(3000));
    assert_eq!(rig.logical.state(), State::Closed);
    assert!(!rig.logical.wants_transport());
    assert_eq!(rig.logical.next_deadline(), Time::NEVER);
}

#[test]
fn what_is_in_the_buffer_when_the_client_ends_was_not_sent() {
    let options = Options { auth: vec![digest("a:b")], ..Options::default() };
    let mut rig = Rig::connected("a:1", options);
    rig.sent();
    let mut written = rig.ask(set("/written"));
    rig.sent();
    let mut buffered = rig.ask(set("/buffered"));
    rig.feed(&error(xid::AUTH, 0, Code::AUTH_FAILED.number()));
    assert_eq!(written.err().code(), Code::OUTCOME_UNKNOWN);
    assert_eq!(buffered.err().code(), Code::AUTH_FAILED);
}

#[test]
fn every_watch_ends_when_the_client_is_closed() {
    let mut rig = Rig::connected("a:1", Options::default());
    let mut once = armed(&mut rig, get_watch("/a"));
    let (_asked, mut stream) = rig.stream(add_watch("/p", WatchMode::Persistent));
    rig.answer_all(5, answers);
    rig.logical.close(rig.now, rig.now);
    rig.advance(ms(0));
    assert_eq!(ready(&mut once).map(Result::ok), Some(told(WatchEventKind::SessionLost, "/a")));
    assert!(stream.is_closed() && stream.try_recv().is_err());
}

// ---- states ----

#[test]
fn a_subscriber_sees_every_state_in_order_beginning_with_the_present() {
    let mut rig = Rig::connected("a:1", Options::default());
    let mut late = rig.logical.subscribe();
    for _ in 0..3 {
        rig.lose();
        rig.connect(&handshake(SESSION, 6000));
    }
    rig.lose();
    rig.connect(&expired());
    rig.connect(&handshake(2, 6000));
    rig.logical.close(rig.now, rig.now);
    rig.advance(ms(0));
    let seen: Vec<_> = std::iter::from_fn(|| late.try_recv().ok()).map(|e| e.state).collect();
    use State::{Closed, Connected, Lost, Suspended};
    assert_eq!(
        seen,
        [
            Connected, Suspended, Connected, Suspended, Connected, Suspended, Connected, Suspended, Lost,
            Connected, Closed
        ]
    );
    assert_eq!(late.try_recv().err(), Some(mpsc::error::TryRecvError::Disconnected), "nothing comes after");
    let mut after = rig.logical.subscribe();
    assert_eq!(after.try_recv().map(|e| e.state), Ok(Closed));
}

#[test]
fn the_reason_of_a_suspension_names_server_and_cause() {
    let mut rig = Rig::connected("zoo-a:2182", Options::default());
    rig.lose();
    let event = rig.states().pop().expect("a state");
    let reason = event.reason.expect("a reason");
    assert!(reason.detail().contains("zoo-a:2182: reset by the test"), "{reason}");
}

// ---- chroot ----

#[test]
fn the_chroot_is_added_and_stripped_everywhere() {
    let mut rig = Rig::connected("a:1/app", Options::default());
    let path = |sent: &Sent| sent.request.path().map(str::to_owned);

    let mut made = rig.ask(create("/n", CreateMode::Persistent));
    let sent = rig.sent_one();
    assert_eq!(path(&sent).as_deref(), Some("/app/n"));
    rig.feed(&reply(sent.xid, 1, &Response::Create2 { path: "/app/n".to_owned(), stat: Stat::default() }));
    assert_eq!(made.ok().response, Response::Create2 { path: "/n".to_owned(), stat: Stat::default() });

    let mut root = rig.ask(Request::Sync { path: "/".to_owned() });
    let sent = rig.sent_one();
    assert_eq!(path(&sent).as_deref(), Some("/app"));
    rig.feed(&reply(sent.xid, 1, &Response::Path("/app".to_owned())));
    assert_eq!(root.ok().response, Response::Path("/".to_owned()));

    let mut multi = rig.ask(Request::Multi(vec![
        MultiOp::Check { path: "/c".to_owned(), version: -1 },
        MultiOp::Create {
            path: "/d".to_owned(),
            data: Vec::new(),
            acl: Vec::new(),
            mode: CreateMode::Persistent,
            ttl_ms: 0,
            with_stat: false,
        },
    ]));
    let sent = rig.sent_one();
    match &sent.request {
        Request::Multi(ops) => {
            assert_eq!(ops.iter().map(MultiOp::path).collect::<Vec<_>>(), ["/app/c", "/app/d"]);
        }
        other => panic!("{other:?}"),
    }
    let results = vec![MultiResult::Check, MultiResult::Create { path: "/app/d".to_owned() }];
    rig.feed(&reply(sent.xid, 2, &Response::Multi(results)));
    assert_eq!(
        multi.ok().response,
        Response::Multi(vec![MultiResult::Check, MultiResult::Create { path: "/d".to_owned() }])
    );

    let mut ephemerals = rig.ask(Request::GetEphemerals { prefix: "/".to_owned() });
    let sent = rig.sent_one();
    assert_eq!(path(&sent).as_deref(), Some("/app"));
    let paths = ["/app/e", "/app2/foreign", "/app"].map(str::to_owned).to_vec();
    rig.feed(&reply(sent.xid, 2, &Response::Ephemerals(paths)));
    assert_eq!(ephemerals.ok().response, Response::Ephemerals(vec!["/e".to_owned(), "/".to_owned()]));

    let mut failed = rig.ask(get("/x"));
    let sent = rig.sent_one();
    rig.feed(&error(sent.xid, 2, Code::NO_NODE.number()));
    assert_eq!(failed.err().path(), Some("/x"));

    let mut watch = armed(&mut rig, get_watch("/w"));
    let (mut asked, mut stream) = rig.stream(add_watch("/", WatchMode::PersistentRecursive));
    assert_eq!(path(&rig.answer_all(2, answers)[0]).as_deref(), Some("/app"));
    asked.ok();
    rig.feed(&event(EventType::Deleted, "/app/w", -1));
    assert_eq!(ready(&mut watch).map(Result::ok), Some(told(node(EventType::Deleted), "/w")));
    assert_eq!(stream.try_recv().ok(), told(node(EventType::Deleted), "/w"));
    let mut lost = armed(&mut rig, get_watch("/"));
    rig.answer_all(2, answers);
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    match rig.sent_one().request {
        Request::SetWatches2 { data, recursive, .. } => {
            assert_eq!((data, recursive), (vec!["/app".to_owned()], vec!["/app".to_owned()]));
        }
        other => panic!("{other:?}"),
    }
    rig.lose();
    rig.connect(&expired());
    assert_eq!(ready(&mut lost).map(Result::ok), Some(told(WatchEventKind::SessionLost, "/")));
}

// ---- watches at the server ----

#[test]
fn remove_watches_goes_with_the_last_watcher_and_not_while_a_read_is_arming() {
    let mut rig = Rig::connected("a:1", Options::default());
    let (mut first, _one) = rig.watch(get_watch("/a"));
    let (mut second, _two) = rig.watch(exists_watch("/a"));
    let (mut third, _three) = rig.watch(children_watch("/a"));
    rig.answer_all(5, answers);
    first.ok();
    second.ok();
    third.ok();
    rig.logical.unwatch(rig.now, "/a", first.tag);
    assert!(rig.sent().is_empty(), "another still waits for the node");
    let (mut arming, _four) = rig.watch(get_watch("/a"));
    rig.logical.unwatch(rig.now, "/a", second.tag);
    assert_eq!(names(&rig.answer_all(5, answers)), ["get"], "a read is arming it");
    arming.ok();
    rig.logical.unwatch(rig.now, "/a", third.tag);
    let gone = rig.sent_one();
    assert_eq!(gone.request, Request::RemoveWatches { path: "/a".to_owned(), kind: WatcherType::Children });
    rig.feed(&error(gone.xid, 5, 0));
    rig.logical.unwatch(rig.now, "/a", arming.tag);
    let gone = rig.sent_one();
    assert_eq!(gone.request, Request::RemoveWatches { path: "/a".to_owned(), kind: WatcherType::Data });
    rig.logical.unwatch(rig.now, "/a", arming.tag);
    assert!(rig.sent().is_empty(), "once");
}

#[test]
fn dropping_a_watch_that_stays_takes_no_one_shot_of_another_with_it() {
    let mut rig = Rig::connected("a:1", Options::default());
    let (mut stays, _stream) = rig.stream(add_watch("/a", WatchMode::Persistent));
    rig.answer_all(5, answers);
    stays.ok();
    let (mut once, mut watch) = rig.watch(get_watch("/a"));
    rig.answer_all(5, answers);
    once.ok();
    rig.logical.unwatch(rig.now, "/a", stays.tag);
    assert!(rig.sent().is_empty(), "\"any\" would remove the one-shot watch too");
    rig.feed(&event(EventType::Deleted, "/a", -1));
    assert!(ready(&mut watch).is_some());

    let (mut stays, mut stream) = rig.stream(add_watch("/b", WatchMode::Persistent));
    rig.answer_all(5, answers);
    stays.ok();
    let (mut once, _watch) = rig.watch(children_watch("/b"));
    rig.answer_all(5, answers);
    once.ok();
    rig.logical.unwatch(rig.now, "/b", once.tag);
    assert!(rig.sent().is_empty(), "it would cripple the one that stays");
    rig.feed(&event(EventType::ChildrenChanged, "/b", -1));
    assert!(stream.try_recv().is_ok());
    rig.logical.unwatch(rig.now, "/b", stays.tag);
    let gone = rig.sent_one();
    assert_eq!(gone.request, Request::RemoveWatches { path: "/b".to_owned(), kind: WatcherType::Any });
}

#[test]
fn a_one_shot_armed_where_a_watch_stays_has_that_added_again() {
    let mut rig = Rig::connected("a:1", Options::default());
    let (mut stays, _stream) = rig.stream(add_watch("/a", WatchMode::PersistentRecursive));
    rig.answer_all(5, answers);
    stays.ok();
    let (_once, _watch) = rig.watch(get_watch("/a"));
    let sent = rig.answer_all(5, answers);
    assert_eq!(names(&sent), ["get", "addWatch"]);
    assert_eq!(sent[1].request, add_watch("/a", WatchMode::PersistentRecursive));
    assert_eq!(rig.logical.watch_count(), 2);
}

#[test]
fn a_watch_given_up_while_its_read_is_under_way_is_removed_at_the_server() {
    let mut rig = Rig::connected("a:1", Options::default());
    let (asked, watch) = rig.watch(get_watch("/a"));
    let sent = rig.sent_one();
    rig.logical.withdraw(asked.tag);
    drop(watch);
    rig.feed(&reply(sent.xid, 5, &data()));
    assert_eq!(
        rig.sent_one().request,
        Request::RemoveWatches { path: "/a".to_owned(), kind: WatcherType::Data }
    );
    assert!(rig.logical.watch_count() == 0 && rig.logical.ops.len() == 1);

    let (asked, stream) = rig.stream(add_watch("/p", WatchMode::Persistent));
    let sent = rig.sent_one();
    rig.logical.withdraw(asked.tag);
    drop(stream);
    rig.feed(&reply(sent.xid - 1, 5, &Response::Empty));
    rig.feed(&reply(sent.xid, 5, &Response::Code(0)));
    assert_eq!(names(&rig.sent()), ["removeWatches"]);

    // With the connection the server's watch goes, and nothing is asked again.
    let (asked, watch) = rig.watch(get_watch("/b"));
    rig.sent();
    assert!(!rig.logical.withdraw(asked.tag));
    drop((asked, watch));
    rig.lose();
    rig.connect(&handshake(SESSION, 6000));
    assert!(rig.sent().is_empty());
    assert!(rig.logical.ops.is_empty());
}

#[test]
fn a_read_that_timed_out_leaves_no_watch_at_the_server() {
    let mut rig = Rig::connected("a:1", Options { operation_timeout: ms(100), ..Options::default() });
    let (mut asked, watch) = rig.watch(get_watch("/a"));
    let sent = rig.sent_one();
    rig.advance(ms(100));
    assert_eq!(asked.err().code(), Code::OPERATION_TIMEOUT);
    drop(watch);
    rig.feed(&reply(sent.xid, 5, &data()));
    assert_eq!(names(&rig.sent()), ["removeWatches"]);
}

#[test]
fn a_watch_removed_while_away_is_not_re_armed() {
    let mut rig = Rig::connected("a:1", Options::default());
    let (mut asked, _watch) = rig.watch(get_watch("/a"));
    rig.answer_all(5, answers);
    asked.ok();
    rig.lose();
    rig.logical.unwatch(rig.now, "/a", asked.tag);
    rig.connect(&handshake(SESSION, 6000));
    assert!(rig.sent().is_empty());
}

// ---- point 11 ----

#[test]
fn no_debug_text_shows_a_secret() {
    let reattach = Some(Reattach { session_id: 5, password: b"pass-word".to_vec(), last_zxid: 0 });
    let options = Options { auth: vec![digest("user:hidden")], reattach, ..Options::default() };
    let mut rig = Rig::new("a:1", options.clone());
    rig.connect(&handshake(5, 6000));
    let request = rig.logical.add_auth(digest("user:hidden2"));
    rig.ask(request);
    let shown = format!("{:?} {options:?} {:?}", rig.logical, rig.logical.credentials().0);
    let as_numbers = |text: &str| format!("{:?}", text.as_bytes()).replace(['[', ']'], "");
    for secret in ["hidden", "pass-word", "session-password"] {
        assert!(!shown.contains(secret), "{shown}");
        assert!(!shown.contains(&as_numbers(secret)), "{shown}");
    }
}

// ---- the driver's side ----

#[test]
fn an_attempt_given_up_takes_no_transport_any_more() {
    let mut rig = Rig::new("a:1,b:1", Options::default());
    rig.dial();
    rig.advance(ms(5000));
    rig.logical.opened(rig.now);
    assert!(!rig.logical.wants_transport());
    rig.logical.not_opened(rig.now, "late", false);
    assert!(rig.logical.last_reason().is_some_and(|reason| reason.detail().contains("took too long")));
}
