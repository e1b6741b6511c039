use crosscheck_servers::{ByteString, Fields};
use url::Url;

use super::lna::AddressSpace;
use super::origin::Origin;
use super::trace::Trace;

/// A request, as far as cross-origin rules look at it. (Fetch, *Requests*)
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: ByteString,
    /// *URL list*; the last one is the *current URL*. Never empty.
    pub(crate) url_list: Vec<Url>,
    pub(crate) headers: Fields,
    pub(crate) body: Option<RequestBody>,
    pub(crate) mode: Mode,
    pub(crate) credentials: Credentials,
    pub(crate) redirect: Redirect,
    pub(crate) cache: Cache,
    pub(crate) integrity: String,
    pub(crate) keepalive: bool,
    pub(crate) referrer: Referrer,
    /// The empty string, or a referrer policy.
    pub(crate) referrer_policy: String,
    pub(crate) destination: Destination,
    /// Whether its *initiator* is "imageset".
    pub(crate) is_image_set: bool,
    pub(crate) origin: Origin,
    pub(crate) tainting: Tainting,
    pub(crate) unsafe_request: bool,
    pub(crate) use_cors_preflight: bool,
    pub(crate) use_url_credentials: bool,
    pub(crate) redirect_count: u32,
    /// *Target address space* (local network access)
    pub(crate) target_space: Option<AddressSpace>,
    /// Whether the page has stated the target address space.
    pub(crate) states_target_space: bool,
    /// What a redirect has removed: agents have brought it back.
    pub(crate) removed_authorization: Option<ByteString>,
}

/// A request body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestBody {
    pub(crate) bytes: Vec<u8>,
    /// Whether there is a *source* from which the body can be sent again. Streams have none.
    pub(crate) has_source: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Cors,
    NoCors,
    SameOrigin,
    WebSocket,
}

impl Mode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cors => "cors",
            Self::NoCors => "no-cors",
            Self::SameOrigin => "same-origin",
            Self::WebSocket => "websocket",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    Omit,
    SameOrigin,
    Include,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    Follow,
    Error,
    Manual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the names of the standard")]
pub(crate) enum Cache {
    Default,
    NoStore,
    Reload,
    NoCache,
    ForceCache,
    OnlyIfCached,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the names of the standard")]
pub(crate) enum Referrer {
    NoReferrer,
    Client,
    Url(Box<Url>),
}

/// What a response is for. The empty destination is that of `fetch()`, `XMLHttpRequest`, `EventSource` and beacons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// `fetch()` and its like.
    Empty,
    /// `<script>`, workers and their like.
    Script,
    /// A style sheet.
    Style,
    /// An image.
    Image,
    /// A font.
    Font,
    /// Audio.
    Audio,
    /// Video.
    Video,
    /// A text track of audio or video.
    Track,
}

impl Destination {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Script => "script",
            Self::Style => "style",
            Self::Image => "image",
            Self::Font => "font",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Track => "track",
        }
    }
}

/// *Response tainting*
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tainting {
    Basic,
    Cors,
    Opaque,
}

/// *Redirect-taint*
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedirectTaint {
    SameOrigin,
    SameSite,
    CrossSite,
}

impl Request {
    pub(crate) fn new(url: Url, origin: Origin) -> Self {
        Self {
            method: "GET".into(),
            url_list: vec![url],
            headers: Fields::new(),
            body: None,
            mode: Mode::NoCors,
            credentials: Credentials::SameOrigin,
            redirect: Redirect::Follow,
            cache: Cache::Default,
            integrity: String::new(),
            keepalive: false,
            referrer: Referrer::Client,
            referrer_policy: String::new(),
            destination: Destination::Empty,
            is_image_set: false,
            origin,
            tainting: Tainting::Basic,
            unsafe_request: false,
            use_cors_preflight: false,
            use_url_credentials: false,
            redirect_count: 0,
            target_space: None,
            states_target_space: false,
            removed_authorization: None,
        }
    }

    /// *Current URL*
    pub(crate) fn url(&self) -> &Url {
        &self.url_list[self.url_list.len() - 1]
    }

    pub(crate) fn includes_credentials_mode(&self) -> bool {
        self.credentials == Credentials::Include
    }

    /// Whether its current URL is of its own origin.
    pub(crate) fn is_same_origin(&self) -> bool {
        self.origin.is_origin_of(self.url())
    }

    /// *Redirect-taint* of a request.
    pub(crate) fn redirect_taint(&self, trace: &mut Trace) -> RedirectTaint {
        let mut taint = RedirectTaint::SameOrigin;
        for hop in self.url_list.windows(2) {
            let (left, new) = (Origin::of(&hop[0]), Origin::of(&hop[1]));
            let (stays, own) = (new.is_same_origin(&left), self.origin.is_same_origin(&left));
            let harmless = match (own, stays) {
                (true, true) => true,
                (false, true) => trace.rule("fetch.redirect-taint.5b", true),
                (true, false) => trace.rule("fetch.redirect-taint.5a", true),
                (false, false) => false,
            };
            let returns = new.is_same_origin(&self.origin);
            if harmless || returns && !trace.rule("fetch.redirect-taint.5c", true) {
                continue;
            }
            if !new.is_same_site(&left)
                && !self.origin.is_same_site(&left)
                && trace.rule("fetch.redirect-taint.4.2", true)
            {
                return RedirectTaint::CrossSite; // 4.2
            }
            if trace.rule("fetch.redirect-taint.4.3", true) {
                taint = RedirectTaint::SameSite; // 4.3
            }
        }
        taint
    }

