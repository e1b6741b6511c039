//! Local network access. (WICG/local-network-access; `lna.*`)

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use super::client::Client;
use super::fetch::NetworkError;
use super::origin::Origin;
use super::trace::Trace;

/// *IP address space*, from the least private to the most private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressSpace {
    /// Reachable from everywhere.
    Public,
    /// Private networks.
    Local,
    /// This machine.
    Loopback,
}

/// The state of a permission, and whether the document may use the feature at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Permissions policy does not delegate the feature to the document.
    NotAllowed,
    /// The user has refused.
    Denied,
    /// The user would be asked, and does not grant: no answer comes, or a refusal.
    Unanswered,
    /// The user has granted, or grants when asked.
    Granted,
}

impl AddressSpace {
    /// *Determine the IP address space* of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self::by_table(&mut Trace::default(), address)
    }

    pub(crate) fn by_table(trace: &mut Trace, address: IpAddr) -> Self {
        let address = match address {
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) if trace.rule("lna.space.1", true) => IpAddr::V4(v4),
                _ => IpAddr::V6(v6),
            },
            v4 @ IpAddr::V4(_) => v4,
        };
        let row = match address {
            IpAddr::V4(v4) => V4_TABLE
                .iter()
                .find(|(network, length, _, _)| v4_in(v4, *network, *length))
                .map(|(_, _, space, requirement)| (*space, *requirement)),
            IpAddr::V6(v6) => V6_TABLE
                .iter()
                .find(|(network, length, _, _)| v6_in(v6, *network, *length))
                .map(|(_, _, space, requirement)| (*space, *requirement)),
        };
        match row {
            Some((space, requirement)) if trace.rule(requirement, true) => space,
            _ if trace.rule("lna.space.3", true) => Self::Public,
            _ => Self::Local,
        }
    }
}

type Row<A> = (A, u32, AddressSpace, &'static str);

const V4_TABLE: [Row<Ipv4Addr>; 9] = [
    (Ipv4Addr::new(127, 0, 0, 0), 8, AddressSpace::Loopback, "lna.space.2.127-8"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, AddressSpace::Local, "lna.space.2.10-8"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, AddressSpace::Local, "lna.space.2.100-64-10"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, AddressSpace::Local, "lna.space.2.172-16-12"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, AddressSpace::Local, "lna.space.2.192-168-16"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, AddressSpace::Loopback, "lna.space.2.198-18-15"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, AddressSpace::Local, "lna.space.2.169-254-16"),
    (Ipv4Addr::new(0, 0, 0, 0), 32, AddressSpace::Loopback, "lna.space.2.0-32"),
    (Ipv4Addr::new(0, 0, 0, 0), 8, AddressSpace::Local, "lna.space.2.0-8"),
];

const V6_TABLE: [Row<Ipv6Addr>; 7] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 1), 128, AddressSpace::Loopback, "lna.space.2.v6-1-128"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, AddressSpace::Local, "lna.space.2.v6-fc00-7"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, AddressSpace::Local, "lna.space.2.v6-fe80-10"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, AddressSpace::Local, "lna.space.2.v6-fec0-10"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 128, AddressSpace::Loopback, "lna.space.2.v6-0-128"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, AddressSpace::Local, "lna.space.2.v6-2001-db8-32"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, AddressSpace::Local, "lna.space.2.v6-3fff-20"),
];

const fn v4_in(address: Ipv4Addr, network: Ipv4Addr, length: u32) -> bool {
    let mask = u32::MAX << (32 - length);
    address.to_bits() & mask == network.to_bits() & mask
}

const fn v6_in(address: Ipv6Addr, network: Ipv6Addr, length: u32) -> bool {
    let mask = u128::MAX << (128 - length);
    address.to_bits() & mask == network.to_bits() & mask
}

/// What a local network access check looks at, beside the client.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    /// The origin of the request.
    pub origin: &'a Origin,
    /// The origin of its current URL.
    pub target: &'a Origin,
    /// *Target address space* of the request, where one is set.
    pub target_space: Option<AddressSpace>,
    /// The address space of the connection.
    pub connection: AddressSpace,
}

