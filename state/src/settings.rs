//! Settings of the whole cluster.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::format::{FIFTH, FIRST, SECOND, THIRD};
use crate::row::Value;
use crate::{DnsSettings, INTERNAL_DOMAIN, Network, Rejected, Reply, Sealed, State};

/// The domain under which every environment has a host name when nobody set another: all its names resolve to loopback.
pub const PREVIEW_DOMAIN_DEFAULT: &str = "localho.st";

/// What an admin may set for every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The domain of `<project>-<environment>.<preview domain>`.
    pub preview_domain: String,
    /// Bounds of builds.
    pub build: BuildSettings,
    /// Bounds of the edge.
    pub edge: EdgeSettings,
    /// Who gives certificates. Not written while it is the default, which the first format did not have.
    #[serde(skip_serializing_if = "AcmeSettings::is_default")]
    pub acme: AcmeSettings,
    /// What the nodes answer for in the DNS. Not written while it is the default, which earlier formats did not have.
    #[serde(skip_serializing_if = "DnsSettings::is_default")]
    pub dns: DnsSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            preview_domain: PREVIEW_DOMAIN_DEFAULT.into(),
            build: BuildSettings::default(),
            edge: EdgeSettings::default(),
            acme: AcmeSettings::default(),
            dns: DnsSettings::default(),
        }
    }
}

/// Bounds of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildSettings {
    /// Thousandths of a processor a build may use; 0 for half of the node's.
    pub cpu_millis: u64,
    /// Mebibytes of memory a build may use; 0 for half of the node's.
    pub memory_mib: u64,
    /// Seconds a build may take.
    pub timeout_seconds: u64,
    /// How many builds a node runs at once.
    pub at_once: u32,
    /// Certificate authorities, in PEM, that builds trust besides the image's own; for networks behind a proxy.
    pub ca_certificates: String,
}

impl Default for BuildSettings {
    fn default() -> Self {
        Self {
            cpu_millis: 0,
            memory_mib: 0,
            timeout_seconds: 1_800,
            at_once: 1,
            ca_certificates: String::new(),
        }
    }
}

/// Bounds of the edge; each holds per node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EdgeSettings {
    /// Octets of a request body.
    pub body_bytes_max: u64,
    /// Octets of a request's line and headers.
    pub header_bytes_max: u64,
    /// Headers of a request.
    pub headers_max: usize,
    /// Seconds a client may take to send its headers.
    pub header_seconds_max: u64,
    /// Connections that clients may hold open, and requests that may be under way.
    pub connections_max: usize,
    /// Connections that one client address may hold open, and requests of it that may be under way.
    pub connections_per_client_max: usize,
    /// Seconds a connection may idle between requests.
    pub idle_seconds_max: u64,
    /// Seconds an app may take between two octets of its answer.
    pub upstream_read_seconds_max: u64,
    /// Proxies in front of the edge, which are believed about whom a request comes from. Not written while there are none,
    /// which formats before the third do not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<Network>,
    /// Whether those proxies begin every connection with a header of the PROXY protocol.
    #[serde(skip_serializing_if = "is_false")]
    pub proxy_protocol: bool,
    /// Seconds after which a client is told to open another connection. Not written while it is the default, as the next
    /// two, which formats before the third do not know.
    #[serde(skip_serializing_if = "is_an_hour")]
    pub connection_seconds_max: u64,
    /// Requests after which it is.
    #[serde(skip_serializing_if = "is_ten_thousand")]
    pub connection_requests_max: u32,
    /// Octets that a request body must bring each second, on average; 0 for any.
    #[serde(skip_serializing_if = "is_five_hundred")]
    pub body_rate_min: u64,
    /// Whether HTTP/3 is taken at the port of HTTPS. Not written while it is not, as formats before the third do not know it.
    #[serde(skip_serializing_if = "is_false")]
    pub http3: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The longest time that a setting may ask for, in seconds: a year.
pub const SECONDS_MAX: u64 = 366 * 24 * 3_600;

/// The most networks of trusted proxies.
pub const TRUSTED_PROXIES_MAX: usize = 1_000;

impl EdgeSettings {
    fn since(&self) -> u8 {
        let plain = self.trusted_proxies.is_empty() && !self.proxy_protocol && !self.http3;
        let usual = is_an_hour(&self.connection_seconds_max)
            && is_ten_thousand(&self.connection_requests_max)
            && is_five_hundred(&self.body_rate_min);
        if plain && usual { FIRST } else { THIRD }
    }

    fn check(&self) -> Result<(), Rejected> {
        match self.trusted_proxies.len() > TRUSTED_PROXIES_MAX {
            true => {
                Err(Rejected::TooMany { noun: "trusted proxies".into(), max: TRUSTED_PROXIES_MAX })
            }
            false => Ok(()),
        }
    }
}

/// As long as nginx keeps one.
const CONNECTION_SECONDS: u64 = 3_600;
const CONNECTION_REQUESTS: u32 = 10_000;
/// As Apache's mod_reqtimeout has it.
const BODY_RATE: u64 = 500;

fn is_an_hour(seconds: &u64) -> bool {
    *seconds == CONNECTION_SECONDS
}

fn is_ten_thousand(requests: &u32) -> bool {
    *requests == CONNECTION_REQUESTS
}

