//! Exchanges made up for one step of the standard each: what is sent, what the page sees, and which rules decide it. A
//! rule that is named where it decides nothing would make a report tell of the wrong one.

use std::time::Duration;

use crosscheck_cases::standard::{Answer, Client, Message, MessageKind, NetworkError, Permission, Received, perform};
use crosscheck_cases::{Document, PageResult, Probe, ResultKind};
use serde_json::{Value, json};

const ALLOWED: &[(&str, &str)] = &[
    ("Access-Control-Allow-Origin", "https://page.test"),
    ("Access-Control-Allow-Credentials", "true"),
    ("Access-Control-Allow-Methods", "PUT"),
    ("Access-Control-Allow-Headers", "x-a"),
];

struct Exchange {
    page: Vec<PageResult>,
    blocked: Option<NetworkError>,
    sent: Vec<Message>,
    /// The ids of the rules that were followed, each with the number of messages before.
    named: Vec<(String, usize)>,
}

impl Exchange {
    fn names(&self, requirement: &str) -> bool {
        self.named.iter().any(|(named, _)| named == requirement)
    }

    /// The methods of what was sent.
    fn methods(&self) -> Vec<String> {
        self.sent.iter().map(|message| message.method.to_string()).collect()
    }

    fn header(&self, message: usize, name: &str) -> Option<String> {
        self.sent[message].headers.get(name).map(|value| value.decode().into_owned())
    }
}

fn page() -> Client {
    Client::of(&Document::page("https://page.test"), "/")
}

fn below(document: Value) -> Client {
    Client::of(&serde_json::from_value(document).expect("a document"), "/")
}

/// What a client does in steps with answers that come in order, the last one again and again.
fn exchange(client: Client, steps: &Value, broken: &[&str], answers: &[Answer]) -> Exchange {
    let steps: Vec<Probe> = match steps {
        Value::Array(_) => serde_json::from_value(steps.clone()),
        one => serde_json::from_value(json!([one])),
    }
    .expect("probes");
    let mut sent: Vec<Message> = Vec::new();
    let broken: Vec<String> = broken.iter().map(|rule| (*rule).to_owned()).collect();
    let performance = perform(client, steps, broken).run(|message| {
        let answer = answers.get(sent.len()).or(answers.last()).expect("an answer").clone();
        sent.push(message);
        answer
    });
    let named =
        performance.decisions.into_iter().map(|decision| (decision.requirement.into_owned(), decision.after)).collect();
    Exchange { page: performance.page, blocked: performance.blocked, sent, named }
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
    late(status, headers, Duration::ZERO)
}

