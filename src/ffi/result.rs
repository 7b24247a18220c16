//! What an operation answered, as C reads it.

use super::boundary::UserData;
use super::codes::zkh_status;
use super::error::{c_text, zkh_error};
use super::op::Completion;
use super::stat::zkh_stat;
use crate::error::{Code, Result};
use crate::proto::{Acl, ClientInfo, MultiResult, Names, Response, Stat};
use std::ffi::{CString, c_char, c_void};

/// What an operation answered: which of the parts below it has is said at the operation. It is not changed
/// once it is made, so any thread may read it. Whoever received it through a `result` parameter frees it
/// with `zkh_result_free`; one that a callback is shown belongs to the library.
#[derive(Default)]
pub struct zkh_result {
    status: zkh_status,
    path: Option<CString>,
    /// With a NUL behind it, which does not count.
    data: Option<Vec<u8>>,
    stat: Option<Stat>,
    list: List,
    unreadable: Vec<CString>,
}

/// What there may be several of.
#[derive(Default)]
enum List {
    #[default]
    None,
    Names(Vec<CString>),
    Acl(Vec<Entry>),
    Results(Vec<zkh_result>),
}

/// Who may do what.
struct Entry {
    permissions: i32,
    scheme: CString,
    id: CString,
}

/// The completion of an asynchronous call that answers with a result. It is called exactly once if the call
/// returned `ZKH_OK`, and never otherwise, on a thread of the library or, where `zkh_thread_set_linger` asks for it,
/// in the one that made the call; one at a time and in the order of completion for one client. It may be called before the call itself has returned. `result` is null unless `status` is
/// `ZKH_OK`, `error` is null if it is; both belong to the library and are gone when the callback returns.
/// Inside it a function that waits answers `ZKH_WOULD_DEADLOCK`; all others, free among them, are allowed. It
/// must not throw.
pub type zkh_result_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        status: zkh_status,
        result: *const zkh_result,
        error: *const zkh_error,
    ),
>;

impl Completion<zkh_result> for zkh_result_fn {
    fn is_null(&self) -> bool {
        self.is_none()
    }

    fn complete(self, user: UserData, outcome: Result<zkh_result>) {
        let Some(callback) = self else { return };
        let (result, error) = match outcome {
            Ok(result) => (Some(result), None),
            Err(error) => (None, Some(zkh_error::new(&error))),
        };
        let status = error.as_ref().map_or(Code::OK, zkh_error::code).number();
        let result = result.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let error = error.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
        unsafe { callback(user.as_ptr(), status, result, error) };
    }
}

impl zkh_result {
    /// With nothing in it but that it went well.
    pub(super) fn empty() -> Self {
        Self::default()
    }

    /// A path and its status.
    pub(super) fn of_path(path: &str, stat: Option<Stat>) -> Self {
        Self { path: Some(c_text(path)), stat, ..Self::default() }
    }

    /// A status, or none where there is no node.
    pub(super) fn of_stat(stat: Option<Stat>) -> Self {
        Self { stat, ..Self::default() }
    }

    /// Data and a status.
    pub(super) fn of_data(mut data: Vec<u8>, stat: Option<Stat>) -> Self {
        data.push(0);
        Self { data: Some(data), stat, ..Self::default() }
    }

    /// A list of names or paths, in this order.
    pub(super) fn of_names(names: &[impl AsRef<str>], stat: Option<Stat>) -> Self {
        let names = names.iter().map(|name| c_text(name.as_ref())).collect();
        Self { stat, list: List::Names(names), ..Self::default() }
    }

    /// The names of children, in order.
    fn of_children(children: &Names, stat: Option<Stat>) -> Self {
        let mut names: Vec<_> = children.iter().collect();
        names.sort_unstable();
        Self::of_names(&names, stat)
    }

