//! Sends what the edge answers by itself.

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Version};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use crate::compress::Compression;
use crate::error_page::{Fault, Page};
use crate::headers::text;
use crate::own_answer::OwnAnswer;
use crate::request::Request;

/// Sends an answer of the edge's own; tells that nothing more is to be done.
pub(crate) async fn answer(
    session: &mut Session,
    ctx: &Request,
    answer: OwnAnswer,
) -> Result<bool> {
    let header = answer.header(ctx.stamp())?;
    send(session, header, answer.body).await?;
    Ok(true)
}

/// Sends the page for a fault, as the client takes it.
pub(crate) async fn respond(session: &mut Session, ctx: &Request, fault: &Fault) -> Result<()> {
    let accept = text(&session.req_header().headers, ACCEPT);
    let page = Page::new(fault, &ctx.id, accept);
    respond_with(session, ctx, page).await
}

/// Answers one request too many. Where clients say how much of an answer they take, it has no body: nothing is left that a
/// client could leave lying about.
pub(crate) async fn turn_away(session: &mut Session, ctx: &Request, fault: &Fault) -> Result<()> {
    let head = session.req_header();
    let mut page = Page::new(fault, &ctx.id, text(&head.headers, ACCEPT));
    if head.version > Version::HTTP_11 {
        page.body.clear();
    }
    respond_with(session, ctx, page).await
}

/// Sends a page.
pub(crate) async fn respond_with(session: &mut Session, ctx: &Request, page: Page) -> Result<()> {
    let mut header = ResponseHeader::build(page.status, Some(8))?;
    header.insert_header(CONTENT_TYPE, page.content_type)?;
    header.insert_header(CONTENT_LENGTH, page.body.len())?;
    ctx.bare_stamp().mark(&mut header)?;
    for (name, value) in page.headers {
        header.insert_header(name, value)?;
    }
    send(session, header, page.body).await
}

async fn send(session: &mut Session, header: ResponseHeader, body: String) -> Result<()> {
    leave_as_it_is(session);
    let bodiless = body.is_empty() || session.req_header().method == Method::HEAD;
    session.write_response_header(Box::new(header), bodiless).await?;
    if bodiless {
        return Ok(());
    }
    session.write_response_body(Some(body.into()), true).await
}

/// The edge's own answers are in the coding that they should have.
pub(crate) fn leave_as_it_is(session: &mut Session) {
    if let Some(compression) = session.downstream_modules_ctx.get_mut::<Compression>() {
        compression.disable();
    }
}
