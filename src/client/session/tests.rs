//! The session alone: bytes and virtual time in, bytes and events out.

use super::super::fake::{
    Ear, PASSWORD, SESSION, Sent, data, delete, error, event, expired, frame, get, handshake, ms, reply, set,
};
use super::*;
use crate::proto::Request;

const MAX_FRAME: usize = 0xf_ffff;

struct Rig {
    session: Session,
    now: Time,
    ear: Ear,
}

impl Rig {
    fn new() -> Self {
        Self::with(Session::new(ms(6000), MAX_FRAME))
    }

    fn with(session: Session) -> Self {
        Self { session, now: Time::from_origin(ms(500_000)), ear: Ear::new() }
    }

    fn up() -> Self {
        let mut rig = Self::new();
        rig.connect(&handshake(SESSION, 6000));
        assert!(matches!(rig.events()[..], [Event::Up { new: true }]));
        rig
    }

    fn connect(&mut self, answer: &[u8]) -> ConnectRequest {
        self.session.open(self.now);
        self.ear = Ear::new();
        let greeting = self.hear().0.expect("a greeting");
        self.feed(answer);
        greeting
    }

    fn hear(&mut self) -> (Option<ConnectRequest>, Vec<Sent>) {
        let bytes = self.session.output().to_vec();
        self.session.wrote(bytes.len());
        self.ear.hear(&bytes)
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.session.received(self.now, bytes);
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.next_event()).collect()
    }

    fn send(&mut self, tag: Tag, request: &Request) {
        self.session.send(self.now, tag, request).expect("it is sent");
    }

    fn down_reason(&mut self) -> Error {
        match self.events().pop() {
            Some(Event::Down { reason, .. }) => reason,
            other => panic!("expected the connection's end, got {other:?}"),
        }
    }

    fn orphans(&mut self) -> Vec<(Tag, bool)> {
        match self.events().pop() {
            Some(Event::Down { orphans, .. }) => orphans.iter().map(|o| (o.tag, o.written)).collect(),
            other => panic!("expected the connection's end, got {other:?}"),
        }
    }
}

// ---- point 2: handshake ----

#[test]
fn a_new_session_asks_with_zeros_and_a_reconnect_with_id_password_and_last_zxid() {
    let mut rig = Rig::new();
    let first = rig.connect(&handshake(SESSION, 4000));
    assert_eq!((first.session_id, first.last_zxid_seen, first.timeout_ms), (0, 0, 6000));
    assert_eq!(first.password, vec![0; 16]);
    assert!(!first.read_only);
    assert_eq!((rig.session.id(), rig.session.timeout()), (SESSION, ms(4000)));

    rig.send(1, &get("/a"));
    rig.feed(&reply(1, 77, &data()));
    rig.session.lost(Code::CONNECTION_LOSS.into());
    rig.events();
    let again = rig.connect(&handshake(SESSION, 8000));
    assert_eq!((again.session_id, again.last_zxid_seen), (SESSION, 77));
    assert_eq!(again.password, PASSWORD);
    assert!(matches!(rig.events()[..], [Event::Up { new: false }]));
    assert_eq!((rig.session.timeout(), rig.session.least_timeout()), (ms(8000), ms(4000)));
}

#[test]
fn a_given_session_is_attached_to() {
    let mut rig =
        Rig::with(Session::new(ms(6000), MAX_FRAME).reattach(SESSION, b"other".to_vec(), 5, 70_000));
    let greeting = rig.connect(&handshake(SESSION, 6000));
    assert_eq!((greeting.session_id, greeting.last_zxid_seen), (SESSION, 5));
    assert_eq!(greeting.password, b"other");
    assert!(matches!(rig.events()[..], [Event::Up { new: false }]));
    // Its requests are not taken for those of whoever had it before.
    rig.send(1, &get("/a"));
    rig.feed(&reply(70_000, 77, &data()));
    assert!(matches!(rig.events()[..], [Event::Reply { tag: 1, result: Ok(_), .. }]));
}

#[test]
fn expiry_is_the_servers_word_and_comes_before_the_end_of_the_connection() {
    let mut rig = Rig::up();
    rig.session.lost(Code::CONNECTION_LOSS.into());
    rig.events();
    rig.connect(&expired());
    assert!(matches!(rig.events()[..], [Event::Expired, Event::Down { .. }]));
}

