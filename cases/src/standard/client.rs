//! Who makes requests: the environment of a page, frame or worker.

use url::Url;

use super::csp::ContentPolicies;
use super::embedder_policy::{Containers, CreationUrl, EmbedderPolicy};
use super::lna::{AddressSpace, Permission};
use super::origin::Origin;
use super::permissions_policy::is_allowed;
use super::referrer::{DEFAULT_POLICY, parse_policy};
use crate::{Document, DocumentKind, PermissionState, space_of_host};

/// An environment settings object, as far as cross-origin rules look at it.
#[derive(Clone, Debug)]
pub struct Client {
    /// The origin.
    pub origin: Origin,
    /// What relative URLs are resolved against; nothing for documents with a `data:` URL.
    pub(crate) base: Option<Url>,
    /// The URL that a Referer comes from; nothing for opaque origins.
    pub(crate) referrer_source: Option<Url>,
    /// The site of the top-level page.
    pub(crate) top_level: Origin,
    /// Whether a document above it is of another site.
    pub(crate) has_cross_site_ancestor: bool,
    /// Whether a document above it has a trustworthy origin.
    is_below_trustworthy: bool,
    /// *Does settings prohibit mixed security contexts?*
    pub prohibits_mixed_content: bool,
    /// Whether it and all above it are trustworthy.
    pub is_secure_context: bool,
    pub(crate) referrer_policy: String,
    /// The embedder policy.
    pub embedder_policy: EmbedderPolicy,
    pub(crate) content_policies: Vec<ContentPolicies>,
    /// Whether it is a window (a worker otherwise).
    pub(crate) is_window: bool,
    /// The address space that it came from.
    pub address_space: AddressSpace,
    /// The address space of every host that is no literal address, where the client's resolver leads all to one; else the
    /// fake network's ([`space_of_host`]).
    pub space_of_names: Option<AddressSpace>,
    /// The permission *local-network*.
    pub local_network_permission: Permission,
    /// The permission *loopback-network*.
    pub loopback_network_permission: Permission,
}

impl Client {
    /// The environment of a case's document. `path` is that of the document's URL.
    #[must_use]
    pub fn of(document: &Document, path: &str) -> Self {
        let parent = document.within.as_deref().map(|within| Self::of(within, path));
        let own = document.active_origin();
        let url = document
            .origin
            .as_deref()
            .and_then(|origin| Url::parse(&format!("{origin}{path}{}", document.kind.file_name())).ok());
        let header = |name: &str| document.fields().get(name).map(|value| value.decode().into_owned());
        let inherits = matches!(
            document.kind,
            DocumentKind::Srcdoc | DocumentKind::Data | DocumentKind::Blob | DocumentKind::DataWorker
        );
        let inherited = parent.as_ref().filter(|_| inherits);
        let from_network = url.as_ref().map(Origin::of);
        let trustworthy = match &from_network {
            Some(origin) => origin.is_potentially_trustworthy(),
            None => inherited.is_some_and(|parent| parent.is_secure_context),
        };
        let is_worker = matches!(
            document.kind,
            DocumentKind::Worker | DocumentKind::DataWorker | DocumentKind::SharedWorker | DocumentKind::ServiceWorker
        );
        let base = match document.kind {
            DocumentKind::Srcdoc => inherited.and_then(|parent| parent.base.clone()),
            _ => url.clone(),
        };
        // Referrer Policy, *determine request's referrer*: documents of opaque origins have none, a srcdoc document has
        // its container's.
        let referrer_source = match document.kind {
            DocumentKind::Srcdoc => inherited.and_then(|parent| parent.referrer_source.clone()),
            _ => url,
        }
        .filter(|_| own != Origin::Opaque);
        let opens = document.kind == DocumentKind::Popup;
        let above = parent.as_ref().filter(|_| !opens);
        let mut content_policies = inherited.map_or_else(Vec::new, |parent| parent.content_policies.clone());
        content_policies.extend(
            document
                .fields()
                .all("content-security-policy")
                .map(|value| ContentPolicies { value: value.decode().into_owned(), own: from_network.clone() }),
        );
        let top = document.top().permissions;
        let is_secure_context = trustworthy && above.is_none_or(|parent| parent.is_secure_context);
        let is_below_trustworthy =
            above.is_some_and(|parent| parent.is_below_trustworthy || parent.origin.is_potentially_trustworthy());
        Self {
            base,
            referrer_source,
            is_below_trustworthy,
            top_level: above.map_or_else(|| own.clone(), |parent| parent.top_level.clone()),
            has_cross_site_ancestor: above.is_some_and(|parent| {
                parent.has_cross_site_ancestor
                    || !(parent.origin.is_same_site(&own) || (is_worker && parent.origin == own))
            }),
            prohibits_mixed_content: own.is_potentially_trustworthy() || (!is_worker && is_below_trustworthy),
            is_secure_context,
            referrer_policy: header("referrer-policy")
                .and_then(|value| parse_policy(&value))
                .or_else(|| inherited.map(|parent| parent.referrer_policy.clone()))
                .unwrap_or_else(|| DEFAULT_POLICY.to_owned()),
            embedder_policy: embedder_policy(document, parent.as_ref(), is_secure_context),
            content_policies,
            is_window: !is_worker,
            address_space: match (inherited, &from_network) {
                (Some(parent), _) => parent.address_space, // lna.html.inherit
                (None, Some(Origin::Tuple(origin))) => space_of_host(&origin.host), // lna.html.response
                (None, _) => AddressSpace::Loopback,
            },
            space_of_names: None,
            local_network_permission: permission(document, "local-network", top.local_network),
            loopback_network_permission: permission(document, "loopback-network", top.loopback_network),
            origin: own,
        }
    }
}

