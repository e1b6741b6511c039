use std::net::IpAddr;

use crosscheck_cases::standard::{AddressSpace, Client, EmbedderPolicyValue, Permission};
use crosscheck_cases::{Document, DocumentKind, FetchProbe, Probe, WebSocketProbe};
use url::{Host, Url};

use super::ExplainError;

/// What a page does: `fetch(url, …)`.
#[derive(Clone, Debug)]
pub struct Question {
    /// The serialised origin of the page; `null` for an opaque one.
    pub page: String,
    /// The serialised origin of the page that holds a document of an opaque origin; where it is not stated, one of the
    /// URL's own scheme is assumed, and a note says so.
    pub within: Option<String>,
    /// What it asks; http or https, or ws or wss for a WebSocket.
    pub url: Url,
    /// The method, as script gives it.
    pub method: String,
    /// `cors`, `no-cors` or `same-origin`.
    pub mode: String,
    /// `omit`, `same-origin` or `include`.
    pub credentials: String,
    /// The headers that script sets.
    pub headers: Vec<(String, String)>,
    /// Whether the page has `Cross-Origin-Embedder-Policy: require-corp`.
    pub require_corp: bool,
    /// Whether the server that is asked stands in for one that runs elsewhere: then it does not matter in which network
    /// it is, and whether it has TLS.
    pub stands_in: bool,
}

