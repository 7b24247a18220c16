//! The client: a session with ZooKeeper, plain operations, watches.

use crate::convert::{
    self, AclArgument, OpArgument, acl_of, anyone, multi_ops, option, seconds, timeout_or_none,
};
use crate::elector::Elector;
use crate::errors::{OrRaise, refuse};
use crate::home::AtHome;
use crate::mutex::Mutex;
use crate::op::{Op, start};
use crate::pid_node::PidNode;
use crate::queue_lock::QueueLock;
use crate::stream::{Source, Stream};
use crate::tree::Tree;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zkhelper::client::{Auth, Options, Reattach, Tls, WhileSuspended};
use zkhelper::proto::{Request, Response, WatchMode};
use zkhelper::zk::{OpOptions, Watch};
use zkhelper::{Code, Error, Zk};

/// A connection to ZooKeeper.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct Client(AtHome<zkhelper::Client>);

/// What was given, in the place of the defaults.
fn client_options(given: &Bound<'_, PyDict>) -> PyResult<Options> {
    let py = given.py();
    let mut options = Options::default();
    for (name, place) in [
        ("session_timeout", &mut options.session_timeout),
        ("connect_timeout", &mut options.connect_timeout),
        ("operation_timeout", &mut options.operation_timeout),
        ("max_backoff", &mut options.max_backoff),
    ] {
        option(given, name, |value| {
            *place = seconds(py, name, value)?;
            Ok(())
        })?;
    }
    option(given, "renew_interval", |value| {
        options.renew_interval = Some(seconds(py, "renew_interval", value)?);
        Ok(())
    })?;
    option(given, "clock_drift", |value| {
        options.clock_drift = value;
        Ok(())
    })?;
    option(given, "max_frame", |value| {
        options.max_frame = value;
        Ok(())
    })?;
    option(given, "while_suspended", |value: String| {
        options.while_suspended = match value.as_str() {
            "wait" => WhileSuspended::Wait,
            "refuse" => WhileSuspended::Refuse,
            other => return Err(refuse(py, format!("while_suspended is {other:?}: \"wait\" or \"refuse\""))),
        };
        Ok(())
    })?;
    option(given, "auth", |list: Vec<(String, PyBackedBytes)>| {
        let auth =
            |(scheme, credentials): (_, PyBackedBytes)| Auth { scheme, credentials: credentials.to_vec() };
        options.auth = list.into_iter().map(auth).collect();
        Ok(())
    })?;
    option(given, "reattach", |(session_id, password, last_zxid): (i64, PyBackedBytes, i64)| {
        options.reattach = Some(Reattach { session_id, password: password.to_vec(), last_zxid });
        Ok(())
    })?;
    option(given, "tls", |tls| {
        options.tls = Some(tls_of(tls).or_raise(py)?);
        Ok(())
    })?;
    options.validate().or_raise(py)?;
    Ok(options)
}

/// The three reads that can arm a one-shot watch.
fn watched(zk: &Arc<dyn Zk>, watch: bool, request: Request) -> (zkhelper::zk::Reply, Option<Stream>) {
    if !watch {
        return (zk.submit(request, OpOptions::default()), None);
    }
    let (reply, watch): (_, Watch) = zk.submit_watch(request, OpOptions::default());
    (reply, Some(Stream::new(zk, Source::Once(Some(watch)))))
}

/// An answer of another kind than was asked for.
fn unexpected() -> Error {
    Error::new(Code::PROTOCOL).because("the answer is of another kind")
}

impl Client {
    pub(crate) fn client(&self, py: Python<'_>) -> PyResult<&zkhelper::Client> {
        self.0.get().or_raise(py)
    }

    fn zk(&self, py: Python<'_>) -> PyResult<&Arc<dyn Zk>> {
        self.client(py).map(zkhelper::Client::zk)
    }
}

#[pymethods]
impl Client {
    /// Begins to connect; `options` are those of `zkhelper.Client`, those that are `None` left at their defaults.
    #[new]
    fn new(py: Python<'_>, address: &str, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let options = client_options(options)?;
        let client = py.detach(|| zkhelper::Client::new(address, options)).or_raise(py)?;
        Ok(Self(AtHome::new(client)))
    }

    fn wait_connected(&self, py: Python<'_>, timeout: f64) -> PyResult<Op> {
        let timeout = seconds(py, "timeout", timeout)?;
        let client = self.client(py)?.clone();
        let zk = Arc::clone(client.zk());
        Ok(start(&zk, async move { client.wait_connected(timeout).await }, |py, answer| {
            convert::plain(py, answer)
        }))
    }

    fn close(&self, py: Python<'_>, timeout: f64) -> PyResult<Op> {
        let timeout = seconds(py, "timeout", timeout)?;
        let client = self.client(py)?.clone();
        let zk = Arc::clone(client.zk());
        Ok(start(&zk, async move { client.close(timeout).await }, convert::none))
    }