/// *Local network access check*
pub(crate) fn check(trace: &mut Trace, client: &Client, access: &Access<'_>) -> Result<(), NetworkError> {
    let block = |class, requirement| Err(NetworkError::new(class, requirement));
    if access.origin.is_same_origin(access.target) {
        let passes = match access.origin.is_potentially_trustworthy() {
            true => trace.rule("lna.check.2", true),
            false => !trace.rule("lna.check.2b", true),
        };
        if passes {
            return Ok(());
        }
    }
    if let Some(space) = access.target_space {
        if space != access.connection {
            if trace.rule("lna.check.4.2", true)
                && (access.connection != AddressSpace::Public || trace.rule("lna.mixed-content.no-bypass", true))
            {
                return block("address-space-mismatch", "lna.check.4.2");
            }
        } else if !trace.rule("lna.check.4.3", true) {
            // The step's text ends in success here, also for a page that is not secure or has no permission. The framework's
            // text, which the steps only carry out, says that the permission is checked after a match.
            return Ok(());
        }
    }
    let requirement = match (client.address_space, access.connection) {
        (AddressSpace::Loopback, _) => "lna.request.loopback-any",
        (_, AddressSpace::Public) => "lna.request.to-public",
        (AddressSpace::Local, AddressSpace::Local) => "lna.request.same-space",
        (AddressSpace::Public, AddressSpace::Local) => "lna.request.public-local",
        (AddressSpace::Public, AddressSpace::Loopback) => "lna.request.public-loopback",
        (AddressSpace::Local, AddressSpace::Loopback) => "lna.request.local-loopback",
    };
    let kept = trace.rule(requirement, true);
    if access.connection <= client.address_space {
        if kept && trace.rule("lna.check.6", true) {
            return Ok(());
        }
    } else if !kept {
        return Ok(());
    }
    if !client.is_secure_context && trace.rule("lna.check.5.2", true) && trace.rule("lna.secure-context.1", true) {
        return block("local-network-insecure", "lna.check.5.2");
    }
    if !client.is_window && trace.rule("lna.check.5.8", true) {
        return block("local-network", "lna.check.5.8");
    }
    match permission(trace, client, access.connection) {
        Permission::NotAllowed
            if trace.rule("lna.check.5.9", true) && trace.rule("lna.permission.default-self", true) =>
        {
            block("local-network", "lna.check.5.9")
        }
        Permission::Denied if trace.rule("lna.check.5.11", true) => block("local-network", "lna.check.5.11"),
        Permission::Unanswered if trace.rule("lna.check.5.13b", true) => block("local-network", "lna.check.5.13b"),
        Permission::Granted if !trace.rule("lna.check.5.12", true) => block("local-network", "lna.check.5.12"),
        _ => Ok(()),
    }
}

