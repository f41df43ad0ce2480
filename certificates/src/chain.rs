//! A chain in PEM with its key: what it says, and whether the parts belong together.

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use temps_state::DomainName;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::CertificateError;

/// How far another machine's clock may be ahead.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// What tells an encrypted key: PKCS #8 (RFC 7468 §11), and the older way of OpenSSL (RFC 1421 §4.6.1.1).
const ENCRYPTED: [&str; 2] = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The host names that it is for; those that no domain can have are left out.
    pub names: Vec<DomainName>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Who vouches for it.
    pub issuer: String,
    /// Whether it comes without the certificate of whoever vouches for it, so that only clients who have that believe it.
    pub alone: bool,
    /// Whether nobody vouches for it but itself, so that only clients who have it believe it.
    pub self_signed: bool,
}

/// Reads a chain, the server's own certificate first, and its key. Refuses what no client would believe now.
pub fn read(chain: &str, key: &str, now: Timestamp) -> Result<Facts, CertificateError> {
    read_at(chain, key, |_| now)
}

/// Reads a chain that an authority gave just now: it has begun, whatever this machine's clock says. Refused for a clock that is
/// behind, it would be ordered again and again.
pub fn read_issued(chain: &str, key: &str, now: Timestamp) -> Result<Facts, CertificateError> {
    let latest = now.saturating_add(CLOCK_BEHIND_MAX).unwrap_or(now);
    read_at(chain, key, |facts| facts.not_before.clamp(now, latest))
}

/// How far behind a machine's clock may be for an authority's word to count instead.
const CLOCK_BEHIND_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Reads a chain and judges it at a time that its facts may tell.
fn read_at(
    chain: &str,
    key: &str,
    time: impl FnOnce(&Facts) -> Timestamp,
) -> Result<Facts, CertificateError> {
    let ders: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(CertificateError::NotPem)?;
    let chain = parse(&ders)?;
    let own = chain.first().ok_or(CertificateError::NoCertificate)?;
    let self_signed = is_self_issued(own);
    let facts = Facts { alone: chain.len() == 1 && !self_signed, self_signed, ..facts(own)? };
    check_usage(own)?;
    let time = time(&facts);
    for (at, certificate) in chain.iter().enumerate() {
        check_time(at + 1, certificate, time)?;
    }
    check_links(&chain)?;
    check_key(ders.clone(), key)?;
    Ok(facts)
}

fn parse<'a>(
    ders: &'a [CertificateDer<'static>],
) -> Result<Vec<X509Certificate<'a>>, CertificateError> {
    let read = |(at, der): (usize, &'a CertificateDer<'static>)| {
        let unreadable = |_| CertificateError::Unreadable { number: at + 1 };
        X509Certificate::from_der(der).map(|(_, certificate)| certificate).map_err(unreadable)
    };
    ders.iter().enumerate().map(read).collect()
}

fn facts(certificate: &X509Certificate<'_>) -> Result<Facts, CertificateError> {
    let names = certificate.subject_alternative_name();
    let names = names.map_err(|_| CertificateError::Unreadable { number: 1 })?;
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => name.parse().ok(),
        _ => None,
    };
    let names: Vec<DomainName> = names.iter().filter_map(host).collect();
    if names.is_empty() {
        return Err(CertificateError::NoNames);
    }
    Ok(Facts {
        names,
        not_before: timestamp(certificate.validity().not_before)?,
        not_after: timestamp(certificate.validity().not_after)?,
        issuer: name_of(certificate.issuer()),
        alone: false,
        self_signed: false,
    })
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.issuer() == certificate.subject()
}

/// Where a certificate says what it may be used for, servers must be among that.
fn check_usage(certificate: &X509Certificate<'_>) -> Result<(), CertificateError> {
    let usage = certificate.extended_key_usage();
    let usage = usage.map_err(|_| CertificateError::Unreadable { number: 1 })?;
    match usage.is_none_or(|usage| usage.value.server_auth || usage.value.any) {
        true => Ok(()),
        false => Err(CertificateError::NotForServers),
    }
}