/// The embedder policy of a document or worker. What makes a local one started its navigation, and is around it.
fn embedder_policy(document: &Document, maker: Option<&Client>, is_secure_context: bool) -> EmbedderPolicy {
    let response = EmbedderPolicy::obtain(&document.fields(), is_secure_context).outcome;
    let maker = maker.map(|maker| &maker.embedder_policy);
    let url = match document.kind {
        DocumentKind::Srcdoc => CreationUrl::Srcdoc,
        DocumentKind::Blob => CreationUrl::Blob,
        DocumentKind::Data | DocumentKind::DataWorker => CreationUrl::Local,
        _ => CreationUrl::Network,
    };
    let containers = Containers { history: None, initiator: maker, parent: maker, response: Some(&response) };
    // For workers another algorithm says the same.
    EmbedderPolicy::of_document(url, containers).outcome
}

/// What a permission of the top-level page lets a document do.
fn permission(document: &Document, name: &str, state: Option<PermissionState>) -> Permission {
    match state {
        _ if !is_allowed(document, name) => Permission::NotAllowed,
        Some(PermissionState::Granted) => Permission::Granted,
        Some(PermissionState::Denied) => Permission::Denied,
        None => Permission::Unanswered,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn client(document: &Value) -> Client {
        Client::of(&serde_json::from_value(document.clone()).expect("a document"), "/path")
    }

    #[test]
    fn a_srcdoc_document_has_the_base_of_its_container() {
        let base = |document: Value| client(&document).base.map(|base| base.to_string());
        let srcdoc = json!({"kind": "srcdoc", "in": "https://page.test"});
        assert_eq!(base(srcdoc).as_deref(), Some("https://page.test/path"));
        assert_eq!(base(json!({"kind": "data", "in": "https://page.test"})), None);
        assert_eq!(base(json!("https://page.test")).as_deref(), Some("https://page.test/path"));
    }

    #[test]
    fn what_is_below_another_site_has_a_cross_site_ancestor() {
        let other = json!({"kind": "iframe", "origin": "https://other.test", "in": "https://page.test"});
        for (document, has) in [
            (json!("https://page.test"), false),
            (json!({"kind": "iframe", "origin": "https://api.page.test", "in": "https://page.test"}), false),
            (other.clone(), true),
            (json!({"kind": "iframe", "origin": "https://page.test", "in": other}), true),
            (json!({"kind": "worker", "origin": "https://page.test", "in": "https://page.test"}), false),
            (json!({"kind": "data-worker", "in": "https://page.test"}), true),
            (json!({"kind": "popup", "origin": "https://other.test", "in": "https://page.test"}), false),
        ] {
            assert_eq!(client(&document).has_cross_site_ancestor, has, "{document}");
        }
    }
}
