use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crosscheck_cases::Permissions;
use fantoccini::error::{CmdError, NewSessionError};
use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::discover::{self, discover};
use crate::driver::{Driver, DriverError};
use crate::engine::{PermissionSetting, Placeholders, ReasonSource};
use crate::guard::{self, Guard};
use crate::network::Network;
use crate::{Engine, Installed};

/// How long a browser may take to start, and a command to be carried out.
const SESSION_LIMIT: Duration = Duration::from_secs(60);
const COMMAND_LIMIT: Duration = Duration::from_secs(20);
/// How long a browser may take to end.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// A browser could not be started, or was lost.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// It is not installed.
    #[error(transparent)]
    Missing(#[from] discover::Missing),
    /// Its driver does not come up.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The driver refuses to start a session.
    #[error("the WebDriver at {url} starts no session: {why}{output}")]
    Refused {
        /// Where the driver listens.
        url: String,
        /// What it said.
        why: String,
        /// What driver and browser wrote last, where they are ours.
        output: String,
    },
    /// The browser or its driver is gone.
    #[error("the browser was lost: {0}")]
    Lost(String),
    /// A folder for the profile cannot be made.
    #[error("no folder for the browser's profile: {0}")]
    Profile(std::io::Error),
}

/// A browser under control.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    driver: Option<Driver>,
    output: Option<Output>,
    sources: Vec<ReasonSource>,
    profile: PathBuf,
    /// The tabs that were opened so far, and the one that commands go to.
    tabs: Vec<WindowHandle>,
    current_tab: usize,
    /// The version that the browser states.
    pub(crate) version: String,
    /// Its platform.
    pub(crate) platform: String,
}

/// Where the browser comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// We start the driver.
    Installed(Installed),
    /// A driver that runs already listens at this URL.
    Running(String),
}

impl Source {
    /// The driver at `webdriver`, or the engine's own on this machine.
    pub(crate) fn find(engine: &Engine, webdriver: Option<&str>) -> Result<Self, SessionError> {
        Ok(match webdriver {
            Some(url) => Self::Running(url.to_owned()),
            None => Self::Installed(discover(engine)?),
        })
    }
}