#[test]
fn a_refused_new_session_is_no_expiry() {
    let mut rig = Rig::new();
    rig.connect(&expired());
    let events = rig.events();
    assert!(matches!(events[..], [Event::Down { .. }]), "{events:?}");
    assert_eq!(rig.session.id(), 0);
}

#[test]
fn a_connection_that_ends_in_the_handshake_is_no_expiry() {
    let mut rig = Rig::up();
    rig.session.lost(Code::CONNECTION_LOSS.into());
    rig.events();
    rig.session.open(rig.now);
    rig.session.lost(Code::CONNECTION_LOSS.into());
    assert!(matches!(rig.events()[..], [Event::Down { .. }]));
    assert_eq!(rig.session.id(), SESSION);
}

#[test]
fn an_answer_for_another_session_is_refused() {
    let mut rig = Rig::up();
    rig.session.lost(Code::CONNECTION_LOSS.into());
    rig.events();
    rig.connect(&handshake(SESSION + 1, 6000));
    assert_eq!(rig.down_reason().code(), Code::PROTOCOL);
    assert_eq!(rig.session.id(), SESSION, "our own is kept");
}

#[test]
fn session_moved_is_an_answer_and_not_an_expiry() {
    let mut rig = Rig::up();
    rig.send(1, &set("/a"));
    rig.feed(&error(1, 9, Code::SESSION_MOVED.number()));
    let events = rig.events();
    assert!(
        matches!(events[..], [Event::Reply { tag: 1, result: Err(Code::SESSION_MOVED), .. }]),
        "{events:?}"
    );
    assert!(rig.session.is_up());
}

#[test]
fn the_session_after_this_one_counts_on_and_goes_behind_no_server_seen() {
    let mut rig = Rig::up();
    rig.send(1, &get("/a"));
    rig.feed(&reply(1, 70, &data()));
    let next = rig.session.successor();
    assert_eq!((next.id(), next.connection(), next.last_zxid(), next.last_heard()), (0, 1, 70, rig.now));
    assert_eq!(next.password(), [0; 16]);
}

// ---- point 3: time ----

fn keep_alive() -> Request {
    Request::Sync { path: "/".to_owned() }
}

#[test]
fn a_sync_goes_after_a_third_of_the_timeout_without_requests() {
    let mut rig = Rig::up();
    let up = rig.now;
    rig.now = up + ms(1000);
    rig.send(1, &Request::Delete { path: "/a".to_owned(), version: -1 });
    rig.feed(&reply(1, 1, &Response::Empty));
    rig.hear();
    assert_eq!(rig.session.next_deadline(), up + ms(3000), "a third after the request");
    rig.now = up + ms(2999);
    rig.session.tick(rig.now);
    assert!(rig.hear().1.is_empty());
    rig.now = up + ms(3000);
    rig.session.tick(rig.now);
    let sent = rig.hear().1;
    assert_eq!(sent[0].request, keep_alive());
    assert_eq!(rig.session.next_deadline(), up + ms(5000), "dead at two thirds of silence: {up:?}");
    rig.now = up + ms(3100);
    rig.feed(&reply(sent[0].xid, 4, &Response::Path("/".to_owned())));
    assert_eq!(rig.session.next_deadline(), up + ms(5000), "the next keep-alive");
    assert_eq!(rig.session.last_zxid(), 4);
}

#[test]
fn a_sync_goes_also_while_there_are_reads_for_they_prove_nothing() {
    let mut rig = Rig::up();
    let up = rig.now;
    for step in 1..=19 {
        rig.now = up + ms(step * 100);
        rig.send(step, &get("/a"));
        let sent = rig.hear().1;
        rig.feed(&reply(sent[0].xid, 1, &data()));
    }
    assert_eq!(rig.session.next_deadline(), up + ms(2000));
    rig.now = up + ms(2000);
    rig.session.tick(rig.now);
    assert_eq!(rig.hear().1[0].request, keep_alive());
}

#[test]
fn a_sync_goes_out_while_requests_do_but_nothing_comes() {
    let mut rig = Rig::up();
    let up = rig.now;
    for step in 1..=5 {
        rig.now = up + ms(step * 400);
        rig.send(step, &get("/a"));
        rig.session.tick(rig.now);
    }
    let sent = rig.hear().1;
    assert_eq!(sent.iter().filter(|sent| sent.request == keep_alive()).count(), 1, "{sent:?}");
}

