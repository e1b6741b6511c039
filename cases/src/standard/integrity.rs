//! Subresource Integrity, *do bytes match metadataList?*

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Whether bytes match integrity metadata. Metadata without any known hash matches everything.
pub(crate) fn matches(bytes: &[u8], metadata: &str) -> bool {
    let hashes: Vec<(u16, &str)> = metadata
        .split(' ')
        .filter_map(|item| {
            let expression = item.split('?').next().unwrap_or_default();
            let mut parts = expression.split('-');
            let algorithm = parts.next().unwrap_or_default();
            let value = parts.next().unwrap_or_default();
            let strength = match algorithm.to_ascii_lowercase().as_str() {
                "sha256" => 256,
                "sha384" => 384,
                "sha512" => 512,
                _ => return None,
            };
            Some((strength, value))
        })
        .collect();
    let Some(strongest) = hashes.iter().map(|(strength, _)| *strength).max() else { return true };
    let actual = match strongest {
        256 => Sha256::digest(bytes).to_vec(),
        384 => Sha384::digest(bytes).to_vec(),
        _ => Sha512::digest(bytes).to_vec(),
    };
    let actual = STANDARD.encode(actual);
    hashes.iter().any(|(strength, value)| *strength == strongest && *value == actual)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    const HELLO_384: &str = "sha384-WeF0h3dEjGnea4ANejO7+5/xtGPkQ1TDVTvNucZm+pASWjx5+QOXvfX2oT3oKGhP";

    #[test]
    fn the_strongest_hash_counts() {
        for (metadata, matching) in [
            (HELLO.to_owned(), true),
            (HELLO.replace("sha256", "SHA256"), true),
            (HELLO.replace("LPJN", "LPJM"), false),
            (format!("{HELLO} sha512-AAAA"), false),
            (HELLO_384.to_owned(), true),
            (format!("sha256-AAAA {HELLO_384}"), true),
            (format!("{HELLO} sha384-AAAA"), false),
            (format!("{HELLO} sha256-AAAA"), true),
            (format!("{HELLO}?option"), true),
            ("md5-AAAA".to_owned(), true),
            ("sha256".to_owned(), false),
            (HELLO.trim_end_matches('=').to_owned(), false),
            (String::new(), true),
        ] {
            assert_eq!(matches(b"hello", &metadata), matching, "{metadata}");
        }
    }
}
