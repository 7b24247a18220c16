//! What a lock node holds: a JSON object that says who is behind it.

use crate::error::{Code, Error, Result};
use serde_json::{Map, Value};

/// The key of the attempt's id, by which a node is found again whose creation was not answered.
const ID: &str = "id";
/// The key of the attempt's id where the caller has a key `id` of its own, which programs for the Go package may rely on.
const ATTEMPT: &str = "attempt-id";

/// The caller's own keys, checked.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>> {
    let refuse = |why: String| Error::new(Code::BAD_ARGUMENT).because(format!("contents: {why}"));
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(refuse("not a JSON object".to_owned())),
        Err(error) => Err(refuse(format!("not JSON: {error}"))),
    }
}

/// The contents of one attempt's node: the caller's keys, over them `hostname`, `pid` and `desc`, and the attempt's
/// `id`, which goes by `attempt-id` beside an `id` of the caller's.
pub(super) fn render(extra: &Map<String, Value>, description: &str, id: &str) -> Vec<u8> {
    let mut map = extra.clone();
    let hostname = nix::unistd::gethostname().unwrap_or_default();
    map.insert("hostname".to_owned(), hostname.to_string_lossy().into());
    map.insert("pid".to_owned(), std::process::id().into());
    map.insert("desc".to_owned(), description.into());
    let key = if extra.contains_key(ID) || extra.contains_key(ATTEMPT) { ATTEMPT } else { ID };
    map.insert(key.to_owned(), id.into());
    Value::Object(map).to_string().into_bytes()
}

/// The contents as an object, if they are one.
pub(super) fn object(data: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(data) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

/// The attempt's id in contents that are an object.
pub(super) fn id_in(map: &Map<String, Value>) -> Option<&str> {
    map.get(ATTEMPT).or_else(|| map.get(ID)).and_then(Value::as_str)
}

/// Whether these are the contents of the attempt with this id.
pub(super) fn has_id(data: &[u8], id: &str) -> bool {
    object(data).is_some_and(|map| id_in(&map) == Some(id))
}

/// Whether the contents are an object with this key.
pub(super) fn has_key(data: &[u8], key: &str) -> bool {
    object(data).is_some_and(|map| map.contains_key(key))
}

/// A random UUID from 128 random bits.
pub(super) fn uuid(high: u64, low: u64) -> String {
    // Version 4, variant 1: RFC 4122, section 4.4.
    let high = (high & !0xf000) | 0x4000;
    let low = (low & (u64::MAX >> 2)) | (1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_keys_stay_and_the_reserved_ones_win() {
        let extra = parse(r#"{"role": "blue", "pid": 1}"#).expect("an object");
        let data = render(&extra, "nightly \"report\"", "the-id");
        let Ok(Value::Object(map)) = serde_json::from_slice(&data) else { panic!("not an object") };
        assert_eq!(map.get("role").and_then(Value::as_str), Some("blue"));
        assert_eq!(map.get("desc").and_then(Value::as_str), Some("nightly \"report\""));
        assert_eq!(map.get("pid").and_then(Value::as_u64), Some(u64::from(std::process::id())));
        assert!(has_id(&data, "the-id") && !has_id(&data, "other") && !has_id(b"", "the-id"));
    }

    #[test]
    fn an_id_of_the_callers_stays_and_ours_goes_beside_it() {
        let data = render(&parse(r#"{"id": "node 7"}"#).expect("an object"), "", "the-id");
        let map = object(&data).expect("an object");
        assert_eq!(map.get("id").and_then(Value::as_str), Some("node 7"));
        assert!(has_id(&data, "the-id") && !has_id(&data, "other"));
    }

    #[test]
    fn an_attempt_id_of_the_callers_does_not_hide_ours() {
        let data = render(&parse(r#"{"attempt-id": "7"}"#).expect("an object"), "", "the-id");
        assert!(has_id(&data, "the-id") && !has_id(&data, "7"));
    }

    #[test]
    fn contents_that_are_no_object_are_refused() {
        for (text, why) in [("", "not JSON"), ("[]", "not a JSON object"), ("{", "not JSON")] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.code(), Code::BAD_ARGUMENT);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn a_uuid_says_version_4() {
        assert_eq!(uuid(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u64::MAX, u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
