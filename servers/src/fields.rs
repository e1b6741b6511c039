use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ByteString;

/// Header fields in order: names as they were written, repeatable, values as exact bytes. (Fetch: *header list*.)
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Fields(Vec<(ByteString, ByteString)>);

impl Fields {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a line at the end.
    pub fn push(&mut self, name: impl Into<ByteString>, value: impl Into<ByteString>) {
        self.0.push((name.into(), value.into()));
    }

    /// Takes out every line with this name. (Fetch: *delete*.)
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(candidate, _)| !candidate.eq_ignore_ascii_case(name));
    }

    /// The lines, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (ByteString, ByteString)> {
        self.0.iter()
    }

    /// The values of all lines, in order, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut ByteString> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// The value of every line with this name, in order; names are compared without regard to ASCII case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a ByteString> {
        self.0.iter().filter(move |(candidate, _)| candidate.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether a line has this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The values of all lines with this name joined with `, `, or nothing where there is no such line.
    /// (Fetch: *get*, `fetch.header-list-get.2a`.)
    #[must_use]
    pub fn get(&self, name: &str) -> Option<ByteString> {
        let mut values = self.all(name);
        let mut joined = values.next()?.clone();
        for value in values {
            joined.append(b", ");
            joined.append(value.as_bytes());
        }
        Some(joined)
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(ByteString, ByteString)> for Fields {
    fn from_iter<I: IntoIterator<Item = (ByteString, ByteString)>>(lines: I) -> Self {
        Self(lines.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = &'a (ByteString, ByteString);
    type IntoIter = std::slice::Iter<'a, (ByteString, ByteString)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A byte of a token. (RFC 9110, 5.6.2)
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Whether this is a token, as names of headers and methods are. (RFC 9110, 5.6.2)
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// Whether this can be the value of a header, with whatever else may be wrong with it. (Fetch,
/// [header value](https://fetch.spec.whatwg.org/#header-value); RFC 9110, 5.5)
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    memchr::memchr3(0, b'\r', b'\n', bytes).is_none()
}

/// Optional whitespace. (RFC 9110, 5.6.3)
pub(crate) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without optional whitespace at either end.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_blank(*byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_blank(*byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// The number that digits alone stand for; more than can be counted is as good as the most. (RFC 9110, 8.6:
/// *Content-Length*; RFC 9111, 1.2.2: *delta-seconds*)
#[must_use]
pub fn whole_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_name_are_joined_in_order_without_regard_to_case() {
        let mut fields = Fields::new();
        fields.push("Access-Control-Allow-Origin", "https://a.test");
        fields.push("X", "1");
        fields.push("access-control-allow-origin", "*");
        assert_eq!(fields.get("ACCESS-CONTROL-ALLOW-ORIGIN"), Some("https://a.test, *".into()));
        assert_eq!(fields.get("absent"), None);
    }
}
