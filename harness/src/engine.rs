use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crosscheck_cases::standard::AddressSpace;
use crosscheck_cases::{Case, DocumentKind, Loader, PermissionState, Probe, WRITTEN_LIMIT, read_text, reason_class};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::network::Network;

/// A browser as data: everything that the harness has to know of it. Another browser is another file, not other code.
/// The engines that come with the program stand in `harness/engines`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Engine {
    /// The name on the command line and in records.
    pub name: String,
    /// The name for people.
    pub label: String,
    /// The engine: `Blink`, `Gecko`, `WebKit`.
    pub engine: String,
    /// Names or paths of the browser's program, the first that is there is taken; `*` in a path matches any part, and
    /// `~` is the home directory.
    pub browser: Vec<String>,
    /// Names or paths of the WebDriver's program.
    pub driver: Vec<String>,
    /// The driver's arguments.
    #[serde(default)]
    pub driver_args: Vec<String>,
    /// Files and folders that driver and browser find empty, where this machine can do that (bubblewrap).
    #[serde(default)]
    pub hide: Vec<String>,
    /// Variables of the driver's and the browser's environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Whether its driver attends to every frame that a page makes, one after another, and answers nothing meanwhile: it
    /// is asked nothing while a page makes many.
    #[serde(default)]
    pub busy_with_frames: bool,
    /// Whether its preflight cache is smaller than the suite and loses entries at random: cases that look at the cache have
    /// a browser of their own.
    #[serde(default)]
    pub forgets_preflights: bool,
    /// Whether scripts of all windows of a process run while a `window.open()` waits, and an error in one of them is told
    /// as one of the script that waits: cases that look at errors of scripts do not run beside those that open windows.
    #[serde(default)]
    pub runs_scripts_in_open: bool,
    /// Whether it needs a display (Xvfb is started for it).
    #[serde(default)]
    pub display: bool,
    /// How to get browser and driver, for a person.
    pub install: String,
    /// Arguments that the browser needs when it runs as root.
    #[serde(default)]
    pub root_args: Option<RootArgs>,
    /// The capabilities of a new session. In them, as in the arguments and in `setup`, `{browser}` is the browser's program,
    /// `{profile}` a fresh folder, `{port}` the port of the fake servers, `{driver-port}` that of the driver, `{hosts}` the
    /// text for all hosts in address spaces, and `{public}` and `{local}` are where these spaces are played: address and port.
    pub capabilities: Map<String, Value>,
    /// How it is told which hosts are public, local, or on this machine, where it can be told.
    #[serde(default)]
    pub hosts: Option<HostTexts>,
    /// How permissions of origins are set, where they can be.
    #[serde(default)]
    pub permissions: Option<PermissionSetting>,
    /// Commands for the driver at the beginning of a session.
    #[serde(default)]
    pub setup: Vec<SetupCommand>,
    /// How it reaches real servers, and not the fake ones.
    #[serde(default)]
    pub direct: Option<Direct>,
    /// Rules by which it is known not to keep a page out.
    #[serde(default)]
    pub lenient: Vec<Lenient>,
    /// How it says why it blocks.
    pub reasons: Reasons,
}

/// How a browser is told of hosts in address spaces. The texts of all hosts that cases name, joined, stand for `{hosts}`;
/// in them `{host}` is the host and `{address}` the address at which the fake servers play its space.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostTexts {
    /// For a name.
    pub name: String,
    /// For a literal address, where it can be sent elsewhere at all.
    #[serde(default)]
    pub literal: Option<String>,
}

/// How the permissions of a page's origin are set before the page is loaded.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionSetting {
    /// By the WebDriver command *Set Permission*, while another page of the origin is there.
    Command,
    /// In the capabilities, for drivers whose command does not ask permissions policy.
    Capabilities(Box<PermissionCapabilities>),
}

