//! TLS, on Apache ZooKeeper 3.8 by TLS 1.2 and 3.9 by TLS 1.3: what a secure connection carries, and that
//! whatever is wrong with one is told by its name.

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use support::certificates::{Authority, Certificate, read, write};
use support::process::Program;
use support::proxy::{Direction, Proxy};
use support::zookeeper::{Ensemble, Flavor};
use support::{TempDir, eventually};
use zkhelper::client::Tls;
use zkhelper::proto::{Acl, CreateMode, permissions};
use zkhelper::zk::{OpOptions, WatchEventKind};
use zkhelper::{Client, Code, Error, Loss, Mutex, MutexOptions, Options, State};

/// Ends a test that hangs; no working test comes near it.
const LIMIT: Duration = Duration::from_secs(120);
/// Long enough for a slow machine, and short enough to see it end. The server grants 1 to 10 s.
const TIMEOUT: Duration = Duration::from_secs(5);
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Two authorities, and what the one that servers and clients trust has signed.
struct Certificates {
    authority: Authority,
    stranger: Authority,
    server: Certificate,
    client: Certificate,
}

fn certificates() -> &'static Certificates {
    static MADE: OnceLock<Certificates> = OnceLock::new();
    MADE.get_or_init(|| {
        let authority = Authority::new("authority");
        Certificates {
            server: authority.sign("server", "DNS:localhost,DNS:zk.example", 1),
            client: authority.sign("client", "DNS:client.example", 1),
            stranger: Authority::new("stranger"),
            authority,
        }
    })
}

/// A server that wants client certificates.
fn server(flavor: Flavor) -> &'static Ensemble {
    static DEBIAN: OnceLock<Ensemble> = OnceLock::new();
    static MAVEN: OnceLock<Ensemble> = OnceLock::new();
    let (place, version) = match flavor {
        Flavor::Debian => (&DEBIAN, "TLSv1.2"),
        Flavor::Maven39 => (&MAVEN, "TLSv1.3"),
    };
    place.get_or_init(|| {
        let Certificates { authority, server, .. } = certificates();
        let server = Ensemble::build(flavor).secure(&server.both, &authority.file(), "need");
        server.property("ssl.protocol", version).property("ssl.enabledProtocols", version).start()
    })
}

/// By the name in the servers' certificate.
fn by_name(address: SocketAddr) -> String {
    format!("localhost:{}", address.port())
}

fn trusting() -> Tls {
    Tls::new().ca_file(certificates().authority.file()).expect("an authority")
}

fn with_certificate() -> Tls {
    let client = &certificates().client;
    trusting().certificate_file(&client.certificate, &client.key).expect("a certificate")
}

fn options(tls: Tls) -> Options {
    Options { session_timeout: TIMEOUT, operation_timeout: LIMIT, tls: Some(tls), ..Options::default() }
}

async fn connect(address: &str, options: Options) -> Client {
    let client = Client::new(address, options).expect("a client");
    client.wait_connected(LIMIT).await.expect("a connection");
    client
}

async fn plain(server: &Ensemble) -> Client {
    connect(&server.connect_string(), Options { tls: None, ..options(Tls::new()) }).await
}

/// Tries until the reason that no server connected has this text, and names the address.
async fn refused(address: &str, tls: Option<Tls>, text: &str) {
    let client = Client::new(address, Options { tls, ..options(Tls::new()) }).expect("a client");
    let end = tokio::time::Instant::now() + LIMIT;
    loop {
        let error = client.wait_connected(Duration::from_millis(50)).await.expect_err("refused");
        let told = error.to_string();
        if told.contains(text) {
            assert!(error.code() == Code::CONNECTION_LOSS && told.contains(address), "{told}");
            break;
        }
        assert!(tokio::time::Instant::now() < end, "wanted {text:?}, told: {told}");
    }
    let _ = client.close(Duration::ZERO).await;
}

fn any() -> OpOptions {
    OpOptions::default()
}

fn world() -> [Acl; 1] {
    [Acl::world(permissions::ALL)]
}