fn timestamp(time: ASN1Time) -> Result<Timestamp, CertificateError> {
    Timestamp::from_second(time.timestamp()).map_err(|_| CertificateError::Validity)
}

/// The common name, or all of it.
fn name_of(name: &x509_parser::x509::X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|common| common.as_str().ok());
    common.map_or_else(|| name.to_string(), str::to_owned)
}

fn check_time(
    number: usize,
    certificate: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<(), CertificateError> {
    let validity = certificate.validity();
    let (from, at) = (timestamp(validity.not_before)?, timestamp(validity.not_after)?);
    if at <= now {
        return Err(CertificateError::Expired { number, at });
    }
    if from.duration_since(now) > CLOCK_TOLERANCE {
        return Err(CertificateError::NotYetValid { number, from });
    }
    Ok(())
}

/// Each certificate must be by the next one, which must be allowed to sign any.
fn check_links(chain: &[X509Certificate<'_>]) -> Result<(), CertificateError> {
    for (at, pair) in chain.windows(2).enumerate() {
        let [one, next] = pair else { continue };
        let number = at + 1;
        if one.issuer() != next.subject() {
            return Err(CertificateError::WrongChain {
                number,
                subject: name_of(one.subject()),
                issuer: name_of(one.issuer()),
                next: name_of(next.subject()),
            });
        }
        if !next.is_ca() {
            return Err(CertificateError::NoAuthority {
                number: number + 1,
                subject: name_of(next.subject()),
            });
        }
        match one.verify_signature(Some(next.public_key())) {
            // An algorithm that is not known here is left for clients to judge.
            Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => {}
            Err(_) => return Err(CertificateError::WrongSignature { number }),
        }
    }
    Ok(())
}

fn check_key(chain: Vec<CertificateDer<'static>>, key: &str) -> Result<(), CertificateError> {
    if ENCRYPTED.iter().any(|mark| key.contains(mark)) {
        return Err(CertificateError::KeyEncrypted);
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(CertificateError::NoKey)?;
    let key = any_supported_type(&key).map_err(CertificateError::KeyUnusable)?;
    match CertifiedKey::new(chain, key).keys_match() {
        Ok(()) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::KeyMismatch),
        Err(error) => Err(CertificateError::KeyUnusable(error)),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    };

    use super::*;

    struct Made {
        pem: String,
        key: KeyPair,
        params: CertificateParams,
    }

    fn params(common: &str, names: &[&str]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 12, 1);
        params
    }

    fn authority(common: &str) -> Made {
        let mut params = params(common, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Made { pem, key, params }
    }

    fn signed(by: &Made, common: &str, names: &[&str]) -> Made {
        let params = params(common, names);
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&by.params, &by.key);
        let pem = params.signed_by(&key, &issuer).unwrap().pem();
        Made { pem, key, params }
    }

    fn now() -> Timestamp {
        "2026-06-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_chain_tells_what_it_is_for() {
        let ca = authority("Test CA");
        let own = signed(&ca, "shop", &["shop.example.com", "*.example.com"]);
        let chain = format!("{}{}", own.pem, ca.pem);
        for (chain, alone) in [(&chain, false), (&own.pem, true)] {
            let facts = read(chain, &own.key.serialize_pem(), now()).unwrap();
            let names: Vec<&str> = facts.names.iter().map(DomainName::as_str).collect();
            assert_eq!(names, ["shop.example.com", "*.example.com"]);
            assert_eq!((facts.issuer.as_str(), facts.alone), ("Test CA", alone));
            assert_eq!(facts.not_after, "2026-12-01T00:00:00Z".parse().unwrap());
        }
    }

    #[test]
    fn who_vouches_for_itself_lacks_nobody() {
        let (params, key) = (params("shop", &["shop.example.com"]), KeyPair::generate().unwrap());
        let pem = params.self_signed(&key).unwrap().pem();
        let facts = read(&pem, &key.serialize_pem(), now()).unwrap();
        assert!(facts.self_signed && !facts.alone);
        for sealed in [
            "BEGIN ENCRYPTED PRIVATE KEY-----",
            "BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED",
        ] {
            let said = read(&pem, &format!("-----{sealed}\n"), now()).unwrap_err();
            assert!(matches!(said, CertificateError::KeyEncrypted), "{said}");
        }
    }

    #[test]
    fn a_certificate_that_says_what_it_is_for_is_for_servers() {
        use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
        let ca = authority("Test CA");
        for (usages, taken) in [
            (vec![], true),
            (vec![ServerAuth], true),
            (vec![ClientAuth, ServerAuth], true),
            (vec![Any], true),
            (vec![ClientAuth], false),
            (vec![ClientAuth, CodeSigning], false),
        ] {
            let mut params = params("shop", &["shop.example.com"]);
            params.extended_key_usages = usages.clone();
            let key = KeyPair::generate().unwrap();
            let pem = params.signed_by(&key, &Issuer::from_params(&ca.params, &ca.key));
            let chain = format!("{}{}", pem.unwrap().pem(), ca.pem);
            let found = read(&chain, &key.serialize_pem(), now());
            match taken {
                true => assert!(found.is_ok(), "{usages:?}: {found:?}"),
                false => assert!(matches!(found, Err(CertificateError::NotForServers))),
            }
        }
    }

    #[test]
    fn what_was_issued_just_now_has_begun_whatever_the_clock_says() {
        let own = signed(&authority("Test CA"), "shop", &["shop.example.com"]);
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let issued = |now| read_issued(&own.pem, &own.key.serialize_pem(), at(now));
        assert_eq!(issued("2025-12-31T23:00:00Z").unwrap().not_before, at("2026-01-01T00:00:00Z"));
        assert!(issued("2026-06-01T00:00:00Z").is_ok());
        let refused = issued("2025-12-29T00:00:00Z").unwrap_err().to_string();
        assert!(refused.contains("begins only at 2026-01-01"), "{refused}");
        let refused = issued("2027-01-01T00:00:00Z").unwrap_err().to_string();
        assert!(refused.contains("ended at 2026-12-01"), "{refused}");
    }

    #[test]
    fn what_no_client_would_believe_is_refused_with_the_reason() {
        let (ca, other) = (authority("Test CA"), authority("Other CA"));
        let namesake = authority("Test CA");
        let own = signed(&ca, "shop", &["shop.example.com"]);
        let nameless = signed(&ca, "shop", &[]);
        let by_own = signed(&own, "below", &["below.example.com"]);
        let mut old = authority("Old CA");
        old.params.not_after = rcgen::date_time_ymd(2026, 2, 1);
        old.pem = old.params.self_signed(&old.key).unwrap().pem();
        let by_old = signed(&old, "shop", &["shop.example.com"]);
        let key = own.key.serialize_pem();
        let late: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let early: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
        let (own_pem, ca_pem) = (&own.pem, &ca.pem);
        for (chain, key, at, reason) in [
            (own_pem.clone(), &key, late, "ended at 2026-12-01"),
            (own_pem.clone(), &key, early, "begins only at 2026-01-01"),
            (own_pem.clone(), &ca.key.serialize_pem(), now(), "not the certificate's"),
            (format!("{own_pem}{}", other.pem), &key, now(), "the next one is `Other CA`"),
            (format!("{own_pem}{}", namesake.pem), &key, now(), "was not signed by the next"),
            (
                format!("{}{own_pem}{ca_pem}", by_own.pem),
                &by_own.key.serialize_pem(),
                now(),
                "certificate 2 of the chain (shop) may not sign others",
            ),
            (
                format!("{}{}", by_old.pem, old.pem),
                &by_old.key.serialize_pem(),
                now(),
                "certificate 2 of the chain ended at 2026-02-01",
            ),
            (format!("{ca_pem}{own_pem}"), &key, now(), "for no host name"),
            (nameless.pem.clone(), &nameless.key.serialize_pem(), now(), "for no host name"),
            (String::new(), &key, now(), "no certificate in it"),
            ("nonsense".into(), &key, now(), "no certificate in it"),
            (own_pem.clone(), &"nonsense".into(), now(), "no private key in it"),
        ] {
            let refused = read(&chain, key, at).unwrap_err().to_string();
            assert!(refused.contains(reason), "{reason}: {refused}");
        }
    }
}
