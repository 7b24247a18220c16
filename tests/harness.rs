//! The tests' own ground, tested: what the other tests assume of the servers, the proxy and child programs.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use support::process::{Program, Stream};
use support::proxy::{Direction, Proxy};
use support::zookeeper::{Ensemble, Flavor, Mode, shared_single};
use support::{eventually, port::Port};

const LIMIT: Duration = Duration::from_secs(20);
/// Long enough that bytes would have come, if they were let through.
const MOMENT: Duration = Duration::from_millis(200);

/// A session made with a handshake written by hand.
struct RawSession {
    id: i64,
    stream: TcpStream,
}

impl RawSession {
    fn connect(server: SocketAddr) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut request = vec![0; 12]; // protocol version, last zxid seen
        request.extend(8000_i32.to_be_bytes()); // session timeout in ms
        request.extend([0; 8]); // session id
        request.extend(16_i32.to_be_bytes());
        request.extend([0; 16 + 1]); // password, read-only
        stream.write_all(&i32::try_from(request.len()).unwrap().to_be_bytes())?;
        stream.write_all(&request)?;
        let mut answer = [0; 4 + 4 + 4 + 8 + 4 + 16 + 1];
        stream.read_exact(&mut answer)?;
        Ok(Self { id: i64::from_be_bytes(answer[12..20].try_into().unwrap()), stream })
    }

    /// A ping and its answer: the server serves this connection.
    fn ping(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&[0, 0, 0, 8, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 11])?;
        self.stream.read_exact(&mut [0; 20])
    }
}

