//! The embedded server, for development and tests.

use super::boundary::{bad_argument, copy_text, logged, out, status, text, value};
use super::codes::zkh_status;
use super::error::zkh_error;
use super::handles;
use crate::embedded::{Moment, Operation, Server};
use crate::error::Result;
use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

/// An in-memory ZooKeeper server inside this process, for development and tests: nothing is kept on disk,
/// nobody but this machine can connect, one process is the whole ensemble. Every client may use it, also of
/// other libraries and programs. Made by `zkh_server_start`, stopped by `zkh_server_free`. (The address
/// "embedded" is another one, which lives as long as the process.)
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_server {
    /// Zero is null.
    pub id: u64,
}

/// Any request.
pub const ZKH_OPERATION_ANY: i32 = 0;
/// The handshake of a connection.
pub const ZKH_OPERATION_CONNECT: i32 = 1;
/// A create, in all its forms.
pub const ZKH_OPERATION_CREATE: i32 = 2;
/// A delete.
pub const ZKH_OPERATION_DELETE: i32 = 3;
/// A setData.
pub const ZKH_OPERATION_SET_DATA: i32 = 4;
/// A setACL.
pub const ZKH_OPERATION_SET_ACL: i32 = 5;
/// A multi.
pub const ZKH_OPERATION_MULTI: i32 = 6;
/// An exists.
pub const ZKH_OPERATION_EXISTS: i32 = 7;
/// A getData.
pub const ZKH_OPERATION_GET_DATA: i32 = 8;
/// A getChildren, in both forms.
pub const ZKH_OPERATION_GET_CHILDREN: i32 = 9;
/// A sync.
pub const ZKH_OPERATION_SYNC: i32 = 10;
/// A ping.
pub const ZKH_OPERATION_PING: i32 = 11;
/// A setWatches: a client came back with its watches.
pub const ZKH_OPERATION_SET_WATCHES: i32 = 12;
/// A closeSession.
pub const ZKH_OPERATION_CLOSE_SESSION: i32 = 13;
/// Any other read.
pub const ZKH_OPERATION_OTHER_READ: i32 = 14;

/// The request has no effect.
pub const ZKH_MOMENT_BEFORE_APPLYING: i32 = 0;
/// The request has its effect, but its answer is lost.
pub const ZKH_MOMENT_AFTER_APPLYING: i32 = 1;

fn operation(number: i32) -> Result<Operation> {
    Ok(match number {
        ZKH_OPERATION_ANY => Operation::Any,
        ZKH_OPERATION_CONNECT => Operation::Connect,
        ZKH_OPERATION_CREATE => Operation::Create,
        ZKH_OPERATION_DELETE => Operation::Delete,
        ZKH_OPERATION_SET_DATA => Operation::SetData,
        ZKH_OPERATION_SET_ACL => Operation::SetAcl,
        ZKH_OPERATION_MULTI => Operation::Multi,
        ZKH_OPERATION_EXISTS => Operation::Exists,
        ZKH_OPERATION_GET_DATA => Operation::GetData,
        ZKH_OPERATION_GET_CHILDREN => Operation::GetChildren,
        ZKH_OPERATION_SYNC => Operation::Sync,
        ZKH_OPERATION_PING => Operation::Ping,
        ZKH_OPERATION_SET_WATCHES => Operation::SetWatches,
        ZKH_OPERATION_CLOSE_SESSION => Operation::CloseSession,
        ZKH_OPERATION_OTHER_READ => Operation::OtherRead,
        other => {
            return Err(bad_argument(format!("operation is {other}: it must be one of ZKH_OPERATION_…")));
        }
    })
}

/// Runs the body of an entry that does something to a server.
unsafe fn on(
    function: &'static str,
    server: zkh_server,
    err: *mut *mut zkh_error,
    body: impl FnOnce(&Server) -> Result<()>,
) -> zkh_status {
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status(function, err, || body(&*handles::get::<Server>(server.id)?)) }
}

