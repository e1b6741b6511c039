use std::ops::RangeInclusive;

use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer};

/// What a status can be. (Fetch, [status](https://fetch.spec.whatwg.org/#concept-status))
pub const STATUS: RangeInclusive<u16> = 0..=999;

/// Whether a response with this status is followed by another one. (RFC 9110, 15.2)
#[must_use]
pub const fn is_interim(status: u16) -> bool {
    matches!(status, 100..=199)
}

/// Whether a response with this status ends with its head, whatever its header lines say. (RFC 9112, 6.3)
#[must_use]
pub const fn ends_with_head(status: u16) -> bool {
    is_interim(status) || matches!(status, 204 | 304)
}

/// The status that three digits say, and no other number of them. (RFC 9112, 4: *status-code*)
#[must_use]
pub(crate) fn from_digits(digits: &[u8]) -> Option<u16> {
    let valid = digits.len() == 3 && digits.iter().all(u8::is_ascii_digit);
    valid.then(|| digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0')))
}

/// A status in JSON.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    u16::deserialize(deserializer).and_then(in_range)
}

/// A status in JSON that may be left out.
pub(crate) fn deserialize_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    Option::deserialize(deserializer)?.map(in_range).transpose()
}

fn in_range<E: de::Error>(status: u16) -> Result<u16, E> {
    if STATUS.contains(&status) {
        return Ok(status);
    }
    Err(E::invalid_value(Unexpected::Unsigned(status.into()), &"a status from 0 to 999"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_three_digits() {
        for (digits, status) in [
            ("000", Some(0)),
            ("099", Some(99)),
            ("200", Some(200)),
            ("600", Some(600)),
            ("999", Some(999)),
            ("", None),
            ("99", None),
            ("1000", None),
            ("0200", None),
            ("+20", None),
            ("-20", None),
            ("2 0", None),
            ("2x0", None),
        ] {
            assert_eq!(from_digits(digits.as_bytes()), status, "{digits:?}");
        }
    }

    #[test]
    fn what_a_status_says_of_the_rest() {
        for (status, interim, ends) in [
            (0, false, false),
            (99, false, false),
            (100, true, true),
            (199, true, true),
            (200, false, false),
            (204, false, true),
            (205, false, false),
            (304, false, true),
            (600, false, false),
        ] {
            assert_eq!((is_interim(status), ends_with_head(status)), (interim, ends), "{status}");
        }
    }
}
