//! HTML, *sandboxing*: which flags a frame's attribute and a response's policy set, to whom they pass on, and what a
//! sandboxed document may still do.

use crosscheck_servers::Fields;

use super::trace::Decided;

/// A flag of a *sandboxing flag set*, as far as a page can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxingFlag {
    /// No navigation of others, but of own frames, of the top-level page and of own pop-ups.
    Navigation = 1 << 0,
    /// No pop-ups.
    AuxiliaryNavigation = 1 << 1,
    /// No navigation of the top-level page without the user.
    TopLevelNavigationWithoutUserActivation = 1 << 2,
    /// No navigation of the top-level page by the user's doing.
    TopLevelNavigationWithUserActivation = 1 << 3,
    /// An opaque origin.
    Origin = 1 << 4,
    /// No submission of forms.
    Forms = 1 << 5,
    /// No scripts.
    Scripts = 1 << 6,
    /// No setting of document.domain.
    DocumentDomain = 1 << 7,
    /// Pop-ups have the same flags.
    PropagatesToAuxiliary = 1 << 8,
    /// No alert, confirm and prompt.
    Modals = 1 << 9,
    /// No downloads.
    Downloads = 1 << 10,
}

use SandboxingFlag as Flag;

/// Each flag with the tokens of which any leaves it out.
const FLAGS: [(Flag, &[&str]); 11] = [
    (Flag::Navigation, &[]),
    (Flag::AuxiliaryNavigation, &["allow-popups"]),
    (Flag::TopLevelNavigationWithoutUserActivation, &["allow-top-navigation"]),
    (Flag::TopLevelNavigationWithUserActivation, &["allow-top-navigation", "allow-top-navigation-by-user-activation"]),
    (Flag::Origin, &["allow-same-origin"]),
    (Flag::Forms, &["allow-forms"]),
    (Flag::Scripts, &["allow-scripts"]),
    (Flag::DocumentDomain, &[]),
    (Flag::PropagatesToAuxiliary, &["allow-popups-to-escape-sandbox"]),
    (Flag::Modals, &["allow-modals"]),
    (Flag::Downloads, &["allow-downloads"]),
];

/// *Sandboxing flag set*; the default one is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SandboxingFlags(u16);

/// What a navigable is to the document that wants to navigate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Its own navigable.
    Itself,
    /// A frame within it.
    Descendant,
    /// The top-level page above it.
    Top,
    /// A frame between it and the top-level page.
    FrameAbove,
    /// A pop-up that it opened itself, whose *one permitted sandboxed navigator* it is.
    OwnPopup,
    /// Another top-level page.
    OtherTop,
    /// Any other frame.
    OtherFrame,
}

