//! Judges the head of an HTTP/2 request for what the libraries below let pass. Pure.

use http::{Method, header};
use pingora_http::RequestHeader;

use crate::error_page::Fault;
use crate::head::{METHOD_MAX, is_token_octet};
use crate::headers::text;
use crate::host::is_authority;

/// Passes a head that means one thing to every app.
pub(crate) fn judge(head: &RequestHeader) -> Result<(), Fault> {
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let host = text(&head.headers, header::HOST);
    if !is_authority(authority.unwrap_or(host).as_bytes()) {
        return Err(Fault::BadRequest("the authority is not a host name"));
    }
    if head.raw_path() == b"*" && head.method != Method::OPTIONS {
        return Err(Fault::BadRequest("only OPTIONS may have the target `*`"));
    }
    if head.method.as_str().len() > METHOD_MAX {
        return Err(Fault::BadRequest("the method is too long"));
    }
    if !head.headers.keys().all(|name| name.as_str().bytes().all(is_token_octet)) {
        return Err(Fault::BadRequest("a header's name is not a token"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_apps_could_read_differently_is_refused() {
        for (path, host, passes) in
            [("/", "a:80", true), ("/", "a:65536", false), ("/", "", false), ("*", "a", false)]
        {
            let mut head = RequestHeader::build("GET", path.as_bytes(), None).unwrap();
            head.append_header(header::HOST, host).unwrap();
            assert_eq!(judge(&head).is_ok(), passes, "{path} at {host:?}");
        }
    }
}
