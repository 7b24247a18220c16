//! In the place of TLS in a build without it.

use super::super::driver::Plain;
use super::super::hosts::Host;
use super::Tls;
use crate::error::{Code, Error, Result};
use std::convert::Infallible;
use std::io;

pub(super) type Roots = Infallible;
pub(super) type Identity = Infallible;
pub(super) type Name = Infallible;

fn absent<T>() -> Result<T> {
    Err(Error::new(Code::UNSUPPORTED).because("this build has no TLS (cargo feature \"tls\")"))
}

pub(super) fn present() -> Result<()> {
    absent()
}

pub(super) fn roots(_: &[u8], _: &str) -> Result<Roots> {
    absent()
}

pub(super) fn identity(_: (&[u8], &str), _: (&[u8], &str)) -> Result<Identity> {
    absent()
}

pub(super) fn name(_: &str) -> Result<Name> {
    absent()
}

/// There is none.
#[derive(Clone)]
pub(in crate::client) struct Connector(Infallible);

impl Connector {
    pub(in crate::client) fn new(_: &Tls, _: &[Host]) -> Result<Self> {
        absent()
    }

    pub(in crate::client) fn perhaps(&self) -> &'static str {
        match self.0 {}
    }

    pub(in crate::client) async fn secure(&self, _: &Host, _: Plain) -> io::Result<Plain> {
        match self.0 {}
    }
}
