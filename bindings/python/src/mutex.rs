//! The mutex and its holds.

use crate::convert::{self, AclArgument, OpArgument, acl_of, multi_ops, option, seconds, timeout_or_none};
use crate::errors::OrRaise;
use crate::home::AtHome;
use crate::op::{Op, start};
use crate::stream::{Source, Stream};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};
use tokio::sync::watch;
use zkhelper::recipes::mutex::Persistent;
use zkhelper::{Client, Code, Error, Loss, MutexOptions, Strict, Zk};

/// What was given, in the place of the defaults.
fn mutex_options(given: &Bound<'_, PyDict>) -> PyResult<MutexOptions> {
    let py = given.py();
    let mut options = MutexOptions::default();
    option(given, "acl", |acl: AclArgument| {
        options.acl = acl_of(acl).unwrap_or_default();
        Ok(())
    })?;
    option(given, "contents", |text: String| options.contents_json(&text).or_raise(py))?;
    option(given, "extra_lock_patterns", |patterns| {
        options.extra_lock_patterns = patterns;
        Ok(())
    })?;
    option(given, "strict", |(lease, delay)| {
        let (lease, delay) = (seconds(py, "lease", lease)?, seconds(py, "delay", delay)?);
        options.strict = Some(Strict { lease, delay });
        Ok(())
    })?;
    option(given, "persistent", |(lease,)| {
        options.persistent = Some(Persistent { lease: seconds(py, "lease", lease)? });
        Ok(())
    })?;
    option(given, "clock_drift", |value| {
        options.clock_drift = value;
        Ok(())
    })?;
    Ok(options)
}

/// A distributed lock.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct Mutex {
    mutex: AtHome<zkhelper::Mutex>,
    zk: AtHome<Arc<dyn Zk>>,
}

impl Mutex {
    pub(crate) fn new(
        py: Python<'_>,
        client: &Client,
        path: &str,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let mutex = zkhelper::Mutex::new(client, path, mutex_options(options)?).or_raise(py)?;
        Ok(Self { mutex: AtHome::new(mutex), zk: AtHome::new(Arc::clone(client.zk())) })
    }

    fn both(&self, py: Python<'_>) -> PyResult<(&zkhelper::Mutex, &Arc<dyn Zk>)> {
        Ok((self.mutex.get().or_raise(py)?, self.zk.get().or_raise(py)?))
    }
}

#[pymethods]
impl Mutex {
    /// Its value is a `Hold`.
    #[pyo3(signature = (timeout, description))]
    fn lock(&self, py: Python<'_>, timeout: Option<f64>, description: &str) -> PyResult<Op> {
        let (mutex, zk) = self.both(py)?;
        let acquire = mutex.lock(timeout_or_none(py, "timeout", timeout)?, description);
        let over = Arc::clone(zk);
        Ok(start(zk, acquire, move |py, hold| Ok(Bound::new(py, Hold::new(over, hold))?.into_any())))
    }

    fn contenders(&self, py: Python<'_>) -> PyResult<Op> {
        let (mutex, zk) = self.both(py)?;
        let mutex = mutex.clone();
        Ok(start(zk, async move { mutex.contenders().await }, convert::contenders))
    }

    fn reset(&self, py: Python<'_>) -> PyResult<Op> {
        let (mutex, zk) = self.both(py)?;
        let mutex = mutex.clone();
        Ok(start(zk, async move { mutex.reset().await }, convert::none))
    }

    fn revocations(&self, py: Python<'_>) -> PyResult<Stream> {
        let (mutex, zk) = self.both(py)?;
        Ok(Stream::new(zk, Source::Revocations(mutex.revocations())))
    }

    fn request_revocation(&self, py: Python<'_>, name: String, reason: String) -> PyResult<Op> {
        let (mutex, zk) = self.both(py)?;
        let mutex = mutex.clone();
        Ok(start(zk, async move { mutex.request_revocation(&name, &reason).await }, convert::none))
    }

    fn release_dead(&self, py: Python<'_>, name: String) -> PyResult<Op> {
        let (mutex, zk) = self.both(py)?;
        let mutex = mutex.clone();
        Ok(start(zk, async move { mutex.release_dead(&name).await }, convert::none))
    }

    fn release_by_force(&self, py: Python<'_>, name: String, czxid: i64) -> PyResult<Op> {
        let (mutex, zk) = self.both(py)?;
        let mutex = mutex.clone();
        Ok(start(zk, async move { mutex.release_by_force(&name, czxid).await }, convert::none))
    }

