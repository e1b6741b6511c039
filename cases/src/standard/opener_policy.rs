//! HTML, *cross-origin opener policies*: how the header is read, which policies match, and when a navigation of a
//! top-level page goes to another browsing context group.

use crosscheck_servers::Fields;

use super::embedder_policy::{EmbedderPolicy, EmbedderPolicyValue};
use super::origin::Origin;
use super::trace::Decided;

/// *Opener policy value*
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenerPolicy {
    /// No demand. (`html.coop.parse.missing`)
    #[default]
    UnsafeNone,
    /// Only pages of the same origin with the same policy share the group; pop-ups without a policy stay linked.
    SameOriginAllowPopups,
    /// Only pages of the same origin with the same policy share the group.
    SameOrigin,
    /// A pop-up is never linked to who opened it.
    NoopenerAllowPopups,
    /// `same-origin` with an embedder policy that allows for isolation.
    SameOriginPlusCoep,
}

impl OpenerPolicy {
    /// *Obtain an opener policy* from a response's headers, for a top-level page that is a secure context or not.
    #[must_use]
    pub fn obtain(headers: &Fields, is_secure_context: bool) -> Decided<Self> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        let Some(value) = headers.get("cross-origin-opener-policy") else {
            note("html.coop.parse.missing");
            return Decided { outcome: Self::UnsafeNone, follows };
        };
        // 2
        if !is_secure_context {
            note("html.coop.parse.insecure");
            return Decided { outcome: Self::UnsafeNone, follows };
        }
        // 3
        let sent = value.decode();
        // Whitespace around a value is not part of it. (Fetch, *normalize*)
        let text = sent.trim_matches([' ', '\t']);
        let Ok(item) = sfv::Parser::new(text).parse::<sfv::Item>() else {
            // Lines are joined by commas.
            let is_list = text.contains(',');
            note(if is_list { "html.coop.parse.list" } else { "html.coop.parse.unparsable" });
            return Decided { outcome: Self::UnsafeNone, follows };
        };
        if !item.params.is_empty() {
            note("html.coop.parse.parameters");
        }
        if text.len() < sent.len() {
            note("html.coop.parse.whitespace");
        }
        let embedder = EmbedderPolicy::obtain(headers, is_secure_context).outcome;
        // 4
        let outcome = match item.bare_item.as_token().map(sfv::TokenRef::as_str) {
            Some("same-origin") if !embedder.value.is_compatible_with_isolation() => {
                note("html.coop.parse.same-origin");
                if embedder.report_only_value.is_compatible_with_isolation() {
                    note("html.coop.parse.plus-coep-not-report-only");
                }
                Self::SameOrigin
            }
            Some("same-origin") => {
                note("html.coop.parse.same-origin-plus-coep");
                if embedder.value == EmbedderPolicyValue::Credentialless {
                    note("html.coop.parse.plus-coep-credentialless");
                }
                Self::SameOriginPlusCoep
            }
            Some("same-origin-allow-popups") => {
                note("html.coop.parse.allow-popups");
                Self::SameOriginAllowPopups
            }
            Some("noopener-allow-popups") => {
                note("html.coop.parse.noopener-allow-popups");
                Self::NoopenerAllowPopups
            }
            Some("unsafe-none") => {
                note("html.coop.parse.unsafe-none");
                Self::UnsafeNone
            }
            Some("same-origin-plus-COEP") => {
                note("html.coop.parse.plus-coep-literal");
                Self::UnsafeNone
            }
            Some(other) => {
                let known = ["same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none"];
                let is_case = known.iter().any(|known| known.eq_ignore_ascii_case(other));
                note(if is_case { "html.coop.parse.case" } else { "html.coop.parse.invalid-token" });
                Self::UnsafeNone
            }
            None => {
                note("html.coop.parse.string");
                Self::UnsafeNone
            }
        };
        Decided { outcome, follows }
    }

    /// *Match opener policy values*
    #[must_use]
    pub fn matches(self, origin: &Origin, other: Self, other_origin: &Origin) -> Decided<bool> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        let outcome = match (self, other) {
            (Self::UnsafeNone, Self::UnsafeNone) => {
                note("html.coop.match.both-none");
                true
            }
            (Self::UnsafeNone, _) | (_, Self::UnsafeNone) => {
                note("html.coop.match.one-none");
                false
            }
            (one, other) if one == other => {
                let is_same = origin.is_same_origin(other_origin);
                note(if is_same { "html.coop.match.equal-same-origin" } else { "html.coop.match.equal-cross-origin" });
                is_same
            }
            _ => {
                note("html.coop.match.different");
                false
            }
        };
        Decided { outcome, follows }
    }
}

