//! The native half of the Python module `zkhelper`: what waits is an [`op::Op`], which Python code waits for
//! in a thread (`zkhelper`) or in an event loop (`zkhelper.aio`).
//!
//! No thread of Rust's ever takes the interpreter's lock: the IO thread completes an operation, and rings a
//! bell (`mailbox.rs`) that a thread or an event loop of Python's listens to. So an interpreter that ends, or
//! holds its lock for long, never holds up the thread that keeps the locks.

mod client;
mod convert;
mod elector;
mod errors;
mod gate;
mod home;
mod journal;
mod mailbox;
mod mutex;
mod op;
mod pid_node;
mod queue_lock;
mod server;
mod stream;
mod tree;

use pyo3::prelude::*;
use zkhelper::error::CODES;

/// The native half of the Python module.
#[pymodule]
mod _zkhelper {
    #[pymodule_export]
    use super::client::Client;
    #[pymodule_export]
    use super::elector::{Course, Elector, Term};
    #[pymodule_export]
    use super::gate::ending;
    #[pymodule_export]
    use super::journal::{forked, log_level, next_record};
    #[pymodule_export]
    use super::mailbox::Mailbox;
    #[pymodule_export]
    use super::mutex::{Hold, Mutex};
    #[pymodule_export]
    use super::op::Op;
    #[pymodule_export]
    use super::pid_node::PidNode;
    #[pymodule_export]
    use super::queue_lock::{QueueHold, QueueLock};
    #[pymodule_export]
    use super::server::Server;
    #[pymodule_export]
    use super::stream::Stream;
    #[pymodule_export]
    use super::tree::{Tree, has_wildcard, is_directory};
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        journal::install();
        module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
        module.add("FILE", zkhelper::acl::FILE)?;
        module.add("DIRECTORY", zkhelper::acl::DIRECTORY)?;
        // The one table of codes, from which `errors.py` is made.
        let codes: Vec<_> =
            CODES.iter().map(|info| (info.code.number(), info.name, info.meaning, info.retriable)).collect();
        module.add("CODES", codes)
    }
}
