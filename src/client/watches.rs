//! The watches of a client: what is armed, who waits for it, and what to re-arm after a reconnect.

use crate::proto::{EventType, Request, WatchMode};
use crate::zk::{WatchEvent, WatchEventKind};
use std::collections::{BTreeMap, HashMap};
use tokio::sync::{mpsc, oneshot};

/// The longest `setWatches` frame, as Apache ZooKeeper's own clients cut them: a server refuses
/// frames over its `jute.maxbuffer`, and a client with many watches could never come back.
const MAX_FRAME: usize = 128 * 1024;

/// What a watch waits for, as `setWatches` tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Armed by a read of a node that is there.
    Data,
    /// Armed by `exists` where there is no node.
    Exist,
    /// Armed by a list of children.
    Child,
    /// Armed by `addWatch`, and stays.
    Stays(WatchMode),
}

impl Kind {
    /// Whether an event of its own node is its business.
    fn sees(self, event: EventType) -> bool {
        match self {
            Self::Data | Self::Exist => {
                matches!(event, EventType::Created | EventType::Deleted | EventType::DataChanged)
            }
            Self::Child => matches!(event, EventType::ChildrenChanged | EventType::Deleted),
            Self::Stays(WatchMode::Persistent) => {
                matches!(
                    event,
                    EventType::Created
                        | EventType::Deleted
                        | EventType::DataChanged
                        | EventType::ChildrenChanged
                )
            }
            Self::Stays(WatchMode::PersistentRecursive) => {
                matches!(event, EventType::Created | EventType::Deleted | EventType::DataChanged)
            }
        }
    }
}

/// Where a watch's events go.
#[derive(Debug)]
pub(crate) enum Sink {
    Once(oneshot::Sender<WatchEvent>),
    Stream(mpsc::UnboundedSender<WatchEvent>),
}

#[derive(Debug)]
struct Entry {
    id: u64,
    kind: Kind,
    sink: Sink,
}

#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// In order: what is re-armed is listed in the same order each time.
    paths: BTreeMap<String, Vec<Entry>>,
    /// Reads under way that will arm a watch: a server's watch must not be removed under them.
    arming: HashMap<String, u32>,
    recursive: usize,
    chroot: String,
}

impl Watches {
    pub(crate) fn new(chroot: &str) -> Self {
        Self { chroot: chroot.to_owned(), ..Self::default() }
    }

    fn public_path(&self, path: &str) -> String {
        match path.strip_prefix(self.chroot.as_str()) {
            Some("") => "/".to_owned(),
            Some(rest) => rest.to_owned(),
            None => path.to_owned(),
        }
    }

    /// A read that will arm a watch on `path` is on its way.
    pub(crate) fn arming(&mut self, path: &str) {
        *self.arming.entry(path.to_owned()).or_default() += 1;
    }

    /// That read has ended.
    pub(crate) fn armed(&mut self, path: &str) {
        if let Some(count) = self.arming.get_mut(path) {
            *count -= 1;
            if *count == 0 {
                self.arming.remove(path);
            }
        }
    }

    pub(crate) fn add(&mut self, path: &str, id: u64, kind: Kind, sink: Sink) {
        if kind == Kind::Stays(WatchMode::PersistentRecursive) {
            self.recursive += 1;
        }
        self.paths.entry(path.to_owned()).or_default().push(Entry { id, kind, sink });
    }

    /// Removes a watch, and says what kind it was if the server should forget it too.
    pub(crate) fn remove(&mut self, path: &str, id: u64) -> Option<Kind> {
        let entries = self.paths.get_mut(path)?;
        let at = entries.iter().position(|entry| entry.id == id)?;
        let kind = entries.swap_remove(at).kind;
        if kind == Kind::Stays(WatchMode::PersistentRecursive) {
            self.recursive -= 1;
        }
        // The server keeps data and exists watches in one table.
        let same = |other: Kind| match kind {
            Kind::Data | Kind::Exist => matches!(other, Kind::Data | Kind::Exist),
            _ => other == kind,
        };
        let others = entries.iter().any(|entry| same(entry.kind));
        if entries.is_empty() {
            self.paths.remove(path);
        }
        (!others && !self.arming.contains_key(path)).then_some(kind)
    }

