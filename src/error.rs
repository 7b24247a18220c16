//! Errors, and the one table of codes that every language's errors are made from.

use std::borrow::Cow;
use std::ffi::CStr;
use std::fmt;

/// What went wrong, as a number that never changes its meaning.
///
/// ZooKeeper's own codes keep their numbers; this library's start at −1001.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(i32);

/// One row of the table of codes.
#[derive(Debug, Clone, Copy)]
pub struct CodeInfo {
    /// The code itself.
    pub code: Code,
    /// Its name without a prefix: `NO_NODE`.
    pub name: &'static str,
    /// The same for C.
    pub(crate) c_name: &'static CStr,
    /// What it means, as the beginning of a message.
    pub meaning: &'static str,
    /// Whether the same call may succeed if it is made again later.
    pub retriable: bool,
}

const fn c_text(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    }
}

macro_rules! codes {
    ($($name:ident = $number:literal, $retriable:ident, $meaning:literal;)*) => {
        impl Code {
            $(#[doc = concat!($meaning, ".")] pub const $name: Code = Code($number);)*
        }

        /// Every code there is.
        pub const CODES: &[CodeInfo] = &[
            $(CodeInfo {
                code: Code::$name,
                name: stringify!($name),
                c_name: c_text(concat!(stringify!($name), "\0")),
                meaning: $meaning,
                retriable: codes!(@$retriable),
            },)*
        ];
    };
    (@retriable) => { true };
    (@permanent) => { false };
}

codes! {
    OK = 0, permanent, "no error";

    SYSTEM_ERROR = -1, retriable, "the server failed";
    RUNTIME_INCONSISTENCY = -2, permanent, "not done, because another operation of the transaction failed";
    DATA_INCONSISTENCY = -3, permanent, "the server found its data inconsistent";
    CONNECTION_LOSS = -4, retriable, "the connection to the server was lost";
    MARSHALLING_ERROR = -5, permanent, "the server could not read the request";
    UNIMPLEMENTED = -6, permanent, "the server does not know the operation";
    OPERATION_TIMEOUT = -7, retriable, "the operation's deadline passed";
    BAD_ARGUMENTS = -8, permanent, "the server refused an argument";
    UNKNOWN_SESSION = -12, permanent, "the server does not know the session";
    NEW_CONFIG_NO_QUORUM = -13, permanent, "no quorum of the new configuration is connected";
    RECONFIG_IN_PROGRESS = -14, retriable, "another reconfiguration is in progress";
    API_ERROR = -100, permanent, "the server refused the request";
    NO_NODE = -101, permanent, "the node does not exist";
    NO_AUTH = -102, permanent, "the node's access control list does not allow it";
    BAD_VERSION = -103, permanent, "the node has another version";
    NO_CHILDREN_FOR_EPHEMERALS = -108, permanent, "an ephemeral node cannot have children";
    NODE_EXISTS = -110, permanent, "the node exists already";
    NOT_EMPTY = -111, permanent, "the node has children";
    SESSION_EXPIRED = -112, permanent, "the session has expired";
    INVALID_CALLBACK = -113, permanent, "the callback is not valid";
    INVALID_ACL = -114, permanent, "the access control list is not valid";
    AUTH_FAILED = -115, permanent, "the server refused the authentication";
    SESSION_MOVED = -118, retriable, "the session has moved to another connection";
    NOT_READ_ONLY = -119, retriable, "a server without a quorum refused to write";
    EPHEMERAL_ON_LOCAL_SESSION = -120, permanent, "a local session cannot own ephemeral nodes";
    NO_WATCHER = -121, permanent, "there is no such watch";
    REQUEST_TIMEOUT = -122, retriable, "the server gave the request up";
    RECONFIG_DISABLED = -123, permanent, "reconfiguration is disabled on the server";
    SESSION_CLOSED_REQUIRE_SASL_AUTH = -124, permanent, "the server demands authentication by SASL";
    QUOTA_EXCEEDED = -125, permanent, "a quota of the server would be exceeded";
    THROTTLED_OP = -127, retriable, "the server is overloaded and did not take the request";

    BAD_HANDLE = -1001, permanent, "the handle is null, freed, of another type or was never given out";
    BAD_ARGUMENT = -1002, permanent, "an argument is not valid";
    BAD_UTF8 = -1003, permanent, "the text is not valid UTF-8";
    BAD_PATH = -1004, permanent, "the path is not valid";
    BAD_ADDRESS = -1005, permanent, "the address is not valid";
    CLOSED = -1006, permanent, "the handle or its client was closed";
    CANCELLED = -1007, permanent, "the operation was cancelled";
    INTERRUPTED = -1008, permanent, "the wait was interrupted";
    TIMEOUT = -1009, retriable, "the wait timed out";
    NOT_SENT = -1010, retriable, "the request was not sent, so it had no effect";
    OUTCOME_UNKNOWN = -1011, retriable, "the request was sent, but no answer came: it may have had its effect";
    NOT_HELD = -1012, permanent, "the lock is not held";
    LOCK_LOST = -1013, permanent, "the lock was lost while it was held";
    SEQUENCE_EXHAUSTED = -1014, permanent, "the sequence numbers of the lock's parent are used up";
    WOULD_DEADLOCK = -1015, permanent, "a blocking call was made inside a callback";
    FORKED = -1016, permanent, "the handle belongs to the parent process";
    PANIC = -1017, permanent, "a defect in this library was caught";
    PROTOCOL = -1018, retriable, "the server's bytes break the protocol";
    TOO_LARGE = -1019, permanent, "the request is larger than a server accepts";
    UNSUPPORTED = -1020, permanent, "the server or this build does not support it";
    OUT_OF_RESOURCES = -1021, retriable, "a limit of the process or this library was reached";
}

impl Code {
    /// The code with this number; a number outside the table is kept as it came from the server.
    pub const fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> i32 {
        self.0
    }

    fn info(self) -> Option<&'static CodeInfo> {
        CODES.iter().find(|info| info.code == self)
    }

    /// The name without a prefix: `NO_NODE`; `UNKNOWN` for a number outside the table.
    pub fn name(self) -> &'static str {
        self.info().map_or("UNKNOWN", |info| info.name)
    }

    /// The name for C.
    #[cfg_attr(not(feature = "capi"), allow(dead_code))]
    pub(crate) fn c_name(self) -> &'static CStr {
        self.info().map_or(c"UNKNOWN", |info| info.c_name)
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        self.info().map_or("the server answered with an error this library does not know", |i| i.meaning)
    }

    /// Whether the same call may succeed if it is made again later.
    pub fn is_retriable(self) -> bool {
        self.info().is_some_and(|info| info.retriable)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

/// An error: its code, what was being done to which path, and what is known besides.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    code: Code,
    operation: &'static str,
    path: Option<String>,
    detail: Cow<'static, str>,
}

