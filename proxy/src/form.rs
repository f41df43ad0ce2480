//! Forms that pages of the edge's own send.

use std::time::Duration;

use pingora_core::Result;
use pingora_proxy::Session;
use tokio::time::timeout;

use crate::error_page::Fault;

/// The longest form that is read, in octets.
const FORM_BYTES_MAX: usize = 4 << 10;
/// How long a form may take to arrive.
const FORM_TIME_MAX: Duration = Duration::from_secs(10);

/// Reads a form whole, unless it is too long or too slow.
pub(crate) async fn read_form(
    session: &mut Session,
) -> Result<std::result::Result<Vec<u8>, Fault>> {
    match timeout(FORM_TIME_MAX, read(session)).await {
        Ok(form) => Ok(form?.ok_or(Fault::BodyTooLarge(FORM_BYTES_MAX as u64))),
        Err(_) => Ok(Err(Fault::RequestTimeout)),
    }
}

/// Nothing where it is too long.
async fn read(session: &mut Session) -> Result<Option<Vec<u8>>> {
    let mut form = Vec::new();
    while let Some(piece) = session.read_request_body().await? {
        if form.len() + piece.len() > FORM_BYTES_MAX {
            return Ok(None);
        }
        form.extend_from_slice(&piece);
    }
    Ok(Some(form))
}
