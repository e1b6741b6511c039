//! The faults that are looked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a fault does to users and owners, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Somebody is let in who should not be.
    Hole,
    /// A page that should be let in is kept out.
    Break,
    /// A cache gives an answer to a page for which it was not meant.
    Poison,
    /// More requests or more work than there need be.
    Cost,
    /// Nothing happens today, but little is missing.
    Hygiene,
    /// Worth knowing.
    #[serde(rename = "note")]
    Note,
}

impl Severity {
    /// All, the worst first.
    pub const ALL: [Self; 6] = [Self::Hole, Self::Break, Self::Poison, Self::Cost, Self::Hygiene, Self::Note];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hole => "HOLE",
            Self::Break => "BREAK",
            Self::Poison => "POISON",
            Self::Cost => "COST",
            Self::Hygiene => "HYGIENE",
            Self::Note => "note",
        }
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Hole => "somebody is let in who should not be",
            Self::Break => "a page that should be let in is kept out",
            Self::Poison => "a cache gives an answer to a page for which it was not meant",
            Self::Cost => "more requests or more work than there need be",
            Self::Hygiene => "nothing happens today, but little is missing",
            Self::Note => "worth knowing",
        }
    }
}

/// A kind of fault.
#[derive(Debug)]
pub struct Fault {
    /// Its id. It never changes.
    pub id: &'static str,
    /// What is wrong, in a sentence.
    pub title: &'static str,
    /// What to change.
    pub advice: &'static str,
}

const fn fault(id: &'static str, title: &'static str, advice: &'static str) -> Fault {
    Fault { id, title, advice }
}

/// Looks a kind of fault up.
#[must_use]
pub fn fault_of(id: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.id == id)
}

