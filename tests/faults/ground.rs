//! The ensembles that the faults are done to, one test at a time.

use crate::support::eventually;
use crate::support::zookeeper::{Ensemble, Flavor, START_LIMIT};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Options};

/// Ends a test that hangs; no working test comes near it.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);
/// How long servers may make no session once a fault is over.
const PATIENCE: Duration = Duration::from_secs(60);
/// The session timeout of those who contend, and in strict mode their lease and the path's delay.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);

/// How often each schedule is run.
pub(crate) fn rounds() -> usize {
    if proving() { 20 } else { 2 }
}

pub(crate) fn proving() -> bool {
    std::env::var_os("ZKHELPER_PROVE").is_some()
}

/// How long the servers take to notice that they do not hear each other.
#[derive(Clone, Copy)]
pub(crate) enum Servers {
    /// 2.5 s, which is less than a session timeout: a frozen leader is deposed within it.
    Alert,
    /// 6 s: as with ZooKeeper's default settings, a follower goes on for longer than a session timeout.
    Patient,
}

/// An ensemble of three, whole again after whatever the last test did to it.
pub(crate) struct Ground {
    pub(crate) ensemble: &'static Ensemble,
    _alone: MutexGuard<'static, ()>,
}

impl Ground {
    #[track_caller]
    pub(crate) fn of(servers: Servers) -> Self {
        static ALERT: OnceLock<Ensemble> = OnceLock::new();
        static PATIENT: OnceLock<Ensemble> = OnceLock::new();
        let alone = alone();
        let (ensemble, sync_limit) = match servers {
            Servers::Alert => (&ALERT, "5"),
            Servers::Patient => (&PATIENT, "12"),
        };
        let ensemble = ensemble.get_or_init(|| {
            let build = Ensemble::build(Flavor::Debian).isolable().servers(3);
            build.property("syncLimit", sync_limit).start()
        });
        let ground = Self { ensemble, _alone: alone };
        ground.mend();
        ground
    }

    /// Ends every fault, and waits until all servers serve.
    #[track_caller]
    pub(crate) fn mend(&self) {
        for i in 0..self.ensemble.servers() {
            self.ensemble.thaw(i);
            self.ensemble.heal(i);
        }
        self.ensemble.wait_quorum();
        self.ensemble.wait_all_up();
    }

    /// Waits until new sessions are made again. An ensemble that stood still as a whole has been seen to elect a leader, to
    /// answer words, and to make no session for minutes: then the servers are started anew, which is a fault like any other.
    #[track_caller]
    pub(crate) fn revive(&self) {
        let start = Instant::now();
        let ensemble = self.ensemble;
        while !(0..ensemble.servers()).any(|i| ensemble.makes_sessions(i)) {
            if start.elapsed() > PATIENCE {
                println!("the servers make no session for {PATIENCE:?}: they are started anew");
                (0..ensemble.servers()).for_each(|i| ensemble.kill(i));
                (0..ensemble.servers()).for_each(|i| ensemble.start(i));
                ensemble.wait_quorum();
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The addresses of all servers but one.
    pub(crate) fn without(&self, server: usize) -> String {
        let others = (0..self.ensemble.servers()).filter(|i| *i != server);
        others.map(|i| self.ensemble.address(i).to_string()).collect::<Vec<_>>().join(",")
    }

    /// Waits until nobody contends for any of these paths.
    #[track_caller]
    pub(crate) fn wait_empty(&self, paths: &[String]) {
        block_on(async {
            let client =
                Client::connect(&self.ensemble.connect_string(), Options::default()).await.expect("a client");
            for path in paths {
                loop {
                    client.zk().sync(path, OpOptions::default()).await.expect("synced");
                    let (list, watch) = client.zk().children_watch(path, OpOptions::default());
                    match list.await {
                        Ok((names, _)) if names.is_empty() => break,
                        Ok((names, _)) => {
                            let changed = tokio::time::timeout(LIMIT, watch).await;
                            assert!(changed.is_ok(), "these stay below {path}: {names:?}");
                        }
                        Err(error) if error.code() == Code::NO_NODE => break,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            client.close(LIMIT).await.expect("closed");
        });
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for i in 0..self.ensemble.servers() {
            self.ensemble.thaw(i);
            self.ensemble.heal(i);
        }
    }
}

/// Only one test of this program at a time: they disturb each other's servers and count their requests.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(work)
}

/// The follower that has the connection of this session; waits for one.
#[track_caller]
pub(crate) fn server_of(ensemble: &Ensemble, session: i64) -> usize {
    eventually(START_LIMIT, "the session's server", || ensemble.server_of_session(session))
}
