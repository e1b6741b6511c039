//! What is stopped before anything is sent: bad ports, mixed content, Content Security Policy.

use url::Host;

use super::client::Client;
use super::lna::AddressSpace;
use super::origin::Origin;
use super::request::{Destination, Mode, Request};
use super::trace::Trace;

/// Fetch, *bad port*.
const BAD_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// *Should request be blocked due to a bad port?*
pub(crate) fn is_bad_port(trace: &mut Trace, request: &Request) -> bool {
    let url = request.url();
    let http = matches!(url.scheme(), "http" | "https");
    if !http {
        trace.note("fetch.bad-port.2b", true);
        return false;
    }
    let Some(port) = url.port() else { return false };
    if BAD_PORTS.contains(&port) {
        return trace.rule("fetch.bad-port.table", true)
            && (request.mode != Mode::WebSocket || trace.rule("ws.handshake.1c", true));
    }
    !trace.rule("fetch.bad-port.3", true)
}

/// *Upgrade a mixed content request to a potentially trustworthy URL, if appropriate*, and local network access: a
/// request that is meant for a local address is left as it is.
pub(crate) fn upgrade_mixed_content(trace: &mut Trace, client: &Client, request: &mut Request) {
    let media = match request.destination {
        Destination::Image => !request.is_image_set,
        Destination::Audio | Destination::Video => true,
        _ => false,
    };
    let named = matches!(request.url().host(), Some(Host::Domain(_)));
    if !media || !named || !client.prohibits_mixed_content || request.url().scheme() != "http" {
        return;
    }
    let trustworthy = Origin::of(request.url()).is_potentially_trustworthy();
    let local = request.target_space == Some(AddressSpace::Local) && trace.rule("lna.mixed-content.no-upgrade", true);
    if trustworthy || local || !trace.rule("fetch.main-fetch.6", true) {
        return;
    }
    // These URLs have a host, so this cannot fail.
    let last = request.url_list.len() - 1;
    let _ = request.url_list[last].set_scheme("https");
}

/// *Should fetching request be blocked as mixed content?* Requests that are meant for a local address are left to the
/// local network access check.
pub(crate) fn blocked_by_mixed_content(trace: &mut Trace, client: &Client, request: &Request) -> bool {
    let url = request.url();
    if !client.prohibits_mixed_content || url.scheme() != "http" || Origin::of(url).is_potentially_trustworthy() {
        return false;
    }
    if request.target_space == Some(AddressSpace::Local) {
        let requirement = match url.host() {
            _ if request.states_target_space => "lna.mixed-content.annotated",
            Some(Host::Domain(_)) => "lna.mixed-content.dot-local",
            _ => "lna.mixed-content.ip-literal",
        };
        return !trace.rule(requirement, true);
    }
    if request.mode == Mode::WebSocket {
        return trace.rule("ws.handshake.1b", true) && trace.rule("lna.websocket.no-option", true);
    }
    trace.rule("lna.mixed-content.unannotated", true)
}

