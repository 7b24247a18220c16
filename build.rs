//! Names the shared library's soname and keeps it loaded: its IO thread outlives any `dlclose`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libzkhelper.so.0");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
