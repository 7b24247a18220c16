//! Elections: scenarios 68 to 76.

use super::address;
use crate::ground::*;

async fn begin() -> (Client, Client, String) {
    let (a, b) = (connect(&address()).await, connect(&address()).await);
    let at = home(&a).await + "/election";
    (a, b, at)
}

/// With a lease that nobody waits for, unless it says otherwise.
fn elector(client: &Client, path: &str, lease: Duration) -> Elector {
    let options = ElectorOptions {
        lease,
        grace: Some(Duration::from_millis(200)),
        min_backoff: Duration::from_millis(5),
        max_backoff: Duration::from_millis(20),
        ..ElectorOptions::default()
    };
    Elector::new(client, path, options).expect("an elector")
}

async fn campaign(elector: &Elector) -> Term {
    within(elector.campaign()).await.expect("the lead")
}

async fn candidates(elector: &Elector, count: usize) {
    while elector.candidates().await.expect("a list").len() != count {}
}

/// Waits for a candidacy that is not to be granted before there are two.
async fn stands<T: std::fmt::Debug>(campaign: impl Future<Output = T>, other: &Elector) {
    tokio::select! {
        term = campaign => panic!("two lead: {term:?}"),
        () = candidates(other, 2) => {}
    }
}

#[tokio::test]
async fn s68_leader_record_says_who() {
    let (a, b, at) = begin().await;
    let (one, two) = (elector(&a, &at, MINUTE), elector(&b, &at, MINUTE));
    let term = campaign(&one).await;
    let record = two.leader().await.expect("an answer").expect("a record");
    assert_eq!((record.token, record.standing), (Some(term.token()), Standing::Leading));
    let token = term.token();
    term.end().await.expect("ended");
    let record = two.leader().await.expect("an answer").expect("a record");
    assert_eq!((record.token, record.standing), (Some(token), Standing::Gone));
}

#[tokio::test]
async fn s69_one_leads_and_tokens_grow() {
    let (a, b, at) = begin().await;
    let (one, two) = (elector(&a, &at, MINUTE), elector(&b, &at, MINUTE));
    let began = Time::now();
    let term = campaign(&one).await;
    let mut waiting = Box::pin(campaign(&two));
    stands(&mut waiting, &one).await;
    one.interrupt();
    assert_eq!(within(term.stopped()).await, Some(Stop::Interrupted));
    let token = term.token();
    term.end().await.expect("ended");
    assert!(waiting.await.token() > token && Time::now().since(began) < MINUTE);
}

#[tokio::test]
async fn s70_failed_task_is_elected_again() {
    let (a, _, at) = begin().await;
    let one = elector(&a, &at, MINUTE);
    let mut tokens = Vec::new();
    let over = one.run(|term| {
        tokens.push(term.token());
        let outcome = [Outcome::Failed, Outcome::Done, Outcome::Interrupted][tokens.len() - 1];
        async move { outcome }
    });
    assert_eq!(within(over).await.code(), Code::INTERRUPTED);
    assert!(tokens.len() == 3 && tokens.is_sorted(), "{tokens:?}");
}

#[tokio::test]
async fn s71_interrupt_stops_the_task() {
    let (a, _, at) = begin().await;
    let one = elector(&a, &at, MINUTE);
    let over = one.run(|term| {
        one.interrupt();
        async move {
            assert_eq!(term.stopped().await, Some(Stop::Interrupted));
            assert!(term.is_leading());
            Outcome::Done
        }
    });
    assert_eq!(within(over).await.code(), Code::INTERRUPTED);
    candidates(&one, 0).await;
}

#[tokio::test]
async fn s72_resigned_leader_stands_again() {
    let (a, b, at) = begin().await;
    let (one, two) = (elector(&a, &at, MINUTE), elector(&b, &at, MINUTE));
    let mut course = one.course();
    let term = within(course.next()).await.expect("the lead");
    let mut waiting = Box::pin(campaign(&two));
    stands(&mut waiting, &one).await;
    assert!(one.resign());
    assert_eq!(within(term.stopped()).await, Some(Stop::Resigned));
    let token = term.token();
    course.ended(term, Outcome::Done).await.expect("it stands again");
    let next = waiting.await;
    assert!(next.token() > token);
    let again = within(course.next());
    stands(again, &two).await;
}

#[tokio::test]
async fn s73_close_stops_the_task() {
    let (a, b, at) = begin().await;
    let one = elector(&a, &at, MINUTE);
    let over = one.run(|term| {
        one.close();
        async move {
            assert_eq!(term.stopped().await, Some(Stop::Closed));
            assert!(term.is_leading());
            Outcome::Done
        }
    });
    assert_eq!(within(over).await.code(), Code::CLOSED);
    candidates(&elector(&b, &at, MINUTE), 0).await;
}

#[tokio::test]
async fn s74_ended_session_deposes() {
    let (a, b, at) = begin().await;
    let lease = Duration::from_secs(1);
    let (one, two) = (elector(&a, &at, lease), elector(&b, &at, lease));
    let term = campaign(&one).await;
    let mut waiting = Box::pin(campaign(&two));
    stands(&mut waiting, &one).await;
    let ending = Time::now();
    end_session(&a, &address()).await;
    let stop = within(term.stopped()).await;
    // Where it takes a second to hear of the end, the lease runs out before.
    assert!(
        matches!(stop, Some(Stop::Lost(Loss::SessionOver | Loss::NodeDeleted | Loss::LeaseRanOut))),
        "{stop:?}"
    );
    let token = term.token();
    assert_eq!(code(term.end().await), Code::LOCK_LOST);
    assert!(waiting.await.token() > token);
    assert!(Time::now().since(ending) >= lease + Duration::from_millis(200));
}

#[tokio::test]
async fn s75_observers_are_told() {
    let (a, b, at) = begin().await;
    let mut leaders = elector(&b, &at, MINUTE).leaders();
    let mut next = async || within(leaders.recv()).await.expect("told").expect("an answer");
    assert_eq!(next().await, None);
    let term = campaign(&elector(&a, &at, MINUTE)).await;
    let token = Some(term.token());
    let mut told = next().await.expect("a record");
    assert_eq!((told.token, told.standing), (token, Standing::Leading));
    term.end().await.expect("ended");
    while told.standing != Standing::Gone {
        told = next().await.expect("a record");
    }
    assert_eq!(told.token, token);
}

#[tokio::test]
async fn s76_another_lease_is_refused() {
    let (a, b, at) = begin().await;
    let term = campaign(&elector(&a, &at, MINUTE)).await;
    let other = elector(&b, &at, Duration::from_secs(50));
    assert_eq!(within(other.run(async |_| Outcome::Done)).await.code(), Code::BAD_ARGUMENT);
    assert!(term.is_leading());
}
