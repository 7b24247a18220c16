//! Options of TLS. Without the cargo feature they are there too, and refuse.

use super::boundary::{bytes, status, text};
use super::codes::zkh_status;
use super::error::zkh_error;
use super::options::{set_client, zkh_client_options};
use crate::client::Tls;
use crate::error::Result;
use std::ffi::{c_char, c_void};

/// Changes how servers are reached by TLS. Under the lock: of two setters at once, none undoes the other.
fn set_tls(options: zkh_client_options, set: impl FnOnce(Tls) -> Result<Tls>) -> Result<()> {
    set_client(options, |options| {
        options.tls = Some(set(options.tls.take().unwrap_or_default())?);
        Ok(())
    })
}

/// Connects by TLS, and trusts the authorities whose certificates are in a file in PEM form, in the place of
/// any given before. The file is read now. A server's certificate has to be signed by one of them, to be
/// valid now, and to hold the host name or the IP address of the connect string among its subject's
/// alternative names. Nothing else is trusted: for the system's authorities name its bundle, on Debian
/// "/etc/ssl/certs/ca-certificates.crt".
/// Any thread. Errors: ZKH_BAD_ARGUMENT, which names the file; ZKH_UNSUPPORTED in a library that was built
/// without TLS (`make install FEATURES=tls`); ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_tls_ca_file(
    options: zkh_client_options,
    path: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let path = unsafe { text(path, "path") }?;
        set_tls(options, |tls| tls.ca_file(path))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_tls_ca_file", err, body) }
}

/// The same as `zkh_client_options_set_tls_ca_file`, from `len` bytes at `pem`, which are copied.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_UNSUPPORTED, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_tls_ca_pem(
    options: zkh_client_options,
    pem: *const c_void,
    len: usize,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or `len` bytes that the caller leaves alone meanwhile.
        let pem = unsafe { bytes(pem, len, "pem") }?;
        set_tls(options, |tls| tls.ca_pem(pem))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_tls_ca_pem", err, body) }
}

/// Shows servers a client certificate. Both files are in PEM form and read now: the certificate, followed
/// by the intermediate ones there are, and its key, which must not be encrypted. They may be one file. An
/// authority has to be set too, before the options are used.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, which names the file; ZKH_UNSUPPORTED in a library that was built
/// without TLS; ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_tls_certificate_file(
    options: zkh_client_options,
    certificate_path: *const c_char,
    key_path: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let certificate = unsafe { text(certificate_path, "certificate_path") }?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let key = unsafe { text(key_path, "key_path") }?;
        set_tls(options, |tls| tls.certificate_file(certificate, key))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_tls_certificate_file", err, body) }
}

/// The same as `zkh_client_options_set_tls_certificate_file`, from bytes, which are copied.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_UNSUPPORTED, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_tls_certificate_pem(
    options: zkh_client_options,
    certificate: *const c_void,
    certificate_len: usize,
    key: *const c_void,
    key_len: usize,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or `certificate_len` bytes that the caller leaves alone meanwhile.
        let certificate = unsafe { bytes(certificate, certificate_len, "certificate") }?;
        // SAFETY: null, or `key_len` bytes that the caller leaves alone meanwhile.
        let key = unsafe { bytes(key, key_len, "key") }?;
        set_tls(options, |tls| tls.certificate_pem(certificate, key))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_tls_certificate_pem", err, body) }
}

/// Sets the host name or IP address that every server's certificate has to hold, in the place of that in the
/// connect string: for connect strings of addresses, and for tunnels.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_UNSUPPORTED in a library that was built without TLS;
/// ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_tls_server_name(
    options: zkh_client_options,
    server_name: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let name = unsafe { text(server_name, "server_name") }?;
        set_tls(options, |tls| tls.server_name(name))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_tls_server_name", err, body) }
}
