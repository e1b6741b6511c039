//! Where the hosts of cases live on the fake network: in the public one, in the local one, or on this machine.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::standard::AddressSpace;

/// Hosts of cases about address spaces.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostsOfSpace {
    /// The address space.
    pub space: AddressSpace,
    /// Host names, `*.` and the end of host names, and literal addresses (those of version 6 in brackets).
    pub hosts: Vec<String>,
}

static SPACES: LazyLock<Vec<HostsOfSpace>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../address-spaces.json"))
        .expect("the address spaces are part of the program and tested")
});

/// The hosts that browsers have to find in an address space. Where several entries take a host, the first one counts.
#[must_use]
pub fn address_spaces() -> &'static [HostsOfSpace] {
    &SPACES
}

/// The address space in which the fake network has a host; what is listed nowhere is on this machine.
#[must_use]
pub fn space_of_host(host: &str) -> AddressSpace {
    find(host).map_or(AddressSpace::Loopback, |entry| entry.space)
}

/// Whether a host is listed: only then browsers are told where it is.
#[must_use]
pub fn is_placed(host: &str) -> bool {
    find(host).is_some()
}

fn find(host: &str) -> Option<&'static HostsOfSpace> {
    let takes = |pattern: &String| match pattern.strip_prefix('*') {
        Some(end) => host.ends_with(end),
        None => host == pattern,
    };
    address_spaces().iter().find(|entry| entry.hosts.iter().any(takes))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// The literal address that a host is, as URLs write it.
    fn literal(host: &str) -> Option<IpAddr> {
        match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
            None => host.parse().ok().map(IpAddr::V4),
        }
    }

    #[test]
    fn literal_addresses_live_where_the_standard_has_them() {
        for entry in address_spaces() {
            for host in &entry.hosts {
                if let Some(address) = literal(host) {
                    assert_eq!(AddressSpace::of(address), entry.space, "{host}");
                    assert_eq!(space_of_host(host), entry.space, "{host}");
                }
            }
        }
    }

    #[test]
    fn names_live_where_the_first_entry_has_them() {
        for (host, space) in [
            ("page.test", AddressSpace::Loopback),
            ("public.test", AddressSpace::Loopback),
            ("a.public.test", AddressSpace::Public),
            ("a.b.public.test", AddressSpace::Public),
            ("nas.local.test", AddressSpace::Local),
            ("printer.local", AddressSpace::Local),
            ("moved.public.local", AddressSpace::Public),
            ("127.0.0.1", AddressSpace::Loopback),
            ("[::1]", AddressSpace::Loopback),
            ("a.loopback.test", AddressSpace::Loopback),
        ] {
            assert_eq!(space_of_host(host), space, "{host}");
        }
    }
}
