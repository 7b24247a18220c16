//! A client of the nemesis in Rust: takes the lock again and again, counts under it, and leads in turn.

use crate::cast::{Place, now};
use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io::{Read, Write};
use std::time::Duration;
use tokio::sync::watch;
use zkhelper::proto::MultiOp;
use zkhelper::zk::OpOptions;
use zkhelper::{
    Client, Code, Elector, ElectorOptions, Error, Hold, Leadership, Mutex, MutexOptions, Options, Outcome,
    Strict, Time,
};

/// How often a holder looks.
const GRAIN: Duration = Duration::from_millis(2);
/// The clock of the watchdog, and what counts as a time in which the process did not run.
const TICK: Duration = Duration::from_millis(50);
const GAP: Duration = Duration::from_millis(250);
/// How long a task goes on after it was told to stop.
const TIDYING: Duration = Duration::from_millis(300);
/// A close that takes longer than this is not waited for.
const CLOSE: Duration = Duration::from_secs(30);

fn say(at: i128, words: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "@ {at} {words}").and_then(|()| out.flush());
}

fn nanos(time: Time) -> i128 {
    i128::try_from(time.since_origin().as_nanos()).unwrap_or(i128::MAX)
}

fn bad(error: &Error) {
    say(now(), format_args!("bad {error}"));
}

