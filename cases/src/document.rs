use std::fmt;

use crosscheck_servers::{Fields, Origin as TupleOrigin};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::standard::{Origin, SandboxingFlag, SandboxingFlags};

/// Where the probes of a case run: a document or worker, and how it is embedded. Cases with equal documents share one.
/// In case files an origin alone stands for a top-level page of that origin.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields, rename_all = "kebab-case")]
pub struct Document {
    /// What it is.
    pub kind: DocumentKind,
    /// The origin that it is loaded from, such as `https://page.test`. Nothing for `srcdoc`, `data` and `blob`, which
    /// are made by their embedder, and for `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Header lines of the document's (or worker script's) own response, after its Content-Type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The `sandbox` attribute of the frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// The `allow` attribute of the frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<String>,
    /// What the user has decided about the local network for the top-level page and everything in it. Permissions belong to
    /// origins, so all cases of an origin state the same.
    #[serde(default, skip_serializing_if = "Permissions::is_empty")]
    pub permissions: Permissions,
    /// What embeds, opens or starts it; for a top-level page nothing. Default: a top-level page of the same origin.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Box<Document>>,
}

/// What the user has decided; where nothing is stated, nobody was asked yet and nobody will answer (state *prompt*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Permissions {
    /// The permission to reach local addresses. (`lna.permission.local-network`)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_network: Option<PermissionState>,
    /// The permission to reach loopback addresses. (`lna.permission.loopback-network`)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loopback_network: Option<PermissionState>,
}

/// A decision of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionState {
    /// Yes.
    Granted,
    /// No.
    Denied,
}

impl Permissions {
    /// Whether nothing was decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stated().next().is_none()
    }

    /// The names of the permissions that were decided, with the decisions.
    pub fn stated(&self) -> impl Iterator<Item = (&'static str, PermissionState)> {
        let each = [("local-network", self.local_network), ("loopback-network", self.loopback_network)];
        each.into_iter().filter_map(|(name, state)| state.map(|state| (name, state)))
    }
}

/// Kinds of documents and workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// A top-level page that the browser was navigated to.
    #[default]
    Page,
    /// A window that `in` opened.
    Popup,
    /// A frame with a document from the network.
    Iframe,
    /// A frame whose document is written in its `srcdoc` attribute.
    Srcdoc,
    /// A frame with a `data:` URL.
    Data,
    /// A frame with a `blob:` URL.
    Blob,
    /// A dedicated worker.
    Worker,
    /// A dedicated worker with a `data:` URL.
    DataWorker,
    /// A shared worker.
    SharedWorker,
    /// A service worker.
    ServiceWorker,
    /// No browser at all: probes are sent by a plain HTTP client.
    None,
}

impl DocumentKind {
    /// Whether it is loaded from a server, and so has an `origin` and `headers`.
    #[must_use]
    pub const fn from_network(self) -> bool {
        match self {
            Self::Page | Self::Popup | Self::Iframe | Self::Worker | Self::SharedWorker | Self::ServiceWorker => true,
            Self::Srcdoc | Self::Data | Self::Blob | Self::DataWorker | Self::None => false,
        }
    }
}

impl DocumentKind {
    /// The last part of the path at which it stands: workers are files of their own.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Worker | Self::SharedWorker | Self::ServiceWorker => "worker.js",
            _ => "",
        }
    }

    /// Whether it is in a frame.
    #[must_use]
    pub const fn is_frame(self) -> bool {
        matches!(self, Self::Iframe | Self::Srcdoc | Self::Data | Self::Blob)
    }
}

impl Document {
    /// A top-level page of this origin.
    #[must_use]
    pub fn page(origin: &str) -> Self {
        Self {
            kind: DocumentKind::Page,
            origin: Some(origin.to_owned()),
            headers: Vec::new(),
            sandbox: None,
            allow: None,
            permissions: Permissions::default(),
            within: None,
        }
    }

    /// The top-level page above this document; itself where it is one.
    #[must_use]
    pub fn top(&self) -> &Self {
        self.within.as_deref().map_or(self, Self::top)
    }

    /// Its *active sandboxing flag set*: by its frame's attribute, by its own policy, and by the documents above it.
    #[must_use]
    pub fn sandboxing_flags(&self) -> SandboxingFlags {
        let above = match &self.within {
            Some(within) if self.kind.is_frame() => within.sandboxing_flags(),
            _ => SandboxingFlags::default(),
        };
        let of_frame = SandboxingFlags::of_frame(self.sandbox.as_deref(), above).outcome;
        of_frame.with_policies(&self.fields()).outcome
    }

