//! Who has a lock, and what can be done about it.

use std::time::Duration;
use zkhelper::{Client, Code, ContenderInfo, Error, Mutex, MutexOptions, Options, Owner};

/// How long to wait for the end of the tool's own session.
const CLOSE: Duration = Duration::from_secs(2);

/// Runs one of the commands about locks, and answers with what it has to say.
pub(crate) fn run(command: &str, arguments: &[&str]) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let (address, path) = match arguments {
            [address, path, ..] => (*address, *path),
            _ => return Err(format!("{command} needs an address and a path\n{}", super::USAGE)),
        };
        let wrong = || format!("{command}: wrong arguments\n{}", super::USAGE);
        let what = match (command, &arguments[2..]) {
            ("locks", []) => What::List,
            ("revoke", [name, reason]) => What::Revoke { name, reason },
            ("release", [name]) => What::Release { name },
            ("release", [name, "--force", czxid]) => What::Force {
                name,
                czxid: czxid
                    .parse()
                    .map_err(|_| format!("--force {czxid}: not a number\n{}", super::USAGE))?,
            },
            _ => return Err(wrong()),
        };
        let text = |error: Error| error.to_string();
        let client = Client::connect(address, Options::default()).await.map_err(text)?;
        let outcome = match Mutex::new(&client, path, MutexOptions::default()) {
            Ok(mutex) => what.done(&mutex).await,
            Err(error) => Err(error.to_string()),
        };
        // What was done is done; the session ends by itself otherwise.
        let _ = client.close(CLOSE).await;
        outcome
    })
}

enum What<'a> {
    List,
    Revoke { name: &'a str, reason: &'a str },
    Release { name: &'a str },
    Force { name: &'a str, czxid: i64 },
}

impl What<'_> {
    async fn done(&self, mutex: &Mutex) -> Result<String, String> {
        match self {
            What::List => {
                let contenders = mutex.contenders().await.map_err(|error| error.to_string())?;
                if contenders.is_empty() {
                    return Ok(format!("nobody holds {} or waits for it\n", mutex.path()));
                }
                Ok(contenders.iter().enumerate().map(|(at, contender)| line(at, contender)).collect())
            }
            What::Revoke { name, reason } => match mutex.request_revocation(name, reason).await {
                Ok(()) => Ok(format!("{name} is asked to give {} up\n", mutex.path())),
                Err(error) => Err(error.to_string()),
            },
            What::Release { name } => match mutex.release_dead(name).await {
                Ok(()) => Ok(format!("{name} is released: its owner was gone\n")),
                Err(error) => Err(match error.code() {
                    Code::NODE_EXISTS => format!("{error}; zkh revoke asks for the lock"),
                    Code::UNSUPPORTED => format!("{error}: zkh release … --force CZXID"),
                    _ => error.to_string(),
                }),
            },
            What::Force { name, czxid } => match mutex.release_by_force(name, *czxid).await {
                Ok(()) => Ok(format!("{name} is released by force\n")),
                Err(error) => Err(error.to_string()),
            },
        }
    }
}

/// One contender, for a person and for `awk`.
fn line(at: usize, contender: &ContenderInfo) -> String {
    let holds = if at == 0 { "holds" } else { "waits" };
    let kind = if contender.stat.ephemeral_owner == 0 { "persistent" } else { "ephemeral" };
    let owner = match contender.owner {
        Owner::Living => "living",
        Owner::Gone => "gone",
        Owner::Unknown => "unknown",
    };
    let mut line = format!(
        "{} {holds} czxid={} {kind} owner={owner} since={} host={} pid={}",
        contender.name,
        contender.stat.czxid,
        utc(contender.stat.ctime),
        contender.hostname.as_deref().unwrap_or("?"),
        contender.pid.map_or("?".to_owned(), |pid| pid.to_string()),
    );
    if let Some(description) = contender.description.as_deref().filter(|text| !text.is_empty()) {
        line.push_str(&format!(" desc={description:?}"));
    }
    if let Some(reason) = &contender.asked {
        line.push_str(&format!(" asked={reason:?}"));
    }
    line.push('\n');
    line
}

/// A time in ms since 1970 as ISO 8601 has it.
fn utc(ms: i64) -> String {
    let (days, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000) / 1000);
    // Days since 0000-03-01, so that a leap day is the last of its year; a cycle has 400 years.
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) =
        if month < 10 { (year + cycle * 400, month + 3) } else { (year + cycle * 400 + 1, month - 9) };
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    format!("{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_told_as_a_calendar_has_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_799_999, "2000-02-29T23:59:59Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(ms), text);
        }
    }
}