/// Local network access check 5.4: the permission that is asked for.
fn permission(trace: &mut Trace, client: &Client, connection: AddressSpace) -> Permission {
    let (local, loopback) = (client.local_network_permission, client.loopback_network_permission);
    let (own, other, step, name) = match connection {
        AddressSpace::Local => (local, loopback, "lna.check.5.4a", "lna.permission.local-network"),
        _ => (loopback, local, "lna.check.5.4b", "lna.permission.loopback-network"),
    };
    if !trace.rule(step, true) || !trace.rule(name, true) {
        return other;
    }
    // A grant of one must not serve for the other.
    let separate = own == other || trace.rule("lna.permission.separate", true);
    if separate || own == Permission::Granted { own } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    #[test]
    fn addresses_and_their_spaces() {
        for (address, space) in [
            ("127.0.0.1", AddressSpace::Loopback),
            ("10.1.2.3", AddressSpace::Local),
            ("100.64.0.1", AddressSpace::Local),
            ("100.128.0.1", AddressSpace::Public),
            ("172.16.0.1", AddressSpace::Local),
            ("172.32.0.1", AddressSpace::Public),
            ("192.168.0.1", AddressSpace::Local),
            ("198.18.0.1", AddressSpace::Loopback),
            ("169.254.0.1", AddressSpace::Local),
            ("0.0.0.0", AddressSpace::Loopback),
            ("0.1.2.3", AddressSpace::Local),
            ("1.1.1.1", AddressSpace::Public),
            ("::1", AddressSpace::Loopback),
            ("::", AddressSpace::Loopback),
            ("::ffff:10.0.0.1", AddressSpace::Local),
            ("fd00::1", AddressSpace::Local),
            ("fe80::1", AddressSpace::Local),
            ("fec0::1", AddressSpace::Local),
            ("2001:db8::1", AddressSpace::Local),
            ("3fff::1", AddressSpace::Local),
            ("2606::1", AddressSpace::Public),
        ] {
            assert_eq!(AddressSpace::of(address.parse().expect("an address")), space, "{address}");
        }
    }

    /// A secure page that came from a public address, with these permissions.
    fn client(local_network_permission: Permission, loopback_network_permission: Permission) -> Client {
        let mut client = Client::of(&Document::page("https://page.test"), "/");
        client.address_space = AddressSpace::Public;
        client.local_network_permission = local_network_permission;
        client.loopback_network_permission = loopback_network_permission;
        client
    }

    /// Why a request is blocked (or nothing), and the rules that are followed: by who asks whom, the address space that
    /// is stated and that of the connection, and the rule that the agent breaks.
    fn checked(
        client: &Client,
        (origin, target): (&str, &str),
        (target_space, connection): (Option<AddressSpace>, AddressSpace),
        broken: &str,
    ) -> (&'static str, Vec<&'static str>) {
        let origin_of = |url: &str| Origin::of(&url.parse().expect("a URL"));
        let (origin, target) = (&origin_of(origin), &origin_of(target));
        let mut trace = Trace::breaking([broken.to_owned()]);
        let result = check(&mut trace, client, &Access { origin, target, target_space, connection });
        (result.err().map_or("", |error| error.requirement), trace.requirements())
    }

    #[test]
    fn the_own_origin_passes_where_it_is_trustworthy() {
        let to_local = (None, AddressSpace::Local);
        let refused = client(Permission::Denied, Permission::Denied);
        for (url, broken, error, follows) in [
            ("https://page.test", "", "", &["lna.check.2"][..]),
            ("https://page.test", "lna.check.2", "lna.check.5.11", &["lna.request.public-local"]),
            ("http://page.test", "", "lna.check.5.11", &["lna.check.2b", "lna.request.public-local"]),
            ("http://page.test", "lna.check.2b", "", &[]),
        ] {
            let (blocked, mut followed) = checked(&refused, (url, url), to_local, broken);
            followed.retain(|id| id.starts_with("lna.check.2") || id.starts_with("lna.request."));
            assert_eq!((blocked, followed.as_slice()), (error, follows), "{url} {broken}");
        }
    }

    #[test]
    fn a_stated_address_space_has_to_be_that_of_the_connection() {
        use AddressSpace::{Local, Loopback, Public};
        let granted = client(Permission::Granted, Permission::Granted);
        let (mismatch, match_) = ("lna.check.4.2", "lna.check.4.3");
        let bypass = "lna.mixed-content.no-bypass";
        for (stated, connection, broken, error, follows) in [
            (Some(Local), Loopback, "", mismatch, &[mismatch][..]),
            (Some(Local), Public, "", mismatch, &[mismatch, bypass]),
            (Some(Local), Public, bypass, "", &[mismatch]),
            (Some(Local), Loopback, bypass, mismatch, &[mismatch]),
            (Some(Loopback), Local, mismatch, "", &[]),
            (Some(Local), Local, "", "", &[match_]),
            (None, Local, "", "", &[]),
        ] {
            let there = ("https://page.test", "http://other.test");
            let (blocked, mut followed) = checked(&granted, there, (stated, connection), broken);
            followed.retain(|id| [mismatch, match_, bypass].contains(id));
            assert_eq!((blocked, followed.as_slice()), (error, follows), "{stated:?} {connection:?} {broken}");
        }
    }

    #[test]
    fn the_permission_of_the_address_space_decides() {
        use AddressSpace::{Local, Loopback};
        use Permission::{Denied, Granted, NotAllowed, Unanswered};
        let separate = "lna.permission.separate";
        for ((local, loopback), connection, broken, error, follows) in [
            ((Granted, Granted), Local, "", "", &["lna.check.5.12"][..]),
            ((Granted, Granted), Local, "lna.check.5.12", "lna.check.5.12", &[]),
            ((Denied, Denied), Local, "", "lna.check.5.11", &["lna.check.5.11"]),
            ((Unanswered, Unanswered), Local, "", "lna.check.5.13b", &["lna.check.5.13b"]),
            ((Unanswered, Unanswered), Local, "lna.check.5.13b", "", &[]),
            (
                (NotAllowed, NotAllowed),
                Loopback,
                "",
                "lna.check.5.9",
                &["lna.check.5.9", "lna.permission.default-self"],
            ),
            ((Granted, Denied), Local, "", "", &[separate, "lna.check.5.12"]),
            ((Granted, Denied), Loopback, "", "lna.check.5.11", &[separate, "lna.check.5.11"]),
            ((Denied, Granted), Loopback, "", "", &[separate, "lna.check.5.12"]),
            // To whom one grant serves for the other, no grant is taken away.
            ((Granted, Denied), Loopback, separate, "", &["lna.check.5.12"]),
            ((Granted, Denied), Local, separate, "", &["lna.check.5.12"]),
            ((Denied, Granted), Local, separate, "", &["lna.check.5.12"]),
        ] {
            let there = ("https://page.test", "https://other.test");
            let (blocked, mut followed) = checked(&client(local, loopback), there, (None, connection), broken);
            let row = format!("{local:?} {loopback:?} {connection:?} {broken}");
            let asked = match connection {
                Local => ["lna.check.5.4a", "lna.permission.local-network"],
                _ => ["lna.check.5.4b", "lna.permission.loopback-network"],
            };
            assert!(asked.iter().all(|id| followed.contains(id)), "{row}");
            followed.retain(|id| !asked.contains(id) && !id.starts_with("lna.request."));
            assert_eq!((blocked, followed.as_slice()), (error, follows), "{row}");
        }
    }
}