    /// Whether it has gone from one server to another, both of them foreign.
    fn left_foreign_origin(&self) -> bool {
        self.url_list.windows(2).any(|hop| {
            let (left, new) = (Origin::of(&hop[0]), Origin::of(&hop[1]));
            let foreign = |origin: &Origin| !origin.is_same_origin(&self.origin);
            foreign(&left) && foreign(&new) && !new.is_same_origin(&left)
        })
    }

    /// *Serializing a request origin*
    pub(crate) fn serialize_origin(&self, trace: &mut Trace) -> ByteString {
        let tainted = self.redirect_taint(trace) != RedirectTaint::SameOrigin;
        if tainted
            && trace.rule("fetch.serialize-request-origin.2", true)
            && (!self.left_foreign_origin() || trace.rule("fetch.redirect.22e", true))
        {
            return "null".into();
        }
        if self.origin == Origin::Opaque {
            let own = trace.rule("fetch.serialize-request-origin.3b", true);
            return if own { "null".into() } else { Origin::of(self.url()).serialize() };
        }
        let serialized = self.origin.serialize();
        if trace.rule("fetch.serialize-request-origin.3a", true) {
            return serialized;
        }
        [serialized.as_bytes(), b"/"].concat().into()
    }
}

/// *Includes credentials*: a URL with a user name or a password.
pub(crate) fn includes_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some_and(|password| !password.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "https://page.test/";
    const API: &str = "https://api.page.test/";
    const OTHER: &str = "https://other.test/";
    const OTHER_API: &str = "https://api.other.test/";
    const THIRD: &str = "https://third.test/";

    /// A request of the page that went from URL to URL.
    fn request(urls: &[&str]) -> Request {
        let urls: Vec<Url> = urls.iter().map(|text| Url::parse(text).expect("a URL")).collect();
        let page = Url::parse(PAGE).expect("a URL");
        Request { url_list: urls, ..Request::new(page.clone(), Origin::of(&page)) }
    }

    #[test]
    fn hops_between_foreign_origins_and_back_taint_a_request() {
        use RedirectTaint::{CrossSite, SameOrigin, SameSite};

        const LEAVES: &str = "fetch.redirect-taint.5a";
        const STAYS: &str = "fetch.redirect-taint.5b";
        const RETURNS: &str = "fetch.redirect-taint.5c";
        const CROSS: &str = "fetch.redirect-taint.4.2";
        const SAME: &str = "fetch.redirect-taint.4.3";
        for (urls, taint, named) in [
            (&[PAGE][..], SameOrigin, &[][..]),
            (&[PAGE, PAGE], SameOrigin, &[]),
            (&[PAGE, OTHER], SameOrigin, &[LEAVES]),
            (&[OTHER, OTHER], SameOrigin, &[STAYS]),
            (&[OTHER, THIRD], CrossSite, &[CROSS]),
            (&[OTHER, OTHER_API], SameSite, &[SAME]),
            (&[API, OTHER], SameSite, &[SAME]),
            (&[API, PAGE], SameSite, &[RETURNS, SAME]),
            (&[OTHER, PAGE], CrossSite, &[RETURNS, CROSS]),
            (&[PAGE, OTHER, PAGE], CrossSite, &[LEAVES, RETURNS, CROSS]),
            (&[OTHER, OTHER_API, THIRD], CrossSite, &[SAME, CROSS]),
        ] {
            let mut trace = Trace::default();
            assert_eq!(request(urls).redirect_taint(&mut trace), taint, "{urls:?}");
            assert_eq!(trace.requirements(), named, "{urls:?}");
        }
    }

    #[test]
    fn the_origin_of_a_tainted_request_is_null() {
        const TAINTED: &str = "fetch.serialize-request-origin.2";
        const BETWEEN_SERVERS: &str = "fetch.redirect.22e";
        for (urls, origin, is_between_servers) in [
            (&[PAGE][..], "https://page.test", false),
            (&[PAGE, OTHER], "https://page.test", false),
            (&[OTHER, OTHER], "https://page.test", false),
            (&[PAGE, OTHER, PAGE], "null", false),
            (&[OTHER, OTHER, PAGE], "null", false),
            (&[OTHER, THIRD], "null", true),
            (&[PAGE, OTHER, OTHER_API], "null", true),
        ] {
            let mut trace = Trace::default();
            assert_eq!(request(urls).serialize_origin(&mut trace), *origin, "{urls:?}");
            assert_eq!(trace.requirements().contains(&TAINTED), origin == "null", "{urls:?}");
            assert_eq!(trace.requirements().contains(&BETWEEN_SERVERS), is_between_servers, "{urls:?}");
            let mut wrong = Trace::breaking([BETWEEN_SERVERS.to_owned()]);
            let without = if is_between_servers { "https://page.test" } else { origin };
            assert_eq!(request(urls).serialize_origin(&mut wrong), *without, "{urls:?}");
        }
    }

    #[test]
    fn credentials_of_a_url_are_a_name_or_a_password() {
        for (url, includes) in [
            ("https://page.test/", false),
            ("https://name@page.test/", true),
            ("https://:word@page.test/", true),
            ("https://name:word@page.test/", true),
            ("https://:@page.test/", false),
        ] {
            assert_eq!(includes_credentials(&Url::parse(url).expect("a URL")), includes, "{url}");
        }
    }
}
