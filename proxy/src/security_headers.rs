//! Security headers: what is added to answers that do not have them. Pure.

use std::collections::BTreeMap;

use http::HeaderValue;
use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use temps_state::HeaderPolicy;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");

type Preset<const N: usize> = [(HeaderName, &'static str); N];

/// Nothing that an app notices which works over HTTPS and says what its files are.
static PERMISSIVE: Preset<3> = [
    (STRICT_TRANSPORT_SECURITY, "max-age=15552000"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "strict-origin-when-cross-origin"),
];
/// No frames elsewhere, no plug-ins, and the device only for the app itself.
static MODERATE: Preset<6> = [
    (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (CONTENT_SECURITY_POLICY, "base-uri 'self'; frame-ancestors 'self'; object-src 'none'"),
    (X_FRAME_OPTIONS, "SAMEORIGIN"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (
        PERMISSIONS_POLICY,
        "camera=(self), microphone=(self), geolocation=(self), payment=(self), usb=(self)",
    ),
];
/// Everything from the app itself, no frames at all, nothing of the device, and HTTPS for the names below too.
static STRICT: Preset<7> = [
    (STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (PERMISSIONS_POLICY, "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
];

/// The headers of a policy, ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct SecurityHeaders {
    policy: HeaderPolicy,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl SecurityHeaders {
    /// Those of a policy. What is no header in one of a team's own is left out; the state holds none such.
    pub(crate) fn new(policy: &HeaderPolicy) -> Self {
        let headers = match policy {
            HeaderPolicy::Off => Vec::new(),
            HeaderPolicy::Permissive => preset(&PERMISSIVE),
            HeaderPolicy::Moderate => preset(&MODERATE),
            HeaderPolicy::Strict => preset(&STRICT),
            HeaderPolicy::Custom { headers } => custom(headers),
        };
        Self { policy: policy.clone(), headers }
    }

    /// Whether they are those of this policy.
    pub(crate) fn is(&self, policy: &HeaderPolicy) -> bool {
        self.policy == *policy
    }

    /// Adds those that an answer does not have. That a host is to be asked over HTTPS only is said over HTTPS only, where
    /// it counts (RFC 6797 §7.2).
    pub(crate) fn add(&self, answer: &mut ResponseHeader, https: bool) -> Result<()> {
        for (name, value) in &self.headers {
            let fits = https || name != STRICT_TRANSPORT_SECURITY;
            if fits && !answer.headers.contains_key(name) {
                answer.insert_header(name, value)?;
            }
        }
        Ok(())
    }
}

fn preset(preset: &[(HeaderName, &'static str)]) -> Vec<(HeaderName, HeaderValue)> {
    preset.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
}

fn custom(headers: &BTreeMap<String, String>) -> Vec<(HeaderName, HeaderValue)> {
    let header = |(name, value): (&String, &String)| {
        Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?))
    };
    headers.iter().filter_map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(
        policy: &HeaderPolicy,
        https: bool,
        own: &[(&'static str, &str)],
    ) -> ResponseHeader {
        let mut answer = ResponseHeader::build(200, None).unwrap();
        for (name, value) in own {
            answer.insert_header(*name, *value).unwrap();
        }
        SecurityHeaders::new(policy).add(&mut answer, https).unwrap();
        answer
    }

    fn custom_policy(headers: &[(&str, &str)]) -> HeaderPolicy {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        HeaderPolicy::Custom { headers: headers.collect() }
    }

    #[test]
    fn each_preset_says_more_than_the_one_before() {
        for (policy, https, http) in [
            (HeaderPolicy::Off, 0, 0),
            (HeaderPolicy::Permissive, 3, 2),
            (HeaderPolicy::Moderate, 6, 5),
            (HeaderPolicy::Strict, 7, 6),
        ] {
            let count = |https| answered(&policy, https, &[]).headers.len();
            assert_eq!((count(true), count(false)), (https, http), "{policy:?}");
        }
        let strict = answered(&HeaderPolicy::Strict, true, &[]);
        assert_eq!(strict.headers["x-frame-options"], "DENY");
        assert_eq!(strict.headers["x-content-type-options"], "nosniff");
        assert!(
            !answered(&HeaderPolicy::Strict, false, &[])
                .headers
                .contains_key("strict-transport-security")
        );
    }

    #[test]
    fn what_an_app_says_itself_stays() {
        let own = [("x-frame-options", "ALLOWALL"), ("content-security-policy", "default-src *")];
        let answer = answered(&HeaderPolicy::Strict, true, &own);
        for (name, value) in own {
            let values: Vec<_> = answer.headers.get_all(name).iter().collect();
            assert_eq!(values, [value], "{name}");
        }
    }

    #[test]
    fn a_team_has_headers_of_its_own() {
        let policy = custom_policy(&[
            ("strict-transport-security", "max-age=1"),
            ("x-team", "a b"),
            ("no header", "x"),
        ]);
        let names = |https| {
            let answer = answered(&policy, https, &[]);
            answer.headers.keys().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["x-team"]);
        assert_eq!(names(true), ["strict-transport-security", "x-team"]);
        let headers = SecurityHeaders::new(&policy);
        assert!(headers.is(&policy) && !headers.is(&HeaderPolicy::Strict));
    }
}
