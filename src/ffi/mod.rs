//! The C ABI: `include/zkhelper.h` is generated from here.
//!
//! Every entry goes through `boundary`, every handle through `handles`, every call that waits
//! through [`op`], and every callback through `dispatcher`. What the functions promise to C is said at
//! each of them, in the words that go into the header.

// The only room of this crate that may be unsafe. `# Safety` headings would end up in the header.
#![allow(unsafe_code, non_camel_case_types, clippy::missing_safety_doc)]
#![deny(
    unsafe_op_in_unsafe_fn,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod acl;
mod boundary;
pub mod call;
pub mod client;
pub mod codes;
pub mod contenders;
mod dispatcher;
pub mod elector;
pub mod elector_options;
pub mod error;
pub mod guarded;
mod handles;
pub mod leader;
pub mod lend;
mod lent;
pub mod log;
pub mod multi;
pub mod mutex;
pub mod nodes;
pub mod op;
pub mod options;
pub mod pid_node;
pub mod queue_lock;
mod request;
pub mod result;
pub mod server;
pub mod stat;
pub mod term;
pub mod tls;
pub mod tree;
pub mod version;
pub mod watch;
