//! Starts the server that is checked, and ends it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crosscheck_cases::standard::Message;
use tokio::process::{Child, Command};
use url::Url;

use super::policy::{Policy, Start};
use crate::transport::{Transport, Trust};

/// How long there is between two questions whether it is ready.
const PAUSE: Duration = Duration::from_millis(25);
/// How much of what it wrote is shown where it does not start, in bytes.
const SHOWN: usize = 2_000;

/// A server that was started. Dropping it ends it with all its processes.
#[derive(Debug)]
pub struct Started {
    child: Child,
    group: Option<rustix::process::Pid>,
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // They may have ended by themselves.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.start_kill();
    }
}

/// Starts the server of a policy, if the policy says how, and waits until it answers. `folder` is that of the policy.
///
/// # Errors
/// It does not start, ends at once, or is not ready in time; with what it wrote.
pub async fn start(policy: &Policy, folder: &Path) -> Result<Option<Started>, String> {
    let Some(Start { command, environment, ready, seconds }) = &policy.start else { return Ok(None) };
    let [program, arguments @ ..] = command.as_slice() else { return Err("there is no program to start".to_owned()) };
    let ready = ready.as_deref().or(policy.routes.first().map(|route| route.path.as_str())).unwrap_or("/");
    let url = Url::parse(&policy.url(ready)).map_err(|error| error.to_string())?;
    if answers(&url).await {
        return Err(format!(
            "something answers at {} already: end it, or take \"start\" out of the policy",
            policy.target
        ));
    }
    let log = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    let output = || log.reopen().map(Stdio::from).map_err(|error| error.to_string());
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment)
        .current_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program} does not start: {error}"))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    let deadline = Instant::now() + Duration::from_secs((*seconds).into());
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("{program} ended at once ({status}){}", tail(log.path())));
        }
        if answers(&url).await {
            return Ok(Some(Started { child, group }));
        }
        if Instant::now() >= deadline {
            drop(Started { child, group });
            return Err(format!("{program} does not answer at {url} after {seconds} seconds{}", tail(log.path())));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether anything at all answers.
async fn answers(url: &Url) -> bool {
    let Ok(transport) = Transport::to_network(Trust::Anything) else { return false };
    let message = Message::plain("GET", url, &[]);
    transport.exchanges().exchange(&message, Duration::from_secs(2)).await.is_ok()
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let mut from = text.len().saturating_sub(SHOWN);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    format!("; it wrote:\n{}", &text[from..])
}
