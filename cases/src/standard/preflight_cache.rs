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

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(60);

    fn key(partition: &str, origin: &str, path: &str, credentials: bool) -> Key {
        let url = format!("https://api.test{path}").parse().expect("a URL");
        Key { partition: partition.into(), origin: origin.into(), url, credentials }
    }

    fn own() -> Key {
        key("https://page.test", "https://page.test", "/", false)
    }

    /// Each of another partition, origin or URL than [`own`].
    fn others() -> [Key; 3] {
        [
            key("https://other.test", "https://page.test", "/", false),
            key("https://page.test", "null", "/", false),
            key("https://page.test", "https://page.test", "/?", false),
        ]
    }

    fn allow(cache: &mut PreflightCache, key: &Key, name: &str, max_age: Duration) {
        cache.allow_headers(&mut Trace::default(), key, &[name.into()], max_age, Duration::ZERO);
    }

    fn has(cache: &PreflightCache, key: &Key, name: &str, now: Duration) -> bool {
        cache.has_header(&mut Trace::default(), key, name, now)
    }

    #[test]
    fn a_cache_is_empty_until_something_is_allowed() {
        let mut cache = PreflightCache::default();
        assert!(cache.is_empty());
        allow(&mut cache, &own(), "x-a", AGE);
        assert!(!cache.is_empty());
    }

    #[test]
    fn a_name_takes_over_the_age_of_the_entry_that_matches_and_of_no_other() {
        let (mut cache, longer) = (PreflightCache::default(), AGE * 2);
        cache.allow_methods(&mut Trace::default(), &own(), &["PUT".into()], AGE, Duration::ZERO);
        allow(&mut cache, &own(), "x-a", AGE);
        for other in others() {
            allow(&mut cache, &other, "x-a", longer);
            assert!(has(&cache, &other, "x-a", AGE));
        }
        allow(&mut cache, &own(), "x-b", longer);
        assert!(has(&cache, &own(), "x-b", AGE));
        assert!(!has(&cache, &own(), "x-a", AGE));
        assert!(!cache.has_method(&mut Trace::default(), &own(), &"PUT".into(), AGE));
        let entries = cache.0.len();
        let mut trace = Trace::default();
        cache.allow_headers(&mut trace, &own(), &["X-B".into()], AGE * 3, Duration::ZERO);
        assert!(trace.requirements().contains(&"fetch.preflight.7.14"));
        assert!(!trace.requirements().contains(&"fetch.preflight.7.15"));
        assert_eq!(cache.0.len(), entries);
        assert!(has(&cache, &own(), "x-b", longer));
    }

    #[test]
    fn clearing_goes_by_partition_origin_and_url_and_not_by_credentials() {
        let (any, other) = ("fetch.preflight-cache.clear.a", "fetch.preflight-cache.clear.c");
        let [partition, origin, url] = others();
        let included = Key { credentials: true, ..own() };
        for (entry, broken, stays, follows) in [
            (own(), "", false, &[][..]),
            (own(), any, false, &[]),
            (included.clone(), "", false, &[any]),
            (included, any, true, &[]),
            (partition.clone(), "", true, &[other]),
            (origin.clone(), "", true, &[other]),
            (url.clone(), "", true, &[other]),
            (partition, other, false, &[]),
            (origin, other, false, &[]),
            (url, other, false, &[]),
        ] {
            let mut cache = PreflightCache::default();
            allow(&mut cache, &entry, "x-a", AGE);
            let mut trace = Trace::breaking([broken.to_owned()]);
            cache.clear(&mut trace, &own());
            assert_eq!(has(&cache, &entry, "x-a", Duration::ZERO), stays, "{entry:?} {broken}");
            assert_eq!(trace.requirements(), follows, "{entry:?} {broken}");
        }
    }
}
