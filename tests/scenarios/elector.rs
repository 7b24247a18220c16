//! What the election does, on whichever server the test that takes this in names.

use crate::{server, support};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::proxy::{Direction, Proxy};
use zkhelper::client::Reattach;
use zkhelper::proto::{Acl, CreateMode, permissions};
use zkhelper::zk::OpOptions;
use zkhelper::{
    Client, Code, Elector, ElectorOptions, Leader, Loss, Options, Outcome, Result, Standing, Stop, Term, Time,
};

/// Ends a test that hangs; no working test comes near it.
const LIMIT: Duration = Duration::from_secs(120);
/// The shortest that the server grants: its tick is 500 ms.
const TIMEOUT: Duration = Duration::from_secs(2);
/// No leader waits for this one: it is for elections whose leaders all leave cleanly.
const NEVER_WAITED: Duration = Duration::from_secs(600);

fn session(reattach: Option<Reattach>) -> Options {
    Options { session_timeout: TIMEOUT, reattach, ..Options::default() }
}

async fn client() -> Client {
    client_of(&server().to_string()).await
}

async fn client_of(address: &str) -> Client {
    Client::connect(address, session(None)).await.expect("a connection")
}

fn path(name: &str) -> String {
    format!("/zk/{}", support::unique(name))
}

/// A lease that is waited for after a leader that did not leave cleanly.
fn short() -> ElectorOptions {
    ElectorOptions {
        lease: Duration::from_secs(2),
        grace: Some(Duration::from_secs(1)),
        max_backoff: Duration::from_millis(400),
        ..ElectorOptions::default()
    }
}

fn clean() -> ElectorOptions {
    ElectorOptions { lease: NEVER_WAITED, ..short() }
}

