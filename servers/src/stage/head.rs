use crate::{ByteString, Fields, Origin, Protocol, Scheme};

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

/// More header lines than any browser sends.
const LINES: usize = 256;

/// The head at the beginning of `bytes` and its length in bytes; nothing where it is not there completely.
pub(super) fn parse(bytes: &[u8], limit: usize) -> Result<Option<(Head, usize)>, Refusal> {
    let mut lines = [const { std::mem::MaybeUninit::uninit() }; LINES];
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, &mut lines) {
        Ok(httparse::Status::Complete(length)) if length <= limit => length,
        Ok(httparse::Status::Partial) if bytes.len() < limit => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(error) => return Err(Refusal::Malformed(fault(error))),
    };
    let head = Head {
        protocol: if request.version == Some(0) { Protocol::Http10 } else { Protocol::Http11 },
        method: request.method.unwrap_or_default().into(),
        target: request.path.unwrap_or_default().to_owned(),
        headers: request.headers.iter().map(|line| (line.name.into(), line.value.into())).collect(),
    };
    Ok(Some((head, length)))
}

const fn fault(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a header line has no valid name",
        httparse::Error::HeaderValue => "a header line has no valid value",
        httparse::Error::NewLine => "a line does not end with CR LF",
        httparse::Error::Version => "the request line does not end with HTTP/1.0 or HTTP/1.1",
        _ => "the request line is not a method, a target and a version",
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
        let mut lengths = self.headers.all("content-length");
        if let Some(coding) = self.headers.get("transfer-encoding") {
            let chunked = coding.eq_ignore_ascii_case("chunked") && self.protocol == Protocol::Http11;
            return match lengths.next() {
                None if chunked => Ok(Upload::Chunked),
                None => Err(Refusal::Malformed("the only Transfer-Encoding that is understood is chunked")),
                Some(_) => Err(Refusal::Malformed("there are both Content-Length and Transfer-Encoding")),
            };
        }
        let Some(length) = lengths.next() else { return Ok(Upload::Length(0)) };
        if lengths.any(|other| other != length) {
            return Err(Refusal::Malformed("there are several Content-Length lines"));
        }
        let digits = std::str::from_utf8(length.as_bytes()).ok();
        digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(Upload::Length)
            .ok_or(Refusal::Malformed("the Content-Length is not a number"))
    }
}
