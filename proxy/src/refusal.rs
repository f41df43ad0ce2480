//! Why a request goes no further: by its head, by an error on its way.

use http::Version;
use http::header::CONTENT_LENGTH;
use pingora_core::{Error, ErrorSource, ErrorType};
use pingora_http::RequestHeader;

use crate::connector::NODE_UNREACHABLE;
use crate::error_page::Fault;
use crate::headers::text;
use crate::http2_head;
use crate::request::Request;
use crate::route::Target;

/// Why a request goes no further, when its head is enough to tell.
pub(crate) fn refusal(head: &RequestHeader, ctx: &Request) -> Option<Fault> {
    let limits = &ctx.limits;
    if is_judged_late(head) && headers_too_large(head, ctx) {
        return Some(Fault::HeadersTooLarge);
    }
    let Some(route) = &ctx.route else {
        return Some(Fault::UnknownHost);
    };
    let length = text(&head.headers, CONTENT_LENGTH).parse::<u64>();
    match &route.target {
        _ if route.disabled => Some(Fault::Disabled),
        Target::Nothing => Some(Fault::NothingDeployed),
        _ if length.is_ok_and(|length| length > limits.body_bytes_max) => {
            Some(Fault::BodyTooLarge(limits.body_bytes_max))
        }
        _ => None,
    }
}

/// Why a head is refused that HTTP/2 or HTTP/3 brought.
pub(crate) fn malformed(head: &RequestHeader) -> Option<Fault> {
    is_judged_late(head).then(|| http2_head::judge(head).err()).flatten()
}

/// HTTP/1 heads are judged before Pingora reads them.
fn is_judged_late(head: &RequestHeader) -> bool {
    matches!(head.version, Version::HTTP_2 | Version::HTTP_3)
}

fn headers_too_large(head: &RequestHeader, ctx: &Request) -> bool {
    let octets: usize =
        head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    head.headers.len() > ctx.limits.headers_max
        || octets + head.raw_path().len() > ctx.limits.header_bytes_max
}

/// What a client is told of an error; nothing when it is gone.
pub(crate) fn fault_of(error: &Error) -> Option<Fault> {
    use ErrorType::*;
    match (error.esource(), error.etype()) {
        (_, kind) if *kind == NODE_UNREACHABLE => Some(Fault::NodeUnreachable),
        (ErrorSource::Upstream, ReadTimedout | WriteTimedout) => Some(Fault::GatewayTimeout),
        (ErrorSource::Upstream, _) => Some(Fault::BadGateway),
        (ErrorSource::Downstream, ReadTimedout) => Some(Fault::RequestTimeout),
        (ErrorSource::Downstream, ReadError) if is_malformed(error) => {
            Some(Fault::BadRequest("its framing is broken"))
        }
        (ErrorSource::Downstream, WriteError | WriteTimedout | ReadError | ConnectionClosed) => {
            None
        }
        // Framing was judged before; what Pingora objects to in a head that passed is what `Connection` names.
        (ErrorSource::Downstream, InvalidHTTPHeader) if names_connection(error) => {
            Some(Fault::BadRequest("Connection names a header that may not be named there"))
        }
        (ErrorSource::Downstream, _) => Some(Fault::BadRequest("its framing is broken")),
        _ => Some(Fault::Internal),
    }
}

/// Whether an error is about the headers that `Connection` names, which go no further: the app needs some of them.
fn names_connection(error: &Error) -> bool {
    error.context.as_ref().is_some_and(|context| context.as_str().contains("Connection header"))
}

/// Whether reading ended because of what the client sent, and not because it is gone.
fn is_malformed(error: &Error) -> bool {
    let cause = error.cause.as_deref().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_names_too_much_in_connection_is_told_so() {
        let fault = |context: &'static str| {
            fault_of(&Error::explain(ErrorType::InvalidHTTPHeader, context).into_down())
        };
        let told = |text| Some(Fault::BadRequest(text));
        let named = "protected header cannot be nominated by the Connection header";
        let wanted = told("Connection names a header that may not be named there");
        assert_eq!(fault(named), wanted);
        assert_eq!(fault("invalid chunk"), told("its framing is broken"));
    }
}
