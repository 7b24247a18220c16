//! Transactions that are committed only while a lock is held.

use super::boundary::{UserData, out_object, status};
use super::codes::zkh_status;
use super::error::zkh_error;
use super::handles;
use super::multi::{changes, zkh_multi};
use super::mutex::{MutexHandle, zkh_mutex};
use super::op::zkh_destroy_fn;
use super::result::{zkh_result, zkh_result_fn};
use crate::error::Result;
use crate::proto::MultiOp;
use crate::recipes::mutex::Mutex;
use std::ffi::c_void;

async fn guarded(mutex: Mutex, ops: Vec<MultiOp>) -> Result<zkh_result> {
    mutex.guarded(ops).await.map(zkh_result::of_multi)
}

/// Commits a transaction only while this handle holds the lock: all of its operations or none. The result has
/// one for each operation, in their order (`zkh_result_at`). `result` may be null; `*result` is null on failure;
/// otherwise the caller frees it. It holds as long as nobody but the clients of the lock deletes lock nodes or
/// their parent.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NOT_HELD where this handle holds no lock;
/// ZKH_LOCK_LOST where it was lost: nothing was changed then; of the operation that failed, such as
/// ZKH_BAD_VERSION, with its path: nothing was changed either; ZKH_BAD_ARGUMENT where there is a read in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_guarded(
    mutex: zkh_mutex,
    multi: zkh_multi,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a pointer.
        let place = unsafe { out_object(result) };
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        let ops = changes(multi)?;
        let mutex = handle.mutex.clone();
        let result = handle.on("guarded multi").wait(|_| guarded(mutex, ops))?;
        if let Some(place) = place {
            place.set(result.boxed());
        }
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_guarded", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled. `user_data` is
/// destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_guarded_async(
    mutex: zkh_mutex,
    multi: zkh_multi,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        let ops = changes(multi)?;
        let mutex = handle.mutex.clone();
        handle.on("guarded multi").call(callback, user, None, |_| guarded(mutex, ops))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_guarded_async", err, body) }
}
