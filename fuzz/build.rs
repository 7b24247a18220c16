//! Makes a caller for every function of the header, so that a new one is fuzzed as soon as it is there.

use std::fmt::Write as _;
use std::path::Path;

/// Left out, and why.
const LEFT_OUT: [(&str, &str); 1] =
    [("zkh_elector_run", "waits until somebody interrupts it; zkh_elector_run_async is tried")];

fn main() {
    let header = Path::new("../include/zkhelper.h");
    println!("cargo::rerun-if-changed={}", header.display());
    let text = std::fs::read_to_string(header).unwrap_or_else(|e| panic!("{}: {e}", header.display()));
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n").collect();
    let mut out = String::from("unsafe extern \"C\" {\n");
    let mut callers = String::new();
    let mut names = String::new();
    let mut count = 0;
    for statement in code.split(';') {
        let Some(Prototype { result, name, parameters }) = prototype(statement) else { continue };
        if LEFT_OUT.iter().any(|(left_out, _)| *left_out == name) {
            continue;
        }
        count += 1;
        let types: Vec<_> = parameters.iter().map(|(kind, _)| rust_type(kind)).collect();
        let declared: Vec<_> = types.iter().enumerate().map(|(i, kind)| format!("a{i}: {kind}")).collect();
        let returns = if result == "void" { String::new() } else { format!(" -> {}", rust_type(&result)) };
        writeln!(out, "    fn {name}({}){returns};", declared.join(", ")).expect("written");
        let mut body = String::new();
        for (i, (kind, parameter)) in parameters.iter().enumerate() {
            writeln!(body, "    let a{i} = call.{};", producer(&name, kind, parameter)).expect("written");
        }
        let arguments: Vec<_> = (0..parameters.len()).map(|i| format!("a{i}")).collect();
        let (begin, end) = if result == "zkh_status" {
            ("let status = ", "call.ended(status);")
        } else {
            ("", "call.passed();")
        };
        writeln!(
            callers,
            "fn call_{name}(call: &mut Call<'_>) {{\n{body}    // SAFETY: every pointer is null or to what the header asks for, and lives until the call is over.\n    {begin}unsafe {{ {name}({}) }};\n    {end}\n}}\n",
            arguments.join(", ")
        )
        .expect("written");
        writeln!(names, "    (\"{name}\", call_{name}),").expect("written");
    }
    assert!(count > 200, "only {count} functions were found in the header");
    writeln!(out, "}}\n\n{callers}\npub(crate) const FUNCTIONS: [(&str, Caller); {count}] = [\n{names}];")
        .expect("written");
    let to = Path::new(&std::env::var("OUT_DIR").expect("cargo's")).join("calls.rs");
    std::fs::write(&to, out).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
}

/// A function of the header: its result's type, its name, and the type and name of each parameter.
struct Prototype {
    result: String,
    name: String,
    parameters: Vec<(String, String)>,
}

fn prototype(statement: &str) -> Option<Prototype> {
    let flat = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    // Preprocessor lines and the like may stand before it.
    let (head, rest) = flat.split_once('(')?;
    let parameters = rest.strip_suffix(')')?;
    if head.contains("typedef") || parameters.contains('(') {
        return None;
    }
    let (before, name) = head.rsplit_once(|c: char| !c.is_alphanumeric() && c != '_')?;
    if !name.starts_with("zkh_") {
        return None;
    }
    let known = [
        "zkh_status",
        "const char *",
        "const void *",
        "const struct zkh_result *",
        "struct zkh_lent_watch",
        "void",
        "bool",
        "int64_t",
        "int32_t",
        "uint64_t",
        "uint32_t",
        "size_t",
    ];
    let with_star = &head[..head.len() - name.len()];
    let tail = with_star.trim_end();
    let result = known.iter().filter(|kind| tail.ends_with(*kind)).max_by_key(|kind| kind.len());
    let result = result.unwrap_or_else(|| panic!("{name}: what is {before:?}?"));
    let parameters = parameters.split(',').map(str::trim).filter(|p| *p != "void" && !p.is_empty());
    let parameters = parameters.map(|parameter| {
        let at = parameter.rfind(|c: char| !c.is_alphanumeric() && c != '_').expect("a type");
        let (kind, name) = parameter.split_at(at + 1);
        (kind.trim().replace("struct ", ""), name.to_owned())
    });
    Some(Prototype {
        result: result.replace("struct ", ""),
        name: name.to_owned(),
        parameters: parameters.collect(),
    })
}

const NUMBERS: [(&str, &str); 7] = [
    ("zkh_status", "i32"),
    ("int32_t", "i32"),
    ("int64_t", "i64"),
    ("uint32_t", "u32"),
    ("uint64_t", "u64"),
    ("size_t", "usize"),
    ("bool", "bool"),
];

fn rust_type(kind: &str) -> String {
    if let Some((_, number)) = NUMBERS.iter().find(|(name, _)| *name == kind) {
        return (*number).to_owned();
    }
    if kind.contains('*') {
        return "*mut c_void".to_owned();
    }
    if kind.ends_with("_fn") {
        return format!("Option<{}>", pascal(kind));
    }
    "Handle".to_owned()
}

/// `zkh_done_fn` as `DoneFn`.
fn pascal(kind: &str) -> String {
    let words = kind.trim_start_matches("zkh_").split('_');
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// What is given to a parameter.
fn producer(function: &str, kind: &str, name: &str) -> String {
    let of = |kind: &str| kind.replace("const ", "").replace([' ', '*'], "").replace("zkh_", "");
    let objects = ["error", "result", "leader", "contenders", "request"];
    match kind {
        "zkh_error **" => "error_out()".to_owned(),
        "const char *" => format!("text({name:?})"),
        "const char *const *" => format!("texts({name:?})"),
        "const char **" => "text_out()".to_owned(),
        "char *" => "buffer()".to_owned(),
        "const void *" => "data()".to_owned(),
        "void *" if name.ends_with("data") => "user_data()".to_owned(),
        "void *" => "buffer()".to_owned(),
        "size_t" => format!("size({name:?})"),
        "size_t *" | "int64_t *" => "number_out()".to_owned(),
        "zkh_stat *" => "stat_out()".to_owned(),
        "const zkh_stat *" => "stats()".to_owned(),
        "const zkh_status *" => "statuses()".to_owned(),
        "int64_t" => format!("int64({name:?})"),
        "int32_t" | "zkh_status" => format!("int32({name:?})"),
        "bool" => "flag()".to_owned(),
        "zkh_destroy_fn" => "destroy()".to_owned(),
        _ if kind.ends_with("_fn") => {
            let once = kind == "zkh_done_fn" && function != "zkh_elector_start"
                || ["zkh_result_fn", "zkh_contenders_fn"].contains(&kind)
                || kind == "zkh_leader_fn" && function.ends_with("_async");
            format!("callback({} as {}, {once})", kind.trim_start_matches("zkh_"), pascal(kind))
        }
        _ if kind.ends_with("**") => format!("object_out({:?})", of(kind)),
        _ if kind.ends_with('*') && objects.contains(&of(kind).as_str()) => {
            let owned = !kind.starts_with("const");
            format!("{}({:?})", if owned { "given_up" } else { "object" }, of(kind))
        }
        _ if kind.starts_with("const") => format!("handle_in({:?})", of(kind)),
        _ if kind.ends_with('*') => format!("handle_out({:?})", of(kind)),
        _ => format!("handle({:?})", of(kind)),
    }
}