    /// With what is missing because it may not be listed.
    pub(super) fn with_unreadable<'a>(mut self, paths: impl Iterator<Item = &'a str>) -> Self {
        self.unreadable = paths.map(c_text).collect();
        self
    }

    /// An access control list and a status.
    pub(super) fn of_acl(acl: &[Acl], stat: Stat) -> Self {
        let entry = |entry: &Acl| Entry {
            permissions: entry.perms,
            scheme: c_text(&entry.scheme),
            id: c_text(&entry.id),
        };
        Self { stat: Some(stat), list: List::Acl(acl.iter().map(entry).collect()), ..Self::default() }
    }

    fn of_identities(list: &[ClientInfo]) -> Self {
        let entry = |info: &ClientInfo| Entry {
            permissions: 0,
            scheme: c_text(&info.scheme),
            id: c_text(&info.user),
        };
        Self { list: List::Acl(list.iter().map(entry).collect()), ..Self::default() }
    }

    /// The results of several operations, in their order.
    pub(super) fn of_multi(results: Vec<MultiResult>) -> Self {
        let result = |result| match result {
            MultiResult::Create { path } => Self::of_path(&path, None),
            MultiResult::Create2 { path, stat } => Self::of_path(&path, Some(stat)),
            MultiResult::SetData { stat } => Self::of_stat(Some(stat)),
            MultiResult::GetData { data, stat } => Self::of_data(data, Some(stat)),
            MultiResult::GetChildren { mut children } => {
                children.sort_unstable();
                Self::of_names(&children, None)
            }
            MultiResult::Delete | MultiResult::Check => Self::empty(),
            MultiResult::Error(status) => Self { status, ..Self::default() },
        };
        Self { list: List::Results(results.into_iter().map(result).collect()), ..Self::default() }
    }

    /// The answer to a single operation.
    pub(super) fn of_response(response: Response) -> Self {
        match response {
            Response::Create { path } | Response::Path(path) => Self::of_path(&path, None),
            Response::Create2 { path, stat } => Self::of_path(&path, Some(stat)),
            Response::Stat(stat) => Self::of_stat(Some(stat)),
            Response::Data { data, stat } => Self::of_data(data, Some(stat)),
            Response::Acl { acl, stat } => Self::of_acl(&acl, stat),
            Response::Children { children } => Self::of_children(&children, None),
            Response::Children2 { children, stat } => Self::of_children(&children, Some(stat)),
            Response::Ephemerals(mut paths) => {
                paths.sort_unstable();
                Self::of_names(&paths, None)
            }
            Response::Identities(list) => Self::of_identities(&list),
            Response::Multi(results) => Self::of_multi(results),
            Response::Empty | Response::Number(_) | Response::Code(_) => Self::empty(),
        }
    }

    /// For a `result` parameter: the caller frees it.
    pub(super) fn boxed(self) -> *mut Self {
        Box::into_raw(Box::new(self))
    }

    fn entry(&self, index: usize) -> Option<&Entry> {
        match &self.list {
            List::Acl(entries) => entries.get(index),
            _ => None,
        }
    }
}

/// Reads a part of a result, or answers with `none` where the result is null or has no such part.
unsafe fn part<'a, T>(
    result: *const zkh_result,
    none: T,
    part: impl FnOnce(&'a zkh_result) -> Option<T>,
) -> T {
    // SAFETY: null, or a result that the caller has not freed yet, and that lives as long as what is lent of it.
    unsafe { result.as_ref() }.and_then(part).unwrap_or(none)
}

fn pointer(text: &CString) -> *const c_char {
    text.as_ptr()
}

/// How the operation ended: ZKH_OK, but for a result of `zkh_result_at`. Any thread. It cannot fail; ZKH_OK
/// for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_status(result: *const zkh_result) -> zkh_status {
    // SAFETY: null, or a result that the caller has not freed yet.
    unsafe { part(result, Code::OK.number(), |result| Some(result.status)) }
}

/// The path, null where it has none: of a node that was created, with its sequence number. UTF-8; it belongs
/// to the result and lives as long. Any thread. It cannot fail; null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_path(result: *const zkh_result) -> *const c_char {
    // SAFETY: null, or a result that the caller has not freed yet.
    unsafe { part(result, std::ptr::null(), |result| result.path.as_ref().map(pointer)) }
}

/// The data, null where it has none; `*len`, unless `len` is null, takes its length in bytes. Behind them
/// stands a NUL, which does not count, so that a text can be read as it is. The data belongs to the
/// result and lives as long. Any thread. It cannot fail; null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_data(result: *const zkh_result, len: *mut usize) -> *const c_void {
    // SAFETY: null, or a result that the caller has not freed yet.
    let data = unsafe { part(result, None, |result| Some(result.data.as_deref())) };
    if !len.is_null() {
        // SAFETY: a place for a length; what is there is not read.
        unsafe { len.write(data.map_or(0, |data| data.len().saturating_sub(1))) };
    }
    data.map_or(std::ptr::null(), |data| data.as_ptr().cast())
}