/// Permissions as capabilities: `at` / name of the permission / origin = decision.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermissionCapabilities {
    /// A JSON Pointer to the object in the capabilities that has a member for each permission.
    pub at: String,
    /// The member for each permission, by the permission's name.
    pub names: BTreeMap<String, String>,
    /// The text for an origin; `{origin}` is the origin with its port.
    pub origin: String,
    /// The value of a permission that is granted.
    pub granted: Value,
    /// The value of one that is denied.
    pub denied: Value,
}

impl PermissionCapabilities {
    /// Puts the permissions of all origins into capabilities.
    pub(crate) fn add(&self, capabilities: &mut Map<String, Value>, network: &Network) {
        change_at(capabilities, &self.at, |permissions| {
            let Value::Object(permissions) = permissions else { return };
            for (origin, name, state) in network.permissions() {
                let Some(member) = self.names.get(name) else { continue };
                let decision = match state {
                    PermissionState::Granted => &self.granted,
                    PermissionState::Denied => &self.denied,
                };
                let origins = permissions.entry(member.clone()).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(origins) = origins {
                    origins.insert(self.origin.replace("{origin}", origin), decision.clone());
                }
            }
        });
    }
}

/// Changes the capability at a JSON Pointer; nothing where there is none.
fn change_at(capabilities: &mut Map<String, Value>, pointer: &str, change: impl FnOnce(&mut Value)) -> Option<()> {
    let mut all = Value::Object(std::mem::take(capabilities));
    let changed = all.pointer_mut(pointer).map(change);
    if let Value::Object(all) = all {
        *capabilities = all;
    }
    changed
}

/// A WebDriver command with the method POST.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupCommand {
    /// The path below that of the session.
    pub path: String,
    /// Its parameters, with placeholders.
    pub body: Value,
}

/// A rule by which an engine keeps no page out, though the standard demands it. (What is known of single cases stands in
/// `ci/expectations`.)
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lenient {
    /// The id of the requirement.
    pub requirement: String,
    /// What it does, and why.
    pub cause: String,
}

/// What has to be added to the capabilities so that some servers are reached directly.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Direct {
    /// A JSON Pointer into the capabilities: to a list, which is added to, or to a text, which is replaced.
    pub at: String,
    /// What is said for each server; `{server}` is its host and port.
    pub each: String,
    /// What is said for all together; `{direct}` stands for `each` of all. Without it, each is added to the list.
    #[serde(default)]
    pub all: Option<String>,
    /// Whether the engine takes an http server of this machine for mixed content in an https page.
    #[serde(default)]
    pub local_is_mixed: bool,
}

/// Arguments for root alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootArgs {
    /// A JSON Pointer to the list of arguments in the capabilities.
    pub at: String,
    /// The arguments.
    pub args: Vec<String>,
}

/// How an engine says why it blocks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reasons {
    /// Where its messages are read; nowhere, where it gives none.
    pub sources: Vec<ReasonSource>,
    /// The source in words, for reports.
    pub about: String,
    /// What the messages mean; the first pattern that matches counts.
    pub patterns: Vec<Pattern>,
    /// A regular expression whose first group is what a person should read of a message.
    #[serde(default, with = "optional_regex")]
    pub quote: Option<Regex>,
    /// Classes for whose blocks the engine says nothing that names the request.
    #[serde(default)]
    pub silent: Vec<String>,
    /// Documents and workers whose messages do not reach us.
    #[serde(default)]
    pub unheard: Vec<Unheard>,
    /// Some source is out of reach: no reason is owed, but a wrong one is still wrong.
    #[serde(skip)]
    pub partial: bool,
}

/// A kind of document whose messages do not reach us.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unheard {
    /// The kind; where it is left out, any.
    #[serde(default)]
    pub kind: Option<DocumentKind>,
    /// Only where it is sandboxed.
    #[serde(default)]
    pub sandboxed: bool,
    /// Only messages about this probe.
    #[serde(default)]
    pub probe: Option<String>,
    /// Only messages about what this loads.
    #[serde(default)]
    pub element: Option<Loader>,
    /// Only messages that mean one of these classes; where there are none, all.
    #[serde(default)]
    pub classes: Vec<String>,
}

