//! Patterns for names, as Go's `path.Match` has them.
//!
//! `*` stands for any characters, `?` for one, `[a-z]` for one of a class, `[^a-z]` for one outside it, and `\`
//! takes the next character as it is. Unlike `path.Match`, which finds out while it matches, a pattern is
//! checked as a whole before anything is matched.

use std::fmt;

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Any number of any characters.
    Star,
    /// One character, whichever.
    Any,
    Char(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Piece {
    /// Whether it stands for this one character.
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::Char(own) => *own == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// A pattern for one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

/// What is wrong with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut chars = text.chars().peekable();
        let mut pieces = Vec::new();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                // Several in a row are one.
                '*' if pieces.last() == Some(&Piece::Star) => continue,
                '*' => Piece::Star,
                '?' => Piece::Any,
                '\\' => Piece::Char(chars.next().ok_or(Malformed("it ends with a lone \"\\\""))?),
                '[' => {
                    let negated = chars.next_if_eq(&'^').is_some();
                    let mut ranges = Vec::new();
                    while ranges.is_empty() || chars.next_if_eq(&']').is_none() {
                        let low = of_class(&mut chars)?;
                        let high = if chars.next_if_eq(&'-').is_some() { of_class(&mut chars)? } else { low };
                        ranges.push((low, high));
                    }
                    Piece::Class { negated, ranges }
                }
                c => Piece::Char(c),
            });
        }
        Ok(Self(pieces))
    }

    /// The one name that it stands for, if it has no wildcard.
    pub(super) fn literal(&self) -> Option<String> {
        self.0.iter().map(|piece| if let Piece::Char(c) = piece { Some(*c) } else { None }).collect()
    }

    /// Whether it stands for this name. Takes no longer than the product of the two lengths.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut piece, mut at) = (0, 0);
        // Behind the last star, and up to where it reaches: an earlier one need not be looked at again.
        let mut star: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(piece), name.get(at)) {
                (Some(Piece::Star), _) => {
                    piece += 1;
                    star = Some((piece, at));
                    continue;
                }
                (Some(own), Some(c)) if own.takes(*c) => {
                    (piece, at) = (piece + 1, at + 1);
                    continue;
                }
                (None, None) => return true,
                _ => {}
            }
            match star {
                Some((behind, reach)) if reach < name.len() => {
                    (piece, at) = (behind, reach + 1);
                    star = Some((behind, reach + 1));
                }
                _ => return false,
            }
        }
    }
}

/// One end of a range in a class.
fn of_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, Malformed> {
    match chars.next() {
        None => Err(Malformed("a \"[\" has no \"]\"")),
        Some('-') => {
            Err(Malformed("a \"-\" in a \"[…]\" has no character before it; write \"\\-\" for the character"))
        }
        Some(']') => {
            Err(Malformed("a \"]\" in a \"[…]\" stands where a character should; write \"\\]\" for it"))
        }
        Some('\\') => chars.next().ok_or(Malformed("it ends with a lone \"\\\"")),
        Some(c) => Ok(c),
    }
}