/// A page, or an answer on the way to one.
#[derive(Clone, Copy, Debug)]
pub struct Governed<'p> {
    /// Its opener policy.
    pub policy: OpenerPolicy,
    /// Its origin.
    pub origin: &'p Origin,
}

/// *Check if COOP values require a browsing context group switch*: from what the tab shows, or the answer before, to a
/// response. `is_initial` is whether the tab still shows its initial about:blank, which has the policy of the page
/// that opened it.
fn requires_group_switch(is_initial: bool, current: Governed<'_>, response: Governed<'_>) -> Decided<bool> {
    let Decided { outcome: matches, mut follows } =
        current.policy.matches(current.origin, response.policy, response.origin);
    let mut note = |requirement| follows.push(requirement);
    note("html.coop.nav.initial-about-blank");
    if !is_initial {
        note(if matches { "html.coop.nav.match" } else { "html.coop.nav.mismatch" });
        return Decided { outcome: !matches, follows };
    }
    // 1
    if response.policy == OpenerPolicy::NoopenerAllowPopups {
        note("html.coop.popup.noopener-response");
        return Decided { outcome: true, follows };
    }
    // 2
    let allows_popups = current.policy == OpenerPolicy::SameOriginAllowPopups;
    if response.policy == OpenerPolicy::UnsafeNone
        && (allows_popups || current.policy == OpenerPolicy::NoopenerAllowPopups)
    {
        note(if allows_popups {
            "html.coop.popup.opener-allow-popups"
        } else {
            "html.coop.popup.opener-noopener-allow-popups"
        });
        return Decided { outcome: false, follows };
    }
    // 3 and 4
    match (current.policy, response.policy) {
        (OpenerPolicy::UnsafeNone, OpenerPolicy::UnsafeNone) => {}
        _ if matches => note("html.coop.popup.match"),
        (OpenerPolicy::SameOrigin, OpenerPolicy::UnsafeNone) => note("html.coop.popup.opener-same-origin"),
        (OpenerPolicy::UnsafeNone, OpenerPolicy::SameOrigin) => {
            note("html.coop.popup.opener-none-response-same-origin")
        }
        (OpenerPolicy::UnsafeNone, OpenerPolicy::SameOriginAllowPopups) => {
            note("html.coop.popup.opener-none-response-allow-popups");
        }
        (OpenerPolicy::SameOriginAllowPopups, OpenerPolicy::SameOrigin | OpenerPolicy::SameOriginPlusCoep) => {
            note("html.coop.popup.allow-popups-to-same-origin");
        }
        _ => {}
    }
    Decided { outcome: !matches, follows }
}

/// *Enforce a response's opener policy* over a chain of redirects: whether the page at its end is cut off from what the
/// tab shows or, where that `is_initial`, from the page that opened the tab.
#[must_use]
pub fn switches_group(is_initial: bool, shown: Governed<'_>, responses: &[Governed<'_>]) -> Decided<bool> {
    let mut decided = Decided { outcome: false, follows: Vec::new() };
    let mut current = shown;
    for response in responses {
        let step = requires_group_switch(is_initial, current, *response);
        decided.follows.extend(step.follows);
        if responses.len() > 1 {
            let mut note = |requirement| decided.follows.push(requirement);
            note("html.coop.enforce.redirects");
            if decided.outcome || step.outcome {
                note("html.coop.enforce.sticky");
            }
        }
        decided.outcome |= step.outcome;
        current = *response;
    }
    decided
}

