//! What a distribution would ship: what `make install` lays down, programs of others that are built with it, what a program
//! of an earlier version relies on, and the size.

#![cfg(feature = "capi")]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::installed::{ROOT, installed, make, run};
use support::process::Program;
use support::{TempDir, cargo};

/// Ends a test that hangs; no working test comes near it, on a slow machine either.
const LIMIT: Duration = Duration::from_secs(600);

/// The stripped shared library may not be larger than this many bytes,
const LARGEST: u64 = 4_000_000;
/// nor be built from more crates than this, without TLS.
const MOST_CRATES: usize = 40;

const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-pedantic", "-Werror"];

fn files(below: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![below.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in
            std::fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() && !entry.is_symlink() {
                open.push(entry);
            } else {
                found.insert(entry.strip_prefix(below).expect("below").to_str().expect("a name").to_owned());
            }
        }
    }
    found
}

fn copy(from: &str, to: &Path) -> PathBuf {
    let from = Path::new(ROOT).join(from);
    for file in files(&from) {
        let target = to.join(&file);
        std::fs::create_dir_all(target.parent().expect("a parent")).expect("a directory");
        std::fs::copy(from.join(&file), target).expect("a copy");
    }
    to.to_owned()
}

/// A program of one of the projects, run with the installed library.
fn holds(program: &Path, language: &str) {
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", installed().lib());
    let output = Program::spawn(command).wait_success(LIMIT);
    let version = env!("CARGO_PKG_VERSION");
    assert!(output.starts_with(&format!("zkhelper {version}: held in {language}, token ")), "{output}");
    let shared = program.to_string_lossy().ends_with("shared");
    let needed = run(Command::new("readelf").arg("-d").arg(program));
    assert_eq!(needed.contains("libzkhelper.so.0"), shared, "{program:?}: {needed}");
}

#[test]
fn install_lays_down_libraries_headers_and_packages_below_destdir_and_prefix() {
    let version = env!("CARGO_PKG_VERSION");
    let tree = TempDir::new("destdir");
    let mut install = make();
    install.arg("install").arg("PREFIX=/usr").arg("LIBDIR=/usr/lib/x86_64-linux-gnu");
    run(install.arg(format!("DESTDIR={}", tree.path().display())));
    let lib = "usr/lib/x86_64-linux-gnu";
    let mut expected: BTreeSet<_> = [
        "usr/bin/zkh".to_owned(),
        format!("{lib}/libzkhelper.a"),
        format!("{lib}/libzkhelper.so"),
        format!("{lib}/libzkhelper.so.0"),
        format!("{lib}/libzkhelper.so.{version}"),
        format!("{lib}/pkgconfig/zkhelper.pc"),
        format!("{lib}/pkgconfig/zkhelper-static.pc"),
        format!("{lib}/cmake/zkhelper/zkhelper-config.cmake"),
        format!("{lib}/cmake/zkhelper/zkhelper-config-version.cmake"),
    ]
    .into();
    for header in files(&Path::new(ROOT).join("include")) {
        expected.insert(format!("usr/include/{header}"));
    }
    assert_eq!(files(tree.path()), expected);
    let link = |name: &str| std::fs::read_link(tree.path().join(lib).join(name)).expect("a link");
    assert_eq!(link("libzkhelper.so"), Path::new("libzkhelper.so.0"));
    assert_eq!(link("libzkhelper.so.0"), Path::new(&format!("libzkhelper.so.{version}")));

    // What was staged says where it will be, and nothing of where it is.
    let read = |name: &str| std::fs::read_to_string(tree.path().join(lib).join(name)).expect("a file");
    let pc = read("pkgconfig/zkhelper.pc");
    assert!(
        pc.contains("libdir=/usr/lib/x86_64-linux-gnu\n") && pc.contains("includedir=/usr/include\n"),
        "{pc}"
    );
    assert!(pc.contains(&format!("Version: {version}\n")), "{pc}");
    let config = read("cmake/zkhelper/zkhelper-config.cmake");
    assert!(config.contains("${_zkhelper_lib}/../../include\""), "{config}");
    for text in [pc, config, read("cmake/zkhelper/zkhelper-config-version.cmake")] {
        assert!(!text.contains(&*tree.path().to_string_lossy()) && !text.contains('@'), "{text}");
    }
}

