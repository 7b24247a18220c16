//! Pid nodes.

use crate::convert::{self, AclArgument, acl_of, option, seconds};
use crate::errors::{OrRaise, refuse};
use crate::home::AtHome;
use crate::op::{Op, start};
use crate::stream::{Source, Stream};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zkhelper::{Client, Code, Error, PidNodeOptions, TakeOver, Zk};

/// What was given, in the place of the defaults.
fn pid_node_options(given: &Bound<'_, PyDict>) -> PyResult<PidNodeOptions> {
    let py = given.py();
    let mut options = PidNodeOptions::default();
    option(given, "acl", |acl: AclArgument| {
        options.acl = acl_of(acl).unwrap_or_default();
        Ok(())
    })?;
    option(given, "take_over", |whose: String| {
        options.take_over = match whose.as_str() {
            "never" => TakeOver::Never,
            "dead" => TakeOver::Dead,
            "live" => TakeOver::Live,
            other => {
                return Err(refuse(py, format!("take_over is {other:?}: \"never\", \"dead\" or \"live\"")));
            }
        };
        Ok(())
    })?;
    option(given, "wait", |value| {
        options.wait = Some(seconds(py, "wait", value)?);
        Ok(())
    })?;
    Ok(options)
}

/// A node that says that its owner lives. Dropping it removes the node in the background.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct PidNode {
    node: AtHome<Mutex<Option<zkhelper::PidNode>>>,
    zk: AtHome<Arc<dyn Zk>>,
}

impl PidNode {
    /// An operation whose value is a pid node.
    pub(crate) fn create(
        py: Python<'_>,
        client: &Client,
        path: String,
        data: Vec<u8>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Op> {
        let (client, options) = (client.clone(), pid_node_options(options)?);
        let zk = Arc::clone(client.zk());
        let over = Arc::clone(&zk);
        zkhelper::client::validate_path(&path).or_raise(py)?;
        let work = async move { zkhelper::PidNode::create(&client, &path, &data, options).await };
        Ok(start(&zk, work, move |py, node| {
            let node = AtHome::new(Mutex::new(Some(node)));
            Ok(Bound::new(py, Self { node, zk: AtHome::new(over) })?.into_any())
        }))
    }

    fn lock(&self) -> zkhelper::Result<MutexGuard<'_, Option<zkhelper::PidNode>>> {
        Ok(self.node.get()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn closed() -> Error {
    Error::new(Code::CLOSED).because("the pid node was closed before")
}

#[pymethods]
impl PidNode {
    fn is_there(&self) -> bool {
        self.lock().is_ok_and(|node| node.as_ref().is_some_and(zkhelper::PidNode::is_there))
    }

    fn events(&self, py: Python<'_>) -> PyResult<Stream> {
        let zk = self.zk.get().or_raise(py)?;
        let events = self.lock().or_raise(py)?.as_ref().map(zkhelper::PidNode::events);
        Ok(Stream::new(zk, Source::Pid(events.ok_or_else(closed).or_raise(py)?)))
    }

    fn close(&self, py: Python<'_>) -> PyResult<Op> {
        let zk = self.zk.get().or_raise(py)?;
        let node = self.lock().or_raise(py)?.take();
        let work = async move {
            match node {
                Some(node) => node.close().await,
                // As with everything that is closed twice.
                None => Ok(()),
            }
        };
        Ok(start(zk, work, convert::none))
    }
}
