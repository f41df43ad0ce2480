//! What happens to a request, in Pingora's phases. Each asks a noun and does what it says.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::TE;
use http::{StatusCode, Version};
use jiff::Timestamp;
use pingora_core::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use tokio::time::{Instant, timeout_at};

use crate::access_log::{AccessLog, Entry, logged_host, logged_path};
use crate::answer::{answer, leave_as_it_is, respond, respond_with, turn_away};
use crate::compress::CompressionBuilder;
use crate::connector::NODE_UNREACHABLE;
use crate::error_page::{Fault, Page};
use crate::form::read_form;
use crate::guard::{Caller, Checks, Door, Gate, Verdict};
use crate::headers::{Origin, mark_request, mark_response};
use crate::inner::label_of;
use crate::limits::{
    ANSWER_STALL_MAX, BODY_STALL_MAX, CALLER_WAIT_MAX, LINGER_MAX, UPGRADED_IDLE_MAX,
};
use crate::live_table::LiveTable;
use crate::metrics::Metrics;
use crate::own_answer::{OwnAnswer, Sought};
use crate::ports::Ports;
use crate::refusal::{fault_of, malformed, refusal};
use crate::request::Request;
use crate::request_count::RequestCount;
use crate::route::Target;
use crate::route_table::Way;
use crate::sites::Sites;
use crate::tls::Certificates;
use crate::upstream::{Speech, next_endpoint};

/// The nouns that the phases ask.
pub(crate) struct Phases {
    pub(crate) table: Arc<LiveTable>,
    pub(crate) sites: Arc<Sites>,
    pub(crate) certificates: Arc<Certificates>,
    /// Where the edge listens.
    pub(crate) ports: Ports,
    /// Whether the edge takes HTTP/3.
    pub(crate) http3: Arc<AtomicBool>,
    pub(crate) metrics: Metrics,
    pub(crate) log: AccessLog,
    pub(crate) gate: Gate,
    pub(crate) requests: Arc<RequestCount>,
}

#[async_trait]
impl ProxyHttp for Phases {
    /// Boxed: Pingora moves it from one future to the next.
    type CTX = Box<Request>;

    fn new_ctx(&self) -> Box<Request> {
        self.metrics.in_flight.inc();
        Box::new(Request::new(self.table.limits()))
    }

    fn init_downstream_modules(&self, modules: &mut HttpModules) {
        modules.add_module(Box::new(CompressionBuilder));
    }

