//! The watches of a client: what is armed, who waits for it, and what to re-arm after a reconnect.

use crate::proto::{EventType, Request, WatchMode};
use crate::zk::{WatchEvent, WatchEventKind};
use std::collections::{BTreeMap, HashMap};
use tokio::sync::{mpsc, oneshot};

/// The longest `setWatches` frame, as Apache ZooKeeper's own clients cut them: a server refuses
/// frames over its `jute.maxbuffer`, and a client with many watches could never come back.
const MAX_FRAME: usize = 128 * 1024;
/// What a `setWatches` frame holds besides its paths: header, zxid and the lengths of five lists.
const REARM_OVERHEAD: usize = 36;

/// Up to so many watches on one path take no more room than they need.
const FEW: usize = 4;

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
    /// Whether a server that is told to forget this kind forgets the other on the same path too.
    ///
    /// It keeps data and exists watches in one table and child watches in another; those that stay
    /// are in both, and servers up to 3.8 can remove them by "any" only, which empties both.
    fn falls_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Stays(_), _) | (_, Self::Stays(_)) => true,
            (Self::Child, Self::Child) => true,
            (Self::Child, _) | (_, Self::Child) => false,
            (Self::Data | Self::Exist, Self::Data | Self::Exist) => true,
        }
    }

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
    /// Whether there ever was a recursive watch.
    mixed: bool,
    chroot: String,
}

impl Watches {
    pub(crate) fn new(chroot: &str) -> Self {
        Self { chroot: chroot.to_owned(), ..Self::default() }
    }

    fn public_path(&self, path: &str) -> String {
        below(path, &self.chroot).unwrap_or(path).to_owned()
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
            self.mixed = true;
        }
        let entries = self.paths.entry(path.to_owned()).or_default();
        if entries.len() < FEW {
            // Mostly there is one for each path, or two; room for four would be made otherwise.
            entries.reserve_exact(1);
        }
        entries.push(Entry { id, kind, sink });
    }

    /// Removes a watch, and says what kind it was if the server should forget it too.
    pub(crate) fn remove(&mut self, path: &str, id: u64) -> Option<Kind> {
        let entries = self.paths.get_mut(path)?;
        let at = entries.iter().position(|entry| entry.id == id)?;
        let kind = entries.swap_remove(at).kind;
        if kind == Kind::Stays(WatchMode::PersistentRecursive) {
            self.recursive -= 1;
        }
        let others = entries.iter().any(|entry| kind.falls_with(entry.kind));
        if entries.is_empty() {
            self.paths.remove(path);
        }
        (!others && !self.arming.contains_key(path)).then_some(kind)
    }

    /// A server's event: fires and forgets the one-shot watches it is for, tells those that stay.
    pub(crate) fn fire(&mut self, event: EventType, path: &str) {
        self.tell(event, path, |kind| kind.sees(event));
        let above = crate::path::parent(path);
        if let Some(parent) =
            above.filter(|_| self.mixed && matches!(event, EventType::Created | EventType::Deleted))
        {
            // Servers before 3.9 keep one mode for each path (ZOOKEEPER-4466): where a recursive watch is
            // or was, its events of children come, and those of the list of children do not.
            self.tell(EventType::ChildrenChanged, parent, |kind| kind == Kind::Child);
        }
        let told = WatchEvent { kind: WatchEventKind::Node(event), path: self.public_path(path) };
        if self.recursive > 0 && Kind::Stays(WatchMode::PersistentRecursive).sees(event) {
            let mut above = above;
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

    /// Fires and tells the watches of one path whose kind wants it.
    fn tell(&mut self, event: EventType, path: &str, wants: impl Fn(Kind) -> bool) {
        let told = WatchEvent { kind: WatchEventKind::Node(event), path: self.public_path(path) };
        let Some(entries) = self.paths.get_mut(path) else { return };
        for entry in std::mem::take(entries) {
            match entry.sink {
                Sink::Once(sink) if wants(entry.kind) => {
                    let _ = sink.send(told.clone());
                    continue;
                }
                Sink::Stream(ref sink) if wants(entry.kind) => {
                    let _ = sink.send(told.clone());
                }
                _ => {}
            }
            entries.push(entry);
        }
        if entries.is_empty() {
            self.paths.remove(path);
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

    /// The requests that arm everything again on the same session, none longer than `max_frame` unless a
    /// single path is. A one-shot watch whose event came since `relative_zxid` fires from the server's
    /// answer.
    pub(crate) fn rearm(&self, relative_zxid: i64, max_frame: usize) -> Vec<Request> {
        let limit = max_frame.min(MAX_FRAME) - REARM_OVERHEAD;
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
            // All of a path in one frame: on servers up to 3.8 the last word on a path holds for all
            // its kinds, and within a frame that is the word of those that stay.
            let more = wanted.iter().filter(|wanted| **wanted).count() * (path.len() + 4);
            if size > 0 && size + more > limit {
                flush(&mut lists);
                size = 0;
            }
            size += more;
            for (list, wanted) in lists.iter_mut().zip(wanted) {
                if wanted {
                    list.push(path.clone());
                }
            }
        }
        if size > 0 {
            flush(&mut lists);
        }
        frames
    }

    /// The modes of those that stay on a path.
    pub(crate) fn staying_on(&self, path: &str) -> Vec<WatchMode> {
        let modes = [WatchMode::Persistent, WatchMode::PersistentRecursive];
        let entries = self.paths.get(path).map(Vec::as_slice).unwrap_or_default();
        let stays = |mode: &WatchMode| entries.iter().any(|entry| entry.kind == Kind::Stays(*mode));
        modes.into_iter().filter(stays).collect()
    }

    /// Those that stay, to be added again on a new session.
    pub(crate) fn staying(&self) -> Vec<(String, WatchMode)> {
        let on = |path: &String| self.staying_on(path).into_iter().map(|mode| (path.clone(), mode)).collect();
        self.paths.keys().flat_map(|path| -> Vec<_> { on(path) }).collect()
    }

    /// The number of watches.
    pub(crate) fn len(&self) -> usize {
        self.paths.values().map(Vec::len).sum()
    }
}

/// The path as it is below `chroot`; `None` if it is not below it.
pub(crate) fn below<'a>(path: &'a str, chroot: &str) -> Option<&'a str> {
    match path.strip_prefix(chroot)? {
        "" => Some("/"),
        rest if rest.starts_with('/') => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
