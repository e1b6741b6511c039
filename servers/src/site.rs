use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Behaviour, Origin};

/// The unguessable first segment of a URL's path, `~` and 20 letters or digits: what keeps cases apart, on the wire,
/// in caches and in cookie paths.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(Arc<str>);

/// A text is not a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a token: write ~ and 20 of the characters a-z and 2-7")]
pub struct TokenError {
    /// What was given.
    pub text: String,
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const LENGTH: usize = 20;

impl Token {
    /// How many characters a token has, its `~` included.
    pub const TEXT_LENGTH: usize = LENGTH + 1;

    /// A new token from the operating system's random numbers (100 bits).
    ///
    /// # Panics
    /// Where the operating system has no random numbers to give.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0_u8; LENGTH];
        getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
        let text: String = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
        Self(format!("~{text}").into())
    }

    /// The token and the rest of the path in a request target `/~token/rest`; nothing where there is none.
    #[must_use]
    pub fn split(target: &str) -> Option<(Self, &str)> {
        let path = target.strip_prefix('/')?;
        let end = path.find(['/', '?']).unwrap_or(path.len());
        let token = path[..end].parse().ok()?;
        Some((token, if end == path.len() { "/" } else { &path[end..] }))
    }

    /// Whether a text is a token.
    #[must_use]
    pub fn is_token(text: &str) -> bool {
        let rest = text.strip_prefix('~').filter(|rest| rest.len() == LENGTH);
        rest.is_some_and(|rest| rest.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')))
    }

    /// The text with its `~`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Self::is_token(text) {
            true => Ok(Self(text.into())),
            false => Err(TokenError { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where a behaviour stands: an origin, and path with query, without the token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The origin that is asked.
    pub origin: Origin,
    /// Path and query, beginning with `/`.
    pub path: String,
}

/// All behaviours behind one token.
#[derive(Clone, Debug, Default)]
pub struct Site {
    routes: HashMap<Route, Arc<Behaviour>>,
}

impl Site {
    /// How many bytes of a request's body are kept.
    pub const BODY_LIMIT: usize = 1 << 20;

    /// A site that answers 404 to everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a behaviour at a route, in the place of the one before.
    pub fn insert(&mut self, route: Route, behaviour: impl Into<Arc<Behaviour>>) {
        self.routes.insert(route, behaviour.into());
    }

    /// Whether it answers for anything of an origin.
    #[must_use]
    pub fn has_origin(&self, origin: &Origin) -> bool {
        self.routes.keys().any(|route| route.origin == *origin)
    }

    /// The behaviour at path and query, else at the path alone.
    #[must_use]
    pub fn find(&self, origin: &Origin, path: &str) -> Option<(Route, Arc<Behaviour>)> {
        let exact = Route { origin: origin.clone(), path: path.to_owned() };
        if let Some(behaviour) = self.routes.get(&exact) {
            let behaviour = Arc::clone(behaviour);
            return Some((exact, behaviour));
        }
        let bare = Route { path: path.split('?').next().unwrap_or_default().to_owned(), ..exact };
        self.routes.get(&bare).map(Arc::clone).map(|behaviour| (bare, behaviour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_split_at_its_token() {
        let token = Token::random();
        assert_eq!(Token::split(&format!("/{token}/a/b?c")), Some((token.clone(), "/a/b?c")));
        assert_eq!(Token::split(&format!("/{token}")), Some((token.clone(), "/")));
        assert_eq!(Token::split(&format!("/{token}?c")), Some((token, "?c")));
        assert_eq!(Token::split("/~short/a"), None);
        assert_eq!(Token::split("*"), None);
    }
}
