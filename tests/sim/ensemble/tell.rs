//! For the story.

use super::*;

pub fn session_name(session: i64) -> String {
    if session == ADMIN { "admin".to_owned() } else { format!("s{}", session & 0xffff) }
}

pub(super) fn describe(txn: &Txn) -> String {
    let change = |change: &Change| match change {
        Change::Create { path, owner, .. } if *owner != 0 => {
            format!("create {path} ({})", session_name(*owner))
        }
        Change::Create { path, .. } => format!("create {path}"),
        Change::Delete { path } => format!("delete {path}"),
        Change::Set { path, .. } => format!("set {path}"),
        Change::Check { path } => format!("check {path}"),
        Change::Failed(code) => format!("failed {code}"),
    };
    match txn {
        Txn::Error(code) => format!("error {code}"),
        Txn::One(one) => change(one),
        Txn::Multi(all) => format!("multi {:?}", all.iter().map(change).collect::<Vec<_>>()),
        Txn::CreateSession { timeout_ms } => format!("new session, {timeout_ms} ms"),
        Txn::CloseSession => "close session".to_owned(),
    }
}

pub(super) fn show(request: &Request) -> String {
    match request {
        Request::SetWatches { data, exist, child, .. } => {
            format!("setWatches {:?}", data.iter().chain(exist).chain(child).collect::<Vec<_>>())
        }
        request => format!("{request:?}"),
    }
}

pub(super) fn show_response(response: Option<&Response>) -> String {
    match response {
        None => String::new(),
        Some(Response::Create2 { path, stat }) => format!("created {path} czxid {:x}", stat.czxid),
        Some(Response::Children2 { children, .. } | Response::Children { children }) => {
            let mut names: Vec<_> = children.iter().map(name).collect();
            names.sort_unstable();
            format!("{names:?}")
        }
        Some(Response::Stat(stat) | Response::Data { stat, .. }) => {
            format!("czxid {:x} owner {}", stat.czxid, session_name(stat.ephemeral_owner))
        }
        Some(Response::Ephemerals(paths)) => format!("{paths:?}"),
        Some(Response::Multi(results)) => {
            format!("multi {:?}", results.iter().map(|r| r.err()).collect::<Vec<_>>())
        }
        Some(_) => "ok".to_owned(),
    }
}
