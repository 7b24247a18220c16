//! The embedded server and its faults.

use crate::convert::{self, seconds};
use crate::errors::{OrRaise, refuse};
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zkhelper::embedded::{self, Moment, Operation};
use zkhelper::{Code, Error};

/// An in-memory ZooKeeper server, for development and tests.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct Server {
    server: Mutex<Option<embedded::Server>>,
    port: u16,
    process: u32,
}

fn operation(py: Python<'_>, name: &str) -> PyResult<Operation> {
    Ok(match name {
        "any" => Operation::Any,
        "connect" => Operation::Connect,
        "create" => Operation::Create,
        "delete" => Operation::Delete,
        "set" => Operation::SetData,
        "set_acl" => Operation::SetAcl,
        "multi" => Operation::Multi,
        "exists" => Operation::Exists,
        "get" => Operation::GetData,
        "children" => Operation::GetChildren,
        "sync" => Operation::Sync,
        "ping" => Operation::Ping,
        "set_watches" => Operation::SetWatches,
        "close_session" => Operation::CloseSession,
        "other_read" => Operation::OtherRead,
        other => return Err(refuse(py, format!("there is no operation {other:?}"))),
    })
}

impl Server {
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Option<embedded::Server>>> {
        if self.process != std::process::id() {
            let forked = Error::new(Code::FORKED).because("the server runs in the parent process");
            return Err(forked).or_raise(py);
        }
        Ok(self.server.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with<R>(&self, py: Python<'_>, work: impl FnOnce(&embedded::Server) -> R) -> PyResult<R> {
        let stopped = || Error::new(Code::CLOSED).because("the server was stopped");
        self.lock(py)?.as_ref().map(work).ok_or_else(stopped).or_raise(py)
    }
}

#[pymethods]
impl Server {
    #[new]
    fn new(py: Python<'_>, port: u16, tick: f64) -> PyResult<Self> {
        let tick = seconds(py, "tick", tick)?;
        let server = py.detach(|| embedded::Server::start_with_tick(port, tick)).or_raise(py)?;
        let port = server.port();
        Ok(Self { server: Mutex::new(Some(server)), port, process: std::process::id() })
    }

    #[getter]
    fn port(&self) -> u16 {
        self.port
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let server = self.lock(py)?.take();
        py.detach(|| drop(server));
        Ok(())
    }

    fn cut(&self, py: Python<'_>, kind: &str, n: u32, after_applying: bool) -> PyResult<()> {
        let kind = operation(py, kind)?;
        let moment = if after_applying { Moment::AfterApplying } else { Moment::BeforeApplying };
        self.with(py, |server| server.cut(kind, n, moment))
    }

    fn cuts_left(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |server| server.cuts_left())
    }

    fn clear_cuts(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |server| server.clear_cuts())
    }

    fn disconnect_all(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |server| server.disconnect_all())
    }

    fn freeze(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |server| server.freeze())
    }

    fn thaw(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |server| server.thaw())
    }

    fn isolate(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |server| server.isolate())
    }

    fn rejoin(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |server| server.rejoin())
    }

    fn set_delay(&self, py: Python<'_>, delay: f64) -> PyResult<()> {
        let delay = seconds(py, "delay", delay)?;
        self.with(py, |server| server.set_delay(delay))
    }

    fn sessions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let sessions = self.with(py, |server| server.sessions())?;
        convert::sessions(py, sessions)
    }

    fn expire(&self, py: Python<'_>, session: i64) -> PyResult<()> {
        self.with(py, |server| server.expire(session))?.or_raise(py)
    }

    fn set_sequence(&self, py: Python<'_>, path: &str, next: i32) -> PyResult<()> {
        self.with(py, |server| server.set_sequence(path, next))?.or_raise(py)
    }

    fn set_container_interval(&self, py: Python<'_>, interval: f64) -> PyResult<()> {
        let interval = seconds(py, "interval", interval)?;
        self.with(py, |server| server.set_container_interval(interval))
    }

    fn check_containers(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |server| server.check_containers())
    }
}
