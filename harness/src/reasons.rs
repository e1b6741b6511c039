use std::collections::HashMap;

use crosscheck_cases::{Reason, strip_tokens};
use crosscheck_servers::Token;

use crate::engine::Reasons;

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

    /// Whether the engine said anything about a case.
    pub(crate) fn has(&self, token: &Token) -> bool {
        self.by_token.contains_key(token)
    }

    /// Why the case was blocked, by the last telling message about it.
    pub(crate) fn reason(&self, reasons: &Reasons, token: &Token) -> Option<Reason> {
        let messages = self.by_token.get(token)?;
        let meaning = |message: &String| reasons.patterns.iter().find(|pattern| pattern.text.is_match(message));
        let telling = messages.iter().rev().find(|message| meaning(message).is_some_and(|pattern| !pattern.general));
        let chosen = telling.or_else(|| messages.last())?;
        let classes = meaning(chosen).map(|pattern| pattern.classes.clone()).unwrap_or_default();
        Some(Reason { classes, text: Some(strip_tokens(chosen)) })
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
