//! Trees: create with parents, create or update, list and delete everything below a path.
//!
//! Whatever the tree is like, requests are pipelined, with a bounded number and a bounded size under way
//! (`window.rs`), and nothing here calls itself, so a deep tree needs no deep stack. Listing takes one
//! request a node. Deleting takes that and one transaction for every few hundred nodes. Creating takes one request a node;
//! parents are made only after the server said that one is missing.
//!
//! Answers that were lost: a creation is made again, except where the server numbers the node; a deletion
//! is made again until the node is gone. See each function.

use super::window::{Window, run};
use crate::acl;
use crate::client::Client;
use crate::error::{Code, Error, Result};
use crate::path;
use crate::proto::{Acl, CreateMode, MultiOp, Request, Response, permissions};
use crate::zk::{BoxFuture, OpOptions, Zk};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

/// How often something is tried that others can undo all the time: parents that vanish before their
/// children are made, and children that appear before their parent is deleted.
const TRIES: usize = 10;
/// How many nodes one transaction deletes at most, and how many bytes of paths it names.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 128 * 1024;
/// About what a request takes besides its path and data.
const OVERHEAD: usize = 32;

/// Operations on whole trees of nodes.
///
/// A future that is dropped ends its operation: what was not sent by then has no effect. The operations
/// take as long as the tree is large; each request in them has the client's `operation_timeout`.
#[derive(Clone)]
pub struct Tree {
    pub(super) zk: Arc<dyn Zk>,
}

impl Tree {
    /// Over this client's connection.
    pub fn new(client: &Client) -> Self {
        Self::over(Arc::clone(client.zk()))
    }

    /// The same, over anything that carries requests to ZooKeeper.
    pub fn over(zk: Arc<dyn Zk>) -> Self {
        Self { zk }
    }