/// Whether a path has a wildcard: `*`, `?` or `[` without a `\` before it. A lone `\` at the end counts as one,
/// since the path means nothing without it.
///
/// ```
/// use zkhelper::has_wildcard;
///
/// assert!(has_wildcard("/zk/*/lock"));
/// assert!(!has_wildcard(r"/zk/\*/lock"));
/// ```
pub fn has_wildcard(path: &str) -> bool {
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' if chars.next().is_none() => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &str, name: &str) -> Result<bool, Malformed> {
        Pattern::parse(pattern).map(|pattern| pattern.matches(name))
    }

    #[test]
    fn names_are_matched_as_go_does() {
        for (pattern, yes, no) in [
            ("", vec![""], vec!["a"]),
            ("shard", vec!["shard"], vec!["", "shar", "shards", "Shard"]),
            ("*", vec!["", "a", "abc", "äö", ".", "-"], vec![]),
            ("**", vec!["", "a", "abc"], vec![]),
            ("?", vec!["a", "ä", "😀", "*"], vec!["", "ab"]),
            ("??", vec!["ab", "ää"], vec!["a", "abc"]),
            ("s*d", vec!["sd", "sad", "sddd", "s d"], vec!["s", "d", "sda", "ssad1"]),
            ("*d", vec!["d", "sd", "dd", "ddd"], vec!["", "ds"]),
            ("s*", vec!["s", "ss", "shard"], vec!["", "as"]),
            ("*a*b*c*", vec!["abc", "1a2b3c4", "aabbcc", "acbc"], vec!["acb", "cba", "ab"]),
            ("a*a*a*a*b", vec!["aaaab", "aXaYaaaZab"], vec!["aaab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"]),
            ("?*?", vec!["ab", "abc"], vec!["", "a"]),
            ("[abc]", vec!["a", "b", "c"], vec!["", "d", "ab", "A"]),
            ("[a-c]x", vec!["ax", "cx"], vec!["dx", "a", "-x"]),
            ("[^a]", vec!["b", "^", "ä", "]"], vec!["a", "", "bb"]),
            ("[^a-c0-9]", vec!["d", "-"], vec!["a", "b", "5"]),
            ("[a^]", vec!["a", "^"], vec!["b"]),
            ("[!a]", vec!["!", "a"], vec!["b"]),
            ("[a-cx-z]", vec!["b", "y"], vec!["m", "-"]),
            ("[z-a]", vec![], vec!["a", "m", "z", "-"]),
            ("[^z-a]", vec!["a", "z"], vec!["", "ab"]),
            (r"[\]]", vec!["]"], vec!["\\", "["]),
            (r"[\-x]", vec!["-", "x"], vec!["w", "\\"]),
            (r"[x\-]", vec!["-", "x"], vec!["w"]),
            (r"[\\]", vec!["\\"], vec!["]"]),
            (r"[\a-\c]", vec!["b"], vec!["\\", "-"]),
            (r"[+-\-]", vec!["+", ",", "-"], vec!["."]),
            ("[[]", vec!["["], vec!["]"]),
            ("[[a]*", vec!["[", "ab", "a"], vec!["b"]),
            ("[*]", vec!["*"], vec!["a", ""]),
            ("[?]", vec!["?"], vec!["a"]),
            ("[*?[]x", vec!["*x", "?x", "[x"], vec!["ax"]),
            ("[ä-ü]", vec!["ä", "ö"], vec!["a", "z"]),
            ("[☺a]", vec!["☺", "a"], vec!["b"]),
            ("]", vec!["]"], vec!["["]),
            ("a]b-c^", vec!["a]b-c^"], vec!["ab"]),
            (r"\*", vec!["*"], vec!["a", "", r"\*"]),
            (r"a\?b", vec!["a?b"], vec!["axb"]),
            (r"\[a]", vec!["[a]"], vec!["a"]),
            (r"\\", vec!["\\"], vec![""]),
            (r"\a", vec!["a"], vec![r"\a"]),
            (r"*\*", vec!["*", "a*"], vec!["a"]),
            ("lock-[0-9]*", vec!["lock-0", "lock-0000000012"], vec!["lock-", "lock-x1"]),
            ("a[^b]c", vec!["axc", "a^c"], vec!["abc", "ac"]),
            ("ab[c]", vec!["abc"], vec!["ab", "abd"]),
            ("ab[e-g]", vec!["abf"], vec!["abc"]),
            ("[a-ζ]*", vec!["α", "z1"], vec!["Z", ""]),
        ] {
            for name in yes {
                assert_eq!(matched(pattern, name), Ok(true), "{pattern:?} and {name:?}");
            }
            for name in no {
                assert_eq!(matched(pattern, name), Ok(false), "{pattern:?} and {name:?}");
            }
        }
    }

    #[test]
    fn a_malformed_pattern_is_refused_whether_or_not_a_name_would_get_there() {
        for pattern in [
            "[", "[a", "[a-", "[a-b", "[^", "[^a", "[]", "[]a]", "[^]", "[^]a]", "[-", "[-]", "[-a]", "[a-]",
            "[a-]b]", "[x-]", "[-x]", "[a-b-c]", "[a--]", r"[\", r"[a\", r"[a-\", "\\", r"a\", r"*\", "a[",
            "a*[", "*[", "?[^", r"zzz\", "x[]",
        ] {
            assert!(matched(pattern, "a").is_err(), "{pattern:?}");
        }
    }

    #[test]
    fn a_pattern_without_a_wildcard_is_one_name() {
        for (pattern, literal) in [
            ("", Some("")),
            ("a-b]", Some("a-b]")),
            (r"a\*\\", Some(r"a*\")),
            ("a*", None),
            ("?", None),
            ("[a]", None),
        ] {
            assert_eq!(Pattern::parse(pattern).expect(pattern).literal().as_deref(), literal, "{pattern:?}");
            assert_eq!(has_wildcard(pattern), literal.is_none(), "{pattern:?}");
        }
        assert!(
            has_wildcard(r"/a\") && !has_wildcard(r"/a\\") && has_wildcard(r"/a\\*") && !has_wildcard("")
        );
    }

    /// The same pieces, matched by trying everything.
    fn naive(pieces: &[Piece], name: &[char]) -> bool {
        match pieces.split_first() {
            None => name.is_empty(),
            Some((Piece::Star, rest)) => (0..=name.len()).any(|taken| naive(rest, &name[taken..])),
            Some((Piece::Any, rest)) => !name.is_empty() && naive(rest, &name[1..]),
            Some((Piece::Char(c), rest)) => name.first() == Some(c) && naive(rest, &name[1..]),
            Some((Piece::Class { negated, ranges }, rest)) => {
                let Some(c) = name.first() else { return false };
                let within = ranges.iter().any(|range| range.0 <= *c && *c <= range.1);
                within != *negated && naive(rest, &name[1..])
            }
        }
    }

    /// Random patterns over a small alphabet, written as text and kept as pieces.
    fn random(rng: &mut fastrand::Rng) -> (String, Vec<Piece>) {
        let (mut text, mut pieces) = (String::new(), Vec::new());
        for _ in 0..rng.usize(..7) {
            match rng.u8(..10) {
                0..=2 => {
                    text.push('*');
                    pieces.push(Piece::Star);
                }
                3 => {
                    text.push('?');
                    pieces.push(Piece::Any);
                }
                4 | 5 => {
                    let negated = rng.bool();
                    text.push_str(if negated { "[^" } else { "[" });
                    let ranges: Vec<_> =
                        (0..rng.usize(1..3)).map(|_| (rng.char('a'..='c'), rng.char('a'..='c'))).collect();
                    for (low, high) in &ranges {
                        text.push(*low);
                        if low != high || rng.bool() {
                            text.push('-');
                            text.push(*high);
                        }
                    }
                    text.push(']');
                    pieces.push(Piece::Class { negated, ranges });
                }
                6 => {
                    let c = rng.choice(['*', '?', '[', ']', '\\', 'a', '-', '^']).unwrap_or('*');
                    text.push('\\');
                    text.push(c);
                    pieces.push(Piece::Char(c));
                }
                _ => {
                    let c = rng.char('a'..='c');
                    text.push(c);
                    pieces.push(Piece::Char(c));
                }
            }
        }
        (text, pieces)
    }

    #[test]
    fn matching_agrees_with_trying_everything() {
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut matches = 0;
        for round in 0..200_000 {
            let (text, pieces) = random(&mut rng);
            let pattern = Pattern::parse(&text).unwrap_or_else(|e| panic!("seed {seed}, {text:?}: {e}"));
            let name: Vec<char> =
                (0..rng.usize(..8)).map(|_| rng.choice(['a', 'b', 'c', '*', '\\']).unwrap_or('a')).collect();
            let text_name: String = name.iter().collect();
            let expected = naive(&pieces, &name);
            matches += u32::from(expected);
            assert_eq!(
                pattern.matches(&text_name),
                expected,
                "seed {seed}, round {round}: {text:?}, {text_name:?}"
            );
        }
        assert!(matches > 5_000, "{matches} matches are too few to prove anything");
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!Pattern::parse(&pattern).expect("good").matches(&"a".repeat(5_000)));
    }
}