impl Question {
    /// A plain `fetch(url)` of a page. `page` is an origin, the URL of the page, or `null`.
    ///
    /// # Errors
    /// The page has no origin, or the URL is not http(s).
    pub fn new(page: &str, url: &str) -> Result<Self, ExplainError> {
        let url = Url::parse(url)
            .map_err(|error| ExplainError::Usage(format!("{url:?} is not an absolute URL ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(ExplainError::Usage(format!("only http and https URLs can be explained, not {scheme}:")));
        }
        Ok(Self {
            page: page_origin(page)?,
            within: None,
            url,
            method: "GET".to_owned(),
            mode: "cors".to_owned(),
            credentials: "same-origin".to_owned(),
            headers: Vec::new(),
            require_corp: false,
            stands_in: false,
        })
    }

    /// States the page that holds the document of an opaque origin.
    ///
    /// # Errors
    /// It has no origin, or the document is a page itself.
    pub fn within(mut self, page: &str) -> Result<Self, ExplainError> {
        let origin = page_origin(page)?;
        if self.page != "null" || origin == "null" {
            return Err(ExplainError::Usage(
                "--within names the page, such as https://app.example, that holds a document of an opaque origin \
                 (--page null)"
                    .to_owned(),
            ));
        }
        self.within = Some(origin);
        Ok(self)
    }

    /// The page that is assumed to hold the document, where none is stated: whether a document of an opaque origin may
    /// ask over plain http depends on it. (Mixed Content, *does settings prohibit mixed security contexts?*)
    pub(crate) fn assumed_page(&self) -> Option<String> {
        let assumes = self.page == "null" && self.within.is_none();
        let scheme = if matches!(self.url.scheme(), "http" | "ws") { "http" } else { "https" };
        assumes.then(|| format!("{scheme}://embedder.invalid"))
    }

    /// What is to be said of the page that is assumed; a server that stands in for another is of no scheme.
    pub(crate) fn assumption(&self) -> Option<String> {
        let page = self.assumed_page().filter(|_| !self.stands_in)?;
        let (scheme, _) = page.split_once(':')?;
        let otherwise = match scheme {
            "http" => "from a document in an https page this is mixed content, which is blocked",
            _ => "a document in an http page may get another answer, as it is no secure context",
        };
        Some(format!(
            "What holds the document of the opaque origin is not stated; it is taken to be a page over {scheme}, like \
             the URL. --within ORIGIN states it: {otherwise}."
        ))
    }

    /// Adds a header that script sets, written `Name: value`.
    ///
    /// # Errors
    /// It is no header line.
    pub fn header(mut self, line: &str) -> Result<Self, ExplainError> {
        let (name, value) = split_line(line)?;
        self.headers.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// Whether the page may read the URL without CORS.
    pub(crate) fn is_same_origin(&self) -> bool {
        self.url.origin().ascii_serialization() == self.page && self.page != "null"
    }

    pub(crate) fn probe(&self) -> Probe {
        if matches!(self.url.scheme(), "ws" | "wss") {
            return Probe::WebSocket(self.url.to_string(), WebSocketProbe::default());
        }
        let options = FetchProbe {
            method: Some(self.method.clone()),
            mode: Some(self.mode.clone()),
            credentials: Some(self.credentials.clone()),
            headers: self.headers.clone(),
            ..FetchProbe::default()
        };
        Probe::Fetch(self.url.to_string(), options)
    }

    /// The page. `names` is the address space of the hosts that are no addresses themselves.
    pub(crate) fn client(&self, names: AddressSpace) -> Client {
        let holder = self.within.clone().or_else(|| self.assumed_page());
        let document = if let Some(holder) = &holder {
            let within = Box::new(Document::page(holder));
            Document { kind: DocumentKind::Data, origin: None, within: Some(within), ..Document::page("") }
        } else {
            Document::page(&self.page)
        };
        let mut client = Client::of(&document, "/");
        client.address_space = match Url::parse(holder.as_deref().unwrap_or(&self.page)) {
            Ok(url) => literal_space(&url).unwrap_or(AddressSpace::Public),
            Err(_) => AddressSpace::Public,
        };
        client.space_of_names = Some(names);
        if self.stands_in {
            client.address_space = AddressSpace::Loopback;
            client.prohibits_mixed_content = false;
        }
        if self.require_corp {
            client.embedder_policy.value = EmbedderPolicyValue::RequireCorp;
        }
        // Whoever is asked is taken to say yes; a note says that somebody is asked.
        client.local_network_permission = Permission::Granted;
        client.loopback_network_permission = Permission::Granted;
        client
    }
}

/// Whether a request with this method may be sent to a real server without asking: it is not meant to change anything.
pub(crate) fn is_harmless(method: &str) -> bool {
    ["GET", "HEAD", "OPTIONS"].contains(&method)
}

/// The address space that a URL's host states by itself: an address, or a name for this machine.
pub(crate) fn literal_space(url: &Url) -> Option<AddressSpace> {
    match url.host()? {
        Host::Ipv4(address) => Some(AddressSpace::of(IpAddr::V4(address))),
        Host::Ipv6(address) => Some(AddressSpace::of(IpAddr::V6(address))),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            (name == "localhost" || name.ends_with(".localhost")).then_some(AddressSpace::Loopback)
        }
    }
}

fn page_origin(page: &str) -> Result<String, ExplainError> {
    if page == "null" {
        return Ok(page.to_owned());
    }
    match Url::parse(page) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url.origin().ascii_serialization()),
        Ok(url) if matches!(url.scheme(), "file" | "data") => Err(ExplainError::Usage(format!(
            "a page from a {}: URL has an opaque origin: write --page null",
            url.scheme()
        ))),
        _ => Err(ExplainError::Usage(format!(
            "{page:?} is not the origin of a page: write scheme://host or scheme://host:port, such as \
             https://app.example, or null for an opaque origin"
        ))),
    }
}

/// Name and value of a header line.
pub(crate) fn split_line(line: &str) -> Result<(&str, &str), ExplainError> {
    let fault = |why: &str| {
        // What stands in the line may be secret.
        let shown: String = line.chars().take_while(|character| *character != ':').take(40).collect();
        Err(ExplainError::Usage(format!("{shown:?} … is not a header line: {why}; write 'Name: value'")))
    };
    let Some((name, value)) = line.split_once(':') else { return fault("it has no colon") };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return fault("what stands before the colon is not a header name");
    }
    if value.contains(['\0', '\r', '\n']) {
        return fault("the value holds a line break or NUL");
    }
    Ok((name, value.trim_matches([' ', '\t'])))
}
