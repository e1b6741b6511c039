//! Fetch Metadata Request Headers.

use crosscheck_servers::Fields;

use super::origin::Origin;
use super::request::{Mode, Request};
use super::trace::Trace;

/// *Append the Fetch metadata headers for a request*
pub(crate) fn append(trace: &mut Trace, request: &Request, headers: &mut Fields) {
    if !trace.rule("fetch.sec-purpose.2", true) {
        headers.push("Sec-Purpose", "prefetch");
    }
    // Left off where the URL of the request, which is its first one, is not potentially trustworthy.
    if !Origin::of(&request.url_list[0]).is_potentially_trustworthy()
        || !trace.rule("fetch.network-or-cache.8.13a", true)
        || request.mode == Mode::WebSocket && !trace.rule("ws.handshake.2.fetch-metadata", true)
        || headers.contains("access-control-request-method") && !trace.rule("fetch.network-or-cache.8.13b", true)
    {
        return;
    }
    headers.push("Sec-Fetch-Dest", request.destination.name());
    headers.push("Sec-Fetch-Mode", request.mode.name());
    headers.push("Sec-Fetch-Site", site(request));
}

/// *Set the Sec-Fetch-Site header*: its value.
fn site(request: &Request) -> &'static str {
    let mut value = "same-origin";
    for url in &request.url_list {
        let origin = Origin::of(url);
        if origin.is_same_origin(&request.origin) {
            continue;
        }
        if !origin.is_same_site(&request.origin) {
            return "cross-site";
        }
        value = "same-site";
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_has_the_headers_of_a_fetch() {
        let (kept, socket) = ("fetch.network-or-cache.8.13a", "ws.handshake.2.fetch-metadata");
        for (url, mode, broken, sent, follows) in [
            ("https://api.test/", Mode::Cors, "", Some("cors"), &[kept][..]),
            ("https://api.test/", Mode::WebSocket, "", Some("websocket"), &[kept, socket]),
            ("https://api.test/", Mode::WebSocket, socket, None, &[kept]),
            ("https://api.test/", Mode::Cors, socket, Some("cors"), &[kept]),
            ("http://api.test/", Mode::WebSocket, "", None, &[]),
        ] {
            let mut request = Request::new(url.parse().expect("a URL"), Origin::Opaque);
            request.mode = mode;
            let (mut trace, mut headers) = (Trace::breaking([broken.to_owned()]), Fields::new());
            append(&mut trace, &request, &mut headers);
            let stated = ["Sec-Fetch-Mode", "Sec-Fetch-Dest"].map(|name| headers.get(name));
            assert_eq!(stated, [sent, sent.map(|_| "empty")].map(|value| value.map(Into::into)), "{mode:?} {broken}");
            assert_eq!(trace.requirements(), [&["fetch.sec-purpose.2"][..], follows].concat(), "{mode:?} {broken}");
        }
    }
}