fn mutex(client: &Client, path: &str) -> Mutex {
    Mutex::new(client, path, MutexOptions::default()).expect("a mutex")
}

/// A test for each ZooKeeper.
macro_rules! on_both {
    ($($name:ident;)*) => {
        mod tls_12_zookeeper_38 {
            $(#[tokio::test] async fn $name() { super::$name(super::Flavor::Debian).await; })*
        }
        mod tls_13_zookeeper_39 {
            $(#[tokio::test] async fn $name() { super::$name(super::Flavor::Maven39).await; })*
        }
    };
}

on_both! {
    a_lock_is_kept_valid_and_excludes_a_plain_client;
    a_session_its_watches_and_long_answers_survive_cut_connections;
    a_lost_lock_is_told_in_time_and_a_new_session_made;
    whatever_is_wrong_is_told_with_the_server_it_is_wrong_at;
}

async fn a_lock_is_kept_valid_and_excludes_a_plain_client(flavor: Flavor) {
    let server = server(flavor);
    let secure = connect(&by_name(server.secure_address(0)), options(with_certificate())).await;
    let path = format!("/{}", support::unique("held"));
    let hold = mutex(&secure, &path).lock(Some(LIMIT), "over TLS").await.expect("the lock");
    let first = hold.valid_until().expect("held");
    // Renewals prove it anew, past the end of the first lease.
    while zkhelper::Time::now() < first {
        assert!(hold.is_held());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(hold.valid_until().expect("still held") > first);
    let other = plain(server).await;
    let theirs = mutex(&other, &path);
    assert_eq!(theirs.lock(Some(Duration::ZERO), "").await.expect_err("held").code(), Code::TIMEOUT);
    let (token, next) = (hold.token(), theirs.lock(Some(LIMIT), ""));
    hold.release().await.expect("released");
    assert!(next.await.expect("the lock").token() > token);
    secure.close(LIMIT).await.expect("closed");
}

async fn a_session_its_watches_and_long_answers_survive_cut_connections(flavor: Flavor) {
    let server = server(flavor);
    let proxy = Proxy::new(server.secure_address(0));
    let patient = Options { session_timeout: Duration::from_secs(10), ..options(with_certificate()) };
    let secure = connect(&by_name(proxy.address()), patient).await;
    let session = secure.session().id;
    let path = format!("/{}", support::unique("long"));
    // Many records of TLS each way, and more than it buffers.
    let data: Vec<u8> = (0..900_000u32).map(|i| (i * 7) as u8).collect();
    secure.zk().create(&path, &data, &world(), CreateMode::Persistent, any()).await.expect("created");
    for _ in 0..5 {
        let (read, watch) = secure.zk().get_watch(&path, any());
        assert!(read.await.expect("read").0 == data);
        let reads = (0..8).map(|_| secure.zk().get(&path, any())).collect::<Vec<_>>();
        proxy.cut_now();
        for read in reads {
            assert!(read.await.expect("read again").0 == data);
        }
        // The reads may all have been answered before the cut was felt.
        while let Err(error) = secure.zk().set(&path, &data, -1, any()).await {
            assert_eq!(error.code(), Code::OUTCOME_UNKNOWN, "{error}");
        }
        assert!(matches!(watch.await.kind, WatchEventKind::Node(_)));
    }
    assert_eq!(secure.session().id, session);
    assert!(proxy.connections() > 5);
    secure.close(LIMIT).await.expect("closed");
    assert!(!server.sessions().contains(&session), "its close was heard");
}

async fn a_lost_lock_is_told_in_time_and_a_new_session_made(flavor: Flavor) {
    let server = server(flavor);
    let proxy = Proxy::new(server.secure_address(0));
    let secure = connect(&by_name(proxy.address()), options(with_certificate())).await;
    let session = secure.session().id;
    let path = format!("/{}", support::unique("lost"));
    let handle = mutex(&secure, &path);
    let mut losses = handle.losses();
    let hold = handle.lock(Some(LIMIT), "over TLS").await.expect("the lock");
    let other = plain(server).await;
    let theirs = mutex(&other, &path);
    let next = theirs.lock(Some(LIMIT), "next");
    proxy.freeze(Direction::ToServer);
    proxy.freeze(Direction::ToClient);
    assert_eq!(losses.recv().await.expect("told").reason, Loss::LeaseRanOut);
    let told = zkhelper::Time::now();
    let next = next.await.expect("the lock");
    assert!(told < zkhelper::Time::now() && !hold.is_held() && next.token() > hold.token());
    let mut states = secure.states();
    proxy.cut_now();
    proxy.pass();
    while states.recv().await.expect("a state").state != State::Lost {}
    assert_ne!(secure.wait_connected(LIMIT).await.expect("connected"), session);
    next.release().await.expect("released");
    assert_eq!(hold.release().await.expect_err("lost").code(), Code::LOCK_LOST);
    drop(handle.lock(Some(LIMIT), "again").await.expect("the lock"));
    secure.close(LIMIT).await.expect("closed");
}

async fn whatever_is_wrong_is_told_with_the_server_it_is_wrong_at(flavor: Flavor) {
    let server = server(flavor);
    let (secure, by_address) = (by_name(server.secure_address(0)), server.secure_address(0).to_string());
    let stranger = &certificates().stranger;
    let theirs = stranger.sign("client", "DNS:client.example", 1);

    refused(&by_address, Some(with_certificate()), "certificate not valid for name \"127.0.0.1\"").await;
    let named = with_certificate().server_name("wrong.example").expect("a name");
    refused(&secure, Some(named), "not valid for name \"wrong.example\"; certificate is only valid for")
        .await;
    let trusts_others = with_certificate().ca_file(stranger.file()).expect("an authority");
    refused(&secure, Some(trusts_others), "signed by none of the authorities that are trusted").await;
    refused(&secure, Some(trusting()), "want a client certificate, and none is given").await;
    let unknown = trusting().certificate_file(&theirs.certificate, &theirs.key).expect("a certificate");
    refused(&secure, Some(unknown), "not trust the client certificate given").await;
    refused(&by_name(server.address(0)), Some(with_certificate()), "is this a plain-text port?").await;
    refused(&secure, None, "it may not serve yet, or want TLS on this port").await;

    // Nothing of this was the server's fault.
    let named = with_certificate().server_name("zk.example").expect("a name");
    connect(&by_address, options(named)).await.close(LIMIT).await.expect("closed");
}

#[tokio::test]
async fn an_address_in_the_certificate_will_do_and_an_expired_certificate_will_not() {
    let authority = &certificates().authority;
    let by_address = authority.sign("by-address", "IP:127.0.0.1", 1);
    let server = Ensemble::build(Flavor::Maven39).secure(&by_address.both, &authority.file(), "none").start();
    let address = server.secure_address(0).to_string();
    // The bytes of a file do as well as the file.
    let tls = Tls::new().ca_pem(read(&authority.file()).as_bytes()).expect("an authority");
    connect(&address, options(tls.clone())).await.close(LIMIT).await.expect("closed");
    refused(&by_name(server.secure_address(0)), Some(tls), "not valid for name \"localhost\"").await;

    let expired = authority.sign("expired", "DNS:localhost", -1);
    let server = Ensemble::build(Flavor::Maven39).secure(&expired.both, &authority.file(), "none").start();
    let address = by_name(server.secure_address(0));
    refused(&address, Some(trusting()), "the server's certificate has expired").await;
}

/// A proxy that holds everything is a server that does not answer.
#[tokio::test]
async fn an_unanswered_handshake_takes_no_longer_than_its_attempt() {
    let proxy = Proxy::new(server(Flavor::Maven39).secure_address(0));
    proxy.freeze(Direction::ToClient);
    let options = Options { connect_timeout: Duration::from_millis(400), ..options(with_certificate()) };
    let client = Client::new(&by_name(proxy.address()), options).expect("a client");
    eventually(LIMIT, "a second attempt", || (proxy.connections() > 1).then_some(()));
    proxy.cut_now();
    proxy.pass();
    client.wait_connected(LIMIT).await.expect("a connection");
    client.close(LIMIT).await.expect("closed");
}

#[tokio::test]
async fn a_session_outlives_the_servers_of_an_ensemble_one_by_one() {
    let Certificates { authority, server, .. } = certificates();
    let patience = Duration::from_secs(60);
    let build = Ensemble::build(Flavor::Maven39).servers(3).max_session_timeout(patience);
    let servers = build.secure(&server.both, &authority.file(), "need").start();
    let address: Vec<_> = (0..3).map(|i| by_name(servers.secure_address(i))).collect();
    let wanted = Options { session_timeout: patience, ..options(with_certificate()) };
    let client = connect(&address.join(","), wanted).await;
    let session = client.session().id;
    let hold = mutex(&client, "/ensemble").lock(Some(LIMIT), "").await.expect("the lock");
    for i in 0..3 {
        servers.restart(i);
        servers.wait_quorum();
        client.zk().get("/ensemble", any()).await.expect("read");
    }
    assert!(client.session().id == session && hold.is_held());
    hold.release().await.expect("released");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_anything_is_sent() {
    let Certificates { authority, client, server, .. } = certificates();
    let bad = |result: zkhelper::Result<Tls>, parts: &[&str]| {
        let error: Error = result.expect_err("refused");
        let text = error.to_string();
        assert!(error.code() == Code::BAD_ARGUMENT && parts.iter().all(|part| text.contains(part)), "{text}");
    };
    let missing = authority.path("missing.pem");
    bad(Tls::new().ca_file(&missing), &["CA file", "missing.pem", "No such file"]);
    bad(Tls::new().ca_file("/dev/zero"), &["/dev/zero", "longer than"]);
    bad(Tls::new().ca_file(&client.key), &["client.key", "no certificate in PEM form"]);
    bad(Tls::new().ca_pem(b""), &["CA: there is no certificate"]);
    let damaged = read(&authority.file()).replace("END", "FIN");
    bad(Tls::new().ca_pem(damaged.as_bytes()), &["CA: it is damaged"]);
    let no_certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    bad(Tls::new().ca_pem(no_certificate), &["CA: no certificate in it can be read"]);
    bad(Tls::new().certificate_pem(no_certificate, read(&client.key).as_bytes()), &["cannot be read"]);
    bad(Tls::new().certificate_file(&client.certificate, &missing), &["key file", "missing.pem"]);
    bad(
        Tls::new().certificate_file(&client.certificate, &client.certificate),
        &["client.pem", "no private key in PEM form"],
    );
    bad(
        Tls::new().certificate_file(&client.certificate, &server.key),
        &["server.key", "does not belong to the certificate", "client.pem"],
    );
    let locked = authority.path("locked.key");
    let mut openssl = Command::new("openssl");
    openssl.args(["pkcs8", "-topk8", "-passout", "pass:secret", "-in"]).arg(&client.key);
    assert!(openssl.arg("-out").arg(&locked).status().expect("openssl").success());
    bad(Tls::new().certificate_file(&client.certificate, &locked), &["locked.key", "encrypted"]);
    bad(Tls::new().server_name("a b"), &["server name", "a b"]);

    let code = |address: &str, tls: Tls| Client::new(address, options(tls)).expect_err("refused").code();
    assert_eq!(code("localhost:1", Tls::new()), Code::BAD_ARGUMENT, "no authority");
    assert_eq!(code("embedded", trusting()), Code::BAD_ARGUMENT, "it speaks no TLS");
    assert_eq!(code("a..b:1", trusting()), Code::BAD_ADDRESS, "no host has that name");

    // A bundle, both in one file, and nothing secret in sight.
    let bundle = authority.path("bundle.pem");
    write(&bundle, &(read(&certificates().stranger.file()) + &read(&authority.file())));
    let tls = Tls::new().ca_file(&bundle).expect("a bundle");
    let tls = tls.certificate_file(&client.both, &client.both).expect("one file for both");
    let shown = format!("{:?}", options(tls));
    let secret = read(&client.key).lines().nth(1).expect("a line")[..16].to_owned();
    assert!(shown.contains("certificate: true") && !shown.contains(&secret), "{shown}");
}

/// The library with TLS, as C links it. That of the tests, where they are built for debugging: an example is built on
/// the same one, whereas a build of the library alone would be another, and undo it.
fn library() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target directory");
    let mut build = support::cargo();
    build.args(["build", "--quiet", "--locked", "--example", "gen_header", "--features", "capi,tls"]);
    assert!(build.status().expect("cargo").success());
    target.join("debug/deps/libzkhelper.so")
}

/// The example in each language that is linked with the library, and in Rust.
fn examples(dir: &Path) -> [PathBuf; 4] {
    std::fs::copy(library(), dir.join("libzkhelper.so.0")).expect("copied");
    let [c, cpp] = [("cc", "c11", "c"), ("c++", "c++17", "cpp")].map(|(compiler, standard, language)| {
        let program = dir.join(language);
        let mut command = Command::new(compiler);
        command.current_dir(ROOT).arg(format!("-std={standard}"));
        command
            .args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-pthread", "-Iinclude", "-o"])
            .arg(&program);
        command.arg(format!("examples/{language}/tls.{language}")).arg(dir.join("libzkhelper.so.0"));
        assert!(command.status().expect("a compiler").success());
        program
    });
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target directory");
    let mut build = support::cargo();
    build.args(["build", "--quiet", "--locked", "--example", "tls", "--features", "capi,tls"]);
    assert!(build.status().expect("cargo").success());
    [c, cpp, go(dir), target.join("debug/examples/tls")]
}

fn go(dir: &Path) -> PathBuf {
    let link = dir.join("libzkhelper.so");
    std::os::unix::fs::symlink(dir.join("libzkhelper.so.0"), link).expect("linked");
    let flags = format!("Cflags: -I{ROOT}/include\nLibs: -L{} -lzkhelper\n", dir.display());
    let package = format!("Name: zkhelper\nDescription: with TLS\nVersion: 0\n{flags}");
    std::fs::write(dir.join("zkhelper.pc"), package).expect("written");
    let program = dir.join("go");
    let mut go = Command::new("go");
    go.current_dir(Path::new(ROOT).join("examples/go")).env("PKG_CONFIG_PATH", dir);
    go.env("GOTOOLCHAIN", "local").args(["build", "-o"]).arg(&program).arg("tls.go");
    assert!(go.status().expect("the Go compiler: run scripts/setup.sh").success());
    program
}

#[test]
fn a_program_takes_a_lock_over_tls_and_is_told_what_is_wrong() {
    let dir = TempDir::new("tls");
    for program in examples(dir.path()) {
        takes_a_lock_and_is_told_what_is_wrong(&program, dir.path());
    }
}

/// What the example of TLS does, with the library in this directory.
fn takes_a_lock_and_is_told_what_is_wrong(program: &Path, library: &Path) {
    let Certificates { authority, stranger, client, .. } = certificates();
    let server = server(Flavor::Maven39);
    let run = |address: &str, files: &[&Path]| {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", library).arg(address).args(files);
        let mut program = Program::spawn(command);
        let status = program.wait(LIMIT);
        (status.success(), program.output())
    };
    let secure = by_name(server.secure_address(0));
    let mine: [&Path; 3] = [&authority.file(), &client.certificate, &client.key];
    let (good, output) = run(&secure, &mine);
    assert!(good && output.contains("held over TLS; the fencing token is "), "{output}");
    for (address, files, text) in [
        (&secure, &[&*stranger.file(), mine[1], mine[2]][..], "signed by none of the authorities"),
        (&by_name(server.address(0)), &mine[..], "is this a plain-text port?"),
        (&secure, &[Path::new("/nowhere/ca.pem")][..], "CA file \"/nowhere/ca.pem\": No such file"),
        (&secure, &[mine[0], mine[2], mine[1]][..], "client.key\": there is no certificate in PEM form"),
    ] {
        let (good, output) = run(address, files);
        assert!(!good && output.contains(text), "wanted {text:?}: {output}");
    }
}