/// Where an engine's messages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonSource {
    /// The `browser` log of the WebDriver.
    BrowserLog,
    /// Firefox's console service, read in the chrome context.
    FirefoxConsole,
    /// What the browser writes to its standard output and error; out of reach of `--webdriver`.
    BrowserOutput,
}

/// What a message means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// A regular expression over the message; where it has a category, that stands in front, then `: `.
    #[serde(with = "regex_text")]
    pub text: Regex,
    /// The classes that it can mean.
    pub classes: Vec<String>,
    /// It accompanies more telling messages, and counts only where there is none.
    #[serde(default)]
    pub general: bool,
}

mod regex_text {
    use std::borrow::Cow;

    use regex::Regex;
    use serde::{Deserialize, Deserializer, de};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Regex, D::Error> {
        Regex::new(&Cow::<'de, str>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

mod optional_regex {
    use regex::Regex;
    use serde::Deserializer;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Regex>, D::Error> {
        super::regex_text::deserialize(deserializer).map(Some)
    }
}

/// An engine's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no engine of this name, and no file.
    #[error(
        "there is no agent {name:?}: name one of {known}, reference, or a JSON file that describes an engine (harness/engines/*.json are examples)"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names of the engines that come with the program.
        known: String,
    },
    /// The file cannot be read.
    #[error("{}: the engine's file cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not describe an engine.
    #[error("{}:{line}:{column}: not the description of an engine: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What was expected.
        message: String,
    },
}

const BUILT_IN: [(&str, &str); 3] = [
    ("harness/engines/chromium.json", include_str!("../engines/chromium.json")),
    ("harness/engines/firefox.json", include_str!("../engines/firefox.json")),
    ("harness/engines/webkit.json", include_str!("../engines/webkit.json")),
];

impl Reasons {
    /// Whether the engine gives reasons at all.
    #[must_use]
    pub fn given(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Whether a reason has to come for the expected block of a case: not where the engine is known to say nothing
    /// about it, or to say it where nobody hears.
    #[must_use]
    pub fn owed(&self, case: &Case) -> bool {
        let Some(reason) = &case.stated.then.reason else { return false };
        let page = &case.stated.page;
        let unheard = self.unheard.iter().any(|unheard| {
            unheard.kind.is_none_or(|kind| kind == page.kind)
                && (!unheard.sandboxed || page.sandbox.is_some())
                && unheard
                    .probe
                    .as_deref()
                    .is_none_or(|name| case.stated.when.last().is_some_and(|probe| probe.name() == name))
                && unheard.element.is_none_or(|element| {
                    matches!(case.stated.when.last(), Some(Probe::Load(_, options)) if options.element == element)
                })
                && (unheard.classes.is_empty() || reason.classes.iter().all(|class| unheard.classes.contains(class)))
        });
        self.given() && !self.partial && !unheard && !reason.classes.iter().any(|class| self.silent.contains(class))
    }
}

/// Whether the name of an agent can be that of a file or folder, on any machine: it comes from engine files and records.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.chars().all(is_part)
}

impl Engine {
    /// The engines that come with the program.
    ///
    /// # Errors
    /// A faulty file; the tests make sure that there is none.
    pub fn built_in() -> Result<Vec<Self>, EngineError> {
        BUILT_IN.iter().map(|(path, text)| Self::parse(Path::new(path), text)).collect()
    }

