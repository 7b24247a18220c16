//! Rust's values as Python's, and back. The classes are those of `zkhelper._types`.

use crate::errors::{OrRaise, exception, refuse};
use pyo3::BoundObject;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList};
use std::time::Duration;
use zkhelper::embedded::SessionInfo;
use zkhelper::proto::{Acl, ClientInfo, CreateMode, EventType, MultiOp, MultiResult, Stat};
use zkhelper::recipes::mutex::{ContenderInfo, Owner, Revocation};
use zkhelper::zk::{WatchEvent, WatchEventKind};
use zkhelper::{Code, Error, Leader, Matches, PidEvent, Standing, State, StateEvent};

/// Makes an object of a class of `zkhelper._types`, which is looked up once.
macro_rules! make {
    ($py:expr, $class:literal, $($argument:expr),+ $(,)?) => {{
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        CLASS.import($py, "zkhelper._types", $class)?.call1(($($argument,)+))
    }};
}

pub(crate) fn none<'py>(py: Python<'py>, _: ()) -> PyResult<Bound<'py, PyAny>> {
    Ok(py.None().into_bound(py))
}

/// A number, a text, a list of them: whatever Python has itself.
pub(crate) fn plain<'py, T: IntoPyObject<'py>>(py: Python<'py>, value: T) -> PyResult<Bound<'py, PyAny>> {
    let object = value.into_pyobject(py).map_err(Into::into)?;
    Ok(object.into_any().into_bound())
}

pub(crate) fn stat<'py>(py: Python<'py>, stat: Stat) -> PyResult<Bound<'py, PyAny>> {
    make!(
        py,
        "Stat",
        stat.czxid,
        stat.mzxid,
        stat.ctime,
        stat.mtime,
        stat.version,
        stat.cversion,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children,
        stat.pzxid,
    )
}

pub(crate) fn stat_or_none<'py>(py: Python<'py>, found: Option<Stat>) -> PyResult<Bound<'py, PyAny>> {
    found.map_or_else(|| none(py, ()), |found| stat(py, found))
}

pub(crate) fn node<'py>(py: Python<'py>, (data, status): (Vec<u8>, Stat)) -> PyResult<Bound<'py, PyAny>> {
    make!(py, "Node", PyBytes::new(py, &data), stat(py, status)?)
}

/// Names in the order of the alphabet: the server gives them in none.
pub(crate) fn names<'py>(
    py: Python<'py>,
    (mut names, _): (Vec<String>, Stat),
) -> PyResult<Bound<'py, PyAny>> {
    names.sort_unstable();
    plain(py, names)
}

pub(crate) fn acl<'py>(py: Python<'py>, list: &[Acl]) -> PyResult<Bound<'py, PyAny>> {
    let list: Vec<_> = list
        .iter()
        .map(|entry| make!(py, "Acl", entry.perms, &entry.scheme, &entry.id))
        .collect::<PyResult<_>>()?;
    Ok(PyList::new(py, list)?.into_any())
}

pub(crate) fn acl_and_stat<'py>(
    py: Python<'py>,
    (list, status): (Vec<Acl>, Stat),
) -> PyResult<Bound<'py, PyAny>> {
    plain(py, (acl(py, &list)?, stat(py, status)?))
}

pub(crate) fn contenders<'py>(py: Python<'py>, list: Vec<ContenderInfo>) -> PyResult<Bound<'py, PyAny>> {
    let list: Vec<_> = list
        .into_iter()
        .map(|one| {
            let owner = match one.owner {
                Owner::Living => "living",
                Owner::Gone => "gone",
                Owner::Unknown => "unknown",
            };
            make!(
                py,
                "contender",
                one.name,
                one.sequence,
                PyBytes::new(py, &one.data),
                stat(py, one.stat)?,
                one.hostname,
                one.pid,
                one.description,
                owner,
                one.asked,
            )
        })
        .collect::<PyResult<_>>()?;
    Ok(PyList::new(py, list)?.into_any())
}

