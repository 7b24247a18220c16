//! A follower that is cut off from its ensemble and goes on answering its clients, and what
//! kazoo's lock makes of that, as a control: a schedule under which nobody could be wrong shows nothing.

use crate::contender::{Contender, MODES, Outcome, Pair, run};
use crate::ground::{Ground, Servers, TIMEOUT, rounds, server_of};
use crate::support::{foreign, unique};
use std::process::Command;
use std::thread::sleep;

#[test]
fn a_holder_that_knows_only_a_follower_which_is_cut_off() {
    let ground = Ground::of(Servers::Patient);
    let follower = ground.ensemble.follower();
    let contenders = |base: &str| {
        let holder = Contender::start(&ground.ensemble.address(follower).to_string(), base);
        (holder, Contender::start(&ground.without(follower), base))
    };
    let outcomes = run(&ground, "follower cut off, holder knows no other", contenders, |pair| {
        ground.ensemble.cut_off(follower);
        pair.wait_next_granted();
        ground.ensemble.heal(follower);
    });
    for (outcome, mode) in outcomes.iter().zip(MODES) {
        assert_eq!(outcome.lost, outcome.leads.len(), "{mode}: nobody keeps the lock");
        assert_eq!(outcome.overlaps, 0, "{mode}: M2");
        assert!(outcome.told.iter().all(|lead| *lead >= 0), "{mode}: told after the next grant: M3");
    }
}

#[test]
fn a_holder_that_knows_all_servers_when_its_follower_is_cut_off() {
    let ground = Ground::of(Servers::Patient);
    let all = ground.ensemble.connect_string();
    let contenders = |base: &str| {
        // Until it comes to a follower: servers are taken in random order.
        let holder = loop {
            let mut holder = Contender::start(&all, base);
            if server_of(ground.ensemble, holder.session()) != ground.ensemble.leader() {
                break holder;
            }
        };
        (holder, Contender::start(&all, base))
    };
    let outcomes = run(&ground, "follower cut off, holder knows all servers", contenders, |pair| {
        let follower = server_of(ground.ensemble, pair.holder.session());
        ground.ensemble.cut_off(follower);
        sleep(TIMEOUT * 2);
        ground.ensemble.heal(follower);
    });
    for (outcome, mode) in outcomes.iter().zip(MODES) {
        assert_eq!(outcome.overlaps, 0, "{mode}: M2");
        assert!(outcome.told.iter().all(|lead| *lead >= 0), "{mode}: told after the next grant: M3");
    }
}

#[test]
fn the_control_kazoo_believes_while_the_next_one_holds() {
    let python = foreign::prepare(&["kazoo"]).join("venv/bin/python");
    let ground = Ground::of(Servers::Patient);
    let follower = ground.ensemble.follower();
    let path = format!("/zk/{}", unique("kazoo"));
    let start = |servers: &str| {
        let mut command = Command::new(&python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/kazoo_contender.py"));
        command.args([servers, &path, &TIMEOUT.as_secs_f64().to_string()]);
        Contender::run(command)
    };
    let mut outcome = Outcome::default();
    for _ in 0..rounds() {
        let holder = start(&ground.ensemble.address(follower).to_string());
        let next = start(&ground.without(follower));
        let mut pair = Pair::ready(holder, next, &["kazoo"]);
        ground.ensemble.cut_off(follower);
        pair.wait_next_granted();
        // Its server gives up at last.
        pair.holder.wait_ended("kazoo");
        ground.ensemble.heal(follower);
        for (holder, next) in pair.finish() {
            outcome.add(&holder, &next);
        }
        ground.mend();
        ground.wait_empty(std::slice::from_ref(&path));
    }
    outcome.print("follower cut off, holder knows no other", "kazoo (the control)");
    assert_eq!(outcome.overlaps, outcome.leads.len(), "the schedule is no test if kazoo passes it");
}