    /// The engine of this name, or of a file of this path.
    ///
    /// # Errors
    /// There is neither, or the file is faulty.
    pub fn find(name: &str) -> Result<Self, EngineError> {
        let built_in = Self::built_in()?;
        if let Some(engine) = built_in.iter().find(|engine| engine.name == name) {
            return Ok(engine.clone());
        }
        let path = Path::new(name);
        if path.extension().is_none_or(|extension| extension != "json") {
            let known = built_in.iter().map(|engine| engine.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(EngineError::Unknown { name: name.to_owned(), known });
        }
        let text = read_text(path, WRITTEN_LIMIT)
            .map_err(|source| EngineError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, EngineError> {
        let engine: Self = serde_json::from_str(text).map_err(|error| EngineError::Malformed {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
            message: error.to_string(),
        })?;
        match engine.mistake() {
            Some(message) => Err(EngineError::Malformed { path: path.to_owned(), line: 1, column: 1, message }),
            None => Ok(engine),
        }
    }

    /// What the format allows and no engine should have.
    fn mistake(&self) -> Option<String> {
        if !is_file_name(&self.name) {
            return Some(format!("the name {:?} is not made of letters, digits, \"-\", \"_\" and \".\"", self.name));
        }
        if self.browser.is_empty() || self.driver.is_empty() {
            return Some("\"browser\" and \"driver\" name at least one program each".to_owned());
        }
        let classes =
            self.reasons.silent.iter().chain(self.reasons.unheard.iter().flat_map(|unheard| &unheard.classes));
        let classes = classes.chain(self.reasons.patterns.iter().flat_map(|pattern| &pattern.classes));
        let unknown = classes.into_iter().find(|class| reason_class(class).is_none());
        unknown.map(|class| format!("no reason has the name {class:?}; reasons stand in cases/reasons.json"))
    }

    /// The same engine, which reaches these servers (`host:port`) directly; nothing where its file does not say how.
    #[must_use]
    pub fn reaching(&self, servers: &[String]) -> Option<Self> {
        let Direct { at, each, all, .. } = self.direct.as_ref()?;
        let each: Vec<String> = servers.iter().map(|server| each.replace("{server}", server)).collect();
        let said = match all {
            Some(all) => vec![all.replace("{direct}", &each.concat())],
            None => each,
        };
        let mut engine = self.clone();
        change_at(&mut engine.capabilities, at, |place| match place {
            Value::Array(list) => list.extend(said.into_iter().map(Value::String)),
            text => *text = Value::String(said.concat()),
        })?;
        Some(engine)
    }

    /// The capabilities with everything filled in.
    #[must_use]
    pub fn fill_capabilities(&self, values: &Placeholders<'_>, as_root: bool) -> Map<String, Value> {
        let mut capabilities = self.capabilities.clone();
        if let Some(RootArgs { at, args }) = self.root_args.as_ref().filter(|_| as_root) {
            change_at(&mut capabilities, at, |place| {
                if let Value::Array(list) = place {
                    list.extend(args.iter().map(|arg| Value::String(arg.clone())));
                }
            });
        }
        match values.fill(Value::Object(capabilities)) {
            Value::Object(capabilities) => capabilities,
            _ => Map::new(),
        }
    }
}

/// What stands for the placeholders of an engine's file.
#[derive(Clone, Debug)]
pub struct Placeholders<'p> {
    /// The browser's program.
    pub browser: &'p Path,
    /// A fresh folder.
    pub profile: &'p Path,
    /// The port of the fake servers.
    pub port: u16,
    /// The port of the driver.
    pub driver_port: u16,
    /// The text for all hosts in address spaces.
    pub hosts: String,
    /// Where the public network is played.
    pub public: String,
    /// Where the local network is played.
    pub local: String,
}

impl<'p> Placeholders<'p> {
    /// The values for an engine on a network.
    pub(crate) fn new(
        engine: &Engine,
        browser: &'p Path,
        profile: &'p Path,
        driver_port: u16,
        network: &Network,
    ) -> Self {
        Self {
            browser,
            profile,
            port: network.port,
            driver_port,
            hosts: engine.hosts.as_ref().map(|texts| network.hosts(texts)).unwrap_or_default(),
            public: network.address(AddressSpace::Public).to_string(),
            local: network.address(AddressSpace::Local).to_string(),
        }
    }
}

impl Placeholders<'_> {
    /// A text with its placeholders filled.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        // The texts of hosts have placeholders themselves.
        text.replace("{hosts}", &self.hosts)
            .replace("{browser}", &self.browser.display().to_string())
            .replace("{profile}", &self.profile.display().to_string())
            .replace("{driver-port}", &self.driver_port.to_string())
            .replace("{port}", &self.port.to_string())
            .replace("{public}", &self.public)
            .replace("{local}", &self.local)
    }

