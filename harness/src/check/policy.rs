//! What a server should allow, as its owner declares it.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

/// A policy file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// Where this schema stands, for editors.
    #[serde(default, rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The server: scheme, host and port, such as `http://127.0.0.1:3000`. A path is put before those of the routes.
    pub target: String,
    /// A command that starts the server. Without it, the server must already run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// How requests are authenticated. Secrets stand in the environment, never here.
    #[serde(default, skip_serializing_if = "Authenticate::is_empty")]
    pub authenticate: Authenticate,
    /// Who may do what, on every route that does not say otherwise.
    pub allow: Allow,
    /// What is asked.
    pub routes: Vec<Route>,
    /// How hard the server is asked.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// Findings, and faults of this policy, that are known and accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<Ignore>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A command that starts the server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Start {
    /// The program and its arguments. It runs in the folder of the policy file.
    pub command: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The path that answers as soon as the server is ready. Default: that of the first route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// How long it may take to start. Default: 30.
    #[serde(default = "start_seconds")]
    pub seconds: u16,
}

const fn start_seconds() -> u16 {
    30
}

/// How requests are authenticated: values are names of environment variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Authenticate {
    /// Request headers that script sets, each with the environment variable that holds its value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The environment variable that holds the value of the Cookie header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
}

impl Authenticate {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Who may do what.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Allow {
    /// Origins: exact (`https://app.example`), every subdomain of one level (`https://*.app.example`) or of any level
    /// (`https://**.app.example`), `*` for everybody, `null` for opaque origins. An empty list: nobody.
    pub origins: Vec<String>,
    /// Methods, in the letter case in which they are sent. Default: GET, HEAD, POST.
    #[serde(default = "methods")]
    pub methods: Vec<String>,
    /// Request headers that script may set, besides those that need no permission. `*`: any.
    #[serde(default)]
    pub request_headers: Vec<String>,
    /// Whether requests with cookies are allowed.
    #[serde(default)]
    pub credentials: bool,
    /// Response headers that script may read, besides those that need no permission.
    #[serde(default)]
    pub expose: Vec<String>,
    /// For how many seconds a preflight's answer is remembered. Nothing: it does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
}

fn methods() -> Vec<String> {
    ["GET", "HEAD", "POST"].map(str::to_owned).to_vec()
}

/// A URL that is asked.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Route {
    /// Path and query.
    pub path: String,
    /// What is found there.
    #[serde(default)]
    pub role: Role,
    /// Another policy than that of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Allow>,
    /// Whether what is answered is meant for one user only. Default: whether the policy allows credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// The query parameter by which a JSONP callback would be named. Default: `callback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jsonp: Option<String>,
    /// Whose pages may embed it (as image, script …), those with Cross-Origin-Embedder-Policy too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embed: Option<Embed>,
    /// Whose pages may show it in a frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Embed>,
}

/// What a route is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An answer with data; GET gives it.
    #[default]
    Data,
    /// GET gets an error status, such as 404 or 500.
    Error,
    /// GET gets a redirect.
    Redirect,
    /// A WebSocket endpoint.
    Websocket,
    /// Something that is embedded and not read: no CORS is expected.
    Asset,
}

/// Whose pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Embed {
    /// Everybody's.
    Anyone,
    /// The same site's.
    SameSite,
    /// The server's own.
    SameOrigin,
    /// Nobody's.
    Nobody,
}

/// How hard the server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// How many requests are under way at the same time.
    #[schemars(range(min = 1, max = 64))]
    pub concurrency: u16,
    /// How many requests are begun in a second; 0 for no limit.
    pub per_second: u32,
    /// How long an answer is waited for.
    #[schemars(range(min = 1, max = 600))]
    pub timeout_seconds: u16,
    /// How many requests are sent in total.
    pub requests: u32,
    /// How long the whole check takes at most.
    pub seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { concurrency: 8, per_second: 0, timeout_seconds: 10, requests: 5_000, seconds: 300 }
    }
}

/// A finding that is known and accepted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ignore {
    /// The id of the finding, or of the policy's fault.
    pub finding: String,
    /// Only on this route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Why it is accepted.
    pub reason: String,
}

/// The published schema of policy files (`harness/schema/policy.json`).
#[must_use]
pub fn policy_schema() -> Schema {
    schema_for!(Policy)
}

impl Policy {
    /// What a route allows.
    #[must_use]
    pub fn allow<'p>(&'p self, route: &'p Route) -> &'p Allow {
        route.allow.as_ref().unwrap_or(&self.allow)
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.target.trim_end_matches('/'))
    }

    /// Whether a route's answers are meant for one user.
    #[must_use]
    pub fn is_private(&self, route: &Route) -> bool {
        route.private.unwrap_or(self.allow(route).credentials || self.authenticate != Authenticate::default())
    }
}