impl SandboxingFlags {
    /// *Parse a sandboxing directive*: the value of a `sandbox` attribute, or of a policy's directive.
    #[must_use]
    pub fn parse(directive: &str) -> Decided<Self> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        // 1
        note("html.sandbox.tokens-case");
        let tokens: Vec<String> = directive.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
        if tokens.is_empty() {
            note("html.sandbox.empty");
        }
        // 2, 3
        let relaxed = |by: &&[&str]| by.iter().any(|keyword| tokens.iter().any(|token| token == keyword));
        let set = FLAGS.iter().filter(|(_, by)| !relaxed(by)).map(|(flag, _)| *flag as u16).sum();
        Decided { outcome: Self(set), follows }
    }

    /// *CSP-derived sandboxing flags* of a response's policies: report-only ones do not count, and the last of several
    /// `sandbox` directives does.
    #[must_use]
    pub fn of_policies(headers: &Fields) -> Decided<Self> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        note("html.sandbox.csp");
        let values: Vec<String> =
            headers.all("content-security-policy").map(|value| value.decode().into_owned()).collect();
        let policies = values.iter().flat_map(|value| value.split(','));
        let Some(directive) = policies.rev().find_map(sandbox_directive) else {
            return Decided { outcome: Self::default(), follows };
        };
        let parsed = Self::parse(directive);
        follows.extend(parsed.follows);
        Decided { outcome: parsed.outcome, follows }
    }

    /// *Determine the creation sandboxing flags* of a frame: those of its attribute, where it has one, and those of the
    /// document around it.
    #[must_use]
    pub fn of_frame(attribute: Option<&str>, embedder: Self) -> Decided<Self> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        note("html.sandbox.nested");
        let own = attribute.map(Self::parse);
        let set = own.as_ref().map_or(0, |own| own.outcome.0);
        follows.extend(own.into_iter().flat_map(|own| own.follows));
        Decided { outcome: Self(set | embedder.0), follows }
    }

    /// *Determine the creation sandboxing flags* of a pop-up: its opener's, unless they leave pop-ups alone.
    #[must_use]
    pub fn of_popup(opener: Self) -> Decided<Self> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        note("html.sandbox.popups-inherit");
        let outcome = if opener.has(Flag::PropagatesToAuxiliary) { opener } else { Self::default() };
        Decided { outcome, follows }
    }

    /// *Final sandboxing flag set* of the document that a response becomes: its frame's or pop-up's flags and those of
    /// its own policies.
    #[must_use]
    pub fn with_policies(self, headers: &Fields) -> Decided<Self> {
        let Decided { outcome, mut follows } = Self::of_policies(headers);
        let mut note = |requirement| follows.push(requirement);
        note("html.sandbox.csp-union");
        Decided { outcome: Self(self.0 | outcome.0), follows }
    }

    /// Whether a flag is set.
    #[must_use]
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & flag as u16 != 0
    }

    /// Whether a document with these flags may do what a flag takes away, where no target matters: have its own origin,
    /// run scripts, submit forms, open pop-ups, show modals, set document.domain, start downloads.
    #[must_use]
    pub fn permit(self, what: Flag) -> Decided<bool> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        let is_permitted = !self.has(what);
        match what {
            Flag::Origin if is_permitted => note("html.sandbox.allow-same-origin"),
            Flag::Origin => {
                note("html.sandbox.opaque");
                note("html.determine-origin.sandbox");
            }
            Flag::Scripts => note("html.sandbox.scripts"),
            Flag::Forms => note("html.sandbox.forms"),
            Flag::AuxiliaryNavigation => note("html.sandbox.popups"),
            Flag::Modals => note("html.sandbox.modals"),
            Flag::DocumentDomain => note("html.document-domain.set.sandboxed"),
            Flag::Downloads => note("html.sandbox.downloads"),
            Flag::Navigation
            | Flag::TopLevelNavigationWithoutUserActivation
            | Flag::TopLevelNavigationWithUserActivation
            | Flag::PropagatesToAuxiliary => {}
        }
        Decided { outcome: is_permitted, follows }
    }

    /// *Allowed by sandboxing to navigate*, for a document with these flags. `is_activated` is whether its window has
    /// *transient activation*: the user has just done something there.
    #[must_use]
    pub fn may_navigate(self, target: Target, is_activated: bool) -> Decided<bool> {
        let mut follows = Vec::new();
        let mut note = |requirement| follows.push(requirement);
        let outcome = match target {
            // 1, 2
            Target::Itself | Target::Descendant => {
                note("html.sandbox.own-descendants");
                true
            }
            // 3.1
            Target::FrameAbove => {
                note("html.sandbox.parent-not-top");
                true
            }
            // 3.2
            Target::Top if is_activated => {
                note("html.sandbox.top-navigation-activation");
                !self.has(Flag::TopLevelNavigationWithUserActivation)
            }
            // 3.3
            Target::Top => {
                note("html.sandbox.top-navigation");
                !self.has(Flag::TopLevelNavigationWithoutUserActivation)
            }
            // 4.1
            Target::OwnPopup => {
                note("html.sandbox.permitted-navigator");
                true
            }
            // 4.2, 5
            Target::OtherTop | Target::OtherFrame => {
                note("html.sandbox.sibling");
                !self.has(Flag::Navigation)
            }
        };
        Decided { outcome, follows }
    }
}

