//! The scripts in `ci`, with programs that only write down how they were called.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Output};

use crate::support::{Bench, root, stderr};

/// What `ci/install` looks for.
const INSTALLED: [&str; 6] = ["chromium", "chromedriver", "firefox", "WebKitWebDriver", "Xvfb", "geckodriver"];

/// A machine on which these programs are installed and every call of a program is a line in `calls`.
fn machine(programs: &[&str]) -> Bench {
    let bench = Bench::new();
    for program in programs {
        let text = format!("#!/bin/sh\necho \"{program} $*\" >>'{}'\n", bench.path("calls").display());
        bench.write(&format!("bin/{program}"), &text);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bench.path("bin").join(program), executable).expect("permissions");
    }
    for tool in ["bash", "dirname", "env", "id"] {
        let path = ["/bin", "/usr/bin"].map(|folder| std::path::Path::new(folder).join(tool));
        let path = path.iter().find(|path| path.is_file()).expect("a tool that every system has");
        symlink(path, bench.path("bin").join(tool)).expect("a link");
    }
    bench
}

fn script(bench: &Bench, name: &str, arguments: &[&str]) -> Output {
    Command::new(bench.path("bin/bash"))
        .arg(root().join(name))
        .args(arguments)
        .env("PATH", bench.path("bin"))
        .env("CARGO_HOME", bench.path("cargo"))
        .env("CARGO_TARGET_DIR", bench.path("target"))
        .output()
        .expect("it starts")
}

fn calls(bench: &Bench) -> Vec<String> {
    let calls = std::fs::read_to_string(bench.path("calls")).unwrap_or_default();
    calls.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn conformance_says_what_comes_and_ends_as_the_run_does() {
    let bench = machine(&[&INSTALLED[..], &["cargo"]].concat());
    bench.write("target/release/crosscheck", "#!/bin/sh\necho \"$CROSSCHECK_COMMAND, $*\"\nexit 7\n");
    let program = bench.path("target/release/crosscheck");
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let output = script(&bench, "ci/conformance", &["--agent", "all"]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ci/conformance, run --agent all");
    let said = stderr(&output);
    let found = ["1 of 3: the browsers", "All are here", "2 of 3: the program", "3 of 3: the suite"]
        .map(|part| said.find(part));
    assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{said}");
    // Without --quiet: cargo says what it compiles.
    assert_eq!(calls(&bench), ["cargo build --release --locked --package crosscheck"]);
}

#[test]
fn what_is_missing_is_installed_for_all_to_see() {
    let bench = machine(&["chromium", "chromedriver", "firefox", "Xvfb", "cargo", "apt-get", "sudo"]);
    // `sudo`, and `env` in front of the command, are left out of the calls.
    bench.write("bin/sudo", "#!/bin/sh\nexec \"$@\"\n");
    let output = script(&bench, "ci/install", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        calls(&bench),
        [
            "apt-get update -q",
            "apt-get install -y -q --no-install-recommends webkit2gtk-driver",
            "cargo install geckodriver --locked"
        ]
    );
    let said = stderr(&output);
    for part in ["Installing with apt-get: webkit2gtk-driver (", "Installing with cargo: geckodriver ("] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_test_run_takes_no_other_arguments() {
    let bench = machine(&["cargo"]);
    let output = script(&bench, "ci/test", &["--fast"]);
    assert_eq!((output.status.code(), stderr(&output).trim()), (Some(2), "usage: ci/test [--quick]"));
}

#[test]
fn every_script_is_explained() {
    let readme = std::fs::read_to_string(root().join("ci/README.md")).expect("a file");
    for entry in std::fs::read_dir(root().join("ci")).expect("a folder").flatten() {
        let is_program = entry.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
        let name = format!("`ci/{}`", entry.file_name().to_string_lossy());
        assert!(!is_program || readme.contains(&name), "ci/README.md does not explain {name}");
    }
}
