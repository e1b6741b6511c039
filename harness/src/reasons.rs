use std::collections::HashMap;

use crosscheck_cases::{Reason, strip_tokens};
use crosscheck_servers::Token;

use crate::engine::{Pattern, Reasons};

/// An engine's messages by the token that their URLs carry.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    by_token: HashMap<Token, Vec<String>>,
}

impl Messages {
    /// Takes in what the engine said, oldest first. What names no URL with a token belongs to no case.
    pub(crate) fn add(&mut self, messages: Vec<String>) {
        for message in messages {
            for token in tokens(&message) {
                self.by_token.entry(token).or_default().push(message.clone());
            }
        }
    }

    /// Why the case was blocked, by the last telling message about it.
    pub(crate) fn reason(&self, reasons: &Reasons, token: &Token) -> Option<Reason> {
        let messages = self.by_token.get(token)?;
        let meaning = |message: &String| reasons.patterns.iter().find(|pattern| pattern.text.is_match(message));
        let last =
            |wanted: &dyn Fn(Option<&Pattern>) -> bool| messages.iter().rev().find(|message| wanted(meaning(message)));
        // A telling message, else one that accompanies others, else one that nobody has a meaning for yet. What says
        // only that something failed is no reason.
        let chosen = last(&|pattern| pattern.is_some_and(|pattern| !pattern.general))
            .or_else(|| last(&|pattern| pattern.is_some_and(|pattern| !pattern.classes.is_empty())))
            .or_else(|| last(&|pattern| pattern.is_none()))?;
        let classes = meaning(chosen).map(|pattern| pattern.classes.clone()).unwrap_or_default();
        let quoted = reasons.quote.as_ref().and_then(|quote| quote.captures(chosen)?.get(1));
        Some(Reason { classes, text: Some(strip_tokens(quoted.map_or(chosen, |quoted| quoted.as_str()))) })
    }
}

/// The tokens in a message's URLs. A document's own token may be among them; it belongs to no case.
fn tokens(message: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = message
        .match_indices("/~")
        .filter_map(|(at, _)| Token::split(message.get(at..at + 1 + Token::TEXT_LENGTH)?))
        .map(|(token, _)| token)
        .collect();
    tokens.sort();
    tokens.dedup();
    tokens
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_telling_message_about_a_token_is_its_reason() {
        let reasons: Reasons = serde_json::from_value(json!({
            "sources": ["browser-log"], "about": "", "quote": "^Said \"(.*)\", at",
            "patterns": [
                { "text": "^No header", "classes": ["missing-allow-origin"] },
                { "text": "^Did not succeed", "classes": ["connection-failed"], "general": true },
                { "text": "^Failed", "classes": [], "general": true }
            ]
        }))
        .expect("reasons");
        let reason = |lines: &[&str]| {
            let token = Token::random();
            let mut messages = Messages::default();
            messages.add(lines.iter().map(|line| format!("{line} https://a.test/{token}/b")).collect());
            messages.add(vec!["No header at all".to_owned()]);
            messages.reason(&reasons, &token).map(|reason| (reason.classes, reason.text.unwrap_or_default()))
        };
        let classes = |lines: &[&str]| reason(lines).map(|(classes, _)| classes);
        assert_eq!(classes(&["No header", "Did not succeed", "Failed"]), Some(vec!["missing-allow-origin".to_owned()]));
        assert_eq!(classes(&["Did not succeed", "Failed"]), Some(vec!["connection-failed".to_owned()]));
        assert_eq!(classes(&["Failed"]), None, "it says only that something failed");
        assert_eq!(reason(&["Odd", "Failed"]), Some((Vec::new(), "Odd https://a.test/b".to_owned())));
        assert_eq!(classes(&[]), None);
        assert_eq!(reason(&["Said \"Odd\", at"]), Some((Vec::new(), "Odd".to_owned())), "only what is quoted is shown");
    }
}
