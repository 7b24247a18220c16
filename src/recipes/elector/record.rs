//! The leader's record: who leads, with which token, and by which candidate's node that can be checked.

use crate::error::{Code, Result};
use crate::path;
use crate::proto::Stat;
use crate::recipes::node::{Pause, is_passing};
use crate::zk::{OpOptions, Zk};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::mpsc;

const TOKEN: &str = "token";
const CANDIDATE: &str = "candidate";

/// What a leader's record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// The record: a JSON object, if this library wrote it.
    pub data: Vec<u8>,
    /// The leader's fencing token; `None` in a record that another library wrote.
    pub token: Option<i64>,
    /// Whether the record's leader still leads.
    pub standing: Standing,
    /// The record's status: `mtime` is when it was written.
    pub stat: Stat,
}

/// Whether the leader that a record names still leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Its candidate's node is there.
    Leading,
    /// Its candidate's node is gone: nobody leads until the next record is written.
    Gone,
    /// The record does not say which candidate wrote it: another library did.
    Unknown,
}

/// Adds to the contents of a record what it can be checked by.
pub(super) fn sign(contents: &mut Map<String, Value>, token: i64, candidate: &str) {
    contents.insert(TOKEN.to_owned(), token.into());
    contents.insert(CANDIDATE.to_owned(), candidate.into());
}

/// The token and the name of the candidate's node in a record.
fn signature(data: &[u8]) -> Option<(i64, String)> {
    let Ok(Value::Object(record)) = serde_json::from_slice(data) else { return None };
    let candidate = record.get(CANDIDATE)?.as_str()?;
    // It is about to be a part of a path.
    let is_name = !candidate.is_empty() && !candidate.contains('/');
    is_name.then_some((record.get(TOKEN)?.as_i64()?, candidate.to_owned()))
}

fn leader_path(election: &str) -> String {
    path::join(election, "leader")
}

fn candidate_path(election: &str, name: &str) -> String {
    path::join(&path::join(election, "candidates"), name)
}

fn leader(data: Vec<u8>, stat: Stat, token: Option<i64>, candidate: Option<Stat>) -> Leader {
    let standing = match (token, candidate) {
        (None, _) => Standing::Unknown,
        (Some(token), Some(stat)) if stat.czxid == token => Standing::Leading,
        (Some(_), _) => Standing::Gone,
    };
    Leader { data, token, standing, stat }
}

pub(super) async fn read(zk: &Arc<dyn Zk>, election: &str) -> Result<Option<Leader>> {
    let at = leader_path(election);
    let mut last = None;
    loop {
        let (data, stat) = match zk.get(&at, OpOptions::default()).await {
            Ok((data, _)) if data.is_empty() => return Ok(None),
            Ok(read) => read,
            Err(error) if error.code() == Code::NO_NODE => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some((token, name)) = signature(&data) else { return Ok(Some(leader(data, stat, None, None))) };
        let candidate = zk.exists(&candidate_path(election, &name), OpOptions::default()).await?;
        let found = leader(data, stat, Some(token), candidate);
        // A record without its leader may have been replaced between the two reads.
        if found.standing == Standing::Leading || last.as_ref() == Some(&found) {
            return Ok(Some(found));
        }
        last = Some(found);
    }
}

pub(super) fn observe(zk: &Arc<dyn Zk>, election: &str) -> mpsc::UnboundedReceiver<Result<Option<Leader>>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (reader, election) = (Arc::clone(zk), election.to_owned());
    zk.spawn(Box::pin(async move {
        tokio::select! {
            biased;
            () = sender.closed() => {}
            () = tell_changes(&reader, &election, &sender) => {}
        }
    }));
    receiver
}

type Told = mpsc::UnboundedSender<Result<Option<Leader>>>;

async fn tell_changes(zk: &Arc<dyn Zk>, election: &str, told: &Told) {
    let mut last = None;
    let mut pause = Pause::new();
    loop {
        match look(zk, election, &mut last, told).await {
            Ok(()) => pause = Pause::new(),
            // A session's end takes its watches along; the next one looks again.
            Err(error) if is_passing(&error) || error.code() == Code::SESSION_EXPIRED => pause.rest(zk).await,
            Err(error) => {
                let _ = told.send(Err(error));
                return;
            }
        }
    }
}

/// One look, told if it shows something new, and the wait for a change.
async fn look(
    zk: &Arc<dyn Zk>,
    election: &str,
    last: &mut Option<Option<Leader>>,
    told: &Told,
) -> Result<()> {
    let at = leader_path(election);
    let options = OpOptions::default();
    let (read, changed) = zk.get_watch(&at, options);
    let (data, stat) = match read.await {
        Ok(read) => read,
        Err(error) if error.code() == Code::NO_NODE => {
            let (exists, created) = zk.exists_watch(&at, options);
            if exists.await?.is_none() {
                tell(last, None, told);
                created.await;
            }
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if data.is_empty() {
        tell(last, None, told);
        changed.await;
        return Ok(());
    }
    let Some((token, name)) = signature(&data) else {
        tell(last, Some(leader(data, stat, None, None)), told);
        changed.await;
        return Ok(());
    };
    // Where the candidate is gone nothing is left to watch but the record.
    let (candidate, gone) = zk.get_watch(&candidate_path(election, &name), options);
    let candidate = match candidate.await {
        Ok((_, stat)) => Some(stat),
        Err(error) if error.code() == Code::NO_NODE => None,
        Err(error) => return Err(error),
    };
    let found = leader(data, stat, Some(token), candidate);
    let leads = found.standing == Standing::Leading;
    tell(last, Some(found), told);
    tokio::select! {
        biased;
        _ = changed => {}
        _ = gone, if leads => {}
    }
    Ok(())
}

fn tell(last: &mut Option<Option<Leader>>, found: Option<Leader>, told: &Told) {
    if last.as_ref() != Some(&found) {
        *last = Some(found.clone());
        let _ = told.send(Ok(found));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_its_signature() {
        let mut contents = Map::new();
        sign(&mut contents, i64::MAX, "lock-0000000003");
        let data = Value::Object(contents).to_string().into_bytes();
        assert_eq!(signature(&data), Some((i64::MAX, "lock-0000000003".to_owned())));
        for foreign in [
            "",
            "x",
            "{}",
            "[]",
            r#"{"token": 1}"#,
            r#"{"token": 1, "candidate": ""}"#,
            r#"{"token": 1, "candidate": "a/b"}"#,
            r#"{"token": "1", "candidate": "a"}"#,
        ] {
            assert_eq!(signature(foreign.as_bytes()), None, "{foreign}");
        }
    }

    #[test]
    fn a_record_counts_only_while_its_own_candidate_is_there() {
        let stat = |czxid| Stat { czxid, ..Stat::default() };
        let standing = |token, candidate| leader(Vec::new(), Stat::default(), token, candidate).standing;
        assert_eq!(standing(Some(7), Some(stat(7))), Standing::Leading);
        // A parent that was made anew repeats names.
        assert_eq!(standing(Some(7), Some(stat(8))), Standing::Gone);
        assert_eq!(standing(Some(7), None), Standing::Gone);
        assert_eq!(standing(None, None), Standing::Unknown);
    }
}