fn elector(client: &Client, path: &str, options: ElectorOptions) -> Elector {
    Elector::new(client, path, options).expect("an elector")
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

async fn campaign(elector: &Elector) -> Term {
    within("the lead", elector.campaign()).await.expect("the lead")
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.expect_err("an error").code()
}

async fn leader(elector: &Elector) -> Option<Leader> {
    elector.leader().await.expect("an answer")
}

/// Ends a client's session at the server, as its expiry would.
async fn end_session(client: &Client) {
    let id = client.session().id;
    let address = server().to_string();
    let thief = Client::connect(&address, session(Some(client.credentials()))).await.expect("re-attached");
    assert_eq!(thief.session().id, id);
    thief.close(LIMIT).await.expect("closed");
}

async fn until_candidates(elector: &Elector, count: usize) {
    within("candidates", async {
        while elector.candidates().await.expect("a list").len() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_leads_and_the_record_says_who_until_the_next_one_does() {
    let (one, two) = (client().await, client().await);
    let at = path("lead");
    let mut options = ElectorOptions { description: "first".to_owned(), ..short() };
    options.contents_json(r#"{"role": "blue"}"#).expect("an object");
    let (first, second) = (elector(&one, &at, options), elector(&two, &at, short()));
    assert_eq!(leader(&first).await, None);
    let term = campaign(&first).await;
    assert!(term.is_leading() && term.stop().is_none());
    assert!(term.valid_until().expect("leads") > Time::now());
    assert_eq!(first.leadership().map(|leadership| leadership.token()), Some(term.token()));
    let record = leader(&second).await.expect("a record");
    assert_eq!((record.token, record.standing), (Some(term.token()), Standing::Leading));
    let text = String::from_utf8(record.data).expect("text");
    for part in [r#""role":"blue""#, r#""desc":"first""#, r#""hostname":"#, r#""pid":"#, r#""id":"#] {
        assert!(text.contains(part), "{text}");
    }
    // The second in line, on the first clean hand-over of this path.
    let waiting = campaign(&second);
    tokio::pin!(waiting);
    tokio::select! {
        term = &mut waiting => panic!("two lead: {term:?}"),
        () = until_candidates(&first, 2) => {}
    }
    let token = term.token();
    term.end().await.expect("ended");
    assert!(first.leadership().is_none());
    let next = waiting.await;
    assert!(next.token() > token);
    let record = leader(&first).await.expect("a record");
    assert_eq!((record.token, record.standing), (Some(next.token()), Standing::Leading));
    let token = next.token();
    next.end().await.expect("ended");
    // A record that a leader left behind says so.
    let record = leader(&first).await.expect("a record");
    assert_eq!((record.token, record.standing), (Some(token), Standing::Gone));
}

#[tokio::test]
async fn a_clean_hand_over_needs_no_delay() {
    let (one, two) = (client().await, client().await);
    let at = path("clean");
    let (first, second) = (elector(&one, &at, clean()), elector(&two, &at, clean()));
    let mut last = 0;
    for round in 0..20 {
        let (this, that) = if round % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let term = campaign(this).await;
        assert!(term.token() > last);
        last = term.token();
        let next = campaign(that);
        tokio::pin!(next);
        tokio::select! {
            term = &mut next => panic!("two lead: {term:?}"),
            () = until_candidates(this, 2) => {}
        }
        term.end().await.expect("ended");
        let term = next.await;
        assert!(term.token() > last);
        last = term.token();
        term.end().await.expect("ended");
    }
}

#[tokio::test]
async fn a_task_is_run_again_until_it_is_interrupted() {
    let client = client().await;
    let at = path("run");
    let elector = elector(&client, &at, short());
    let mut tokens = Vec::new();
    let error = within(
        "the end of the election",
        elector.run(|term| {
            tokens.push(term.token());
            let round = tokens.len();
            async move {
                assert!(term.is_leading());
                match round {
                    1 | 2 => Outcome::Failed,
                    3 => Outcome::Done,
                    _ => Outcome::Interrupted,
                }
            }
        }),
    )
    .await;
    assert_eq!(error.code(), Code::INTERRUPTED);
    assert_eq!(tokens.len(), 4);
    assert!(tokens.is_sorted(), "{tokens:?}");
    assert!(elector.candidates().await.expect("a list").is_empty());
}

/// The seed elects a task that fails at once again at once.
#[tokio::test]
async fn elector_row_3_a_task_that_fails_at_once_is_elected_again_after_a_pause_that_grows() {
    let client = client().await;
    let options = ElectorOptions {
        min_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        ..short()
    };
    let elector = elector(&client, &path("pause"), options);
    let mut starts = Vec::new();
    within(
        "the end",
        elector.run(|_| {
            starts.push(Time::now());
            let last = starts.len() == 5;
            async move { if last { Outcome::Interrupted } else { Outcome::Failed } }
        }),
    )
    .await;
    // 100, 200, 400, 800 ms, each at least a half.
    for (pair, least) in starts.windows(2).zip([50, 100, 200, 400]) {
        assert!(pair[1].since(pair[0]) >= Duration::from_millis(least), "{starts:?}");
    }
}

#[tokio::test]
async fn an_interrupt_ends_a_campaign_and_a_term_and_is_remembered() {
    let (one, two) = (client().await, client().await);
    let at = path("interrupt");
    let (leads, stands) = (elector(&one, &at, short()), elector(&two, &at, short()));
    // Before anything: remembered once.
    leads.interrupt();
    assert_eq!(code(leads.campaign().await), Code::INTERRUPTED);
    let term = campaign(&leads).await;
    // While it waits.
    {
        let waiting = stands.campaign();
        tokio::pin!(waiting);
        tokio::select! {
            term = &mut waiting => panic!("two lead: {term:?}"),
            () = until_candidates(&leads, 2) => {}
        }
        stands.interrupt();
        assert_eq!(code(waiting.await), Code::INTERRUPTED);
        until_candidates(&leads, 1).await;
    }
    // In its term: the task is told, its end awaited, and it leads until then.
    assert!(term.end().await.is_ok());
    let asked = stands.clone();
    let error = within(
        "the end",
        stands.run(|term| {
            let asked = asked.clone();
            async move {
                asked.interrupt();
                assert_eq!(term.stopped().await, Some(Stop::Interrupted));
                assert!(term.is_leading());
                Outcome::Done
            }
        }),
    )
    .await;
    assert_eq!(error.code(), Code::INTERRUPTED);
    assert!(leads.candidates().await.expect("a list").is_empty());
}

/// The seed's `Close` leaves the task running.
#[tokio::test]
async fn elector_row_3_close_stops_the_task_and_waits_for_its_end() {
    let client = client().await;
    let elector = elector(&client, &path("close"), short());
    let ended = AtomicUsize::new(0);
    let (closer, count) = (elector.clone(), &ended);
    let error = within(
        "the end",
        elector.run(|term| {
            let closer = closer.clone();
            async move {
                closer.close();
                assert_eq!(term.stopped().await, Some(Stop::Closed));
                tokio::time::sleep(Duration::from_millis(50)).await;
                assert!(term.is_leading(), "it was released before its task ended");
                count.fetch_add(1, Ordering::Relaxed);
                Outcome::Failed
            }
        }),
    )
    .await;
    assert_eq!((error.code(), ended.load(Ordering::Relaxed)), (Code::CLOSED, 1));
    assert_eq!(code(elector.campaign().await), Code::CLOSED);
    assert!(elector.candidates().await.expect("a list").is_empty());
}

#[tokio::test]
async fn a_leader_that_resigns_lets_the_next_one_lead_and_stands_again() {
    let (one, two) = (client().await, client().await);
    let at = path("resign");
    let (first, second) = (elector(&one, &at, short()), elector(&two, &at, short()));
    assert!(!first.resign(), "nothing to resign from");
    let mut course = first.course();
    let term = within("the lead", course.next()).await.expect("the lead");
    let waiting = campaign(&second);
    tokio::pin!(waiting);
    tokio::select! {
        term = &mut waiting => panic!("two lead: {term:?}"),
        () = until_candidates(&first, 2) => {}
    }
    assert!(first.resign());
    assert!(!first.resign(), "told once");
    assert_eq!(term.stopped().await, Some(Stop::Resigned));
    assert!(term.is_leading());
    course.ended(term, Outcome::Done).await.expect("it stands again");
    let term = waiting.await;
    let again = course.next();
    tokio::pin!(again);
    tokio::select! {
        term = &mut again => panic!("two lead: {term:?}"),
        () = until_candidates(&first, 2) => {}
    }
    term.end().await.expect("ended");
    assert!(within("the lead", again).await.expect("the lead").is_leading());
}

#[tokio::test]
async fn an_interrupt_behind_a_resignation_is_not_lost() {
    let client = client().await;
    let at = path("resign-interrupt");
    let elector = elector(&client, &at, short());
    let mut course = elector.course();
    let term = within("the lead", course.next()).await.expect("the lead");
    assert!(elector.resign());
    elector.interrupt();
    // The term hears of the interrupt, and may not keep it to itself.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(term.stopped().await, Some(Stop::Resigned));
    course.ended(term, Outcome::Done).await.expect("no end yet");
    assert_eq!(code(within("the end", course.next()).await), Code::INTERRUPTED);
}

/// The seed never sees that its session expired: a deposed leader runs on, and the next one does not
/// wait for its end.
#[tokio::test]
async fn elector_row_2_a_leader_whose_session_ends_is_told_and_the_next_one_waits_for_its_grace() {
    let (one, two) = (client().await, client().await);
    let at = path("deposed");
    let (first, second) = (elector(&one, &at, short()), elector(&two, &at, short()));
    let term = campaign(&first).await;
    let leadership = term.leadership();
    let waiting = campaign(&second);
    tokio::pin!(waiting);
    tokio::select! {
        term = &mut waiting => panic!("two lead: {term:?}"),
        () = until_candidates(&first, 2) => {}
    }
    let ending = Time::now();
    end_session(&one).await;
    let stop = within("the stop", term.stopped()).await;
    assert!(matches!(stop, Some(Stop::Lost(Loss::SessionOver | Loss::NodeDeleted))), "{stop:?}");
    assert!(!leadership.is_leading() && leadership.valid_until().is_none());
    // Its work goes on a little, within its grace.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let ended = Time::now();
    assert_eq!(code(term.end().await), Code::LOCK_LOST);
    let next = waiting.await;
    let began = Time::now();
    assert!(began > ended && next.token() > leadership.token());
    assert!(began.since(ending) >= Duration::from_secs(3), "lease and grace were not waited for");
}

#[tokio::test]
async fn elector_row_2_a_frozen_connection_stops_the_leader_when_its_lease_is_over() {
    let proxy = Proxy::new(server());
    let (one, two) = (client_of(&proxy.address().to_string()).await, client().await);
    let at = path("frozen");
    let (first, second) = (elector(&one, &at, short()), elector(&two, &at, short()));
    let term = campaign(&first).await;
    let waiting = campaign(&second);
    tokio::pin!(waiting);
    tokio::select! {
        term = &mut waiting => panic!("two lead: {term:?}"),
        () = until_candidates(&first, 2) => {}
    }
    let mut overdue = first.overdue();
    proxy.freeze(Direction::ToServer);
    proxy.freeze(Direction::ToClient);
    let promised = term.valid_until().expect("leads");
    let stop = within("the stop", term.stopped()).await.expect("stopped");
    let told = Time::now();
    assert!(matches!(stop, Stop::Lost(_)), "{stop:?}");
    assert!(told + Duration::from_millis(20) >= promised, "told before it had to be");
    // A task that outlives its grace is reported.
    assert_eq!(within("the report", overdue.recv()).await, Some(term.token()));
    let next = waiting.await;
    assert!(next.token() > term.token());
    drop(term);
    proxy.pass();
}

#[tokio::test]
async fn observers_are_told_of_each_leader_and_of_none() {
    let (one, two) = (client().await, client().await);
    let at = path("observe");
    let elector = elector(&one, &at, short());
    let watcher = self::elector(&two, &at, short());
    let mut leaders = watcher.leaders();
    let mut next = async || within("news", leaders.recv()).await.expect("told").expect("an answer");
    assert_eq!(next().await, None);
    for _ in 0..3 {
        let term = campaign(&elector).await;
        let told = next().await.expect("a leader");
        assert_eq!((told.token, told.standing), (Some(term.token()), Standing::Leading));
        let token = term.token();
        term.end().await.expect("ended");
        let told = next().await.expect("a leader");
        assert_eq!((told.token, told.standing), (Some(token), Standing::Gone));
    }
    // It survives the end of its own session.
    end_session(&two).await;
    let term = campaign(&elector).await;
    let told = next().await.expect("a leader");
    assert_eq!((told.token, told.standing), (Some(term.token()), Standing::Leading));
}

#[tokio::test]
async fn a_record_of_another_library_is_of_unknown_standing() {
    let client = client().await;
    let at = path("old");
    let elector = elector(&client, &at, short());
    let zk = client.zk();
    let world = [Acl::world(permissions::ALL)];
    zk.create_parents(&at, &world, OpOptions::default()).await.expect("parents");
    let record = format!("{at}/leader");
    let create = zk.create(&record, b"", &world, CreateMode::Persistent, OpOptions::default());
    create.await.expect("made");
    assert_eq!(leader(&elector).await, None);
    let old = br#"{"hostname":"h","pid":1}"#;
    zk.set(&record, old, -1, OpOptions::default()).await.expect("set");
    let found = leader(&elector).await.expect("a record");
    assert_eq!((found.token, found.standing, &found.data[..]), (None, Standing::Unknown, &old[..]));
    // It is there already when the first of ours leads.
    let term = campaign(&elector).await;
    assert_eq!(leader(&elector).await.and_then(|leader| leader.token), Some(term.token()));
}

/// The seed tries again for ever, and cannot be interrupted.
#[tokio::test]
async fn elector_row_1_an_error_that_does_not_pass_ends_the_election() {
    let (one, two) = (client().await, client().await);
    let at = path("permanent");
    let first = elector(&one, &at, short());
    let term = campaign(&first).await;
    // Another lease and grace than the path's.
    let other = ElectorOptions { lease: Duration::from_secs(3), ..short() };
    let error = within("the refusal", elector(&two, &at, other).campaign()).await.expect_err("refused");
    assert_eq!(error.code(), Code::BAD_ARGUMENT);
    assert!(error.to_string().contains("3000 ms, not 4000 ms"), "{error}");
    term.end().await.expect("ended");
    // A record that may not be written.
    let zk = one.zk();
    let read_only = [Acl::world(permissions::READ)];
    let set = zk.set_acl(&format!("{at}/leader"), &read_only, -1, OpOptions::default());
    set.await.expect("set");
    let error = within("the refusal", first.run(async |_| Outcome::Done)).await;
    assert_eq!(error.code(), Code::NO_AUTH, "{error}");
    assert!(first.candidates().await.expect("a list").is_empty());
    // And values that cannot work, before anything is sent.
    for bad in [
        ElectorOptions { min_backoff: Duration::ZERO, ..short() },
        ElectorOptions { max_backoff: Duration::from_millis(1), ..short() },
        ElectorOptions { lease: Duration::ZERO, ..short() },
        ElectorOptions { grace: Some(Duration::from_micros(1500)), ..short() },
        ElectorOptions { abort_when_overdue: true, grace: None, ..short() },
        ElectorOptions { clock_drift: 2.0, ..short() },
        ElectorOptions { acl: Vec::new(), ..short() },
    ] {
        assert_eq!(code(Elector::new(&one, &at, bad)), Code::BAD_ARGUMENT);
    }
    assert_eq!(code(Elector::new(&one, "no/slash", short())), Code::BAD_PATH);
}

#[tokio::test]
async fn a_future_that_is_dropped_withdraws_the_candidacy_and_a_term_that_is_dropped_ends() {
    let (one, two) = (client().await, client().await);
    let at = path("dropped");
    let (first, second) = (elector(&one, &at, clean()), elector(&two, &at, clean()));
    let term = campaign(&second).await;
    {
        let waiting = first.campaign();
        tokio::pin!(waiting);
        tokio::select! {
            term = &mut waiting => panic!("two lead: {term:?}"),
            () = until_candidates(&second, 2) => {}
        }
    }
    until_candidates(&second, 1).await;
    drop(term);
    until_candidates(&second, 0).await;
    assert!(campaign(&second).await.is_leading());
}
