//! What is wrong with a policy itself: it is said before anything is sent, all of it at once.

use std::path::Path;

use crosscheck_cases::standard::{registrable_domain, script_may_set};
use crosscheck_cases::{Fault, Faults, JsonFile, WRITTEN_LIMIT, read_text};
use url::{Host, Url};

use super::fault::FAULTS;
use super::origins::{Allowed, is_sent};
use super::policy::{Allow, Policy, Role};

/// The largest age that any browser keeps a preflight's answer for.
const MAX_AGE_LIMIT: u64 = 86_400;

/// Faults of a policy that `ignore` may accept, because somebody can want them.
const ACCEPTABLE: [&str; 4] =
    ["policy-null", "policy-wildcard-with-credentials", "policy-http-with-credentials", "policy-public-suffix"];

/// Reads and checks a policy file.
///
/// # Errors
/// Every mistake of the file, each in its place.
pub fn read_policy(path: &Path) -> Result<Policy, Faults> {
    let text = match read_text(path, WRITTEN_LIMIT) {
        Ok(text) => text,
        Err(error) => {
            let file = JsonFile::new(path, "");
            return Err(file.faults(vec![file.fault("", format!("cannot be read: {error}"))]));
        }
    };
    parse_policy(path, &text)
}

/// Reads and checks the text of a policy file.
///
/// # Errors
/// Every mistake of the text, each in its place.
pub fn parse_policy(path: &Path, text: &str) -> Result<Policy, Faults> {
    let file = JsonFile::new(path, text);
    let policy: Policy = file.read()?;
    let mut lint = Lint { file: &file, policy: &policy, faults: Vec::new(), holds_secrets: false };
    lint.policy();
    let Lint { faults, holds_secrets, .. } = lint;
    match (faults.is_empty(), holds_secrets) {
        (true, _) => Ok(policy),
        (false, false) => Err(file.faults(faults)),
        // Its lines are not shown: the secret stands in them.
        (false, true) => Err(Faults::new(faults, &[])),
    }
}

struct Lint<'l> {
    file: &'l JsonFile<'l>,
    policy: &'l Policy,
    faults: Vec<Fault>,
    /// Whether a secret stands in the file itself.
    holds_secrets: bool,
}