    async fn early_request_filter(
        &self,
        session: &mut Session,
        ctx: &mut Box<Request>,
    ) -> Result<()> {
        ctx.read(session);
        let calls = ctx.speech == Speech::Http2;
        session.set_read_timeout(Some(if calls { UPGRADED_IDLE_MAX } else { BODY_STALL_MAX }));
        session.set_write_timeout(Some(ANSWER_STALL_MAX));
        session.set_total_drain_timeout(Some(LINGER_MAX));
        ctx.http3_port = ctx.http3_port.filter(|_| self.http3.load(Ordering::Relaxed));
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Box<Request>) -> Result<bool> {
        match self.requests.take(ctx.client, &ctx.limits) {
            Ok(share) => ctx.share = Some(share),
            Err(fault) => match self.sought_in_clear(session.req_header(), ctx) {
                Some(own) => return answer(session, ctx, own).await,
                None => {
                    turn_away(session, ctx, &fault).await?;
                    return Ok(true);
                }
            },
        }
        if let Some(fault) = malformed(session.req_header()) {
            respond(session, ctx, &fault).await?;
            return Ok(true);
        }
        let found = self.find(session.req_header(), ctx);
        if let Found::Sought(own) = found {
            return answer(session, ctx, own).await;
        }
        let guarded = checks_of(ctx).map(|checks| {
            let verdict = self.gate.judge(&checks, &caller(session.req_header(), ctx));
            (checks, verdict)
        });
        if let Some((_, verdict @ Verdict::Refuse(fault))) = &guarded {
            self.metrics.judged(verdict);
            respond(session, ctx, fault).await?;
            return Ok(true);
        }
        if let Found::Elsewhere(own) = found {
            return answer(session, ctx, own).await;
        }
        if let Some((checks, verdict)) = guarded
            && let Some(page) = self.stop(session, ctx, &checks, &verdict).await?
        {
            respond_with(session, ctx, page).await?;
            return Ok(true);
        }
        if label_of(&ctx.host).is_some() {
            // Nothing is gained between containers of one network.
            leave_as_it_is(session);
        }
        let fault = self.trespass(ctx).await.or_else(|| refusal(session.req_header(), ctx));
        if let Some(fault) = fault {
            respond(session, ctx, &fault).await?;
            return Ok(true);
        }
        self.serve_static(session, ctx).await
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        ctx: &mut Box<Request>,
    ) -> Result<Box<HttpPeer>> {
        ctx.attempts.lease = None;
        let Some(environment) = ctx.route.as_ref().map(|route| route.environment) else {
            return Err(failure(ctx, Fault::UnknownHost));
        };
        let lease = next_endpoint(&self.table, environment, &mut ctx.attempts).await;
        match lease.and_then(|lease| lease.counted(&self.requests, ctx.client, &ctx.limits)) {
            Ok(mut lease) => {
                // The first try may have met a connection that the app was closing; the second must not.
                let fresh = ctx.attempts.resent;
                let peer = lease.peer(&ctx.limits, ctx.speech, fresh);
                ctx.attempts.lease = Some(lease);
                Ok(Box::new(peer))
            }
            Err(fault) => Err(failure(ctx, fault)),
        }
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Box<Request>,
    ) -> Result<()> {
        if ctx.speech == Speech::Http2 {
            // Pingora takes it away unless the client speaks HTTP/2, and gRPC does not go without.
            request.insert_header(TE, "trailers")?;
        }
        // A request that is sent again brings its body again.
        ctx.body_bytes = 0;
        ctx.sent_at = Instant::now();
        let Some(route) = &ctx.route else {
            return Err(failure(ctx, Fault::UnknownHost));
        };
        let origin = Origin {
            request_id: &ctx.id,
            told: &route.told,
            client: ctx.client,
            peer: ctx.peer,
            https: ctx.https,
        };
        mark_request(request, &origin)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Box<Request>,
    ) -> Result<()> {
        ctx.body_bytes += body.as_ref().map_or(0, |piece| piece.len() as u64);
        let max = ctx.limits.body_bytes_max;
        if session.was_upgraded() {
            return Ok(());
        }
        if ctx.body_bytes > max {
            return Err(failure(ctx, Fault::BodyTooLarge(max)));
        }
        let slow = !end_of_stream && ctx.limits.is_too_slow(ctx.body_bytes, ctx.sent_at.elapsed());
        if slow && ctx.speech != Speech::Http2 {
            return Err(failure(ctx, Fault::RequestTimeout));
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Box<Request>,
    ) -> Result<()> {
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            session.set_read_timeout(Some(UPGRADED_IDLE_MAX));
        }
        if let Some(lease) = &ctx.attempts.lease {
            lease.endpoint().answered();
        }
        mark_response(response, ctx.stamp())
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Box<Request>,
        mut error: Box<Error>,
    ) -> Box<Error> {
        self.metrics.upstream_errors.inc();
        ctx.attempts.reached |= *error.etype() != NODE_UNREACHABLE;
        ctx.attempts.refuse();
        // Nothing was sent: any method may go elsewhere, for as long as `next_endpoint` finds somewhere.
        error.set_retry(!session.as_ref().retry_buffer_truncated());
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Box<Request>,
        client_reused: bool,
    ) -> Box<Error> {
        let upstream = *error.esource() == ErrorSource::Upstream;
        let again = upstream && may_resend(session, &error, ctx);
        error.set_retry(again);
        if upstream {
            self.metrics.upstream_errors.inc();
            if !client_reused {
                ctx.attempts.reached = true;
                ctx.attempts.refuse();
            }
        }
        ctx.attempts.resent |= again;
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Box<Request>,
    ) -> FailToProxy {
        let begun = session.response_written().filter(|header| !is_interim(header.status));
        let error_code = match (begun, ctx.fault.take().or_else(|| fault_of(error))) {
            (Some(header), _) => header.status.as_u16(),
            (None, Some(fault)) => {
                session.set_keepalive(None);
                // A client that is gone needs no page.
                let _ = respond(session, ctx, &fault).await;
                fault.status()
            }
            (None, None) => 0,
        };
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Box<Request>) {
        let status = session.response_written().map_or(0, |header| header.status.as_u16());
        let sent = session.body_bytes_sent();
        self.metrics.in_flight.dec();
        self.metrics.answered(status);
        self.metrics.received_bytes.inc_by(ctx.body_bytes);
        self.metrics.sent_bytes.inc_by(sent as u64);
        let head = session.req_header();
        self.log.log(Entry {
            at: Timestamp::now(),
            // Nothing asks for them after this.
            request_id: mem::take(&mut ctx.id),
            method: head.method.clone(),
            host: logged_host(mem::take(&mut ctx.host)),
            path: logged_path(head.uri.path()),
            version: head.version,
            status,
            received_bytes: ctx.body_bytes,
            sent_bytes: sent,
            milliseconds: ctx.started.elapsed().as_millis() as u64,
            client: ctx.client,
            https: ctx.https,
            route: ctx.route.clone(),
            endpoint: ctx.attempts.lease.as_ref().map(|lease| lease.endpoint().line.place),
            error: error.map(|error| error.to_string()),
        });
        ctx.attempts.lease = None;
    }

