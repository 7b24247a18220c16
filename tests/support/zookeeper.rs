//! Apache ZooKeeper servers on the loopback interface: one, or an ensemble whose members a test can
//! kill, start again, freeze, thaw and cut off from each other.
//!
//! Everything waits for what ZooKeeper itself says (the four-letter word `srvr`), and each wait has a limit.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::port::Port;
use super::proxy::{Direction, Proxy};
use super::{TempDir, eventually, process, raw};

/// How long a server may take to start, and an ensemble to elect, before a test gives up.
pub const START_LIMIT: Duration = Duration::from_secs(90);

/// Bound on one four-letter word; a server that is starting may leave one unanswered.
const WORD_LIMIT: Duration = Duration::from_secs(2);

/// Which ZooKeeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Debian's package `zookeeper` (3.8). Where it is missing, what `scripts/zookeeper-39.sh` fetched.
    Debian,
    /// 3.9 from Maven Central, fetched by `scripts/zookeeper-39.sh`.
    Maven39,
}

impl Flavor {
    pub const ALL: [Self; 2] = [Self::Debian, Self::Maven39];

    /// The class path of the server, or one line that says how to get it.
    pub fn class_path(self) -> Result<String, String> {
        let variable = match self {
            Self::Debian => "ZKHELPER_ZOOKEEPER_CLASSPATH",
            Self::Maven39 => "ZKHELPER_ZOOKEEPER39_CLASSPATH",
        };
        if let Some(path) = std::env::var(variable).ok().filter(|path| !path.is_empty()) {
            return Ok(path);
        }
        // The jar's manifest names what it needs, but for a logger.
        let debian = Path::new("/usr/share/java/zookeeper.jar");
        if self == Self::Debian && debian.exists() {
            let java = "/usr/share/java";
            // The manifest leaves out what Netty needs for TLS.
            return Ok(format!(
                "{}:{java}/slf4j-simple.jar:{java}/netty-codec.jar:{java}/netty-resolver.jar",
                debian.display()
            ));
        }
        let fetched = fetched_dir();
        let jars: BTreeSet<_> = std::fs::read_dir(&fetched)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().to_string_lossy().into_owned())
            .filter(|path| path.ends_with(".jar"))
            .collect();
        if jars.is_empty() {
            return Err(match self {
                Self::Debian => format!("no Apache ZooKeeper here: run scripts/setup.sh, or set {variable}"),
                Self::Maven39 => {
                    format!("no ZooKeeper 3.9 in {}: run scripts/zookeeper-39.sh", fetched.display())
                }
            });
        }
        Ok(jars.into_iter().collect::<Vec<_>>().join(":"))
    }
}

/// Where `scripts/zookeeper-39.sh` puts its jars: a directory of cargo's target directory.
fn fetched_dir() -> PathBuf {
    let target = option_env!("CARGO_TARGET_TMPDIR")
        .and_then(|tmp| Path::new(tmp).parent())
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), Path::to_path_buf);
    target.join("zookeeper-3.9")
}

/// What a server says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Standalone,
    Leader,
    Follower,
}

/// What to start; `Ensemble::build` makes one with the defaults of the tests.
#[derive(Clone, Debug)]
pub struct Builder {
    flavor: Flavor,
    servers: usize,
    tick: Duration,
    min_session_timeout: Option<Duration>,
    max_session_timeout: Option<Duration>,
    properties: Vec<(String, String)>,
    system_properties: Vec<(String, String)>,
    isolable: bool,
    secure: bool,
}

impl Builder {
    /// Number of servers; one runs standalone.
    pub fn servers(mut self, count: usize) -> Self {
        assert!(count > 0, "an ensemble has at least one server");
        self.servers = count;
        self
    }

    /// `tickTime`, 500 ms if not given. Session timeouts are bounded to 2 to 20 ticks unless set here too.
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    pub fn min_session_timeout(mut self, timeout: Duration) -> Self {
        self.min_session_timeout = Some(timeout);
        self
    }

