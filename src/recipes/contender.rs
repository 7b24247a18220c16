//! Who contends for a lock: the children of its path whose names end in a sequence number.

use crate::mutant::{Mutant, mutated};
use crate::proto::Names;
use std::cmp::Ordering;

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

/// The contenders among a path's children, in their order there, by number and name. Other children neither
/// block nor break a lock.
fn among<'a>(children: &'a Names, extra: &[String]) -> impl Iterator<Item = (i32, &'a str)> {
    children.iter().filter_map(|name| Some((sequence(name, extra)?, name)))
}

/// The order of service.
fn order(one: &(i32, &str), other: &(i32, &str)) -> Ordering {
    if mutated(Mutant::NameOrder) {
        return one.1.cmp(other.1);
    }
    one.cmp(other)
}

/// Whether anybody contends.
pub(super) fn is_any(children: &Names, extra: &[String]) -> bool {
    among(children, extra).next().is_some()
}

/// The contenders among a path's children, lowest first.
pub(super) fn contenders(children: &Names, extra: &[String]) -> Vec<Contender> {
    let mut found: Vec<_> = among(children, extra).collect();
    found.sort_unstable_by(order);
    found.into_iter().map(|(sequence, name)| Contender { sequence, name: name.to_owned() }).collect()
}

/// Who is before a contender.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Who is right before it, if anybody is.
    pub(super) before: Option<Contender>,
    /// The numbers of all who are before it, lowest first.
    pub(super) numbers: Vec<i32>,
}

/// The place of the child of this name; `None` if it is not there. It takes no memory for each name but its number:
/// ten thousand that wait on one path each look for theirs.
pub(super) fn place(children: &Names, own: &str, extra: &[String]) -> Option<Place> {
    let own = (sequence(own, extra)?, own);
    let mut is_there = false;
    let mut before: Option<(i32, &str)> = None;
    let mut numbers = Vec::with_capacity(children.len());
    for other in among(children, extra) {
        match order(&other, &own) {
            Ordering::Less => {
                numbers.push(other.0);
                before = before.filter(|known| order(known, &other).is_gt()).or(Some(other));
            }
            Ordering::Equal => is_there = true,
            Ordering::Greater => {}
        }
    }
    numbers.sort_unstable();
    let before = before.map(|(sequence, name)| Contender { sequence, name: name.to_owned() });
    is_there.then_some(Place { before, numbers })
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
        let names: Names = names.iter().collect();
        let all = contenders(&names, &[]);
        assert_eq!(all.iter().map(|c| c.sequence).collect::<Vec<_>>(), [-1, 1, 9, 10]);
        for (at, own) in all.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| all[before].clone());
            let numbers = all[..at].iter().map(|c| c.sequence).collect();
            assert_eq!(place(&names, &own.name, &[]), Some(Place { before, numbers }), "{own:?}");
        }
        for absent in ["config", "lock-0000000003", "_c_8-lock-0000000009"] {
            assert_eq!(place(&names, absent, &[]), None);
        }
    }

    #[test]
    fn where_numbers_repeat_the_name_decides() {
        let names: Names = ["b-lock-0000000001", "a-lock-0000000001"].iter().collect();
        let before = Contender { sequence: 1, name: "a-lock-0000000001".to_owned() };
        let place = place(&names, "b-lock-0000000001", &[]);
        assert_eq!(place, Some(Place { before: Some(before), numbers: vec![1] }));
    }
}
