//! Sequences of calls over the C ABI: any function, in any order, with any handle, from several threads and inside
//! callbacks. Pointers are null or good; everything else is as wrong as the input likes.
//!
//! Checked after each call: a failure has an error that says the same, outputs are null on failure, and no id is
//! given out twice. Checked at the end: every completion came once, every `user_data` was destroyed once.

use crate::Bytes;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use zkhelper::embedded::Server;

/// One of the library's handles.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(u64);

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Stat([i64; 8], [i32; 6]);

type DestroyFn = unsafe extern "C" fn(*mut c_void);
type DoneFn = unsafe extern "C" fn(*mut c_void, i32, i64, *const c_void);
type ResultFn = unsafe extern "C" fn(*mut c_void, i32, *const c_void, *const c_void);
type ContendersFn = ResultFn;
type LeaderFn = ResultFn;
type StateFn = unsafe extern "C" fn(*mut c_void, i32, i64, i64, *const c_void);
type WatchFn = unsafe extern "C" fn(*mut c_void, i32, *const c_char);
type LendFn = unsafe extern "C" fn(*mut c_void, Handle, *const c_void);
type LostFn = unsafe extern "C" fn(*mut c_void, i64, i32);
type DeposedFn = LostFn;
type RevokeFn = unsafe extern "C" fn(*mut c_void, i64, *const c_char);
type TaskStopFn = LostFn;
type ElectedFn = unsafe extern "C" fn(*mut c_void, i64, i64);
type OverdueFn = unsafe extern "C" fn(*mut c_void, i64);
type TermFn = unsafe extern "C" fn(*mut c_void, Handle, i64, i64);
type PidFn = unsafe extern "C" fn(*mut c_void, i32, i32, *const c_void);
type LogFn = unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char);

/// Makes one call, with arguments from the input.
type Caller = fn(&mut Call<'_>);

mod functions {
    use super::*;
    include!(concat!(env!("OUT_DIR"), "/calls.rs"));
}
use functions::FUNCTIONS;

// What the engine itself needs, beside what it tries; there every pointer is one to anything.
#[allow(clashing_extern_declarations)]
unsafe extern "C" {
    fn zkh_error_code(error: *const c_void) -> i32;
    fn zkh_error_message(error: *const c_void) -> *const c_char;
    fn zkh_error_free(error: *mut c_void);
    fn zkh_result_free(result: *mut c_void);
    fn zkh_leader_free(leader: *mut c_void);
    fn zkh_contenders_free(contenders: *mut c_void);
    fn zkh_client_options_set_session_timeout_ms(options: Handle, ms: i64, err: *mut c_void) -> i32;
    fn zkh_client_options_set_connect_timeout_ms(options: Handle, ms: i64, err: *mut c_void) -> i32;
    fn zkh_client_options_set_operation_timeout_ms(options: Handle, ms: i64, err: *mut c_void) -> i32;
    fn zkh_term_end(term: Handle, outcome: i32, err: *mut c_void) -> i32;
    fn zkh_call_fail(call: Handle, reason: i32, err: *mut c_void) -> i32;
    fn zkh_log_set_callback(
        level: i32,
        callback: *mut c_void,
        data: *mut c_void,
        destroy: *mut c_void,
        err: *mut c_void,
    ) -> i32;
    fn zkh_thread_set_linger(timeout_ms: i64, err: *mut c_void) -> i32;
    fn zkh_server_set_frozen(server: Handle, frozen: bool, err: *mut c_void) -> i32;
    fn zkh_server_set_isolated(server: Handle, isolated: bool, err: *mut c_void) -> i32;
    fn zkh_server_free(server: Handle) -> i32;
    fn zkh_client_free(client: Handle) -> i32;
    fn zkh_mutex_free(mutex: Handle) -> i32;
    fn zkh_elector_free(elector: Handle) -> i32;
    fn zkh_queue_lock_free(lock: Handle) -> i32;
    fn zkh_pid_node_free(node: Handle) -> i32;
    fn zkh_watch_free(watch: Handle) -> i32;
    fn zkh_multi_free(multi: Handle) -> i32;
    fn zkh_acl_free(acl: Handle) -> i32;
    fn zkh_lend_free(lend: Handle) -> i32;
    fn zkh_client_options_free(options: Handle) -> i32;
    fn zkh_mutex_options_free(options: Handle) -> i32;
    fn zkh_elector_options_free(options: Handle) -> i32;
    fn zkh_queue_lock_options_free(options: Handle) -> i32;
    fn zkh_pid_node_options_free(options: Handle) -> i32;
}

type Free = unsafe extern "C" fn(Handle) -> i32;
/// What is freed at the end, in this order: what works first, servers last.
const FREES: [(&str, Free); 15] = [
    ("watch", zkh_watch_free),
    ("mutex", zkh_mutex_free),
    ("elector", zkh_elector_free),
    ("queue_lock", zkh_queue_lock_free),
    ("pid_node", zkh_pid_node_free),
    ("client", zkh_client_free),
    ("lend", zkh_lend_free),
    ("multi", zkh_multi_free),
    ("acl", zkh_acl_free),
    ("client_options", zkh_client_options_free),
    ("mutex_options", zkh_mutex_options_free),
    ("elector_options", zkh_elector_options_free),
    ("queue_lock_options", zkh_queue_lock_options_free),
    ("pid_node_options", zkh_pid_node_options_free),
    ("server", zkh_server_free),
];

const BAD_HANDLE: i32 = -1001;
/// Ends an input that hangs.
const LIMIT: Duration = Duration::from_secs(50);
/// How many calls an input makes at most, in all threads and callbacks together.
const CALLS: usize = 200;

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock()
}

