//! What is done to servers, processes and links: three streams of faults, each of which takes its chances from
//! a seed of its own, so that the same seed deals the same faults again. When they meet is up to the machine.

use crate::cast::{CLIENTS, Client, Latest, Place, Programs, Shared, lock, note};
use crate::support::proxy::Direction;
use crate::support::zookeeper::Ensemble;
use fastrand::Rng;
use nix::sys::signal::Signal;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a server may take to serve before it is started anew.
const RESTART: Duration = Duration::from_secs(60);

/// What all streams need.
pub(crate) struct Stage<'a> {
    pub(crate) ensemble: &'a Ensemble,
    pub(crate) clients: &'a [Mutex<Client>],
    pub(crate) programs: &'a Programs,
    pub(crate) place: &'a Place,
    pub(crate) latest: &'a Latest,
    pub(crate) history: &'a Shared,
    pub(crate) end: Instant,
}

impl Stage<'_> {
    fn over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// So many milliseconds, or less where the run ends before.
    fn wait(&self, ms: u64) {
        let left = self.end.saturating_duration_since(Instant::now());
        std::thread::sleep(Duration::from_millis(ms).min(left));
    }

    /// A client: one that just began to hold for long, the last leader, or any.
    fn victim(&self, dice: &mut Rng) -> usize {
        let any = dice.usize(..CLIENTS);
        match dice.u8(..3) {
            0 => {
                let before = self.latest.stays.load(Ordering::Relaxed);
                let patience = self.end.min(Instant::now() + Duration::from_secs(5));
                while self.latest.stays.load(Ordering::Relaxed) == before && Instant::now() < patience {
                    std::thread::sleep(Duration::from_millis(2));
                }
                self.latest.holder.load(Ordering::Relaxed)
            }
            1 => self.latest.leader.load(Ordering::Relaxed),
            _ => any,
        }
    }

    /// Something lasts for a while, and is written down.
    fn during(&self, what: &str, whom: &str, ms: u64) {
        note(self.history, &format!("+ {what}: {whom}, for {ms} ms"));
        self.wait(ms);
    }

    /// Waits until so many servers serve. One that does not for very long is started again: on a busy machine an
    /// election may take its time, and the nemesis is no test of that.
    pub(crate) fn recover(&self, count: usize) {
        let zk = self.ensemble;
        let mut begun = Instant::now();
        loop {
            let serving: Vec<_> = (0..zk.servers()).filter(|i| zk.mode(*i).is_some()).collect();
            if serving.len() >= count {
                return;
            }
            if begun.elapsed() > RESTART {
                for i in (0..zk.servers()).filter(|i| !serving.contains(i)) {
                    note(self.history, &format!("- server {} does not serve, and is started again", i + 1));
                    zk.kill(i);
                    zk.start(i);
                }
                begun = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ended(&self, what: &str) {
        note(self.history, &format!("- {what}"));
    }
}

fn ms(dice: &mut Rng, least: u64, most: u64) -> u64 {
    // Short times more often than long ones.
    let share = dice.f64();
    least + ((most - least) as f64 * share * share) as u64
}

/// Faults of servers and of the links between them, one at a time; a quorum is waited for after each.
pub(crate) fn servers(stage: &Stage<'_>, seed: u64) {
    let dice = &mut Rng::with_seed(seed);
    while !stage.over() {
        let pause = ms(dice, 1_000, 18_000);
        stage.wait(pause);
        if stage.over() {
            break;
        }
        one_of_servers(stage, dice);
        stage.recover(stage.ensemble.servers() / 2 + 1);
    }
}

fn one_of_servers(stage: &Stage<'_>, dice: &mut Rng) {
    let zk = stage.ensemble;
    let (any, leads) = (dice.usize(0..zk.servers()), dice.bool());
    // Half of them go for the leader.
    let leader = (0..zk.servers()).find(|i| zk.mode(*i) == Some(crate::support::zookeeper::Mode::Leader));
    let server = leader.filter(|_| leads).unwrap_or(any);
    let role = if Some(server) == leader { "leader" } else { "follower" };
    let whom = format!("server {} ({role})", server + 1);
    let (kind, short, long) = (dice.u8(0..11), ms(dice, 100, 3_000), ms(dice, 1_000, 8_000));
    match kind {
        0 | 1 => {
            zk.kill(server);
            stage.during("server killed", &whom, short);
            zk.start(server);
            stage.ended("server killed");
        }
        2 | 3 => {
            zk.freeze(server);
            stage.during("server frozen", &whom, long);
            zk.thaw(server);
            stage.ended("server frozen");
        }
        4 => {
            for i in 0..zk.servers() {
                let server = (server + i) % zk.servers();
                zk.kill(server);
                stage.during("servers restarted in turn", &format!("server {}", server + 1), short / 4);
                zk.start(server);
                stage.recover(zk.servers());
            }
            stage.ended("servers restarted in turn");
        }
        5 => {
            zk.cut_off(server);
            stage.during("server cut off", &whom, long);
            zk.heal(server);
            stage.ended("server cut off");
        }
        6 => {
            zk.sever(server);
            stage.during("server severed", &whom, long);
            zk.heal(server);
            stage.ended("server severed");
        }
        7 => {
            zk.mute(server);
            stage.during("server not heard", &whom, long);
            zk.heal(server);
            stage.ended("server not heard");
        }
        8 => {
            zk.deafen(server);
            stage.during("server hears nothing", &whom, long);
            zk.heal(server);
            stage.ended("server hears nothing");
        }
        9 => {
            zk.delay(server, Duration::from_millis(short / 20));
            stage.during("server slow", &whom, long);
            zk.delay(server, Duration::ZERO);
            stage.ended("server slow");
        }
        _ => {
            let others: Vec<_> = (0..zk.servers()).filter(|i| leads || *i != server).collect();
            others.iter().for_each(|i| zk.freeze(*i));
            stage.during("quorum frozen", &format!("{} servers", others.len()), short);
            others.iter().for_each(|i| zk.thaw(*i));
            stage.ended("quorum frozen");
        }
    }
}

/// Clients are killed and started anew, and paused.
pub(crate) fn processes(stage: &Stage<'_>, seed: u64) {
    let dice = &mut Rng::with_seed(seed);
    while !stage.over() {
        let pause = ms(dice, 2_000, 24_000);
        stage.wait(pause);
        let (number, kill) = (stage.victim(dice), dice.bool());
        let whom = format!("client {number}");
        let (short, long) = (ms(dice, 10, 3_000), ms(dice, 50, 8_000));
        if stage.over() {
            break;
        }
        if kill {
            lock(&stage.clients[number]).kill();
            stage.during("client killed", &whom, short);
            lock(&stage.clients[number]).start(stage.programs, stage.place);
            stage.ended("client killed");
        } else {
            lock(&stage.clients[number]).signal(Signal::SIGSTOP);
            stage.during("client paused", &whom, long);
            lock(&stage.clients[number]).signal(Signal::SIGCONT);
            stage.ended("client paused");
        }
    }
}

/// Connections of clients are reset, refused, slowed down, and cut one way or both, to one server or to all.
pub(crate) fn links(stage: &Stage<'_>, seed: u64) {
    let dice = &mut Rng::with_seed(seed);
    while !stage.over() {
        let pause = ms(dice, 1_000, 16_000);
        stage.wait(pause);
        let (number, all, server) = (stage.victim(dice), dice.bool(), dice.usize(..3));
        let (kind, short, long) = (dice.u8(0..7), ms(dice, 1, 200), ms(dice, 50, 6_000));
        if stage.over() {
            break;
        }
        let which = if all { "all servers".to_owned() } else { format!("server {}", server + 1) };
        let whom = format!("client {number}, {which}");
        // The proxies outlive all lives of a client; the lock is not kept meanwhile.
        let to_each = |what: &dyn Fn(&crate::support::proxy::Proxy)| {
            let client = lock(&stage.clients[number]);
            client
                .proxies
                .iter()
                .enumerate()
                .filter(|(i, _)| all || *i == server)
                .for_each(|(_, proxy)| what(proxy));
        };
        let what = match kind {
            0 | 1 => {
                to_each(&|proxy| proxy.cut_now());
                "connections reset"
            }
            2 => {
                to_each(&|proxy| proxy.freeze(Direction::ToServer));
                "requests held up"
            }
            3 => {
                to_each(&|proxy| proxy.freeze(Direction::ToClient));
                "answers held up"
            }
            4 => {
                to_each(&|proxy| {
                    proxy.freeze(Direction::ToServer);
                    proxy.freeze(Direction::ToClient);
                });
                "link cut"
            }
            5 => {
                to_each(&|proxy| {
                    proxy.refuse(true);
                    proxy.cut_now();
                });
                "connections refused"
            }
            _ => {
                to_each(&|proxy| proxy.delay(Duration::from_millis(short)));
                "link slow"
            }
        };
        stage.during(what, &whom, if kind < 2 { short } else { long });
        to_each(&|proxy| proxy.pass());
        stage.ended(what);
    }
}