fn is_five_hundred(octets: &u64) -> bool {
    *octets == BODY_RATE
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            body_bytes_max: 100 << 20,
            header_bytes_max: 64 << 10,
            headers_max: 100,
            header_seconds_max: 10,
            connections_max: 20_000,
            connections_per_client_max: 2_000,
            idle_seconds_max: 60,
            upstream_read_seconds_max: 300,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            connection_seconds_max: CONNECTION_SECONDS,
            connection_requests_max: CONNECTION_REQUESTS,
            body_rate_min: BODY_RATE,
            http3: false,
        }
    }
}

/// Who gives certificates for domains, by ACME (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AcmeSettings {
    /// Whether certificates are asked for.
    pub enabled: bool,
    /// The authority's directory.
    pub directory: String,
    /// Where the authority may reach a person; nowhere when empty.
    pub email: String,
    /// The certificates in PEM that the directory's own TLS is trusted by; the usual ones when empty.
    pub root: String,
    /// The name of the key by which accounts are bound to one that somebody has with the authority (RFC 8555 §7.3.4); none
    /// when empty. Not written while there is none, as the key, since formats before the fifth know neither.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub eab_key_id: String,
    /// That key in Base64; sealed at [`AcmeSettings::EAB_KEY_PLACE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eab_key: Option<Sealed>,
}

/// The directory of the authority that most of the web uses.
const DIRECTORY_DEFAULT: &str = "https://acme-v02.api.letsencrypt.org/directory";

impl Default for AcmeSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: DIRECTORY_DEFAULT.into(),
            email: String::new(),
            root: String::new(),
            eab_key_id: String::new(),
            eab_key: None,
        }
    }
}

impl AcmeSettings {
    /// Where the key is sealed by which accounts are bound.
    pub const EAB_KEY_PLACE: &str = "acme/eab-key";

    /// Whether nobody has set anything.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn since(&self) -> u8 {
        match self {
            bound if !bound.eab_key_id.is_empty() || bound.eab_key.is_some() => FIFTH,
            usual if usual.is_default() => FIRST,
            _ => SECOND,
        }
    }

    fn check(&self) -> Result<(), Rejected> {
        match self.eab_key_id.is_empty() == self.eab_key.is_none() {
            true => Ok(()),
            false => Err(Rejected::Invalid {
                what: "acme.eab_key".into(),
                why: "it goes with acme.eab_key_id: set both, or none".into(),
            }),
        }
    }
}

/// The octets of the key of an account with an authority, from the Base64 in which that shows it; nothing where it is none.
pub fn eab_key_octets(text: &str) -> Option<Vec<u8>> {
    let text = text.trim().trim_end_matches('=').replace('+', "-").replace('/', "_");
    URL_SAFE_NO_PAD.decode(text).ok().filter(|octets| !octets.is_empty())
}

impl Value for Settings {
    fn since(&self) -> u8 {
        let dns = if self.dns.is_default() { FIRST } else { THIRD };
        self.acme.since().max(dns).max(self.edge.since())
    }
}

impl State {
    /// The cluster's settings.
    pub fn settings(&self) -> Settings {
        self.settings.get(&0).cloned().unwrap_or_default()
    }

    pub(crate) fn change_settings(&mut self, settings: Settings) -> Result<Reply, Rejected> {
        settings.check()?;
        let before = self.settings();
        if settings.acme != before.acme || settings.dns != before.dns {
            self.retry_orders();
        }
        let previews =
            settings.preview_domain != before.preview_domain || settings.dns != before.dns;
        self.settings.insert(0, settings);
        if previews {
            self.forget_previews();
        }
        Ok(Reply::Done)
    }
}

impl Settings {
    /// What can be told of settings by themselves.
    pub fn check(&self) -> Result<(), Rejected> {
        self.dns.check()?;
        self.edge.check()?;
        self.acme.check()?;
        let domain = &self.preview_domain;
        if !is_under(domain, INTERNAL_DOMAIN) {
            return Ok(());
        }
        let why = format!(
            "`{domain}` is where apps call each other inside the cluster, under names that nobody \
             outside can look up; choose a domain whose names lead to your nodes, such as \
             `apps.example.com`"
        );
        Err(Rejected::Invalid { what: "preview_domain".into(), why })
    }
}

/// Whether a name is a domain or below it.
pub(crate) fn is_under(name: &str, domain: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let above = name.strip_suffix(domain);
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_account_is_read_as_authorities_show_it() {
        let octets = vec![0xfb, 0xff, 0xbf, 0x01];
        for (text, read) in [
            ("-_-_AQ", Some(&octets)),
            ("-_-_AQ==", Some(&octets)),
            ("+/+/AQ==\n", Some(&octets)),
            ("", None),
            ("a key", None),
        ] {
            assert_eq!(eab_key_octets(text).as_ref(), read, "{text}");
        }
    }

    #[test]
    fn the_domain_by_which_apps_call_each_other_is_not_for_previews() {
        let cases = [
            ("localho.st", true),
            ("apps.example.com", true),
            ("internal", true),
            ("mytemps.internal", true),
            ("temps.internal.example.com", true),
            ("temps.internal", false),
            ("Temps.Internal.", false),
            ("apps.temps.internal", false),
            ("a.b.temps.internal", false),
        ];
        for (domain, fits) in cases {
            let settings = Settings { preview_domain: domain.into(), ..Settings::default() };
            assert_eq!(settings.check().is_ok(), fits, "{domain}");
            let changed = State::default().change_settings(settings);
            assert_eq!(changed.is_ok(), fits, "{domain}");
        }
    }
}
