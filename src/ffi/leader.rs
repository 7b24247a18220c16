//! Who leads an election, as its record says.

use super::boundary::out_or_null;
use super::boundary::{UserData, out_object, status};
use super::codes::zkh_status;
use super::dispatcher::listen;
use super::elector::{ElectorHandle, zkh_elector};
use super::error::zkh_error;
use super::handles;
use super::op::{Completion, zkh_destroy_fn, zkh_op};
use crate::error::{Code, Result};
use crate::recipes::elector::{Leader, Standing};
use std::ffi::{c_char, c_void};

/// The record's leader leads: its candidate's node is there.
pub const ZKH_STANDING_LEADING: i32 = 1;
/// The record's leader is gone: nobody leads until the next record is written.
pub const ZKH_STANDING_GONE: i32 = 2;
/// The record was written by another library, and does not say which candidate wrote it.
pub const ZKH_STANDING_UNKNOWN: i32 = 3;

/// What a leader's record says. It is not changed once it is made, so any thread may read it. Whoever
/// received it through a `leader` parameter frees it with `zkh_leader_free`; one that a callback is shown
/// belongs to the library.
pub struct zkh_leader {
    leader: Leader,
    /// With a NUL behind it, which does not count.
    data: Vec<u8>,
}

impl zkh_leader {
    fn new(mut leader: Leader) -> Self {
        let mut data = std::mem::take(&mut leader.data);
        data.push(0);
        Self { leader, data }
    }
}

/// Who leads, as the completion of a call, which is called as `zkh_done_fn` is, and as news, on a thread of the library.
/// `leader` is null where nobody ever led, and where `status` is not `ZKH_OK`; `error` is null unless it
/// is. Both belong to the library and are gone when the callback returns. What waits is refused in it with
/// `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_leader_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        status: zkh_status,
        leader: *const zkh_leader,
        error: *const zkh_error,
    ),
>;

impl Completion<Option<Leader>> for zkh_leader_fn {
    fn is_null(&self) -> bool {
        self.is_none()
    }

    fn complete(self, user: UserData, outcome: Result<Option<Leader>>) {
        tell(self, &user, outcome);
    }
}

fn tell(callback: zkh_leader_fn, user: &UserData, outcome: Result<Option<Leader>>) {
    let Some(callback) = callback else { return };
    let (leader, error) = match outcome {
        Ok(leader) => (leader.map(zkh_leader::new), None),
        Err(error) => (None, Some(zkh_error::new(&error))),
    };
    let status = error.as_ref().map_or(Code::OK, zkh_error::code).number();
    let leader = leader.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let error = error.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
    unsafe { callback(user.as_ptr(), status, leader, error) };
}

/// Who leads, as its record says and its candidate's node confirms. `*leader` is null where nobody ever
/// led, and on failure; otherwise the caller frees it. `leader` may be null.
/// Any thread, not in callbacks. Errors: the server's; ZKH_CLOSED, ZKH_BAD_HANDLE, ZKH_FORKED,
/// ZKH_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_leader(
    elector: zkh_elector,
    leader: *mut *mut zkh_leader,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a pointer.
        let place = unsafe { out_object(leader) };
        let handle = handles::get::<ElectorHandle>(elector.id)?;
        let elector = handle.elector.clone();
        let found = handle.on("leader").wait(|_| async move { elector.leader().await })?;
        if let (Some(place), Some(found)) = (place, found) {
            place.set(Box::into_raw(Box::new(zkh_leader::new(found))));
        }
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_leader", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled; `op` may be null.
/// `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED,
/// ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_leader_async(
    elector: zkh_elector,
    callback: zkh_leader_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        // SAFETY: null, or a place for a handle.
        let op = unsafe { out_or_null(op) };
        let handle = handles::get::<ElectorHandle>(elector.id)?;
        let elector = handle.elector.clone();
        handle.on("leader").call(callback, user, op.as_ref(), |_| async move { elector.leader().await })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_leader_async", err, body) }
}

/// Sets the callback for who leads, in place of the one before; a null callback sets none. It is called for
/// the present leader first and for every change after that; changes in quick succession are told as
/// one. An error that does not pass is told and ends it. The one before is not called any more when this returns,
/// except inside a callback. `user_data` is destroyed by `destroy`, which may be null, once the callback is
/// replaced or the elector is freed. One need not be a candidate to be told.
/// Any thread, also in callbacks. Errors: ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_on_leader(
    elector: zkh_elector,
    callback: zkh_leader_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        let handle = handles::get::<ElectorHandle>(elector.id)?;
        let new = callback.is_some().then(|| {
            let (zk, dispatcher) = (handle.client.client.zk(), &handle.client.dispatcher);
            listen(zk, dispatcher, handle.elector.leaders(), user, move |user, told: &Result<_>| {
                tell(callback, user, told.clone());
            })
        });
        handle.on_leader.replace(&handle.gate, new.transpose()?);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_on_leader", err, body) }
}

/// Reads a part of a leader, or answers with its zero for a null pointer.
unsafe fn part<T: Default>(leader: *const zkh_leader, part: impl FnOnce(&zkh_leader) -> T) -> T {
    // SAFETY: null, or a leader that the caller has not freed yet.
    unsafe { leader.as_ref() }.map(part).unwrap_or_default()
}

/// The leader's fencing token; 0 in a record that another library wrote, and for a null pointer. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_leader_token(leader: *const zkh_leader) -> i64 {
    // SAFETY: as our caller's.
    unsafe { part(leader, |leader| leader.leader.token.unwrap_or_default()) }
}

/// Whether the record's leader still leads, one of `ZKH_STANDING_…`; 0 for a null pointer. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_leader_standing(leader: *const zkh_leader) -> i32 {
    let standing = |leader: &zkh_leader| match leader.leader.standing {
        Standing::Leading => ZKH_STANDING_LEADING,
        Standing::Gone => ZKH_STANDING_GONE,
        Standing::Unknown => ZKH_STANDING_UNKNOWN,
    };
    // SAFETY: as our caller's.
    unsafe { part(leader, standing) }
}

/// When the record was written, by the server's clock, in milliseconds since 1970; 0 for a null pointer. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_leader_since_ms(leader: *const zkh_leader) -> i64 {
    // SAFETY: as our caller's.
    unsafe { part(leader, |leader| leader.leader.stat.mtime) }
}

/// The record: a JSON object, if this library wrote it, with hostname, pid, desc, id, token, candidate and
/// the leader's own keys. `*len`, where `len` is not null, is its length in bytes; a NUL is behind it. It
/// belongs to the leader and lives as long. Null for a null pointer. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_leader_data(leader: *const zkh_leader, len: *mut usize) -> *const c_char {
    // SAFETY: null, or a leader that the caller has not freed yet.
    let leader = unsafe { leader.as_ref() };
    // SAFETY: null, or a place for a number.
    if let Some(len) = unsafe { out_or_null(len) } {
        len.set(leader.map_or(0, |leader| leader.data.len().saturating_sub(1)));
    }
    leader.map_or(std::ptr::null(), |leader| leader.data.as_ptr().cast())
}

/// Frees a leader that was received through a `leader` parameter, once; null is left alone. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_leader_free(leader: *mut zkh_leader) {
    if !leader.is_null() {
        // SAFETY: made by `Box::into_raw`, and the caller frees it once.
        drop(unsafe { Box::from_raw(leader) });
    }
}