#[test]
fn two_thirds_of_the_timeout_without_a_byte_is_a_dead_connection() {
    let mut rig = Rig::up();
    let up = rig.now;
    rig.now = up + ms(2000);
    rig.session.tick(rig.now);
    rig.now = up + ms(3999);
    rig.session.tick(rig.now);
    assert!(rig.session.is_up());
    rig.now = up + ms(4000);
    rig.session.tick(rig.now);
    let reason = rig.down_reason();
    assert_eq!(reason.code(), Code::CONNECTION_LOSS);
    assert!(reason.detail().contains("4000 ms"), "{reason}");
    assert_eq!(rig.session.next_deadline(), Time::NEVER);
}

#[test]
fn any_byte_keeps_the_connection_alive() {
    let mut rig = Rig::up();
    let up = rig.now;
    rig.now = up + ms(3900);
    rig.feed(&event(EventType::Created, "/a", -1)[..3]);
    rig.now = up + ms(4000);
    rig.session.tick(rig.now);
    assert!(rig.session.is_up());
}

// ---- point 4: what a reconnect may have missed ----

#[test]
fn an_event_vouches_for_none_but_itself() {
    // 3.9 writes the transaction into an event's header. One transaction has several events, and the
    // connection may end between them: the others must come again from setWatches.
    let mut rig = Rig::up();
    rig.send(1, &get("/a"));
    rig.feed(&reply(1, 50, &data()));
    rig.feed(&event(EventType::Deleted, "/a/b", 51));
    assert_eq!((rig.session.last_zxid(), rig.session.told_zxid()), (51, 50));
    rig.send(2, &get("/a"));
    rig.feed(&reply(2, 51, &data()));
    assert_eq!(rig.session.told_zxid(), 51, "a reply comes after all events before it");
}

#[test]
fn what_was_missed_is_asked_for_again_until_all_watches_are_armed() {
    let frame = Request::SetWatches {
        relative_zxid: 50,
        data: vec!["/a".to_owned()],
        exist: Vec::new(),
        child: Vec::new(),
    };
    let mut rig = Rig::up();
    rig.send(1, &get("/a"));
    rig.feed(&reply(1, 50, &data()));
    rig.session.lost(Code::CONNECTION_LOSS.into());
    rig.connect(&handshake(SESSION, 6000));
    rig.session.set_watches(rig.now, &frame).unwrap();
    rig.session.set_watches(rig.now, &frame).unwrap();
    rig.feed(&error(xid::SET_WATCHES, 90, 0));
    rig.send(2, &get("/a"));
    rig.feed(&reply(2, 90, &data()));
    assert_eq!((rig.session.last_zxid(), rig.session.told_zxid()), (90, 50));
    rig.session.lost(Code::CONNECTION_LOSS.into());
    assert_eq!(rig.session.told_zxid(), 50, "the second frame's events may be missing");
    rig.connect(&handshake(SESSION, 6000));
    rig.session.set_watches(rig.now, &frame).unwrap();
    rig.feed(&error(xid::SET_WATCHES, 95, 0));
    assert_eq!(rig.session.told_zxid(), 95);
}

// ---- point 5: outcome ----

#[test]
fn a_request_is_not_sent_or_unknown_by_the_bytes_written() {
    let mut rig = Rig::up();
    rig.hear();
    for tag in 1..=3 {
        rig.send(tag, &set("/a"));
    }
    let one = rig.session.output().len() / 3;
    rig.session.wrote(one + 1);
    rig.session.lost(Code::CONNECTION_LOSS.into());
    assert_eq!(rig.orphans(), [(1, true), (2, true), (3, false)]);
}

