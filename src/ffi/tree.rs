//! Trees and globs: what is done to many nodes by one call.

use super::acl::{acl, zkh_acl};
use super::boundary::{UserData, bad_argument, bytes, out_object, out_or_null, status, text, value};
use super::client::{ClientHandle, zkh_client};
use super::codes::zkh_status;
use super::error::zkh_error;
use super::handles;
use super::op::{Cancel, Completion, zkh_destroy_fn, zkh_done_fn, zkh_op};
use super::result::{zkh_result, zkh_result_fn};
use crate::error::{Code, Result};
use crate::proto::{Acl, CreateMode};
use crate::recipes::pattern;
use crate::recipes::tree::Tree;
use crate::zk::BoxFuture;
use std::ffi::{c_char, c_void};

/// The work of one call, and what it is about.
struct Work<T> {
    doing: &'static str,
    path: Option<String>,
    run: Box<dyn FnOnce(Tree) -> BoxFuture<Result<T>> + Send>,
}

impl<T: Send + 'static> Work<T> {
    fn new<F: Future<Output = Result<T>> + Send + 'static>(
        doing: &'static str,
        path: Option<&str>,
        run: impl FnOnce(Tree) -> F + Send + 'static,
    ) -> Self {
        let run = Box::new(move |tree| -> BoxFuture<Result<T>> { Box::pin(run(tree)) });
        Self { doing, path: path.map(str::to_owned), run }
    }

    fn start(self, tree: Tree, mut cancel: Cancel) -> impl Future<Output = Result<T>> + Send + 'static {
        let work = (self.run)(tree);
        async move {
            tokio::select! {
                biased;
                outcome = work => outcome,
                // What was sent by then may have its effect.
                () = cancel.cancelled() => Err(Code::CANCELLED.into()),
            }
        }
    }
}

fn wait<T: Send + 'static>(client: zkh_client, work: impl FnOnce() -> Result<Work<T>>) -> Result<T> {
    let handle = handles::get::<ClientHandle>(client.id)?;
    let work = work()?;
    let (doing, path, tree) = (work.doing, work.path.clone(), Tree::new(&handle.client));
    handle.on_path(doing, path.as_deref()).wait_apart(|cancel| work.start(tree, cancel))
}

unsafe fn wait_result(
    client: zkh_client,
    result: *mut *mut zkh_result,
    work: impl FnOnce() -> Result<Work<zkh_result>>,
) -> Result<()> {
    // SAFETY: null, or a place for a pointer.
    let place = unsafe { out_object(result) };
    let result = wait(client, work)?;
    if let Some(place) = place {
        place.set(result.boxed());
    }
    Ok(())
}

unsafe fn call<T: Send + 'static>(
    client: zkh_client,
    callback: impl Completion<T>,
    user: UserData,
    op: *mut zkh_op,
    work: impl FnOnce() -> Result<Work<T>>,
) -> Result<()> {
    // SAFETY: null, or a place for a handle.
    let op = unsafe { out_or_null(op) };
    let handle = handles::get::<ClientHandle>(client.id)?;
    let work = work()?;
    let (doing, path, tree) = (work.doing, work.path.clone(), Tree::new(&handle.client));
    handle
        .on_path(doing, path.as_deref())
        .call(callback, user, op.as_ref(), |cancel| work.start(tree, cancel))
}

/// A node that is to be made.
struct New {
    path: String,
    data: Vec<u8>,
    mode: CreateMode,
    acl: Vec<Acl>,
}

unsafe fn new(
    path: *const c_char,
    data: *const c_void,
    len: usize,
    mode: i32,
    access: *const zkh_acl,
) -> Result<New> {
    // SAFETY: null, or what the caller leaves alone meanwhile.
    let (path, data) = unsafe { (text(path, "path")?.to_owned(), bytes(data, len, "data")?.to_owned()) };
    let mode = CreateMode::from_flags(mode)
        .ok_or_else(|| bad_argument(format!("mode is {mode}: it must be one of ZKH_CREATE_…")))?;
    // SAFETY: null, or a handle of the caller's.
    Ok(New { path, data, mode, acl: unsafe { acl(access) }? })
}