#[test]
fn one_server_is_killed_and_comes_back_with_its_sessions() {
    let start = Instant::now();
    let zk = Ensemble::single(Flavor::Debian);
    println!("one server serves after {:?}", start.elapsed());
    assert_eq!(zk.mode(0), Some(Mode::Standalone));
    assert_eq!((zk.leader(), zk.followers()), (0, vec![]));
    assert_eq!(zk.connect_string(), zk.address(0).to_string());

    let mut session = RawSession::connect(zk.address(0)).unwrap();
    let before = zk.packets_received(0);
    session.ping().unwrap();
    assert_eq!(zk.packets_received(0), before + 2, "one ping and one four-letter word");
    assert_eq!(zk.server_of_session(session.id), Some(0));
    assert_eq!(zk.server_of_session(session.id + 1), None);
    assert!(zk.sessions().contains(&session.id));
    assert_eq!(zk.metric(0, "zk_watch_count"), Some(0));

    zk.kill(0);
    assert_eq!(TcpStream::connect(zk.address(0)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(zk.mode(0), None);
    session.ping().unwrap_err();
    zk.restart(0);
    assert!(zk.sessions().contains(&session.id), "the log on disk keeps a session");
    eventually(LIMIT, "the session's end, 8 s after the start", || {
        (!zk.sessions().contains(&session.id)).then_some(())
    });
}

#[test]
fn three_servers_are_frozen_killed_and_elect_anew() {
    let start = Instant::now();
    let zk = Ensemble::three(Flavor::Debian);
    println!("three servers serve after {:?}", start.elapsed());
    let leader = zk.wait_quorum();
    assert_eq!(zk.followers().len(), 2);
    assert!(!zk.followers().contains(&leader));

    let follower = zk.follower();
    let mut session = RawSession::connect(zk.address(follower)).unwrap();
    assert_eq!(zk.server_of_session(session.id), Some(follower));
    assert!(zk.sessions().contains(&session.id));

    zk.freeze(follower);
    zk.srvr(follower).unwrap_err();
    session.stream.set_read_timeout(Some(MOMENT)).unwrap();
    assert_eq!(session.ping().unwrap_err().kind(), ErrorKind::WouldBlock, "silent, not closed");
    zk.thaw(follower);
    session.stream.set_read_timeout(Some(LIMIT)).unwrap();
    session.stream.read_exact(&mut [0; 20]).unwrap();
    zk.wait_up(follower);

    zk.kill(leader);
    let start = Instant::now();
    let next = zk.wait_quorum();
    println!("a new leader serves after {:?}", start.elapsed());
    assert_ne!(next, leader);
    zk.restart(leader);
    assert_eq!(zk.mode(leader), Some(Mode::Follower));
    zk.wait_all_up();
}

#[test]
fn a_server_that_is_cut_off_serves_nobody_until_it_is_healed() {
    let zk = Ensemble::build(Flavor::Debian).servers(3).isolable().start();
    assert_eq!(connections_of_others(&zk.peer_ports()), 0, "a link goes round its proxy");

    // Silently, the leader: both sides must find out by themselves.
    let old = zk.leader();
    zk.cut_off(old);
    let start = Instant::now();
    zk.wait_not_serving(old);
    println!("a leader cut off gives up after {:?}", start.elapsed());
    let new = zk.wait_quorum();
    assert_ne!(new, old);
    zk.heal(old);
    let start = Instant::now();
    assert_eq!(zk.wait_up(old), Mode::Follower);
    println!("healed, it serves after {:?}", start.elapsed());

    // With resets, each follower in turn: whichever calls whom, every link runs through its proxy.
    for follower in zk.followers() {
        zk.sever(follower);
        zk.wait_not_serving(follower);
        assert_eq!(zk.wait_quorum(), new);
        zk.heal(follower);
        zk.wait_up(follower);
    }

    // Two at once leave no quorum at all.
    zk.cut_off(0);
    zk.sever(1);
    (0..3).for_each(|i| zk.wait_not_serving(i));
    zk.heal(0);
    zk.wait_quorum();
    assert_eq!(zk.mode(1), None, "server 1 is still severed");
    zk.heal(1);
    zk.wait_all_up();
}

/// How many open connections to these ports were made by other processes than this one.
fn connections_of_others(ports: &[u16]) -> usize {
    let links =
        std::fs::read_dir("/proc/self/fd").unwrap().flatten().flat_map(|fd| std::fs::read_link(fd.path()));
    let ours: Vec<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let established =
        table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|f| f[3] == "01");
    let to_ports = established.filter(|fields| {
        let port = fields[2].rsplit(':').next().unwrap();
        ports.contains(&u16::from_str_radix(port, 16).unwrap())
    });
    to_ports.filter(|fields| !ours.contains(&format!("socket:[{}]", fields[9]))).count()
}

#[test]
fn zookeeper_39_starts() {
    let zk = Ensemble::single(Flavor::Maven39);
    let version = zk.srvr(0).unwrap();
    assert!(version.starts_with("Zookeeper version: 3.9."), "{version}");
}

#[test]
fn options_reach_the_server() {
    let zk = Ensemble::build(Flavor::Debian)
        .tick(Duration::from_millis(250))
        .min_session_timeout(Duration::from_millis(700))
        .max_session_timeout(Duration::from_secs(61))
        .property("maxClientCnxns", "7")
        .system_property("java.io.tmpdir", "/of/the/test")
        .start();
    assert!(zk.word(0, "envi").unwrap().contains("java.io.tmpdir=/of/the/test"));
    let conf = zk.word(0, "conf").unwrap();
    for line in ["tickTime=250", "minSessionTimeout=700", "maxSessionTimeout=61000", "maxClientCnxns=7"] {
        assert!(conf.contains(line), "{line} in\n{conf}");
    }
}

#[test]
fn the_shared_server_is_one_server() {
    let addresses: Vec<_> = (0..2)
        .map(|_| std::thread::spawn(|| shared_single().address(0)))
        .map(|t| t.join().unwrap())
        .collect();
    assert_eq!(addresses[0], addresses[1]);
    assert_eq!(shared_single().mode(0), Some(Mode::Standalone));
}

/// Tells this program, started by the next test, to hold a server until it is killed.
const HOLDER: &str = "ZKHELPER_HARNESS_HOLDER";

/// What the next test starts in a process of its own, and kills.
#[test]
fn hold_a_server() {
    if std::env::var_os(HOLDER).is_none() {
        return;
    }
    println!("server process {}", shared_single().pid(0).unwrap());
    std::thread::sleep(LIMIT);
}

#[test]
fn servers_die_with_a_killed_test_process() {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "hold_a_server", "--nocapture"]).env(HOLDER, "1");
    let mut test = Program::spawn(test);
    let line = test.wait_for_line("server process ", LIMIT).text;
    let server = format!("/proc/{}", line.rsplit(' ').next().unwrap());
    assert!(std::path::Path::new(&server).exists());
    test.kill();
    eventually(LIMIT, "the server's end", || (!std::path::Path::new(&server).exists()).then_some(()));
}

