//! HTTP archives (HAR 1.2) as browsers save them, as far as cross-origin rules look at them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crosscheck_cases::read_text;
use crosscheck_servers::STATUS;
use miette::Diagnostic;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

/// An HTTP archive.
#[derive(Clone, Debug, Deserialize)]
pub struct Har {
    pub(super) log: Log,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Log {
    #[serde(default)]
    pub(super) browser: Option<Program>,
    #[serde(default)]
    pub(super) creator: Option<Program>,
    #[serde(default)]
    pub(super) pages: Vec<Page>,
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Program {
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    pub(super) id: String,
    /// Chromium and Firefox give the page's URL here.
    #[serde(default)]
    pub(super) title: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) request: Request,
    #[serde(default)]
    pub(super) response: Option<Response>,
    #[serde(default)]
    pub(super) pageref: Option<String>,
    /// Chromium's: `fetch`, `xhr`, `preflight`, `image` …
    #[serde(default, rename = "_resourceType")]
    pub(super) resource_type: Option<String>,
    /// Chromium's: what made the request.
    #[serde(default, rename = "_initiator")]
    pub(super) initiator: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) headers: Vec<Header>,
    #[serde(default)]
    pub(super) cookies: Vec<serde::de::IgnoredAny>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Response {
    /// 0 where nothing came, or nothing is told.
    #[serde(default)]
    pub(super) status: i64,
    #[serde(default)]
    pub(super) headers: Vec<Header>,
    /// Chromium's: `net::ERR_FAILED` for what CORS blocks.
    #[serde(default, rename = "_error")]
    pub(super) error: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Header {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: String,
}

impl Entry {
    /// The value of a request header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find(&self.request.headers, name)
    }

    /// The status of the response, where there was one; browsers write 0 for none.
    pub(super) fn status(&self) -> Option<u16> {
        let status = self.response.as_ref()?.status;
        u16::try_from(status).ok().filter(|status| *status > 0 && STATUS.contains(status))
    }

    /// What Chromium says went wrong.
    pub(super) fn error(&self) -> Option<&str> {
        self.response.as_ref()?.error.as_deref().filter(|error| !error.is_empty())
    }

    /// Whether it is a CORS preflight.
    pub(super) fn is_preflight(&self) -> bool {
        self.request.method == "OPTIONS" && self.header("access-control-request-method").is_some()
    }
}

fn find<'h>(headers: &'h [Header], name: &str) -> Option<&'h str> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.as_str())
}

/// An archive cannot be used. Nothing of what stands in it is shown: it may be secret.
#[derive(Debug, thiserror::Error)]
pub enum HarError {
    /// The file cannot be read.
    #[error("{}: the archive cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no HAR.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

impl Diagnostic for HarError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = match self {
            Self::Unreadable { .. } => return None,
            Self::Malformed { message, .. } if message.contains("EOF") || message.contains("ends") => {
                "the file is cut off: save it again, and let the browser finish"
            }
            Self::Malformed { .. } => {
                "expected an HTTP archive, {\"log\": {\"entries\": [{\"request\": …, \"response\": …}]}}, as \"Save all as \
                 HAR\" in the network panel of a browser's developer tools makes it"
            }
        };
        Some(Box::new(help))
    }
}

/// How large an archive may be.
const LIMIT: u64 = 512 << 20;

impl Har {
    /// Reads an archive.
    ///
    /// # Errors
    /// The file cannot be read, or is no HAR.
    pub fn read(path: &Path) -> Result<Self, HarError> {
        let text = read_text(path, LIMIT).map_err(|source| HarError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, text.as_bytes())
    }

    /// Reads the text of an archive; `path` is for messages.
    ///
    /// # Errors
    /// It is no HAR.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, HarError> {
        let fault = |line, column, message| HarError::Malformed { path: path.to_owned(), line, column, message };
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            fault(line, column, "the file is not UTF-8, so it is no JSON".to_owned())
        })?;
        // Some tools begin their files with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(fault(1, 1, "the file is empty".to_owned()));
        }
        serde_json::from_str(text).map_err(|error| fault(error.line(), error.column(), without_values(&error)))
    }
}

/// What a message quotes of the file.
static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(string|character|integer|floating point) ("(?:[^"\\]|\\.)*"|`[^`]*`)"#)
        .expect("the expression is part of the program and tested")
});

/// The message without place and without values of the file.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    QUOTED.replace_all(text, "$1").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_archive_is_told_by_its_place_and_never_quoted() {
        for (text, place, message) in [
            ("", "1:1", "empty"),
            ("not JSON", "1:2", "expected ident"),
            ("{\"log\": {\n  \"entries\": [", "2:14", "EOF"),
            ("{\"log\": {}}", "1:10", "missing field `entries`"),
            ("[1]", "1:2", "expected struct"),
            ("{\"log\": {\"entries\": [{\"request\": \"s3cret\"}]}}", "1:41", "invalid type: string,"),
            ("{\"log\": {\"entries\": [{\"request\": {\"method\": 7, \"url\": \"\"}}]}}", "1:45", "integer,"),
        ] {
            let error = Har::parse(Path::new("a.har"), text.as_bytes()).expect_err(text).to_string();
            assert!(error.starts_with(&format!("a.har:{place}: ")) && error.contains(message), "{text}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        let error = Har::parse(Path::new("a.har"), b"{\n \"\xff").expect_err("no UTF-8").to_string();
        assert!(error.starts_with("a.har:2:3: "), "{error}");
    }
}