/// The value of a policy's `sandbox` directive, the first of them.
fn sandbox_directive(policy: &str) -> Option<&str> {
    policy.split(';').map(str::trim_ascii).find_map(|directive| {
        let (name, value) =
            directive.split_at(directive.find(|at: char| at.is_ascii_whitespace()).unwrap_or(directive.len()));
        name.eq_ignore_ascii_case("sandbox").then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: &str = "html.sandbox.tokens-case";

    fn flags(tokens: &str) -> SandboxingFlags {
        SandboxingFlags::parse(tokens).outcome
    }

    /// The flags that are set, of those that a token can leave out alone.
    fn set(flags: SandboxingFlags) -> Vec<Flag> {
        FLAGS.iter().filter(|(flag, by)| by.len() == 1 && flags.has(*flag)).map(|(flag, _)| *flag).collect()
    }

    #[test]
    fn flags_of_an_attribute_a_policy_and_the_document_around_add_up() {
        use Flag::{AuxiliaryNavigation, Downloads, Forms, Modals, Origin, PropagatesToAuxiliary, Scripts};

        let all_but_origin = "allow-popups allow-top-navigation allow-forms allow-scripts \
                              allow-popups-to-escape-sandbox allow-modals allow-downloads";
        let all_but_scripts = "allow-popups allow-top-navigation allow-forms allow-same-origin \
                               allow-popups-to-escape-sandbox allow-modals allow-downloads";
        let every = vec![AuxiliaryNavigation, TOP, Origin, Forms, Scripts, PropagatesToAuxiliary, Modals, Downloads];
        const TOP: Flag = Flag::TopLevelNavigationWithoutUserActivation;
        for (own, around, expected) in [
            (all_but_origin, all_but_scripts, vec![Origin, Scripts]),
            (all_but_origin, all_but_origin, vec![Origin]),
            ("", all_but_scripts, every.clone()),
            (all_but_scripts, "", every.clone()),
            ("", "", every),
        ] {
            let nested = SandboxingFlags::of_frame(Some(own), flags(around));
            assert_eq!(set(nested.outcome), expected, "{own:?} in {around:?}");
            let empty = own.is_empty().then_some("html.sandbox.empty");
            let follows = |first: &[&'static str], last: &[&'static str]| -> Vec<&'static str> {
                first.iter().chain(&[TOKENS]).copied().chain(empty).chain(last.iter().copied()).collect()
            };
            assert_eq!(nested.follows, follows(&["html.sandbox.nested"], &[]));
            let policy = [("Content-Security-Policy".into(), format!("sandbox {own}").as_str().into())];
            let derived = flags(around).with_policies(&policy.into_iter().collect());
            assert_eq!(set(derived.outcome), expected, "{own:?} under {around:?}");
            assert_eq!(derived.follows, follows(&["html.sandbox.csp"], &["html.sandbox.csp-union"]));
        }
        let without = SandboxingFlags::of_frame(None, flags(all_but_origin));
        assert_eq!((set(without.outcome), without.follows), (vec![Origin], vec!["html.sandbox.nested"]));
    }

    #[test]
    fn an_origin_is_kept_by_its_token_alone() {
        for (tokens, is_permitted, follows) in [
            ("allow-same-origin", true, &["html.sandbox.allow-same-origin"][..]),
            ("allow-scripts", false, &["html.sandbox.opaque", "html.determine-origin.sandbox"]),
        ] {
            let decided = flags(tokens).permit(Flag::Origin);
            assert_eq!((decided.outcome, decided.follows.as_slice()), (is_permitted, follows), "{tokens}");
        }
    }
}
