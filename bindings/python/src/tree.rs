//! Operations on whole trees of nodes.

use crate::convert::{self, AclArgument, acl_of, anyone, mode};
use crate::errors::{OrRaise, exception};
use crate::home::AtHome;
use crate::op::{Op, start};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyList;
use std::sync::Arc;
use zkhelper::{Client, Matches, Zk};

/// Operations on whole trees of nodes.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct Tree {
    tree: AtHome<zkhelper::Tree>,
    zk: AtHome<Arc<dyn Zk>>,
}

impl Tree {
    pub(crate) fn new(client: &Client) -> Self {
        Self { tree: AtHome::new(zkhelper::Tree::new(client)), zk: AtHome::new(Arc::clone(client.zk())) }
    }

    fn both(&self, py: Python<'_>) -> PyResult<(zkhelper::Tree, &Arc<dyn Zk>)> {
        Ok((self.tree.get().or_raise(py)?.clone(), self.zk.get().or_raise(py)?))
    }
}

#[pymethods]
impl Tree {
    fn exists(&self, py: Python<'_>, path: String) -> PyResult<Op> {
        let (tree, zk) = self.both(py)?;
        let work = async move { tree.exists(&path).await };
        Ok(start(zk, work, |py, found: bool| convert::plain(py, found.into_pyobject(py)?.to_owned())))
    }

    fn create(
        &self,
        py: Python<'_>,
        path: String,
        data: PyBackedBytes,
        acl: AclArgument,
        flags: i32,
    ) -> PyResult<Op> {
        let (tree, zk) = self.both(py)?;
        let (acl, mode) = (acl_of(acl).unwrap_or_else(anyone), mode(py, flags)?);
        let work = async move { tree.create(&path, &data, &acl, mode).await };
        Ok(start(zk, work, |py, path| convert::plain(py, path)))
    }

    /// Its value is a list of paths and exceptions.
    fn create_all(
        &self,
        py: Python<'_>,
        nodes: Vec<(String, PyBackedBytes)>,
        acl: AclArgument,
        flags: i32,
    ) -> PyResult<Op> {
        let (tree, zk) = self.both(py)?;
        let (acl, mode) = (acl_of(acl).unwrap_or_else(anyone), mode(py, flags)?);
        let nodes = nodes.into_iter().map(|(path, data)| (path, data.to_vec())).collect();
        let work = async move { tree.create_all(nodes, &acl, mode).await };
        Ok(start(zk, work, |py, outcomes: Vec<zkhelper::Result<String>>| {
            let list: Vec<_> = outcomes
                .into_iter()
                .map(|outcome| match outcome {
                    Ok(path) => convert::plain(py, path),
                    Err(error) => Ok(exception(py, &error).into_value(py).into_bound(py).into_any()),
                })
                .collect::<PyResult<_>>()?;
            Ok(PyList::new(py, list)?.into_any())
        }))
    }

    fn create_or_update(
        &self,
        py: Python<'_>,
        path: String,
        data: PyBackedBytes,
        acl: AclArgument,
        flags: i32,
        recursive: bool,
    ) -> PyResult<Op> {
        let (tree, zk) = self.both(py)?;
        let (acl, mode) = (acl_of(acl).unwrap_or_else(anyone), mode(py, flags)?);
        let work = async move { tree.create_or_update(&path, &data, &acl, mode, recursive).await };
        Ok(start(zk, work, |py, path| convert::plain(py, path)))
    }

    fn children(&self, py: Python<'_>, path: String) -> PyResult<Op> {
        let (tree, zk) = self.both(py)?;
        Ok(start(zk, async move { tree.children(&path).await }, |py, paths| convert::plain(py, paths)))
    }

    fn delete(&self, py: Python<'_>, path: String, version: i32) -> PyResult<Op> {
        let (tree, zk) = self.both(py)?;
        Ok(start(zk, async move { tree.delete(&path, version).await }, convert::none))
    }

    /// Its value is a pair: paths, and exceptions for nodes that could not be listed.
    fn glob(&self, py: Python<'_>, patterns: Vec<String>) -> PyResult<Op> {
        let (tree, zk) = self.both(py)?;
        let work = async move { tree.glob(&patterns).await };
        Ok(start(zk, work, |py, found: Matches| convert::matches(py, found)))
    }
}

/// Whether an access control list is a directory's: each entry has all permissions.
#[pyfunction]
pub(crate) fn is_directory(acl: AclArgument) -> bool {
    acl_of(acl).is_some_and(|acl| zkhelper::acl::is_directory(&acl))
}

/// Whether a path is a pattern.
#[pyfunction]
pub(crate) fn has_wildcard(path: &str) -> bool {
    zkhelper::has_wildcard(path)
}