// ---- the proxy ----

/// A target for proxies that a test accepts on by hand.
struct Pair {
    proxy: Proxy,
    target: TcpListener,
}

impl Pair {
    fn new() -> Self {
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { proxy: Proxy::new(target.local_addr().unwrap()), target }
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.proxy.address()).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client
    }

    fn accept(&self) -> TcpStream {
        let (server, _) = self.target.accept().unwrap();
        server.set_read_timeout(Some(LIMIT)).unwrap();
        server
    }

    fn both(&self) -> (TcpStream, TcpStream) {
        (self.connect(), self.accept())
    }
}

/// Sends `text` one way and takes it at the other end.
fn passes(from: &mut TcpStream, to: &mut TcpStream, text: &str) {
    from.write_all(text.as_bytes()).unwrap();
    takes(to, text);
}

fn takes(to: &mut TcpStream, text: &str) {
    let mut got = vec![0; text.len()];
    to.read_exact(&mut got).unwrap();
    assert_eq!(got, text.as_bytes());
}

fn silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    let got = stream.read(&mut [0; 64]);
    assert_eq!(got.unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
}

#[test]
fn a_proxy_passes_counts_and_closes() {
    let pair = Pair::new();
    let (mut client, mut server) = pair.both();
    passes(&mut client, &mut server, "request");
    passes(&mut server, &mut client, "answer");
    let counted = |way| (pair.proxy.bytes(way), pair.proxy.chunks(way));
    eventually(LIMIT, "the counts", || {
        (counted(Direction::ToServer) == (7, 1) && counted(Direction::ToClient) == (6, 1)).then_some(())
    });
    assert_eq!((pair.proxy.connections(), pair.proxy.open_connections()), (1, 1));

    // An orderly close, one direction after the other.
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(server.read(&mut [0; 8]).unwrap(), 0);
    passes(&mut server, &mut client, "last word");
    drop(server);
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    eventually(LIMIT, "the end of the connection", || (pair.proxy.open_connections() == 0).then_some(()));
}

#[test]
fn a_frozen_direction_holds_bytes_and_loses_none() {
    let pair = Pair::new();
    let (mut client, mut server) = pair.both();
    pair.proxy.freeze(Direction::ToServer);
    client.write_all(b"held").unwrap();
    silent(&mut server);
    passes(&mut server, &mut client, "the other way is open");
    pair.proxy.thaw(Direction::ToServer);
    takes(&mut server, "held");

    pair.proxy.freeze(Direction::ToClient);
    server.write_all(b"held too").unwrap();
    passes(&mut client, &mut server, "open");
    silent(&mut client);
    drop(server);
    silent(&mut client); // Not even the close is told.
    pair.proxy.pass();
    takes(&mut client, "held too");
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);

    // A new connection meets silence, and gets through afterwards.
    pair.proxy.freeze(Direction::ToServer);
    let mut client = pair.connect();
    client.write_all(b"early").unwrap();
    pair.target.set_nonblocking(true).unwrap();
    std::thread::sleep(MOMENT);
    assert_eq!(pair.target.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    pair.target.set_nonblocking(false).unwrap();
    pair.proxy.thaw(Direction::ToServer);
    takes(&mut pair.accept(), "early");
}

#[test]
fn a_cut_resets_both_ends_at_once() {
    let pair = Pair::new();
    let (mut client, mut server) = pair.both();
    passes(&mut client, &mut server, "before");
    pair.proxy.freeze(Direction::ToClient);
    server.write_all(b"lost reply").unwrap();
    pair.proxy.cut_now();
    assert_eq!(pair.proxy.open_connections(), 0);
    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);

    pair.proxy.pass();
    let (mut client, mut server) = pair.both();
    passes(&mut client, &mut server, "new connections are taken");
}

