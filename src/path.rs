//! Paths: ZooKeeper's rules, checked before a request is sent.

use crate::error::{Code, Error, Result};

/// Refuses a path that no server would take, and says which rule it breaks.
///
/// The rules are those of Apache ZooKeeper's `PathUtils.validatePath`: it begins with `/`, does not
/// end with one (but for the root itself), has no empty, `.` or `..` part, and no character in
/// `\u{0}–\u{1f}`, `\u{7f}–\u{9f}`, `\u{d800}–\u{f8ff}` or `\u{fff0}–\u{ffff}`.
pub fn validate(path: &str) -> Result<()> {
    let refuse = |rule: String| Err(Error::new(Code::BAD_PATH).during("check", Some(path)).because(rule));
    if path.is_empty() {
        return refuse("a path must not be empty".to_owned());
    }
    if !path.starts_with('/') {
        return refuse("a path must begin with \"/\"".to_owned());
    }
    if let Some((at, c)) = path.char_indices().find(|(_, c)| is_forbidden(*c)) {
        return refuse(format!("character U+{:04X} at byte {at} is not allowed in a path", u32::from(c)));
    }
    if path == "/" {
        return Ok(());
    }
    if path.ends_with('/') {
        return refuse("a path must not end with \"/\"".to_owned());
    }
    for part in path.split('/').skip(1) {
        match part {
            "" => return refuse("a path must not have an empty part (\"//\")".to_owned()),
            "." | ".." => return refuse(format!("a path must not have a part {part:?}")),
            _ => {}
        }
    }
    Ok(())
}

/// As [`validate`], for the path of a node to create whose name gets a sequence number: it may end with `/`.
pub fn validate_sequential(path: &str) -> Result<()> {
    match path.strip_suffix('/') {
        Some(parent) if !parent.is_empty() => validate(parent),
        Some(_) => Ok(()),
        None => validate(path),
    }
}

fn is_forbidden(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}')
}

/// The path without its last part; `None` for the root.
pub fn parent(path: &str) -> Option<&str> {
    match path.rfind('/') {
        Some(0) if path.len() > 1 => Some("/"),
        Some(0) | None => None,
        Some(at) => path.get(..at),
    }
}

/// The last part of a path.
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// `name` below `parent`.
pub fn join(parent: &str, name: &str) -> String {
    [if parent == "/" { "" } else { parent }, "/", name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_paths_are_refused_with_the_path_and_the_rule() {
        for (path, rule) in [
            ("", "must not be empty"),
            ("a", "must begin with"),
            ("/a/", "must not end with"),
            ("//", "must not end with"),
            ("/a//b", "empty part"),
            ("/a/./b", "part \".\""),
            ("/..", "part \"..\""),
            ("/a\0b", "U+0000"),
            ("/a\nb", "U+000A"),
            ("/\u{7f}", "U+007F"),
            ("/\u{e123}", "U+E123"),
        ] {
            let error = validate(path).expect_err(path);
            assert_eq!(error.code(), Code::BAD_PATH);
            assert_eq!(error.path(), Some(path));
            assert!(error.to_string().contains(rule), "{error}");
        }
    }

    #[test]
    fn good_paths_are_taken() {
        for path in ["/", "/a", "/a/b.c", "/ä/…", "/a/.b", "/zookeeper/quota", "/😀"] {
            validate(path).expect(path);
        }
        validate_sequential("/a/").expect("a sequence number may be the whole name");
        validate_sequential("/").expect("also below the root");
        assert!(validate_sequential("/a//").is_err());
    }

    #[test]
    fn parent_name_and_join() {
        assert_eq!((parent("/"), parent("/a"), parent("/a/b")), (None, Some("/"), Some("/a")));
        assert_eq!((name("/a/b"), name("/")), ("b", ""));
        assert_eq!((join("/", "a").as_str(), join("/a", "b").as_str()), ("/a", "/a/b"));
    }
}