#[test]
fn a_c_project_is_built_by_pkg_config_shared_and_static() {
    let dir = TempDir::new("consumer");
    let project = copy("tests/consumer/c", dir.path());
    let mut make = Command::new("make");
    make.current_dir(&project).env("PKG_CONFIG_PATH", installed().lib().join("pkgconfig"));
    run(make.env_remove("MAKEFLAGS"));
    for how in ["shared", "static"] {
        holds(&project.join(how), "C");
    }
}

#[test]
fn a_cpp_project_is_built_by_cmake_shared_and_static_also_from_a_tree_that_was_moved() {
    let dir = TempDir::new("consumer");
    copy("tests/consumer", dir.path());
    let moved = dir.path().join("moved");
    // Links stay links.
    run(Command::new("cp").arg("-a").arg(installed().prefix()).arg(&moved));
    for (prefix, standard) in [(installed().prefix(), "17"), (moved.as_path(), "20")] {
        let build = dir.path().join(format!("build{standard}"));
        let mut configure = Command::new("cmake");
        configure.arg("-S").arg(dir.path().join("cpp")).arg("-B").arg(&build);
        configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
        run(configure.arg(format!("-DCMAKE_CXX_STANDARD={standard}")));
        run(Command::new("cmake").arg("--build").arg(&build).env_remove("MAKEFLAGS"));
        for (program, language) in
            [("cpp-shared", "C++"), ("cpp-static", "C++"), ("c-shared", "C"), ("c-static", "C")]
        {
            holds(&build.join(program), language);
        }
    }
    // An installation that lacks a file is not found, and says what it lacks.
    std::fs::remove_file(moved.join("lib/libzkhelper.a")).expect("a file");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(dir.path().join("cpp")).arg("-B").arg(dir.path().join("broken"));
    let output = configure.arg(format!("-DCMAKE_PREFIX_PATH={}", moved.display())).output().expect("cmake");
    // Its lines are broken anywhere.
    let text = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!output.status.success() && text.contains("libzkhelper.a is missing"), "{text}");
}

/// One file that includes a header, and nothing before it, in each language that it is for.
#[test]
fn each_header_alone_compiles_without_a_warning_in_every_standard_and_compiler() {
    let dir = TempDir::new("header");
    let include = Path::new(ROOT).join("include");
    let compile = |compiler: &str, language: &str, standard: &str, header: &str| {
        // Twice: it guards itself.
        let text = format!(
            "#include <{header}>\n#include <{header}>\nint zkh_code(void);\nint zkh_code(void) {{ return ZKH_NO_NODE; }}\n"
        );
        let source = dir.path().join("header.c");
        std::fs::write(&source, text).expect("a file");
        let mut command = Command::new(compiler);
        command.args([
            "-x",
            language,
            &format!("-std={standard}"),
            "-fsyntax-only",
            "-Wconversion",
            "-Wshadow",
        ]);
        run(command.args(STRICT).arg("-I").arg(&include).arg(source));
    };
    for header in files(&include) {
        if header.ends_with(".h") {
            for standard in ["c11", "c17"] {
                compile("gcc", "c", standard, &header);
                compile("clang", "c", standard, &header);
            }
        }
        // Parts of the C++ header are tried with one compiler for each standard; the whole with both.
        let all = !header.contains('/');
        for (compiler, standard) in [("g++", "c++17"), ("clang++", "c++20")] {
            compile(compiler, "c++", standard, &header);
        }
        if all {
            for (compiler, standard) in [("g++", "c++20"), ("clang++", "c++17")] {
                compile(compiler, "c++", standard, &header);
            }
        }
    }
}

/// A header without its comments, as declarations: one for each function, type and constant.
fn declarations(header: &str) -> BTreeSet<String> {
    let without: String = header
        .split("/*")
        .enumerate()
        .map(|(i, part)| if i == 0 { part } else { part.split_once("*/").expect("an end of a comment").1 })
        .collect();
    let mut text = String::new();
    for line in without.lines() {
        let line = line.split("//").next().unwrap_or_default();
        if line.starts_with("#define ZKH_") {
            text += &format!(";{line};");
        } else if !line.starts_with('#') {
            text += &format!("{line} ");
        }
    }
    let text = text.replace("extern \"C\" {", "");
    let (mut all, mut one, mut depth) = (BTreeSet::new(), String::new(), 0);
    for c in text.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c != ';' || depth > 0 {
            one.push(c);
            continue;
        }
        let plain = one.split_whitespace().collect::<Vec<_>>().join(" ");
        if !plain.is_empty() {
            all.insert(plain);
        }
        one.clear();
    }
    all
}