/// Writes the node's status to `*stat`, zeros where it has none, and answers whether it has one. `stat` may
/// be null. Any thread. It cannot fail; false for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_stat(result: *const zkh_result, stat: *mut zkh_stat) -> bool {
    // SAFETY: null, or a result that the caller has not freed yet.
    let known = unsafe { part(result, None, |result| Some(result.stat)) };
    if !stat.is_null() {
        // SAFETY: a place for a status; what is there is not read.
        unsafe { stat.write(known.map(zkh_stat::from).unwrap_or_default()) };
    }
    known.is_some()
}

/// Whether there is such a node: what `zkh_client_exists` asks for. Any thread. It cannot fail; false for a
/// null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_exists(result: *const zkh_result) -> bool {
    // SAFETY: null, or a result that the caller has not freed yet; and null.
    unsafe { zkh_result_stat(result, std::ptr::null_mut()) }
}

/// The number of names, of entries, or of results: of what the operation has. Any thread. It cannot fail;
/// 0 for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_count(result: *const zkh_result) -> usize {
    // SAFETY: null, or a result that the caller has not freed yet.
    unsafe {
        part(result, 0, |result| match &result.list {
            List::None => None,
            List::Names(names) => Some(names.len()),
            List::Acl(entries) => Some(entries.len()),
            List::Results(results) => Some(results.len()),
        })
    }
}

/// The name at `index`, from 0 on, in ascending order: of a child, or the path of an ephemeral node; or a path
/// of a tree, in the order that is said there. Null where there is none. UTF-8; it belongs to the result and lives as long. Any thread. It cannot fail; null
/// for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_name(result: *const zkh_result, index: usize) -> *const c_char {
    // SAFETY: null, or a result that the caller has not freed yet.
    unsafe {
        part(result, std::ptr::null(), |result| match &result.list {
            List::Names(names) => names.get(index).map(pointer),
            _ => None,
        })
    }
}

/// The path of the node at `index`, from 0 on, whose children may not be listed, so that matches of
/// `zkh_tree_glob` may be missing; null where there is none. UTF-8; it belongs to the result and lives as long.
/// Any thread. It cannot fail; null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_unreadable(result: *const zkh_result, index: usize) -> *const c_char {
    // SAFETY: null, or a result that the caller has not freed yet.
    unsafe { part(result, std::ptr::null(), |result| result.unreadable.get(index).map(pointer)) }
}

/// The permissions of the entry at `index`, from 0 on: a sum of `ZKH_PERM_…`; 0 where there is none. Any
/// thread. It cannot fail; 0 for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_permissions(result: *const zkh_result, index: usize) -> i32 {
    // SAFETY: null, or a result that the caller has not freed yet.
    unsafe { part(result, 0, |result| result.entry(index).map(|entry| entry.permissions)) }
}

/// The scheme of the entry at `index`, from 0 on, such as "world" or "digest"; null where there is none.
/// UTF-8; it belongs to the result and lives as long. Any thread. It cannot fail; null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_scheme(result: *const zkh_result, index: usize) -> *const c_char {
    // SAFETY: null, or a result that the caller has not freed yet.
    unsafe {
        part(result, std::ptr::null(), |result| result.entry(index).map(|entry| pointer(&entry.scheme)))
    }
}

/// Who the entry at `index`, from 0 on, is about, in the notation of its scheme; null where there is none.
/// UTF-8; it belongs to the result and lives as long. Any thread. It cannot fail; null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_id(result: *const zkh_result, index: usize) -> *const c_char {
    // SAFETY: null, or a result that the caller has not freed yet.
    unsafe { part(result, std::ptr::null(), |result| result.entry(index).map(|entry| pointer(&entry.id))) }
}

/// The result of the operation at `index`, from 0 on, of a transaction or of several reads; null where there
/// is none. It belongs to `result` and lives as long: it is not to be freed. Any thread. It cannot fail;
/// null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_at(result: *const zkh_result, index: usize) -> *const zkh_result {
    // SAFETY: null, or a result that the caller has not freed yet.
    unsafe {
        part(result, std::ptr::null(), |result| match &result.list {
            List::Results(results) => results.get(index).map(std::ptr::from_ref),
            _ => None,
        })
    }
}

/// Frees a result that came through a `result` parameter; a null pointer is left alone. Any thread. It
/// cannot fail.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_result_free(result: *mut zkh_result) {
    if !result.is_null() {
        // SAFETY: it was made by `boxed`, and the caller frees it once.
        drop(unsafe { Box::from_raw(result) });
    }
}