#[test]
fn bytes_are_counted_over_many_partial_writes() {
    let mut rig = Rig::up();
    rig.hear();
    let big = Request::SetData { path: "/a".to_owned(), data: vec![1; 200_000], version: -1 };
    for tag in 1..=10 {
        rig.send(tag, &big);
    }
    let all = rig.session.output().len();
    let one = all / 10;
    let mut left = 7 * one;
    while left > 0 {
        let n = left.min(1000);
        rig.session.wrote(n);
        left -= n;
    }
    assert_eq!(rig.session.output().len(), 3 * one);
    rig.session.lost(Code::CONNECTION_LOSS.into());
    let written: Vec<_> = rig.orphans().iter().filter(|(_, written)| *written).map(|(tag, _)| *tag).collect();
    assert_eq!(written, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_request_taken_back_before_a_byte_of_it_was_written_leaves_no_trace() {
    let mut rig = Rig::up();
    rig.hear();
    let paths = ["/first", "/second/longer", "/third", "/fourth"];
    for (tag, path) in (1..).zip(paths) {
        rig.send(tag, &delete(path));
    }
    let auth = Request::Auth { scheme: "digest".to_owned(), auth: b"a:b".to_vec() };
    rig.send(5, &auth);
    rig.send(6, &get("/sixth"));
    let first = rig.session.output()[..10].to_vec();
    rig.ear.hear(&first);
    rig.session.wrote(10);
    assert!(!rig.session.withdraw(1), "ten bytes of it are written");
    assert!(rig.session.withdraw(2));
    assert!(!rig.session.withdraw(2), "once");
    assert!(rig.session.withdraw(4));
    let sent = rig.hear().1;
    let seen: Vec<_> = sent.iter().map(|sent| sent.request.clone()).collect();
    assert_eq!(seen, [delete("/first"), delete("/third"), auth, get("/sixth")]);
    assert!(!rig.session.withdraw(3), "it is written");
    for sent in sent.iter().filter(|sent| sent.xid > 0) {
        rig.feed(&reply(sent.xid, 5, &if sent.request == get("/sixth") { data() } else { Response::Empty }));
    }
    let tags: Vec<_> = rig
        .events()
        .iter()
        .map(|event| match event {
            Event::Reply { tag, result: Ok(_), .. } => *tag,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(tags, [1, 3, 6]);
}

#[test]
fn taking_back_keeps_the_count_of_what_was_written() {
    let mut rig = Rig::up();
    rig.hear();
    for tag in 1..=4 {
        rig.send(tag, &set("/a"));
    }
    let one = rig.session.output().len() / 4;
    assert!(rig.session.withdraw(2));
    rig.session.wrote(2 * one);
    rig.session.lost(Code::CONNECTION_LOSS.into());
    assert_eq!(rig.orphans(), [(1, true), (3, true), (4, false)]);
}

// ---- point 6: send times ----

#[test]
fn a_reply_tells_when_its_request_left_at_the_earliest() {
    let mut rig = Rig::up();
    let sent = rig.now;
    rig.send(1, &set("/a"));
    rig.now = sent + ms(700);
    rig.hear();
    rig.now = sent + ms(900);
    rig.feed(&reply(1, 3, &Response::Stat(crate::proto::Stat::default())));
    match &rig.events()[..] {
        [Event::Reply { tag: 1, result: Ok(_), zxid: 3, sent_at }] => assert_eq!(*sent_at, sent),
        other => panic!("{other:?}"),
    }
}

// ---- point 7 ----

#[test]
fn refused_credentials_are_told_before_the_connections_end() {
    let mut rig = Rig::up();
    let auth = Request::Auth { scheme: "digest".to_owned(), auth: b"a:b".to_vec() };
    rig.session.replay_auth(rig.now, &auth).unwrap();
    rig.hear();
    rig.feed(&error(xid::AUTH, 0, Code::AUTH_FAILED.number()));
    assert!(matches!(rig.events()[..], [Event::AuthFailed, Event::Down { .. }]));
}

// ---- point 8: hostile bytes ----

#[test]
fn bytes_that_break_the_protocol_end_the_connection_with_an_error_that_names_them() {
    let short_record = frame(|w| {
        ReplyHeader { xid: 1, zxid: 1, err: 0 }.encode(w);
        w.i32(1000);
    });
    let unknown_event = frame(|w| {
        ReplyHeader { xid: xid::NOTIFICATION, zxid: -1, err: 0 }.encode(w);
        w.i32(99);
        w.i32(3);
        w.string("/a");
    });
    let huge = 0x7fff_ffff_u32.to_be_bytes().to_vec();
    let negative = (-5_i32).to_be_bytes().to_vec();
    for (bytes, why) in [
        (reply(2, 1, &data()), "answer to request 2, expected 1"),
        (short_record, "data: longer than the record"),
        (frame(|w| w.i32(1)), "reply.zxid: record ends early"),
        (unknown_event, "unknown event type 99"),
        (error(xid::SET_WATCHES, 1, 0), "an answer to no setWatches"),
        (error(xid::AUTH, 1, 0), "an answer to no auth"),
        (huge, "a frame claims 2147483647 bytes, at most 1114111 are accepted"),
        (negative, "a frame claims -5 bytes"),
    ] {
        let mut rig = Rig::up();
        rig.send(1, &get("/a"));
        rig.feed(&bytes);
        let reason = rig.down_reason();
        assert_eq!(reason.code(), Code::PROTOCOL);
        assert!(reason.detail().contains(why), "{reason}");
        rig.feed(&reply(1, 1, &data()));
        assert!(rig.events().is_empty(), "nothing is taken from a connection given up");
    }
}

#[test]
fn an_answer_to_nothing_ends_the_connection() {
    let mut rig = Rig::up();
    rig.feed(&reply(1, i64::MAX, &data()));
    assert_eq!(rig.session.last_zxid(), 0, "nor does it lock the session out of honest servers");
    assert!(rig.down_reason().detail().contains("which was not sent"));
}

#[test]
fn a_long_handshake_answer_is_refused_by_its_claim() {
    let mut rig = Rig::new();
    rig.session.open(rig.now);
    rig.feed(b"HTTP/1.1 400 Bad Request\r\n");
    assert!(rig.down_reason().detail().contains("at most 1024"));
}

#[test]
fn an_alert_of_tls_in_the_place_of_an_answer_is_called_by_its_name() {
    let mut rig = Rig::new();
    rig.session.open(rig.now);
    rig.feed(&[0x15, 3, 3, 0, 2, 2, 80]);
    let reason = rig.down_reason();
    assert!(reason.to_string().contains("the server answers in TLS"), "{reason}");
}

#[test]
fn a_request_over_the_limit_is_refused_and_the_connection_lives() {
    let mut rig = Rig::up();
    rig.hear();
    let sized = |data| Request::SetData { path: "/a".to_owned(), data: vec![0; data], version: -1 };
    let overhead = 8 + 4 + 2 + 4 + 4;
    let error = rig.session.send(rig.now, 1, &sized(MAX_FRAME - overhead + 1)).expect_err("one byte over");
    assert_eq!(error.code(), Code::TOO_LARGE);
    rig.send(2, &sized(MAX_FRAME - overhead));
    rig.send(3, &get("/a"));
    let sent = rig.hear().1;
    assert_eq!((sent.len(), sent[0].len), (2, MAX_FRAME), "a frame of exactly the limit is taken");
}

#[test]
fn numbers_of_requests_go_round_and_never_take_a_reserved_one() {
    let mut rig = Rig::up();
    rig.session.next_xid = i32::MAX;
    rig.send(1, &get("/a"));
    rig.send(2, &get("/a"));
    let xids: Vec<_> = rig.hear().1.iter().map(|sent| sent.xid).collect();
    assert_eq!(xids, [i32::MAX, 1]);
    rig.feed(&reply(i32::MAX, 1, &data()));
    rig.feed(&reply(1, 1, &data()));
    assert_eq!(rig.events().len(), 2);
}

#[test]
fn bytes_may_come_one_at_a_time() {
    let mut rig = Rig::new();
    rig.session.open(rig.now);
    let mut bytes = handshake(SESSION, 6000);
    bytes.extend(event(EventType::Created, "/a", -1));
    for byte in bytes {
        rig.feed(&[byte]);
    }
    assert!(matches!(rig.events()[..], [Event::Up { new: true }, Event::Watch { .. }]));
}

// ---- point 10 ----

#[test]
fn the_answer_to_close_session_is_told() {
    let mut rig = Rig::up();
    rig.send(0, &Request::CloseSession);
    rig.feed(&error(1, 8, 0));
    assert!(matches!(rig.events()[..], [Event::Closed, Event::Reply { tag: 0, .. }]));
}

// ---- point 11 ----

#[test]
fn debug_shows_neither_the_password_nor_bytes_under_way() {
    let mut rig = Rig::up();
    let auth = Request::Auth { scheme: "digest".to_owned(), auth: b"user:secret".to_vec() };
    rig.session.replay_auth(rig.now, &auth).unwrap();
    let shown = format!("{:?}", rig.session);
    assert!(shown.contains("0x1000000aa"), "{shown}");
    let bytes = format!("{:?}", b"secret").replace(['[', ']'], "");
    let password = format!("{PASSWORD:?}").replace(['[', ']'], "");
    for secret in ["secret", &bytes, &password, "session-password"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