#[cfg(test)]
mod tests {
    use super::OpenerPolicy::{NoopenerAllowPopups, SameOrigin, SameOriginAllowPopups, SameOriginPlusCoep, UnsafeNone};
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&url.parse().expect("a URL"))
    }

    #[test]
    fn how_the_header_is_read() {
        let (coep, report) = ("Cross-Origin-Embedder-Policy", "Cross-Origin-Embedder-Policy-Report-Only");
        let (corp, less) = (&[(coep, "require-corp")][..], &[(coep, "credentialless")][..]);
        let none = &[][..];
        for (lines, others, outcome, follows) in [
            (&[][..], none, UnsafeNone, &["missing"][..]),
            (&["same-origin"], none, SameOrigin, &["same-origin"]),
            (&["same-origin"], corp, SameOriginPlusCoep, &["same-origin-plus-coep"]),
            (&["same-origin"], less, SameOriginPlusCoep, &["same-origin-plus-coep", "plus-coep-credentialless"]),
            (&["same-origin"], &[(report, "require-corp")], SameOrigin, &["same-origin", "plus-coep-not-report-only"]),
            (&["same-origin-allow-popups"], corp, SameOriginAllowPopups, &["allow-popups"]),
            (&["noopener-allow-popups"], corp, NoopenerAllowPopups, &["noopener-allow-popups"]),
            (&["unsafe-none"], corp, UnsafeNone, &["unsafe-none"]),
            (&["same-origin-plus-COEP"], corp, UnsafeNone, &["plus-coep-literal"]),
            (&["Same-Origin"], none, UnsafeNone, &["case"]),
            (&["nobody"], none, UnsafeNone, &["invalid-token"]),
            (&["\"same-origin\""], none, UnsafeNone, &["string"]),
            (&["same-origin", "same-origin"], none, UnsafeNone, &["list"]),
            (&["same-origin, same-origin"], none, UnsafeNone, &["list"]),
            (&["same-origin same-origin"], none, UnsafeNone, &["unparsable"]),
            (&["same-origin; x=1"], none, SameOrigin, &["parameters", "same-origin"]),
            (&[" same-origin"], none, SameOrigin, &["whitespace", "same-origin"]),
            (&["same-origin\t"], none, SameOrigin, &["whitespace", "same-origin"]),
        ] {
            let lines = lines.iter().map(|line| ("Cross-Origin-Opener-Policy", *line));
            let headers: Fields =
                lines.chain(others.iter().copied()).map(|(name, value)| (name.into(), value.into())).collect();
            let decided = OpenerPolicy::obtain(&headers, true);
            let follows: Vec<String> = follows.iter().map(|id| format!("html.coop.parse.{id}")).collect();
            assert_eq!(decided.outcome, outcome, "{headers:?}");
            assert_eq!(decided.follows, follows, "{headers:?}");
            if headers.contains("cross-origin-opener-policy") {
                let ignored = Decided { outcome: UnsafeNone, follows: vec!["html.coop.parse.insecure"] };
                assert_eq!(OpenerPolicy::obtain(&headers, false), ignored, "{headers:?}");
            }
        }
    }

    #[test]
    fn when_a_pop_up_is_cut_off_and_when_a_page_that_is_left() {
        let (own, other) = ("https://page.test", "https://api.page.test");
        let (kept, kept_by_noopener) = ("popup.opener-allow-popups", "popup.opener-noopener-allow-popups");
        let (none_to_own, none_to_popups) =
            ("popup.opener-none-response-same-origin", "popup.opener-none-response-allow-popups");
        let different = "popup.allow-popups-to-same-origin";
        // The opener's policy, that of the pop-up and its origin; whether they match, and by which rule; whether the
        // pop-up is cut off, and by which rule, if one speaks of it.
        for (opener, response, at, (matches, by), (switches, popup)) in [
            (UnsafeNone, UnsafeNone, other, (true, "both-none"), (false, None)),
            (UnsafeNone, SameOrigin, own, (false, "one-none"), (true, Some(none_to_own))),
            (UnsafeNone, SameOriginAllowPopups, own, (false, "one-none"), (true, Some(none_to_popups))),
            (UnsafeNone, SameOriginPlusCoep, own, (false, "one-none"), (true, None)),
            (UnsafeNone, NoopenerAllowPopups, own, (false, "one-none"), (true, Some("popup.noopener-response"))),
            (SameOrigin, UnsafeNone, own, (false, "one-none"), (true, Some("popup.opener-same-origin"))),
            (SameOrigin, SameOrigin, own, (true, "equal-same-origin"), (false, Some("popup.match"))),
            (SameOrigin, SameOrigin, other, (false, "equal-cross-origin"), (true, None)),
            (SameOrigin, SameOriginPlusCoep, own, (false, "different"), (true, None)),
            (SameOriginPlusCoep, SameOriginPlusCoep, own, (true, "equal-same-origin"), (false, Some("popup.match"))),
            (SameOriginAllowPopups, UnsafeNone, other, (false, "one-none"), (false, Some(kept))),
            (SameOriginAllowPopups, SameOrigin, own, (false, "different"), (true, Some(different))),
            (SameOriginAllowPopups, SameOriginPlusCoep, own, (false, "different"), (true, Some(different))),
            (
                SameOriginAllowPopups,
                SameOriginAllowPopups,
                own,
                (true, "equal-same-origin"),
                (false, Some("popup.match")),
            ),
            (SameOriginAllowPopups, SameOriginAllowPopups, other, (false, "equal-cross-origin"), (true, None)),
            (NoopenerAllowPopups, UnsafeNone, own, (false, "one-none"), (false, Some(kept_by_noopener))),
            (
                NoopenerAllowPopups,
                NoopenerAllowPopups,
                own,
                (true, "equal-same-origin"),
                (true, Some("popup.noopener-response")),
            ),
        ] {
            let (opener_origin, origin) = (origin(own), origin(at));
            let opener = Governed { policy: opener, origin: &opener_origin };
            let response = Governed { policy: response, origin: &origin };
            let row = format!("{opener:?} {response:?}");
            let both = [format!("html.coop.match.{by}"), "html.coop.nav.initial-about-blank".to_owned()];

            let opened = switches_group(true, opener, &[response]);
            assert_eq!(opened.outcome, switches, "{row}");
            let follows = both.iter().cloned().chain(popup.map(|id| format!("html.coop.{id}")));
            assert_eq!(opened.follows, follows.collect::<Vec<_>>(), "{row}");

            let gone_on = switches_group(false, opener, &[response]);
            assert_eq!(gone_on.outcome, !matches, "{row}");
            let rule = if matches { "html.coop.nav.match" } else { "html.coop.nav.mismatch" };
            assert_eq!(gone_on.follows, [&both[..], &[rule.to_owned()]].concat(), "{row}");
        }
    }

    #[test]
    fn one_switch_on_the_way_is_enough() {
        let origin = origin("https://page.test");
        let (every, sticky) = ("html.coop.enforce.redirects", "html.coop.enforce.sticky");
        for (chain, switches, follows) in [
            (&[UnsafeNone][..], false, &[][..]),
            (&[SameOrigin], true, &[]),
            (&[UnsafeNone, UnsafeNone], false, &[every, every]),
            (&[SameOrigin, UnsafeNone], true, &[every, sticky, every, sticky]),
            (&[UnsafeNone, SameOrigin], true, &[every, every, sticky]),
            (&[SameOrigin, SameOrigin], true, &[every, sticky, every, sticky]),
        ] {
            let governed = |policy: &OpenerPolicy| Governed { policy: *policy, origin: &origin };
            let responses: Vec<Governed<'_>> = chain.iter().map(governed).collect();
            let decided = switches_group(false, governed(&UnsafeNone), &responses);
            assert_eq!(decided.outcome, switches, "{chain:?}");
            let mut followed = decided.follows;
            followed.retain(|id| id.starts_with("html.coop.enforce."));
            assert_eq!(followed, follows, "{chain:?}");
        }
    }
}