/// Something that a pointer was given for, freed with the last who uses it.
struct Object {
    kind: &'static str,
    pointer: usize,
    /// The call that it was given to frees it.
    given_up: AtomicBool,
}

impl Object {
    fn new(kind: &'static str, pointer: usize) -> Arc<Self> {
        Arc::new(Self { kind, pointer, given_up: AtomicBool::new(false) })
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if *self.given_up.get_mut() {
            return;
        }
        let free = match self.kind {
            "error" => zkh_error_free,
            "result" => zkh_result_free,
            "leader" => zkh_leader_free,
            _ => zkh_contenders_free,
        };
        // SAFETY: the library gave it, nobody uses it any more, and it was not given up.
        unsafe { free(self.pointer as *mut c_void) };
    }
}

/// A `user_data`: what came of it.
struct Ticket {
    scene: Arc<Scene>,
    function: &'static str,
    /// Whether its callback is a completion.
    once: bool,
    accepted: AtomicBool,
    refused: AtomicBool,
    has_destroy: AtomicBool,
    calls: AtomicUsize,
    destroyed: AtomicUsize,
    /// What the callback does further.
    inside: Mutex<Vec<u8>>,
    term: Mutex<Option<Handle>>,
}

/// What one input has made.
#[derive(Default)]
struct Scene {
    /// By kind: every handle there ever was.
    handles: Mutex<Vec<(&'static str, Handle)>>,
    known: Mutex<BTreeSet<u64>>,
    objects: Mutex<Vec<Arc<Object>>>,
    tickets: Mutex<Vec<Arc<Ticket>>>,
    calls: AtomicUsize,
    /// The last status of a call, for whoever looks into a failure.
    last: AtomicI32,
}

/// One call under way: what its pointers point to.
pub struct Call<'a> {
    scene: &'a Arc<Scene>,
    bytes: &'a mut Bytes<'a>,
    function: &'static str,
    texts: Vec<CString>,
    lists: Vec<Vec<*const c_char>>,
    // Pointers go into them: they must not move.
    #[allow(clippy::vec_box)]
    cells: Vec<Box<[u64; 16]>>,
    #[allow(clippy::vec_box)]
    stats: Vec<Box<[Stat; 4]>>,
    lengths: Option<usize>,
    borrowed: Vec<Arc<Object>>,
    given_up: Option<Arc<Object>>,
    ticket: Option<Arc<Ticket>>,
    tickets: Vec<Arc<Ticket>>,
    error: Option<usize>,
    outs: Vec<(&'static str, usize)>,
    new_handles: Vec<(&'static str, usize)>,
}

const PATHS: [&str; 16] = [
    "/a",
    "/a/b",
    "/lock",
    "/election",
    "/queue",
    "/pid",
    "/",
    "/a/lock-0000000001",
    "",
    "a",
    "/a/",
    "//",
    "/a//b",
    "/zookeeper",
    "/\u{1}",
    "/*/b",
];
const NAMES: [&str; 6] = ["lock-0000000000", "lock-0000000001", "x", "", "a/b", "lock-"];
const JSONS: [&str; 6] = ["{}", "{\"a\":1}", "[]", "{", "", "{\"id\":\"x\",\"desc\":{}}"];
const WORDS: [&str; 8] = ["world", "anyone", "digest", "auth", "ip", "a:b", "", "127.0.0.1"];

/// The server that stays: what is frozen is one of those that an input starts.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start_with_tick(0, Duration::from_millis(50)).expect("a port"))
}

impl<'a> Call<'a> {
    fn new(scene: &'a Arc<Scene>, bytes: &'a mut Bytes<'a>, function: &'static str) -> Self {
        Self {
            scene,
            bytes,
            function,
            texts: Vec::new(),
            lists: Vec::new(),
            cells: Vec::new(),
            stats: Vec::new(),
            lengths: None,
            borrowed: Vec::new(),
            given_up: None,
            ticket: None,
            tickets: Vec::new(),
            error: None,
            outs: Vec::new(),
            new_handles: Vec::new(),
        }
    }