    /// The access log has it.
    fn suppress_error_log(&self, _session: &Session, _ctx: &Box<Request>, _error: &Error) -> bool {
        true
    }

    /// Counted instead.
    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Box<Request>,
        _error: &Error,
        context: ProxyWarnLogContext,
    ) -> bool {
        if context == ProxyWarnLogContext::UpstreamRetry {
            self.metrics.upstream_retries.inc();
        }
        true
    }
}

impl Phases {
    /// Finds the route of a request, or what the edge answers by itself: what authorities and probes look for comes before
    /// everything else.
    fn find(&self, head: &RequestHeader, ctx: &mut Request) -> Found {
        let (table, path) = (self.table.load(), head.uri.path());
        let sought = Sought::by(&head.method, path).and_then(|sought| match sought {
            Sought::Challenge(token) => self.certificates.http_answer(&ctx.host, token),
            Sought::Proof => table.proof(&ctx.host).map(str::to_owned),
        });
        let way = table.find(&ctx.host, path);
        ctx.route = way.as_ref().map(|way| way.route().clone());
        match (sought, way) {
            (Some(text), _) => Found::Sought(OwnAnswer::says(text)),
            (None, Some(way)) => {
                self.elsewhere(head, ctx, &way).map_or(Found::Route, Found::Elsewhere)
            }
            (None, None) => Found::Route,
        }
    }

    /// What an authority or a probe looks for by HTTP/1, which gets it also where there is room for no other request: such
    /// an answer holds nothing but its connection.
    fn sought_in_clear(&self, head: &RequestHeader, ctx: &mut Request) -> Option<OwnAnswer> {
        if head.version > Version::HTTP_11 || malformed(head).is_some() {
            return None;
        }
        match self.find(head, ctx) {
            Found::Sought(own) => Some(own),
            Found::Elsewhere(_) | Found::Route => None,
        }
    }

