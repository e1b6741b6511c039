//! HTTP caching as far as it meets CORS: what is stored, selected (with Vary) and validated. (RFC 9111)

use std::time::Duration;

use crosscheck_servers::{ByteString, Fields, whole_number};
use url::Url;

use super::machine::Received;
use super::trace::Trace;

/// A user agent's HTTP cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpCache(Vec<Stored>);

/// What responses are stored under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// *HTTP cache partition*
    pub(crate) partition: ByteString,
    pub(crate) method: ByteString,
    /// Without fragment.
    pub(crate) url: Url,
}

#[derive(Clone, Debug)]
pub(crate) struct Stored {
    slot: Slot,
    /// The request headers that Vary names, with their values.
    vary: Vec<(String, Option<ByteString>)>,
    pub(crate) response: Received,
    stored: Duration,
}

impl Stored {
    /// Seconds for which it is fresh.
    fn lifetime(&self) -> Duration {
        let directives = directives(&self.response.headers);
        if directives.iter().any(|directive| directive == "no-cache") {
            return Duration::ZERO;
        }
        let stated = directives.iter().find_map(|directive| directive.strip_prefix("max-age="));
        Duration::from_secs(stated.and_then(|seconds| whole_number(seconds.as_bytes())).unwrap_or(0))
    }

    pub(crate) fn is_fresh(&self, now: Duration) -> bool {
        now < self.stored.saturating_add(self.lifetime())
    }
}

fn directives(headers: &Fields) -> Vec<String> {
    headers.get("cache-control").map_or_else(Vec::new, |value| {
        value.decode().split(',').map(|directive| directive.trim().to_ascii_lowercase()).collect()
    })
}

impl HttpCache {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The stored response for a request, fresh or not, with regard to Vary.
    pub(crate) fn select(&mut self, trace: &mut Trace, slot: &Slot, headers: &Fields) -> Option<&mut Stored> {
        self.0.iter_mut().rev().find(|stored| {
            stored.slot == *slot
                && (stored.vary.iter().all(|(name, value)| headers.get(name) == *value)
                    || !trace.rule("fetch.network-or-cache.8.26", true))
        })
    }

    /// Stores a response where that is of use: with a lifetime or a validator.
    pub(crate) fn store(&mut self, slot: Slot, request: &Fields, response: &Received, now: Duration) {
        let directives = directives(&response.headers);
        let vary = response.headers.get("vary").map(|value| value.decode().into_owned()).unwrap_or_default();
        let useful = directives.iter().any(|directive| directive.starts_with("max-age="))
            || response.headers.contains("etag")
            || response.headers.contains("last-modified");
        if !response.complete
            || !matches!(response.status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
            || directives.iter().any(|directive| directive == "no-store")
            || vary.split(',').any(|name| name.trim() == "*")
            || !useful
        {
            return;
        }
        let vary: Vec<(String, Option<ByteString>)> = vary
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty())
            .map(|name| {
                let value = request.get(&name);
                (name, value)
            })
            .collect();
        self.0.retain(|stored| stored.slot != slot || stored.vary != vary);
        self.0.push(Stored { slot, vary, response: response.clone(), stored: now });
    }

    /// *Freshening stored responses upon validation*
    pub(crate) fn freshen(stored: &mut Stored, validation: &Fields, now: Duration) {
        let mut headers: Fields =
            stored.response.headers.iter().filter(|(name, _)| !validation.contains(&name.decode())).cloned().collect();
        for (name, value) in validation {
            if !name.eq_ignore_ascii_case("content-length") {
                headers.push(name.clone(), value.clone());
            }
        }
        stored.response.headers = headers;
        stored.stored = now;
    }