    /// Mostly one of its kind, alive or not; sometimes of another kind, null or invented.
    fn handle(&mut self, kind: &'static str) -> Handle {
        let handles = lock(&self.scene.handles);
        let own: Vec<_> = handles.iter().filter(|(of, _)| *of == kind).map(|(_, handle)| *handle).collect();
        match self.bytes.byte() {
            0 => Handle(0),
            1 => Handle(self.bytes.word()),
            2 if !handles.is_empty() => handles[self.bytes.below(handles.len())].1,
            at if !own.is_empty() => own[own.len() - 1 - usize::from(at) % own.len()],
            _ => Handle(0),
        }
    }

    fn cell(&mut self) -> *mut c_void {
        self.cells.push(Box::new([0; 16]));
        self.cells.last_mut().map_or(ptr::null_mut(), |cell| cell.as_mut_ptr().cast())
    }

    fn handle_in(&mut self, kind: &'static str) -> *mut c_void {
        let handle = self.handle(kind);
        // Default options are patient: where a server is frozen this would take long.
        if (handle.0 == 0 || self.bytes.below(8) == 0) && kind != "client_options" {
            return ptr::null_mut();
        }
        let cell = self.cell();
        // SAFETY: the cell has room for it.
        unsafe { cell.cast::<Handle>().write(handle) };
        cell
    }

    fn handle_out(&mut self, kind: &'static str) -> *mut c_void {
        if self.bytes.byte() == 0 && kind != "op" {
            return ptr::null_mut();
        }
        let cell = self.cell();
        self.new_handles.push((kind, cell as usize));
        cell
    }

    fn error_out(&mut self) -> *mut c_void {
        if self.bytes.below(8) == 0 {
            return ptr::null_mut();
        }
        let cell = self.cell();
        self.error = Some(cell as usize);
        cell
    }

    fn object_out(&mut self, kind: &'static str) -> *mut c_void {
        if self.bytes.below(8) == 0 {
            return ptr::null_mut();
        }
        let cell = self.cell();
        self.outs.push((kind, cell as usize));
        cell
    }

    fn object(&mut self, kind: &'static str) -> *mut c_void {
        let objects = lock(&self.scene.objects);
        let own: Vec<_> = objects.iter().filter(|object| object.kind == kind).collect();
        if own.is_empty() || self.bytes.byte() == 0 {
            return ptr::null_mut();
        }
        let object = Arc::clone(own[self.bytes.below(own.len())]);
        let pointer = object.pointer;
        drop(objects);
        self.borrowed.push(object);
        pointer as *mut c_void
    }

    /// An object that the call frees: nobody else may use it meanwhile or later.
    fn given_up(&mut self, kind: &'static str) -> *mut c_void {
        let mut objects = lock(&self.scene.objects);
        let mut free = |object: &mut Arc<Object>| object.kind == kind && Arc::get_mut(object).is_some();
        let Some(at) = objects.iter_mut().position(&mut free) else { return ptr::null_mut() };
        let object = objects.swap_remove(at);
        let pointer = object.pointer;
        self.given_up = Some(object);
        pointer as *mut c_void
    }