    pub(crate) fn fill(&self, value: Value) -> Value {
        match value {
            // Alone it is a number: preferences of Firefox have types.
            Value::String(text) if text == "{port}" => self.port.into(),
            Value::String(text) => self.text(&text).into(),
            Value::Array(items) => items.into_iter().map(|item| self.fill(item)).collect(),
            Value::Object(members) => members
                .into_iter()
                // A driver that runs already knows where its browser is.
                .filter(|(_, value)| value != "{browser}" || !self.browser.as_os_str().is_empty())
                .map(|(name, value)| (name, self.fill(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_that_come_with_the_program_are_sound() {
        let engines = Engine::built_in().expect("sound files");
        assert_eq!(
            engines.iter().map(|engine| engine.name.as_str()).collect::<Vec<_>>(),
            ["chromium", "firefox", "webkit"]
        );
        for engine in engines {
            for lenient in &engine.lenient {
                assert!(crosscheck_cases::requirement(&lenient.requirement).is_some(), "{}", lenient.requirement);
            }
            let classes = engine.reasons.patterns.iter().flat_map(|pattern| &pattern.classes);
            for class in classes.chain(&engine.reasons.silent) {
                assert!(crosscheck_cases::reason_class(class).is_some(), "{}: {class}", engine.name);
            }
        }
    }

    #[test]
    fn placeholders_and_arguments_for_root_are_filled_in() {
        let engine = Engine::find("chromium").expect("an engine");
        let values = Placeholders {
            browser: Path::new("/bin/b"),
            profile: Path::new("/tmp/p"),
            port: 4,
            driver_port: 5,
            hosts: "MAP a.test 127.0.0.2:{port},".to_owned(),
            public: "127.0.0.2:4".to_owned(),
            local: "127.0.0.3:4".to_owned(),
        };
        let text = Value::Object(engine.fill_capabilities(&values, true)).to_string();
        assert!(text.contains("rules=MAP a.test 127.0.0.2:4,MAP * 127.0.0.1:4") && text.contains("127.0.0.2:4=public"));
        assert!(text.contains("MAP * 127.0.0.1:4") && text.contains("--no-sandbox") && text.contains("/tmp/p"));
        assert!(!Value::Object(engine.fill_capabilities(&values, false)).to_string().contains("--no-sandbox"));
    }

    #[test]
    fn every_engine_can_reach_a_real_server() {
        let values = Placeholders {
            browser: Path::new("/b"),
            profile: Path::new("/p"),
            port: 4,
            driver_port: 5,
            hosts: String::new(),
            public: String::new(),
            local: String::new(),
        };
        for (engine, said) in [
            ("chromium", "--host-resolver-rules=MAP a.test:1 a.test:1, MAP [::1]:2 [::1]:2, MAP * 127.0.0.1:4"),
            ("firefox", "\"network.proxy.no_proxies_on\":\"a.test:1,[::1]:2,\""),
            ("webkit", "\"--ignore-host=a.test:1\",\"--ignore-host=[::1]:2\""),
        ] {
            let engine = Engine::find(engine).expect("an engine");
            let engine = engine.reaching(&["a.test:1".to_owned(), "[::1]:2".to_owned()]).expect("a way");
            let text = Value::Object(engine.fill_capabilities(&values, false)).to_string();
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn an_unknown_agent_is_told_what_there_is() {
        let error = Engine::find("netscape").expect_err("no such engine").to_string();
        assert!(error.contains("chromium, firefox, webkit"), "{error}");
    }
}
