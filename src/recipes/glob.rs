//! Glob: the paths that patterns stand for.
//!
//! Each part of a path is a pattern of its own ([`super::pattern`]). A part with a wildcard costs one list of
//! children, and a literal end behind one a look at each candidate; a wildcard at the end costs nothing
//! further. All patterns of a call are resolved at the same time, with a bounded number of requests under way.

use super::pattern::Pattern;
use super::tree::Tree;
use super::window::{Window, run};
use crate::error::{Code, Error, Result};
use crate::path;
use crate::proto::{Request, Response};
use crate::zk::{OpOptions, Zk};
use std::sync::Arc;

/// What a glob found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// The paths, for each pattern in turn, and sorted as bytes for each.
    pub paths: Vec<String>,
    /// Why something is missing: a [`Code::NO_AUTH`] for each node whose children may not be listed.
    pub unreadable: Vec<Error>,
}

/// A pattern, read: a literal path, and then wildcards with what is literal behind each.
struct Plan {
    start: String,
    steps: Vec<Step>,
}

struct Step {
    wild: Pattern,
    /// The literal parts behind it, with a `/` before each.
    tail: String,
}

impl Plan {
    fn parse(text: &str) -> Result<Self> {
        let refuse = |why: String| Error::new(Code::BAD_ARGUMENT).during("glob", Some(text)).because(why);
        path::validate(text).map_err(|error| error.during("glob", Some(text)))?;
        let (mut start, mut steps) = (String::new(), Vec::<Step>::new());
        for part in text.split('/').skip(1) {
            let pattern = Pattern::parse(part)
                .map_err(|why| refuse(format!("the pattern {part:?} is malformed: {why}")))?;
            match pattern.literal() {
                // A backslash can hide what the check of the whole looks for.
                Some(name) if name == "." || name == ".." => {
                    return Err(refuse(format!("a path must not have a part {name:?}")));
                }
                Some(name) => {
                    let tail = steps.last_mut().map_or(&mut start, |step| &mut step.tail);
                    tail.push('/');
                    tail.push_str(&name);
                }
                None => steps.push(Step { wild: pattern, tail: String::new() }),
            }
        }
        if start.is_empty() {
            start.push('/');
        }
        Ok(Self { start, steps })
    }
}

/// Something to be asked for a pattern.
enum Ask {
    /// The children of a path, for the wildcard of this step.
    Children { plan: usize, step: usize, path: String },
    /// Whether a path exists, all of whose parts are known.
    Exists { plan: usize, path: String },
}

impl Ask {
    fn request(&self) -> Request {
        match self {
            Self::Children { path, .. } => Request::GetChildren2 { path: path.clone(), watch: false },
            Self::Exists { path, .. } => Request::Exists { path: path.clone(), watch: false },
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Children { path, .. } | Self::Exists { path, .. } => path.len(),
        }
    }
}

impl Tree {
    /// The existing paths that these patterns stand for, as Go's `path.Match` has it: `*` is any part of a
    /// name, `?` one character, `[a-z]` one of a class, `[^a]` one outside it, and `\` takes the next character
    /// as it is.
    ///
    /// A path without a wildcard is returned without being looked for. Where a directory does not exist
    /// there are no matches. Nodes whose children may not be listed are told in [`Matches::unreadable`].
    ///
    /// [`Code::BAD_ARGUMENT`] for a malformed pattern and [`Code::BAD_PATH`] for one that no path can be,
    /// before anything is sent.
    ///
    /// ```no_run
    /// # async fn example(client: &zkhelper::Client) -> zkhelper::Result<()> {
    /// let tree = zkhelper::Tree::new(client);
    /// for path in tree.glob(&["/zk/*/shards/[0-9]*", "/zk/global"]).await?.paths {
    ///     println!("{path}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn glob<S: AsRef<str>>(&self, patterns: &[S]) -> Result<Matches> {
        let plans = patterns.iter().map(|text| Plan::parse(text.as_ref())).collect::<Result<Vec<_>>>()?;
        let zk = Arc::clone(&self.zk);
        let (found, unreadable) = run(&self.zk, async move { resolve(&zk, plans).await }).await?;
        let mut paths = Vec::new();
        for mut found in found {
            found.sort_unstable();
            paths.append(&mut found);
        }
        Ok(Matches { paths, unreadable })
    }
}

/// What each pattern stands for, in no order, and what could not be listed.
async fn resolve(zk: &Arc<dyn Zk>, plans: Vec<Plan>) -> Result<(Vec<Vec<String>>, Vec<Error>)> {
    let mut found: Vec<Vec<String>> = plans.iter().map(|_| Vec::new()).collect();
    let mut unreadable = Vec::new();
    let mut asks = Vec::new();
    for (plan, (Plan { start, steps }, found)) in plans.iter().zip(&mut found).enumerate() {
        if steps.is_empty() {
            found.push(start.clone());
        } else {
            asks.push(Ask::Children { plan, step: 0, path: start.clone() });
        }
    }
    let mut window = Window::new();
    loop {
        if window.wants_more() {
            while !window.is_full()
                && let Some(ask) = asks.pop()
            {
                let (bytes, reply) = (ask.len(), zk.submit(ask.request(), OpOptions::default()));
                window.push(ask, bytes, reply);
            }
        }
        let Some((ask, outcome)) = window.next().await else { return Ok((found, unreadable)) };
        let answer = match outcome {
            Ok(answer) => answer.response,
            // What is not there has no match, whether it was never there or has just gone.
            Err(error) if error.code() == Code::NO_NODE => continue,
            Err(error) if error.code() == Code::NO_AUTH => {
                unreadable.push(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        match (ask, answer) {
            (Ask::Exists { plan, path }, _) => {
                if let Some(found) = found.get_mut(plan) {
                    found.push(path);
                }
            }
            (Ask::Children { plan, step, path }, Response::Children2 { children, .. }) => {
                let Some(steps) = plans.get(plan).map(|plan| &plan.steps) else { continue };
                let Some(Step { wild, tail }) = steps.get(step) else { continue };
                for name in children.iter().filter(|name| wild.matches(name)) {
                    let path = path::join(&path, name) + tail;
                    if step + 1 < steps.len() {
                        asks.push(Ask::Children { plan, step: step + 1, path });
                    } else if !tail.is_empty() {
                        asks.push(Ask::Exists { plan, path });
                    } else if let Some(found) = found.get_mut(plan) {
                        found.push(path);
                    }
                }
            }
            (Ask::Children { path, .. }, _) => {
                let error = Error::new(Code::PROTOCOL).during("children", Some(&path));
                return Err(error.because("the answer is of another kind"));
            }
        }
    }
}
