//! What keeps a lock, and what becomes of one that was not kept.

use crate::ground::{LIMIT, alone, block_on};
use crate::support::proxy::{Direction, Proxy};
use crate::support::unique;
use crate::support::zookeeper::shared_single;
use std::sync::{Mutex as Locked, PoisonError, mpsc};
use std::time::Duration;
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Hold, Mutex, MutexOptions, Options, Strict, Time};

const TIMEOUT: Duration = Duration::from_secs(6);

async fn client(proxy: &Proxy) -> Client {
    let options = Options { session_timeout: TIMEOUT, ..Options::default() };
    Client::connect(&proxy.address().to_string(), options).await.expect("a connection")
}

#[test]
fn holds_outlive_reconnects_within_their_lease() {
    let _alone = alone();
    block_on(async {
        let proxy = Proxy::new(shared_single().address(0));
        let client = client(&proxy).await;
        let base = format!("/zk/{}", unique("reconnect"));
        let mut holds = Vec::new();
        let strict = Some(Strict { lease: TIMEOUT, delay: TIMEOUT });
        for (mode, strict) in [("default", None), ("strict", strict)] {
            let options = MutexOptions { strict, ..MutexOptions::default() };
            let mutex = Mutex::new(&client, &format!("{base}/{mode}"), options).expect("a mutex");
            holds.push(mutex.lock(Some(LIMIT), "test").await.expect("the lock"));
        }
        for cut in 1..=5 {
            let connections = proxy.connections();
            let promised: Vec<_> = holds.iter().map(Hold::valid_until).collect();
            proxy.cut_now();
            // Each is renewed on a later connection.
            let deadline = Time::now() + LIMIT;
            for (hold, promised) in holds.iter().zip(promised) {
                while proxy.connections() == connections || hold.valid_until() <= promised {
                    assert!(hold.is_held(), "lost at cut {cut}");
                    assert!(Time::now() < deadline, "not renewed after cut {cut}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
        for hold in holds {
            hold.release().await.expect("released");
        }
        client.close(LIMIT).await.expect("closed");
    });
}

/// Stops whoever logs that a lock was lost, until it is told to go on.
struct Doorman {
    path: String,
    seen: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

static DOORMAN: Locked<Option<Doorman>> = Locked::new(None);

struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string();
        let mut doorman = DOORMAN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(doorman) = doorman.take_if(|it| text.contains(&it.path) && text.contains("is lost")) {
            let _ = doorman.seen.send(());
            let _ = doorman.go_on.recv();
        }
    }

    fn flush(&self) {}
}

/// The keeper finds a lease run out, and before it does anything about it the holder has found the
/// same and dropped its handle.
#[test]
fn the_node_of_a_lost_lock_is_removed_also_if_its_handle_is_dropped_at_that_moment() {
    let _alone = alone();
    log::set_logger(&Log).expect("the first logger");
    log::set_max_level(log::LevelFilter::Warn);
    block_on(async {
        let proxy = Proxy::new(shared_single().address(0));
        let client = client(&proxy).await;
        let session = client.session().id;
        let at = format!("/zk/{}", unique("dropped"));
        let mutex = Mutex::new(&client, &at, MutexOptions::default()).expect("a mutex");
        let hold = mutex.lock(Some(LIMIT), "test").await.expect("the lock");
        let (seen, noticed) = mpsc::channel();
        let (go, go_on) = mpsc::channel();
        let doorman = Doorman { path: at.clone(), seen, go_on };
        *DOORMAN.lock().unwrap_or_else(PoisonError::into_inner) = Some(doorman);
        // Only answers: the session lives on.
        proxy.freeze(Direction::ToClient);
        noticed.recv_timeout(LIMIT).expect("the loss");
        let error = hold.release().await.expect_err("it is lost");
        assert_eq!(error.code(), Code::LOCK_LOST);
        drop(mutex);
        proxy.pass();
        go.send(()).expect("it waits");
        client.wait_connected(LIMIT).await.expect("a connection");
        loop {
            let (list, watch) = client.zk().children_watch(&at, OpOptions::default());
            let names = list.await.expect("a list").0;
            if names.is_empty() {
                break;
            }
            assert_eq!(client.session().id, session, "the session was to live on");
            let changed = tokio::time::timeout(LIMIT, watch).await;
            assert!(changed.is_ok(), "these stay while the session lives: {names:?}");
        }
        client.close(LIMIT).await.expect("closed");
    });
}
