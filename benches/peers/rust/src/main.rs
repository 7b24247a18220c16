//! Workers in Rust: `zkhelper-peers raw|zkhelper|zookeeper-client ADDRESS`.
//!
//! A worker reads `ROW PATH COUNT` from each line of its input, does that, and answers with a line of JSON.

mod foreign;
mod ours;
mod raw;
mod rows;
mod scale;

use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::time::Duration;

/// What one row cost: cycles, and the time they took in all; the median of single ones where they were timed.
pub struct Cost {
    pub cycles: usize,
    pub total: Duration,
    pub each: Vec<Duration>,
}

impl Cost {
    fn json(mut self) -> Value {
        self.each.sort();
        let median = self.each.get(self.each.len() / 2).map(|time| time.as_secs_f64() * 1e6);
        json!({ "cycles": self.cycles, "seconds": self.total.as_secs_f64(), "median_us": median })
    }
}

/// A line of the input.
pub struct Order {
    pub row: String,
    pub path: String,
    pub count: usize,
}

/// The workers of the rows `paths` and `handoff`.
pub const PATHS: usize = 64;
pub const SESSIONS: usize = 16;

fn orders() -> impl Iterator<Item = Order> {
    std::io::stdin().lock().lines().map_while(Result::ok).filter_map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some(Order { row: words.next()?, path: words.next()?, count: words.next()?.parse().ok()? })
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, address] = &arguments[..] else {
        eprintln!("usage: zkhelper-peers raw|zkhelper|zookeeper-client ADDRESS");
        std::process::exit(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for order in orders() {
        let answer = runtime.block_on(tokio::task::LocalSet::new().run_until(async {
            match kind.as_str() {
                "raw" => raw::run(address, &order).json(),
                "zookeeper-client" => rows::run::<foreign::Session>(address, &order).await.json(),
                _ => match scale::run(address, &order).await {
                    Some(answer) => answer,
                    None => rows::run::<ours::Session>(address, &order).await.json(),
                },
            }
        }));
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}").and_then(|()| out.flush()).expect("written");
    }
}