    /// The state's name.
    fn state(&self) -> &'static str {
        self.0.get().map_or("closed", |client| convert::state_name(client.state()))
    }

    /// The session's id, whether it is connected, and its timeout in seconds.
    fn session(&self) -> (i64, bool, f64) {
        let view = self.0.get().map(zkhelper::Client::session).unwrap_or_default();
        (view.id, view.connected, view.timeout.as_secs_f64())
    }

    /// What another client needs to attach to the session.
    fn credentials<'py>(&self, py: Python<'py>) -> PyResult<(i64, Bound<'py, PyBytes>, i64)> {
        let credentials = self.client(py)?.credentials();
        Ok((credentials.session_id, PyBytes::new(py, &credentials.password), credentials.last_zxid))
    }

    fn states(&self, py: Python<'_>) -> PyResult<Stream> {
        let zk = self.zk(py)?;
        Ok(Stream::new(zk, Source::States(zk.states())))
    }

    #[pyo3(signature = (path, data, acl, flags, ttl))]
    fn create(
        &self,
        py: Python<'_>,
        path: String,
        data: PyBackedBytes,
        acl: AclArgument,
        flags: i32,
        ttl: Option<f64>,
    ) -> PyResult<Op> {
        let ttl = timeout_or_none(py, "ttl", ttl)?.unwrap_or(Duration::ZERO);
        let request = Request::Create {
            path,
            data: data.to_vec(),
            acl: acl_of(acl).unwrap_or_else(anyone),
            mode: convert::mode(py, flags)?,
            ttl_ms: i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            with_stat: true,
        };
        let zk = self.zk(py)?;
        let reply = zk.submit(request, OpOptions::default());
        let work = async move {
            match reply.await?.response {
                Response::Create2 { path, .. } => Ok(path),
                _ => Err(unexpected()),
            }
        };
        Ok(start(zk, work, |py, answer| convert::plain(py, answer)))
    }

    fn delete(&self, py: Python<'_>, path: &str, version: i32) -> PyResult<Op> {
        let zk = self.zk(py)?;
        Ok(start(zk, zk.delete(path, version, OpOptions::default()), convert::none))
    }

    fn exists(&self, py: Python<'_>, path: String, watch: bool) -> PyResult<(Op, Option<Stream>)> {
        let zk = self.zk(py)?;
        let (reply, stream) = watched(zk, watch, Request::Exists { path, watch });
        let work = async move {
            match reply.await {
                Ok(answer) => match answer.response {
                    Response::Stat(stat) => Ok(Some(stat)),
                    _ => Err(unexpected()),
                },
                Err(error) if error.code() == Code::NO_NODE => Ok(None),
                Err(error) => Err(error),
            }
        };
        Ok((start(zk, work, convert::stat_or_none), stream))
    }

    fn get(&self, py: Python<'_>, path: String, watch: bool) -> PyResult<(Op, Option<Stream>)> {
        let zk = self.zk(py)?;
        let (reply, stream) = watched(zk, watch, Request::GetData { path, watch });
        let work = async move {
            match reply.await?.response {
                Response::Data { data, stat } => Ok((data, stat)),
                _ => Err(unexpected()),
            }
        };
        Ok((start(zk, work, convert::node), stream))
    }

    fn children(&self, py: Python<'_>, path: String, watch: bool) -> PyResult<(Op, Option<Stream>)> {
        let zk = self.zk(py)?;
        let (reply, stream) = watched(zk, watch, Request::GetChildren2 { path, watch });
        let work = async move {
            match reply.await?.response {
                Response::Children2 { children, stat } => Ok((children.to_vec(), stat)),
                _ => Err(unexpected()),
            }
        };
        Ok((start(zk, work, convert::names), stream))
    }

    fn set(&self, py: Python<'_>, path: &str, data: PyBackedBytes, version: i32) -> PyResult<Op> {
        let zk = self.zk(py)?;
        Ok(start(zk, zk.set(path, &data, version, OpOptions::default()), convert::stat))
    }

    fn get_acl(&self, py: Python<'_>, path: &str) -> PyResult<Op> {
        let zk = self.zk(py)?;
        Ok(start(zk, zk.get_acl(path, OpOptions::default()), convert::acl_and_stat))
    }

    fn set_acl(&self, py: Python<'_>, path: &str, acl: AclArgument, version: i32) -> PyResult<Op> {
        let acl = acl_of(acl).unwrap_or_else(anyone);
        let zk = self.zk(py)?;
        Ok(start(zk, zk.set_acl(path, &acl, version, OpOptions::default()), convert::stat))
    }

    fn sync(&self, py: Python<'_>, path: &str) -> PyResult<Op> {
        let zk = self.zk(py)?;
        Ok(start(zk, zk.sync(path, OpOptions::default()), convert::none))
    }

    fn multi(&self, py: Python<'_>, ops: Vec<OpArgument>) -> PyResult<Op> {
        let ops = multi_ops(py, ops)?;
        let zk = self.zk(py)?;
        Ok(start(zk, zk.multi(ops, OpOptions::default()), convert::results))
    }

    fn multi_read(&self, py: Python<'_>, ops: Vec<OpArgument>) -> PyResult<Op> {
        let ops = multi_ops(py, ops)?;
        let zk = self.zk(py)?;
        Ok(start(zk, zk.multi_read(ops, OpOptions::default()), convert::results))
    }

    fn ephemerals(&self, py: Python<'_>, prefix: &str) -> PyResult<Op> {
        let zk = self.zk(py)?;
        let read = zk.ephemerals(prefix, OpOptions::default());
        let sorted = async move {
            let mut paths = read.await?;
            paths.sort_unstable();
            Ok(paths)
        };
        Ok(start(zk, sorted, |py, answer| convert::plain(py, answer)))
    }

    fn all_children_number(&self, py: Python<'_>, path: &str) -> PyResult<Op> {
        let zk = self.zk(py)?;
        Ok(start(zk, zk.all_children_number(path, OpOptions::default()), |py, answer| {
            convert::plain(py, answer)
        }))
    }

    fn add_auth(&self, py: Python<'_>, scheme: String, credentials: PyBackedBytes) -> PyResult<Op> {
        let client = self.client(py)?.clone();
        let zk = Arc::clone(client.zk());
        let work = async move { client.add_auth(&scheme, &credentials).await };
        Ok(start(&zk, work, convert::none))
    }

    fn who_am_i(&self, py: Python<'_>) -> PyResult<Op> {
        let client = self.client(py)?.clone();
        let zk = Arc::clone(client.zk());
        Ok(start(&zk, async move { client.who_am_i().await }, convert::identities))
    }

    /// Arms a watch that stays; its value is a stream.
    fn watch(&self, py: Python<'_>, path: String, recursive: bool) -> PyResult<Op> {
        let client = self.client(py)?.clone();
        let mode = if recursive { WatchMode::PersistentRecursive } else { WatchMode::Persistent };
        let zk = Arc::clone(client.zk());
        let over = Arc::clone(&zk);
        let work = async move { client.add_watch(&path, mode).await };
        Ok(start(&zk, work, move |py, stream| {
            Ok(Bound::new(py, Stream::new(&over, Source::Stays(stream)))?.into_any())
        }))
    }

    /// A lock; `options` are those of `zkhelper.Client.mutex`.
    fn mutex(&self, py: Python<'_>, path: &str, options: &Bound<'_, PyDict>) -> PyResult<Mutex> {
        Mutex::new(py, self.client(py)?, path, options)
    }

    /// A part in an election; `options` are those of `zkhelper.Client.elector`.
    fn elector(&self, py: Python<'_>, path: &str, options: &Bound<'_, PyDict>) -> PyResult<Elector> {
        Elector::new(py, self.client(py)?, path, options)
    }

    /// A queue lock; `options` are those of `zkhelper.Client.queue_lock`.
    fn queue_lock(&self, py: Python<'_>, path: &str, options: &Bound<'_, PyDict>) -> PyResult<QueueLock> {
        QueueLock::new(py, self.client(py)?, path, options)
    }

    /// Makes a pid node, which is its value; `options` are those of `zkhelper.Client.pid_node`.
    fn pid_node(
        &self,
        py: Python<'_>,
        path: String,
        data: PyBackedBytes,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Op> {
        PidNode::create(py, self.client(py)?, path, data.to_vec(), options)
    }

    fn tree(&self, py: Python<'_>) -> PyResult<Tree> {
        Ok(Tree::new(self.client(py)?))
    }
}

/// What `zkhelper.Tls` has: each a file's path or the bytes themselves.
type TlsArgument = (
    (Option<PathBuf>, Option<PyBackedBytes>),
    Option<((Option<PathBuf>, Option<PyBackedBytes>), (Option<PathBuf>, Option<PyBackedBytes>))>,
    Option<String>,
);

fn tls_of((ca, identity, server_name): TlsArgument) -> zkhelper::Result<Tls> {
    let mut tls = match ca {
        (Some(file), _) => Tls::new().ca_file(file)?,
        (None, Some(pem)) => Tls::new().ca_pem(&pem)?,
        (None, None) => Tls::new(),
    };
    tls = match identity {
        Some(((Some(certificate), _), (Some(key), _))) => tls.certificate_file(certificate, key)?,
        Some(((_, Some(certificate)), (_, Some(key)))) => tls.certificate_pem(&certificate, &key)?,
        Some(_) => {
            let why = "TLS: certificate and key are either both files or both bytes";
            return Err(Error::new(Code::BAD_ARGUMENT).because(why));
        }
        None => tls,
    };
    match server_name {
        Some(name) => tls.server_name(&name),
        None => Ok(tls),
    }
}
