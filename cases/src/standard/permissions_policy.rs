//! Permissions Policy, as far as the local network asks for it: whether a document may use a feature at all.

use std::cell::LazyCell;

use super::origin::Origin;
use crate::{Document, DocumentKind};

/// *Allowed to use* for a feature whose default allowlist is `'self'`.
///
/// A document is allowed where nothing above it takes the feature away: the top-level page has it, a frame gets it from a
/// document of its own origin, or by the frame's `allow` attribute (`lna.permission.default-self`), and every
/// document's own header can take it away. Workers have it from the document that started them.
pub(crate) fn is_allowed(document: &Document, feature: &str) -> bool {
    let own = LazyCell::new(|| document.active_origin());
    let declared = |document: &Document| match declaration(document, feature) {
        Some(allowlist) => allowlist.takes(&own, &document.active_origin()),
        None => true,
    };
    let parent = document.within.as_deref().filter(|_| document.kind != DocumentKind::Popup);
    let inherited = match parent {
        None => true,
        Some(parent) if !is_allowed(parent, feature) => false,
        Some(_) if !document.kind.is_frame() => true,
        Some(parent) if !declared(parent) => false,
        Some(parent) => match container(document, feature) {
            Some(allowlist) => {
                let source = document.origin.as_deref().and_then(|source| source.parse().ok());
                allowlist.takes_from(&own, &parent.active_origin(), source.as_ref())
            }
            None => parent.active_origin().is_same_origin(&own),
        },
    };
    inherited && declared(document)
}

/// An allowlist of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Allowlist {
    everybody: bool,
    own: bool,
    source: bool,
    origins: Vec<String>,
}

impl Allowlist {
    fn add(&mut self, word: &str) {
        match word {
            "*" => self.everybody = true,
            "self" | "'self'" => self.own = true,
            "src" | "'src'" => self.source = true,
            "'none'" => {}
            other => self.origins.push(other.to_owned()),
        }
    }

    /// Whether it takes an origin; `own` is that of the document whose policy it is.
    fn takes(&self, origin: &Origin, own: &Origin) -> bool {
        self.takes_from(origin, own, None)
    }

    fn takes_from(&self, origin: &Origin, own: &Origin, source: Option<&url::Url>) -> bool {
        let is = |url: &str| url.parse().is_ok_and(|url| origin.is_origin_of(&url));
        self.everybody
            || (self.own && own.is_same_origin(origin))
            // A frame without a URL of its own has the origin of its container, which `src` then means.
            || (self.source && source.map_or(own.is_same_origin(origin), |url| origin.is_origin_of(url)))
            || self.origins.iter().any(|url| is(url))
    }
}

/// What the `Permissions-Policy` lines of a document say about a feature: a structured dictionary.
fn declaration(document: &Document, feature: &str) -> Option<Allowlist> {
    let joined = document.fields().get("permissions-policy")?.decode().into_owned();
    let dictionary: sfv::Dictionary = sfv::Parser::new(&joined).parse().ok()?;
    let word = |item: &sfv::BareItem| match item {
        sfv::BareItem::Token(token) => Some(token.as_str().to_owned()),
        sfv::BareItem::String(text) => Some(text.as_str().to_owned()),
        _ => None,
    };
    let mut allowlist = Allowlist::default();
    match dictionary.get(feature)? {
        sfv::ListEntry::Item(item) => word(&item.bare_item).iter().for_each(|one| allowlist.add(one)),
        sfv::ListEntry::InnerList(list) => {
            list.items.iter().filter_map(|item| word(&item.bare_item)).for_each(|one| allowlist.add(&one));
        }
    }
    Some(allowlist)
}

/// What the `allow` attribute of a document's frame says about a feature; a name alone means `'src'`.
fn container(document: &Document, feature: &str) -> Option<Allowlist> {
    let directive = document.allow.as_deref()?.split(';').map(str::trim).find_map(|directive| {
        let rest = directive.strip_prefix(feature)?;
        (rest.is_empty() || rest.starts_with(' ')).then_some(rest)
    })?;
    let mut allowlist = Allowlist { source: directive.trim().is_empty(), ..Allowlist::default() };
    directive.split_ascii_whitespace().for_each(|word| allowlist.add(word));
    Some(allowlist)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_use_a_feature() {
        let page = |policy: &str| {
            let mut page = Document::page("https://a.test");
            if !policy.is_empty() {
                page.headers.push(("Permissions-Policy".to_owned(), policy.to_owned()));
            }
            page
        };
        let frame = |origin: &str, allow: Option<&str>, within: Document| Document {
            kind: DocumentKind::Iframe,
            allow: allow.map(str::to_owned),
            within: Some(Box::new(within)),
            ..Document::page(origin)
        };
        let worker = |kind: DocumentKind, within: Document| Document {
            kind,
            origin: kind.from_network().then(|| "https://a.test".to_owned()),
            within: Some(Box::new(within)),
            ..Document::page("https://a.test")
        };
        for (allowed, document) in [
            (true, page("")),
            (false, page("x=()")),
            (true, page("x=self")),
            (true, page("x=*")),
            (true, page("y=()")),
            (true, frame("https://a.test", None, page(""))),
            (false, frame("https://b.test", None, page(""))),
            (true, frame("https://b.test", Some("x"), page(""))),
            (false, frame("https://b.test", Some("xy"), page(""))),
            (true, frame("https://b.test", Some("y; x *"), page(""))),
            (false, frame("https://b.test", Some("x 'none'"), page(""))),
            (false, frame("https://b.test", Some("x 'self'"), page(""))),
            (true, frame("https://b.test", Some("x https://b.test"), page(""))),
            (false, frame("https://b.test", Some("x https://c.test"), page(""))),
            (false, frame("https://b.test", Some("x"), page("x=self"))),
            (true, frame("https://b.test", Some("x"), page("x=(self \"https://b.test\")"))),
            (false, frame("https://a.test", Some("x"), frame("https://b.test", None, page("")))),
            (true, worker(DocumentKind::Worker, page(""))),
            (false, worker(DocumentKind::Worker, page("x=()"))),
            (false, worker(DocumentKind::Worker, frame("https://b.test", None, page("")))),
            // Its origin is opaque, and it has what its owner has nevertheless.
            (true, worker(DocumentKind::DataWorker, page(""))),
            (true, worker(DocumentKind::DataWorker, page("x=self"))),
            (false, worker(DocumentKind::DataWorker, page("x=()"))),
        ] {
            assert_eq!(is_allowed(&document, "x"), allowed, "{document} {:?}", document.allow);
        }
    }
}
