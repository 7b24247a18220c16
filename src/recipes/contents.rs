//! What a lock node holds: a JSON object that says who is behind it.

use crate::client::process;
use crate::error::{Code, Error, Result};
use serde_json::{Map, Value};
use std::fmt::Write;

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

/// The contents of one attempt's node: the caller's keys, over them `hostname`, `pid`, `desc` and the recipe's `own`, and
/// the attempt's `id`, which goes by `attempt-id` beside an `id` of the caller's.
pub(super) fn render(
    extra: &Map<String, Value>,
    own: &[(&str, u64)],
    description: &str,
    id: &str,
) -> Vec<u8> {
    let hostname = nix::unistd::gethostname().unwrap_or_default();
    let hostname = hostname.to_string_lossy();
    let attempt = if extra.contains_key(ID) || extra.contains_key(ATTEMPT) { ATTEMPT } else { ID };
    let texts = [("hostname", &*hostname), ("desc", description), (attempt, id)];
    let pid = [("pid", u64::from(process::id()))];
    let numbers = || own.iter().chain(&pid);
    let is_ours = |key: &str| {
        texts.iter().map(|(ours, _)| ours).chain(numbers().map(|(ours, _)| ours)).any(|ours| *ours == key)
    };
    let mut object = Object::default();
    for (key, value) in extra.iter().filter(|(key, _)| !is_ours(key)) {
        object.key(key);
        object.value(value);
    }
    for (key, text) in texts {
        object.key(key);
        object.text(text);
    }
    for (key, number) in numbers() {
        object.key(key);
        object.value(&Value::from(*number));
    }
    object.end()
}

/// A JSON object as it is written, without a map of it. Writing to memory does not fail.
struct Object(Vec<u8>);

impl Default for Object {
    fn default() -> Self {
        // As long as most contents are.
        Self(Vec::with_capacity(192))
    }
}

impl Object {
    fn key(&mut self, key: &str) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.text(key);
        self.0.push(b':');
    }

    fn text(&mut self, text: &str) {
        let _ = serde_json::to_writer(&mut self.0, text);
    }

    fn value(&mut self, value: &Value) {
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
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
    let mut text = String::with_capacity(36);
    // Writing to memory does not fail.
    let _ = write!(
        text,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_keys_stay_and_the_reserved_ones_win() {
        let extra = parse(r#"{"role": "blue", "pid": 1, "delay": "none"}"#).expect("an object");
        let data = render(&extra, &[("delay", 7)], "nightly \"report\"", "the-id");
        let Ok(Value::Object(map)) = serde_json::from_slice(&data) else { panic!("not an object") };
        assert_eq!(map.get("role").and_then(Value::as_str), Some("blue"));
        assert_eq!(map.get("desc").and_then(Value::as_str), Some("nightly \"report\""));
        assert_eq!(map.get("delay").and_then(Value::as_u64), Some(7));
        assert_eq!(map.get("pid").and_then(Value::as_u64), Some(u64::from(std::process::id())));
        assert!(has_id(&data, "the-id") && !has_id(&data, "other") && !has_id(b"", "the-id"));
    }

    #[test]
    fn an_id_of_the_callers_stays_and_ours_goes_beside_it() {
        let data = render(&parse(r#"{"id": "node 7"}"#).expect("an object"), &[], "", "the-id");
        let map = object(&data).expect("an object");
        assert_eq!(map.get("id").and_then(Value::as_str), Some("node 7"));
        assert!(has_id(&data, "the-id") && !has_id(&data, "other"));
    }

    #[test]
    fn an_attempt_id_of_the_callers_does_not_hide_ours() {
        let data = render(&parse(r#"{"attempt-id": "7"}"#).expect("an object"), &[], "", "the-id");
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