    /// Whether there is a node.
    pub async fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.zk.exists(path, OpOptions::default()).await?.is_some())
    }

    /// Creates a node, and those of its parents that are missing; answers with its path, which differs from
    /// the one asked for if it is sequential.
    ///
    /// The node is created first, and its parents only if the server says that one is missing. They are plain, persistent and empty,
    /// whatever `mode` says, and get `acl` too, except that who has ADMIN in it gets all permissions on
    /// them: so a list without CREATE, such as [`crate::acl::file`], does for the node.
    ///
    /// [`Code::NODE_EXISTS`] if the node is there. [`Code::INVALID_ACL`] if parents are missing and nobody
    /// could create nodes below them. [`Code::NO_NODE`] if parents vanish as fast as they are made, or
    /// the client's chroot does not exist. An answer that was lost is settled by creating again.
    /// [`Code::OUTCOME_UNKNOWN`] where that cannot settle it: a sequential node may be there; a persistent
    /// one is there, and nobody knows who made it.
    ///
    /// ```no_run
    /// # async fn example(client: &zkhelper::Client) -> zkhelper::Result<()> {
    /// use zkhelper::{Tree, acl, proto::CreateMode};
    ///
    /// let tree = Tree::new(client);
    /// tree.create("/zk/global/shards/0", b"up", &acl::file(), CreateMode::Persistent).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create(&self, path: &str, data: &[u8], acl: &[Acl], mode: CreateMode) -> Result<String> {
        let nodes = vec![(path.to_owned(), data.to_vec())];
        let outcome = self.create_nodes(nodes, acl, mode, true).await?.pop();
        outcome.unwrap_or_else(|| Err(Code::CLOSED.into()))
    }

    /// Creates many nodes, given as path and data, and those of their parents that are missing: one request a
    /// node. Answers for each as [`Tree::create`] does. A node whose parent is in the list too has to stand behind it.
    ///
    /// Fails as a whole, before anything is sent, if one of the paths is not valid.
    pub async fn create_all(
        &self,
        nodes: Vec<(String, Vec<u8>)>,
        acl: &[Acl],
        mode: CreateMode,
    ) -> Result<Vec<Result<String>>> {
        self.create_nodes(nodes, acl, mode, true).await
    }

    /// Creates a node, or sets its data if it is there; answers with its path. `mode` and `acl` are for a
    /// node that has to be created, and its parents are made if `recursive` says so.
    ///
    /// Fails as [`Tree::create`] does. An answer that was lost is settled by doing it again, so that a node may be
    /// set twice with the same data; only a sequential node stays [`Code::OUTCOME_UNKNOWN`].
    pub async fn create_or_update(
        &self,
        path: &str,
        data: &[u8],
        acl: &[Acl],
        mode: CreateMode,
        recursive: bool,
    ) -> Result<String> {
        for _ in 0..TRIES {
            let nodes = vec![(path.to_owned(), data.to_vec())];
            let created = self.create_nodes(nodes, acl, mode, recursive).await?.pop();
            match created.unwrap_or_else(|| Err(Code::CLOSED.into())) {
                Err(error) if error.code() == Code::NODE_EXISTS => {}
                Err(error) if error.code() == Code::OUTCOME_UNKNOWN && !mode.is_sequential() => {}
                outcome => return outcome,
            }
            match self.zk.set(path, data, -1, OpOptions::default()).await {
                Ok(_) => return Ok(path.to_owned()),
                // Somebody deleted it in between, or nobody knows: it can be done again.
                Err(error) if matches!(error.code(), Code::NO_NODE | Code::OUTCOME_UNKNOWN) => {}
                Err(error) => return Err(error),
            }
        }
        let text = format!("in {TRIES} tries it was deleted before it was set, or no answer came");
        Err(Error::new(Code::OUTCOME_UNKNOWN).during("create or update", Some(path)).because(text))
    }

    async fn create_nodes(
        &self,
        nodes: Vec<(String, Vec<u8>)>,
        acl: &[Acl],
        mode: CreateMode,
        recursive: bool,
    ) -> Result<Vec<Result<String>>> {
        for (path, _) in &nodes {
            let valid =
                if mode.is_sequential() { path::validate_sequential(path) } else { path::validate(path) };
            valid.map_err(|error| error.during("create", Some(path)))?;
        }
        let refuse = |why: &'static str| {
            let path = nodes.first().map(|(path, _)| path.as_str());
            Err(Error::new(Code::BAD_ARGUMENT).during("create", path).because(why))
        };
        if acl.is_empty() {
            return refuse("the access control list is empty");
        }
        if mode.has_ttl() {
            return refuse("a node with a time to live is made by a request of its own");
        }
        let making = Making { zk: Arc::clone(&self.zk), nodes, acl: acl.to_vec(), mode, recursive };
        run(&self.zk, async move { Ok(making.make().await) }).await
    }

    /// The paths of all nodes below a path, relative to it and sorted as bytes. Nodes that vanish meanwhile
    /// are left out; others may be created behind its back.
    ///
    /// [`Code::NO_NODE`] if the node is not there, [`Code::NO_AUTH`] if one of them may not be listed: a
    /// list is complete or none.
    pub async fn children(&self, path: &str) -> Result<Vec<String>> {
        let (zk, top) = (Arc::clone(&self.zk), path.to_owned());
        let listing = run(&self.zk, async move { list(&zk, &top, true).await }).await?;
        let mut paths: Vec<_> = (1..listing.nodes.len())
            .filter(|at| !listing.is_gone(*at))
            .map(|at| listing.relative(at))
            .collect();
        paths.sort_unstable();
        Ok(paths)
    }

    /// Deletes a node and everything below it. When this returns `Ok` the node is gone.
    ///
    /// `version` is the version of the node's own data, −1 for any. It guards the whole: once the data
    /// has another version nothing is deleted any more, also below it ([`Code::BAD_VERSION`]).
    ///
    /// No access control list is touched. Others may create nodes below it meanwhile; those are deleted too, and after ten
    /// rounds of that the deletion gives up with [`Code::NOT_EMPTY`]. [`Code::NO_NODE`] if the node is
    /// not there to begin with; [`Code::NO_AUTH`] for a node that may not be deleted. After a failure what was deleted
    /// is gone, and what was not is as it was. An answer that was lost is settled by deleting again.
    pub async fn delete(&self, path: &str, version: i32) -> Result<()> {
        let refuse = |error: Error| Err(error.during("delete tree", Some(path)));
        if let Err(error) = path::validate(path) {
            return refuse(error);
        }
        if path == "/" {
            return refuse(Error::new(Code::BAD_PATH).because("the root cannot be deleted"));
        }
        if version < -1 {
            return refuse(
                Error::new(Code::BAD_ARGUMENT).because("a version is -1, for any, or a number from 0 on"),
            );
        }
        let (zk, top) = (Arc::clone(&self.zk), path.to_owned());
        run(&self.zk, async move { Felling { zk, top, version }.fell().await }).await
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").finish_non_exhaustive()
    }
}

// ---- create ----