fn frozen() -> Vec<PathBuf> {
    let all = std::fs::read_dir(Path::new(ROOT).join("tests/capi/abi")).expect("a directory");
    let mut all: Vec<_> = all.map(|entry| entry.expect("an entry").path()).collect();
    all.sort_unstable();
    assert!(all.iter().any(|dir| dir.ends_with("0.1")), "the header of 0.1 is frozen for good");
    all
}

#[test]
fn every_declaration_of_a_frozen_header_still_stands_as_it_was() {
    let now = declarations(include_str!("../include/zkhelper.h"));
    for version in frozen() {
        let header = std::fs::read_to_string(version.join("zkhelper.h")).expect("a header");
        let then = declarations(&header);
        assert!(then.iter().any(|one| one.starts_with("zkh_status zkh_mutex_lock(")), "nothing was read");
        assert!(then.iter().any(|one| one == "#define ZKH_NO_NODE -101"), "no constant was read");
        assert!(then.iter().any(|one| one.contains("int64_t czxid; int64_t mzxid;")), "no struct was read");
        let changed: Vec<_> = then
            .iter()
            .filter(|one| !now.contains(*one) && !one.starts_with("#define ZKH_VERSION_NUMBER"))
            .collect();
        assert!(changed.is_empty(), "{}: {changed:#?}", version.display());
    }
}

#[test]
fn a_program_of_each_earlier_version_runs() {
    let dir = TempDir::new("abi");
    for version in frozen() {
        for sanitized in [false, true] {
            let program = dir.path().join(format!("client{sanitized}"));
            let mut cc = Command::new("cc");
            cc.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-g", "-pthread"]).args(STRICT);
            if sanitized {
                cc.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
            }
            // Its header, and not the one that is installed.
            cc.arg("-I").arg(&version).arg("-o").arg(&program).arg(version.join("client.c"));
            run(cc.args(installed().pkg_config(&["--libs"])));
            let mut command = Command::new(&program);
            command.env("LD_LIBRARY_PATH", installed().lib());
            let output = Program::spawn(command).wait_success(LIMIT);
            assert!(output.starts_with("a program of version "), "{output}");
        }
        // Every function of then can be linked.
        let header = std::fs::read_to_string(version.join("zkhelper.h")).expect("a header");
        let functions: BTreeSet<_> = declarations(&header)
            .into_iter()
            .filter(|one| one.ends_with(')') && !one.starts_with("typedef"))
            .map(|one| {
                let name = one.split('(').next().unwrap_or_default();
                name.rsplit([' ', '*']).next().unwrap_or_default().to_owned()
            })
            .collect();
        assert!(functions.contains("zkh_mutex_lock") && functions.contains("zkh_error_message"));
        let mut text = "#include <zkhelper.h>\ntypedef void (*any)(void);\nany all[] = {\n".to_owned();
        for name in &functions {
            text += &format!("    (any){name},\n");
        }
        text += "};\nint main(void) { return all[0] == 0; }\n";
        let source = dir.path().join("all.c");
        std::fs::write(&source, text).expect("a file");
        let mut cc = Command::new("cc");
        cc.arg("-I").arg(&version).arg("-o").arg(dir.path().join("all")).arg(source);
        run(cc.args(installed().pkg_config(&["--libs"])));
    }
}

#[test]
fn the_shared_library_is_small_and_made_of_few_crates_and_the_readme_says_so() {
    let dir = TempDir::new("size");
    let stripped = dir.path().join("stripped.so");
    run(Command::new("strip").arg("-o").arg(&stripped).arg(installed().lib().join("libzkhelper.so")));
    let size = std::fs::metadata(&stripped).expect("a file").len();
    let mut tree = cargo();
    tree.args([
        "tree",
        "--locked",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--features",
        "capi",
    ]);
    let tree = run(tree.args(["--format", "{p}"]));
    let crates: BTreeSet<_> = tree.lines().filter_map(|line| line.split(" (").next()).collect();
    println!("{size} bytes, {} crates", crates.len());
    assert!(size <= LARGEST, "{size} bytes, stripped");
    assert!(crates.len() <= MOST_CRATES, "{} crates: {crates:?}", crates.len());
    let readme = include_str!("../README.md");
    let stated = format!("{} MB stripped, from {} crates", LARGEST / 1_000_000, MOST_CRATES);
    assert!(readme.contains(&stated), "the README does not say {stated:?}");
}
