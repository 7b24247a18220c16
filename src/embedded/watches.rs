//! Who watches what. Watches belong to a connection, not to its session: a client that reconnects sets them
//! again.

use crate::proto::WatchMode;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A connection's number, never used twice by one server.
pub(super) type ConnectionId = u64;

/// The ways one connection watches one path, as a set of bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Modes(u8);

impl Modes {
    pub(super) const ONE_SHOT: Self = Self(1);
    pub(super) const PERSISTENT: Self = Self(2);
    pub(super) const RECURSIVE: Self = Self(4);
    pub(super) const ALL: Self = Self(7);

    fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl From<WatchMode> for Modes {
    fn from(mode: WatchMode) -> Self {
        match mode {
            WatchMode::Persistent => Self::PERSISTENT,
            WatchMode::PersistentRecursive => Self::RECURSIVE,
        }
    }
}

/// The watches of one kind: on data, or on children.
#[derive(Default)]
pub(super) struct Watches {
    by_path: HashMap<String, BTreeMap<ConnectionId, Modes>>,
    by_connection: HashMap<ConnectionId, HashSet<String>>,
    /// The number of recursive ones: while there is none, no parent has to be looked at.
    recursive: usize,
}

impl Watches {
    /// Adds a watch; one that is there already stays one.
    pub(super) fn add(&mut self, path: &str, connection: ConnectionId, mode: Modes) {
        let watchers = self.by_path.entry(path.to_owned()).or_default();
        let modes = watchers.entry(connection).or_insert(Modes(0));
        if mode.any_of(Modes::RECURSIVE) && !modes.any_of(Modes::RECURSIVE) {
            self.recursive += 1;
        }
        *modes = modes.with(mode);
        self.by_connection.entry(connection).or_default().insert(path.to_owned());
    }

    /// Whether there is such a watch.
    pub(super) fn has(&self, path: &str, connection: ConnectionId, mode: Modes) -> bool {
        self.by_path.get(path).and_then(|w| w.get(&connection)).is_some_and(|modes| modes.any_of(mode))
    }

    /// Removes watches, and says whether there were any.
    pub(super) fn remove(&mut self, path: &str, connection: ConnectionId, mode: Modes) -> bool {
        let Some(watchers) = self.by_path.get_mut(path) else { return false };
        let Some(modes) = watchers.get_mut(&connection) else { return false };
        if !modes.any_of(mode) {
            return false;
        }
        if mode.any_of(Modes::RECURSIVE) && modes.any_of(Modes::RECURSIVE) {
            self.recursive = self.recursive.saturating_sub(1);
        }
        *modes = modes.without(mode);
        if *modes == Modes(0) {
            watchers.remove(&connection);
            if watchers.is_empty() {
                self.by_path.remove(path);
            }
            self.forget_path(path, connection);
        }
        true
    }

    fn forget_path(&mut self, path: &str, connection: ConnectionId) {
        if let Some(paths) = self.by_connection.get_mut(&connection) {
            paths.remove(path);
            if paths.is_empty() {
                self.by_connection.remove(&connection);
            }
        }
    }

    /// Removes all watches of a connection.
    pub(super) fn remove_connection(&mut self, connection: ConnectionId) {
        for path in self.by_connection.get(&connection).cloned().unwrap_or_default() {
            self.remove(&path, connection, Modes::ALL);
        }
    }

    /// Those who are to hear of what happened at `path`. One-shot watches on it are used up. Recursive
    /// watches further up hear of it too.
    pub(super) fn trigger(&mut self, path: &str) -> BTreeSet<ConnectionId> {
        let mut heard: BTreeSet<ConnectionId> =
            self.by_path.get(path).map(|watchers| watchers.keys().copied().collect()).unwrap_or_default();
        for connection in &heard {
            self.remove(path, *connection, Modes::ONE_SHOT);
        }
        if self.recursive > 0 {
            let mut below = path;
            while let Some((parent, _)) = super::path::split(below).filter(|_| below != "/") {
                if let Some(watchers) = self.by_path.get(parent) {
                    let recursive = watchers.iter().filter(|(_, modes)| modes.any_of(Modes::RECURSIVE));
                    heard.extend(recursive.map(|(connection, _)| *connection));
                }
                below = parent;
            }
        }
        heard
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_path.values().map(BTreeMap::len).sum()
    }
}
