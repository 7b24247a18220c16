//! The README and the pages under `docs/`, held against what they speak of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name));
    docs.chain(top).filter(|path| path.extension().is_some_and(|e| e == "md")).collect()
}

#[test]
fn the_readmes_c_and_cpp_examples_are_those_that_are_built_and_are_short() {
    let readme = read("README.md");
    let (_, after) = readme.split_once("```c\n").unwrap();
    let (example, _) = after.split_once("```").unwrap();
    assert_eq!(example, read("examples/c/lock.c"));
    assert!(example.lines().count() < 30);
    let (_, after) = readme.split_once("```cpp\n").unwrap();
    let (example, _) = after.split_once("```").unwrap();
    assert_eq!(example, read("examples/cpp/lock.cpp"));
}

#[test]
fn links_within_the_repository_lead_somewhere() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: no {target}", page.display());
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&file).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(headings.any(|known| known == heading), "{}: no {target}", page.display());
            }
        }
    }
}

/// How a heading is named in a link: small letters, hyphens for spaces, no punctuation.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.replace(' ', "-").chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
}

#[test]
fn the_readme_names_every_dependency_and_the_changelog_the_version() {
    let manifest = read("Cargo.toml");
    let readme = read("README.md");
    let (_, dependencies) = manifest.split_once("\n[dependencies]\n").unwrap();
    for line in dependencies.lines().take_while(|line| !line.starts_with('[')) {
        let Some((name, _)) = line.split_once(' ') else { continue };
        assert!(readme.contains(&format!("`{name}`")), "the README gives no reason for {name}");
    }
    assert!(read("CHANGELOG.md").contains(&format!("## {}", env!("CARGO_PKG_VERSION"))));
}

/// The languages of the examples: the directory, and how their files end.
const EXAMPLES: [(&str, &str); 5] =
    [("c", "c"), ("cpp", "cpp"), ("python", "py"), ("go", "go"), ("rust", "rs")];

/// That each file named is there, `links_within_the_repository_lead_somewhere` sees.
#[test]
fn the_readmes_table_has_every_example_on_the_row_of_its_name() {
    let readme = read("README.md");
    let (_, table) = readme.split_once("\n## Examples\n").unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let mut named = BTreeSet::new();
    for row in rows.take_while(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 1 + EXAMPLES.len(), "{row}");
        let files: Vec<_> = cells[1..].iter().zip(EXAMPLES).filter(|(cell, _)| **cell != "–").collect();
        let (first, (_, ending)) = files.first().expect("an example in some language");
        let stem =
            first.strip_prefix("[`").and_then(|rest| rest.split_once(&format!(".{ending}`"))).unwrap().0;
        for (cell, (language, ending)) in files {
            assert_eq!(*cell, format!("[`{stem}.{ending}`](examples/{language}/{stem}.{ending})"), "{row}");
            assert!(named.insert(format!("{language}/{stem}.{ending}")), "{stem} stands there twice");
        }
    }
    let mut there = BTreeSet::new();
    for (language, ending) in EXAMPLES {
        for entry in std::fs::read_dir(root().join("examples").join(language)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == ending) {
                there.insert(format!("{language}/{}", path.file_name().unwrap().to_str().unwrap()));
            }
        }
    }
    assert_eq!(named, there);
    // Cargo builds those that are named in its manifest.
    let manifest = read("Cargo.toml");
    for file in there.iter().filter(|file| file.starts_with("rust/")) {
        assert!(manifest.contains(&format!("path = \"examples/{file}\"")), "{file} is not built");
    }
}

/// The texts of a source file's log lines: level and format.
fn log_lines(source: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("log::") {
        let rest = &source[at + "log::".len()..];
        let Some((level, arguments)) = rest.split_once("!(") else { continue };
        if ["error", "warn", "info", "debug", "trace"].contains(&level) {
            let text = arguments.trim_start().strip_prefix('"').expect("a log line with its text in place");
            found.push((level, text.split_once('"').unwrap().0));
        }
    }
    found
}

#[test]
fn every_log_line_is_explained_to_who_operates_it() {
    let page = read("docs/operating.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let mut open = vec![root().join("src")];
    let mut count = 0;
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            if path.extension().is_none_or(|e| e != "rs") || path.ends_with("tests.rs") {
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
            for (level, format) in log_lines(code) {
                count += 1;
                // What is fixed in it, without what is filled in.
                let fixed: Vec<_> = format
                    .split('{')
                    .enumerate()
                    .map(|(i, part)| if i == 0 { part } else { part.split_once('}').unwrap().1 })
                    .map(|part| part.trim_matches(|c: char| !c.is_alphanumeric()))
                    .filter(|part| part.len() > 1)
                    .collect();
                let row = rows.iter().find(|row| {
                    row.starts_with(&format!("| {level} ")) && fixed.iter().all(|part| row.contains(part))
                });
                assert!(row.is_some(), "{}: docs/operating.md has no {level} {format:?}", path.display());
            }
        }
    }
    assert!(count > 20, "only {count} log lines were found");
}

/// Every name of a test in `docs/seed.md` is one, and every test that is named after a row stands there.
#[test]
fn the_tests_named_after_the_go_packages_faults_are_listed_and_there() {
    let page = read("docs/seed.md");
    let named: BTreeSet<_> = page.split('`').filter(|word| is_named_after_a_row(word)).collect();
    let mut sources = String::new();
    for dir in ["tests", "tests/scenarios"] {
        for entry in std::fs::read_dir(root().join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "rs") {
                sources += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    let there: BTreeSet<_> = sources
        .split("fn ")
        .skip(1)
        .filter_map(|rest| rest.split('(').next())
        .filter(|word| is_named_after_a_row(word))
        .collect();
    assert_eq!(named, there);
    assert!(named.len() > 20, "{named:?}");
}

fn is_named_after_a_row(word: &str) -> bool {
    let area = word.split_once("_row_").map(|(area, rest)| (area, rest.len() > 3));
    area.is_some_and(|(area, whole)| {
        whole && ["mutex", "queue_lock", "elector", "tree", "pid_node", "connect"].contains(&area)
    })
}