/// This crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that says no more than its code.
    pub fn new(code: Code) -> Self {
        Self(Box::new(Inner { code, operation: "", path: None, detail: Cow::Borrowed("") }))
    }

    /// Adds what is known besides.
    #[must_use]
    pub fn because(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// Names the operation and the path it was about, where they are not named yet.
    #[must_use]
    pub fn during(mut self, operation: &'static str, path: Option<&str>) -> Self {
        if self.0.operation.is_empty() {
            self.0.operation = operation;
        }
        if self.0.path.is_none() {
            self.0.path = path.map(str::to_owned);
        }
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The path it is about, if it is about one.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// What was being done, or an empty text.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What is known besides, or an empty text.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Whether the same call may succeed if it is made again later.
    pub fn is_retriable(&self) -> bool {
        self.0.code.is_retriable()
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { code, operation, path, detail } = &*self.0;
        if !operation.is_empty() {
            write!(f, "{operation}")?;
            match path {
                Some(path) => write!(f, " {path:?}: ")?,
                None => write!(f, ": ")?,
            }
        } else if let Some(path) = path {
            write!(f, "{path:?}: ")?;
        }
        f.write_str(code.meaning())?;
        if !detail.is_empty() {
            write!(f, ": {detail}")?;
        }
        write!(f, " ({}, {})", code.name(), code.number())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_has_a_number_and_a_name_of_its_own() {
        let numbers: HashSet<_> = CODES.iter().map(|info| info.code).collect();
        let names: HashSet<_> = CODES.iter().map(|info| info.name).collect();
        assert_eq!(numbers.len(), CODES.len());
        assert_eq!(names.len(), CODES.len());
    }

    #[test]
    fn a_message_names_operation_path_meaning_detail_and_code() {
        let error = Error::new(Code::NO_NODE).during("get", Some("/a")).because("deleted by someone");
        assert_eq!(
            error.to_string(),
            "get \"/a\": the node does not exist: deleted by someone (NO_NODE, -101)"
        );
        assert_eq!(
            Error::new(Code::CLOSED).to_string(),
            "the handle or its client was closed (CLOSED, -1006)"
        );
    }

    #[test]
    fn a_code_from_a_newer_server_is_kept() {
        let code = Code::from_number(-777);
        assert_eq!((code.number(), code.name(), code.is_retriable()), (-777, "UNKNOWN", false));
    }
}