    pub fn max_session_timeout(mut self, timeout: Duration) -> Self {
        self.max_session_timeout = Some(timeout);
        self
    }

    /// One line of `zoo.cfg`.
    pub fn property(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }

    /// `-Dkey=value` for the server's Java.
    pub fn system_property(mut self, key: &str, value: &str) -> Self {
        self.system_properties.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Puts a proxy on every link between two servers, so that `cut_off` works.
    pub fn isolable(mut self) -> Self {
        self.isolable = true;
        self
    }

    /// Gives every server a port for TLS too, for clients with certificates as `client_auth` (`need`, `none`)
    /// says. Both files are in PEM form; `key_store` holds a certificate and its key.
    pub fn secure(mut self, key_store: &Path, trust_store: &Path, client_auth: &str) -> Self {
        self.secure = true;
        let factory = "org.apache.zookeeper.server.NettyServerCnxnFactory";
        self.property("serverCnxnFactory", factory)
            .property("secureClientPortAddress", "127.0.0.1")
            .property("ssl.keyStore.location", &key_store.to_string_lossy())
            .property("ssl.keyStore.type", "PEM")
            .property("ssl.trustStore.location", &trust_store.to_string_lossy())
            .property("ssl.trustStore.type", "PEM")
            .property("ssl.clientAuth", client_auth)
    }

    /// Starts the servers and waits until all serve.
    ///
    /// # Panics
    ///
    /// When a server does not come up; the message has the end of its log.
    #[track_caller]
    pub fn start(self) -> Ensemble {
        let class_path = self.flavor.class_path().unwrap_or_else(|remedy| panic!("{remedy}"));
        let dir = TempDir::new("zk");
        let ports: Vec<ServerPorts> = (0..self.servers).map(|_| ServerPorts::reserve()).collect();
        let links = if self.isolable { links(&ports) } else { Vec::new() };
        let java = java_command(&class_path, &self.system_properties);
        let servers = (0..self.servers)
            .map(|me| {
                let home = dir.path().join(format!("server-{}", me + 1));
                configure(&home, &self, me, &ports, &links).unwrap_or_else(|e| {
                    panic!("cannot configure a ZooKeeper server in {}: {e}", home.display())
                });
                Mutex::new(Server { home, child: None, frozen: false })
            })
            .collect();
        let isolated = Mutex::new(vec![Isolation::None; self.servers]);
        let ensemble = Ensemble { servers, ports, links, isolated, java, _dir: dir };
        for me in 0..ensemble.servers() {
            ensemble.start(me);
        }
        ensemble.wait_all_up();
        ensemble
    }
}

/// A running ZooKeeper. Dropping it kills the servers and removes their files.
pub struct Ensemble {
    servers: Vec<Mutex<Server>>,
    ports: Vec<ServerPorts>,
    links: Vec<Link>,
    isolated: Mutex<Vec<Isolation>>,
    java: Vec<String>,
    // Last, so that it outlives the servers.
    _dir: TempDir,
}

/// How a server is cut off from the others; where two ends differ the greater holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Isolation {
    None,
    /// What it says to the others is held.
    Mute,
    /// What the others say to it is held.
    Deaf,
    Silent,
    Reset,
}

struct Server {
    home: PathBuf,
    child: Option<Child>,
    frozen: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.frozen = false;
    }
}

impl Ensemble {
    pub fn build(flavor: Flavor) -> Builder {
        Builder {
            flavor,
            servers: 1,
            tick: Duration::from_millis(500),
            min_session_timeout: None,
            max_session_timeout: None,
            properties: Vec::new(),
            system_properties: Vec::new(),
            isolable: false,
            secure: false,
        }
    }

    /// One standalone server.
    #[track_caller]
    pub fn single(flavor: Flavor) -> Self {
        Self::build(flavor).start()
    }

    /// Three servers.
    #[track_caller]
    pub fn three(flavor: Flavor) -> Self {
        Self::build(flavor).servers(3).start()
    }

