//! HTML, *cross-origin isolation*: which pages, frames and workers have it, and what it gives them.

use std::time::Duration;

use super::client::Client;
use super::embedder_policy::EmbedderPolicy;
use super::opener_policy::OpenerPolicy;
use super::origin::Origin;
use super::permissions_policy::is_allowed;
use super::trace::Decided;
use crate::{Document, DocumentKind};

/// *Cross-origin isolation mode* of a browsing context group or an agent cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IsolationMode {
    /// Not isolated.
    #[default]
    None,
    /// The restrictions apply, and nothing is given for them.
    Logical,
    /// Isolated, with all that comes with it.
    Concrete,
}

/// What a window or worker has of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Isolation {
    /// The mode of its agent cluster.
    pub mode: IsolationMode,
    /// The *cross-origin isolated capability*: what `crossOriginIsolated` says.
    pub is_capable: bool,
}

impl Isolation {
    /// What a case's document or worker has. `chosen` is the mode that the browser gives to groups and shared workers that
    /// can be isolated: concrete, or logical where it does not put them into processes of their own.
    #[must_use]
    pub fn of(document: &Document, chosen: IsolationMode) -> Decided<Self> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        let outcome = match (document.kind, document.within.as_deref()) {
            (DocumentKind::None, _) => Self::default(),
            // Service Workers has the same for the workers that it runs.
            (DocumentKind::SharedWorker | DocumentKind::ServiceWorker, _) => {
                let client = Client::of(document, "/");
                note("html.coi.worker.shared");
                let can_be = client.embedder_policy.value.is_compatible_with_isolation();
                let mode = if can_be { chosen } else { IsolationMode::None };
                Self { mode, is_capable: mode == IsolationMode::Concrete }
            }
            // *Run a worker*: in its owner's agent cluster.
            (DocumentKind::Worker | DocumentKind::DataWorker, Some(owner)) => {
                let owner = Self::of(owner, chosen).outcome;
                let is_data = document.kind == DocumentKind::DataWorker;
                note(if is_data { "html.coi.worker.data" } else { "html.coi.worker.dedicated" });
                let is_capable = owner.mode == IsolationMode::Concrete && owner.is_capable && !is_data;
                Self { mode: owner.mode, is_capable }
            }
            // *Set up a window environment settings object*
            (kind, within) => {
                let above = within.filter(|_| kind.is_frame());
                let group = match above {
                    Some(container) => Self::of(container, chosen).outcome.mode,
                    None => {
                        let group = mode_of_group(document, chosen);
                        follows.extend(group.follows);
                        group.outcome
                    }
                };
                let allowed = is_allowed(document, "cross-origin-isolated");
                let is_capable = group == IsolationMode::Concrete && allowed;
                let mut note = |requirement| follows.push(requirement);
                if let Some(container) = above {
                    let is_same = container.active_origin().is_same_origin(&document.active_origin());
                    note(match (is_same, &document.allow) {
                        (true, _) => "html.coi.frame.same-origin",
                        (false, None) => "html.coi.frame.cross-origin-default",
                        (false, Some(_)) => "html.coi.frame.cross-origin-allowed",
                    });
                } else if is_capable {
                    note("html.coi.top-level.true");
                } else if group == IsolationMode::Logical {
                    note("html.coi.logical");
                } else if group == IsolationMode::Concrete {
                    note("html.coi.permissions-policy-off");
                }
                Self { mode: group, is_capable }
            }
        };
        Decided { outcome, follows }
    }

    /// *Create a new realm*, 5: whether the global object has a SharedArrayBuffer.
    #[must_use]
    pub fn has_shared_array_buffer(self) -> Decided<bool> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        note("html.coi.sab.constructor");
        Decided { outcome: self.mode != IsolationMode::None, follows }
    }

    /// *StructuredSerializeInternal*, 13: whether shared memory can be sent or, `for_storage`, kept.
    #[must_use]
    pub fn serializes_shared_memory(self, for_storage: bool) -> Decided<bool> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        note("html.coi.sab.serialize");
        if self.is_capable {
            note("html.coi.sab.storage");
        }
        Decided { outcome: self.is_capable && !for_storage, follows }
    }

    /// *Obtain a similar-origin window agent*: whether shared memory that one window of a group sends to another arrives
    /// there, as it does within an agent cluster alone.
    #[must_use]
    pub fn shares_memory(self, origin: &Origin, other: &Origin) -> Decided<bool> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        note("html.coi.sab.other-cluster");
        let outcome = match self.mode {
            IsolationMode::None => origin.is_same_site(other),
            IsolationMode::Logical | IsolationMode::Concrete => origin.is_same_origin(other),
        };
        Decided { outcome, follows }
    }

    /// Whether a valid `document.domain` changes the origin's domain: not in agent clusters that are keyed by origin, as
    /// all of an isolated group are.
    #[must_use]
    pub fn changes_domain(self) -> Decided<bool> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        let outcome = self.mode == IsolationMode::None;
        if !outcome {
            note("html.coi.document-domain");
            note("html.document-domain.set.origin-keyed-noop");
        }
        Decided { outcome, follows }
    }

    /// High Resolution Time, *coarsen time*: the finest resolution that times may have.
    #[must_use]
    pub fn time_resolution(self) -> Decided<Duration> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        note("html.coi.time-precision");
        Decided { outcome: Duration::from_micros(if self.is_capable { 5 } else { 100 }), follows }
    }

    /// Measure Memory: whether `measureUserAgentSpecificMemory` may be asked.
    #[must_use]
    pub fn measures_memory(self) -> Decided<bool> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        note("html.coi.measure-memory");
        Decided { outcome: self.is_capable, follows }
    }
}