struct Making {
    zk: Arc<dyn Zk>,
    nodes: Vec<(String, Vec<u8>)>,
    acl: Vec<Acl>,
    mode: CreateMode,
    recursive: bool,
}

/// What stands after each node was tried.
#[derive(Default)]
struct Progress {
    outcomes: BTreeMap<usize, Result<String>>,
    /// Those that were sent once and not answered.
    doubtful: HashSet<usize>,
    /// Why parents could not be made.
    refused: Option<Error>,
}

impl Making {
    async fn make(&self) -> Vec<Result<String>> {
        let mut progress = Progress::default();
        let mut todo: VecDeque<usize> = (0..self.nodes.len()).collect();
        for _ in 0..TRIES {
            let missing = self.pass(&mut todo, &mut progress).await;
            if missing && progress.refused.is_none() {
                progress.refused = self.make_parents(&todo).await.err();
            }
            if todo.is_empty() {
                break;
            }
        }
        let unmade = |at: usize| {
            let doubt = progress.doubtful.contains(&at);
            let code = if doubt { Code::OUTCOME_UNKNOWN } else { Code::NO_NODE };
            let text = "its parents vanish as fast as they are made, or the client's chroot does not exist";
            Err(Error::new(code).during("create", self.path(at)).because(text))
        };
        let mut outcomes = progress.outcomes;
        (0..self.nodes.len()).map(|at| outcomes.remove(&at).unwrap_or_else(|| unmade(at))).collect()
    }

    fn path(&self, at: usize) -> Option<&str> {
        self.nodes.get(at).map(|(path, _)| path.as_str())
    }

    /// Tries what is to be made. What has to be tried again stays in `todo`; true if parents are missing.
    async fn pass(&self, todo: &mut VecDeque<usize>, progress: &mut Progress) -> bool {
        let (mut missing, mut again) = (false, Vec::new());
        let mut window = Window::new();
        // The first one goes alone: its parents tell whether it is worth sending more.
        let mut alone = self.recursive;
        loop {
            // Where one parent is missing, more may be: they are made before any further node is tried.
            if window.wants_more() && !missing {
                while !(window.is_full() || alone && !window.is_empty())
                    && let Some(at) = todo.pop_front()
                {
                    let Some((path, data)) = self.nodes.get(at) else { continue };
                    let reply = self.zk.submit(
                        Request::Create {
                            path: path.clone(),
                            data: data.clone(),
                            acl: self.acl.clone(),
                            mode: self.mode,
                            ttl_ms: 0,
                            with_stat: true,
                        },
                        OpOptions::default(),
                    );
                    window.push(at, path.len() + data.len() + OVERHEAD, reply);
                }
            }
            let Some((at, outcome)) = window.next().await else { break };
            alone = false;
            let outcome = match outcome.map(|answer| answer.response) {
                Ok(Response::Create2 { path, .. }) => Ok(path),
                Ok(_) => Err(Error::new(Code::PROTOCOL).during("create", self.path(at))),
                Err(error) if error.code() == Code::NO_NODE && self.recursive => match &progress.refused {
                    Some(why) => Err(why.clone()),
                    None => {
                        missing = true;
                        again.push(at);
                        continue;
                    }
                },
                Err(error) if error.code() == Code::OUTCOME_UNKNOWN && !self.mode.is_sequential() => {
                    progress.doubtful.insert(at);
                    again.push(at);
                    continue;
                }
                Err(error) if error.code() == Code::NODE_EXISTS && progress.doubtful.contains(&at) => {
                    self.whose(at).await
                }
                Err(error) => Err(error),
            };
            progress.outcomes.insert(at, outcome);
        }
        for at in again.into_iter().rev() {
            todo.push_front(at);
        }
        missing
    }

    /// What a node means that is there after a creation of it was not answered.
    async fn whose(&self, at: usize) -> Result<String> {
        let Some(path) = self.path(at) else { return Err(Code::CLOSED.into()) };
        if self.mode.is_ephemeral()
            && let Some(stat) = self.zk.exists(path, OpOptions::default()).await?
            && stat.ephemeral_owner == self.zk.session().id
        {
            return Ok(path.to_owned());
        }
        let text = "the node is there, made by this creation or by somebody else";
        Err(Error::new(Code::OUTCOME_UNKNOWN).during("create", Some(path)).because(text))
    }