    /// How many servers it was made with.
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// All client addresses, as a client wants them.
    pub fn connect_string(&self) -> String {
        (0..self.servers()).map(|i| self.address(i).to_string()).collect::<Vec<_>>().join(",")
    }

    /// The client address of server `i`.
    pub fn address(&self, i: usize) -> SocketAddr {
        self.ports[i].client.address()
    }

    /// The address of server `i` for TLS. Only with `Builder::secure`.
    pub fn secure_address(&self, i: usize) -> SocketAddr {
        self.ports[i].secure.address()
    }

    /// Starts the killed server `i` and does not wait for it: without a quorum it does not serve.
    #[track_caller]
    pub fn start(&self, i: usize) {
        let mut server = self.server(i);
        assert!(server.child.is_none(), "server {i} runs already");
        let log = server.home.join("log");
        let opened =
            OpenOptions::new().create(true).append(true).open(&log).and_then(|f| Ok((f.try_clone()?, f)));
        let (out, err) = opened.unwrap_or_else(|e| panic!("cannot open {}: {e}", log.display()));
        let mut command = Command::new(&self.java[0]);
        command.args(&self.java[1..]).arg(server.home.join("zoo.cfg"));
        command.current_dir(&server.home).stdin(Stdio::null()).stdout(out).stderr(err);
        let child = process::spawn_tied(command)
            .unwrap_or_else(|e| panic!("cannot run {} (is a Java run-time installed?): {e}", self.java[0]));
        server.child = Some(child);
    }

    /// SIGKILL, and the process is reaped: when this returns its ports are free.
    pub fn kill(&self, i: usize) {
        self.server(i).kill();
    }

