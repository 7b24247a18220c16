//! Events that come one after the other: states, watches, losses.

use crate::convert::{self, timeout_or_none};
use crate::errors::{OrRaise, exception};
use crate::home::AtHome;
use crate::op::{Op, start};
use pyo3::prelude::*;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};
use zkhelper::client::WatchStream;
use zkhelper::recipes::mutex::Revocation;
use zkhelper::zk::{Watch, WatchEvent};
use zkhelper::{Code, Error, Leader, PidEvent, Result, StateEvent, Zk};

/// An event of any kind.
pub(crate) enum Event {
    State(StateEvent),
    Watch(WatchEvent),
    Leader(Result<Option<Leader>>),
    Overdue(i64),
    Pid(PidEvent),
    Revocation(Revocation),
}

impl Event {
    fn show<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::State(event) => convert::state_event(py, event),
            Self::Watch(event) => convert::watch_event(py, event),
            Self::Leader(Ok(leader)) => convert::leader_change(py, leader.clone()),
            Self::Leader(Err(error)) => Err(exception(py, error)),
            Self::Overdue(token) => convert::plain(py, *token),
            Self::Pid(event) => convert::pid_event(py, event),
            Self::Revocation(event) => convert::revocation(py, event),
        }
    }
}

/// Where events come from. `next` may be dropped and asked for again: no event is lost by that.
pub(crate) enum Source {
    States(mpsc::UnboundedReceiver<StateEvent>),
    Stays(WatchStream),
    Once(Option<Watch>),
    Leaders(mpsc::UnboundedReceiver<Result<Option<Leader>>>),
    Overdue(mpsc::UnboundedReceiver<i64>),
    Pid(mpsc::UnboundedReceiver<PidEvent>),
    Revocations(mpsc::UnboundedReceiver<Revocation>),
}

impl Source {
    async fn next(&mut self) -> Option<Event> {
        match self {
            Self::States(events) => events.recv().await.map(Event::State),
            Self::Stays(events) => events.next().await.map(Event::Watch),
            Self::Leaders(events) => events.recv().await.map(Event::Leader),
            Self::Overdue(events) => events.recv().await.map(Event::Overdue),
            Self::Pid(events) => events.recv().await.map(Event::Pid),
            Self::Revocations(events) => events.recv().await.map(Event::Revocation),
            Self::Once(watch) => {
                let event = watch.as_mut()?.await;
                *watch = None;
                Some(Event::Watch(event))
            }
        }
    }
}

struct Inner {
    source: tokio::sync::Mutex<Option<Source>>,
    /// Events that were taken by a call which was cancelled before it could give them to anybody.
    returned: Mutex<VecDeque<Event>>,
    closed: watch::Sender<bool>,
}

impl Inner {
    fn returned(&self) -> std::sync::MutexGuard<'_, VecDeque<Event>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(self: Arc<Self>) -> Option<Event> {
        let mut closed = self.closed.subscribe();
        let mut source = tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => return None,
            source = self.source.lock() => source,
        };
        if let Some(event) = self.returned().pop_front() {
            return Some(event);
        }
        let event = tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => None,
            event = async { source.as_mut()?.next().await } => event,
        };
        if event.is_none() {
            *source = None;
        }
        event
    }
}

/// An event on its way to Python; dropped on the way, it goes back.
struct Parcel {
    event: Option<Event>,
    from: Arc<Inner>,
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            self.from.returned().push_front(event);
        }
    }
}

/// Events to be asked for one at a time.
#[pyclass(frozen, generic, module = "zkhelper._zkhelper")]
pub(crate) struct Stream {
    zk: AtHome<Arc<dyn Zk>>,
    inner: Arc<Inner>,
}

impl Stream {
    pub(crate) fn new(zk: &Arc<dyn Zk>, source: Source) -> Self {
        let inner = Inner {
            source: tokio::sync::Mutex::new(Some(source)),
            returned: Mutex::default(),
            closed: watch::Sender::new(false),
        };
        Self { zk: AtHome::new(Arc::clone(zk)), inner: Arc::new(inner) }
    }
}

#[pymethods]
impl Stream {
    /// The next event, or `None` at the end; `timeout` is in seconds.
    #[pyo3(signature = (timeout=None))]
    fn next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Op> {
        let zk = self.zk.get().or_raise(py)?;
        let timeout = timeout_or_none(py, "timeout", timeout)?;
        let limit: Pin<Box<dyn Future<Output = ()> + Send>> = match timeout {
            Some(timeout) => zk.sleep_until(zk.now() + timeout),
            None => Box::pin(std::future::pending()),
        };
        let (inner, from) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        let work = async move {
            tokio::select! {
                biased;
                event = inner.next() => Ok(Parcel { event, from }),
                () = limit => Err(Error::new(Code::OPERATION_TIMEOUT).because("no event came")),
            }
        };
        Ok(start(zk, work, |py, mut parcel: Parcel| match &parcel.event {
            Some(event) => {
                let shown = event.show(py);
                parcel.event = None;
                shown
            }
            None => Ok(py.None().into_bound(py)),
        }))
    }

    /// Ends the stream: whoever waits for an event hears of the end.
    fn close(&self) {
        let Ok(zk) = self.zk.get() else { return };
        if !self.inner.closed.send_replace(true) {
            let inner = Arc::clone(&self.inner);
            zk.spawn(Box::pin(async move {
                *inner.source.lock().await = None;
            }));
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}
