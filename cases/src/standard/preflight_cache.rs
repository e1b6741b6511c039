//! Fetch, *CORS-preflight cache*.

use std::time::Duration;

use crosscheck_servers::ByteString;
use url::Url;

use super::trace::Trace;

/// A user agent's CORS-preflight cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct PreflightCache(Vec<Entry>);

/// What a request is looked up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// *Network partition key*: the top-level site.
    pub(crate) partition: ByteString,
    /// *Byte-serialized origin*
    pub(crate) origin: ByteString,
    pub(crate) url: Url,
    /// Whether the credentials mode is include.
    pub(crate) credentials: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Key,
    stored: Duration,
    max_age: Duration,
    allowed: Allowed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Method(ByteString),
    HeaderName(ByteString),
}

impl Entry {
    /// *Cache entry match*, for an entry that has not expired.
    fn matches(&self, trace: &mut Trace, key: &Key, now: Duration) -> bool {
        if trace.rule("fetch.preflight-cache.expiry", now >= self.stored.saturating_add(self.max_age)) {
            return false;
        }
        if self.key.partition != key.partition && trace.rule("fetch.preflight-cache.create.key", true)
            || self.key.origin != key.origin && trace.rule("fetch.preflight-cache.create.origin", true)
            || self.key.url != key.url && trace.rule("fetch.preflight-cache.create.url", true)
        {
            return false;
        }
        if self.key.credentials {
            return key.credentials || trace.rule("fetch.preflight-cache.match.a", true);
        }
        !key.credentials || !trace.rule("fetch.preflight-cache.match.b", true)
    }

    /// *Method cache entry match*
    fn matches_method(&self, trace: &mut Trace, method: &ByteString) -> bool {
        match &self.allowed {
            Allowed::Method(allowed) if *allowed == *"*" && *method != *"*" => {
                trace.rule("fetch.preflight-cache.match.method.b", true)
            }
            Allowed::Method(allowed) => allowed == method || !trace.rule("fetch.preflight-cache.match.method.a", true),
            Allowed::HeaderName(_) => false,
        }
    }

    /// *Header-name cache entry match*
    fn matches_header(&self, trace: &mut Trace, name: &str) -> bool {
        match &self.allowed {
            Allowed::Method(_) => false,
            Allowed::HeaderName(allowed) if *allowed == *"*" => {
                if is_non_wildcard(trace, name) {
                    return false;
                }
                trace.rule("fetch.preflight-cache.match.header.b", true)
            }
            Allowed::HeaderName(allowed) => {
                allowed.as_bytes() == name.as_bytes()
                    || (allowed.eq_ignore_ascii_case(name) && trace.rule("fetch.preflight-cache.match.header.a", true))
            }
        }
    }
}

/// *CORS non-wildcard request-header name*
pub(crate) fn is_non_wildcard(trace: &mut Trace, name: &str) -> bool {
    trace.rule("fetch.cors-non-wildcard-request-header-name.1", name.eq_ignore_ascii_case("authorization"))
}

impl PreflightCache {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has_method(&self, trace: &mut Trace, key: &Key, method: &ByteString, now: Duration) -> bool {
        self.0.iter().any(|entry| {
            matches!(entry.allowed, Allowed::Method(_))
                && entry.matches(trace, key, now)
                && entry.matches_method(trace, method)
        })
    }

    pub(crate) fn has_header(&self, trace: &mut Trace, key: &Key, name: &str, now: Duration) -> bool {
        self.0.iter().any(|entry| {
            matches!(entry.allowed, Allowed::HeaderName(_))
                && entry.matches(trace, key, now)
                && entry.matches_header(trace, name)
        })
    }

    /// CORS-preflight fetch 7.12 and 7.13.
    pub(crate) fn allow_methods(
        &mut self,
        trace: &mut Trace,
        key: &Key,
        methods: &[ByteString],
        max_age: Duration,
        now: Duration,
    ) {
        for method in methods {
            let mut matched = false;
            for entry in &mut self.0 {
                let matches = matches!(entry.allowed, Allowed::Method(_))
                    && entry.matches(trace, key, now)
                    && entry.matches_method(trace, method);
                if matches && trace.rule("fetch.preflight.7.12", true) {
                    entry.max_age = max_age;
                    matched = true;
                }
            }
            if !matched && trace.rule("fetch.preflight.7.13", true) {
                self.create(trace, key, max_age, Allowed::Method(method.clone()), now);
            }
        }
    }

    /// CORS-preflight fetch 7.14 and 7.15.
    pub(crate) fn allow_headers(
        &mut self,
        trace: &mut Trace,
        key: &Key,
        names: &[ByteString],
        max_age: Duration,
        now: Duration,
    ) {
        for name in names {
            let mut matched = false;
            for entry in &mut self.0 {
                let matches = matches!(entry.allowed, Allowed::HeaderName(_))
                    && entry.matches(trace, key, now)
                    && entry.matches_header(trace, &name.decode());
                if matches && trace.rule("fetch.preflight.7.14", true) {
                    entry.max_age = max_age;
                    matched = true;
                }
            }
            if !matched && trace.rule("fetch.preflight.7.15", true) {
                self.create(trace, key, max_age, Allowed::HeaderName(name.clone()), now);
            }
        }
    }

    fn create(&mut self, trace: &mut Trace, key: &Key, max_age: Duration, allowed: Allowed, now: Duration) {
        let mut key = key.clone();
        key.credentials = key.credentials && trace.rule("fetch.preflight-cache.create.credentials", true);
        self.0.push(Entry { key, stored: now, max_age, allowed });
    }

    /// *Clear cache entries*: by partition, origin and URL, whatever the credentials.
    pub(crate) fn clear(&mut self, trace: &mut Trace, key: &Key) {
        self.0.retain(|entry| {
            let other = &entry.key;
            if other.partition != key.partition || other.origin != key.origin || other.url != key.url {
                return trace.rule("fetch.preflight-cache.clear.c", true);
            }
            other.credentials != key.credentials && !trace.rule("fetch.preflight-cache.clear.a", true)
        });
    }
}