/// *Should request be blocked by Content Security Policy?*
pub(crate) fn blocked_by_csp(trace: &mut Trace, client: &Client, request: &Request) -> bool {
    let blocked = client.content_policies.iter().any(|policies| policies.forbid(request));
    blocked && (request.mode != Mode::WebSocket || trace.rule("ws.handshake.1d", true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn request(url: &str, mode: Mode) -> Request {
        let mut request = Request::new(url.parse().expect("a URL"), Origin::Opaque);
        request.mode = mode;
        request
    }

    fn client(headers: &[(&str, &str)]) -> Client {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Client::of(&Document { headers, ..Document::page("https://page.test") }, "/")
    }

    #[test]
    fn bad_ports_are_blocked_for_web_sockets_too() {
        for (url, mode, broken, blocked, follows) in [
            ("http://a.test:22/", Mode::Cors, "", true, &["fetch.bad-port.table"][..]),
            ("http://a.test:22/", Mode::WebSocket, "", true, &["fetch.bad-port.table", "ws.handshake.1c"]),
            ("http://a.test:22/", Mode::WebSocket, "ws.handshake.1c", false, &["fetch.bad-port.table"]),
            ("http://a.test:22/", Mode::Cors, "ws.handshake.1c", true, &["fetch.bad-port.table"]),
            ("http://a.test:8080/", Mode::WebSocket, "", false, &["fetch.bad-port.3"]),
            ("http://a.test/", Mode::Cors, "", false, &[]),
            ("ftp://a.test:22/", Mode::Cors, "", false, &["fetch.bad-port.2b"]),
        ] {
            let mut trace = Trace::breaking([broken.to_owned()]);
            assert_eq!(is_bad_port(&mut trace, &request(url, mode)), blocked, "{url} {mode:?} {broken}");
            assert_eq!(trace.requirements(), follows, "{url} {mode:?} {broken}");
        }
    }

    #[test]
    fn mixed_content_by_what_asks_for_it() {
        let (stated, found) = ((Some(AddressSpace::Local), true), (Some(AddressSpace::Local), false));
        let any = (None, false);
        let web_socket = &["ws.handshake.1b", "lna.websocket.no-option"][..];
        for (url, mode, (target_space, states_target_space), blocked, follows) in [
            ("http://a.test/", Mode::Cors, any, true, &["lna.mixed-content.unannotated"][..]),
            ("http://a.test/", Mode::WebSocket, any, true, web_socket),
            ("https://a.test/", Mode::WebSocket, any, false, &[]),
            ("http://localhost/", Mode::Cors, any, false, &[]),
            ("http://a.test/", Mode::Cors, stated, false, &["lna.mixed-content.annotated"]),
            ("http://printer.local/", Mode::NoCors, found, false, &["lna.mixed-content.dot-local"]),
            ("http://10.0.0.1/", Mode::WebSocket, found, false, &["lna.mixed-content.ip-literal"]),
        ] {
            let request = Request { target_space, states_target_space, ..request(url, mode) };
            let mut trace = Trace::default();
            assert_eq!(blocked_by_mixed_content(&mut trace, &client(&[]), &request), blocked, "{url} {mode:?}");
            assert_eq!(trace.requirements(), follows, "{url} {mode:?}");
        }
    }

    #[test]
    fn connect_src_covers_web_sockets() {
        let client = client(&[("Content-Security-Policy", "connect-src 'self'")]);
        for (url, mode, broken, blocked, follows) in [
            ("https://other.test/", Mode::Cors, "", true, &[][..]),
            ("https://other.test/", Mode::WebSocket, "", true, &["ws.handshake.1d"]),
            ("https://other.test/", Mode::WebSocket, "ws.handshake.1d", false, &[]),
            ("https://other.test/", Mode::Cors, "ws.handshake.1d", true, &[]),
            ("https://page.test/", Mode::WebSocket, "", false, &[]),
        ] {
            let mut trace = Trace::breaking([broken.to_owned()]);
            assert_eq!(blocked_by_csp(&mut trace, &client, &request(url, mode)), blocked, "{url} {mode:?} {broken}");
            assert_eq!(trace.requirements(), follows, "{url} {mode:?} {broken}");
        }
    }

    #[test]
    fn pictures_and_media_by_name_are_upgraded_where_mixed_content_is_prohibited() {
        let picture = (Destination::Image, false);
        for (page, url, (destination, is_image_set), upgraded) in [
            ("https://page.test", "http://a.test/", picture, true),
            ("https://page.test", "http://a.test/", (Destination::Audio, false), true),
            ("https://page.test", "http://a.test/", (Destination::Video, false), true),
            ("https://page.test", "http://a.test/", (Destination::Image, true), false),
            ("https://page.test", "http://a.test/", (Destination::Script, false), false),
            ("https://page.test", "http://192.0.2.1/", picture, false),
            ("https://page.test", "http://localhost/", picture, false),
            ("http://page.test", "http://a.test/", picture, false),
        ] {
            let client = Client::of(&Document::page(page), "/");
            let mut request = Request { destination, is_image_set, ..request(url, Mode::NoCors) };
            upgrade_mixed_content(&mut Trace::default(), &client, &mut request);
            assert_eq!(request.url().scheme() == "https", upgraded, "{page} {url} {destination:?} {is_image_set}");
        }
        let client = Client::of(&Document::page("https://page.test"), "/");
        let mut other = Request { destination: Destination::Image, ..request("ftp://a.test/", Mode::NoCors) };
        upgrade_mixed_content(&mut Trace::default(), &client, &mut other);
        assert_eq!(other.url().scheme(), "ftp");
    }
}