pub(crate) fn matches<'py>(py: Python<'py>, found: Matches) -> PyResult<Bound<'py, PyAny>> {
    let unreadable: Vec<_> =
        found.unreadable.iter().map(|error| exception(py, error).into_value(py)).collect();
    make!(py, "Matches", found.paths, unreadable)
}

pub(crate) fn revocation<'py>(py: Python<'py>, event: &Revocation) -> PyResult<Bound<'py, PyAny>> {
    make!(py, "Revocation", event.token, &event.reason)
}

pub(crate) fn pid_event<'py>(py: Python<'py>, event: &PidEvent) -> PyResult<Bound<'py, PyAny>> {
    match event {
        PidEvent::Made { czxid, session } => make!(py, "PidMade", czxid, session),
        PidEvent::Lost(loss) => make!(py, "pid_lost", *loss as i32),
        PidEvent::Refused(error) => make!(py, "PidRefused", exception(py, error).into_value(py)),
    }
}

pub(crate) fn identities<'py>(py: Python<'py>, list: Vec<ClientInfo>) -> PyResult<Bound<'py, PyAny>> {
    let list: Vec<_> =
        list.into_iter().map(|one| make!(py, "Identity", one.scheme, one.user)).collect::<PyResult<_>>()?;
    Ok(PyList::new(py, list)?.into_any())
}

pub(crate) fn sessions<'py>(py: Python<'py>, list: Vec<SessionInfo>) -> PyResult<Bound<'py, PyAny>> {
    let list: Vec<_> = list
        .into_iter()
        .map(|one| make!(py, "SessionInfo", one.id, one.timeout.as_secs_f64(), one.connected))
        .collect::<PyResult<_>>()?;
    Ok(PyList::new(py, list)?.into_any())
}

fn leader<'py>(py: Python<'py>, found: Leader) -> PyResult<Bound<'py, PyAny>> {
    let standing = match found.standing {
        Standing::Leading => "leading",
        Standing::Gone => "gone",
        Standing::Unknown => "unknown",
    };
    make!(py, "leader", PyBytes::new(py, &found.data), found.token, standing, stat(py, found.stat)?)
}

pub(crate) fn leader_or_none<'py>(py: Python<'py>, found: Option<Leader>) -> PyResult<Bound<'py, PyAny>> {
    found.map_or_else(|| none(py, ()), |found| leader(py, found))
}

pub(crate) fn leader_change<'py>(py: Python<'py>, found: Option<Leader>) -> PyResult<Bound<'py, PyAny>> {
    make!(py, "LeaderChange", leader_or_none(py, found)?)
}

/// What each operation of a transaction answered: a created path, a status, or nothing.
pub(crate) fn results<'py>(py: Python<'py>, results: Vec<MultiResult>) -> PyResult<Bound<'py, PyAny>> {
    let list: Vec<_> = results
        .into_iter()
        .map(|result| match result {
            MultiResult::Create { path } | MultiResult::Create2 { path, .. } => plain(py, path),
            MultiResult::SetData { stat: status } => stat(py, status),
            MultiResult::GetData { data, stat } => node(py, (data, stat)),
            MultiResult::GetChildren { children } => names(py, (children, Stat::default())),
            MultiResult::Error(code) => Ok(exception(py, &Error::new(Code::from_number(code)))
                .into_value(py)
                .into_bound(py)
                .into_any()),
            MultiResult::Delete | MultiResult::Check => none(py, ()),
        })
        .collect::<PyResult<_>>()?;
    Ok(PyList::new(py, list)?.into_any())
}