/// Starts a server on 127.0.0.1, on this port, or on a free one where it is 0. `tick_ms` is its tick in
/// milliseconds, or 0 for 2000: session timeouts lie between 2 and 20 ticks. `*server` is null on failure;
/// otherwise the caller frees it.
/// Any thread. Errors: ZKH_BAD_ADDRESS where it cannot listen there, ZKH_BAD_ARGUMENT, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_server_start(
    port: i32,
    tick_ms: i64,
    server: *mut zkh_server,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(server, "server") }?;
        let port = u16::try_from(port)
            .map_err(|_| bad_argument(format!("port is {port}: it must be from 0 to 65535")))?;
        let started = match u64::try_from(tick_ms) {
            Ok(0) => Server::start(port),
            Ok(tick_ms) => Server::start_with_tick(port, Duration::from_millis(tick_ms)),
            Err(_) => Err(bad_argument(format!("tick_ms is {tick_ms}: it must not be negative"))),
        };
        place.set(zkh_server { id: handles::insert(Arc::new(started?))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_server_start", err, body) }
}

/// Writes the address that clients connect to, "127.0.0.1:port", and a NUL into `buffer`, cut off after
/// `size` bytes in all, and answers with the length of the whole address in bytes, without the NUL; 0 where
/// the handle is dead. `buffer` may be null where `size` is 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_server_address(server: zkh_server, buffer: *mut c_char, size: usize) -> usize {
    value(|| {
        let server = handles::get::<Server>(server.id);
        // SAFETY: null, or `size` bytes of the caller's.
        unsafe { copy_text(server.as_ref().map_or("", |server| server.address()), buffer, size) }
    })
}

/// Stops and frees a server, and everything in it is gone; null is left alone.
/// Any thread. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_server_free(server: zkh_server) -> zkh_status {
    logged("zkh_server_free", || {
        if server.id != 0 {
            handles::remove::<Server>(server.id)?;
        }
        Ok(())
    })
}

/// Cuts the connection that asks for the `n`-th operation of this kind from now on, once; 1 is the next
/// one. `operation` is one of `ZKH_OPERATION_…`, `moment` one of `ZKH_MOMENT_…`.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_server_cut(
    server: zkh_server,
    operation_kind: i32,
    n: i32,
    moment: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = |server: &Server| {
        let n = u32::try_from(n).ok().filter(|n| *n > 0);
        let n = n.ok_or_else(|| bad_argument("n must be 1 or more"))?;
        let moment = match moment {
            ZKH_MOMENT_BEFORE_APPLYING => Moment::BeforeApplying,
            ZKH_MOMENT_AFTER_APPLYING => Moment::AfterApplying,
            other => return Err(bad_argument(format!("moment is {other}: it must be 0 or 1"))),
        };
        server.cut(operation(operation_kind)?, n, moment);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { on("zkh_server_cut", server, err, body) }
}

/// Freezes the server (`frozen` is true) or lets it go on: frozen, it reads nothing, answers nothing and
/// expires nobody. Any thread. Errors: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_server_set_frozen(
    server: zkh_server,
    frozen: bool,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = |server: &Server| {
        if frozen {
            server.freeze();
        } else {
            server.thaw();
        }
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { on("zkh_server_set_frozen", server, err, body) }
}

/// Cuts the server off from an imagined quorum (`isolated` is true) or lets it join again: isolated, it
/// answers pings and reads, and no writes. Any thread. Errors: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_server_set_isolated(
    server: zkh_server,
    isolated: bool,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = |server: &Server| {
        if isolated {
            server.isolate();
        } else {
            server.rejoin();
        }
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { on("zkh_server_set_isolated", server, err, body) }
}

/// Lets the server answer as in-memory connections of Go packages do (`lenient` is true), and no longer as
/// Apache ZooKeeper does: an empty access control list lets anyone do everything, and a node's sequential
/// children are numbered from 1 on. For programs whose tests were written against such a connection.
/// Any thread. Errors: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_server_set_lenient(
    server: zkh_server,
    lenient: bool,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = |server: &Server| {
        server.set_lenient(lenient);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { on("zkh_server_set_lenient", server, err, body) }
}

/// Delays every answer by so many milliseconds from now on.
/// Any thread. Errors: ZKH_BAD_ARGUMENT where it is negative, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_server_set_delay_ms(
    server: zkh_server,
    delay_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = |server: &Server| {
        let delay = u64::try_from(delay_ms)
            .map_err(|_| bad_argument(format!("delay_ms is {delay_ms}: it must not be negative")))?;
        server.set_delay(Duration::from_millis(delay));
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { on("zkh_server_set_delay_ms", server, err, body) }
}

/// Expires a session now.
/// Any thread. Errors: ZKH_SESSION_EXPIRED where there is no such session, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_server_expire(
    server: zkh_server,
    session_id: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { on("zkh_server_expire", server, err, |server| server.expire(session_id)) }
}

/// Lets the next sequential child of the node at `path` have this number.
/// Any thread. Errors: ZKH_NO_NODE, ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_server_set_sequence(
    server: zkh_server,
    path: *const c_char,
    next: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = |server: &Server| {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        server.set_sequence(unsafe { text(path, "path") }?, next)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { on("zkh_server_set_sequence", server, err, body) }
}
