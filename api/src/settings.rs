//! `/api/settings`: settings of the whole cluster.

use std::fmt;

use axum::extract::State;
use serde::{Deserialize, Serialize, Serializer};
use temps_state::{
    AcmeSettings, BuildSettings, Command, DnsSettings, DomainName, EdgeSettings, Network,
    SECONDS_MAX, Settings, State as Agreed, eab_key_octets,
};
use utoipa::ToSchema;

use crate::ApiError;
use crate::auth::{MayAdmin, MayRead};
use crate::body::Json;
use crate::conditions::{IfMatch, Tagged};
use crate::consistency::Seen;
use crate::context::{Context, Shared};

/// The longest preview domain, so that a 63 octet label fits before it in a host name of 253 octets.
pub const PREVIEW_DOMAIN_BYTES_MAX: usize = 189;
/// The key of the settings' row.
const ROW: &str = "settings/00000000000000000000";

/// Settings of the whole cluster. A field left out gets its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Settings)]
pub struct SettingsBody {
    /// The domain of `<project>-<environment>.<preview domain>`.
    pub preview_domain: String,
    /// Bounds of builds.
    pub build: BuildBody,
    /// Bounds of the edge, per node.
    pub edge: EdgeBody,
    /// Who gives certificates for domains.
    pub acme: AcmeBody,
    /// What the nodes answer for in the DNS.
    pub dns: DnsBody,
}

/// Defines the body of a group of settings: the same fields as the state's, which refuses unknown ones.
macro_rules! group {
    ($(#[$doc:meta])* $body:ident as $schema:ident = $settings:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields, default)]
        #[schema(as = $schema)]
        pub struct $body {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl From<$settings> for $body {
            fn from(settings: $settings) -> Self {
                let $settings { $($field),* } = settings;
                Self { $($field),* }
            }
        }

        impl From<$body> for $settings {
            fn from(body: $body) -> Self {
                let $body { $($field),* } = body;
                Self { $($field),* }
            }
        }

        impl Default for $body {
            fn default() -> Self {
                $settings::default().into()
            }
        }
    };
}

group! {
    /// Bounds of a build.
    BuildBody as BuildSettings = BuildSettings {
        /// Thousandths of a processor; 0 for half of the node's.
        cpu_millis: u64,
        /// Mebibytes of memory; 0 for half of the node's.
        memory_mib: u64,
        /// Seconds a build may take.
        timeout_seconds: u64,
        /// How many builds a node runs at once.
        at_once: u32,
        /// Certificate authorities, in PEM, that builds trust besides the image's own.
        ca_certificates: String,
    }
}

group! {
    /// Bounds of the edge; each holds per node.
    EdgeBody as EdgeSettings = EdgeSettings {
        /// Octets of a request body.
        body_bytes_max: u64,
        /// Octets of a request's line and headers.
        header_bytes_max: u64,
        /// Headers of a request.
        headers_max: usize,
        /// Seconds a client may take to send its headers.
        header_seconds_max: u64,
        /// Connections that clients may hold open, and requests that may be under way.
        connections_max: usize,
        /// Connections that one client address may hold open, and requests of it that may be under way.
        connections_per_client_max: usize,
        /// Seconds a connection may idle between requests.
        idle_seconds_max: u64,
        /// Seconds an app may take between two octets of its answer.
        upstream_read_seconds_max: u64,
        /// Proxies in front of the edge, as networks such as `10.0.0.0/8`, which are believed about whom a request comes
        /// from. They must add to `X-Forwarded-For`, or set `Forwarded` and take the former away.
        #[schema(value_type = Vec<String>)]
        trusted_proxies: Vec<Network>,
        /// Whether those proxies begin every connection with a header of the PROXY protocol.
        proxy_protocol: bool,
        /// Seconds after which a client is told to open another connection.
        connection_seconds_max: u64,
        /// Requests after which it is.
        connection_requests_max: u32,
        /// Octets that a request body must bring each second, on average; 0 for any.
        body_rate_min: u64,
        /// Whether HTTP/3 is taken, at the UDP port with the number of HTTPS.
        http3: bool,
    }
}

/// Who gives certificates for domains, by ACME (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = AcmeSettings)]
pub struct AcmeBody {
    /// Whether certificates are asked for.
    pub enabled: bool,
    /// The authority's directory.
    pub directory: String,
    /// Where the authority may reach a person; nowhere when empty.
    pub email: String,
    /// The certificates in PEM that the directory's own TLS is trusted by; the usual ones when empty.
    pub root: String,
    /// For authorities that want an account there (external account binding): the id of the key that they show there; empty
    /// for none.
    pub eab_key_id: String,
    /// That key, in Base64 for URLs. Nobody is shown it again, so that it is empty in answers; where it is empty, the one that
    /// was given for the same id stays.
    pub eab_key: EabKey,
}

/// A key that comes in and never goes out.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct EabKey(String);

impl fmt::Debug for EabKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EabKey(…)")
    }
}

