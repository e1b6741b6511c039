use crate::fields::{trim, whole_number};
use crate::{ByteString, Fields};

/// Content-Length lines that say no length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LengthError {
    /// There are several.
    #[error("Content-Length is {0} and {1}")]
    Different(ByteString, ByteString),
    /// It is not a decimal number.
    #[error("Content-Length is {0:?}, which is not a number")]
    NotANumber(ByteString),
}

/// The length that the Content-Length lines say: equal members of a list, on one line or on several, are one. A number
/// that is too large to count is as good as the largest. (Fetch,
/// [extract a length](https://fetch.spec.whatwg.org/#header-list-extract-a-length); RFC 9110, 8.6; RFC 9112, 6.3)
///
/// # Errors
/// The members differ, or are no numbers.
pub fn content_length(headers: &Fields) -> Result<Option<u64>, LengthError> {
    let mut members =
        headers.all("content-length").flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(trim);
    let Some(first) = members.next() else { return Ok(None) };
    if let Some(other) = members.find(|other| *other != first) {
        return Err(LengthError::Different(first.into(), other.into()));
    }
    whole_number(first).map(Some).ok_or_else(|| LengthError::NotANumber(first.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lengths_are_one() {
        let different = |one: &str, other: &str| Err(LengthError::Different(one.into(), other.into()));
        let no_number = |text: &str| Err(LengthError::NotANumber(text.into()));
        for (lines, length) in [
            (&[][..], Ok(None)),
            (&["5"], Ok(Some(5))),
            (&["5, 5"], Ok(Some(5))),
            (&["5,5\t,5 "], Ok(Some(5))),
            (&["5", "5"], Ok(Some(5))),
            (&["5, 5", "5"], Ok(Some(5))),
            (&["0"], Ok(Some(0))),
            (&["99999999999999999999"], Ok(Some(u64::MAX))),
            (&["5, 6"], different("5", "6")),
            (&["5", "6"], different("5", "6")),
            (&["5, 05"], different("5", "05")),
            (&["5,"], different("5", "")),
            (&["5, x"], different("5", "x")),
            (&[""], no_number("")),
            (&["+5"], no_number("+5")),
            (&["-5", "-5"], no_number("-5")),
            (&["5 5"], no_number("5 5")),
            (&["0x5"], no_number("0x5")),
        ] {
            let headers = lines.iter().map(|line| ("Content-Length".into(), (*line).into())).collect();
            assert_eq!(content_length(&headers), length, "{lines:?}");
        }
    }
}
