//! HTTP caching as far as it meets CORS: what is stored, selected (with Vary) and validated. (RFC 9111)

use std::time::Duration;

use crosscheck_servers::{ByteString, Fields};
use url::Url;

use super::machine::Received;

/// A user agent's HTTP cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpCache(Vec<Stored>);

#[derive(Clone, Debug)]
pub(crate) struct Stored {
    partition: ByteString,
    url: Url,
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
    /// The stored response for a request, fresh or not. (`fetch.network-or-cache.8.26`)
    pub(crate) fn select(&mut self, partition: &ByteString, url: &Url, headers: &Fields) -> Option<&mut Stored> {
        self.0.iter_mut().rev().find(|stored| {
            stored.partition == *partition
                && stored.url == *url
                && stored.vary.iter().all(|(name, value)| headers.get(name) == *value)
        })
    }

    /// Stores a response where that is allowed and of use: GET, with a lifetime or a validator.
    pub(crate) fn store(
        &mut self,
        partition: &ByteString,
        url: &Url,
        method: &ByteString,
        request: &Fields,
        response: &Received,
        now: Duration,
    ) {
        let directives = directives(&response.headers);
        let vary = response.headers.get("vary").map(|value| value.decode().into_owned()).unwrap_or_default();
        let useful = directives.iter().any(|directive| directive.starts_with("max-age="))
            || response.headers.contains("etag")
            || response.headers.contains("last-modified");
        if *method != *"GET"
            || !response.complete
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
        self.0.retain(|stored| stored.partition != *partition || stored.url != *url || stored.vary != vary);
        self.0.push(Stored {
            partition: partition.clone(),
            url: url.clone(),
            vary,
            response: response.clone(),
            stored: now,
        });
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
    pub(crate) fn invalidate(&mut self, partition: &ByteString, url: &Url) {
        self.0.retain(|stored| stored.partition != *partition || stored.url != *url);
    }
}