    fn interrupt(&self, py: Python<'_>) -> PyResult<()> {
        self.both(py)?.0.interrupt();
        Ok(())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.both(py)?.0.close();
        Ok(())
    }
}

/// A lock that is held. Dropping it releases the lock in the background.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct Hold {
    hold: AtHome<std::sync::Mutex<Option<zkhelper::Hold>>>,
    zk: AtHome<Arc<dyn Zk>>,
    token: i64,
    /// Why it had been lost when it was released, if it had.
    lost_before: OnceLock<Option<Loss>>,
    /// Becomes true with the release, for those who wait for a loss.
    over: watch::Sender<bool>,
}

impl Hold {
    fn new(zk: Arc<dyn Zk>, hold: zkhelper::Hold) -> Self {
        Self {
            token: hold.token(),
            lost_before: OnceLock::new(),
            hold: AtHome::new(std::sync::Mutex::new(Some(hold))),
            zk: AtHome::new(zk),
            over: watch::Sender::new(false),
        }
    }

    fn hold(&self) -> zkhelper::Result<MutexGuard<'_, Option<zkhelper::Hold>>> {
        Ok(self.hold.get()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn not_held() -> Error {
    Error::new(Code::NOT_HELD).because("it was released before").during("unlock", None)
}

#[pymethods]
impl Hold {
    /// The fencing token.
    #[getter]
    fn token(&self) -> i64 {
        self.token
    }

    /// How many seconds it is still certain to be held; 0 if it is not.
    fn valid_for(&self) -> f64 {
        let (Ok(hold), Ok(zk)) = (self.hold(), self.zk.get()) else { return 0.0 };
        let until = hold.as_ref().and_then(zkhelper::Hold::valid_until);
        until.map_or(0.0, |until| until.since(zk.now()).as_secs_f64())
    }

    fn is_held(&self) -> bool {
        self.hold().is_ok_and(|hold| hold.as_ref().is_some_and(zkhelper::Hold::is_held))
    }

    /// Why it was lost, as a number; `None` if it was not.
    fn loss(&self) -> Option<i32> {
        let loss = match self.hold().ok()?.as_ref() {
            Some(hold) => hold.loss(),
            None => self.lost_before.get().copied().flatten(),
        };
        loss.map(|loss| loss as i32)
    }

    /// Its value is the reason of the loss, or `None` if it was released, or not lost within the time.
    #[pyo3(signature = (timeout=None))]
    fn lost(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Op> {
        let zk = self.zk.get().or_raise(py)?;
        let timeout = timeout_or_none(py, "timeout", timeout)?;
        let limit = timeout.map(|timeout| zk.sleep_until(zk.now() + timeout));
        let lost = self.hold().or_raise(py)?.as_ref().map(zkhelper::Hold::lost);
        let mut over = self.over.subscribe();
        let work = async move {
            let Some(lost) = lost else { return Ok(None) };
            tokio::select! {
                biased;
                loss = lost => Ok(Some(loss)),
                _ = over.wait_for(|over| *over) => Ok(None),
                () = async { match limit {
                    Some(limit) => limit.await,
                    None => std::future::pending().await,
                } } => Ok(None),
            }
        };
        Ok(start(zk, work, |py, loss: Option<Loss>| convert::plain(py, loss.map(|loss| loss as i32))))
    }

    fn release(&self, py: Python<'_>) -> PyResult<Op> {
        let zk = self.zk.get().or_raise(py)?;
        let hold = self.hold().or_raise(py)?.take();
        if let Some(hold) = &hold {
            let _ = self.lost_before.set(hold.loss());
        }
        self.over.send_replace(true);
        let work = async move {
            match hold {
                Some(hold) => hold.release().await,
                None => Err(not_held()),
            }
        };
        Ok(start(zk, work, convert::none))
    }

    /// Changes that are committed only while it is held.
    fn guarded(&self, py: Python<'_>, ops: Vec<OpArgument>) -> PyResult<Op> {
        let ops = multi_ops(py, ops)?;
        let zk = self.zk.get().or_raise(py)?;
        let work = match self.hold().or_raise(py)?.as_ref() {
            Some(hold) => hold.guarded(ops),
            None => return Err(not_held()).or_raise(py),
        };
        Ok(start(zk, work, convert::results))
    }
}
