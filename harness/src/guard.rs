//! Makes sure that nothing is left behind: neither processes nor files, however a run ends.
//!
//! Every process of a run has a mark in its environment, which its descendants inherit, however they are started. The
//! guard is a process of its own that waits for the run's end of a pipe to close, which happens when the run ends in
//! any way at all, then ends every process with the mark and removes the run's folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The variable that marks the processes of a run.
const MARK: &str = "CROSSCHECK_RUN";
/// The variable that marks the processes of one session of it.
const SESSION_MARK: &str = "CROSSCHECK_SESSION";

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
        let new = || tempfile::Builder::new().prefix("crosscheck-").to_owned();
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
    /// is given.
    #[must_use]
    pub fn command(&self, program: &Path, session: &Path) -> Command {
        let mut command = Command::new(program);
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

/// Ends every process that has the folder's mark, until there is none.
fn sweep(variable: &str, folder: &Path) {
    let mark = format!("{variable}={}", folder.display());
    // A process can start another between two looks; each look sees what the one before left.
    for _ in 0..100 {
        let marked = marked_processes(&mark);
        if marked.is_empty() {
            return;
        }
        for pid in marked {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::yield_now();
    }
}

fn marked_processes(mark: &str) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()))
        })
        .filter_map(Pid::from_raw)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
