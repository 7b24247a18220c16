//! Elections.

use crate::convert::{self, AclArgument, acl_of, option, seconds, timeout_or_none};
use crate::errors::{OrRaise, refuse};
use crate::home::AtHome;
use crate::op::{Op, start};
use crate::stream::{Source, Stream};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zkhelper::{Client, Code, ElectorOptions, Error, Leadership, Outcome, Stop, Zk};

/// What was given, in the place of the defaults.
fn elector_options(given: &Bound<'_, PyDict>) -> PyResult<ElectorOptions> {
    let py = given.py();
    let mut options = ElectorOptions::default();
    for (name, place) in [
        ("lease", &mut options.lease),
        ("min_backoff", &mut options.min_backoff),
        ("max_backoff", &mut options.max_backoff),
    ] {
        option(given, name, |value| {
            *place = seconds(py, name, value)?;
            Ok(())
        })?;
    }
    option(given, "grace", |value| {
        options.grace = timeout_or_none(py, "grace", Some(value))?;
        Ok(())
    })?;
    option(given, "acl", |acl: AclArgument| {
        options.acl = acl_of(acl).unwrap_or_default();
        Ok(())
    })?;
    option(given, "contents", |text: String| options.contents_json(&text).or_raise(py))?;
    option(given, "description", |text| {
        options.description = text;
        Ok(())
    })?;
    option(given, "extra_lock_patterns", |patterns| {
        options.extra_lock_patterns = patterns;
        Ok(())
    })?;
    option(given, "abort_when_overdue", |value| {
        options.abort_when_overdue = value;
        Ok(())
    })?;
    option(given, "clock_drift", |value| {
        options.clock_drift = value;
        Ok(())
    })?;
    Ok(options)
}

/// A part in an election.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct Elector {
    elector: AtHome<zkhelper::Elector>,
    zk: AtHome<Arc<dyn Zk>>,
}

impl Elector {
    pub(crate) fn new(
        py: Python<'_>,
        client: &Client,
        path: &str,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let elector = zkhelper::Elector::new(client, path, elector_options(options)?).or_raise(py)?;
        Ok(Self { elector: AtHome::new(elector), zk: AtHome::new(Arc::clone(client.zk())) })
    }

    fn both(&self, py: Python<'_>) -> PyResult<(&zkhelper::Elector, &Arc<dyn Zk>)> {
        Ok((self.elector.get().or_raise(py)?, self.zk.get().or_raise(py)?))
    }
}

fn show_term(
    zk: Arc<dyn Zk>,
) -> impl for<'py> FnOnce(Python<'py>, zkhelper::Term) -> PyResult<Bound<'py, PyAny>> {
    move |py, term| Ok(Bound::new(py, Term::new(zk, term))?.into_any())
}

#[pymethods]
impl Elector {
    /// Its value is a `Term`.
    fn campaign(&self, py: Python<'_>) -> PyResult<Op> {
        let (elector, zk) = self.both(py)?;
        let elector = elector.clone();
        Ok(start(zk, async move { elector.campaign().await }, show_term(Arc::clone(zk))))
    }

    fn course(&self, py: Python<'_>) -> PyResult<Course> {
        let (elector, zk) = self.both(py)?;
        let course = Arc::new(tokio::sync::Mutex::new(elector.course()));
        Ok(Course { course: AtHome::new(course), zk: AtHome::new(Arc::clone(zk)) })
    }

    fn interrupt(&self, py: Python<'_>) -> PyResult<()> {
        self.both(py)?.0.interrupt();
        Ok(())
    }

    fn resign(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.both(py)?.0.resign())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.both(py)?.0.close();
        Ok(())
    }

    fn is_leading(&self) -> bool {
        let leadership = self.elector.get().ok().and_then(zkhelper::Elector::leadership);
        leadership.is_some_and(|leadership| leadership.is_leading())
    }

    fn leader(&self, py: Python<'_>) -> PyResult<Op> {
        let (elector, zk) = self.both(py)?;
        let elector = elector.clone();
        Ok(start(zk, async move { elector.leader().await }, convert::leader_or_none))
    }

    fn leaders(&self, py: Python<'_>) -> PyResult<Stream> {
        let (elector, zk) = self.both(py)?;
        Ok(Stream::new(zk, Source::Leaders(elector.leaders())))
    }

    fn overdue(&self, py: Python<'_>) -> PyResult<Stream> {
        let (elector, zk) = self.both(py)?;
        Ok(Stream::new(zk, Source::Overdue(elector.overdue())))
    }

    fn candidates(&self, py: Python<'_>) -> PyResult<Op> {
        let (elector, zk) = self.both(py)?;
        let elector = elector.clone();
        Ok(start(zk, async move { elector.candidates().await }, convert::contenders))
    }
}

