//! Which paths the server takes, by Apache ZooKeeper's rule.

/// Whether a node may have this path.
pub(super) fn is_valid(path: &str) -> bool {
    match path.strip_prefix('/') {
        None => false,
        Some("") => true,
        Some(names) => names.split('/').all(is_valid_name),
    }
}

fn is_valid_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.chars().all(is_valid_char)
}

/// Control characters, private use and specials are refused. What does not fit into 16 bits
/// is a pair of surrogates to the JVM.
fn is_valid_char(c: char) -> bool {
    !matches!(
        c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{10ffff}'
    )
}

/// A path split at its last slash. The parent of a top node is `/`.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    let (parent, name) = path.rsplit_once('/')?;
    Some((if parent.is_empty() { "/" } else { parent }, name))
}

/// The path as the tree stores it: the empty one is another name of the root.
pub(super) fn stored(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_judged_as_apache_zookeeper_judges_them() {
        for path in ["/", "/a", "/a/b", "/a b", "/...", "/.a", "/a./b", "/é", "/zookeeper/quota"] {
            assert!(is_valid(path), "{path:?}");
        }
        let bad = [
            "",
            "a",
            "/a/",
            "//",
            "/a//b",
            "/.",
            "/..",
            "/a/./b",
            "/a/..",
            "/\0",
            "/\u{7f}",
            "/\u{fffd}",
            "/😀",
        ];
        for path in bad {
            assert!(!is_valid(path), "{path:?}");
        }
    }

    #[test]
    fn the_parent_of_a_top_node_is_the_root() {
        assert_eq!(split("/a"), Some(("/", "a")));
        assert_eq!(split("/a/b"), Some(("/a", "b")));
        assert_eq!(split("a"), None);
    }
}
