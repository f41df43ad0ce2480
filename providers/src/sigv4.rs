//! Signatures of requests to AWS: version 4, "Signing AWS API requests" in the IAM user guide.

use jiff::Timestamp;
use reqwest::Url;
use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA256, Key, Tag, sign};

use crate::secret::Secret;

/// The parts of a request that are signed.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a Url,
    pub(crate) body: &'a [u8],
    pub(crate) at: Timestamp,
}

/// Who signs, and for whom.
pub(crate) struct Signer<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) secret_access_key: &'a Secret,
    pub(crate) session_token: Option<&'a Secret>,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

impl Signer<'_> {
    /// The headers that a request gets.
    pub(crate) fn headers(&self, request: &Signed<'_>) -> Vec<(&'static str, String)> {
        let at = request.at.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut headers = vec![("x-amz-date", at.clone())];
        headers.extend(self.session_token.map(|t| ("x-amz-security-token", t.expose().to_owned())));
        let (names, canonical) = canonical(request, &headers);
        let scope = format!("{}/{}/{}/aws4_request", &at[..8], self.region, self.service);
        let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hashed(canonical.as_bytes()));
        let signature = hex::encode(sign(&self.key(&at[..8]), text.as_bytes()));
        let id = self.access_key_id;
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        headers.push(("authorization", authorization));
        headers
    }

    /// The key of a day.
    fn key(&self, day: &str) -> Key {
        let first = zeroize::Zeroizing::new(format!("AWS4{}", self.secret_access_key.expose()));
        let parts = [day, self.region, self.service, "aws4_request"];
        let first = Key::new(HMAC_SHA256, first.as_bytes());
        parts.iter().fold(first, |key, part| next(&sign(&key, part.as_bytes())))
    }
}

fn next(tag: &Tag) -> Key {
    Key::new(HMAC_SHA256, tag.as_ref())
}

/// The names of the headers that are signed, and the request as it is.
fn canonical(request: &Signed<'_>, headers: &[(&'static str, String)]) -> (String, String) {
    let Signed { method, url, body, .. } = request;
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
    let mut all = vec![("host", host)];
    all.extend(headers.iter().cloned());
    let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let mut query: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (encoded(&name), encoded(&value))).collect();
    query.sort();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (path, query) = (url.path(), query.join("&"));
    (names.clone(), format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{}", hashed(body)))
}

fn hashed(octets: &[u8]) -> String {
    hex::encode(digest(&SHA256, octets))
}

/// Encodes all but what RFC 3986 calls unreserved.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let each = text.bytes().map(|b| match plain(b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The AWS suite for signatures of version 4, `get-vanilla` and `get-vanilla-query-order-key-case`.
    #[test]
    fn signatures_are_those_of_the_published_suite() {
        let secret: Secret =
            serde_json::from_value(json!("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")).unwrap();
        let signer = Signer {
            access_key_id: "AKIDEXAMPLE",
            secret_access_key: &secret,
            session_token: None,
            region: "us-east-1",
            service: "service",
        };
        for (url, signature) in [
            (
                "https://example.amazonaws.com/",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "https://example.amazonaws.com/?Param2=value2&Param1=value1",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            let url = Url::parse(url).unwrap();
            let at = "2015-08-30T12:36:00Z".parse().unwrap();
            let headers = signer.headers(&Signed { method: "GET", url: &url, body: b"", at });
            let authorization = &headers.last().unwrap().1;
            assert!(authorization.ends_with(signature), "{authorization}");
            assert!(authorization.contains("AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"));
        }
    }
}
