//! Makes sure that nothing is left behind: neither processes nor files, however a run ends.
//!
//! Every process of a run has a mark in its environment, which its descendants inherit, however they are started. The
//! guard is a process of its own that waits for the run's end of a pipe to close, which happens when the run ends in
//! any way at all, then ends every process with the mark, and all of its process group, and removes the run's folder.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};
use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The variable that marks the processes of a run.
const MARK: &str = "CROSSCHECK_RUN";
/// The variable that marks the processes of one session of it.
const SESSION_MARK: &str = "CROSSCHECK_SESSION";

/// Where programs keep what belongs to a user, below the folder that is their home.
const HOME: [(&str, &str); 6] = [
    ("HOME", ""),
    ("XDG_CACHE_HOME", ".cache"),
    ("XDG_CONFIG_HOME", ".config"),
    ("XDG_DATA_HOME", ".local/share"),
    ("XDG_STATE_HOME", ".local/state"),
    ("XDG_DOWNLOAD_DIR", "Downloads"),
];

/// The folder and the mark of a run, and the process that cleans up after it.
#[derive(Debug)]
pub struct Guard {
    folder: TempDir,
    child: Option<Child>,
}

impl Guard {
    /// Makes the run's folder and starts the guarding process: `program guard FOLDER`.
    ///
    /// # Errors
    /// The folder cannot be made, or the program cannot be started.
    pub fn start(program: &Path) -> std::io::Result<Self> {
        // Profiles may hold what somebody authenticates with.
        let new =
            || tempfile::Builder::new().prefix("crosscheck-").permissions(Permissions::from_mode(0o700)).to_owned();
        let in_memory = memory().and_then(|memory| new().tempdir_in(memory).ok());
        let folder = in_memory.map_or_else(|| new().tempdir(), Ok)?;
        let child = Command::new(program)
            .arg("guard")
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of the reach of Ctrl-C.
            .process_group(0)
            .spawn()?;
        Ok(Self { folder, child: Some(child) })
    }

    /// A folder for everything that a run writes and nobody needs later.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command whose process, with all that it starts, ends with the run; or before, with the session whose folder
    /// is given. Its home is in that folder too, and no proxy of the environment stands between it and the fake servers.
    #[must_use]
    pub fn command(&self, program: &Path, session: &Path) -> Command {
        let mut command = Command::new(program);
        let home = session.join("home");
        for (variable, folder) in HOME {
            command.env(variable, home.join(folder));
        }
        let is_proxy = |name: &str| name.to_ascii_lowercase().ends_with("_proxy");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_proxy)) {
            command.env_remove(name);
        }
        command
            .env(MARK, self.folder.path())
            .env(SESSION_MARK, session)
            .env("TMPDIR", self.folder.path())
            .current_dir(self.folder.path())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Ends every process of the run and removes its folder; returns when that is done.
    pub async fn finish(mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            if let Err(error) = child.wait().await {
                tracing::warn!("the guarding process was lost: {error}");
            }
        }
        sweep(MARK, self.folder.path());
    }
}

/// The file system in memory, where it can take the folder of a run: browsers write a profile and an HTTP cache, which is
/// much work on a disk. Whoever sets TMPDIR has chosen a place already.
fn memory() -> Option<&'static Path> {
    const MEMORY: &str = "/dev/shm";
    let is_fit = std::env::var_os("TMPDIR").is_none() && statvfs(MEMORY).is_ok_and(|stat| takes_profiles(&stat));
    is_fit.then_some(Path::new(MEMORY))
}

/// Whether there is room for the profile of any browser (Firefox needs most, some 150 MB), and programs can be started
/// from there. Containers often have 64 MB there, and no programs.
const fn takes_profiles(stat: &StatVfs) -> bool {
    let room = stat.f_bavail.saturating_mul(stat.f_frsize);
    room >= 1 << 30 && !stat.f_flag.contains(StatVfsMountFlags::NOEXEC)
}

/// Ends every process of the session with this folder.
pub(crate) fn end_session(session: &Path) {
    sweep(SESSION_MARK, session);
}

/// The guarding process: waits for its standard input to close, then cleans up.
///
/// # Errors
/// The folder is there and cannot be removed.
pub fn watch(folder: PathBuf) -> std::io::Result<()> {
    let mut sink = Vec::new();
    // An error means the same as the end: nobody is at the other end any more.
    let _ = std::io::Read::read_to_end(&mut std::io::stdin(), &mut sink);
    sweep(MARK, &folder);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Ends every process that has the folder's mark and all of its process group, until there is none. Chromium's processes
/// write their title over the mark, and outlive the browser for a moment in which they still write to its profile.
fn sweep(variable: &str, folder: &Path) {
    let mark = format!("{variable}={}", folder.display());
    let deadline = Instant::now() + SWEEP_LIMIT;
    let own = getpgrp().as_raw_nonzero().get();
    let mut groups = BTreeSet::new();
    // A process can start another between two looks; each look sees what the one before left.
    loop {
        let processes = processes(&mark);
        groups.extend(processes.iter().filter(|process| process.is_marked).map(|process| process.group));
        groups.remove(&own);
        let mut left = processes.iter().filter(|one| one.is_marked || groups.contains(&one.group)).peekable();
        if left.peek().is_none() || Instant::now() > deadline {
            return;
        }
        for process in left {
            // It may have ended by itself.
            let _ = kill_process(process.id, Signal::KILL);
        }
        std::thread::yield_now();
    }
}

/// How long a process may take to end once it is killed.
const SWEEP_LIMIT: Duration = Duration::from_secs(5);

/// A process that has not ended.
struct Process {
    id: Pid,
    group: i32,
    is_marked: bool,
}

fn processes(mark: &str) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let id: i32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // After the name, which may hold anything: the state, the parent, the group.
            let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
            let has_ended = matches!(fields.next()?, "Z" | "X");
            let group = fields.nth(1)?.parse().ok()?;
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let is_marked = environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes());
            Pid::from_raw(id).filter(|_| !has_ended).map(|id| Process { id, group, is_marked })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    #[test]
    fn a_process_that_has_lost_the_mark_ends_with_its_group() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "env -i sleep 60 & echo $!; wait"]).env(MARK, folder.path()).stdout(Stdio::piped());
        let mut shell = std::os::unix::process::CommandExt::process_group(&mut shell, 0).spawn().expect("a shell");
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let child: i32 = line.trim().parse().expect("a process id");
        let is_there = || processes("").iter().any(|process| process.id.as_raw_nonzero().get() == child);
        assert!(is_there());
        sweep(MARK, folder.path());
        assert!(!is_there());
        shell.wait().expect("it ended");
    }

    #[test]
    fn a_run_is_kept_in_memory_where_there_is_room_and_programs_may_start() {
        let mut stat = statvfs("/").expect("the root's file system");
        stat.f_frsize = 4096;
        for (blocks, flags, fits) in [
            (1 << 18, StatVfsMountFlags::empty(), true),
            ((1 << 18) - 1, StatVfsMountFlags::empty(), false),
            (1 << 20, StatVfsMountFlags::NOEXEC | StatVfsMountFlags::NOSUID, false),
        ] {
            (stat.f_bavail, stat.f_flag) = (blocks, flags);
            assert_eq!(takes_profiles(&stat), fits, "{blocks} {flags:?}");
        }
    }
}