    fn text(&mut self, name: &str) -> *mut c_void {
        let text = match name {
            "address" => match self.bytes.below(8) {
                0 => "127.0.0.1:0".to_owned(),
                1 => String::new(),
                2 => "a,b:x".to_owned(),
                3 => format!("{}/a", server().address()),
                _ => server().address().to_owned(),
            },
            "json" => (*self.bytes.choose(&JSONS)).to_owned(),
            "name" | "pattern" | "description" | "reason" | "prefix" => {
                (*self.bytes.choose(&NAMES)).to_owned()
            }
            "scheme" | "id" => (*self.bytes.choose(&WORDS)).to_owned(),
            _ => (*self.bytes.choose(&PATHS)).to_owned(),
        };
        let odd = self.bytes.byte();
        let text = match odd {
            0 => return ptr::null_mut(),
            1 => CString::from(c"\xff\xfe/"),
            _ => CString::new(text).unwrap_or_default(),
        };
        let pointer = text.as_ptr();
        self.texts.push(text);
        pointer.cast_mut().cast()
    }

    fn texts(&mut self, name: &str) -> *mut c_void {
        let list = (0..4).map(|_| self.text(name).cast_const().cast()).collect::<Vec<*const c_char>>();
        let pointer = list.as_ptr();
        self.lists.push(list);
        self.lengths = Some(self.bytes.below(5));
        pointer.cast_mut().cast()
    }

    fn text_out(&mut self) -> *mut c_void {
        self.cell()
    }

    fn number_out(&mut self) -> *mut c_void {
        if self.bytes.byte() == 0 { ptr::null_mut() } else { self.cell() }
    }

    fn stat_out(&mut self) -> *mut c_void {
        self.stats()
    }

    fn stats(&mut self) -> *mut c_void {
        if self.bytes.below(8) == 0 {
            return ptr::null_mut();
        }
        let value = i64::from(self.bytes.byte());
        self.stats.push(Box::new([Stat([value; 8], [1; 6]); 4]));
        self.stats.last_mut().map_or(ptr::null_mut(), |stats| stats.as_mut_ptr().cast())
    }

    fn statuses(&mut self) -> *mut c_void {
        let cell = self.cell();
        for at in 0..4 {
            let status = *self.bytes.choose(&[0, 0, -101, -2, 1, i32::MIN]);
            // SAFETY: the cell has room for many more.
            unsafe { cell.cast::<i32>().add(at).write(status) };
        }
        cell
    }

    fn buffer(&mut self) -> *mut c_void {
        if self.bytes.below(8) == 0 {
            self.lengths = Some(0);
            return ptr::null_mut();
        }
        self.lengths = Some(self.bytes.below(129));
        self.cell()
    }

    fn data(&mut self) -> *mut c_void {
        // A null pointer with a length is refused, as is a length beyond all memory.
        if self.bytes.below(8) == 0 {
            self.lengths = Some(self.bytes.below(5));
            return ptr::null_mut();
        }
        let length = self.bytes.below(128);
        let taken = self.bytes.take(length);
        let cell = self.cell();
        // SAFETY: a cell is longer than what is taken.
        unsafe { ptr::copy_nonoverlapping(taken.as_ptr(), cell.cast(), taken.len()) };
        self.lengths = Some(taken.len());
        cell
    }

    fn size(&mut self, _name: &str) -> usize {
        let index = [0, 1, 2, 3, 1000, usize::MAX][self.bytes.below(6)];
        self.lengths.take().unwrap_or(index)
    }

    fn int64(&mut self, name: &str) -> i64 {
        let waits = !self.function.ends_with("_async");
        if name == "timeout_ms" && waits {
            return *self.bytes.choose(&[0, 1, 5, 20, -2, i64::MIN]);
        }
        if name.ends_with("_ms") {
            let long = if name == "timeout_ms" { -1 } else { 300 };
            return *self.bytes.choose(&[0, 1, 50, 100, 300, -1, -2, long]);
        }
        *self.bytes.choose(&[0, 1, -1, 100, i64::MIN, i64::MAX])
    }

