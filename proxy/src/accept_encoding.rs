//! Which content coding a client prefers (RFC 9110 §12.5.3). Pure.

use temps_state::Encoding;

/// The best of the `available` codings for an `Accept-Encoding` value; earlier ones win ties. `None` is no coding.
pub(crate) fn choose(accept: &str, available: &[Encoding]) -> Option<Encoding> {
    if accept.is_empty() {
        return None;
    }
    let identity = weight(accept, "identity").unwrap_or(0);
    let mut best = None;
    let mut best_weight = identity;
    for encoding in available {
        let weight = weight(accept, encoding.token()).or_else(|| weight(accept, "*")).unwrap_or(0);
        if weight > best_weight || (weight > 0 && weight == best_weight && best.is_none()) {
            (best, best_weight) = (Some(*encoding), weight);
        }
    }
    best
}

/// The weight of a coding in thousandths, where the header names it.
fn weight(accept: &str, token: &str) -> Option<u16> {
    accept.split(',').find_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next()?;
        let same = name.eq_ignore_ascii_case(token)
            || (token == "gzip" && name.eq_ignore_ascii_case("x-gzip"));
        same.then(|| parts.find_map(quality).unwrap_or(1_000))
    })
}

fn quality(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let value: f32 = name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().ok())??;
    Some((value.clamp(0.0, 1.0) * 1_000.0) as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use temps_state::Encoding::*;

    use super::*;

    #[test]
    fn the_client_decides_and_the_server_breaks_ties() {
        let all = [Brotli, Zstd, Gzip];
        for (accept, chosen) in [
            ("", None),
            ("identity", None),
            ("gzip", Some(Gzip)),
            ("GZIP", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Brotli)),
            ("gzip;q=1.0, br;q=0.5", Some(Gzip)),
            ("gzip;q=0, br;q=0", None),
            ("*", Some(Brotli)),
            ("*;q=0", None),
            ("*;q=0.5, gzip;q=0.1", Some(Brotli)),
            ("br;q=0, *", Some(Zstd)),
            ("identity;q=1, gzip;q=0.5", None),
            ("deflate", None),
            ("gzip;q=nonsense", Some(Gzip)),
            ("gzip ; q = 0.5", Some(Gzip)),
        ] {
            assert_eq!(choose(accept, &all), chosen, "{accept}");
        }
        assert_eq!(choose("br, gzip", &[Gzip]), Some(Gzip));
        assert_eq!(choose("br", &[Gzip]), None);
    }

    proptest! {
        #[test]
        fn any_header_gets_an_answer(accept in "\\PC*") {
            let _ = choose(&accept, &[Gzip, Brotli]);
        }
    }
}
