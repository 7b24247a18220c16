//! Which version this is.

use super::codes::zkh_status;
use crate::error::Code;
use std::ffi::{CStr, c_char};

/// The version of this header: 65536 × major + 256 × minor + patch.
pub const ZKH_VERSION_NUMBER: u32 = 256;

/// The version of this header as text.
pub const ZKH_VERSION: &CStr = c"0.1.0";

/// The library's version as text, such as "1.2.3". Static: not to be freed. Any thread. It cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_version() -> *const c_char {
    ZKH_VERSION.as_ptr()
}

/// The library's version as a number, to be compared with `ZKH_VERSION_NUMBER`, the header's.
/// Any thread. It cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_version_number() -> u32 {
    ZKH_VERSION_NUMBER
}

/// The name of a code without a prefix, such as "NO_NODE"; "UNKNOWN" for a number that is none.
/// Static: not to be freed. Any thread. It cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_code_name(code: zkh_status) -> *const c_char {
    Code::from_number(code).c_name().as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_packages() {
        assert_eq!(ZKH_VERSION.to_str(), Ok(env!("CARGO_PKG_VERSION")));
        let part = |text: &str| text.parse::<u32>().expect("a number");
        let number = 65536 * part(env!("CARGO_PKG_VERSION_MAJOR"))
            + 256 * part(env!("CARGO_PKG_VERSION_MINOR"))
            + part(env!("CARGO_PKG_VERSION_PATCH"));
        assert_eq!(ZKH_VERSION_NUMBER, number);
    }
}