    fn int32(&mut self, name: &str) -> i32 {
        if name == "abort" {
            // 1 would abort this process.
            return *self.bytes.choose(&[0, 2, -1]);
        }
        if name == "port" {
            return *self.bytes.choose(&[0, 0, 0, -1, 65_536]);
        }
        match self.bytes.byte() {
            255 => i32::MIN,
            254 => i32::MAX,
            small => i32::from(small % 40) - 8,
        }
    }

    fn flag(&mut self) -> bool {
        self.bytes.byte() & 1 == 1
    }

    /// The ticket of the callback, or a new one.
    fn ticket(&mut self, once: bool) -> Arc<Ticket> {
        let wanted = self.bytes.below(4) == 0;
        let length = if wanted { self.bytes.below(24) } else { 0 };
        let ticket = Arc::new(Ticket {
            scene: Arc::clone(self.scene),
            function: self.function,
            once,
            accepted: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            has_destroy: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            destroyed: AtomicUsize::new(0),
            inside: Mutex::new(self.bytes.take(length).to_vec()),
            term: Mutex::new(None),
        });
        lock(&self.scene.tickets).push(Arc::clone(&ticket));
        self.tickets.push(Arc::clone(&ticket));
        ticket
    }

    fn callback<F>(&mut self, function: F, once: bool) -> Option<F> {
        if self.ticket.is_none() {
            self.ticket = Some(self.ticket(once));
        }
        (self.bytes.below(16) != 0).then_some(function)
    }

    fn user_data(&mut self) -> *mut c_void {
        let ticket = match self.ticket.take() {
            Some(ticket) => ticket,
            None => self.ticket(false),
        };
        let pointer = Arc::as_ptr(&ticket);
        self.ticket = Some(ticket);
        pointer.cast_mut().cast()
    }

    fn destroy(&mut self) -> Option<DestroyFn> {
        let ticket = self.ticket.take()?;
        let wanted = self.bytes.below(64) != 0;
        ticket.has_destroy.store(wanted, Ordering::SeqCst);
        wanted.then_some(destroyed as DestroyFn)
    }

    /// Ends a call that answers with no status.
    fn passed(&mut self) {
        if let Some(object) = self.given_up.take() {
            object.given_up.store(true, Ordering::Relaxed);
        }
    }

    /// Ends a call: its outputs are as they should be.
    fn ended(&mut self, status: i32) {
        self.passed();
        self.scene.last.store(status, Ordering::Relaxed);
        let function = self.function;
        // SAFETY: the cells are there as long as the call, and the library wrote what it said.
        let read = |cell: usize| unsafe { (cell as *const u64).read() };
        if let Some(error) = self.error {
            let error = read(error) as *mut c_void;
            assert_eq!(status == 0, error.is_null(), "{function} gave {status}");
            if !error.is_null() {
                // SAFETY: the library gave it, and it was not freed.
                let (code, message) =
                    unsafe { (zkh_error_code(error), CStr::from_ptr(zkh_error_message(error))) };
                assert_eq!(code, status, "{function}: {message:?}");
                assert!(!message.to_bytes().is_empty(), "{function}: an error without a message");
                lock(&self.scene.objects).push(Object::new("error", error as usize));
            }
        }
        for (kind, cell) in std::mem::take(&mut self.outs) {
            let pointer = read(cell);
            assert!(status == 0 || pointer == 0, "{function} gave {status} and a {kind}");
            if pointer != 0 {
                lock(&self.scene.objects).push(Object::new(kind, pointer as usize));
            }
        }
        for (kind, cell) in std::mem::take(&mut self.new_handles) {
            let id = read(cell);
            assert!(status == 0 || id == 0, "{function} gave {status} and a {kind}");
            if id != 0 {
                assert!(lock(&self.scene.known).insert(id), "{function} gave out an id again: {id:#x}");
                lock(&self.scene.handles).push((kind, Handle(id)));
                GREATEST.fetch_max(id >> 24 & 0xff_ffff, Ordering::Relaxed);
                if kind == "client_options" {
                    impatient(Handle(id));
                }
            }
        }
        for ticket in &self.tickets {
            if status == 0 { &ticket.accepted } else { &ticket.refused }.store(true, Ordering::SeqCst);
        }
    }
}

/// Nothing is to wait for long.
fn impatient(options: Handle) {
    // SAFETY: a null error is allowed.
    let set = unsafe {
        [
            zkh_client_options_set_session_timeout_ms(options, 1000, ptr::null_mut()),
            zkh_client_options_set_connect_timeout_ms(options, 300, ptr::null_mut()),
            zkh_client_options_set_operation_timeout_ms(options, 300, ptr::null_mut()),
        ]
    };
    // Another thread may have freed it at once.
    assert!(set.iter().all(|status| [0, BAD_HANDLE].contains(status)), "{set:?}");
}

// ---- callbacks ----

/// The ticket of a callback that is called now, counted.
///
/// # Safety
///
/// `data` is the user data of a callback that was not destroyed yet.
unsafe fn called(data: *mut c_void) -> &'static Ticket {
    // SAFETY: the scene keeps every ticket until all are destroyed; those without a destroy stay for good.
    let ticket = unsafe { &*data.cast::<Ticket>() };
    assert_eq!(
        ticket.destroyed.load(Ordering::SeqCst),
        0,
        "{}: called after its data was destroyed",
        ticket.function
    );
    let before = ticket.calls.fetch_add(1, Ordering::SeqCst);
    assert!(before == 0 || !ticket.once, "{}: completed twice", ticket.function);
    let further = std::mem::take(&mut *lock(&ticket.inside));
    run(&ticket.scene, &further);
    ticket
}

