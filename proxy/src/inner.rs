//! The names by which apps reach each other, `<project>-<environment>.temps.internal`, and who may use them. Pure, but
//! for what it is told by.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use imbl::OrdMap;
use ipnet::Ipv4Net;
use temps_state::{INTERNAL_DOMAIN, Project, ProjectId};
use tokio::sync::watch;

use crate::error_page::Fault;

/// The port of internal names: the one that `http://…` means.
pub const INNER_PORT: u16 = 80;

/// The project of every container of this node, by the address that it asks from.
pub type Residents = Arc<BTreeMap<IpAddr, ProjectId>>;

/// Where this node's containers ask for each other's apps, and who they are.
#[derive(Debug, Clone)]
pub struct Inner {
    /// The node's own address on the network of its containers, once that network is there.
    pub gateway: watch::Receiver<Option<Ipv4Net>>,
    /// Its containers.
    pub residents: watch::Receiver<Residents>,
    /// The port; [`INNER_PORT`], except in tests.
    pub port: u16,
}

impl Inner {
    /// Where containers ask now.
    pub(crate) fn door(&self) -> Option<SocketAddr> {
        let gateway = *self.gateway.borrow();
        gateway.map(|gateway| SocketAddr::new(gateway.addr().into(), self.port))
    }

    /// What is known now, where these are the projects.
    pub(crate) fn inside(&self, projects: &OrdMap<ProjectId, Project>) -> Inside {
        let residents = self.residents.borrow().clone();
        Inside { door: self.door(), residents, projects: projects.clone() }
    }
}

/// What decides about requests to internal names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inside {
    door: Option<SocketAddr>,
    residents: Residents,
    projects: OrdMap<ProjectId, Project>,
}

impl Inside {
    /// Whether an address is the door of the containers.
    pub(crate) fn is_door(&self, address: SocketAddr) -> bool {
        // A socket that takes both families gives IPv4 addresses in IPv6.
        self.door == Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// Whether a request that came in `at` this address may go on to an app `of` this project: only through the door of
    /// the containers, and only from a container of the same project or of one that it lets call.
    pub(crate) fn judge(
        &self,
        at: Option<SocketAddr>,
        caller: IpAddr,
        of: ProjectId,
    ) -> Result<(), Fault> {
        if at.is_none() || at != self.door {
            return Err(Fault::UnknownHost);
        }
        let caller = self.residents.get(&caller).and_then(|id| self.projects.get(id));
        let caller = caller.ok_or(Fault::UnknownCaller)?;
        let called = self.projects.get(&of).ok_or(Fault::UnknownHost)?;
        match called.admits(caller.id) {
            true => Ok(()),
            false => {
                let [caller, called] = [caller, called].map(|project| project.name.clone());
                Err(Fault::OtherProject { caller, called })
            }
        }
    }
}

/// `shop-production` of `shop-production.temps.internal`; nothing where the host is not an internal name.
pub(crate) fn label_of(host: &str) -> Option<&str> {
    host.strip_suffix(INTERNAL_DOMAIN)?.strip_suffix('.')
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{ClusterKey, Id};

    use super::*;

    #[test]
    fn internal_names_are_known_by_their_domain() {
        for (host, label) in [
            ("shop-production.temps.internal", Some("shop-production")),
            ("a.b.temps.internal", Some("a.b")),
            (".temps.internal", Some("")),
            ("temps.internal", None),
            ("shop-production.localho.st", None),
            ("shoptemps.internal", None),
            ("temps.internal.example.com", None),
            ("", None),
        ] {
            assert_eq!(label_of(host), label, "{host}");
        }
    }

    #[test]
    fn the_door_is_known_by_a_socket_of_either_family() {
        let door: SocketAddr = "172.19.0.1:80".parse().unwrap();
        let inside = Inside { door: Some(door), ..Inside::default() };
        for (address, is_door) in [
            ("172.19.0.1:80", true),
            ("[::ffff:172.19.0.1]:80", true),
            ("172.19.0.1:81", false),
            ("[::ffff:172.19.0.2]:80", false),
            ("[::1]:80", false),
        ] {
            assert_eq!(inside.is_door(address.parse().unwrap()), is_door, "{address}");
        }
    }

    fn project(n: u128, name: &str, callers: &[u128]) -> Project {
        Project {
            id: ProjectId::from_parts(0, n),
            name: name.parse().unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            disabled: false,
            repository: None,
            webhook_secret: ClusterKey::new([3; 32]).seal([0; 12], "place", "value").unwrap(),
            previews: false,
            deployments_made: 0,
            callers: callers.iter().map(|n| ProjectId::from_parts(0, *n)).collect(),
        }
    }

    #[test]
    fn only_containers_of_projects_that_may_are_let_in_and_only_at_their_door() {
        let projects = [project(1, "shop", &[3]), project(2, "blog", &[]), project(3, "web", &[])];
        let [shop, blog, web, gone] = [1, 2, 3, 4].map(|n| ProjectId::from_parts(0, n));
        let projects: OrdMap<_, _> = projects.into_iter().map(|one| (one.id, one)).collect();
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        let door: SocketAddr = "172.19.0.1:80".parse().unwrap();
        let residents = [("2", shop), ("3", blog), ("5", web), ("6", gone)]
            .map(|(last, project)| (addr(&format!("172.19.0.{last}")), project));
        let residents = Arc::new(BTreeMap::from(residents));
        let inside = Inside { door: Some(door), residents, projects };
        let other = |caller: &str, called: &str| {
            let [caller, called] = [caller, called].map(|name| name.parse().unwrap());
            Err(Fault::OtherProject { caller, called })
        };
        for (at, caller, verdict) in [
            (Some("172.19.0.1:80"), "172.19.0.2", Ok(())),
            (Some("172.19.0.1:80"), "172.19.0.5", Ok(())),
            (Some("172.19.0.1:80"), "172.19.0.3", other("blog", "shop")),
            (Some("172.19.0.1:80"), "172.19.0.4", Err(Fault::UnknownCaller)),
            (Some("172.19.0.1:80"), "172.19.0.6", Err(Fault::UnknownCaller)),
            (Some("172.19.0.1:80"), "172.19.0.1", Err(Fault::UnknownCaller)),
            (Some("172.19.0.1:8080"), "172.19.0.2", Err(Fault::UnknownHost)),
            (Some("172.19.0.1:8080"), "172.19.0.5", Err(Fault::UnknownHost)),
            (Some("192.0.2.7:80"), "172.19.0.2", Err(Fault::UnknownHost)),
            (None, "172.19.0.2", Err(Fault::UnknownHost)),
        ] {
            let at = at.map(|at| at.parse().unwrap());
            assert_eq!(inside.judge(at, addr(caller), shop), verdict, "{at:?} {caller}");
        }
        let from_shop = |of| inside.judge(Some(door), addr("172.19.0.2"), of);
        assert_eq!(from_shop(web), other("shop", "web"), "who lets call may not call");
        assert_eq!(from_shop(gone), Err(Fault::UnknownHost));
        let shut = Inside { door: None, ..inside };
        for at in [None, Some(door)] {
            assert_eq!(shut.judge(at, addr("172.19.0.2"), shop), Err(Fault::UnknownHost));
        }
    }
}
