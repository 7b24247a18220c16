//! The simulator's model of an ensemble against Apache ZooKeeper: the same seeded random operations from three sessions,
//! as frames, to both; every reply, error, `Stat` field (times aside) and watch event has to be equal.
//!
//! What is compared is what servers say once they have caught up with each other. How far they lag, who leads next and
//! what is lost then is the model's to choose, and the simulator's schedules try it.
//!
//! `ZKHELPER_SEED` replays one seed, `ZKHELPER_OPERATIONS` says how many operations are sent to each,
//! `ZKHELPER_FUZZ_SECONDS` goes on with new seeds for that long.

#[path = "differential/comparison.rs"]
mod comparison;
#[path = "differential/generate.rs"]
mod generate;
#[path = "reality/model.rs"]
mod model;
#[path = "differential/runs.rs"]
mod runs;
#[path = "differential/service.rs"]
mod service;
#[path = "differential/side.rs"]
mod side;
mod support;
mod wire;

use comparison::{Comparison, SESSIONS, Script, Step, Totals};
use generate::Op;
use model::Simulated;
use service::Sockets;
use side::Side;
use std::time::Duration;
use support::zookeeper::{Ensemble, Flavor};
use zkhelper::proto::{Acl, CreateMode, MultiOp, Request, WatcherType, permissions};

/// Session timeouts are 2 to 20 of these on both.
const TICK: Duration = Duration::from_millis(500);
/// How many operations there are usually, with one server; with three, half as many.
const OPERATIONS: u64 = 5_000;

#[test]
fn the_model_answers_what_apache_zookeeper_3_9_answers() {
    compare_with(Flavor::Maven39, 1);
}

#[test]
fn the_model_answers_what_apache_zookeeper_3_8_answers() {
    compare_with(Flavor::Debian, 1);
}

/// Each session comes by a server of its own, and goes to another one now and then.
#[test]
fn a_model_of_three_servers_answers_what_three_of_apache_zookeeper_3_9_answer() {
    compare_with(Flavor::Maven39, 3);
}

#[test]
fn a_model_of_three_servers_answers_what_three_of_apache_zookeeper_3_8_answer() {
    compare_with(Flavor::Debian, 3);
}

fn compare_with(flavor: Flavor, servers: usize) {
    let start = || {
        Ensemble::build(flavor)
            .servers(servers)
            .tick(TICK)
            // A machine that stands still for a while is no reason for an election.
            .property("syncLimit", "40")
            .system_property("znode.container.checkIntervalMs", "86400000")
            .start()
    };
    let has_39 = flavor == Flavor::Maven39;
    let usual = if servers == 1 { OPERATIONS } else { OPERATIONS / 2 };
    runs::run(&format!("{flavor:?}, {servers}"), usual, start, |apache, seed, totals| {
        compare(apache, has_39, seed, totals);
    });
}

fn compare(apache: &Ensemble, has_39: bool, seed: u64, totals: &mut Totals) {
    let servers = apache.servers();
    let model = Simulated::start(seed, servers as u64, TICK, has_39);
    // The one that leads comes last, as in the model.
    let leader = if servers > 1 { apache.leader() } else { 0 };
    let order = (0..servers).filter(|server| *server != leader).chain([leader]);
    let apache = Sockets::new(order.map(|server| apache.address(server)).collect());
    let sides = [
        Side::new("model", Box::new(model), SESSIONS, has_39),
        Side::new("apache", Box::new(apache), SESSIONS, has_39),
    ];
    const STEPS: [(u32, Step); 4] =
        [(5, Step::Expire), (150, Step::Reconnect), (20, Step::Close), (10, Step::RefusedHandshakes)];
    let script = Script { has_39, steps: &STEPS, asks: model_knows, has_passwords: false };
    let mut comparison = Comparison::new(sides, script, seed);
    if seed == 0 {
        comparison.expire_in_turn(totals);
    }
    comparison.run(totals);
}

/// What the model is there for: the requests of the recipes and of the client below them. It does not know, and the
/// simulator does not ask for, access control lists and authentication, nodes with a time to live, the removal
/// of empty containers, null data, paths that are none, persistent watches, `checkWatches`, reads in a transaction,
/// `getAllChildrenNumber`, `whoAmI`, requests that cannot be read, and wrong passwords.
fn model_knows(op: &Op) -> bool {
    let Op::Request(request) = op else { return false };
    match request {
        Request::Create { path, acl, mode, .. } => can_create(path, acl, *mode),
        Request::Multi(ops) => ops.iter().all(|op| match op {
            MultiOp::Create { path, acl, mode, .. } => can_create(path, acl, *mode),
            op => is_plain(op.path()),
        }),
        Request::RemoveWatches { path, kind } => {
            is_plain(path) && matches!(kind, WatcherType::Any | WatcherType::Data | WatcherType::Children)
        }
        Request::SetWatches { .. }
        | Request::Ping
        | Request::GetEphemerals { .. }
        | Request::CloseSession => true,
        Request::Delete { path, .. }
        | Request::Exists { path, .. }
        | Request::GetData { path, .. }
        | Request::SetData { path, .. }
        | Request::GetChildren { path, .. }
        | Request::GetChildren2 { path, .. }
        | Request::Sync { path } => is_plain(path),
        _ => false,
    }
}

fn can_create(path: &str, acl: &[Acl], mode: CreateMode) -> bool {
    // A sequence in `/` goes on from one comparison to the next on a real server.
    let in_root = path.rfind('/') == Some(0);
    is_plain(path)
        && !(mode.is_sequential() && in_root)
        && !mode.has_ttl()
        && *acl == [Acl::world(permissions::ALL)]
}

/// A path of the kind that recipes have, not one of the server's own.
fn is_plain(path: &str) -> bool {
    let mut names = path.split('/');
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    path.len() > 1 && names.next() == Some("") && names.all(plain) && !path.starts_with("/zookeeper")
}
