//! Revocation: a contender may be asked, through what its lock node holds, to give the lock up.
//!
//! Nothing is forced: the holder is told, and decides. Our own lock nodes keep their JSON object, with the
//! key `revoke` added; Curator asks by replacing what the node holds with a word of its own.

use super::contents;
use serde_json::Value;

/// The key of our request in a lock node's contents: the reason.
pub(super) const REVOKE_KEY: &str = "revoke";

/// What Curator's `Revoker` puts into a lock node.
pub(super) const CURATORS: &[u8] = b"__REVOKE__";

/// The reason by which the lock is asked for, if it is. Curator gives none.
pub(super) fn asked(data: &[u8]) -> Option<String> {
    if data == CURATORS {
        return Some(String::new());
    }
    match contents::object(data)?.remove(REVOKE_KEY)? {
        Value::String(reason) => Some(reason),
        other => Some(other.to_string()),
    }
}

/// What a lock node that holds this is to hold once it is asked for; `None` where its owner would not
/// understand it.
pub(super) fn request(name: &str, data: &[u8], reason: &str) -> Option<Vec<u8>> {
    // Curator's names begin with `_c_`; what its nodes hold is nobody's but its own.
    if name.starts_with("_c_") {
        return Some(CURATORS.to_vec());
    }
    let mut object = contents::object(data)?;
    object.insert(REVOKE_KEY.to_owned(), reason.into());
    Some(Value::Object(object).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_keeps_the_contents_and_is_read_again() {
        let data = br#"{"id": "x", "desc": "report", "delay": 7}"#;
        assert_eq!(asked(data), None);
        let changed = request("lock-0000000001", data, "\"now\"").expect("an object");
        assert_eq!(asked(&changed).as_deref(), Some("\"now\""));
        assert!(contents::has_id(&changed, "x") && contents::has_key(&changed, "delay"));
        let again = request("lock-0000000001", &changed, "").expect("an object");
        assert_eq!(asked(&again).as_deref(), Some(""));
    }

    #[test]
    fn curators_form_is_understood_and_used_for_its_nodes_only() {
        assert_eq!(asked(b"__REVOKE__").as_deref(), Some(""));
        assert_eq!(request("_c_0a-lock-0000000001", b"10.0.0.1", "x").as_deref(), Some(CURATORS));
        assert_eq!(request("0a__lock__0000000001", b"kazoo's", "x"), None);
        assert_eq!(asked(b"10.0.0.1"), None);
        assert_eq!(asked(b""), None);
    }
}