impl Lint<'_> {
    fn fault(&mut self, at: &str, message: impl Into<String>) {
        self.faults.push(self.file.fault(at, message));
    }

    /// A fault that somebody may have meant: it can be ignored, with a reason.
    fn doubt(&mut self, id: &str, at: &str, message: &str) {
        if !self.policy.ignore.iter().any(|ignore| ignore.finding == id) {
            self.fault(at, format!("{message}; if it is meant, state it in \"ignore\" as {id:?}, with the reason"));
        }
    }

    fn policy(&mut self) {
        let policy = self.policy;
        match Url::parse(&policy.target) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                if !url.username().is_empty() || url.password().is_some() {
                    self.holds_secrets = true;
                    self.fault("/target", "a policy holds no credentials: use \"authenticate\"");
                }
                if url.query().is_some() || url.fragment().is_some() {
                    self.fault("/target", "the target has a query or fragment: write those in the routes");
                }
            }
            Ok(url) => self.fault("/target", format!("{}: is not http or https", url.scheme())),
            Err(error) => self.fault("/target", format!("not a URL ({error}): write scheme://host:port")),
        }
        if policy.routes.is_empty() {
            self.fault("/routes", "there is nothing to ask: state at least one route");
        }
        self.allow(&policy.allow, "/allow");
        for (index, route) in policy.routes.iter().enumerate() {
            let at = format!("/routes/{index}");
            if !route.path.starts_with('/') {
                self.fault(&format!("{at}/path"), "a path begins with /");
            }
            if policy.routes[..index].iter().any(|other| other.path == route.path && other.role == route.role) {
                self.fault(&format!("{at}/path"), "this route stands here twice");
            }
            if route.role == Role::Websocket && (route.embed.is_some() || route.frame.is_some()) {
                self.fault(&at, "a WebSocket endpoint can be neither embedded nor framed");
            }
            if let Some(allow) = &route.allow {
                self.allow(allow, &format!("{at}/allow"));
            }
        }
        self.rest();
    }

    fn rest(&mut self) {
        let policy = self.policy;
        for (name, variable) in &policy.authenticate.headers {
            if !is_token(name) || !script_may_set(name) {
                self.fault("/authenticate/headers", format!("script cannot set a header {name:?}"));
            }
            self.variable(variable);
        }
        if let Some(variable) = &policy.authenticate.cookie {
            self.variable(variable);
        }
        if policy.start.as_ref().is_some_and(|start| start.command.is_empty()) {
            self.fault("/start/command", "there is no program to start");
        }
        let limits = policy.limits;
        if limits.concurrency == 0 || limits.concurrency > 64 {
            self.fault("/limits/concurrency", "expected 1 to 64");
        }
        if limits.timeout_seconds == 0 || limits.timeout_seconds > 600 {
            self.fault("/limits/timeout-seconds", "expected 1 to 600");
        }
        for (index, ignore) in policy.ignore.iter().enumerate() {
            let at = format!("/ignore/{index}");
            if ignore.reason.trim().is_empty() {
                self.fault(&format!("{at}/reason"), "say why it is accepted");
            }
            let known = FAULTS.iter().any(|fault| fault.id == ignore.finding);
            if !known && !ACCEPTABLE.contains(&ignore.finding.as_str()) {
                self.fault(&format!("{at}/finding"), format!("no finding has the id {:?}", ignore.finding));
            }
            if let Some(route) = &ignore.route
                && !policy.routes.iter().any(|other| other.path == *route)
            {
                self.fault(&format!("{at}/route"), format!("there is no route {route:?}"));
            }
        }
    }

    fn variable(&mut self, name: &str) {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(sound) {
            // It may be the secret itself.
            self.holds_secrets = true;
            self.fault("/authenticate", "expected the name of an environment variable, not the secret itself");
        }
    }

    fn allow(&mut self, allow: &Allow, at: &str) {
        for (index, origin) in allow.origins.iter().enumerate() {
            self.origin(origin, allow, &format!("{at}/origins/{index}"));
            if allow.origins[..index].contains(origin) {
                self.fault(&format!("{at}/origins/{index}"), "this origin stands here twice");
            }
        }
        for (index, method) in allow.methods.iter().enumerate() {
            let at = format!("{at}/methods/{index}");
            let upper = method.to_ascii_uppercase();
            if method == "*" || !is_token(method) {
                self.fault(&at, format!("{method:?} is not a method: name each one"));
            } else if ["CONNECT", "TRACE", "TRACK"].contains(&upper.as_str()) {
                self.fault(&at, format!("browsers let no script send {upper}"));
            } else if *method != upper && ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"].contains(&upper.as_str())
            {
                self.fault(&at, format!("browsers send {upper} in upper case, however script writes it"));
            } else if *method != upper && upper == "PATCH" {
                self.fault(&at, "methods are compared with their letter case, and the usual one is PATCH");
            }
        }
        for (index, name) in allow.request_headers.iter().enumerate() {
            let at = format!("{at}/request-headers/{index}");
            if name == "*" {
                continue;
            }
            if !is_token(name) {
                self.fault(&at, format!("{name:?} is not a header name"));
            } else if !script_may_set(name) {
                self.fault(&at, format!("browsers let no script set {name}"));
            }
        }
        for (index, name) in allow.expose.iter().enumerate() {
            let at = format!("{at}/expose/{index}");
            if !is_token(name) || name == "*" {
                self.fault(&at, format!("{name:?} is not a header name: name each one"));
            } else if ["set-cookie", "set-cookie2"].contains(&name.to_ascii_lowercase().as_str()) {
                self.fault(&at, format!("no script ever reads {name}"));
            }
        }
        if allow.max_age.is_some_and(|age| age > MAX_AGE_LIMIT) {
            self.fault(
                &format!("{at}/max-age"),
                "no browser remembers a preflight's answer for longer than 86400 seconds (Chromium: 7200)",
            );
        }
    }

    fn origin(&mut self, text: &str, allow: &Allow, at: &str) {
        let Some(allowed) = Allowed::parse(text) else {
            let message = format!(
                "{text:?} is not an origin: write scheme://host or scheme://host:port, a pattern such as \
                 https://*.app.example, * or null"
            );
            return self.fault(at, message);
        };
        match &allowed {
            Allowed::Any if allow.credentials => self.doubt(
                "policy-wildcard-with-credentials",
                at,
                "every origin may send the user's cookies and read the answers: no page is kept out",
            ),
            Allowed::Null if allow.credentials => self.doubt(
                "policy-null",
                at,
                "null is the origin of every sandboxed frame and data: document, on any site: with credentials that \
                 lets everybody in",
            ),
            Allowed::Any | Allowed::Null => {}
            Allowed::Exact(serialized) => {
                if text != serialized {
                    let message = format!("browsers never send {text:?}, they send {serialized:?}");
                    self.fault(at, message);
                }
                self.insecure(serialized, allow, at);
            }
            Allowed::Subdomains { rest, .. } => {
                let sample = &allowed.samples()[0];
                if !is_sent(sample) {
                    let message = format!(
                        "browsers never send an origin that {text:?} matches: hosts are in lower case and ASCII, \
                         default ports are left out, and there is no path"
                    );
                    self.fault(at, message);
                }
                let host = rest.trim_start_matches('.').split(':').next().unwrap_or_default();
                if registrable_domain(host).is_none() && host != "localhost" {
                    self.doubt(
                        "policy-public-suffix",
                        at,
                        &format!("everybody can have a name below {host}, so the pattern lets everybody in"),
                    );
                }
                self.insecure(sample, allow, at);
            }
        }
    }

    /// An origin that whoever sits on the network can play.
    fn insecure(&mut self, origin: &str, allow: &Allow, at: &str) {
        let Ok(url) = Url::parse(origin) else { return };
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if url.scheme() == "http" && allow.credentials && !local {
            self.doubt(
                "policy-http-with-credentials",
                at,
                "whoever is between a user and that http page can put a script into it, which then reads the answers \
                 with the user's cookies",
            );
        }
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
