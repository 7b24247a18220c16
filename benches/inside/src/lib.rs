//! Nothing but what `cargo bench` runs: see benches/inside.rs.