/// Every kind of fault: origins that are let in, pages that are kept out, preflights, caches, other doors.
pub const FAULTS: &[Fault] = &[
    // Who is let in
    fault(
        "reflected-origin",
        "Every origin is let in.",
        "Compare the request's Origin with a list of allowed ones, as a whole, and send it back only where it is on the list.",
    ),
    fault(
        "reflected-with-cookie",
        "Every origin is let in as soon as a cookie comes along.",
        "Let the same list of allowed origins decide whether or not the request has cookies.",
    ),
    fault(
        "null-origin",
        "Opaque origins (null) are let in.",
        "Take null off the list: every sandboxed frame and data: document on any site has it.",
    ),
    fault(
        "substring-match",
        "Any origin that contains an allowed host is let in.",
        "Compare origins as a whole, not by a part of them.",
    ),
    fault(
        "suffix-match",
        "Any origin that begins like an allowed one is let in.",
        "Compare origins as a whole; end regular expressions with $ (or \\z).",
    ),
    fault(
        "prefix-match",
        "Any host that ends like an allowed one is let in.",
        "Compare origins as a whole; begin regular expressions with ^https://, and check for a dot before the domain.",
    ),
    fault(
        "unescaped-dot",
        "A dot in the list of allowed origins matches any character.",
        "Escape dots in regular expressions, or compare strings.",
    ),
    fault(
        "undeclared-subdomain",
        "Subdomains are let in that the policy does not name.",
        "List each subdomain, or let the pattern stand for one label only ([^.]+).",
    ),
    fault(
        "scheme-downgrade",
        "The http origin of an allowed https one is let in.",
        "Compare the scheme too: whoever is on the network can put a script into an http page.",
    ),
    fault(
        "other-port",
        "Other ports of an allowed host are let in.",
        "Compare the port too: another program may listen there.",
    ),
    fault(
        "other-routes-origin",
        "An origin is let in that only another route, or an answer, names.",
        "Look the list up by the route that is asked, in the letter case and form in which it is routed; give each route its own list.",
    ),
    fault(
        "loopback-origin",
        "Pages of the user's own machine are let in.",
        "Take localhost, 127.0.0.1 and [::1] off the list in production: any program on the user's machine can serve a page there.",
    ),
    fault(
        "extension-origin",
        "Extensions of browsers are let in, whoever made them.",
        "List the id of each extension that you mean, not its scheme.",
    ),
    fault(
        "default-port",
        "An allowed origin stands in the server's list with its default port.",
        "Leave :443 (https) and :80 (http) out: browsers never send them.",
    ),
    fault(
        "impossible-origin",
        "Values of Origin are accepted that no browser sends.",
        "Nothing has to change; comparing whole origins byte for byte would be stricter.",
    ),
    fault(
        "odd-host-characters",
        "Hosts with unusual characters are let in.",
        "End the pattern where the host ends; browsers do send hosts with characters such as _ and `.",
    ),
    fault(
        "trailing-dot",
        "The allowed host with a dot at its end is let in.",
        "Compare origins as a whole. The name leads to the same host, but it is another origin.",
    ),
    fault(
        "preflight-disagrees",
        "A preflight lets origins through that the answer itself keeps out.",
        "Let the same list decide about preflights: whoever gets through sends requests that the server acts on.",
    ),
    fault(
        "undeclared-methods",
        "Preflights allow methods that the policy does not name.",
        "List in Access-Control-Allow-Methods only what pages need.",
    ),
    fault(
        "echoed-request-headers",
        "Preflights allow any request header.",
        "List in Access-Control-Allow-Headers only what pages need; do not send back what was asked for.",
    ),
    fault(
        "websocket-origin",
        "WebSocket connections are accepted from origins that the policy does not name.",
        "Check the Origin of the handshake against the list: CORS does not protect WebSockets, and cookies are sent.",
    ),
    fault(
        "jsonp",
        "A JSONP callback gives the data to every page.",
        "Remove the callback parameter: a script element reads such an answer from any origin, with the user's cookies.",
    ),
    fault(
        "framing",
        "Pages may frame this that should not.",
        "Send Content-Security-Policy: frame-ancestors with the origins that may.",
    ),
    // Who is kept out
    fault(
        "allowed-origin-refused",
        "A page of an allowed origin cannot read the answer.",
        "Send Access-Control-Allow-Origin with the page's origin (and Vary: Origin) on every answer.",
    ),
    fault("several-origins", "Access-Control-Allow-Origin holds several origins.", "Send the one origin that asked."),
    fault(
        "duplicate-allow-origin",
        "Access-Control-Allow-Origin is sent twice.",
        "Let only one place send CORS headers: the proxy or the application.",
    ),
    fault(
        "malformed-allow-origin",
        "Access-Control-Allow-Origin is not the page's origin byte for byte.",
        "Send the request's Origin back as it came: lower case, no slash at the end, no default port, never empty.",
    ),
    fault(
        "wildcard-with-credentials",
        "Access-Control-Allow-Origin: * keeps pages out that send cookies.",
        "Send the page's origin (after comparing it with the list) and Vary: Origin.",
    ),
    fault(
        "credentials-value",
        "Access-Control-Allow-Credentials is not the word true.",
        "Send exactly true: lower case, once.",
    ),
    fault(
        "credentials-refused",
        "Pages that send cookies are kept out: there is no Access-Control-Allow-Credentials.",
        "Send Access-Control-Allow-Credentials: true to allowed origins, on preflights and on the answers.",
    ),
    fault(
        "bare-errors",
        "Error answers have no CORS headers, so pages cannot tell what went wrong.",
        "Send CORS headers on every status (nginx: always; frameworks: put the CORS layer outermost).",
    ),
    fault(
        "redirect-bare",
        "A redirect has no CORS headers, so it cannot be followed.",
        "Send CORS headers on redirects too.",
    ),
    fault("redirect-loop", "Redirects never end.", "Browsers give up after 20 redirects."),
    fault(
        "head-refused",
        "HEAD does not work where the policy allows it.",
        "Answer HEAD as GET, with the same CORS headers.",
    ),
    fault(
        "plain-options-refused",
        "An OPTIONS request that is no preflight is refused or swallowed.",
        "Take only OPTIONS with Origin and Access-Control-Request-Method for a preflight.",
    ),
    fault(
        "expose-headers",
        "Response headers cannot be read that the policy exposes.",
        "List them in Access-Control-Expose-Headers, separated by commas.",
    ),
    fault(
        "wildcard-lists-with-credentials",
        "A * in a list of CORS headers is only a name where cookies are sent.",
        "Name the methods and headers: with credentials * stands for nothing but itself.",
    ),
    fault(
        "authorization-wildcard",
        "Access-Control-Allow-Headers: * does not include Authorization.",
        "Name Authorization beside the *.",
    ),
    fault(
        "own-origin-refused",
        "The server refuses requests that carry its own origin.",
        "Let the server's own origin in: same-origin POST requests carry Origin.",
    ),
    fault(
        "corp",
        "Pages with Cross-Origin-Embedder-Policy cannot embed this.",
        "Send Cross-Origin-Resource-Policy: cross-origin (or same-site).",
    ),
    fault(
        "corp-missing",
        "Nothing forbids other sites to embed this.",
        "Send Cross-Origin-Resource-Policy: same-origin (or same-site).",
    ),
    fault(
        "websocket-refused",
        "A page of an allowed origin cannot open the WebSocket.",
        "Accept the handshake from allowed origins.",
    ),
    fault(
        "route-not-as-stated",
        "A route is not what the policy says, so nothing was learnt about it.",
        "Correct the route in the policy, or its authentication.",
    ),
    fault(
        "unanswered",
        "Requests got no usable answer.",
        "See what the server does with these requests: it closes the connection, sends something else than HTTP, or does not answer in time.",
    ),
    fault(
        "unsteady",
        "The same request gets different answers.",
        "Find out which of the servers behind this name answers otherwise, or what decides besides the request.",
    ),
    // Preflights
    fault(
        "preflight-bare",
        "Preflights are answered without CORS headers.",
        "Send the CORS headers on the answer to OPTIONS too (nginx: add_header within the if that returns 204).",
    ),
    fault(
        "preflight-redirected",
        "Preflights are redirected.",
        "Answer OPTIONS at the URL itself, before redirects for a slash, https or a log-in.",
    ),
    fault(
        "preflight-refused",
        "Preflights get an error status.",
        "Answer preflights with 204 before authentication and routing: they never carry credentials.",
    ),
    fault(
        "preflight-not-modified",
        "Preflights get status 304.",
        "Answer preflights with 204, and keep OPTIONS away from caches and conditional requests.",
    ),
    fault(
        "method-refused",
        "Preflights refuse a method that the policy allows.",
        "Add it to Access-Control-Allow-Methods.",
    ),
    fault(
        "method-case",
        "A method stands in another letter case in Access-Control-Allow-Methods.",
        "Write methods in upper case: patch is not PATCH.",
    ),
    fault(
        "request-headers-refused",
        "Preflights refuse request headers that the policy allows.",
        "Add them to Access-Control-Allow-Headers.",
    ),
    fault(
        "list-syntax",
        "A list in the answer to a preflight is malformed, so all of it counts for nothing.",
        "Separate names with commas, without quotes.",
    ),
    fault(
        "second-request-headers-line",
        "Only one line of Access-Control-Request-Headers is looked at.",
        "Join all lines of the header: proxies may split it.",
    ),
    fault(
        "max-age",
        "Preflights are not remembered for as long as the policy says.",
        "Send Access-Control-Max-Age as a plain number of seconds, at most 86400 (Chromium: 7200).",
    ),
    fault(
        "preflight-vary",
        "The answer to a preflight depends on request headers that Vary does not name.",
        "Send Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers.",
    ),
    fault(
        "allow-private-network",
        "Access-Control-Allow-Private-Network is sent.",
        "Leave it out unless public pages shall reach this server in a private network.",
    ),
    fault(
        "preflight-cost",
        "Preflights cost ever more time the longer the request's list of headers is.",
        "Limit the length of Access-Control-Request-Headers, and look names up in a set.",
    ),
    // Caches
    fault(
        "missing-vary",
        "The answer depends on Origin, and Vary does not say so.",
        "Send Vary: Origin on every answer of this URL, also where there is no Origin or it is refused.",
    ),
    fault(
        "vary-copied",
        "The request's own Vary header comes back in the answer.",
        "Build Vary from the server's own names only.",
    ),
    fault(
        "vary-lost",
        "The CORS code replaces the application's Vary header.",
        "Add Origin to Vary, do not replace what stands there.",
    ),
    fault(
        "default-allow-origin",
        "Without Origin, the answer names one of the allowed origins.",
        "Send no Access-Control-Allow-Origin where there is no Origin, and always Vary: Origin.",
    ),
    fault(
        "not-modified",
        "A 304 answer names another origin than the answer that it renews.",
        "Send the same Access-Control-Allow-Origin on 304 as on 200.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        for (index, fault) in FAULTS.iter().enumerate() {
            assert!(FAULTS[..index].iter().all(|other| other.id != fault.id), "{}", fault.id);
        }
    }
}
