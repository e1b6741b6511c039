//! HTTP caching as far as it meets CORS: what is stored, selected (with Vary) and validated. (RFC 9111)

use std::time::Duration;

use crosscheck_servers::{ByteString, Fields};
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
        let seconds = directives.iter().find_map(|directive| directive.strip_prefix("max-age=")?.parse().ok());
        Duration::from_secs(seconds.unwrap_or(0))
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