unsafe extern "C" fn destroyed(data: *mut c_void) {
    // SAFETY: as above.
    let ticket = unsafe { &*data.cast::<Ticket>() };
    let before = ticket.destroyed.fetch_add(1, Ordering::SeqCst);
    assert_eq!(before, 0, "{}: its data was destroyed twice", ticket.function);
}

/// A completion says the same twice.
fn agree(status: i32, error: *const c_void) {
    // SAFETY: the error is null or the library's, while the callback runs.
    assert_eq!(unsafe { zkh_error_code(error) }, status);
}

unsafe extern "C" fn done_fn(data: *mut c_void, status: i32, _value: i64, error: *const c_void) {
    agree(status, error);
    // SAFETY: the library's promise.
    unsafe { called(data) };
}

unsafe extern "C" fn result_fn(data: *mut c_void, status: i32, result: *const c_void, error: *const c_void) {
    agree(status, error);
    assert!(status == 0 || result.is_null());
    // SAFETY: the library's promise.
    unsafe { called(data) };
}

use result_fn as contenders_fn;
use result_fn as leader_fn;

unsafe extern "C" fn state_fn(
    data: *mut c_void,
    _state: i32,
    _session: i64,
    _before: i64,
    _reason: *const c_void,
) {
    // SAFETY: the library's promise.
    unsafe { called(data) };
}

unsafe extern "C" fn watch_fn(data: *mut c_void, _event: i32, path: *const c_char) {
    if !path.is_null() {
        // SAFETY: a text of the library's, while the callback runs.
        assert!(unsafe { CStr::from_ptr(path) }.to_str().is_ok());
    }
    // SAFETY: the library's promise.
    unsafe { called(data) };
}

unsafe extern "C" fn lost_fn(data: *mut c_void, _token: i64, _reason: i32) {
    // SAFETY: the library's promise.
    unsafe { called(data) };
}

use lost_fn as deposed_fn;

unsafe extern "C" fn revoke_fn(data: *mut c_void, _token: i64, _reason: *const c_char) {
    // SAFETY: the library's promise.
    unsafe { called(data) };
}

unsafe extern "C" fn elected_fn(data: *mut c_void, _token: i64, _valid_ms: i64) {
    // SAFETY: the library's promise.
    unsafe { called(data) };
}

unsafe extern "C" fn overdue_fn(data: *mut c_void, _token: i64) {
    // SAFETY: the library's promise.
    unsafe { called(data) };
}

unsafe extern "C" fn pid_fn(data: *mut c_void, _event: i32, _loss: i32, _error: *const c_void) {
    // SAFETY: the library's promise.
    unsafe { called(data) };
}

unsafe extern "C" fn log_fn(_data: *mut c_void, _level: i32, target: *const c_char, message: *const c_char) {
    // SAFETY: texts of the library's, while the callback runs.
    assert!(unsafe { CStr::from_ptr(target).to_str().is_ok() && CStr::from_ptr(message).to_str().is_ok() });
}

