//! TLS by rustls, with the cryptography of ring.

use super::super::driver::{Plain, closed};
use super::super::hosts::Host;
use super::{Tls, bad};
use crate::error::{Code, Error, Result};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, InconsistentKeys, RootCertStore,
};

pub(super) type Roots = Arc<RootCertStore>;
pub(super) type Identity = Arc<CertifiedKey>;
pub(super) type Name = ServerName<'static>;

/// It is; in a build without TLS this refuses.
pub(super) fn present() -> Result<()> {
    Ok(())
}

/// Not the process's default provider, which belongs to the program.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The authorities in a bundle.
pub(super) fn roots(pem: &[u8], origin: &str) -> Result<Roots> {
    let certificates = certificates(pem, origin)?;
    let mut roots = RootCertStore::empty();
    // A bundle of a system may have an odd one among many.
    let (usable, odd) = roots.add_parsable_certificates(certificates);
    if usable == 0 {
        return Err(bad(format!("{origin}: no certificate in it can be read")));
    }
    if odd > 0 {
        log::warn!("TLS: {origin}: {odd} of {} certificates cannot be read", usable + odd);
    }
    Ok(Arc::new(roots))
}

fn certificates(pem: &[u8], origin: &str) -> Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|_| bad(format!("{origin}: it is damaged, or not in PEM form")))?;
    if all.is_empty() {
        return Err(bad(format!("{origin}: there is no certificate in PEM form in it")));
    }
    Ok(all)
}

/// A certificate and its key. Nothing of what is in the key goes into an error.
pub(super) fn identity(certificate: (&[u8], &str), key: (&[u8], &str)) -> Result<Identity> {
    let chain = certificates(certificate.0, certificate.1)?;
    let refused = |why: &str| bad(format!("{}: {why}", key.1));
    let parsed = PrivateKeyDer::from_pem_slice(key.0).map_err(|_| {
        if key.0.windows(9).any(|word| word == b"ENCRYPTED") {
            refused("the key is encrypted; decrypt it (openssl pkey -in KEY -out PLAIN)")
        } else {
            refused("there is no private key in PEM form in it")
        }
    })?;
    let certified = CertifiedKey::from_der(chain, parsed, &provider());
    certified.map(Arc::new).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            refused(&format!("the key does not belong to the certificate of {}", certificate.1))
        }
        rustls::Error::InvalidCertificate(_) => {
            bad(format!("{}: the certificate cannot be read", certificate.1))
        }
        _ => refused("the key is of no kind that is supported (RSA from 2048 bits, ECDSA, Ed25519)"),
    })
}

pub(super) fn name(name: &str) -> Result<Name> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| bad(format!("server name {name:?}: it is neither a host name nor an IP address")))
}

/// Makes connections secure, as one client's options say.
#[derive(Clone)]
pub(in crate::client) struct Connector {
    config: TlsConnector,
    server_name: Option<Name>,
    shows_certificate: bool,
}

impl Connector {
    /// Refuses settings that cannot work, and hosts whose names no certificate can hold.
    pub(in crate::client) fn new(tls: &Tls, hosts: &[Host]) -> Result<Self> {
        let Some(roots) = &tls.roots else {
            return Err(bad("a CA is needed: nothing is trusted that is not given".to_owned()));
        };
        if tls.server_name.is_none() {
            for host in hosts {
                name(&host.name).map_err(|e| Error::new(Code::BAD_ADDRESS).because(e.detail().to_owned()))?;
            }
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(Code::UNSUPPORTED).because(format!("TLS: {error}")))?
            .with_root_certificates(Arc::clone(roots));
        let mut config = match &tls.identity {
            Some(identity) => {
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity))))
            }
            None => config.with_no_client_auth(),
        };
        // Each connection checks certificates anew, also after one was replaced.
        config.resumption = Resumption::disabled();
        Ok(Self {
            config: TlsConnector::from(Arc::new(config)),
            server_name: tls.server_name.clone(),
            shows_certificate: tls.identity.is_some(),
        })
    }

    /// Why a server may have ended a connection without an answer.
    pub(in crate::client) fn perhaps(&self) -> &'static str {
        if self.shows_certificate {
            "; it may not serve yet, or not trust the client certificate given"
        } else {
            "; it may not serve yet, or want a client certificate, and none is given"
        }
    }

    /// The handshake. Its failures say what is wrong, and whose doing it may be.
    pub(in crate::client) async fn secure(&self, host: &Host, stream: Plain) -> io::Result<Secured> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.name.clone()).map_err(io::Error::other)?,
        };
        match self.config.connect(name, stream).await {
            Ok(stream) => Ok(Secured { stream, shows_certificate: self.shows_certificate }),
            Err(error) => Err(self.explain_handshake(&error)),
        }
    }

    fn explain_handshake(&self, error: &io::Error) -> io::Error {
        let text = match cause(error) {
            Some(rustls::Error::InvalidMessage(_)) => {
                "TLS: the server does not answer in TLS; is this a plain-text port?".to_owned()
            }
            // What an Apache ZooKeeper does with bytes that are not its protocol.
            None => format!(
                "TLS: the server ended the connection in the handshake ({error}); is this a plain-text port?"
            ),
            Some(cause) => explain(cause, self.shows_certificate),
        };
        io::Error::new(error.kind(), text)
    }
}

fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn explain(error: &rustls::Error, shows_certificate: bool) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "TLS: the server's certificate is signed by none of the authorities that are trusted (the CA given)"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "TLS: the server's certificate has expired".to_owned(),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "TLS: the server's certificate is not valid yet, by this machine's clock".to_owned(),
        rustls::Error::InvalidCertificate(error) => format!("TLS: the server's certificate: {error}"),
        rustls::Error::AlertReceived(alert) => {
            let about_certificate = matches!(
                alert,
                AlertDescription::NoCertificate
                    | AlertDescription::BadCertificate
                    | AlertDescription::UnsupportedCertificate
                    | AlertDescription::CertificateRevoked
                    | AlertDescription::CertificateExpired
                    | AlertDescription::CertificateUnknown
                    | AlertDescription::CertificateRequired
                    | AlertDescription::UnknownCA
                    | AlertDescription::AccessDenied
                    | AlertDescription::HandshakeFailure
            );
            let perhaps = match (about_certificate, shows_certificate) {
                (true, false) => "; it may want a client certificate, and none is given",
                (true, true) => "; it may not trust the client certificate given",
                (false, _) => "",
            };
            format!("TLS: the server refused ({alert:?}){perhaps}")
        }
        other => format!("TLS: {other}"),
    }
}

/// A connection whose errors say what was wrong.
pub(in crate::client) struct Secured {
    stream: TlsStream<Plain>,
    shows_certificate: bool,
}

impl Secured {
    /// A server says only after the handshake of TLS 1.3 that it does not want us.
    fn explained<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        outcome.map_err(|error| match cause(&error) {
            Some(cause) => io::Error::new(error.kind(), explain(cause, self.shows_certificate)),
            None if error.kind() == io::ErrorKind::UnexpectedEof => closed(),
            None => error,
        })
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(cx, into);
        self.explained(outcome)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.explained(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.explained(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.explained(outcome)
    }
}
