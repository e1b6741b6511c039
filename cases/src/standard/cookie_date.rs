//! RFC 6265bis, [Dates](https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html#name-dates): the
//! *cookie-date* of Expires.
//!
//! Crates for cookies know the few formats that servers write; the algorithm takes any order of a day, a month, a year
//! and a time. So it stands here, step by step; the calendar is a crate's.

use time::{Date, Month, Time};

/// *Parse a cookie-date*: seconds from 1970 in UTC; nothing where it fails.
pub(crate) fn parse(date: &[u8]) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    // 1. Date-tokens, divided by delimiters.
    for token in date.split(|byte| is_delimiter(*byte)).filter(|token| !token.is_empty()) {
        // 2. The first token that can be a time is the time; of the others, the first that can be a day …
        if time.is_none()
            && let Some(found) = hms_time(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2, 4)
        {
            year = Some(found);
        }
    }
    // 3, 4. Years of two digits are those from 1970 to 2069.
    let year = match year? {
        year @ 70..=99 => year + 1900,
        year @ 0..=69 => year + 2000,
        year => year,
    };
    // 5. All are there, and there are such a year and such a time.
    if year < 1601 {
        return None;
    }
    let (hour, minute, second) = time?;
    let time = Time::from_hms(hour, minute, second).ok()?;
    // 5, 6. There is such a day.
    let date = Date::from_calendar_date(i32::from(year), month?, u8::try_from(day?).ok()?).ok()?;
    Some(date.with_time(time).assume_utc().unix_timestamp())
}

/// *delimiter*
const fn is_delimiter(byte: u8) -> bool {
    matches!(byte, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// The number that the digits at the front say, where there are neither fewer nor more, and what follows them.
fn digits(text: &[u8], least: usize, most: usize) -> Option<(u16, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let number = || digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    (least..=most).contains(&end).then(|| (number(), rest))
}

/// *day-of-month*, *year*
fn number(token: &[u8], least: usize, most: usize) -> Option<u16> {
    digits(token, least, most).map(|(number, _)| number)
}

/// *time*
fn hms_time(token: &[u8]) -> Option<(u8, u8, u8)> {
    let field = |text| {
        let (number, rest) = digits(text, 1, 2)?;
        Some((u8::try_from(number).ok()?, rest))
    };
    let (hour, rest) = field(token)?;
    let (minute, rest) = field(rest.strip_prefix(b":")?)?;
    let (second, _) = field(rest.strip_prefix(b":")?)?;
    Some((hour, minute, second))
}

/// *month*
fn month_of(token: &[u8]) -> Option<Month> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let name = token.get(..3)?;
    let position = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(*month))?;
    Month::try_from(u8::try_from(position + 1).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_the_draft_says() {
        const OCT_21_2015: i64 = 1_445_412_480;
        for (date, seconds) in [
            // The formats of servers.
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(OCT_21_2015)),
            ("Wednesday, 21-Oct-15 07:28:00 GMT", Some(OCT_21_2015)),
            ("Wed Oct 21 07:28:00 2015", Some(OCT_21_2015)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            // Any order, any delimiters, any letter case, no zone but UTC.
            ("2015 07:28:00 oCT 21", Some(OCT_21_2015)),
            ("21 2015 07:28:00 oCT", Some(OCT_21_2015)),
            ("\t21/OCTOBER/15;;7:28:0~", Some(OCT_21_2015)),
            ("21 Oct 2015 07:28:00 +0200", Some(OCT_21_2015)),
            ("21 Oct 2015 07:28:00 PST", Some(OCT_21_2015)),
            // What follows the digits of a token does not matter, digits do.
            ("21st Oct 2015th 07:28:00.5", Some(OCT_21_2015)),
            ("21 Oct 2015 07:28:00Z", Some(OCT_21_2015)),
            ("21 Oct 02015 07:28:00", None),
            ("021 Oct 2015 07:28:00", None),
            ("21 Oct 2015 007:28:00", None),
            ("21 Oct 2015 07:28:000", None),
            ("21 Oct 2015 07:28", None),
            // Of two tokens of a kind the first counts.
            ("21 Oct Nov 2015 2016 07:28:00 08:00:00", Some(OCT_21_2015)),
            // A first number of two digits is the day, and the next the year.
            ("15 Oct 21 07:28:00", Some(1_634_282_880)),
            // Years of two digits.
            ("1 Jan 70 00:00:00", Some(0)),
            ("1 Jan 99 00:00:00", Some(915_148_800)),
            ("1 Jan 00 00:00:00", Some(946_684_800)),
            ("1 Jan 69 00:00:00", Some(3_124_224_000)),
            ("1 Jan 100 00:00:00", None),
            ("1 Jan 7 00:00:00", None),
            ("1 Jan 1600 00:00:00", None),
            ("1 Jan 1601 00:00:00", Some(-11_644_473_600)),
            ("31 Dec 9999 23:59:59", Some(253_402_300_799)),
            // What is missing or does not exist.
            ("", None),
            ("nonsense", None),
            ("Oct 2015 07:28:00", None),
            ("21 2015 07:28:00", None),
            ("21 Oct 07:28:00", None),
            ("21 Oct 2015", None),
            ("0 Oct 2015 07:28:00", None),
            ("32 Oct 2015 07:28:00", None),
            ("31 Sep 2015 07:28:00", None),
            ("29 Feb 2015 07:28:00", None),
            ("29 Feb 2016 00:00:00", Some(1_456_704_000)),
            ("29 Feb 1900 00:00:00", None),
            ("21 Oct 2015 24:00:00", None),
            ("21 Oct 2015 23:60:00", None),
            ("21 Oct 2015 23:59:60", None),
        ] {
            assert_eq!(parse(date.as_bytes()), seconds, "{date:?}");
        }
        assert_eq!(parse(b"21\xffOct 2015 07:28:00"), None, "bytes above 0x7e divide nothing");
        assert_eq!(parse(b"21\xff Oct\xff 2015\xff 07:28:00\x01"), Some(OCT_21_2015));
    }
}
