use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smallvec::SmallVec;

/// A byte sequence, written in JSON as a string whose characters U+0000 to U+00FF stand for the bytes 0x00 to 0xFF
/// (the Infra standard's *isomorphic encoding*). Header names, header values and methods are byte sequences.
///
/// Short ones, as names of headers and origins are, need no memory of their own: cases have them by the hundred.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteString(SmallVec<[u8; 32]>);

/// A string holds a character that no single byte can stand for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{character:?} is not a byte: bytes are written as the characters U+0000 to U+00FF (for UTF-8, write each of its bytes)"
)]
pub struct ByteStringError {
    /// The first such character.
    pub character: char,
}

impl ByteString {
    /// Encodes `text` isomorphically.
    ///
    /// # Errors
    /// A character above U+00FF.
    pub fn encode(text: &str) -> Result<Self, ByteStringError> {
        text.chars()
            .map(|character| u8::try_from(u32::from(character)).map_err(|_| ByteStringError { character }))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Puts bytes at its end.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Decodes isomorphically: a string with one character for each byte.
    #[must_use]
    pub fn decode(&self) -> Cow<'_, str> {
        match std::str::from_utf8(&self.0) {
            Ok(text) if text.is_ascii() => Cow::Borrowed(text),
            _ => Cow::Owned(self.0.iter().map(|byte| char::from(*byte)).collect()),
        }
    }

    /// Whether both are equal when ASCII letters are compared without regard to case.
    #[must_use]
    pub fn eq_ignore_ascii_case(&self, other: impl AsRef<[u8]>) -> bool {
        self.0.eq_ignore_ascii_case(other.as_ref())
    }
}

impl Clone for ByteString {
    fn clone(&self) -> Self {
        self.as_bytes().into()
    }
}

impl AsRef<[u8]> for ByteString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for ByteString {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for ByteString {
    fn from(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }
}

/// ASCII text is the same in every encoding; other text is taken as its UTF-8 bytes.
impl From<&str> for ByteString {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl PartialEq<str> for ByteString {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for ByteString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.decode())
    }
}

impl fmt::Debug for ByteString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.decode())
    }
}

impl Serialize for ByteString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.decode())
    }
}

impl<'de> Deserialize<'de> for ByteString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::encode(&text).map_err(de::Error::custom)
    }
}

impl JsonSchema for ByteString {
    fn schema_name() -> Cow<'static, str> {
        "ByteString".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Bytes: each character U+0000 to U+00FF stands for the byte of that number.",
            "pattern": "^[\\u0000-\\u00ff]*$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_json() {
        let all: Vec<u8> = (0..=255).collect();
        let json = serde_json::to_string(&ByteString::from(all.clone())).expect("a string");
        let back: ByteString = serde_json::from_str(&json).expect("the same bytes");
        assert_eq!(back.as_bytes(), all);
    }

    #[test]
    fn a_character_above_u00ff_is_refused_by_name() {
        let error = serde_json::from_str::<ByteString>("\"caf\u{e9} \u{20ac}\"").expect_err("not a byte");
        assert!(error.to_string().contains("'€' is not a byte"), "{error}");
    }
}
