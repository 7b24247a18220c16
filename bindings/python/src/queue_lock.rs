//! Queue locks.

use crate::convert::{self, AclArgument, acl_of, option, timeout_or_none};
use crate::errors::OrRaise;
use crate::home::AtHome;
use crate::op::{Op, start};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Arc, Mutex, PoisonError};
use zkhelper::{Client, Code, Error, QueueLockOptions, Zk};

/// What was given, in the place of the defaults.
fn queue_lock_options(given: &Bound<'_, PyDict>) -> PyResult<QueueLockOptions> {
    let py = given.py();
    let mut options = QueueLockOptions::default();
    option(given, "acl", |acl: AclArgument| {
        options.acl = acl_of(acl).unwrap_or_default();
        Ok(())
    })?;
    option(given, "prefix", |prefix| {
        options.prefix = prefix;
        Ok(())
    })?;
    option(given, "contents", |text: String| options.contents_json(&text).or_raise(py))?;
    Ok(options)
}

/// A lock whose holder is the lowest name in a queue.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct QueueLock {
    queue: AtHome<zkhelper::QueueLock>,
    zk: AtHome<Arc<dyn Zk>>,
}

impl QueueLock {
    pub(crate) fn new(
        py: Python<'_>,
        client: &Client,
        path: &str,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let queue = zkhelper::QueueLock::new(client, path, queue_lock_options(options)?).or_raise(py)?;
        Ok(Self { queue: AtHome::new(queue), zk: AtHome::new(Arc::clone(client.zk())) })
    }

    fn both(&self, py: Python<'_>) -> PyResult<(&zkhelper::QueueLock, &Arc<dyn Zk>)> {
        Ok((self.queue.get().or_raise(py)?, self.zk.get().or_raise(py)?))
    }
}

#[pymethods]
impl QueueLock {
    /// Waits until a node that is there already is the first.
    #[pyo3(signature = (name, timeout))]
    fn obtain(&self, py: Python<'_>, name: &str, timeout: Option<f64>) -> PyResult<Op> {
        let (queue, zk) = self.both(py)?;
        let obtain = queue.obtain(name, timeout_or_none(py, "timeout", timeout)?);
        Ok(start(zk, obtain, convert::none))
    }

    /// Its value is a `QueueHold`.
    #[pyo3(signature = (timeout, description))]
    fn lock(&self, py: Python<'_>, timeout: Option<f64>, description: &str) -> PyResult<Op> {
        let (queue, zk) = self.both(py)?;
        let obtain = queue.lock(timeout_or_none(py, "timeout", timeout)?, description);
        let over = Arc::clone(zk);
        Ok(start(zk, obtain, move |py, hold| {
            let token = hold.token();
            let hold = AtHome::new(Mutex::new(Some(hold)));
            Ok(Bound::new(py, QueueHold { hold, zk: AtHome::new(over), token })?.into_any())
        }))
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

/// A queue lock that is held. Dropping it releases the lock in the background.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct QueueHold {
    hold: AtHome<Mutex<Option<zkhelper::QueueHold>>>,
    zk: AtHome<Arc<dyn Zk>>,
    token: i64,
}

#[pymethods]
impl QueueHold {
    /// The czxid of its node.
    #[getter]
    fn token(&self) -> i64 {
        self.token
    }

    fn release(&self, py: Python<'_>) -> PyResult<Op> {
        let zk = self.zk.get().or_raise(py)?;
        let hold = self.hold.get().or_raise(py)?.lock().unwrap_or_else(PoisonError::into_inner).take();
        let work = async move {
            match hold {
                Some(hold) => hold.release().await,
                None => Err(Error::new(Code::NOT_HELD).because("it was released before")),
            }
        };
        Ok(start(zk, work, convert::none))
    }
}
