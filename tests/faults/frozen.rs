//! Servers and clients that stand still, and connections that work one way only.

use crate::contender::{Contender, run};
use crate::ground::{Ground, Servers, TIMEOUT};
use crate::support::proxy::{Direction, Proxy};
use std::thread::sleep;

/// Both may use all servers.
fn anywhere(ground: &Ground) -> impl Fn(&str) -> (Contender, Contender) {
    let servers = ground.ensemble.connect_string();
    move |base| (Contender::start(&servers, base), Contender::start(&servers, base))
}

#[test]
fn a_leader_frozen_for_one_and_a_half_session_timeouts() {
    let ground = Ground::of(Servers::Alert);
    let zk = ground.ensemble;
    run(&ground, "leader frozen for 1.5 timeouts", anywhere(&ground), |_| {
        let leader = zk.leader();
        zk.freeze(leader);
        sleep(TIMEOUT * 3 / 2);
        zk.thaw(leader);
    });
}

#[test]
fn all_servers_frozen_for_two_session_timeouts() {
    let ground = Ground::of(Servers::Alert);
    let zk = ground.ensemble;
    run(&ground, "all servers frozen for 2 timeouts", anywhere(&ground), |_| {
        (0..zk.servers()).for_each(|i| zk.freeze(i));
        sleep(TIMEOUT * 2);
        (0..zk.servers()).for_each(|i| zk.thaw(i));
    });
}

#[test]
fn a_holder_paused_for_half_a_session_timeout_one_and_two() {
    let ground = Ground::of(Servers::Alert);
    for halves in [1, 2, 4] {
        let schedule = format!("holder paused for {} timeouts", f64::from(halves) / 2.0);
        let [_, default] = run(&ground, &schedule, anywhere(&ground), |pair| {
            pair.holder.program.freeze();
            sleep(TIMEOUT * halves / 2);
            pair.holder.program.thaw();
        });
        assert_eq!(default.overlaps, 0, "the servers were well: M2");
    }
}

#[test]
fn a_connection_that_is_half_open_in_either_direction() {
    let ground = Ground::of(Servers::Alert);
    for direction in [Direction::ToServer, Direction::ToClient] {
        let schedule = format!("nothing passes {direction:?}");
        let server = ground.ensemble.follower();
        let proxy = Proxy::new(ground.ensemble.address(server));
        let contenders = |base: &str| {
            let holder = Contender::start(&proxy.address().to_string(), base);
            (holder, Contender::start(&ground.ensemble.connect_string(), base))
        };
        let outcomes = run(&ground, &schedule, contenders, |pair| {
            proxy.freeze(direction);
            pair.wait_next_granted();
            proxy.pass();
        });
        let [strict, default] = outcomes;
        assert_eq!((strict.lost, default.lost), (strict.leads.len(), default.leads.len()));
        assert_eq!(default.overlaps, 0, "the servers were well: M2");
        assert!(strict.told.iter().chain(&default.told).all(|lead| *lead >= 0), "told too late: M3");
    }
}
