//! What those ask who are no client: administrators, other libraries, and the checks.

use super::*;

impl Ensemble {
    /// A write by an administrator or another library, if there is a leader to take it.
    pub fn admin(&mut self, agenda: &mut Agenda, request: &Request) -> bool {
        let Some(server) = self.leader() else { return false };
        self.write(agenda, server, Origin { server, conn: 0, seq: 0 }, ADMIN, request);
        true
    }

    /// The contenders of a path as they are: sequence, name, czxid, owner; lowest first.
    pub fn contenders(&self, path: &str) -> Vec<(i32, String, i64, i64)> {
        let Some(node) = self.truth.nodes.get(path) else { return Vec::new() };
        let mut found: Vec<_> = node
            .children
            .iter()
            .filter_map(|child| {
                let patterns = ["lock-", "__lock__"];
                let number = patterns.iter().find_map(|pattern| Some(child.rsplit_once(pattern)?.1))?;
                let sequence = number.parse().ok()?;
                let node = self.truth.nodes.get(&format!("{path}/{child}"))?;
                Some((sequence, child.clone(), node.czxid, node.owner))
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// Whether a leader has begun to end a session.
    pub fn is_closing(&self, session: i64) -> bool {
        self.servers.iter().any(|server| match &server.role {
            Role::Leading(lead) => lead.tracked.get(&session).is_some_and(|tracked| tracked.closing),
            _ => false,
        })
    }

    /// Whether everything that was ever proposed is committed, and every server knows it.
    pub fn is_idle(&self) -> bool {
        self.servers.iter().all(|s| {
            s.up && !s.frozen
                && !s.is_looking()
                && s.applied == s.log.len()
                && s.applied == self.truth_log.len()
        })
    }
}