/// An elector's terms, one after the other.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct Course {
    course: AtHome<Arc<tokio::sync::Mutex<zkhelper::Course>>>,
    zk: AtHome<Arc<dyn Zk>>,
}

#[pymethods]
impl Course {
    /// Its value is the next `Term`.
    fn next(&self, py: Python<'_>) -> PyResult<Op> {
        let zk = self.zk.get().or_raise(py)?;
        let course = Arc::clone(self.course.get().or_raise(py)?);
        Ok(start(zk, async move { course.lock().await.next().await }, show_term(Arc::clone(zk))))
    }

    /// Ends a term whose task has ended: "done", "failed" or "interrupted".
    fn ended(&self, py: Python<'_>, term: &Term, outcome: &str) -> PyResult<Op> {
        let outcome = match outcome {
            "done" => Outcome::Done,
            "failed" => Outcome::Failed,
            "interrupted" => Outcome::Interrupted,
            other => return Err(refuse(py, format!("no task ends with {other:?}"))),
        };
        let zk = self.zk.get().or_raise(py)?;
        let course = Arc::clone(self.course.get().or_raise(py)?);
        let term = term.take(py)?;
        let work = async move {
            match term {
                Some(term) => course.lock().await.ended(term, outcome).await,
                None => Ok(()),
            }
        };
        Ok(start(zk, work, convert::none))
    }
}

/// A term; dropping it ends it in the background.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct Term {
    term: AtHome<Mutex<Option<zkhelper::Term>>>,
    leadership: AtHome<Leadership>,
    zk: AtHome<Arc<dyn Zk>>,
    token: i64,
}

impl Term {
    fn new(zk: Arc<dyn Zk>, term: zkhelper::Term) -> Self {
        Self {
            token: term.token(),
            leadership: AtHome::new(term.leadership()),
            term: AtHome::new(Mutex::new(Some(term))),
            zk: AtHome::new(zk),
        }
    }

    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Option<zkhelper::Term>>> {
        Ok(self.term.get().or_raise(py)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, py: Python<'_>) -> PyResult<Option<zkhelper::Term>> {
        Ok(self.lock(py)?.take())
    }
}

/// The reason as Python's `StopReason` and, where the lead was lost, why.
fn stop_numbers(stop: Stop) -> (&'static str, Option<i32>) {
    match stop {
        Stop::Lost(loss) => ("lost", Some(loss as i32)),
        Stop::Interrupted => ("interrupted", None),
        Stop::Resigned => ("resigned", None),
        Stop::Closed => ("closed", None),
    }
}

#[pymethods]
impl Term {
    /// The fencing token.
    #[getter]
    fn token(&self) -> i64 {
        self.token
    }

    /// How many seconds it is still certain to be the only one; 0 if it is not.
    fn valid_for(&self) -> f64 {
        let (Ok(leadership), Ok(zk)) = (self.leadership.get(), self.zk.get()) else { return 0.0 };
        leadership.valid_until().map_or(0.0, |until| until.since(zk.now()).as_secs_f64())
    }

    fn is_leading(&self) -> bool {
        self.leadership.get().is_ok_and(Leadership::is_leading)
    }

    /// Why it has to stop, if it has to.
    fn stop(&self) -> Option<(&'static str, Option<i32>)> {
        self.leadership.get().ok()?.stop().map(stop_numbers)
    }

    /// Its value is why it has to stop, or `None` if it ended without that, or not within the time.
    #[pyo3(signature = (timeout=None))]
    fn stopped(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Op> {
        let zk = self.zk.get().or_raise(py)?;
        let timeout = timeout_or_none(py, "timeout", timeout)?;
        let limit = timeout.map(|timeout| zk.sleep_until(zk.now() + timeout));
        let stopped = self.leadership.get().or_raise(py)?.stopped();
        let work = async move {
            tokio::select! {
                biased;
                stop = stopped => Ok(stop),
                () = async { match limit {
                    Some(limit) => limit.await,
                    None => std::future::pending().await,
                } } => Ok(None),
            }
        };
        Ok(start(zk, work, |py, stop| convert::plain(py, stop.map(stop_numbers))))
    }

    fn resign(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.leadership.get().or_raise(py)?.resign())
    }

    fn end(&self, py: Python<'_>) -> PyResult<Op> {
        let zk = self.zk.get().or_raise(py)?;
        let term = self.take(py)?;
        let work = async move {
            match term {
                Some(term) => term.end().await,
                None => Err(Error::new(Code::NOT_HELD).because("the term was ended before")),
            }
        };
        Ok(start(zk, work, convert::none))
    }
}