#[test]
fn a_proxy_refuses_while_open_connections_go_on() {
    let pair = Pair::new();
    let (mut client, mut server) = pair.both();
    pair.proxy.refuse(true);
    assert_eq!(TcpStream::connect(pair.proxy.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    passes(&mut client, &mut server, "goes on");
    pair.proxy.refuse(false);
    let (mut client, mut server) = pair.both();
    passes(&mut client, &mut server, "again");
}

#[test]
fn the_next_connection_is_cut_after_so_many_bytes() {
    let pair = Pair::new();
    let (mut spared, mut spared_server) = pair.both();
    for (way, count) in [(Direction::ToServer, 3), (Direction::ToClient, 5), (Direction::ToServer, 0)] {
        pair.proxy.cut_after_bytes(way, count);
        let (mut client, mut server) = pair.both();
        let (from, to) = match way {
            Direction::ToServer => (&mut client, &mut server),
            Direction::ToClient => (&mut server, &mut client),
        };
        from.write_all(b"0123456789").unwrap();
        let mut got = Vec::new();
        assert_eq!(to.read_to_end(&mut got).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(got, &b"0123456789"[..count]);
    }
    passes(&mut spared, &mut spared_server, "the first one lives");
    let (mut client, mut server) = pair.both();
    passes(&mut client, &mut server, "so does the next");
}

#[test]
fn a_delay_keeps_order_and_pipelining() {
    let pair = Pair::new();
    let (mut client, mut server) = pair.both();
    let delay = Duration::from_millis(300);
    pair.proxy.delay(delay);
    let start = Instant::now();
    for text in ["a", "b", "c", "d"] {
        client.write_all(text.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    takes(&mut server, "abcd");
    let took = start.elapsed();
    assert!(took >= delay, "{took:?}");
    assert!(took < delay * 4, "{took:?}: the delays do not add up");
}

#[test]
fn a_proxy_changes_its_target_and_survives_its_absence() {
    let pair = Pair::new();
    let nobody = Port::reserve();
    pair.proxy.retarget(nobody.address());
    assert_eq!(pair.connect().read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let other = TcpListener::bind(nobody.address()).unwrap();
    let mut client = pair.connect();
    passes(&mut client, &mut other.accept().unwrap().0, "elsewhere");
}

#[test]
fn a_dropped_proxy_leaves_nothing_open() {
    let pair = Pair::new();
    let (mut client, _server) = pair.both();
    let address = pair.proxy.address();
    drop(pair.proxy);
    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    eventually(LIMIT, "a closed port", || TcpStream::connect(address).is_err().then_some(()));
}

// ---- child programs ----

fn shell(script: &str) -> Program {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Program::spawn(command)
}

#[test]
fn a_program_is_read_line_by_line_and_talked_to() {
    let mut program = shell("echo ready; echo trouble >&2; read word; echo \"got $word\"; exit 3");
    program.wait_for_line("ready", LIMIT);
    program.write_line("hello");
    program.wait_for_line("got hello", LIMIT);
    assert_eq!(program.wait(LIMIT).code(), Some(3));
    assert!(program.lines().iter().any(|line| line.stream == Stream::Err && line.text == "trouble"));
    assert!(program.next_line(Duration::ZERO).is_none() || program.output().contains("trouble"));
}

#[test]
fn a_frozen_program_is_silent_until_it_is_thawed() {
    let mut program = shell("while read word; do echo \"$word\"; done");
    program.freeze();
    program.write_line("one");
    assert!(program.next_line(MOMENT).is_none());
    program.thaw();
    program.wait_for_line("one", LIMIT);
    assert_eq!(program.wait_success(LIMIT), "one\n");
}

#[test]
fn a_program_that_does_not_end_is_told_and_killed() {
    let mut program = shell("echo stuck; sleep 60");
    program.wait_for_line("stuck", LIMIT);
    let process = format!("/proc/{}", program.pid());
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| program.wait(MOMENT))).unwrap_err();
    let told = told.downcast_ref::<String>().unwrap();
    assert!(told.contains("not ended") && told.contains("stuck"), "{told}");
    assert!(!std::path::Path::new(&process).exists());
}

#[test]
fn a_dropped_program_takes_its_children_along() {
    let mut program = shell("sleep 61 & echo $!; wait");
    let line = program.next_line(LIMIT).unwrap().text;
    let child = format!("/proc/{line}");
    assert!(std::path::Path::new(&child).exists());
    drop(program);
    let gone = || match std::fs::read_to_string(format!("{child}/stat")) {
        Ok(stat) => stat.contains(") Z "), // Unreaped: init's business.
        Err(_) => true,
    };
    eventually(LIMIT, "the child's end", || gone().then_some(()));
}
