//! Texts for people: lengths, numbers and times. What comes from outside is made visible in `crosscheck_cases::visible`.

/// The first `limit` characters, and `…` where there are more.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some(_) => {
            let end = text.char_indices().nth(limit.saturating_sub(1)).map_or(0, |(at, _)| at);
            format!("{}…", &text[..end])
        }
    }
}

/// `1 case`, `2 cases`, `15,000 cases`.
pub(crate) fn count_of(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// `15000` as `15,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `850 ms`, `12.3 s`, `4 min 5 s`, `1 h 2 min`.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("ééé", 3), "ééé");
        assert_eq!(shortened("éééé", 3), "éé…");
    }

    #[test]
    fn numbers_and_durations_read_at_a_glance() {
        assert_eq!([grouped(7), grouped(999), grouped(15_000), grouped(1_234_567)].join(" "), "7 999 15,000 1,234,567");
        assert_eq!(count_of(1, "case"), "1 case");
        assert_eq!([850, 12_345, 245_000, 3_725_000].map(duration).join(", "), "850 ms, 12.3 s, 4 min 5 s, 1 h 2 min");
    }
}