    /// What a guarded request gets instead of going on: the page that asks for what is missing, or the answer to what one
    /// had asked for.
    async fn stop(
        &self,
        session: &mut Session,
        ctx: &Request,
        checks: &Checks,
        verdict: &Verdict,
    ) -> Result<Option<Page>> {
        if let Some(door) = Door::of(checks, verdict, session.req_header()) {
            let form = read_form(session).await?;
            let caller = caller(session.req_header(), ctx);
            return Ok(Some(match form {
                Ok(form) => self.gate.answer(door, checks, &caller, &form).await,
                Err(fault) => Page::problem(&fault, &ctx.id),
            }));
        }
        let caller = caller(session.req_header(), ctx);
        let missing = *verdict != Verdict::Pass;
        self.metrics.judged(verdict);
        Ok(missing.then(|| self.gate.page(checks, &caller, verdict)))
    }

    /// Where a client is sent instead: to HTTPS where its host has a certificate, then where its domain sends everybody.
    fn elsewhere(&self, head: &RequestHeader, ctx: &Request, way: &Way<'_>) -> Option<OwnAnswer> {
        let port = self.ports.secure(ctx.asked_port).filter(|_| !ctx.https);
        if let Some(port) =
            port.filter(|_| self.certificates.is_secure(&ctx.host, Timestamp::now()))
        {
            return Some(OwnAnswer::secure(&ctx.host, port, &head.uri));
        }
        match way {
            Way::Away(route, redirect) if !route.disabled => {
                Some(OwnAnswer::away(redirect, &head.uri))
            }
            _ => None,
        }
    }

    /// Why a request to an internal name may not be made. A caller that is not known yet is waited for.
    async fn trespass(&self, ctx: &Request) -> Option<Fault> {
        label_of(&ctx.host)?;
        let project = ctx.route.as_ref()?.project;
        let deadline = ctx.started + CALLER_WAIT_MAX;
        let mut changes = self.table.changes();
        loop {
            // Before looking, so that no change is missed.
            changes.mark_unchanged();
            let fault = self.table.load().inside.judge(ctx.server, ctx.client, project).err();
            let unknown = fault == Some(Fault::UnknownCaller);
            if !unknown || timeout_at(deadline, changes.changed()).await.is_err() {
                return fault;
            }
        }
    }

    /// Answers with a file where the route is a static site.
    async fn serve_static(&self, session: &mut Session, ctx: &mut Request) -> Result<bool> {
        let Some(Target::Static { digest, single_page }) = ctx.route.as_ref().map(|r| &r.target)
        else {
            return Ok(false);
        };
        leave_as_it_is(session);
        let served = match self.sites.get(digest) {
            Some(site) => site.serve(session, *single_page, ctx.stamp()).await?,
            None => Err(Fault::NoHealthyReplica),
        };
        if let Err(fault) = served {
            respond(session, ctx, &fault).await?;
        }
        Ok(true)
    }
}

/// What a request leads to.
enum Found {
    /// What authorities and probes look for.
    Sought(OwnAnswer),
    /// Another address.
    Elsewhere(OwnAnswer),
    /// An environment, or nothing that is known.
    Route,
}

/// What is checked before a request goes on; nothing between containers.
fn checks_of(ctx: &Request) -> Option<Arc<Checks>> {
    let checks = ctx.route.as_ref()?.checks.as_ref()?;
    label_of(&ctx.host).is_none().then(|| checks.clone())
}

fn caller<'a>(head: &'a RequestHeader, ctx: &'a Request) -> Caller<'a> {
    let Request { client, https, .. } = *ctx;
    Caller { head, host: &ctx.host, client, https, request_id: &ctx.id }
}

/// Whether a request that may have reached a replica may go to another: only once, only before any answer, and only
/// where doing it twice is doing it once.
fn may_resend(session: &Session, error: &Error, ctx: &Request) -> bool {
    session.req_header().method.is_idempotent()
        && session.response_written().is_none()
        && !session.as_ref().retry_buffer_truncated()
        && !ctx.attempts.resent
        && *error.etype() != ErrorType::ReadTimedout
}

/// Remembers the fault for [`Phases::fail_to_proxy`] and ends the attempts.
fn failure(ctx: &mut Request, fault: Fault) -> Box<Error> {
    let mut error = Error::new(ErrorType::HTTPStatus(fault.status()));
    error.set_retry(false);
    ctx.fault = Some(fault);
    error
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
