//! The tests' own ground, tested: what the other tests assume of the servers, the proxy and child programs.

mod support;

use std::time::Instant;

use support::zookeeper::{Ensemble, Flavor};

#[test]
fn a_single_server_starts() {
    let start = Instant::now();
    let zk = Ensemble::single(Flavor::Debian);
    println!("single {:?}", start.elapsed());
    println!("{}", zk.srvr(0).unwrap());
    println!("{}", zk.dump(0).unwrap());
    println!("{}", zk.cons(0).unwrap());
}

#[test]
fn three_start() {
    let start = Instant::now();
    let zk = Ensemble::three(Flavor::Debian);
    println!("three {:?}", start.elapsed());
    println!("{}", zk.srvr(0).unwrap());
    println!("{}", zk.dump(zk.leader()).unwrap());
    println!("{}", zk.dump(zk.follower()).unwrap());
}