fn late(status: u16, headers: &[(&str, &str)], took: Duration) -> Answer {
    Answer::Response(Received {
        status,
        reason: "OK".into(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        body: b"hello".to_vec(),
        complete: true,
        took,
    })
}

fn moved(to: &str) -> Answer {
    answer(302, &[ALLOWED, &[("Location", to)]].concat())
}

/// Rules that show in nothing but their names, each where it applies and where it does not.
#[test]
fn rules_are_named_where_they_decide() {
    let own = "https://page.test/x";
    let other = "https://api.other.test/x";
    let ok = answer(200, ALLOWED);
    let put = json!({"fetch": other, "method": "PUT"});
    let get = json!({"fetch": other});
    let no_cors = json!({"fetch": other, "mode": "no-cors"});
    let away = json!({"fetch": own});
    let away_no_cors = json!({"fetch": own, "mode": "no-cors"});
    let include = json!({"fetch": other, "credentials": "include"});
    let exposing = |value| answer(200, &[ALLOWED, &[("Access-Control-Expose-Headers", value)]].concat());
    let to_bad_port = answer(302, &[ALLOWED, &[("Location", "https://page.test:6667/")]].concat());
    let cookie = answer(200, &[ALLOWED, &[("Set-Cookie", "a=1")]].concat());
    let omit = json!({"fetch": other, "credentials": "omit"});
    let long = |length: usize| json!({"fetch": other, "method": "POST", "keepalive": true, "body": {"fill": length}});
    for (requirement, applies, not) in [
        ("fetch.bad-port.2a", (json!({"fetch": "https://page.test:6667/"}), &ok), (away.clone(), &to_bad_port)),
        ("fetch.bad-port.2c", (away.clone(), &to_bad_port), (json!({"fetch": "https://page.test:6667/"}), &ok)),
        ("fetch.redirect.22a", (away.clone(), &moved(other)), (get.clone(), &moved(other))),
        ("fetch.redirect.22a", (away.clone(), &moved(other)), (away_no_cors.clone(), &moved(other))),
        ("fetch.redirect.22d", (away_no_cors.clone(), &moved(other)), (no_cors.clone(), &moved(other))),
        ("fetch.redirect.22d", (away_no_cors.clone(), &moved(other)), (away.clone(), &moved(other))),
        ("fetch.main-fetch.14.1.2b", (get.clone(), &exposing("*, x-a")), (get.clone(), &exposing("*"))),
        ("fetch.main-fetch.14.1.3b", (include.clone(), &exposing("x-a")), (get.clone(), &exposing("x-a"))),
        ("fetch.main-fetch.14.1.3b", (include.clone(), &exposing("x-a")), (include.clone(), &exposing(""))),
        ("fetch.header-value.trim-response", (get.clone(), &exposing(" x-a")), (get.clone(), &exposing("x-a"))),
        ("fetch.http-fetch.4.4b", (get.clone(), &answer(404, ALLOWED)), (get.clone(), &ok)),
        (
            "fetch.http-fetch.5c",
            (away.clone(), &answer(200, &[("Cross-Origin-Resource-Policy", "same-site")])),
            (away.clone(), &ok),
        ),
        ("fetch.network-or-cache.15a", (include.clone(), &answer(401, ALLOWED)), (include.clone(), &ok)),
        (
            "fetch.network-or-cache.15b",
            (json!({"fetch": own, "credentials": "omit"}), &answer(401, &[])),
            (away.clone(), &answer(401, &[])),
        ),
        (
            "fetch.network-or-cache.15b",
            (json!({"fetch": own, "credentials": "omit"}), &answer(401, &[])),
            (json!({"fetch": own, "credentials": "omit"}), &ok),
        ),
        ("fetch.preflight.6b", (put.clone(), &ok), (json!({"fetch": own, "method": "OPTIONS"}), &ok)),
        ("fetch.preflight.6b", (put.clone(), &ok), (get.clone(), &ok)),
        ("cookies.fetch-same-origin-default", (get.clone(), &ok), (include.clone(), &ok)),
        ("cookies.fetch-omit", (omit.clone(), &ok), (get.clone(), &ok)),
        ("fetch.network-or-cache.8.20", (put.clone(), &ok), (json!({"fetch": own, "method": "OPTIONS"}), &ok)),
        ("fetch.network-or-cache.8.20", (put.clone(), &ok), (get.clone(), &ok)),
        (
            "fetch.network-or-cache.8.19",
            (json!({"fetch": own, "headers": [["Range", "bytes=0-1"]]}), &ok),
            (away.clone(), &ok),
        ),
        ("fetch.network-or-cache.8.10a", (long(65_537), &ok), (long(65_536), &ok)),
        ("fetch.network-or-cache.8.10b", (long(65_536), &ok), (long(65_535), &ok)),
        ("fetch.network.17a", (include.clone(), &cookie), (omit.clone(), &cookie)),
        ("fetch.network.17b", (omit.clone(), &cookie), (include.clone(), &cookie)),
        ("fetch.network.17b", (omit.clone(), &cookie), (put.clone(), &answer(404, &[("Set-Cookie", "a=1")]))),
        ("fetch.network.17c", (put.clone(), &answer(404, &[("Set-Cookie", "a=1")])), (omit.clone(), &cookie)),
        (
            "ws.handshake.2.set-cookie",
            (json!({"websocket": "wss://page.test/"}), &answer(101, &[("Set-Cookie", "a=1")])),
            (include.clone(), &cookie),
        ),
        ("ws.handshake.2.mode-preflight", (json!({"websocket": "wss://page.test/"}), &ok), (away.clone(), &ok)),
        ("lna.websocket.check", (json!({"websocket": "wss://page.test/"}), &ok), (away.clone(), &ok)),
        ("lna.fetch-hook.network.2", (away.clone(), &moved(other)), (get.clone(), &ok)),
        ("lna.target.redirect", (away.clone(), &moved(other)), (get.clone(), &ok)),
        (
            "fetch.http-fetch.6.3.manual.b",
            (json!({"fetch": other, "redirect": "manual"}), &moved(own)),
            (get.clone(), &moved(other)),
        ),
        (
            "fetch.http-fetch.6.3.manual.b",
            (json!({"fetch": other, "redirect": "manual"}), &moved(own)),
            (json!({"fetch": other, "redirect": "manual"}), &ok),
        ),
        (
            "fetch.network-or-cache.16",
            (json!({"fetch": own, "in": "worker"}), &answer(407, &[])),
            (away.clone(), &answer(407, &[])),
        ),
        (
            "fetch.network-or-cache.16",
            (json!({"fetch": own, "in": "worker"}), &answer(407, &[])),
            (json!({"fetch": own, "in": "worker"}), &ok),
        ),
        (
            "fetch.scheme-fetch.blob.2",
            (json!({"fetch": "blob:https://page.test/x"}), &ok),
            (json!({"fetch": "ftp://page.test/", "mode": "no-cors"}), &ok),
        ),
        (
            "fetch.scheme-fetch.4",
            (json!({"fetch": "ftp://page.test/", "mode": "no-cors"}), &ok),
            (json!({"fetch": "about:blank", "mode": "no-cors"}), &ok),
        ),
        ("fetch.scheme-fetch.4", (json!({"fetch": "about:srcdoc", "mode": "no-cors"}), &ok), (away.clone(), &ok)),
    ] {
        for ((step, answer), names) in [(applies, true), (not, false)] {
            let mut step = step;
            let worker = step.as_object_mut().and_then(|step| step.remove("in")).is_some();
            let client = match worker {
                true => below(json!({"kind": "worker", "origin": "https://page.test", "in": "https://page.test"})),
                false => page(),
            };
            let is_redirect = matches!(answer, Answer::Response(one) if one.status == 302);
            // A redirect is answered once.
            let answers = if is_redirect { vec![answer.clone(), ok.clone()] } else { vec![answer.clone()] };
            let exchange = exchange(client, &step, &[], &answers);
            assert_eq!(exchange.names(requirement), names, "{requirement}: {step} {answer:?} {:?}", exchange.named);
        }
    }
}

#[test]
fn preflights_are_named_where_they_are_due() {
    let put = json!({"fetch": "https://api.other.test/x", "method": "PUT"});
    let direct = exchange(page(), &put, &[], &[answer(200, ALLOWED)]);
    assert_eq!(direct.methods(), ["OPTIONS", "PUT"]);
    for requirement in ["fetch.redirect.22b", "fetch.redirect.22c"] {
        assert!(!direct.names(requirement), "{requirement}");
    }
    // An answer without a list is no preflight's answer, and none is asked of the one that follows.
    let bare = [("Access-Control-Allow-Origin", "*")];
    for (lists, named) in [
        (&bare[..], true),
        (&[bare[0], ("Access-Control-Allow-Methods", "PUT")], false),
        (&[bare[0], ("Access-Control-Allow-Headers", "x-a")], false),
    ] {
        let exchange = exchange(page(), &put, &[], &[answer(200, ALLOWED), answer(200, lists)]);
        assert_eq!(exchange.names("fetch.http-fetch.4.4i"), named, "{lists:?}");
    }
    let simple = exchange(page(), &json!({"fetch": "https://api.other.test/x"}), &[], &[answer(200, &bare)]);
    assert!(!simple.names("fetch.http-fetch.4.4i"));
    // What a preflight lets a page send is sent, and not before: an upload that never began has no end.
    let upload = json!({"xhr": "https://api.other.test/x", "method": "PUT", "body": "data", "uploadListener": true});
    let refused = exchange(page(), &upload, &[], &[answer(403, &[])]);
    assert_eq!(refused.methods(), ["OPTIONS"]);
    let events = refused.page[0].events.clone().expect("events");
    assert!(!events.iter().any(|event| event.starts_with("upload.load ") || event == "upload.load"), "{events:?}");
}

#[test]
fn waiting_ends_after_the_step_s_time_and_redirects_end_somewhere() {
    let step = json!({"fetch": "https://page.test/x", "timeoutMs": 1000});
    for (milliseconds, kind) in [(1000, ResultKind::Response), (1001, ResultKind::Timeout)] {
        let took = Duration::from_millis(milliseconds);
        assert_eq!(exchange(page(), &step, &[], &[late(200, &[], took)]).page[0].result, kind, "{milliseconds}");
    }
    // Even an agent without the limit of redirects comes to an end.
    let endless = exchange(page(), &step, &["fetch.redirect.7b"], &[moved("https://page.test/x")]);
    assert_eq!((endless.sent.len(), endless.page[0].result), (64, ResultKind::Timeout));
}

#[test]
fn credentials_of_a_url_answer_a_challenge_once() {
    let with = |pair: &str| json!({"xhr": format!("https://{pair}@page.test/x")});
    let challenge = answer(401, &[("WWW-Authenticate", "Basic")]);
    let ok = answer(200, &[]);
    let basic = |pair: &str| {
        use base64::Engine as _;
        Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
    };
    let answered = exchange(page(), &with("me:secret"), &[], &[challenge.clone(), ok.clone()]);
    assert_eq!(answered.header(0, "authorization"), None);
    assert_eq!(answered.header(1, "authorization"), basic("me:secret"));
    assert_eq!(answered.page[0].status, Some(200));
    let user = exchange(page(), &with("me"), &[], &[challenge.clone(), ok.clone()]);
    assert_eq!(user.header(1, "authorization"), basic("me:"));
    // Once is enough; without credentials there is nothing to answer with; and nobody asked for them with a 200.
    for (step, answer, count) in [
        (with("me:secret"), &challenge, 2),
        (json!({"xhr": "https://page.test/x"}), &challenge, 1),
        (json!({"fetch": "https://page.test/x"}), &challenge, 1),
        (with("me:secret"), &ok, 1),
        (with("me:secret"), &answer(403, &[]), 1),
    ] {
        let exchange = exchange(page(), &step, &[], std::slice::from_ref(answer));
        assert_eq!(exchange.sent.len(), count, "{step} {answer:?}");
    }
    // What has answered is sent at once from then on, but not in place of what another URL says.
    let image = json!({"load": "https://page.test/z", "element": "img"});
    let steps = json!([with("me:secret"), {"fetch": "https://page.test/y"}, with("you:other"), image]);
    let later = exchange(page(), &steps, &[], &[challenge.clone(), ok.clone()]);
    assert_eq!(later.header(2, "authorization"), basic("me:secret"));
    assert_eq!(later.header(3, "authorization"), None);
    assert_eq!(later.header(4, "authorization"), basic("me:secret"));
    let unanswered =
        exchange(page(), &json!([with("me:secret"), {"fetch": "https://page.test/y"}]), &[], std::slice::from_ref(&ok));
    assert_eq!(unanswered.header(1, "authorization"), None);
    let foreign = json!({"xhr": "https://me:secret@api.other.test/x", "withCredentials": true});
    let challenge = answer(401, &[ALLOWED, &[("WWW-Authenticate", "Basic")]].concat());
    assert_eq!(exchange(page(), &foreign, &[], &[challenge]).sent.len(), 1);
}

#[test]
fn stored_responses_are_used_where_they_may_be() {
    const FRESH: &[(&str, &str)] = &[("Cache-Control", "max-age=60")];
    const STALE: &[(&str, &str)] = &[("Cache-Control", "max-age=0")];
    const TAGGED: &[(&str, &str)] = &[("Cache-Control", "max-age=60"), ("ETag", "\"1\"")];
    let url = "https://page.test/x";
    let get = json!({"fetch": url});
    let with = |cache: &str| json!({"fetch": url, "cache": cache});
    let by = |method: &str| json!({"fetch": url, "method": method});
    let conditional = json!({"fetch": url, "headers": [["If-None-Match", "\"1\""]]});
    // The steps, the first answer, how many messages are sent, and the status of the last response: the first answer has
    // 200, others 201.
    for (steps, first, sent, status) in [
        (vec![get.clone(), get.clone()], FRESH, 1, 200),
        (vec![get.clone(), get.clone()], STALE, 2, 201),
        (vec![get.clone(), with("force-cache")], STALE, 1, 200),
        (vec![get.clone(), with("only-if-cached")], STALE, 1, 200),
        (vec![get.clone(), with("no-cache")], FRESH, 2, 201),
        (vec![get.clone(), with("reload")], FRESH, 2, 201),
        (vec![get.clone(), with("no-store")], FRESH, 2, 201),
        (vec![with("no-store"), get.clone()], FRESH, 2, 201),
        (vec![get.clone(), conditional.clone()], FRESH, 2, 201),
        (vec![get.clone(), by("HEAD"), get.clone()], FRESH, 2, 200),
        (vec![get.clone(), by("OPTIONS"), get.clone()], FRESH, 2, 200),
        (vec![get.clone(), by("POST"), get.clone()], FRESH, 3, 201),
        (vec![by("POST"), by("POST")], FRESH, 2, 201),
        (vec![get.clone(), with("no-cache")], TAGGED, 2, 201),
    ] {
        let mut steps = Value::Array(steps);
        for step in steps.as_array_mut().into_iter().flatten() {
            if step.get("cache").is_some_and(|cache| cache == "only-if-cached") {
                step["mode"] = json!("same-origin");
            }
        }
        let exchange = exchange(page(), &steps, &[], &[answer(200, first), answer(201, &[])]);
        assert_eq!(exchange.sent.len(), sent, "{steps} {first:?}");
        assert_eq!(exchange.page.last().and_then(|page| page.status), Some(status), "{steps} {first:?}");
    }
    // A 304 stands for what is stored, where it was asked whether that still holds.
    let steps = json!([get, with("no-cache")]);
    for (first, asks, status) in [(TAGGED, true, 200), (FRESH, false, 304)] {
        let exchange = exchange(page(), &steps, &[], &[answer(200, first), answer(304, &[])]);
        assert_eq!(exchange.header(1, "if-none-match").is_some(), asks, "{first:?}");
        assert_eq!(exchange.page[1].status, Some(status), "{first:?}");
        assert_eq!(exchange.names("fetch.http-fetch.4.4f"), asks, "{first:?}");
    }
    // A condition of the page's own makes nothing of the cache, and names that; with another cache mode it has no say.
    let own = |cache| json!({"fetch": url, "cache": cache, "headers": [["If-None-Match", "\"1\""]]});
    for (cache, names) in [("default", true), ("no-cache", false), ("reload", false)] {
        let exchange = exchange(page(), &own(cache), &[], &[answer(200, &[])]);
        assert_eq!(exchange.names("fetch.network-or-cache.8.16"), names, "{cache}");
    }
}

#[test]
fn integrity_and_the_cors_check_do_not_stand_in_for_each_other() {
    // sha256 of "hello"
    let hash = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    let step = |integrity: &str| json!({"fetch": "https://api.other.test/x", "integrity": integrity});
    for (integrity, headers, names) in [
        (hash, &[][..], true),
        ("", &[], false),
        ("sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCX=", &[], false),
        (hash, ALLOWED, false),
    ] {
        let exchange = exchange(page(), &step(integrity), &[], &[answer(200, headers)]);
        assert_eq!(exchange.names("fetch.main-fetch.23.order"), names, "{integrity} {headers:?}");
    }
    let manual = json!({"fetch": "https://page.test/x", "redirect": "manual", "integrity": hash});
    let blocked = exchange(page(), &manual, &[], &[moved("https://page.test/y")]).blocked;
    assert_eq!(blocked.map(|error| error.requirement), Some("fetch.main-fetch.23.2b"));
}

#[test]
fn the_address_is_checked_before_anything_is_sent() {
    let mut client = page();
    client.address_space = crosscheck_cases::standard::AddressSpace::Public;
    client.space_of_names = Some(crosscheck_cases::standard::AddressSpace::Local);
    client.local_network_permission = Permission::Denied;
    let step = json!({"fetch": "https://api.other.test/x"});
    let right = exchange(client.clone(), &step, &[], &[answer(200, ALLOWED)]);
    assert_eq!(right.sent.len(), 0);
    let allowed = exchange(page(), &step, &[], &[answer(200, ALLOWED)]);
    let checks = |exchange: &Exchange| {
        let checked = exchange.named.iter().filter(|(named, _)| named == "lna.request.by-address");
        checked.map(|(_, after)| *after).collect::<Vec<_>>()
    };
    assert_eq!(checks(&allowed), [0]);
    let late = exchange(client, &step, &["lna.fetch-hook.network.1"], &[answer(200, ALLOWED)]);
    assert_eq!((late.sent.len(), checks(&late)), (1, vec![1]));
}

#[test]
fn streams_have_no_length_and_other_bodies_have() {
    let step =
        |body: Value| json!({"fetch": "https://h2.other.test/x", "method": "POST", "body": body, "duplex": "half"});
    for (body, length) in [(json!({"stream": "data"}), None), (json!("data"), Some("4".to_owned()))] {
        let exchange = exchange(
            Client::of(&Document::page("https://h2.other.test"), "/"),
            &step(body.clone()),
            &[],
            &[answer(200, &[])],
        );
        assert_eq!(exchange.header(0, "content-length"), length, "{body}");
    }
}

#[test]
fn messages_say_what_they_are() {
    let kinds = |step: Value| {
        let sent = exchange(page(), &step, &[], &[answer(200, ALLOWED)]).sent;
        sent.into_iter().map(|message| message.kind).collect::<Vec<_>>()
    };
    let other = "https://api.other.test/x";
    assert_eq!(kinds(json!({"websocket": "wss://api.other.test/x"})), [MessageKind::Handshake]);
    assert_eq!(kinds(json!({"fetch": other, "method": "PUT"})), [MessageKind::Preflight, MessageKind::Request]);
    // What is asked with OPTIONS by the page is no preflight.
    assert_eq!(kinds(json!({"fetch": "https://page.test/x", "method": "OPTIONS"})), [MessageKind::Request]);
}

/// What only an agent shows that does not keep the rule.
#[test]
fn agents_that_do_not_keep_a_rule_do_just_that() {
    let other = "https://api.other.test/x";
    let own = "https://page.test/x";
    let plain =
        answer(200, &[ALLOWED, &[("Content-Type", "text/plain"), ("X-Content-Type-Options", "nosniff")]].concat());
    let style = |url: &str| json!({"load": url, "element": "style"});
    let blocked = |step: Value, broken: &[&str]| {
        exchange(page(), &step, broken, std::slice::from_ref(&plain)).blocked.map(|error| error.requirement)
    };
    // Main fetch 20 looks at the response inside an opaque one.
    assert_eq!(blocked(style(other), &[]), Some("fetch.nosniff-block.5a"));
    assert_ne!(blocked(style(other), &["fetch.main-fetch.20a"]), Some("fetch.nosniff-block.5a"));
    assert_eq!(blocked(style(own), &["fetch.main-fetch.20a"]), Some("fetch.nosniff-block.5a"));
    // Integrity of a CORS response: the body is hello.
    let hash = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    let with_integrity = |url: &str| json!({"fetch": url, "integrity": hash});
    let not_for_cors = &["fetch.main-fetch.23.3.1b"][..];
    assert_eq!(blocked(with_integrity(other), &[]), None);
    assert_eq!(blocked(with_integrity(own), not_for_cors), None);
    assert_eq!(blocked(with_integrity(other), not_for_cors), Some("fetch.main-fetch.23.3.1a"));
    // The header that validates a stored response would ask for a preflight.
    let revalidates = &["fetch.network-or-cache.8.26.revalidate"][..];
    let get = json!({"fetch": other});
    for (life, methods) in [("max-age=0", &["GET", "OPTIONS"][..]), ("max-age=600", &["GET"])] {
        let stored = answer(200, &[ALLOWED, &[("ETag", "\"1\""), ("Cache-Control", life)]].concat());
        let sent = exchange(page(), &json!([get, get]), revalidates, &[stored]);
        assert_eq!(sent.methods(), methods, "{life}");
    }
    assert_eq!(exchange(page(), &get, revalidates, &[answer(200, ALLOWED)]).methods(), ["GET"]);
    // ws: and wss: are taken for each other.
    let plain_page = Client::of(&Document::page("http://page.test"), "/");
    for (url, rule, scheme) in
        [("ws://api.other.test/", "ws.handshake.1a", "https"), ("wss://api.other.test/", "ws.connection.5", "http")]
    {
        let sent = exchange(plain_page.clone(), &json!({"websocket": url}), &[rule], &[answer(403, &[])]).sent;
        assert_eq!(sent[0].url.scheme(), scheme, "{url}");
    }
}

#[test]
fn the_page_s_own_responses_are_not_subject_to_corp() {
    let same_site = answer(200, &[("Cross-Origin-Resource-Policy", "same-site")]);
    let image = |url: &str| json!({"load": url, "element": "img"});
    let checks = |url: &str| {
        let exchange = exchange(page(), &image(url), &[], std::slice::from_ref(&same_site));
        exchange.named.iter().any(|(named, _)| named.starts_with("fetch.corp-"))
    };
    assert!(checks("https://api.page.test/x"));
    assert!(!checks("https://page.test/x"));
}

#[test]
fn a_strict_cookie_is_kept_from_a_frame_below_another_site() {
    let other = json!({"kind": "iframe", "origin": "https://other.test", "in": "https://page.test"});
    let steps = json!([{"fetch": "https://page.test/x"}, {"fetch": "https://page.test/x"}]);
    let sets = answer(200, &[("Set-Cookie", "a=1; SameSite=Strict")]);
    for (around, cookie) in [(json!("https://page.test"), Some("a=1")), (other, None)] {
        let frame = below(json!({"kind": "iframe", "origin": "https://page.test", "in": around}));
        let exchange = exchange(frame, &steps, &[], std::slice::from_ref(&sets));
        assert_eq!(exchange.header(1, "cookie").as_deref(), cookie, "{around}");
    }
}

#[test]
fn a_handshake_that_is_wrong_twice_tells_both_classes() {
    let refused = |headers: &[(&str, &str)]| {
        let step = json!({"websocket": "wss://api.other.test/", "protocols": ["chat"]});
        let error = exchange(page(), &step, &[], &[answer(101, headers)]).blocked.expect("a block");
        (error.class, error.also)
    };
    let lines =
        [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")];
    assert_eq!(refused(&lines), (Some("websocket-protocol"), None));
    assert_eq!(refused(&lines[..2]), (Some("websocket-protocol"), Some("websocket-handshake")));
}

#[test]
fn a_status_is_any_number_to_999_and_an_interim_one_ends_nothing() {
    let step = json!({"fetch": "https://page.test/"});
    for (status, class) in [
        (0, None),
        (99, None),
        (100, Some("malformed-response")),
        (101, Some("malformed-response")),
        (103, Some("malformed-response")),
        (199, Some("malformed-response")),
        (200, None),
        (599, None),
        (600, None),
        (999, None),
    ] {
        let blocked = exchange(page(), &step, &[], &[answer(status, &[])]).blocked;
        assert_eq!(blocked.and_then(|error| error.class), class, "{status}");
    }
}