pub(crate) fn work(place: &Place) {
    let (stop, stopped) = watch::channel(false);
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        stop.send_replace(true);
    });
    std::thread::spawn(|| {
        let mut last = now();
        loop {
            std::thread::sleep(TICK);
            let from = std::mem::replace(&mut last, now());
            if last - from > i128::try_from(GAP.as_nanos()).unwrap_or(0) {
                say(last, format_args!("gap {from}"));
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let options = Options { session_timeout: place.timeout, ..Options::default() };
        let client = Client::new(&place.servers, options).expect("a client");
        tokio::join!(lock_again_and_again(&client, place, stopped.clone()), stand(&client, place, stopped));
        let _ = client.close(CLOSE).await;
    });
    say(now(), "over");
}

async fn lock_again_and_again(client: &Client, place: &Place, mut stop: watch::Receiver<bool>) {
    let strict = Strict { lease: place.timeout, delay: place.timeout };
    let options = MutexOptions { strict: Some(strict), ..MutexOptions::default() };
    let mutex = Mutex::new(client, &place.lock, options).expect("a mutex");
    let mut dice = fastrand::Rng::new();
    while !*stop.borrow() {
        let asked = now();
        let patience = (dice.u8(..10) == 0).then(|| Duration::from_millis(dice.u64(1..500)));
        let whim = Duration::from_millis(if dice.u8(..20) == 0 { dice.u64(..300) } else { u64::MAX / 2 });
        let mut acquire = mutex.lock(patience, "nemesis");
        let outcome = tokio::select! {
            outcome = &mut acquire => outcome,
            () = tokio::time::sleep(whim) => acquire.cancel().await,
            _ = stop.wait_for(|stop| *stop) => acquire.cancel().await,
        };
        match outcome {
            Ok(hold) => work_under(client, place, &mutex, hold, asked, &mut dice).await,
            Err(error) if [Code::TIMEOUT, Code::CANCELLED].contains(&error.code()) => {
                say(now(), format_args!("gave-up {asked} {}", error.code().name()));
            }
            Err(error) => {
                bad(&error);
                tokio::time::sleep(TICK).await;
            }
        }
        tokio::time::sleep(Duration::from_micros(dice.u64(..10_000))).await;
    }
}

/// One hold: counts, looks until when it may trust in the lock, and gives it back.
async fn work_under(
    client: &Client,
    place: &Place,
    mutex: &Mutex,
    hold: Hold,
    asked: i128,
    dice: &mut fastrand::Rng,
) {
    let (token, granted) = (hold.token(), now());
    let mut losses = mutex.losses();
    let promised = Cell::new(hold.valid_until().map_or(granted, nanos));
    say(granted, format_args!("granted {token} {asked} {}", promised.get()));
    // Most are short; some are long enough for a fault to come in between.
    let time = if dice.u8(..50) == 0 { dice.u64(500..4_000) } else { dice.u64(..6) };
    if time >= 500 {
        say(now(), format_args!("stays {token}"));
    }
    let value = RefCell::new(None);
    let work = async {
        let end = tokio::time::Instant::now() + Duration::from_millis(time);
        loop {
            let read = client.zk().get(&place.counter, OpOptions::default()).await;
            if let Ok((data, _)) = &read
                && hold.is_held()
            {
                let read: i64 = String::from_utf8_lossy(data).parse().expect("a number");
                say(now(), format_args!("read {token} {read}"));
                value.replace(Some(read + 1));
                count(place, &hold, read + 1).await;
            }
            tokio::time::sleep((end - tokio::time::Instant::now()).min(TICK)).await;
            if tokio::time::Instant::now() >= end {
                break;
            }
        }
    };
    let look = async {
        while let Some(until) = hold.valid_until().map(nanos) {
            if until > promised.get() {
                promised.set(until);
                say(now(), format_args!("until {token} {until}"));
            }
            tokio::time::sleep(GRAIN).await;
        }
    };
    let lost = tokio::select! {
        biased;
        lost = losses.recv() => lost,
        () = look => losses.recv().await,
        () = work => None,
    };
    if let Some(lost) = lost {
        say(now(), format_args!("ended {token} {:?}", lost.reason));
        // Whoever lost the lock must not get a write through.
        let last = *value.borrow();
        if let Some(value) = last {
            count(place, &hold, value).await;
        }
        return;
    }
    let given = now();
    match hold.release().await {
        Err(error) if error.code() == Code::LOCK_LOST => say(given, format_args!("ended {token} LockLost")),
        Err(error) if error.code() != Code::OUTCOME_UNKNOWN => bad(&error),
        _ => say(given, format_args!("ended {token} released")),
    }
}

/// Writes the counter under the lock.
async fn count(place: &Place, hold: &Hold, value: i64) {
    let token = hold.token();
    say(now(), format_args!("write {token} {value}"));
    let (path, data) = (place.counter.clone(), value.to_string().into_bytes());
    match hold.guarded(vec![MultiOp::SetData { path, data, version: -1 }]).await {
        Ok(_) => say(now(), format_args!("wrote {token} {value}")),
        Err(error) if [Code::LOCK_LOST, Code::NOT_HELD, Code::NOT_SENT].contains(&error.code()) => {
            say(now(), format_args!("refused {token} {value}"));
        }
        // The write may have been applied.
        Err(_) => {}
    }
}

pub(crate) fn elector(client: &Client, place: &Place) -> Elector {
    let options = ElectorOptions {
        lease: place.timeout,
        grace: Some(place.grace),
        min_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(1),
        ..ElectorOptions::default()
    };
    Elector::new(client, &place.election, options).expect("an elector")
}

async fn stand(client: &Client, place: &Place, mut stop: watch::Receiver<bool>) {
    let elector = elector(client, place);
    let ending = stop.clone();
    let running = elector.run(|term| lead(elector.clone(), term, ending.clone()));
    tokio::pin!(running);
    let error = tokio::select! {
        error = &mut running => error,
        _ = stop.wait_for(|stop| *stop) => {
            elector.interrupt();
            running.await
        }
    };
    if error.code() != Code::INTERRUPTED {
        bad(&error);
    }
}

/// The task of one term.
async fn lead(elector: Elector, term: Leadership, stop: watch::Receiver<bool>) -> Outcome {
    let (token, began) = (term.token(), now());
    let mut promised = term.valid_until().map_or(began, nanos);
    say(began, format_args!("leads {token} {promised}"));
    let length = if fastrand::u8(..10) == 0 { fastrand::u64(500..4_000) } else { fastrand::u64(1..60) };
    let end = began + i128::from(length) * 1_000_000;
    let mut record = Box::pin(elector.leader());
    let (mut stopped, mut looked) = (Box::pin(term.stopped()), false);
    let why = loop {
        if let Some(until) = term.valid_until().map(nanos).filter(|until| *until > promised) {
            promised = until;
            say(now(), format_args!("leads-until {token} {until}"));
        }
        if (now() >= end || *stop.borrow()) && term.is_leading() {
            break "done".to_owned();
        }
        tokio::select! {
            biased;
            stop = &mut stopped => {
                tokio::time::sleep(TIDYING).await;
                break format!("{stop:?}").replace(' ', "");
            }
            found = &mut record, if !looked => {
                looked = true;
                if let Ok(Some(found)) = found.map(|leader| leader.and_then(|leader| leader.token))
                    && term.is_leading()
                {
                    say(now(), format_args!("record {token} {found}"));
                }
            }
            () = tokio::time::sleep(GRAIN) => {}
        }
    };
    say(now(), format_args!("resigned {token} {why}"));
    Outcome::Done
}