unsafe fn create(
    path: *const c_char,
    data: *const c_void,
    len: usize,
    mode: i32,
    access: *const zkh_acl,
) -> Result<Work<zkh_result>> {
    // SAFETY: null, or what the caller leaves alone meanwhile.
    let new = unsafe { new(path, data, len, mode, access) }?;
    let path = new.path.clone();
    Ok(Work::new("create tree", Some(&path), move |tree| async move {
        let path = tree.create(&new.path, &new.data, &new.acl, new.mode).await?;
        Ok(zkh_result::of_path(&path, None))
    }))
}

/// Creates a node, and those of its parents that are missing. The node is created first, and its parents only
/// if the server says that one is missing: plain, persistent and empty, whatever `mode` says, all of them in one
/// flight. They get the list `access` too, except that who has ADMIN in it gets all permissions on them.
/// `mode` is one of `ZKH_CREATE_…`, but none with a time to live. A null pointer for `access` lets anyone do everything. The
/// result has the node's path. `result` may be null; `*result` is null on failure; otherwise the caller
/// frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NODE_EXISTS; ZKH_INVALID_ACL where parents
/// are missing and nobody could create nodes below them; ZKH_NO_AUTH; ZKH_NO_NODE where parents vanish as fast as
/// they are made or the chroot is missing. An answer that was lost is settled by creating again;
/// ZKH_OUTCOME_UNKNOWN says that a node is there and nobody knows who made it, or that it is sequential.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_tree_create(
    client: zkh_client,
    path: *const c_char,
    data: *const c_void,
    len: usize,
    mode: i32,
    access: *const zkh_acl,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let work = || unsafe { create(path, data, len, mode, access) };
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, work) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_tree_create", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by: what was sent by then may have its effect. `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_tree_create_async(
    client: zkh_client,
    path: *const c_char,
    data: *const c_void,
    len: usize,
    mode: i32,
    access: *const zkh_acl,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let work = || unsafe { create(path, data, len, mode, access) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, work) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_tree_create_async", err, body) }
}

unsafe fn create_or_update(
    path: *const c_char,
    data: *const c_void,
    len: usize,
    mode: i32,
    access: *const zkh_acl,
    recursive: bool,
) -> Result<Work<zkh_result>> {
    // SAFETY: null, or what the caller leaves alone meanwhile.
    let new = unsafe { new(path, data, len, mode, access) }?;
    let path = new.path.clone();
    Ok(Work::new("create or update", Some(&path), move |tree| async move {
        let made = tree.create_or_update(&new.path, &new.data, &new.acl, new.mode, recursive).await?;
        Ok(zkh_result::of_path(&made, None))
    }))
}

/// Creates a node, or sets its data where it is there; `mode` and `access` are for a node that has to be
/// created, and where `recursive` is true its missing parents are made as `zkh_tree_create` makes them. The result
/// has the node's path. `result` may be null; `*result` is null on failure; otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: those of `zkh_tree_create`, without ZKH_NODE_EXISTS. An answer that was
/// lost is settled by doing it again; only a sequential node stays ZKH_OUTCOME_UNKNOWN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_tree_create_or_update(
    client: zkh_client,
    path: *const c_char,
    data: *const c_void,
    len: usize,
    mode: i32,
    access: *const zkh_acl,
    recursive: bool,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let work = || unsafe { create_or_update(path, data, len, mode, access, recursive) };
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, work) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_tree_create_or_update", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by: what was sent by then may have its effect. `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_tree_create_or_update_async(
    client: zkh_client,
    path: *const c_char,
    data: *const c_void,
    len: usize,
    mode: i32,
    access: *const zkh_acl,
    recursive: bool,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let work = || unsafe { create_or_update(path, data, len, mode, access, recursive) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, work) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_tree_create_or_update_async", err, body) }
}

unsafe fn children(path: *const c_char) -> Result<Work<zkh_result>> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    let path = unsafe { text(path, "path") }?.to_owned();
    let about = path.clone();
    Ok(Work::new("children of tree", Some(&about), |tree| async move {
        Ok(zkh_result::of_names(&tree.children(&path).await?, None))
    }))
}

