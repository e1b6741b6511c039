use crate::{ByteString, Fields, LengthError, Origin, Protocol, Scheme, content_length};

/// The head of an HTTP/1 request as it was read.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) protocol: Protocol,
    pub(super) method: ByteString,
    pub(super) target: String,
    pub(super) headers: Fields,
}

/// What the head says about the rest of the exchange.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) origin: Origin,
    /// Path and query.
    pub(super) target: String,
    pub(super) upload: Upload,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
}

/// How the request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    Length(u64),
    Chunked,
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed(&'static str),
    HeadTooLarge,
    BodyTooLarge,
}

impl Refusal {
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::BodyTooLarge => 413,
            Self::HeadTooLarge => 431,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Malformed(text) => text,
            Self::BodyTooLarge => "the body is larger than this stage takes",
            Self::HeadTooLarge => "the request line and header lines are larger than this stage takes",
        }
    }
}

impl Head {
    /// As much as can be told of a head that does not parse: what the first line looks like.
    pub(super) fn guess(bytes: &[u8]) -> Self {
        let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty()).unwrap_or_default();
        let mut words = line[..line.len().min(2048)].split(|byte| *byte == b' ');
        let method = words.next().unwrap_or_default().into();
        let target = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
        Self { protocol: Protocol::Http11, method, target, headers: Fields::new() }
    }

    /// The origin and path that the head asks for; `fallback` is the origin of an HTTP/1.0 request without Host.
    fn asked(&self, scheme: Scheme, fallback: &Origin) -> Result<(Origin, String), Refusal> {
        if let Some((_, rest)) = self.target.split_once("://").filter(|_| !self.target.starts_with('/')) {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let origin = self.target[..self.target.len() - rest.len() + end].parse();
            let slash = if rest[end..].starts_with('/') { "" } else { "/" };
            let origin = origin.map_err(|_| Refusal::Malformed("the request target names no origin"))?;
            return Ok((origin, format!("{slash}{}", &rest[end..])));
        }
        let mut hosts = self.headers.all("host");
        let origin = match (hosts.next(), hosts.next()) {
            (None, _) if self.protocol == Protocol::Http10 => fallback.clone(),
            (None, _) => return Err(Refusal::Malformed("there is no Host line")),
            (Some(_), Some(_)) => return Err(Refusal::Malformed("there is more than one Host line")),
            (Some(host), None) => Origin::from_authority(scheme, &host.decode())
                .ok_or(Refusal::Malformed("the Host line names no host"))?,
        };
        Ok((origin, self.target.clone()))
    }

    /// Whether this asks a proxy for a tunnel.
    pub(super) fn is_connect(&self) -> bool {
        self.method == *"CONNECT"
    }

    /// What the head says; `scheme` is that of the connection.
    pub(super) fn meaning(&self, scheme: Scheme, fallback: &Origin) -> Result<Meaning, Refusal> {
        let (origin, target) = self.asked(scheme, fallback)?;
        let has = |name: &str, token: &str| {
            self.headers
                .all(name)
                .any(|value| value.decode().split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
        };
        Ok(Meaning {
            origin,
            target,
            upload: self.upload()?,
            keep_alive: self.protocol == Protocol::Http11 && !has("connection", "close"),
            expects_continue: self.protocol == Protocol::Http11 && has("expect", "100-continue"),
        })
    }

    /// RFC 9112, 6.3, and strict: what two readers could understand differently is refused.
    fn upload(&self) -> Result<Upload, Refusal> {
        let length = content_length(&self.headers);
        if let Some(coding) = self.headers.get("transfer-encoding") {
            let chunked = coding.eq_ignore_ascii_case("chunked") && self.protocol == Protocol::Http11;
            return match length {
                Ok(None) if chunked => Ok(Upload::Chunked),
                Ok(None) => Err(Refusal::Malformed("the only Transfer-Encoding that is understood is chunked")),
                _ => Err(Refusal::Malformed("there are both Content-Length and Transfer-Encoding")),
            };
        }
        match length {
            Ok(length) => Ok(Upload::Length(length.unwrap_or(0))),
            Err(LengthError::Different(..)) => Err(Refusal::Malformed("there are several lengths in Content-Length")),
            Err(LengthError::NotANumber(_)) => Err(Refusal::Malformed("the Content-Length is not a number")),
        }
    }
}
