//! Finds browsers and their drivers on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Engine;

/// The programs of an engine on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The browser's program.
    pub browser: PathBuf,
    /// The WebDriver's program.
    pub driver: PathBuf,
}

/// An engine cannot be started on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{label} cannot be run: found no {missing}. {install}")]
pub struct Missing {
    /// The engine's name for people.
    pub label: String,
    /// What was looked for and not found.
    pub missing: String,
    /// How to get it.
    pub install: String,
}

/// Looks for an engine's programs in PATH and in the places that its file names.
///
/// # Errors
/// What is missing, and how to get it.
pub fn discover(engine: &Engine) -> Result<Installed, Missing> {
    let missing =
        |what: String| Missing { label: engine.label.clone(), missing: what, install: engine.install.clone() };
    let browser = find(&engine.browser).ok_or_else(|| missing(format!("browser ({})", engine.browser.join(", "))))?;
    let driver = find(&engine.driver).ok_or_else(|| missing(format!("WebDriver ({})", engine.driver.join(", "))))?;
    if engine.display && std::env::var_os("DISPLAY").is_none() && find(&["Xvfb".to_owned()]).is_none() {
        return Err(missing("display (DISPLAY is not set, and there is no Xvfb)".to_owned()));
    }
    Ok(Installed { browser, driver })
}

/// The first of these programs that is there.
pub(crate) fn find(candidates: &[String]) -> Option<PathBuf> {
    candidates.iter().find_map(|candidate| {
        if let Some(rest) = candidate.strip_prefix("~/") {
            return std::env::home_dir().map(|home| home.join(rest)).filter(|path| is_program(path));
        }
        if candidate.contains('/') {
            let mut paths: Vec<PathBuf> =
                glob::glob(candidate).ok()?.flatten().filter(|path| is_program(path)).collect();
            paths.sort();
            // The newest of several versions.
            return paths.pop();
        }
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(candidate)).find(|path| is_program(path))
    })
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// What a program says to `--version`, its first line.
#[must_use]
pub fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

/// Whether this process is root's.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
