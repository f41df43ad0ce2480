//! `/api/dns-zones`: the zones that the nodes answer for, and whether the zones above hand them over to the nodes there are.

use std::net::IpAddr;

use axum::Json as Out;
use axum::extract::{Path, State};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::Serialize;
use temps_state::{
    Delegation, DelegationChange, DelegationFault, DelegationRecord, DelegationSight, DomainName,
    State as Agreed,
};
use utoipa::ToSchema;

use crate::ApiError;
use crate::auth::MayRead;
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::domains::RecordType;
use crate::pages::{Order, Page, Paging};

/// Looks from this node how zones are handed over.
pub trait ZoneLook: Send + Sync + 'static {
    /// What is seen of a zone now. It comes about within a bounded time.
    fn look(&self, zone: DomainName) -> BoxFuture<'_, DelegationSight>;
    /// What was seen of it last.
    fn last(&self, zone: &DomainName) -> Option<DelegationSight>;
}

/// A zone that the nodes answer for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DnsZone)]
pub struct ZoneOut {
    /// The zone.
    #[schema(value_type = String)]
    pub zone: DomainName,
    /// Whether it is handed over to the nodes there are.
    pub status: ZoneStatus,
    /// When the answering node looked last; null when it has not yet.
    pub looked_at: Option<Timestamp>,
    /// Whether the servers of the zone above were asked. If not, resolvers told what the zone says of itself.
    pub by_parent: bool,
    /// Why it could not be looked up.
    pub error: Option<String>,
    /// The servers that the zone above names.
    pub servers: Vec<ServerOut>,
    /// What is wrong about them.
    pub faults: Vec<FaultOut>,
    /// Records to delete at the zone above.
    pub remove: Vec<ZoneRecord>,
    /// Records to create there.
    pub add: Vec<ZoneRecord>,
}

/// Whether a zone is handed over to the nodes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ZoneStatus {
    /// Nobody has looked yet, or nothing was found out.
    Unknown,
    /// The zone above names no servers for it.
    Undelegated,
    /// It is.
    Right,
    /// Something is missing or leads nowhere.
    Wrong,
}

/// A server that the zone above names.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DelegatedServer)]
pub struct ServerOut {
    /// Its name.
    pub name: String,
    /// Where it is.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
}

/// What is wrong about a delegation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DelegationFault)]
pub struct FaultOut {
    /// The server that it is about.
    pub server: String,
    /// The address that it is about; null where it is about none.
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// In words.
    pub why: String,
}

/// A record at the zone above.
#[derive(Debug, Serialize, ToSchema)]
pub struct ZoneRecord {
    /// Its type.
    #[schema(value_type = String)]
    pub r#type: RecordType,
    /// Its whole name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl ZoneOut {
    /// A zone, as it was seen last.
    fn of(state: &Agreed, zone: &DomainName, sight: Option<DelegationSight>) -> Self {
        let mut out = Self {
            zone: zone.clone(),
            status: ZoneStatus::Unknown,
            looked_at: sight.as_ref().map(|sight| sight.at),
            by_parent: sight.as_ref().is_some_and(|sight| sight.by_parent),
            error: None,
            servers: vec![],
            faults: vec![],
            remove: vec![],
            add: vec![],
        };
        match sight.map(|sight| sight.found) {
            None => {}
            Some(Err(error)) => out.error = Some(error),
            Some(Ok(found)) => out.compare(state, &found),
        }
        out
    }

    fn compare(&mut self, state: &Agreed, found: &Delegation) {
        let now = Timestamp::now();
        let faults = state.delegation_faults(&self.zone, found, now);
        self.status = match (found.0.is_empty(), faults.is_empty()) {
            (true, _) => ZoneStatus::Undelegated,
            (false, true) => ZoneStatus::Right,
            (false, false) => ZoneStatus::Wrong,
        };
        let server = |(name, addresses): (&String, _)| ServerOut {
            name: name.clone(),
            addresses: Vec::from_iter(Clone::clone(addresses)),
        };
        self.servers = found.0.iter().map(server).collect();
        if self.status == ZoneStatus::Wrong {
            self.faults = faults.into_iter().map(FaultOut::from).collect();
        }
        let DelegationChange { remove, add } = state.delegation_change(&self.zone, found, now);
        let out = |record| ZoneRecord::of(&self.zone, record);
        self.remove = remove.into_iter().map(out).collect();
        self.add = add.into_iter().map(out).collect();
    }

    /// All zones, as this node saw them last; there may be no more than a few.
    pub(crate) fn all(context: &Context, state: &Agreed) -> Vec<Self> {
        let look = context.zone_look.as_ref();
        let last = |zone: &DomainName| look.and_then(|look| look.last(zone));
        state.settings().dns.zones.iter().map(|zone| Self::of(state, zone, last(zone))).collect()
    }
}

impl From<DelegationFault> for FaultOut {
    fn from(fault: DelegationFault) -> Self {
        match fault {
            DelegationFault::Missing { server, node } => Self {
                why: format!("nothing at the zone above leads to node {node}, which answers"),
                server,
                address: None,
            },
            DelegationFault::Nowhere { server } => {
                Self { why: format!("{server} leads nowhere"), server, address: None }
            }
            DelegationFault::Wrong { server, address } => Self {
                why: format!("{server} leads to {address}, where no node answers"),
                server,
                address: Some(address),
            },
        }
    }
}

impl ZoneRecord {
    fn of(zone: &DomainName, record: DelegationRecord) -> Self {
        match record {
            DelegationRecord::Server(value) => {
                Self { r#type: RecordType::Ns, name: zone.to_string(), value }
            }
            DelegationRecord::Address(name, address) => {
                Self { r#type: RecordType::of(address), name, value: address.to_string() }
            }
        }
    }
}

/// Lists the zones that the nodes answer for, as the answering node saw them last.
#[utoipa::path(
    get, path = "/api/dns-zones", tag = "domains", responses((status = 200, body = Page<ZoneOut>))
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    paging: Paging,
    Seen(state): Seen,
) -> Out<Page<ZoneOut>> {
    let mut all = ZoneOut::all(&context, &state);
    all.sort_by(|one, other| one.zone.cmp(&other.zone));
    Out(paging.page(all.into_iter(), Order::Rising, |one| one.zone.to_string(), |one| one))
}

/// Shows a zone that the nodes answer for; the answering node looks at once how it is handed over.
#[utoipa::path(
    get, path = "/api/dns-zones/{zone}", tag = "domains", responses((status = 200, body = ZoneOut))
)]
pub(crate) async fn show(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    Path(name): Path<String>,
    Seen(state): Seen,
) -> Result<Out<ZoneOut>, ApiError> {
    let wanted: Option<DomainName> = name.parse().ok();
    let zones = state.settings().dns.zones;
    let zone = zones.iter().find(|zone| Some(*zone) == wanted.as_ref());
    let zone = zone.ok_or_else(|| ApiError::not_found("DNS zone", &name))?;
    let sight = match &context.zone_look {
        None => None,
        Some(look) => {
            let _slot = context.body_slot()?;
            Some(look.look(zone.clone()).await)
        }
    };
    Ok(Out(ZoneOut::of(&state, zone, sight)))
}