    /// Kills server `i` if it runs, starts it and waits until it serves, which takes a quorum.
    #[track_caller]
    pub fn restart(&self, i: usize) {
        self.kill(i);
        self.start(i);
        self.wait_up(i);
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn freeze(&self, i: usize) {
        self.stop_or_go(i, true);
    }

    /// SIGCONT.
    pub fn thaw(&self, i: usize) {
        self.stop_or_go(i, false);
    }

    fn stop_or_go(&self, i: usize, frozen: bool) {
        let mut server = self.server(i);
        if let Some(child) = &server.child {
            process::signal(child, if frozen { Signal::SIGSTOP } else { Signal::SIGCONT });
            server.frozen = frozen;
        }
    }

    /// The process of server `i`, while it runs.
    pub fn pid(&self, i: usize) -> Option<u32> {
        self.server(i).child.as_ref().map(Child::id)
    }

    /// Neither killed nor frozen.
    pub fn is_running(&self, i: usize) -> bool {
        let server = self.server(i);
        server.child.is_some() && !server.frozen
    }

    /// Copies what the servers logged and stored below `to`, once they are stopped.
    ///
    /// # Panics
    ///
    /// When that cannot be written.
    #[track_caller]
    pub fn keep(&self, to: &Path) {
        for i in 0..self.servers() {
            self.kill(i);
            let copied = Command::new("cp").arg("-R").arg(&self.server(i).home).arg(to).status();
            assert!(
                copied.is_ok_and(|status| status.success()),
                "cannot copy server {i} to {}",
                to.display()
            );
        }
    }

    /// What server `i` logged.
    pub fn log(&self, i: usize) -> String {
        let path = self.server(i).home.join("log");
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    // ---- what the servers say ----

    /// Any four-letter word. An error also where the server is frozen or killed.
    pub fn word(&self, i: usize, word: &str) -> io::Result<String> {
        self.word_within(i, word, WORD_LIMIT)
    }

    fn word_within(&self, i: usize, word: &str, limit: Duration) -> io::Result<String> {
        if !self.is_running(i) {
            return Err(io::Error::new(
                io::ErrorKind::NotConnected,
                format!("server {i} is killed or frozen"),
            ));
        }
        raw::four_letter_word(self.address(i), word, limit)
    }

    pub fn srvr(&self, i: usize) -> io::Result<String> {
        self.word(i, "srvr")
    }

    pub fn mntr(&self, i: usize) -> io::Result<String> {
        self.word(i, "mntr")
    }

    pub fn cons(&self, i: usize) -> io::Result<String> {
        self.word(i, "cons")
    }

    pub fn wchs(&self, i: usize) -> io::Result<String> {
        self.word(i, "wchs")
    }

    pub fn dump(&self, i: usize) -> io::Result<String> {
        self.word(i, "dump")
    }

    /// One value of `mntr`, such as `zk_watch_count`.
    pub fn metric(&self, i: usize, name: &str) -> Option<u64> {
        let text = self.mntr(i).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'))?;
        value.trim().parse::<f64>().ok().map(|number| number as u64)
    }

    /// `None` while server `i` serves nobody: killed, frozen, starting, or without a quorum.
    pub fn mode(&self, i: usize) -> Option<Mode> {
        self.mode_within(i, WORD_LIMIT)
    }

    fn mode_within(&self, i: usize, limit: Duration) -> Option<Mode> {
        match field(&self.word_within(i, "srvr", limit).ok()?, "Mode: ")? {
            "standalone" => Some(Mode::Standalone),
            "leader" => Some(Mode::Leader),
            "follower" => Some(Mode::Follower),
            _ => None,
        }
    }

    /// Packets that server `i` received from clients since it started. A four-letter word counts as one.
    #[track_caller]
    pub fn packets_received(&self, i: usize) -> u64 {
        let answer = self.srvr(i).unwrap_or_else(|e| panic!("server {i}: {e}"));
        let number = field(&answer, "Received: ").and_then(|text| text.parse().ok());
        number.unwrap_or_else(|| panic!("server {i} told no number of packets: {answer}"))
    }

    /// The server that serves as leader (or alone); waits for one.
    #[track_caller]
    pub fn leader(&self) -> usize {
        eventually(START_LIMIT, "a leader", || {
            (0..self.servers()).find(|&i| matches!(self.mode(i), Some(Mode::Leader | Mode::Standalone)))
        })
    }

    /// The servers that serve as followers now.
    pub fn followers(&self) -> Vec<usize> {
        (0..self.servers()).filter(|&i| self.mode(i) == Some(Mode::Follower)).collect()
    }

    /// One server that serves as follower; waits for one.
    #[track_caller]
    pub fn follower(&self) -> usize {
        eventually(START_LIMIT, "a follower", || self.followers().first().copied())
    }

    /// The server that holds the connection of a session, if one does.
    pub fn server_of_session(&self, session: i64) -> Option<usize> {
        let mark = format!("sid=0x{session:x},");
        (0..self.servers()).find(|&i| self.cons(i).is_ok_and(|text| text.contains(&mark)))
    }

    /// The sessions alive, as the leader (or the single server) tells; waits for a leader.
    #[track_caller]
    pub fn sessions(&self) -> BTreeSet<i64> {
        eventually(START_LIMIT, "a leader's list of sessions", || {
            let leader = (0..self.servers())
                .find(|&i| matches!(self.mode(i), Some(Mode::Leader | Mode::Standalone)))?;
            let text = self.dump(leader).ok()?;
            // Sessions come first; then the ephemeral nodes of each, and the connections.
            let (listed, _) = text.split_once("ephemeral nodes dump")?;
            Some(listed.split_whitespace().filter_map(session_id).collect())
        })
    }

    // ---- waiting ----

    /// Waits until server `i` serves.
    ///
    /// # Panics
    ///
    /// When it ended or `START_LIMIT` passed; the message has the end of its log.
    #[track_caller]
    pub fn wait_up(&self, i: usize) -> Mode {
        let start = Instant::now();
        loop {
            let ended = match &mut self.server(i).child {
                Some(child) => child.try_wait().ok().flatten().map(|status| status.to_string()),
                None => Some("it was killed".to_owned()),
            };
            // Short at first: a starting server leaves a word unanswered now and then.
            let limit = (start.elapsed() / 4).clamp(Duration::from_millis(100), WORD_LIMIT);
            if let Some(mode) = self.mode_within(i, limit) {
                return mode;
            }
            let trouble = match ended {
                Some(status) => format!("ended ({status})"),
                None if start.elapsed() > START_LIMIT => format!("does not serve after {START_LIMIT:?}"),
                None => {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
            };
            panic!("ZooKeeper server {i} {trouble}; its log ends:\n{}", process::tail(&self.log(i), 60));
        }
    }

    /// Waits until every server that was not killed serves.
    #[track_caller]
    pub fn wait_all_up(&self) {
        for i in 0..self.servers() {
            if self.is_running(i) {
                self.wait_up(i);
            }
        }
    }

    /// Whether server `i` makes a session, which takes a quorum that commits; it has two seconds for each step.
    pub fn makes_sessions(&self, i: usize) -> bool {
        raw::try_session(self.address(i), WORD_LIMIT).is_ok()
    }

    /// Waits until a leader serves and, with it, more than half of the servers. Returns the leader.
    #[track_caller]
    pub fn wait_quorum(&self) -> usize {
        eventually(START_LIMIT, "a quorum", || {
            let modes: Vec<_> = (0..self.servers()).map(|i| self.mode(i)).collect();
            let serving = modes.iter().flatten().count();
            let leader = modes.iter().position(|m| matches!(m, Some(Mode::Leader | Mode::Standalone)))?;
            (serving * 2 > self.servers()).then_some(leader)
        })
    }

    /// Waits until server `i` runs and says that it serves nobody.
    #[track_caller]
    pub fn wait_not_serving(&self, i: usize) {
        eventually(START_LIMIT, "a server that stops serving", || {
            self.srvr(i).ok().filter(|answer| answer.contains("not currently serving"))
        });
    }

    // ---- the network between the servers ----

    /// Cuts server `i` off from the others as a dead cable does: all bytes between them are held, neither end
    /// is told. Clients still reach it. Only with `Builder::isolable`.
    #[track_caller]
    pub fn cut_off(&self, i: usize) {
        self.isolate(i, Isolation::Silent);
    }

    /// Cuts server `i` off with a reset of every connection to the others, and refuses new ones, as a firewall
    /// may. Only with `Builder::isolable`.
    #[track_caller]
    pub fn sever(&self, i: usize) {
        self.isolate(i, Isolation::Reset);
    }

    /// Holds all that server `i` says to the others; it hears them. Only with `Builder::isolable`.
    #[track_caller]
    pub fn mute(&self, i: usize) {
        self.isolate(i, Isolation::Mute);
    }

    /// Holds all that the others say to server `i`; they hear it. Only with `Builder::isolable`.
    #[track_caller]
    pub fn deafen(&self, i: usize) {
        self.isolate(i, Isolation::Deaf);
    }

    /// Every byte between server `i` and the others takes this much longer, each way. Only with `Builder::isolable`.
    #[track_caller]
    pub fn delay(&self, i: usize, delay: Duration) {
        assert!(!self.links.is_empty(), "the ensemble was not built with isolable()");
        for link in self.links.iter().filter(|link| link.from == i || link.to == i) {
            link.quorum.delay(delay);
            link.election.delay(delay);
        }
    }

    /// Ends `cut_off`, `sever`, `mute`, `deafen` and `delay` of server `i`; held bytes travel on. It does not reach a server that is still
    /// cut off itself.
    #[track_caller]
    pub fn heal(&self, i: usize) {
        self.isolate(i, Isolation::None);
    }

    /// The ports on which the servers listen for each other, behind the proxies if there are any.
    pub fn peer_ports(&self) -> Vec<u16> {
        self.ports.iter().flat_map(|p| [p.quorum.number(), p.election.number()]).collect()
    }

    #[track_caller]
    fn isolate(&self, i: usize, isolation: Isolation) {
        assert!(!self.links.is_empty(), "the ensemble was not built with isolable()");
        let mut isolated = self.isolated.lock().unwrap_or_else(PoisonError::into_inner);
        isolated[i] = isolation;
        for link in self.links.iter().filter(|link| link.from == i || link.to == i) {
            for proxy in [&link.quorum, &link.election] {
                let isolation = isolated[link.from].max(isolated[link.to]);
                match isolation {
                    Isolation::None => proxy.pass(),
                    Isolation::Mute | Isolation::Deaf => {
                        // Which way the bytes go that are held, on the connections that `from` made.
                        let its_own = isolated[link.from] == isolation;
                        let says = if its_own { Direction::ToServer } else { Direction::ToClient };
                        let hears = if its_own { Direction::ToClient } else { Direction::ToServer };
                        proxy.refuse(false);
                        proxy.freeze(if isolation == Isolation::Mute { says } else { hears });
                        proxy.thaw(if isolation == Isolation::Mute { hears } else { says });
                    }
                    Isolation::Silent => {
                        proxy.refuse(false);
                        proxy.freeze(Direction::ToServer);
                        proxy.freeze(Direction::ToClient);
                    }
                    Isolation::Reset => {
                        proxy.refuse(true);
                        proxy.cut_now();
                    }
                }
            }
        }
    }

    fn server(&self, i: usize) -> MutexGuard<'_, Server> {
        self.servers[i].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One standalone server of Debian's ZooKeeper for all tests of this process that are content with a path
/// of their own. It dies with the process.
#[track_caller]
pub fn shared_single() -> &'static Ensemble {
    static SHARED: OnceLock<Ensemble> = OnceLock::new();
    SHARED.get_or_init(|| Ensemble::single(Flavor::Debian))
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// `0x1000…` as `dump` writes it, with a comma or colon after it or not.
fn session_id(word: &str) -> Option<i64> {
    let digits = word.strip_prefix("0x")?.trim_end_matches([',', ':']);
    u64::from_str_radix(digits, 16).ok().map(u64::cast_signed)
}

// ---- ports and the links between servers ----

struct ServerPorts {
    client: Port,
    quorum: Port,
    election: Port,
    secure: Port,
}

impl ServerPorts {
    #[track_caller]
    fn reserve() -> Self {
        Self {
            client: Port::reserve(),
            quorum: Port::reserve(),
            election: Port::reserve(),
            secure: Port::reserve(),
        }
    }
}

/// The way from server `from` to server `to`.
struct Link {
    from: usize,
    to: usize,
    quorum: Proxy,
    election: Proxy,
}

/// One link for each ordered pair of servers.
///
/// A server greets a peer's election port with its own election address, and a peer of a higher number hangs
/// up and calls back *there*, past our proxies. So that address is replaced on the way by the proxy of the
/// way back.
#[track_caller]
fn links(ports: &[ServerPorts]) -> Vec<Link> {
    let pairs = || {
        (0..ports.len()).flat_map(|from| (0..ports.len()).map(move |to| (from, to))).filter(|(a, b)| a != b)
    };
    let mut links: Vec<Link> = pairs()
        .map(|(from, to)| Link {
            from,
            to,
            quorum: Proxy::new(ports[to].quorum.address()),
            election: Proxy::new(ports[to].election.address()),
        })
        .collect();
    let back: Vec<SocketAddr> = links
        .iter()
        .map(|link| {
            let way_back = links.iter().find(|other| other.from == link.to && other.to == link.from);
            way_back.map_or(link.election.address(), |other| other.election.address())
        })
        .collect();
    for (link, address) in links.iter_mut().zip(back) {
        // A server knocks at its new leader's door before that one listens. A refusal it takes calmly, but a
        // connection that is reset makes it start the election over, and the leader wait for `initLimit`.
        link.quorum.wait_for_target(Duration::from_secs(5));
        link.election.set_greeting(move |bytes| election_greeting(bytes, address));
    }
    links
}

/// The first message on an election port: version (negative), sender, length, `host:port` text.
fn election_greeting(bytes: &[u8], address: SocketAddr) -> Option<Vec<u8>> {
    let version = i64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
    if version >= 0 {
        return Some(bytes.to_vec()); // The old form: the sender's number alone.
    }
    let length = usize::try_from(i32::from_be_bytes(bytes.get(16..20)?.try_into().ok()?)).ok()?;
    let rest = bytes.get(20 + length..)?;
    let text = address.to_string();
    let mut out = bytes[..16].to_vec();
    out.extend_from_slice(&u32::try_from(text.len()).ok()?.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(rest);
    Some(out)
}

// ---- configuration ----

fn java_command(class_path: &str, properties: &[(String, String)]) -> Vec<String> {
    let java = match std::env::var("JAVA_HOME") {
        Ok(home) if Path::new(&home).join("bin/java").exists() => format!("{home}/bin/java"),
        _ => "java".to_owned(),
    };
    let fixed = [
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-Xshare:auto",
        "-Djava.net.preferIPv4Stack=true",
        "-Dzookeeper.forceSync=no",
        "-Dzookeeper.preAllocSize=1024",
        "-Dzookeeper.extendedTypesEnabled=true",
        "-Dzookeeper.4lw.commands.whitelist=*",
        // The pause between election calls grows to this; by default to a minute.
        "-Dzookeeper.fastleader.maxNotificationInterval=500",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        // One line for each four-letter word, otherwise.
        "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.NIOServerCnxn=warn",
    ];
    let mut command = vec![java];
    command.extend(fixed.map(str::to_owned));
    command.extend(properties.iter().map(|(key, value)| format!("-D{key}={value}")));
    command
        .extend(["-cp", class_path, "org.apache.zookeeper.server.quorum.QuorumPeerMain"].map(str::to_owned));
    command
}

fn configure(
    home: &Path,
    options: &Builder,
    me: usize,
    ports: &[ServerPorts],
    links: &[Link],
) -> io::Result<()> {
    let data = home.join("data");
    std::fs::create_dir_all(&data)?;
    let mut text = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{key}={value}");
    };
    line("tickTime", &options.tick.as_millis());
    line("dataDir", &data.display());
    line("clientPort", &ports[me].client.number());
    line("clientPortAddress", &Ipv4Addr::LOCALHOST);
    if options.secure {
        line("secureClientPort", &ports[me].secure.number());
    }
    line("maxClientCnxns", &0);
    line("admin.enableServer", &false);
    for (key, value) in [
        ("minSessionTimeout", options.min_session_timeout),
        ("maxSessionTimeout", options.max_session_timeout),
    ] {
        if let Some(value) = value {
            line(key, &value.as_millis());
        }
    }
    if ports.len() > 1 {
        let own = |key: &str| options.properties.iter().any(|(k, _)| k == key);
        for (key, value) in [("initLimit", 20), ("syncLimit", 5), ("cnxTimeout", 1000)] {
            if !own(key) {
                line(key, &value);
            }
        }
        for (them, real) in ports.iter().enumerate() {
            let link = links.iter().find(|link| link.from == me && link.to == them);
            let (quorum, election) = match link {
                Some(link) => (link.quorum.address().port(), link.election.address().port()),
                None => (real.quorum.number(), real.election.number()),
            };
            line(
                &format!("server.{}", them + 1),
                &format_args!("{}:{quorum}:{election}", Ipv4Addr::LOCALHOST),
            );
        }
        std::fs::write(data.join("myid"), (me + 1).to_string())?;
    }
    for (key, value) in &options.properties {
        line(key, value);
    }
    std::fs::write(home.join("zoo.cfg"), text)?;
    File::create(home.join("log")).map(drop)
}
