use std::collections::VecDeque;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

use crate::engine::Placeholders;
use crate::guard::Guard;
use crate::network::Network;
use crate::{Engine, Installed, discover};

/// How long a driver or display may take to come up.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a driver's output is waited for after its end.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(1);
/// How many lines of a driver's output are kept for error messages.
const KEPT_LINES: usize = 40;

/// A WebDriver process, or Xvfb before it, did not come up.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The program cannot be started at all.
    #[error("{program} cannot be started: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended before it was ready.
    #[error("{program} ended before it was ready ({status}). Its last words:\n{output}")]
    Ended {
        /// The program.
        program: String,
        /// Its exit status.
        status: String,
        /// What it wrote last.
        output: String,
    },
    /// It was not ready in time.
    #[error("{program} was not ready within {} seconds. Its last words:\n{output}", START_LIMIT.as_secs())]
    Late {
        /// The program.
        program: String,
        /// What it wrote last.
        output: String,
    },
    /// No port was free.
    #[error("no free port on 127.0.0.1 for {program}: {source}")]
    NoPort {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A running WebDriver, and the display that it needs.
#[derive(Debug)]
pub(crate) struct Driver {
    child: Child,
    display: Option<Child>,
    program: String,
    pub(crate) port: u16,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Driver {
    /// Starts the engine's driver on a free port and waits until it accepts connections.
    pub(crate) async fn start(
        engine: &Engine,
        installed: &Installed,
        guard: &Guard,
        profile: &Path,
        network: &Network,
    ) -> Result<Self, DriverError> {
        let program = installed.driver.display().to_string();
        let port = free_port().map_err(|source| DriverError::NoPort { program: program.clone(), source })?;
        let values = Placeholders::new(engine, &installed.browser, profile, port, network);
        let mut command = match hiding(&engine.hide) {
            Some((bubblewrap, arguments)) => {
                let mut command = guard.command(&bubblewrap, profile);
                command.args(arguments).arg(&installed.driver);
                command
            }
            None => guard.command(&installed.driver, profile),
        };
        command.args(engine.driver_args.iter().map(|arg| values.text(arg)));
        command.envs(engine.environment.iter().map(|(name, value)| (name, values.text(value))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let display = match std::env::var_os("DISPLAY") {
            None if engine.display => {
                let (display, number) = start_display(guard, profile).await?;
                command.env("DISPLAY", format!(":{number}"));
                Some(display)
            }
            _ => None,
        };
        let mut child = command.spawn().map_err(|source| DriverError::Spawn { program: program.clone(), source })?;
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let readers = [
            child.stdout.take().map(|stream| read_lines(stream, Arc::clone(&last_lines))),
            child.stderr.take().map(|stream| read_lines(stream, Arc::clone(&last_lines))),
        ];
        let readers = readers.into_iter().flatten().collect();
        let mut driver = Self { child, display, program, port, last_lines, readers };
        driver.wait_until_ready().await?;
        Ok(driver)
    }

    async fn wait_until_ready(&mut self) -> Result<(), DriverError> {
        let deadline = Instant::now() + START_LIMIT;
        let mut attempts = interval(Duration::from_millis(10));
        loop {
            tokio::select! {
                ended = self.child.wait() => {
                    let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                    for reader in self.readers.drain(..) {
                        // What the driver started may hold the pipe open for longer.
                        let _ = timeout(LAST_WORDS_LIMIT, reader).await;
                    }
                    return Err(DriverError::Ended { program: self.program.clone(), status, output: self.output() });
                }
                _ = attempts.tick() => {
                    if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok() {
                        return Ok(());
                    }
                    if Instant::now() > deadline {
                        return Err(DriverError::Late { program: self.program.clone(), output: self.output() });
                    }
                }
            }
        }
    }

    /// The last lines that it wrote.
    pub(crate) fn output(&self) -> String {
        let lines = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    }

    /// Ends it, and its display. What they started is the guard's to end.
    pub(crate) async fn stop(mut self) {
        for child in std::iter::once(&mut self.child).chain(self.display.as_mut()) {
            if let Err(error) = child.kill().await {
                tracing::debug!("{}: {error}", self.program);
            }
        }
    }
}

fn read_lines(stream: impl AsyncRead + Unpin + Send + 'static, kept: Arc<Mutex<VecDeque<String>>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            tracing::trace!(target: "driver", "{text}");
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(text);
        }
    })
}

/// The program and arguments that run another one with these folders empty, where that works here.
fn hiding(folders: &[String]) -> Option<(PathBuf, Vec<String>)> {
    let present: Vec<&String> = folders.iter().filter(|folder| Path::new(folder).is_dir()).collect();
    if present.is_empty() {
        return None;
    }
    let bubblewrap = discover::find(&["bwrap".to_owned()])?;
    let mut arguments: Vec<String> = ["--dev-bind", "/", "/", "--die-with-parent"].map(str::to_owned).to_vec();
    for folder in present {
        arguments.extend(["--tmpfs".to_owned(), folder.clone()]);
    }
    // Some machines forbid it, containers above all.
    let works = std::process::Command::new(&bubblewrap)
        .args(&arguments)
        .arg("true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    works.then_some((bubblewrap, arguments))
}

fn free_port() -> std::io::Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr().map(|address| address.port())
}

/// Starts Xvfb, which chooses a free display and writes its number to its standard output.
async fn start_display(guard: &Guard, session: &Path) -> Result<(Child, String), DriverError> {
    let program = "Xvfb".to_owned();
    let mut command = guard.command(Path::new(&program), session);
    command.args(["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp", "-noreset"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|source| DriverError::Spawn { program: program.clone(), source })?;
    let mut number = String::new();
    let late = DriverError::Late { program: program.clone(), output: String::new() };
    let Some(output) = child.stdout.take() else { return Err(late) };
    match timeout(START_LIMIT, BufReader::new(output).read_line(&mut number)).await {
        Err(_) => Err(late),
        Ok(Ok(length)) if length > 0 => Ok((child, number.trim().to_owned())),
        Ok(_) => {
            let status = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
            Err(DriverError::Ended { program, status, output: String::new() })
        }
    }
}
