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
