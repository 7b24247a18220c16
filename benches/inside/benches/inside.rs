//! What a call costs inside one process, on the embedded server: the look-up of a handle, the hop to the IO thread,
//! the way of an error, globs and trees.

use criterion::{Criterion, criterion_group, criterion_main};
use std::ffi::CString;
use std::hint::black_box;
use tokio::runtime::{Builder, Runtime};
use zkhelper::embedded::Server;
use zkhelper::ffi::client::{zkh_client, zkh_client_close, zkh_client_connect, zkh_client_free};
use zkhelper::ffi::error::{zkh_error, zkh_error_free};
use zkhelper::ffi::mutex::{zkh_mutex, zkh_mutex_free, zkh_mutex_new, zkh_mutex_token, zkh_mutex_unlock};
use zkhelper::proto::CreateMode;
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Mutex, MutexOptions, Options, Tree};

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

/// The C ABI: a getter is a look-up of a handle and little else; an unlock of what is not held makes an error.
fn handles(c: &mut Criterion) {
    let server = Server::start(0).expect("a server");
    let address = CString::new(server.address()).expect("a text");
    let path = CString::new("/lock").expect("a text");
    let (mut client, mut mutex) = (zkh_client::default(), zkh_mutex::default());
    let none = std::ptr::null_mut();
    // SAFETY: texts and places that live as long as the calls, and null where nothing is wanted.
    unsafe {
        assert_eq!(zkh_client_connect(address.as_ptr(), std::ptr::null(), &raw mut client, none), 0);
        assert_eq!(zkh_mutex_new(client, path.as_ptr(), std::ptr::null(), &raw mut mutex, none), 0);
    }
    c.bench_function("handle: look-up in a getter", |b| b.iter(|| zkh_mutex_token(black_box(mutex))));
    c.bench_function("handle: a wrong one refused", |b| {
        let wrong = zkh_mutex { id: mutex.id ^ 1 };
        b.iter(|| zkh_mutex_token(black_box(wrong)));
    });
    c.bench_function("error: made, handed out and freed", |b| {
        b.iter(|| {
            let mut error: *mut zkh_error = std::ptr::null_mut();
            // SAFETY: a place for a pointer, and the error that is put there is freed once.
            unsafe {
                black_box(zkh_mutex_unlock(mutex, &raw mut error));
                zkh_error_free(error);
            }
        });
    });
    // SAFETY: handles, which are values, and null.
    unsafe {
        zkh_mutex_free(mutex);
        zkh_client_close(client, 1000, none);
        zkh_client_free(client);
    }
}

/// A request there and back: by the IO thread to a server in this process.
fn hop(c: &mut Criterion) {
    let server = Server::start(0).expect("a server");
    let runtime = runtime();
    let client = runtime.block_on(Client::connect(server.address(), Options::default())).expect("a connection");
    c.bench_function("request: exists, there and back", |b| {
        b.iter(|| runtime.block_on(client.zk().exists("/", OpOptions::default())).expect("answered"));
    });
    let mutex = Mutex::new(&client, "/lock", MutexOptions::default()).expect("a mutex");
    c.bench_function("mutex: lock and unlock", |b| {
        b.iter(|| {
            runtime.block_on(async {
                mutex.lock(None, "").await.expect("the lock").release().await.expect("released");
            });
        });
    });
}

fn trees(c: &mut Criterion) {
    let server = Server::start(0).expect("a server");
    let runtime = runtime();
    let client = runtime.block_on(Client::connect(server.address(), Options::default())).expect("a connection");
    let tree = Tree::new(&client);
    let acl = zkhelper::acl::default();
    let nodes: Vec<_> = (0..1000).map(|i| (format!("/tree/dir-{}/node-{i}", i % 10), Vec::new())).collect();
    runtime.block_on(tree.create_all(nodes.clone(), &acl, CreateMode::Persistent)).expect("made");
    c.bench_function("tree: 1,000 nodes listed", |b| {
        b.iter(|| runtime.block_on(tree.children("/tree")).expect("a list"));
    });
    c.bench_function("glob: 1,000 nodes matched", |b| {
        b.iter(|| runtime.block_on(tree.glob(&["/tree/dir-[0-4]/node-*5"])).expect("matches"));
    });
    c.bench_function("tree: 1,000 nodes made and deleted", |b| {
        b.iter(|| {
            runtime.block_on(async {
                tree.delete("/tree", -1).await.expect("deleted");
                tree.create_all(nodes.clone(), &acl, CreateMode::Persistent).await.expect("made");
            });
        });
    });
}

criterion_group!(benches, handles, hop, trees);
criterion_main!(benches);