/// A request on a lent connection: it is answered later, or never before the end.
unsafe extern "C" fn lend_fn(data: *mut c_void, call: Handle, _request: *const c_void) {
    // SAFETY: the library's promise.
    let ticket = unsafe { called(data) };
    lock(&ticket.scene.handles).push(("call", call));
}

/// A term begins; it ends when it is told to, if not before.
unsafe extern "C" fn term_fn(data: *mut c_void, term: Handle, _token: i64, _valid_ms: i64) {
    // SAFETY: the library's promise.
    let ticket = unsafe { &*data.cast::<Ticket>() };
    *lock(&ticket.term) = Some(term);
    lock(&ticket.scene.handles).push(("term", term));
}

unsafe extern "C" fn task_stop_fn(data: *mut c_void, _token: i64, _reason: i32) {
    // SAFETY: the library's promise; a null error is allowed.
    let ticket = unsafe { &*data.cast::<Ticket>() };
    if let Some(term) = lock(&ticket.term).take() {
        // SAFETY: as above.
        let status = unsafe { zkh_term_end(term, 0, ptr::null_mut()) };
        assert!([0, BAD_HANDLE].contains(&status), "a term ended with {status}");
    }
}

// ---- the sequence ----

/// How often each function was called, and succeeded.
fn counts() -> &'static [[AtomicUsize; 2]] {
    static COUNTS: OnceLock<Vec<[AtomicUsize; 2]>> = OnceLock::new();
    COUNTS.get_or_init(|| FUNCTIONS.iter().map(|_| Default::default()).collect())
}

/// The greatest slot of a handle: the most objects that were alive at once, if none is forgotten.
static GREATEST: AtomicU64 = AtomicU64::new(0);

/// How often functions were called and succeeded, the greatest slot of a handle, and which never did: what the inputs are worth.
pub fn tally() -> String {
    let sum = |which: usize| counts().iter().map(|of| of[which].load(Ordering::Relaxed)).sum::<usize>();
    let never = FUNCTIONS.iter().zip(counts()).filter(|(_, of)| of[1].load(Ordering::Relaxed) == 0);
    let names: Vec<_> = never.map(|((name, _), _)| *name).collect();
    let slot = GREATEST.load(Ordering::Relaxed);
    let names = names.join(" ");
    format!("{} calls, {} of them succeeded, greatest slot {slot}; without success: {names}", sum(0), sum(1))
}