/// Lists everything below a node. The result has the paths as names, relative to the node and sorted as bytes. Nodes
/// that vanish meanwhile are left out. It takes a request for each node, with many under way at once.
/// `result` may be null; `*result` is null on failure; otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_NODE; ZKH_NO_AUTH where one of the nodes may not
/// be listed: a list is complete or none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_tree_children(
    client: zkh_client,
    path: *const c_char,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    // SAFETY: null, or a text that the caller leaves alone meanwhile, and a place for a pointer.
    let body = || unsafe { wait_result(client, result, || children(path)) };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_tree_children", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_tree_children_async(
    client: zkh_client,
    path: *const c_char,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    // SAFETY: null, or a text that the caller leaves alone meanwhile, and a place for a handle.
    let body = || unsafe { call(client, callback, user, op, || children(path)) };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_tree_children_async", err, body) }
}

unsafe fn delete(path: *const c_char, version: i32) -> Result<Work<i64>> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    let path = unsafe { text(path, "path") }?.to_owned();
    let about = path.clone();
    Ok(Work::new("delete tree", Some(&about), move |tree| async move {
        tree.delete(&path, version).await.map(|()| 0)
    }))
}

/// Deletes a node and everything below it: it is gone when this returns ZKH_OK. `version` is that of the node's
/// own data, -1 for any; once the data has another version, nothing is deleted any more, also below it.
/// No access control list is touched. After a failure what was deleted is gone, and what was not is as it was.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_NODE where it is not there to begin
/// with; ZKH_BAD_VERSION; ZKH_NO_AUTH; ZKH_NOT_EMPTY where others create nodes below it for ten rounds on end.
/// An answer that was lost is settled by deleting again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_tree_delete(
    client: zkh_client,
    path: *const c_char,
    version: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    let body = || wait(client, || unsafe { delete(path, version) }).map(drop);
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_tree_delete", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by: what was sent by then may have its effect. `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_tree_delete_async(
    client: zkh_client,
    path: *const c_char,
    version: i32,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    // SAFETY: null, or a text that the caller leaves alone meanwhile, and a place for a handle.
    let body = || unsafe { call(client, callback, user, op, || delete(path, version)) };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_tree_delete_async", err, body) }
}

unsafe fn glob(patterns: *const *const c_char, count: usize) -> Result<Work<zkh_result>> {
    if patterns.is_null() && count > 0 {
        return Err(bad_argument("patterns is a null pointer"));
    }
    let mut texts = Vec::new();
    for at in 0..count {
        // SAFETY: `count` pointers of the caller's, each null or a text that is left alone meanwhile.
        texts.push(unsafe { text(*patterns.add(at), "one of patterns") }?.to_owned());
    }
    Ok(Work::new("glob", None, |tree| async move {
        let found = tree.glob(&texts).await?;
        let unreadable = found.unreadable.iter().filter_map(|error| error.path());
        Ok(zkh_result::of_names(&found.paths, None).with_unreadable(unreadable))
    }))
}

/// Finds the existing paths that patterns stand for: `*` is any part of a name, `?` one character, `[a-z]` one of a
/// class, `[^a]` one outside it, and a backslash takes the next character as it is, as Go's path.Match has it.
/// `patterns` points to `count` texts. A path without a wildcard is returned without being looked for; where a
/// directory does not exist there are no matches. The result has the paths as names, for each pattern in turn and sorted as
/// bytes for each, and tells by `zkh_result_unreadable` what is missing. `result` may be null; `*result` is null on
/// failure; otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_BAD_ARGUMENT for a malformed pattern, which is
/// named, and ZKH_BAD_PATH for one that no path can be, before anything is sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_tree_glob(
    client: zkh_client,
    patterns: *const *const c_char,
    count: usize,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    // SAFETY: texts that the caller leaves alone meanwhile, and null or a place for a pointer.
    let body = || unsafe { wait_result(client, result, || glob(patterns, count)) };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_tree_glob", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_tree_glob_async(
    client: zkh_client,
    patterns: *const *const c_char,
    count: usize,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    // SAFETY: texts that the caller leaves alone meanwhile, and null or a place for a handle.
    let body = || unsafe { call(client, callback, user, op, || glob(patterns, count)) };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_tree_glob_async", err, body) }
}

/// Whether a path has a wildcard: `*`, `?` or `[` without a backslash before it. A lone backslash at its end
/// counts as one. False for a null pointer and for what is not UTF-8. Any thread. It cannot fail.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_path_has_wildcard(path: *const c_char) -> bool {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    value(|| Ok(pattern::has_wildcard(unsafe { text(path, "path") }?)))
}