    /// *Invalidating stored responses* after an unsafe method.
    pub(crate) fn invalidate(&mut self, slot: &Slot) {
        self.0.retain(|stored| stored.slot.partition != slot.partition || stored.slot.url != slot.url);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        lines.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn slot(partition: &str, url: &str) -> Slot {
        Slot { partition: partition.into(), method: "GET".into(), url: Url::parse(url).expect("a URL") }
    }

    fn response(status: u16, body: &str, headers: &[(&str, &str)]) -> Received {
        Received {
            status,
            headers: fields(headers),
            body: body.as_bytes().to_vec(),
            complete: true,
            ..Received::default()
        }
    }

    const A: &str = "https://page.test/a";
    const B: &str = "https://page.test/b";
    const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");

    #[test]
    fn what_is_whole_and_of_use_is_stored_unless_forbidden() {
        for (status, complete, headers, is_stored) in [
            (200, true, &[FRESH][..], true),
            (404, true, &[FRESH], true),
            (200, true, &[("ETag", "\"1\"")], true),
            (200, true, &[("Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT")], true),
            (200, true, &[FRESH, ("Vary", "X, Y")], true),
            (200, true, &[], false),
            (200, false, &[FRESH], false),
            (206, true, &[FRESH], false),
            (302, true, &[FRESH], false),
            (500, true, &[FRESH], false),
            (200, true, &[FRESH, ("Cache-Control", "No-Store")], false),
            (200, true, &[FRESH, ("Vary", "*")], false),
            (200, true, &[FRESH, ("Vary", "X, *")], false),
        ] {
            let mut cache = HttpCache::default();
            assert!(cache.is_empty());
            let received = Received { complete, ..response(status, "", headers) };
            cache.store(slot("p", A), &Fields::new(), &received, Duration::ZERO);
            assert_eq!(cache.is_empty(), !is_stored, "{status} {complete} {headers:?}");
        }
    }

    #[test]
    fn a_response_is_replaced_by_one_for_the_same_url_and_the_same_values_of_what_vary_names() {
        let mut cache = HttpCache::default();
        for (url, x, body) in [(A, "1", "first"), (A, "2", "second"), (B, "1", "third"), (A, "1", "fourth")] {
            let received = response(200, body, &[FRESH, ("Vary", "X")]);
            cache.store(slot("p", url), &fields(&[("X", x)]), &received, Duration::ZERO);
        }
        const VARY: &str = "fetch.network-or-cache.8.26";
        for (broken, url, x, body, is_named) in [
            ("", A, "1", Some("fourth"), false),
            ("", A, "2", Some("second"), true),
            ("", B, "1", Some("third"), false),
            ("", A, "3", None, true),
            ("", B, "2", None, true),
            (VARY, A, "3", Some("fourth"), false),
        ] {
            let mut trace = Trace::breaking([broken.to_owned()]);
            let found = cache.select(&mut trace, &slot("p", url), &fields(&[("X", x)]));
            assert_eq!(found.map(|stored| stored.response.body.clone()), body.map(Into::into), "{url} {x}");
            assert_eq!(trace.requirements().contains(&VARY), is_named, "{url} {x}");
        }
        assert!(cache.select(&mut Trace::default(), &slot("q", A), &fields(&[("X", "1")])).is_none());
    }

    #[test]
    fn what_is_fresh_says_so_in_digits() {
        for (value, lifetime) in [
            ("max-age=60", 60),
            ("public, Max-Age=60", 60),
            ("max-age=99999999999999999999999", u64::MAX),
            ("max-age=0", 0),
            ("max-age=+60", 0),
            ("max-age=-60", 0),
            ("max-age=", 0),
            ("max-age=1.5", 0),
            ("max-age=60, no-cache", 0),
            ("s-maxage=60", 0),
        ] {
            let mut cache = HttpCache::default();
            let received = response(200, "", &[("ETag", "1"), ("Cache-Control", value)]);
            cache.store(slot("p", A), &Fields::new(), &received, Duration::from_secs(5));
            let stored = cache.select(&mut Trace::default(), &slot("p", A), &Fields::new()).expect("it is stored");
            assert_eq!(stored.lifetime().as_secs(), lifetime, "{value}");
            assert_eq!(stored.is_fresh(Duration::from_secs(64)), lifetime > 0, "{value}");
            assert_eq!(stored.is_fresh(Duration::from_secs(65)), lifetime > 60, "{value}");
        }
    }

    #[test]
    fn invalidation_is_of_one_url_in_one_partition() {
        let mut cache = HttpCache::default();
        for (partition, url) in [("p", A), ("p", B), ("q", A)] {
            cache.store(slot(partition, url), &Fields::new(), &response(200, "", &[FRESH]), Duration::ZERO);
        }
        cache.invalidate(&Slot { method: "POST".into(), ..slot("p", A) });
        for (partition, url, is_left) in [("p", A, false), ("p", B, true), ("q", A, true)] {
            let found = cache.select(&mut Trace::default(), &slot(partition, url), &Fields::new());
            assert_eq!(found.is_some(), is_left, "{partition} {url}");
        }
    }
}