    /// Its origin. (`html.origin.*`)
    #[must_use]
    pub fn active_origin(&self) -> Origin {
        let is_sandboxed = self.sandboxing_flags().has(SandboxingFlag::Origin);
        let tuple = match self.kind {
            _ if is_sandboxed => None,
            DocumentKind::Data | DocumentKind::DataWorker | DocumentKind::None => None,
            DocumentKind::Srcdoc | DocumentKind::Blob => {
                return self.within.as_deref().map_or(Origin::Opaque, Self::active_origin);
            }
            _ => self.own_origin(),
        };
        tuple.map_or(Origin::Opaque, Origin::Tuple)
    }

    /// The serialisation of its origin: `null` where it is opaque (`html.origin.opaque.serialize`); nothing without a
    /// browser.
    #[must_use]
    pub fn serialized_origin(&self) -> String {
        match self.kind {
            DocumentKind::None => String::new(),
            _ => self.active_origin().serialize().to_string(),
        }
    }

    /// The origin that it is loaded from.
    #[must_use]
    pub fn own_origin(&self) -> Option<TupleOrigin> {
        self.origin.as_deref().and_then(|origin| origin.parse().ok())
    }

    /// The header lines of its own response.
    #[must_use]
    pub fn fields(&self) -> Fields {
        self.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect()
    }

    /// Fills in what a case file may leave out: a top-level page of the same origin around a frame, worker or popup.
    pub(crate) fn complete(&mut self) {
        if let Some(origin) = self.own_origin() {
            self.origin = Some(origin.to_string());
        }
        if self.within.is_none() && self.kind.from_network() && self.kind != DocumentKind::Page {
            self.within = self.origin.as_deref().map(|origin| Box::new(Self::page(origin)));
        }
        if let Some(within) = &mut self.within {
            within.complete();
        }
    }

    /// What is contradictory in it, for a person.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let kind = crate::outcome::text_of(&self.kind);
        match (&self.origin, self.kind.from_network()) {
            (None, true) => mistakes.push(format!("a document of kind {kind} needs an \"origin\" to be loaded from")),
            (Some(_), false) => mistakes.push(format!("a document of kind {kind} has no \"origin\" of its own")),
            (Some(origin), true) => {
                if let Err(error) = origin.parse::<TupleOrigin>() {
                    mistakes.push(error.to_string());
                }
            }
            (None, false) => {}
        }
        if !self.kind.is_frame() && (self.sandbox.is_some() || self.allow.is_some()) {
            mistakes.push(format!("\"sandbox\" and \"allow\" belong to frames, not to a document of kind {kind}"));
        }
        if self.kind != DocumentKind::Page && !self.permissions.is_empty() {
            mistakes.push(format!(
                "\"permissions\" belong to the top-level page, which asks the user, not to a document of kind {kind}"
            ));
        }
        match self.kind {
            DocumentKind::Page | DocumentKind::None if self.within.is_some() => {
                mistakes.push(format!("a document of kind {kind} is in nothing"));
            }
            DocumentKind::Srcdoc | DocumentKind::Data | DocumentKind::Blob | DocumentKind::DataWorker
                if self.within.is_none() =>
            {
                mistakes.push(format!("a document of kind {kind} needs \"in\": the document that makes it"));
            }
            _ => {}
        }
        if let Some(within) = &self.within {
            mistakes.extend(within.mistakes());
        }
        mistakes
    }
}

impl fmt::Display for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = crate::outcome::text_of(&self.kind);
        match (&self.origin, self.kind) {
            (_, DocumentKind::None) => return formatter.write_str("no browser"),
            (Some(origin), DocumentKind::Page) => formatter.write_str(origin)?,
            (Some(origin), _) => write!(formatter, "{kind} {origin}")?,
            (None, _) => formatter.write_str(&kind)?,
        }
        for (name, state) in self.permissions.stated() {
            write!(formatter, " [{name} {}]", crate::outcome::text_of(&state))?;
        }
        if let Some(allow) = &self.allow {
            write!(formatter, " allow=\"{allow}\"")?;
        }
        if let Some(sandbox) = &self.sandbox {
            write!(formatter, " sandbox=\"{sandbox}\"")?;
        }
        for (name, value) in &self.headers {
            write!(formatter, " [{name}: {value}]")?;
        }
        if let Some(within) = &self.within {
            write!(formatter, " in {within}")?;
        }
        Ok(())
    }
}

impl Serialize for Document {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a document: the origin of a top-level page, or an object with \"kind\"")
    }

    fn visit_str<E>(self, origin: &str) -> Result<Document, E> {
        Ok(Document::page(origin))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Document, A::Error> {
        Document::deserialize(MapAccessDeserializer::new(map))
    }
}
