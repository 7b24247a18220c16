//! Who may do what: identities, the schemes `world`, `auth`, `digest` and `ip`, and the check itself.

use crate::proto::{Acl, ClientInfo};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use std::net::IpAddr;

/// Someone whom a connection has shown to be.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Identity {
    scheme: &'static str,
    id: String,
}

impl Identity {
    /// What every connection is: its peer's address.
    pub(super) fn address(address: IpAddr) -> Self {
        Self { scheme: "ip", id: address.to_string() }
    }

    /// Checks what an `auth` request shows; `None` refuses it.
    pub(super) fn authenticate(scheme: &str, auth: &[u8], address: IpAddr) -> Option<Self> {
        match scheme {
            "ip" => Some(Self::address(address)),
            "digest" => Some(Self { scheme: "digest", id: digest(&String::from_utf8_lossy(auth)) }),
            _ => None,
        }
    }

    /// As `whoAmI` shows it: without the digest.
    pub(super) fn info(&self) -> ClientInfo {
        let user = match self.scheme {
            "digest" => self.id.split(':').next().unwrap_or_default(),
            _ => &self.id,
        };
        ClientInfo { scheme: self.scheme.to_owned(), user: user.to_owned() }
    }
}

/// `user:password` as access control lists name it: `user:` and the base64 of the whole text's SHA-1.
fn digest(user_and_password: &str) -> String {
    let user = user_and_password.split(':').next().unwrap_or_default();
    format!("{user}:{}", STANDARD.encode(Sha1::digest(user_and_password.as_bytes())))
}

/// The list a node gets when it was asked for `acl`: duplicates dropped, `auth` replaced by who the caller
/// is. `None` if it is empty, names an unknown scheme or someone who cannot be.
pub(super) fn resolve(acl: &[Acl], caller: &[Identity]) -> Option<Vec<Acl>> {
    let mut unique: Vec<&Acl> = Vec::new();
    for entry in acl {
        if !unique.contains(&entry) {
            unique.push(entry);
        }
    }
    let mut resolved = Vec::new();
    for entry in unique {
        match (entry.scheme.as_str(), entry.id.as_str()) {
            ("world", "anyone") => resolved.push(entry.clone()),
            ("auth", _) => {
                let before = resolved.len();
                // An address authenticates nobody.
                for identity in caller.iter().filter(|identity| identity.scheme == "digest") {
                    let (scheme, id) = (identity.scheme.to_owned(), identity.id.clone());
                    resolved.push(Acl { perms: entry.perms, scheme, id });
                }
                if resolved.len() == before {
                    return None;
                }
            }
            ("digest", id) if is_digest(id) => resolved.push(entry.clone()),
            ("ip", id) if Network::parse(id).is_some() => resolved.push(entry.clone()),
            _ => return None,
        }
    }
    (!resolved.is_empty()).then_some(resolved)
}

/// Two parts around a colon, where empty ones at the end do not count.
fn is_digest(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// Whether one of `perms` is granted to the caller.
pub(super) fn allows(acl: &[Acl], perms: i32, caller: &[Identity]) -> bool {
    acl.is_empty()
        || acl.iter().filter(|entry| entry.perms & perms != 0).any(|entry| {
            (entry.scheme == "world" && entry.id == "anyone")
                || caller
                    .iter()
                    .any(|identity| identity.scheme == entry.scheme && is_named(identity, &entry.id))
        })
}

fn is_named(identity: &Identity, by: &str) -> bool {
    match identity.scheme {
        "ip" => Network::parse(by).is_some_and(|network| network.holds(&identity.id)),
        _ => identity.id == by,
    }
}

/// The list as those see it who may read but not administer: without the digests.
pub(super) fn without_digests(acl: &[Acl]) -> Vec<Acl> {
    acl.iter()
        .map(|entry| match (entry.scheme.as_str(), entry.id.split_once(':')) {
            ("digest", Some((user, _))) => Acl { id: format!("{user}:x"), ..entry.clone() },
            _ => entry.clone(),
        })
        .collect()
}

/// Addresses that share their first bits.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(width), |bits| bits.parse().ok())?;
        (bits <= width).then_some(Self { address, bits })
    }

    fn holds(&self, address: &str) -> bool {
        match (self.address, address.parse()) {
            (IpAddr::V4(net), Ok(IpAddr::V4(ip))) => {
                (net.to_bits() ^ ip.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), Ok(IpAddr::V6(ip))) => {
                (net.to_bits() ^ ip.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::permissions;

    fn entry(perms: i32, scheme: &str, id: &str) -> Acl {
        Acl { perms, scheme: scheme.to_owned(), id: id.to_owned() }
    }

    fn home() -> IpAddr {
        IpAddr::from([127, 0, 0, 1])
    }

    #[test]
    fn a_digest_is_the_one_apache_zookeeper_computes() {
        assert_eq!(digest("super:test"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    }

    #[test]
    fn lists_that_name_nobody_are_refused() {
        let caller = [Identity::address(home())];
        for bad in [
            entry(31, "world", "someone"),
            entry(31, "auth", ""),
            entry(31, "digest", "user"),
            entry(31, "digest", "user:"),
            entry(31, "digest", "a:b:c"),
            entry(31, "ip", "localhost"),
            entry(31, "ip", "10.0.0.0/33"),
            entry(31, "sasl", "user"),
        ] {
            assert!(resolve(std::slice::from_ref(&bad), &caller).is_none(), "{bad:?}");
        }
        assert!(resolve(&[], &caller).is_none());
    }

    #[test]
    fn auth_stands_for_who_the_caller_is() {
        let user = Identity::authenticate("digest", b"user:secret", home()).expect("digest is known");
        let caller = [Identity::address(home()), user.clone()];
        let list = resolve(&[Acl::creator(permissions::ALL)], &caller).expect("valid");
        assert_eq!(list, [entry(31, "digest", &user.id)]);
        assert!(allows(&list, permissions::READ, &caller));
        assert!(!allows(&list, permissions::READ, &caller[..1]));
        assert_eq!(without_digests(&list), [entry(31, "digest", "user:x")]);
    }

    #[test]
    fn an_address_is_matched_by_its_network() {
        let caller = [Identity::address(home())];
        for (id, inside) in
            [("127.0.0.1", true), ("127.0.0.0/8", true), ("0.0.0.0/0", true), ("127.0.0.2", false)]
        {
            assert_eq!(allows(&[entry(1, "ip", id)], 1, &caller), inside, "{id}");
        }
    }
}