impl Session {
    /// Starts a browser with a fresh profile.
    pub(crate) async fn start(
        engine: &Engine,
        source: &Source,
        guard: &Guard,
        network: &Network,
    ) -> Result<Self, SessionError> {
        let profile = tempfile::Builder::new()
            .prefix("profile-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(guard.folder())
            .map_err(SessionError::Profile)?
            // The guard removes it with the run's folder; the browser may outlive this value.
            .keep();
        std::fs::create_dir(profile.join("home")).map_err(SessionError::Profile)?;
        let (driver, url, browser, output) = match source {
            Source::Running(url) => (None, url.clone(), PathBuf::new(), None),
            Source::Installed(installed) => {
                let (browser, output) = if engine.reasons.sources.contains(&ReasonSource::BrowserOutput) {
                    let (script, output) = wrap(&installed.browser, &profile).map_err(SessionError::Profile)?;
                    (script, Some(output))
                } else {
                    (installed.browser.clone(), None)
                };
                let driver = Driver::start(engine, installed, guard, &profile, network).await?;
                let url = format!("http://127.0.0.1:{}", driver.port);
                (Some(driver), url, browser, output)
            }
        };
        let folder = profile.clone();
        let driver_port = driver.as_ref().map_or(0, |driver| driver.port);
        let values = Placeholders::new(engine, &browser, &folder, driver_port, network);
        let mut capabilities = engine.fill_capabilities(&values, discover::is_root());
        if let Some(PermissionSetting::Capabilities(permissions)) = &engine.permissions {
            permissions.add(&mut capabilities, network);
        }
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let refused = |why: String, driver: Option<&Driver>| SessionError::Refused {
            url: url.clone(),
            why,
            output: driver
                .map(|driver| {
                    format!("\n{}\n{}", driver.output(), output.as_ref().map(Output::tail).unwrap_or_default())
                })
                .unwrap_or_default(),
        };
        let client = match timeout(SESSION_LIMIT, builder.connect(&url)).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                let why = match error {
                    NewSessionError::SessionNotCreated(error) => error.message.to_string(),
                    other => other.to_string(),
                };
                return Err(refused(why, driver.as_ref()));
            }
            Err(_) => {
                let why = format!("no answer within {} seconds", SESSION_LIMIT.as_secs());
                return Err(refused(why, driver.as_ref()));
            }
        };
        let stated = |name: &str| {
            client.capabilities().and_then(|all| all.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (version, platform) = (stated("browserVersion"), stated("platformName"));
        let sources = engine.reasons.sources.clone();
        let mut session =
            Self { client, driver, output, sources, profile, tabs: Vec::new(), current_tab: 0, version, platform };
        for command in &engine.setup {
            let body = values.fill(command.body.clone());
            within(session.client.issue_cmd(Command { path: command.path.clone(), body })).await?;
        }
        // What the browser said while it started belongs to no case; Firefox's listener is set by this.
        session.messages().await?;
        Ok(session)
    }

    /// Whether it has loaded anything.
    pub(crate) const fn is_used(&self) -> bool {
        !self.tabs.is_empty()
    }

    /// Opens tabs until there are this many.
    pub(crate) async fn open_tabs(&mut self, count: usize) -> Result<(), SessionError> {
        if self.tabs.is_empty() {
            self.tabs.push(within(self.client.window()).await?);
        }
        while self.tabs.len() < count {
            let opened = within(self.client.new_window(false)).await?.handle;
            self.tabs.push(opened);
        }
        Ok(())
    }

    /// Navigates a tab; tabs are opened as they are needed. The page load strategy is `none`: it returns before the
    /// page is loaded.
    pub(crate) async fn navigate(&mut self, tab: usize, url: &str) -> Result<(), SessionError> {
        self.switch_to(tab).await?;
        within(self.client.goto(url)).await
    }

    /// Sets permissions of the origin whose page is in a tab. (Permissions, *Set Permission*)
    pub(crate) async fn permit(&mut self, tab: usize, permissions: &Permissions) -> Result<(), SessionError> {
        self.switch_to(tab).await?;
        for (name, state) in permissions.stated() {
            let body = json!({ "descriptor": { "name": name }, "state": state });
            within(self.client.issue_cmd(Command::post("permissions", body))).await?;
        }
        Ok(())
    }

    async fn switch_to(&mut self, tab: usize) -> Result<(), SessionError> {
        self.open_tabs(tab + 1).await?;
        if self.current_tab != tab {
            within(self.client.switch_to_window(self.tabs[tab].clone())).await?;
            self.current_tab = tab;
        }
        Ok(())
    }

    /// The messages that the browser gave since the last call, oldest first.
    pub(crate) async fn messages(&mut self) -> Result<Vec<String>, SessionError> {
        if self.sources.is_empty() {
            // At least it is asked whether it is still there.
            within(self.client.current_url()).await?;
        }
        let mut messages = Vec::new();
        for source in self.sources.clone() {
            messages.extend(match source {
                ReasonSource::BrowserLog => self.browser_log().await?,
                ReasonSource::FirefoxConsole => self.firefox_console().await?,
                ReasonSource::BrowserOutput => self.browser_output().await?,
            });
        }
        Ok(messages)
    }

    /// The messages since the last call that can be had without asking the driver.
    pub(crate) fn overhear(&mut self) -> Result<Vec<String>, SessionError> {
        let Some(output) = &mut self.output else { return Ok(Vec::new()) };
        output.read().map_err(|error| SessionError::Lost(error.to_string()))
    }

    async fn browser_log(&self) -> Result<Vec<String>, SessionError> {
        let log = within(self.client.issue_cmd(Command::post("se/log", json!({"type": "browser"})))).await?;
        let entries = log.as_array().into_iter().flatten();
        Ok(entries.filter_map(|entry| entry["message"].as_str().map(ToOwned::to_owned)).collect())
    }

    async fn browser_output(&mut self) -> Result<Vec<String>, SessionError> {
        if self.output.is_some() {
            // A round trip to the page's process: what it wrote before is in the file by then.
            within(self.client.execute("return 0", Vec::new())).await?;
        }
        self.overhear()
    }

    /// Firefox's console service keeps only the last 250 messages: a listener, set at the first call, keeps them all. It
    /// stands in the global object of Firefox's own modules: that of a window would not be found from another one.
    async fn firefox_console(&self) -> Result<Vec<String>, SessionError> {
        const SCRIPT: &str = "\
            const shared = Cu.getGlobalForObject(Services);\
            if (!shared.crosscheckMessages) {\
              const messages = (shared.crosscheckMessages = []);\
              shared.crosscheckListener = { observe(message) {\
                try {\
                  message.QueryInterface(Ci.nsIScriptError);\
                  messages.push(`${message.category}: ${message.errorMessage}`);\
                } catch { messages.push(String(message.message)); }\
              } };\
              Services.console.registerListener(shared.crosscheckListener);\
            }\
            return shared.crosscheckMessages.splice(0);";
        within(self.client.issue_cmd(Command::post("moz/context", json!({"context": "chrome"})))).await?;
        let log = within(self.client.execute(SCRIPT, Vec::new())).await;
        within(self.client.issue_cmd(Command::post("moz/context", json!({"context": "content"})))).await?;
        Ok(log?.as_array().into_iter().flatten().filter_map(|line| line.as_str().map(ToOwned::to_owned)).collect())
    }

    /// Ends browser and driver.
    pub(crate) async fn stop(self) {
        if timeout(CLOSE_LIMIT, self.client.clone().close()).await.is_err() {
            tracing::debug!("the browser did not end in time; it is ended from outside");
        }
        self.abandon().await;
    }

    /// Ends browser and driver of a session that does not answer any more.
    pub(crate) async fn abandon(self) {
        if let Some(driver) = self.driver {
            driver.stop().await;
        }
        guard::end_session(&self.profile);
    }
}

/// A file with what a browser writes to its standard output and error.
#[derive(Debug)]
struct Output {
    path: PathBuf,
    /// How much of it was read.
    offset: u64,
}

/// Some drivers throw away what the browser writes: a script around it sends it to a file.
fn wrap(browser: &Path, profile: &Path) -> std::io::Result<(PathBuf, Output)> {
    let output = profile.join("browser-output");
    std::fs::write(&output, "")?;
    let script = profile.join("browser");
    let quote = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    std::fs::write(&script, format!("#!/bin/sh\nexec {} \"$@\" >>{} 2>&1\n", quote(browser), quote(&output)))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700))?;
    Ok((script, Output { path: output, offset: 0 }))
}

impl Output {
    /// The lines since the last call. A line that is still being written is left for the next one.
    fn read(&mut self) -> std::io::Result<Vec<String>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.offset += whole as u64;
        Ok(String::from_utf8_lossy(&bytes[..whole]).lines().map(ToOwned::to_owned).collect())
    }

    /// The last lines, for an error message.
    fn tail(&self) -> String {
        let bytes = std::fs::read(&self.path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    }
}

async fn within<T>(command: impl Future<Output = Result<T, CmdError>>) -> Result<T, SessionError> {
    match timeout(COMMAND_LIMIT, command).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(SessionError::Lost(error.to_string())),
        Err(_) => Err(SessionError::Lost(format!("no answer within {} seconds", COMMAND_LIMIT.as_secs()))),
    }
}

/// A WebDriver command that fantoccini does not know.
#[derive(Debug)]
struct Command {
    path: String,
    body: Value,
}

impl Command {
    fn post(path: &str, body: Value) -> Self {
        Self { path: path.to_owned(), body }
    }
}

impl WebDriverCompatibleCommand for Command {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}