    /// Makes the parents of these nodes that are not there. The error is the first that stood against it.
    async fn make_parents(&self, of: &VecDeque<usize>) -> Result<()> {
        let acl = acl::of_parents(&self.acl);
        let listed: HashSet<&str> = of.iter().filter_map(|at| self.path(*at)).collect();
        let mut parents = BTreeSet::new();
        for path in &listed {
            let mut next = path::parent(path);
            while let Some(at) = next.filter(|at| *at != "/" && !listed.contains(at))
                && parents.insert(at)
            {
                next = path::parent(at);
            }
        }
        if !acl.iter().any(|entry| entry.perms & permissions::CREATE != 0) {
            let text = "parents are missing, and with this list nobody could create nodes below them";
            let path = listed.iter().next().copied();
            return Err(Error::new(Code::INVALID_ACL).during("create", path).because(text));
        }
        let mut trouble = Ok(());
        let mut window = Window::new();
        // Sorted, a parent stands before what is below it, and requests are carried out in their order.
        let mut parents = parents.into_iter();
        loop {
            if window.wants_more() {
                while !window.is_full()
                    && let Some(path) = parents.next()
                {
                    let request = Request::Create {
                        path: path.to_owned(),
                        data: Vec::new(),
                        acl: acl.clone(),
                        mode: CreateMode::Persistent,
                        ttl_ms: 0,
                        with_stat: true,
                    };
                    window.push((), path.len() + OVERHEAD, self.zk.submit(request, OpOptions::default()));
                }
            }
            let Some(((), outcome)) = window.next().await else { return trouble };
            match outcome {
                // Whether it was made, the next try of what is below it tells.
                Err(error)
                    if matches!(error.code(), Code::NODE_EXISTS | Code::NO_NODE | Code::OUTCOME_UNKNOWN) => {}
                Err(error) if trouble.is_ok() => trouble = Err(error),
                _ => {}
            }
        }
    }
}

// ---- list ----

/// A node that was found. Its path is known by its parent, so that a deep tree takes no more memory than its names.
struct Found {
    parent: usize,
    name: String,
    /// It went before it was listed.
    gone: bool,
}

/// A node and everything below it; a parent stands before its children.
struct Listing {
    top: String,
    /// The first one is the top.
    nodes: Vec<Found>,
    /// Why a node could not be listed.
    unreadable: Option<Error>,
}

impl Listing {
    /// The names from below the top down to a node.
    fn names(&self, mut at: usize) -> Vec<&str> {
        let mut names = Vec::new();
        while at != 0
            && let Some(node) = self.nodes.get(at)
        {
            names.push(node.name.as_str());
            at = node.parent;
        }
        names.reverse();
        names
    }

    fn is_gone(&self, at: usize) -> bool {
        self.nodes.get(at).is_none_or(|node| node.gone)
    }

    /// The length of a node's path.
    fn len(&self, at: usize) -> usize {
        self.top.len() + self.names(at).iter().map(|name| name.len() + 1).sum::<usize>()
    }

    fn relative(&self, at: usize) -> String {
        self.names(at).join("/")
    }

    fn path(&self, at: usize) -> String {
        match at {
            0 => self.top.clone(),
            _ => path::join(&self.top, &self.relative(at)),
        }
    }
}