pub(crate) fn watch_event<'py>(py: Python<'py>, event: &WatchEvent) -> PyResult<Bound<'py, PyAny>> {
    let kind = match event.kind {
        WatchEventKind::Node(EventType::Created) => "created",
        WatchEventKind::Node(EventType::Deleted) => "deleted",
        WatchEventKind::Node(EventType::DataChanged) => "data changed",
        WatchEventKind::Node(EventType::ChildrenChanged) => "children changed",
        WatchEventKind::Node(
            EventType::DataWatchRemoved | EventType::ChildWatchRemoved | EventType::PersistentWatchRemoved,
        ) => "removed",
        WatchEventKind::SessionLost => "session lost",
        WatchEventKind::MayHaveMissed => "may have missed",
    };
    make!(py, "watch_event", kind, &event.path)
}

pub(crate) const fn state_name(state: State) -> &'static str {
    match state {
        State::Connecting => "connecting",
        State::Connected => "connected",
        State::Suspended => "suspended",
        State::Lost => "lost",
        State::Closed => "closed",
    }
}

pub(crate) fn state_event<'py>(py: Python<'py>, event: &StateEvent) -> PyResult<Bound<'py, PyAny>> {
    let reason = event.reason.as_ref().map(|reason| exception(py, reason).into_value(py));
    make!(py, "state_event", state_name(event.state), event.session, event.previous_session, reason)
}

/// Reads one option of those that were given.
pub(crate) fn option<'py, T>(
    options: &Bound<'py, PyDict>,
    name: &str,
    mut set: impl FnMut(T) -> PyResult<()>,
) -> PyResult<()>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    match options.get_item(name)? {
        Some(value) if !value.is_none() => set(value.extract().map_err(Into::into)?),
        _ => Ok(()),
    }
}

/// A time in seconds that must not be negative.
pub(crate) fn seconds(py: Python<'_>, name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| refuse(py, format!("{name} is {value}: it must be a time in seconds, 0 or more")))
}

/// The same; `None` stays `None`, and so does a time without end.
pub(crate) fn timeout_or_none(py: Python<'_>, name: &str, value: Option<f64>) -> PyResult<Option<Duration>> {
    match value {
        Some(value) if value != f64::INFINITY => seconds(py, name, value).map(Some),
        _ => Ok(None),
    }
}

/// An access control list as `zkhelper.Acl`s; `None` stands for everything to anyone.
pub(crate) type AclArgument = Option<Vec<(i32, String, String)>>;

pub(crate) fn acl_of(argument: AclArgument) -> Option<Vec<Acl>> {
    argument.map(|list| list.into_iter().map(|(perms, scheme, id)| Acl { perms, scheme, id }).collect())
}

/// An operation of a transaction, as `zkhelper._types` writes it: kind, path, data, ACL, flags, time to live
/// (ms), version.
pub(crate) type OpArgument = (String, String, PyBackedBytes, AclArgument, i32, i64, i32);

pub(crate) fn multi_ops(py: Python<'_>, ops: Vec<OpArgument>) -> PyResult<Vec<MultiOp>> {
    ops.into_iter()
        .map(|(kind, path, data, acl, flags, ttl_ms, version)| {
            Ok(match kind.as_str() {
                "create" => MultiOp::Create {
                    path,
                    data: data.to_vec(),
                    acl: acl_of(acl).unwrap_or_else(anyone),
                    mode: mode(py, flags)?,
                    ttl_ms,
                    with_stat: true,
                },
                "delete" => MultiOp::Delete { path, version },
                "set" => MultiOp::SetData { path, data: data.to_vec(), version },
                "check" => MultiOp::Check { path, version },
                "get" => MultiOp::GetData { path },
                "children" => MultiOp::GetChildren { path },
                other => return Err(refuse(py, format!("a transaction has no operation {other:?}"))),
            })
        })
        .collect()
}

/// Everything to anyone.
pub(crate) fn anyone() -> Vec<Acl> {
    vec![Acl::world(zkhelper::proto::permissions::ALL)]
}

pub(crate) fn mode(py: Python<'_>, flags: i32) -> PyResult<CreateMode> {
    let unknown =
        || Error::new(Code::BAD_ARGUMENT).because(format!("no kind of node has the number {flags}"));
    CreateMode::from_flags(flags).ok_or_else(unknown).or_raise(py)
}
