//! Makes `include/zkhelper.h` from `src/ffi`. With `--check` it writes nothing, and fails if the header
//! is not what it would have written.

use std::error::Error;
use std::path::Path;

/// The header's parts, in their order there.
const SOURCES: &[&str] = &[
    "codes",
    "error",
    "version",
    "op",
    "stat",
    "result",
    "acl",
    "options",
    "tls",
    "client",
    "nodes",
    "multi",
    "watch",
    "call",
    "lend",
    "tree",
    "mutex",
    "guarded",
    "elector_options",
    "elector",
    "contenders",
    "term",
    "leader",
    "queue_lock",
    "pid_node",
    "server",
    "log",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut builder =
        cbindgen::Builder::new().with_config(cbindgen::Config::from_file(root.join("cbindgen.toml"))?);
    for source in SOURCES {
        builder = builder.with_src(root.join("src/ffi").join(source).with_extension("rs"));
    }
    let mut text = Vec::new();
    builder.generate()?.write(&mut text);

    let header = root.join("include/zkhelper.h");
    let is_current = std::fs::read(&header).is_ok_and(|old| old == text);
    match std::env::args().nth(1).as_deref() {
        None if is_current => Ok(()),
        None => Ok(std::fs::write(header, text)?),
        Some("--check") if is_current => Ok(()),
        Some("--check") => Err("include/zkhelper.h is out of date: run `make header` and commit it".into()),
        Some(other) => Err(format!("{other}: the only option is --check").into()),
    }
}
