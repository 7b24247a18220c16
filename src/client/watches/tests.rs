//! The table of watches alone.

use super::super::fake::ready;
use super::*;
use tokio::sync::mpsc::UnboundedReceiver;

const EVENTS: [EventType; 4] =
    [EventType::Created, EventType::Deleted, EventType::DataChanged, EventType::ChildrenChanged];

fn once(watches: &mut Watches, path: &str, id: u64, kind: Kind) -> oneshot::Receiver<WatchEvent> {
    let (sink, watch) = oneshot::channel();
    watches.add(path, id, kind, Sink::Once(sink));
    watch
}

fn stays(watches: &mut Watches, path: &str, id: u64, mode: WatchMode) -> UnboundedReceiver<WatchEvent> {
    let (sink, stream) = mpsc::unbounded_channel();
    watches.add(path, id, Kind::Stays(mode), Sink::Stream(sink));
    stream
}

fn seen(stream: &mut UnboundedReceiver<WatchEvent>) -> Vec<(WatchEventKind, String)> {
    std::iter::from_fn(|| stream.try_recv().ok()).map(|event| (event.kind, event.path)).collect()
}

#[test]
fn each_kind_fires_for_its_events_once_and_is_forgotten() {
    for (kind, fires) in [
        (Kind::Data, [true, true, true, false]),
        (Kind::Exist, [true, true, true, false]),
        (Kind::Child, [false, true, false, true]),
    ] {
        for (event, fires) in EVENTS.into_iter().zip(fires) {
            let mut watches = Watches::new("");
            let mut watch = once(&mut watches, "/a", 1, kind);
            watches.fire(event, "/b");
            watches.fire(EventType::DataWatchRemoved, "/a");
            assert!(ready(&mut watch).is_none());
            watches.fire(event, "/a");
            assert_eq!(ready(&mut watch).is_some(), fires, "{kind:?} {event:?}");
            assert_eq!(watches.len(), usize::from(!fires));
        }
    }
}

#[test]
fn one_event_fires_every_watch_it_is_for_in_the_order_they_were_armed() {
    let mut watches = Watches::new("");
    let mut all: Vec<_> = (0..20_000).map(|id| once(&mut watches, "/herd", id, Kind::Data)).collect();
    let mut child = once(&mut watches, "/herd", 30_000, Kind::Child);
    watches.fire(EventType::DataChanged, "/herd");
    assert!(all.iter_mut().all(|watch| ready(watch).is_some()));
    assert!(ready(&mut child).is_none());
    watches.fire(EventType::Deleted, "/herd");
    assert!(ready(&mut child).is_some());
    assert_eq!(watches.len(), 0);
}

#[test]
fn a_recursive_watch_sees_everything_below_and_no_lists_of_children() {
    let mut watches = Watches::new("");
    let mut top = stays(&mut watches, "/", 1, WatchMode::PersistentRecursive);
    let mut mid = stays(&mut watches, "/a/b", 2, WatchMode::PersistentRecursive);
    let mut plain = stays(&mut watches, "/a", 3, WatchMode::Persistent);
    watches.fire(EventType::Created, "/a/b/c/d");
    watches.fire(EventType::ChildrenChanged, "/a");
    watches.fire(EventType::Deleted, "/a/bc");
    let node = WatchEventKind::Node;
    assert_eq!(
        seen(&mut top),
        [(node(EventType::Created), "/a/b/c/d".to_owned()), (node(EventType::Deleted), "/a/bc".to_owned())]
    );
    assert_eq!(seen(&mut mid), [(node(EventType::Created), "/a/b/c/d".to_owned())]);
    assert_eq!(seen(&mut plain), [(node(EventType::ChildrenChanged), "/a".to_owned())]);
    assert_eq!(watches.remove("/", 1), Some(Kind::Stays(WatchMode::PersistentRecursive)));
    assert_eq!(watches.remove("/", 1), None);
}

#[test]
fn a_list_of_children_is_watched_also_where_a_recursive_watch_takes_its_place() {
    let mut watches = Watches::new("/app");
    let mut list = once(&mut watches, "/app/a", 1, Kind::Child);
    watches.fire(EventType::Deleted, "/app/a/b");
    assert!(ready(&mut list).is_none(), "without a recursive watch the server's own event will come");
    drop(stays(&mut watches, "/app/a", 2, WatchMode::PersistentRecursive));
    watches.remove("/app/a", 2);
    watches.fire(EventType::DataChanged, "/app/a/b");
    watches.fire(EventType::Created, "/app/a/b/c");
    assert!(ready(&mut list).is_none());
    watches.fire(EventType::Created, "/app/a/b");
    let event = ready(&mut list).expect("an event").expect("an event");
    assert_eq!((event.kind, event.path.as_str()), (WatchEventKind::Node(EventType::ChildrenChanged), "/a"));
}

#[test]
fn an_event_of_any_path_is_harmless() {
    let mut watches = Watches::new("/app");
    let mut stream = stays(&mut watches, "/app", 1, WatchMode::PersistentRecursive);
    for path in ["", "/", "a", "//", "/app2", "app/", "/app/"] {
        watches.fire(EventType::Created, path);
    }
    assert_eq!(seen(&mut stream), [(WatchEventKind::Node(EventType::Created), "/".to_owned())]);
}

#[test]
fn both_modes_on_one_path_are_re_armed_once_each() {
    let mut watches = Watches::new("");
    let _streams: Vec<_> = [
        WatchMode::Persistent,
        WatchMode::PersistentRecursive,
        WatchMode::Persistent,
        WatchMode::PersistentRecursive,
    ]
    .into_iter()
    .zip(0..)
    .map(|(mode, id)| stays(&mut watches, "/a", id, mode))
    .collect();
    let expected =
        [WatchMode::Persistent, WatchMode::PersistentRecursive].map(|mode| ("/a".to_owned(), mode));
    assert_eq!(watches.staying(), expected);
    match &watches.rearm(5, 1 << 20)[..] {
        [Request::SetWatches2 { relative_zxid: 5, persistent, recursive, .. }] => {
            assert_eq!((persistent.len(), recursive.len()), (1, 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_armed_needs_no_frame() {
    assert!(Watches::new("").rearm(1, 1 << 20).is_empty());
}

#[test]
fn a_path_below_the_chroot_is_told_from_one_beside_it() {
    assert_eq!(below("/app/x", "/app"), Some("/x"));
    assert_eq!(below("/app", "/app"), Some("/"));
    assert_eq!(below("/app2", "/app"), None);
    assert_eq!(below("/x", ""), Some("/x"));
}