/// The mode of the browsing context group of a top-level page. (*Obtain a browsing context to use for a navigation
/// response*)
fn mode_of_group(page: &Document, chosen: IsolationMode) -> Decided<IsolationMode> {
    let is_secure_context = Client::of(page, "/").is_secure_context;
    let headers = page.fields();
    let embedder = EmbedderPolicy::obtain(&headers, is_secure_context).outcome;
    let Decided { outcome: opener, mut follows } = OpenerPolicy::obtain(&headers, is_secure_context);
    let mut note = |requirement| follows.push(requirement);
    if opener == OpenerPolicy::SameOriginPlusCoep {
        note("html.coop.switch.isolation");
        return Decided { outcome: chosen, follows };
    }
    let reports_opener = headers.contains("cross-origin-opener-policy-report-only");
    if !is_secure_context {
        note("html.coi.insecure");
    } else if reports_opener || embedder.report_only_value.is_compatible_with_isolation() {
        note("html.coi.report-only");
    }
    match opener {
        OpenerPolicy::UnsafeNone => note("html.coi.top-level.no-coop"),
        OpenerPolicy::SameOrigin => note("html.coi.top-level.no-coep"),
        OpenerPolicy::SameOriginAllowPopups | OpenerPolicy::NoopenerAllowPopups => {
            note("html.coi.top-level.allow-popups");
        }
        OpenerPolicy::SameOriginPlusCoep => {}
    }
    Decided { outcome: IsolationMode::None, follows }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(origin: &str, headers: &[(&str, &str)]) -> Document {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Document { headers, ..Document::page(origin) }
    }

    #[test]
    fn which_top_level_pages_are_isolated_and_why_others_are_not() {
        use IsolationMode::{Concrete, Logical, None};
        let https = "https://page.test";
        let coop = ("Cross-Origin-Opener-Policy", "same-origin");
        let coop_report = ("Cross-Origin-Opener-Policy-Report-Only", "same-origin");
        let popups = ("Cross-Origin-Opener-Policy", "same-origin-allow-popups");
        let coep = ("Cross-Origin-Embedder-Policy", "require-corp");
        let coep_report = ("Cross-Origin-Embedder-Policy-Report-Only", "require-corp");
        let off = ("Permissions-Policy", "cross-origin-isolated=()");
        let switch = "html.coop.switch.isolation";
        for (origin, headers, chosen, mode, is_capable, follows) in [
            (https, &[coop, coep][..], Concrete, Concrete, true, &[switch, "html.coi.top-level.true"][..]),
            (https, &[coop, coep], Logical, Logical, false, &[switch, "html.coi.logical"]),
            (https, &[coop, coep, off], Concrete, Concrete, false, &[switch, "html.coi.permissions-policy-off"]),
            (https, &[coop, coep, off], Logical, Logical, false, &[switch, "html.coi.logical"]),
            (https, &[], Concrete, None, false, &["html.coi.top-level.no-coop"]),
            (https, &[coep], Concrete, None, false, &["html.coi.top-level.no-coop"]),
            (https, &[coop], Concrete, None, false, &["html.coi.top-level.no-coep"]),
            (https, &[popups, coep], Concrete, None, false, &["html.coi.top-level.allow-popups"]),
            (
                https,
                &[coop, coep_report],
                Concrete,
                None,
                false,
                &["html.coi.report-only", "html.coi.top-level.no-coep"],
            ),
            (
                https,
                &[coop_report, coep],
                Concrete,
                None,
                false,
                &["html.coi.report-only", "html.coi.top-level.no-coop"],
            ),
            (
                "http://page.test",
                &[coop, coep, coop_report],
                Concrete,
                None,
                false,
                &["html.coi.insecure", "html.coi.top-level.no-coop"],
            ),
        ] {
            let decided = Isolation::of(&page(origin, headers), chosen);
            assert_eq!(decided.outcome, Isolation { mode, is_capable }, "{headers:?} {chosen:?}");
            let mut followed = decided.follows;
            // How the header is read is shown elsewhere.
            followed.retain(|id| !id.starts_with("html.coop.parse."));
            assert_eq!(followed, follows, "{headers:?} {chosen:?}");
        }
    }

    #[test]
    fn only_isolated_pages_keep_their_domain() {
        let noop = ["html.coi.document-domain", "html.document-domain.set.origin-keyed-noop"];
        for (mode, outcome, follows) in [
            (IsolationMode::None, true, &[][..]),
            (IsolationMode::Logical, false, &noop),
            (IsolationMode::Concrete, false, &noop),
        ] {
            let decided = Isolation { mode, is_capable: false }.changes_domain();
            assert_eq!(decided, Decided { outcome, follows: follows.to_vec() }, "{mode:?}");
        }
    }
}