impl Serialize for EabKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

impl From<AcmeSettings> for AcmeBody {
    fn from(settings: AcmeSettings) -> Self {
        let AcmeSettings { enabled, directory, email, root, eab_key_id, eab_key: _ } = settings;
        Self { enabled, directory, email, root, eab_key_id, eab_key: EabKey::default() }
    }
}

impl Default for AcmeBody {
    fn default() -> Self {
        AcmeSettings::default().into()
    }
}

impl AcmeBody {
    /// The settings; the key is sealed, or the one that was kept for its id.
    fn sealed(self, context: &Context, before: AcmeSettings) -> Result<AcmeSettings, ApiError> {
        let Self { enabled, directory, email, root, eab_key_id, eab_key: EabKey(key) } = self;
        let key = key.trim();
        let wrong = |why: &str| ApiError::invalid("acme.eab_key", why);
        let eab_key = match (eab_key_id.is_empty(), key.is_empty()) {
            (true, true) => None,
            (true, false) => return Err(wrong("name it: set acme.eab_key_id, too")),
            (false, true) if eab_key_id == before.eab_key_id => before.eab_key,
            (false, true) => return Err(wrong("give the key that goes with acme.eab_key_id")),
            (false, false) if eab_key_octets(key).is_none() => {
                return Err(wrong("it is no Base64: give it as the authority shows it"));
            }
            (false, false) => Some(context.cluster.seal(AcmeSettings::EAB_KEY_PLACE, key)?),
        };
        Ok(AcmeSettings { enabled, directory, email, root, eab_key_id, eab_key })
    }
}

group! {
    /// What the nodes answer for in the DNS, where they are started with --dns.
    DnsBody as DnsSettings = DnsSettings {
        /// Zones that are delegated to the nodes: all their names lead to living edges.
        #[schema(value_type = Vec<String>)]
        zones: Vec<DomainName>,
    }
}

impl From<Settings> for SettingsBody {
    fn from(Settings { preview_domain, build, edge, acme, dns }: Settings) -> Self {
        let (build, edge) = (build.into(), edge.into());
        Self { preview_domain, build, edge, acme: acme.into(), dns: dns.into() }
    }
}

impl SettingsBody {
    fn sealed(self, context: &Context, before: AcmeSettings) -> Result<Settings, ApiError> {
        let Self { preview_domain, build, edge, acme, dns } = self;
        let (build, edge) = (build.into(), edge.into());
        let acme = acme.sealed(context, before)?;
        Ok(Settings { preview_domain, build, edge, acme, dns: dns.into() })
    }
}

impl Default for SettingsBody {
    fn default() -> Self {
        Settings::default().into()
    }
}

/// The cluster's settings.
#[utoipa::path(get, path = "/api/settings", tag = "settings", responses((status = 200, body = SettingsBody)))]
pub(crate) async fn show(MayRead(_): MayRead, Seen(state): Seen) -> Tagged<SettingsBody> {
    Tagged::new(&state, ROW, state.settings().into())
}