    /// A server's event: fires and forgets the one-shot watches it is for, tells those that stay.
    pub(crate) fn fire(&mut self, event: EventType, path: &str) {
        let told = WatchEvent { kind: WatchEventKind::Node(event), path: self.public_path(path) };
        if let Some(entries) = self.paths.get_mut(path) {
            let mut at = 0;
            while let Some(entry) = entries.get(at) {
                if !entry.kind.sees(event) {
                    at += 1;
                    continue;
                }
                match &entry.sink {
                    Sink::Stream(sink) => {
                        let _ = sink.send(told.clone());
                        at += 1;
                    }
                    Sink::Once(_) => {
                        if let Sink::Once(sink) = entries.remove(at).sink {
                            let _ = sink.send(told.clone());
                        }
                    }
                }
            }
            if entries.is_empty() {
                self.paths.remove(path);
            }
        }
        if self.recursive > 0 && Kind::Stays(WatchMode::PersistentRecursive).sees(event) {
            let mut above = crate::path::parent(path);
            while let Some(ancestor) = above {
                for entry in self.paths.get(ancestor).into_iter().flatten() {
                    if let (Kind::Stays(WatchMode::PersistentRecursive), Sink::Stream(sink)) =
                        (entry.kind, &entry.sink)
                    {
                        let _ = sink.send(told.clone());
                    }
                }
                above = crate::path::parent(ancestor);
            }
        }
    }

    /// The session is over, or its watches could not be re-armed: one-shot watches end.
    pub(crate) fn end_one_shots(&mut self) {
        let paths = std::mem::take(&mut self.paths);
        for (path, entries) in paths {
            let mut stay = Vec::new();
            for entry in entries {
                match entry.sink {
                    Sink::Once(sink) => {
                        let path = self.public_path(&path);
                        let _ = sink.send(WatchEvent { kind: WatchEventKind::SessionLost, path });
                    }
                    Sink::Stream(_) => stay.push(entry),
                }
            }
            if !stay.is_empty() {
                self.paths.insert(path, stay);
            }
        }
    }

    /// Tells those that stay that events may have been missed.
    pub(crate) fn tell_missed(&self) {
        for (path, entries) in &self.paths {
            for entry in entries {
                if let Sink::Stream(sink) = &entry.sink {
                    let path = self.public_path(path);
                    let _ = sink.send(WatchEvent { kind: WatchEventKind::MayHaveMissed, path });
                }
            }
        }
    }

    /// Every watch goes, with the client.
    pub(crate) fn end_all(&mut self) {
        self.end_one_shots();
        self.paths.clear();
        self.recursive = 0;
    }

    /// The requests that arm everything again on the same session. A one-shot watch whose event came
    /// since `relative_zxid` fires from the server's answer.
    pub(crate) fn rearm(&self, relative_zxid: i64) -> Vec<Request> {
        let mut frames = Vec::new();
        let mut lists: [Vec<String>; 5] = Default::default();
        let mut size = 0;
        let mut flush = |lists: &mut [Vec<String>; 5]| {
            let [data, exist, child, persistent, recursive] = std::mem::take(lists);
            frames.push(if persistent.is_empty() && recursive.is_empty() {
                Request::SetWatches { relative_zxid, data, exist, child }
            } else {
                Request::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive }
            });
        };
        for (path, entries) in &self.paths {
            let mut wanted = [false; 5];
            for entry in entries {
                let slot = match entry.kind {
                    Kind::Data => 0,
                    Kind::Exist => 1,
                    Kind::Child => 2,
                    Kind::Stays(WatchMode::Persistent) => 3,
                    Kind::Stays(WatchMode::PersistentRecursive) => 4,
                };
                if let Some(wanted) = wanted.get_mut(slot) {
                    *wanted = true;
                }
            }
            for (list, wanted) in lists.iter_mut().zip(wanted) {
                if wanted {
                    list.push(path.clone());
                    size += path.len() + 4;
                }
            }
            if size > MAX_FRAME - 8 * 1024 {
                flush(&mut lists);
                size = 0;
            }
        }
        if size > 0 {
            flush(&mut lists);
        }
        frames
    }

    /// Those that stay, to be added again on a new session.
    pub(crate) fn staying(&self) -> Vec<(String, WatchMode)> {
        let mut found = Vec::new();
        for (path, entries) in &self.paths {
            for entry in entries {
                if let Kind::Stays(mode) = entry.kind
                    && !found.iter().rev().take(2).any(|(p, m)| p == path && *m == mode)
                {
                    found.push((path.clone(), mode));
                }
            }
        }
        found
    }

    /// The number of watches.
    pub(crate) fn len(&self) -> usize {
        self.paths.values().map(Vec::len).sum()
    }
}