/// Makes the calls that these bytes ask for.
fn run(scene: &Arc<Scene>, bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    while !bytes.is_empty() && scene.calls.fetch_add(1, Ordering::Relaxed) < CALLS {
        let at = (usize::from(bytes.byte()) << 8 | usize::from(bytes.byte())) % FUNCTIONS.len();
        let (name, call) = FUNCTIONS[at];
        // What a call takes is its own piece, so that a change of one moves no other.
        let length = bytes.below(24);
        let mut piece = Bytes::new(bytes.take(length));
        scene.last.store(0, Ordering::Relaxed);
        call(&mut Call::new(scene, &mut piece, name));
        counts()[at][0].fetch_add(1, Ordering::Relaxed);
        if scene.last.load(Ordering::Relaxed) == 0 {
            counts()[at][1].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Plays an input: up to three threads make its calls, and then everything is freed.
///
/// # Panics
///
/// Where the library breaks a promise.
pub fn play(bytes: &[u8]) {
    let _ = server();
    let scene = Arc::new(Scene::default());
    // Most functions want a client, and options that are not patient.
    let prologue = [
        prologue("zkh_client_options_new", &[1, 1, 1, 1]),
        prologue("zkh_client_connect", &[7, 9, 9, 9, 9, 9]),
    ];
    run(&scene, &prologue.concat());
    let mut bytes = Bytes::new(bytes);
    let threads = 1 + bytes.below(3);
    let mut pieces = Vec::new();
    for _ in 1..threads {
        let length = usize::from(bytes.byte());
        pieces.push(bytes.take(length));
    }
    let rest = bytes.take(usize::MAX);
    std::thread::scope(|scope| {
        let threads: Vec<_> = pieces.into_iter().map(|piece| scope.spawn(|| run(&scene, piece))).collect();
        run(&scene, rest);
        threads.into_iter().for_each(|thread| thread.join().expect("its calls"));
    });
    tear_down(&scene);
}

/// The bytes of a call by its name.
pub fn prologue(name: &str, arguments: &[u8]) -> Vec<u8> {
    let at = FUNCTIONS.iter().position(|(of, _)| *of == name).unwrap_or_else(|| panic!("no {name}"));
    let at = u16::try_from(at).expect("few functions").to_be_bytes();
    let length = u8::try_from(arguments.len()).expect("few arguments");
    [&at[..], &[length], arguments].concat()
}

static KEPT: Mutex<Vec<Arc<Ticket>>> = Mutex::new(Vec::new());

fn tear_down(scene: &Arc<Scene>) {
    // Callbacks make no further calls.
    scene.calls.store(CALLS, Ordering::SeqCst);
    let of = |kind: &str| -> Vec<Handle> {
        lock(&scene.handles).iter().filter(|(of, _)| *of == kind).map(|(_, handle)| *handle).collect()
    };
    for server in of("server") {
        // SAFETY: a null error is allowed.
        unsafe { zkh_server_set_frozen(server, false, ptr::null_mut()) };
        // SAFETY: as above.
        unsafe { zkh_server_set_isolated(server, false, ptr::null_mut()) };
    }
    let begun = Instant::now();
    let over = Arc::new(AtomicBool::new(false));
    // What is freed may wait for requests on a lent connection and for terms, which come until the end.
    let helper = {
        let (scene, over) = (Arc::clone(scene), Arc::clone(&over));
        std::thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                let open: Vec<_> = {
                    let mut handles = lock(&scene.handles);
                    let is_open = |kind: &str| ["call", "term"].contains(&kind);
                    let open = handles.iter().filter(|(kind, _)| is_open(kind)).copied().collect();
                    handles.retain(|(kind, _)| !is_open(kind));
                    open
                };
                for (kind, handle) in open {
                    // SAFETY: a null error is allowed.
                    let status = unsafe {
                        if kind == "call" {
                            zkh_call_fail(handle, -4, ptr::null_mut())
                        } else {
                            zkh_term_end(handle, 0, ptr::null_mut())
                        }
                    };
                    assert!([0, BAD_HANDLE].contains(&status), "the end of a {kind} gave {status}");
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    for (kind, free) in FREES {
        for handle in of(kind) {
            // SAFETY: a handle may be anything.
            let status = unsafe { free(handle) };
            assert!([0, BAD_HANDLE].contains(&status), "the free of a {kind} gave {status}");
        }
    }
    let null = ptr::null_mut();
    // SAFETY: no callback, no data, no error.
    unsafe { zkh_log_set_callback(0, null, null, null, null) };
    // This thread plays the next input, too.
    // SAFETY: a null error is allowed.
    unsafe { zkh_thread_set_linger(0, null) };
    let open = |ticket: &Arc<Ticket>| {
        let told = ticket.accepted.load(Ordering::SeqCst) || ticket.refused.load(Ordering::SeqCst);
        told && ticket.has_destroy.load(Ordering::SeqCst) && ticket.destroyed.load(Ordering::SeqCst) == 0
    };
    loop {
        let late: Vec<_> =
            lock(&scene.tickets).iter().filter(|ticket| open(ticket)).map(|ticket| ticket.function).collect();
        if late.is_empty() {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "these were never destroyed: {late:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
    over.store(true, Ordering::SeqCst);
    helper.join().expect("the helper");
    for ticket in std::mem::take(&mut *lock(&scene.tickets)) {
        let calls = ticket.calls.load(Ordering::SeqCst);
        let accepted = ticket.accepted.load(Ordering::SeqCst);
        let has_destroy = ticket.has_destroy.load(Ordering::SeqCst);
        if ticket.once && has_destroy {
            assert_eq!(calls, usize::from(accepted), "{}: accepted {accepted}", ticket.function);
        }
        if !has_destroy {
            // Nobody says when it is over: it stays.
            lock(&KEPT).push(ticket);
        }
    }
    lock(&scene.objects).clear();
    // Tickets that stay keep the scene.
    *lock(&scene.handles) = Vec::new();
    lock(&scene.known).clear();
}
