//! The list of conformance scenarios, held against itself and against what each language implements.

use std::collections::BTreeMap;
use std::path::Path;

/// A language: where its scenarios are, how its files end, what stands before the number of one, and which scenarios
/// are not for it.
const LANGUAGES: [(&str, &str, &str, &str, &[u32]); 5] = [
    ("Rust", "tests/conformance", "rs", "async fn s", &[]),
    ("C", "tests/conformance/c", "c", "void s", &[]),
    // A program lends its connection in C.
    ("C++", "tests/conformance/cpp", "cpp", "void s", &[105, 106, 107, 108, 109]),
    // What is lent there is a connection of the program's, with no client over it, and where it has no transactions they are
    // done step by step.
    ("Go", "bindings/go/conformance", "go", "func TestS", &[107, 108, 109]),
    // It has no handle of another library to lend.
    ("Python", "bindings/python/tests/conformance", "py", "def test_s", &[105, 106, 107, 108, 109]),
];

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The scenarios of the page: where each runs, and its name.
fn listed() -> BTreeMap<u32, (&'static str, String)> {
    let mut list = BTreeMap::new();
    for line in read(&root().join("tests/conformance.md")).lines() {
        let Some((number, rest)) = line.split_once(". **") else { continue };
        let number: u32 = number.parse().unwrap_or_else(|_| panic!("a number: {line}"));
        let (name, rest) = rest.split_once("** ").unwrap_or_else(|| panic!("a name and steps: {line}"));
        let place = if rest.starts_with("*own server* ") { "own" } else { "both" };
        assert!(list.insert(number, (place, name.to_owned())).is_none(), "{number} stands there twice");
    }
    list
}

/// Everything that is named like a scenario in a file: `prefix`, a number, an underscore and the name.
fn named(text: &str, prefix: &str) -> Vec<(u32, String)> {
    let names = text.split(prefix).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest[..end].split_once('_')
    });
    names.flatten().filter_map(|(number, name)| Some((number.parse().ok()?, name.to_owned()))).collect()
}

#[test]
fn the_page_and_the_list_for_programs_say_the_same() {
    let list = listed();
    assert!(list.len() >= 60, "{}", list.len());
    let lines: String = list.iter().map(|(n, (place, name))| format!("{n} {place} {name}\n")).collect();
    assert_eq!(lines, read(&root().join("tests/conformance/scenarios.txt")));
    let names: std::collections::BTreeSet<_> = list.values().map(|(_, name)| name).collect();
    assert_eq!(names.len(), list.len(), "a name stands there twice");
}

#[test]
fn each_language_has_each_scenario_once_and_by_its_name() {
    let list = listed();
    for (language, dir, extension, prefix, left_out) in LANGUAGES {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(root().join(dir)).expect("its directory") {
            let path = entry.expect("a file").path();
            if path.extension().is_none_or(|e| e != extension) {
                continue;
            }
            for (number, name) in named(&read(&path), prefix) {
                assert!(found.insert(number, name).is_none(), "{language} has {number} twice");
            }
        }
        for (number, (_, name)) in list.iter().filter(|(number, _)| !left_out.contains(number)) {
            assert_eq!(found.remove(number).as_deref(), Some(name.as_str()), "{language}, scenario {number}");
        }
        assert!(found.is_empty(), "{language} has scenarios that are not listed: {found:?}");
    }
}

#[test]
fn a_scenario_is_told_from_what_is_named_otherwise() {
    let text = "async fn s07_one() {}\nasync fn stands() {}\nasync fn s100_two(";
    assert_eq!(named(text, "async fn s"), [(7, "one".to_owned()), (100, "two".to_owned())]);
}
