//! What a connection by TLS needs: whom to trust, who we are, and under which name a server is known.
//!
//! Files are read and everything is parsed when an option is set, on the caller's thread; the IO thread touches
//! no file. Without the feature `tls` the same functions exist, and refuse.

#[cfg(not(feature = "tls"))]
#[path = "tls/absent.rs"]
mod engine;
#[cfg(feature = "tls")]
#[path = "tls/engine.rs"]
mod engine;

pub(super) use engine::Connector;

use crate::error::{Code, Error, Result};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// No certificate, key or bundle of authorities is as long; a device or a pipe without an end may be.
const MAX_FILE: u64 = 16 << 20;

/// How servers are reached by TLS: [`crate::Options::tls`].
///
/// ```no_run
/// # fn main() -> zkhelper::Result<()> {
/// use zkhelper::{Options, client::Tls};
///
/// let tls = Tls::new().ca_file("/etc/zookeeper/ca.pem")?;
/// let tls = tls.certificate_file("/etc/app/client.pem", "/etc/app/client.key")?;
/// let options = Options { tls: Some(tls), ..Options::default() };
/// # Ok(())
/// # }
/// ```
///
/// A server's certificate has to be signed by one of the authorities given, directly or through the
/// intermediate ones that it sends, to be valid now, and to hold the name or the IP address of the connect
/// string among its subject's alternative names; a common name does not count. There is no way to leave that
/// out, and revocation is not looked up. TLS 1.2 and 1.3 are spoken.
///
/// Nothing is trusted but what [`Tls::ca_file`] or [`Tls::ca_pem`] gives: for the system's authorities
/// name its bundle, on Debian `/etc/ssl/certs/ca-certificates.crt`.
///
/// All of it is in PEM form, and refused with [`Code::BAD_ARGUMENT`] where it is not, naming the file. A build
/// without the cargo feature `tls` answers [`Code::UNSUPPORTED`].
#[derive(Clone, Default)]
pub struct Tls {
    pub(super) roots: Option<engine::Roots>,
    pub(super) identity: Option<engine::Identity>,
    pub(super) server_name: Option<engine::Name>,
}

impl Tls {
    /// Settings that trust nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities whose certificates are in this file, in the place of any given before.
    pub fn ca_file(self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        self.ca(&read("CA file", path)?, &format!("CA file {path:?}"))
    }

    /// The same, from bytes.
    pub fn ca_pem(self, pem: &[u8]) -> Result<Self> {
        self.ca(pem, "CA")
    }

    fn ca(mut self, pem: &[u8], origin: &str) -> Result<Self> {
        self.roots = Some(engine::roots(pem, origin)?);
        Ok(self)
    }

    /// Shows the server this certificate, which is to be followed by the intermediate ones there are, and
    /// its key, which must not be encrypted (PKCS #8, PKCS #1 or SEC 1). One file may hold both.
    pub fn certificate_file(self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        self.certificate(
            (&read("certificate file", certificate)?, &format!("certificate file {certificate:?}")),
            (&read("key file", key)?, &format!("key file {key:?}")),
        )
    }

    /// The same, from bytes.
    pub fn certificate_pem(self, certificate: &[u8], key: &[u8]) -> Result<Self> {
        self.certificate((certificate, "certificate"), (key, "key"))
    }

    fn certificate(mut self, certificate: (&[u8], &str), key: (&[u8], &str)) -> Result<Self> {
        self.identity = Some(engine::identity(certificate, key)?);
        Ok(self)
    }

    /// The name that every server's certificate has to hold, in the place of that in the connect string: for
    /// connect strings of addresses, and for tunnels.
    pub fn server_name(mut self, name: &str) -> Result<Self> {
        self.server_name = Some(engine::name(name)?);
        Ok(self)
    }
}

/// Keys are not shown.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca", &self.roots.is_some())
            .field("certificate", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .finish()
    }
}

fn bad(why: String) -> Error {
    Error::new(Code::BAD_ARGUMENT).because(format!("TLS: {why}"))
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>> {
    engine::present()?;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(bad(format!("{what} {path:?}: {error}"))),
        Ok(_) if bytes.len() as u64 > MAX_FILE => {
            Err(bad(format!("{what} {path:?}: it is longer than {MAX_FILE} bytes")))
        }
        Ok(_) => Ok(bytes),
    }
}
