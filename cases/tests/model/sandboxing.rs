//! The executable standard's rules on sandboxing predict the hand-written cases.

use crosscheck_cases::standard::{SandboxingFlag, SandboxingFlags, Target};
use crosscheck_cases::{Case, requirement};
use serde_json::{Value, json};

use crate::support::{Followed, scripts_give};

/// The values of the sandbox attributes that a script sets, in order.
fn attributes(script: &str) -> Vec<String> {
    let values = script.split("sandbox: '").skip(1).chain(script.split("sandbox = '").skip(1));
    // Escapes are JSON's as well.
    let value = |rest: &str| {
        let end = rest.find('\'').expect("a closed string");
        serde_json::from_str(&format!("\"{}\"", &rest[..end])).expect("a string without escapes of its own")
    };
    values.map(value).collect()
}

/// What the frame of the case's script sees, where that rests on its flags alone.
fn predict(case: &Case, script: &str, followed: &mut Followed) -> Option<Value> {
    let sandboxes = attributes(script);
    let none = SandboxingFlags::default();
    let outer = followed.take(SandboxingFlags::of_frame(sandboxes.first().map(String::as_str), none));
    let error = |is_permitted: bool| if is_permitted { Value::Null } else { json!("SecurityError") };
    let mut is_permitted = |flags: SandboxingFlags, what| followed.take(flags.permit(what));
    let mut origin =
        |flags, own: &str| if is_permitted(flags, SandboxingFlag::Origin) { own.to_owned() } else { "null".to_owned() };
    let name = case.id.strip_prefix("sop/sandbox/").or(case.id.strip_prefix("sop/document-domain/"))?;
    let predicted = match name.split('/').next()? {
        "origin" => json!([origin(outer, "https://api.other.test"), "https://api.other.test"]),
        "nested" => {
            let inner = SandboxingFlags::of_frame(sandboxes.get(1).map(String::as_str), outer).outcome;
            json!(origin(inner, "https://third.test"))
        }
        "csp" | "csp-report-only" => {
            let answer = case.stated.given.values().next()?;
            json!(origin(none.with_policies(&answer.headers).outcome, "https://api.other.test"))
        }
        "popup-flags" => json!([origin(SandboxingFlags::of_popup(outer).outcome, "https://third.test"), true]),
        "attribute-change" => {
            let later = SandboxingFlags::of_frame(sandboxes.get(1).map(String::as_str), none).outcome;
            json!([origin(outer, "https://api.other.test"), origin(later, "https://api.other.test")])
        }
        "itself" => json!(origin(outer, "https://third.test")),
        "srcdoc" => json!([origin(outer, "https://page.test"), origin(none, "https://page.test")]),
        "cookie" => {
            let seen = error(is_permitted(outer, SandboxingFlag::Origin));
            json!([seen, seen])
        }
        "set-sandboxed" => {
            let seen = error(is_permitted(outer, SandboxingFlag::DocumentDomain));
            json!([seen, seen])
        }
        "scripts" => json!(is_permitted(outer, SandboxingFlag::Scripts)),
        "forms" => json!(if is_permitted(outer, SandboxingFlag::Forms) { "submit" } else { "nothing" }),
        "popup-forms" => {
            let inherited = SandboxingFlags::of_popup(outer).outcome;
            json!(if is_permitted(inherited, SandboxingFlag::Forms) { "submit" } else { "nothing" })
        }
        "popups" => json!(!is_permitted(outer, SandboxingFlag::AuxiliaryNavigation)),
        "modals" if !is_permitted(outer, SandboxingFlag::Modals) => match name {
            _ if name.contains("alert") => json!("undefined"),
            _ if name.contains("confirm") => json!(false),
            _ => Value::Null,
        },
        "top-navigation-allowed" if followed.take(outer.may_navigate(Target::Top, false)) => json!("navigated"),
        "top-navigation-activation" => error(followed.take(outer.may_navigate(Target::Top, false))),
        "top-navigation-link" => json!(followed.take(outer.may_navigate(Target::Top, false))),
        "sibling" => {
            let seen = error(followed.take(outer.may_navigate(Target::OtherFrame, false)));
            json!([seen, seen])
        }
        "sibling-link" => json!(followed.take(outer.may_navigate(Target::OtherFrame, false))),
        "own-descendants" => json!(followed.take(outer.may_navigate(Target::Descendant, false))),
        "popup-navigated" if followed.take(outer.may_navigate(Target::OwnPopup, false)) => json!("navigated"),
        _ => return None,
    };
    Some(predicted)
}

#[test]
fn sandboxed_documents_are_kept_in_where_the_cases_say() {
    scripts_give(&[""], 45, predict);
}

/// What the standard says and no hand-written case can show: it needs a person, or frames that no case makes.
#[test]
fn navigation_within_the_tree_follows_the_standard() {
    let flags = |tokens: &str| SandboxingFlags::parse(tokens).outcome;
    for (tokens, target, is_activated, outcome) in [
        ("", Target::Itself, false, true),
        ("", Target::FrameAbove, false, true),
        ("", Target::Top, true, false),
        ("allow-top-navigation-by-user-activation", Target::Top, true, true),
        ("allow-top-navigation-by-user-activation", Target::Top, false, false),
        ("allow-top-navigation", Target::Top, true, true),
        ("allow-top-navigation", Target::OtherTop, false, false),
        ("allow-popups", Target::OtherFrame, true, false),
    ] {
        let decided = flags(tokens).may_navigate(target, is_activated);
        assert_eq!(decided.outcome, outcome, "{tokens:?} {target:?} {is_activated}");
        assert!(decided.follows.iter().all(|id| requirement(id).is_some()));
    }
    assert!(SandboxingFlags::default().may_navigate(Target::OtherFrame, false).outcome, "without any sandbox");
}

#[test]
fn the_last_enforced_sandbox_directive_counts() {
    let derived = |values: &[&str]| {
        let headers = values.iter().map(|value| ("Content-Security-Policy".into(), (*value).into())).collect();
        SandboxingFlags::of_policies(&headers).outcome
    };
    let has_own_origin = |values: &[&str]| derived(values).permit(SandboxingFlag::Origin).outcome;
    assert_eq!(derived(&["default-src 'self'"]), SandboxingFlags::default());
    assert!(!has_own_origin(&["sandbox allow-same-origin", "SANDBOX\tallow-scripts"]));
    assert!(has_own_origin(&["sandbox allow-scripts, img-src *; sandbox Allow-Same-Origin; sandbox"]));
    assert!(!has_own_origin(&["sandbox"]), "an empty one sets every flag");
}
