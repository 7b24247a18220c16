//! Who contends for a lock: the children of its path whose names end in a sequence number.

use crate::mutant::{Mutant, mutated};

/// What goes before the sequence number in the names of this library's lock nodes, of the old Go
/// package's, of Curator's and of go-zookeeper's.
pub const LOCK_PREFIX: &str = "lock-";

/// The names that count as contenders everywhere: ours and their relatives', and kazoo's.
const KNOWN_PATTERNS: [&str; 2] = [LOCK_PREFIX, "__lock__"];

/// The last sequence number that is used. The server's counter sticks at 2³¹ − 1 and then hands out
/// one name twice; the distance leaves room for requests that are already under way.
pub const LAST_SEQUENCE: i32 = i32::MAX - (1 << 20);

/// A child that contends for the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender {
    /// Its sequence number: who has the lowest holds the lock.
    pub sequence: i32,
    /// Its name.
    pub name: String,
}

/// The sequence number of a child's name, if it is a contender's.
///
/// A server appends the parent's count of creations as ten digits (`%010d`), with a sign once it
/// has overflowed. `extra` holds the patterns of other libraries, without the number.
pub fn sequence(name: &str, extra: &[String]) -> Option<i32> {
    let patterns = KNOWN_PATTERNS.iter().copied().chain(extra.iter().map(String::as_str));
    patterns.filter_map(|pattern| number(name.rsplit_once(pattern)?.1)).next()
}

fn number(text: &str) -> Option<i32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if text.len() < 10 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// The contenders among a path's children, lowest first. Other children neither block nor break a lock.
pub fn contenders(children: Vec<String>, extra: &[String]) -> Vec<Contender> {
    let mut found: Vec<_> = children
        .into_iter()
        .filter_map(|name| sequence(&name, extra).map(|sequence| Contender { sequence, name }))
        .collect();
    if mutated(Mutant::NameOrder) {
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        return found;
    }
    found.sort_unstable_by(|a, b| (a.sequence, &a.name).cmp(&(b.sequence, &b.name)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_library_are_known_by_their_sequence() {
        for (name, expected) in [
            ("lock-0000000007", Some(7)),
            ("_c_5a8e-lock-0000000012", Some(12)),
            ("6f1d2__lock__0000000003", Some(3)),
            ("lock-2147483647", Some(i32::MAX)),
            ("lock--2147483648", Some(i32::MIN)),
            ("lock--000000005", Some(-5)),
            ("lock-", None),
            ("lock-12", None),
            ("lock-00000000x1", None),
            ("lock-9999999999", None),
            ("0000000001", None),
            ("leader", None),
            ("my-read-0000000001", None),
        ] {
            assert_eq!(sequence(name, &[]), expected, "{name}");
        }
        assert_eq!(sequence("my-read-0000000001", &["-read-".to_owned()]), Some(1));
    }

    #[test]
    fn order_is_by_number_and_foreign_children_are_left_out() {
        let names =
            ["zz-lock-0000000001", "lock-0000000010", "config", "_c_9-lock-0000000009", "lock--000000001"];
        let order: Vec<_> =
            contenders(names.map(str::to_owned).to_vec(), &[]).into_iter().map(|c| c.sequence).collect();
        assert_eq!(order, [-1, 1, 9, 10]);
    }
}