/// Finds everything below a path. `strict` fails where a node may not be listed.
async fn list(zk: &Arc<dyn Zk>, top: &str, strict: bool) -> Result<Listing> {
    let first = Found { parent: 0, name: String::new(), gone: false };
    let mut listing = Listing { top: top.to_owned(), nodes: vec![first], unreadable: None };
    let mut window = Window::new();
    let mut next = 0;
    loop {
        if window.wants_more() {
            while !window.is_full() && next < listing.nodes.len() {
                let path = listing.path(next);
                let bytes = path.len() + OVERHEAD;
                let reply = zk.submit(Request::GetChildren2 { path, watch: false }, OpOptions::default());
                window.push(next, bytes, reply);
                next += 1;
            }
        }
        let Some((at, outcome)) = window.next().await else { return Ok(listing) };
        match outcome.map(|answer| answer.response) {
            Ok(Response::Children2 { children, .. }) => {
                let found =
                    children.iter().map(|name| Found { parent: at, name: name.to_owned(), gone: false });
                listing.nodes.extend(found);
            }
            Ok(_) => return Err(Error::new(Code::PROTOCOL).during("children", Some(&listing.path(at)))),
            Err(error) if error.code() == Code::NO_NODE && at != 0 => {
                if let Some(node) = listing.nodes.get_mut(at) {
                    node.gone = true;
                }
            }
            Err(error) if error.code() == Code::NO_AUTH && !strict => {
                listing.unreadable.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
}

// ---- delete ----

struct Felling {
    zk: Arc<dyn Zk>,
    top: String,
    version: i32,
}

impl Felling {
    async fn fell(&self) -> Result<()> {
        let mut begun = false;
        let mut unreadable: Option<Error> = None;
        let mut stands = Error::from(Code::NOT_EMPTY);
        for _ in 0..TRIES {
            // Most often there is nothing below it; and the version is checked before anything is deleted.
            match self.zk.delete(&self.top, self.version, OpOptions::default()).await {
                Err(error) if error.code() == Code::NO_NODE && begun => return Ok(()),
                Err(error) if error.code() == Code::NOT_EMPTY => {
                    stands = unreadable.take().map_or(Ok(error), Err)?
                }
                Err(error) if error.code() == Code::OUTCOME_UNKNOWN => {
                    (begun, stands) = (true, error);
                    continue;
                }
                outcome => return outcome,
            }
            begun = true;
            let listing = match list(&self.zk, &self.top, false).await {
                Err(error) if error.code() == Code::NO_NODE => return Ok(()),
                listing => listing?,
            };
            let left = self.batches(&listing).await?;
            if left.is_empty() {
                return Ok(());
            }
            self.singly(&listing, left).await?;
            unreadable = listing.unreadable;
        }
        Err(stands.because(format!("after {TRIES} rounds: others create nodes below it, or no answer comes")))
    }

    /// Deletes from the leaves up, in transactions of many. Answers with the nodes of those transactions
    /// that failed because others had deleted or created nodes, or that were not answered.
    async fn batches(&self, listing: &Listing) -> Result<Vec<usize>> {
        let mut left = Vec::new();
        let mut window = Window::new();
        // A child stands behind its parent there.
        let mut nodes = (0..listing.nodes.len()).rev().filter(|at| !listing.is_gone(*at)).peekable();
        loop {
            if window.wants_more() {
                while !window.is_full() && nodes.peek().is_some() {
                    let (mut batch, mut bytes) = (Vec::new(), 0);
                    while batch.len() < BATCH
                        && bytes < BATCH_BYTES
                        && let Some(at) = nodes.next()
                    {
                        bytes += listing.len(at) + OVERHEAD;
                        batch.push(at);
                    }
                    let deleted = self.deletion(listing, &batch);
                    window.push(batch, bytes, deleted);
                }
            }
            let Some((batch, outcome)) = window.next().await else { return Ok(left) };
            match outcome {
                Err(error) if is_race(&error) => left.extend(batch),
                outcome => outcome?,
            }
        }
    }

    /// Deletes nodes one by one; those that have children again or were not answered are left to the next round.
    async fn singly(&self, listing: &Listing, nodes: Vec<usize>) -> Result<()> {
        let mut window = Window::new();
        // The top has its turn when nothing is below it any more.
        let mut nodes = nodes.into_iter().filter(|at| *at != 0);
        loop {
            if window.wants_more() {
                while !window.is_full()
                    && let Some(at) = nodes.next()
                {
                    window.push((), listing.len(at) + OVERHEAD, self.deletion(listing, &[at]));
                }
            }
            let Some(((), outcome)) = window.next().await else { return Ok(()) };
            match outcome {
                Err(error) if is_race(&error) => {}
                outcome => outcome?,
            }
        }
    }

    /// Deletes these nodes, all or none, while the top's data has the version asked for.
    fn deletion(&self, listing: &Listing, nodes: &[usize]) -> BoxFuture<Result<()>> {
        let mut ops = Vec::with_capacity(nodes.len() + 1);
        if self.version != -1 && !nodes.contains(&0) {
            ops.push(MultiOp::Check { path: self.top.clone(), version: self.version });
        }
        ops.extend(nodes.iter().map(|at| MultiOp::Delete {
            path: listing.path(*at),
            version: if *at == 0 { self.version } else { -1 },
        }));
        let transaction = self.zk.multi(ops, OpOptions::default());
        Box::pin(async move { transaction.await.map(drop) })
    }
}

/// Whether a deletion failed because others delete or create nodes too, or was not answered.
fn is_race(error: &Error) -> bool {
    matches!(error.code(), Code::NO_NODE | Code::NOT_EMPTY | Code::OUTCOME_UNKNOWN)
}