/// Replaces the cluster's settings.
#[utoipa::path(
    put, path = "/api/settings", tag = "settings",
    request_body = SettingsBody, responses((status = 200, body = SettingsBody))
)]
pub(crate) async fn replace(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    if_match: IfMatch,
    Json(body): Json<SettingsBody>,
) -> Result<Tagged<SettingsBody>, ApiError> {
    check(&body)?;
    let before = context.cluster.read_latest().await?;
    let settings = body.sealed(&context, before.settings().acme)?;
    refuse_hiding(&before, &settings)?;
    let mut proposal = caller.asks(Command::ChangeSettings { settings });
    proposal.condition = if_match.on(ROW.into());
    let (_, state) = context.change(proposal).await?;
    Ok(Tagged::new(&state, ROW, state.settings().into()))
}

/// Refuses a zone in which a node would be called as a domain is.
fn refuse_hiding(state: &Agreed, settings: &Settings) -> Result<(), ApiError> {
    let hides = |domain: &DomainName| Some((domain.clone(), settings.dns.hiding(domain)?.clone()));
    let Some((domain, zone)) = state.domains.keys().find_map(hides) else { return Ok(()) };
    let why = format!(
        "in the zone {zone}, {} would be a node that answers in the DNS: remove the domain {domain} first",
        domain.base()
    );
    Err(ApiError::invalid("dns.zones", why))
}

fn check(body: &SettingsBody) -> Result<(), ApiError> {
    let domain = &body.preview_domain;
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if domain.len() > PREVIEW_DOMAIN_BYTES_MAX || !domain.split('.').all(label) {
        let why =
            "give a domain in lower case without a dot at its end, such as `apps.example.com`";
        return Err(ApiError::invalid("preview_domain", why));
    }
    if !body.acme.directory.starts_with("https://") {
        let why = "give the URL of an ACME directory, which begins with https://";
        return Err(ApiError::invalid("acme.directory", why));
    }
    let at_least_one = [
        ("build.timeout_seconds", body.build.timeout_seconds),
        ("build.at_once", u64::from(body.build.at_once)),
        ("edge.body_bytes_max", body.edge.body_bytes_max),
        ("edge.header_bytes_max", body.edge.header_bytes_max),
        ("edge.headers_max", body.edge.headers_max as u64),
        ("edge.header_seconds_max", body.edge.header_seconds_max),
        ("edge.connections_max", body.edge.connections_max as u64),
        ("edge.connections_per_client_max", body.edge.connections_per_client_max as u64),
        ("edge.idle_seconds_max", body.edge.idle_seconds_max),
        ("edge.upstream_read_seconds_max", body.edge.upstream_read_seconds_max),
        ("edge.connection_seconds_max", body.edge.connection_seconds_max),
        ("edge.connection_requests_max", u64::from(body.edge.connection_requests_max)),
    ];
    if let Some((field, _)) = at_least_one.iter().find(|(_, value)| *value == 0) {
        return Err(ApiError::invalid(*field, "use at least 1"));
    }
    let is_too_long =
        |(field, value): &&(&str, u64)| field.contains("_seconds") && *value > SECONDS_MAX;
    match at_least_one.iter().find(is_too_long) {
        Some((field, _)) => {
            let why = format!("use at most {SECONDS_MAX} seconds, which is a year");
            Err(ApiError::invalid(*field, why))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_neither_none_nor_longer_than_a_year() {
        let with = |seconds| {
            let mut body = SettingsBody::default();
            body.edge.connection_seconds_max = seconds;
            check(&body)
        };
        assert!([1, SECONDS_MAX].into_iter().all(|seconds| with(seconds).is_ok()));
        for (seconds, why) in [(0, "at least 1"), (SECONDS_MAX + 1, "at most"), (u64::MAX, "year")]
        {
            let error = format!("{:?}", with(seconds).unwrap_err());
            let told = error.contains("edge.connection_seconds_max") && error.contains(why);
            assert!(told, "{error}");
        }
    }
}
