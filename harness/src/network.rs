//! The fake network as a browser is told of it: which hosts are public, local, or on this machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crosscheck_cases::standard::AddressSpace;
use crosscheck_cases::{Case, Document, PermissionState, is_placed, space_of_host};
use crosscheck_servers::{Origin, Stage, StageConfig, StageError};

use crate::engine::HostTexts;

/// The addresses of this machine that stand for the public and the local network. All of 127.0.0.0/8 is this machine's,
/// and an engine is told that these two are not.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
/// How often a port is looked for that is free at all three addresses.
const TRIES: usize = 20;

/// Where the fake servers listen, and the hosts that browsers have to find in an address space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Network {
    /// The port of the fake servers, the same at every address.
    pub(crate) port: u16,
    /// Whether they listen at the addresses for the public and the local network too.
    pub(crate) has_spaces: bool,
    hosts: BTreeMap<String, AddressSpace>,
    /// The permissions that were decided, by origin with its port and by name.
    permissions: BTreeMap<(String, &'static str), PermissionState>,
}

impl Network {
    /// What a stage plays for these cases.
    pub(crate) fn of<'c>(stage: &Stage, cases: impl Iterator<Item = &'c Case>) -> Self {
        let addresses = stage.addresses();
        let mut hosts = BTreeMap::new();
        let mut permissions = BTreeMap::new();
        for case in cases {
            hosts.extend(hosts_of(case).into_iter().filter(|host| is_placed(host)).map(|host| {
                let space = space_of_host(&host);
                (host, space)
            }));
            let top = case.stated.page.top();
            if let Some(Origin { scheme, host, port }) = top.own_origin() {
                let origin = format!("{}://{host}:{port}", scheme.as_str());
                permissions.extend(top.permissions.stated().map(|(name, state)| ((origin.clone(), name), state)));
            }
        }
        Self {
            port: addresses.first().map_or(0, SocketAddr::port),
            has_spaces: [PUBLIC, LOCAL].iter().all(|ip| addresses.iter().any(|address| address.ip() == *ip)),
            hosts,
            permissions,
        }
    }

    /// The permissions that were decided: the origin with its port, the name, and the decision.
    pub(crate) fn permissions(&self) -> impl Iterator<Item = (&str, &'static str, PermissionState)> {
        self.permissions.iter().map(|((origin, name), state)| (origin.as_str(), *name, *state))
    }

    /// The texts for all hosts, joined.
    pub(crate) fn hosts(&self, texts: &HostTexts) -> String {
        if !self.has_spaces {
            return String::new();
        }
        let text = |(host, space): (&String, &AddressSpace)| {
            let is_literal = host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
            let template = if is_literal { texts.literal.as_deref()? } else { &texts.name };
            let address = self.address(*space);
            Some(template.replace("{host}", host).replace("{address}", &address.ip().to_string()))
        };
        self.hosts.iter().filter_map(text).collect()
    }

    /// Where an address space is played.
    pub(crate) fn address(&self, space: AddressSpace) -> SocketAddr {
        let ip = match space {
            AddressSpace::Public => PUBLIC,
            AddressSpace::Local => LOCAL,
            AddressSpace::Loopback => Ipv4Addr::LOCALHOST.into(),
        };
        SocketAddr::new(ip, self.port)
    }
}

/// Starts the fake servers at `bind`, and with the same port at the addresses that stand for the public and the local
/// network, where this machine has those.
///
/// # Errors
/// They cannot listen at `bind`.
pub(crate) async fn start_stage(bind: SocketAddr) -> Result<Stage, StageError> {
    let start = |bind: Vec<SocketAddr>| Stage::start(StageConfig { bind, ..StageConfig::default() });
    for _ in 0..TRIES {
        let Some(port) = free_port(bind) else { break };
        let addresses = [bind.ip(), PUBLIC, LOCAL].map(|ip| SocketAddr::new(ip, port));
        if let Ok(stage) = start(addresses.to_vec()).await {
            return Ok(stage);
        }
        if bind.port() != 0 {
            break;
        }
    }
    start(vec![bind]).await
}

/// The port of `bind`, or one that is free at its address now.
fn free_port(bind: SocketAddr) -> Option<u16> {
    match bind.port() {
        0 => std::net::TcpListener::bind(bind).ok()?.local_addr().ok().map(|address| address.port()),
        port => Some(port),
    }
}

/// The hosts of the documents and servers of a case.
fn hosts_of(case: &Case) -> Vec<String> {
    fn documents(document: &Document, hosts: &mut Vec<String>) {
        hosts.extend(document.own_origin().map(|origin| origin.host));
        if let Some(within) = &document.within {
            documents(within, hosts);
        }
    }
    let mut hosts = Vec::new();
    documents(&case.stated.page, &mut hosts);
    let servers = case.stated.given.keys().filter_map(|url| url::Url::parse(url).ok()?.host_str().map(str::to_owned));
    hosts.extend(servers);
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_get_the_address_of_their_space() {
        let hosts = [
            ("[fd00::1]", AddressSpace::Local),
            ("a.loopback.test", AddressSpace::Loopback),
            ("a.public.test", AddressSpace::Public),
        ];
        let hosts = hosts.map(|(host, space)| (host.to_owned(), space)).into();
        let network = Network { port: 7, has_spaces: true, hosts, ..Network::default() };
        let texts = HostTexts { name: "{host}={address};".to_owned(), literal: None };
        assert_eq!(network.hosts(&texts), "a.loopback.test=127.0.0.1;a.public.test=127.0.0.2;");
        let texts = HostTexts { literal: Some("{host}>{address};".to_owned()), ..texts };
        assert!(network.hosts(&texts).starts_with("[fd00::1]>127.0.0.3;"));
        assert_eq!(Network { has_spaces: false, ..network }.hosts(&texts), "");
    }
}
