//! The embedded server against Apache ZooKeeper: the same seeded random operations from three sessions, over
//! raw sockets, to both; every reply, error, `Stat` field (times aside) and watch event has to be equal.
//!
//! `ZKHELPER_SEED` replays one seed, `ZKHELPER_OPERATIONS` says how many operations are sent
//! (100,000 to each server if `CI` is set), `ZKHELPER_FUZZ_SECONDS` goes on with new seeds for that long.

#[path = "differential/comparison.rs"]
mod comparison;
#[path = "differential/generate.rs"]
mod generate;
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
use service::Sockets;
use side::Side;
use std::time::Duration;
use support::zookeeper::{Ensemble, Flavor};
use zkhelper::embedded::Server;
use zkhelper::proto::{CreateMode, Request};

/// Session timeouts are 2 to 20 of these on both servers.
const TICK: Duration = Duration::from_millis(500);

#[test]
fn the_embedded_server_answers_what_apache_zookeeper_3_9_answers() {
    compare_with(Flavor::Maven39);
}

#[test]
fn the_embedded_server_answers_what_apache_zookeeper_3_8_answers() {
    compare_with(Flavor::Debian);
}

/// What ends by itself ends alike: a container after its last child, a node after its time to live.
#[test]
fn containers_and_nodes_with_a_time_to_live_end_as_apache_zookeepers_do() {
    let apache = Ensemble::build(Flavor::Debian)
        .tick(TICK)
        .system_property("zookeeper.extendedTypesEnabled", "true")
        .system_property("znode.container.checkIntervalMs", "100")
        .start();
    let embedded = Server::start_with_tick(0, TICK).expect("a free port");
    embedded.set_container_interval(Duration::from_millis(100));
    let mut comparison = Comparison::new(sides(&embedded, &apache, false), script(false), 0);
    let mut totals = Totals::default();
    for session in 0..SESSIONS {
        comparison.open(session, &mut totals);
    }
    let create = |path: &str, mode| Op::Request(wire::create(path, mode));
    let watch = |path: &str| Op::Request(Request::GetData { path: path.to_owned(), watch: true });
    let ops = vec![
        create("/kept", CreateMode::Container),
        create("/used", CreateMode::Container),
        create("/used/child", CreateMode::Persistent),
        watch("/used"),
        create("/short", CreateMode::PersistentTtl),
        watch("/short"),
    ];
    comparison.put_off();
    comparison.batch(0, ops, &mut totals);
    comparison.wait_for_end_of("/short");
    // Its child keeps the container, however long.
    std::thread::sleep(Duration::from_millis(300));
    let ops = vec![Op::Request(Request::Delete { path: "/used/child".to_owned(), version: -1 })];
    comparison.batch(1, ops, &mut totals);
    comparison.wait_for_end_of("/used");
    let ops = ["/", "/kept", "/used", "/short"]
        .map(|path| Op::Request(Request::GetChildren2 { path: path.to_owned(), watch: false }));
    comparison.batch(0, ops.to_vec(), &mut totals);
    comparison.judge_all(&mut totals);
    assert_eq!(totals.events, 2);
}

fn sides(embedded: &Server, apache: &Ensemble, has_39: bool) -> [Side; 2] {
    let side = |name, address| Side::new(name, Box::new(Sockets::new(vec![address])), SESSIONS, has_39);
    let address = embedded.address().parse().expect("an address");
    [side("embedded", address), side("apache", apache.address(0))]
}

fn script(has_39: bool) -> Script {
    const STEPS: [(u32, Step); 6] = [
        (3, Step::Expire),
        (30, Step::Reconnect),
        (15, Step::Close),
        (5, Step::RefusedHandshakes),
        (7, Step::Fatal),
        (60, Step::Auth),
    ];
    Script { has_39, steps: &STEPS, asks: |_| true, has_passwords: true }
}

/// The servers of one comparison after the other.
struct Servers {
    apache: Ensemble,
    embedded: Server,
}

impl Servers {
    fn start(flavor: Flavor) -> Self {
        let apache = Ensemble::build(flavor)
            .tick(TICK)
            .system_property("zookeeper.extendedTypesEnabled", "true")
            .system_property("znode.container.checkIntervalMs", "86400000")
            .start();
        let embedded = Server::start_with_tick(0, TICK).expect("a free port");
        embedded.set_container_interval(Duration::from_secs(86_400));
        Self { apache, embedded }
    }

    fn compare(&self, seed: u64, totals: &mut Totals) {
        let has_39 = self.apache.srvr(0).is_ok_and(|text| text.contains("version: 3.9"));
        let sides = sides(&self.embedded, &self.apache, has_39);
        Comparison::new(sides, script(has_39), seed).run(totals);
        assert_eq!(self.embedded.sessions(), [], "every session was closed or has expired");
    }
}

fn compare_with(flavor: Flavor) {
    let usual = if std::env::var_os("CI").is_some() { 100_000 } else { 20_000 };
    runs::run(&format!("{flavor:?}"), usual, || Servers::start(flavor), Servers::compare);
}
