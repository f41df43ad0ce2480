//! Pingora with nothing around it, to compare the edge with: `bare UPSTREAM HTTP HTTPS CHAIN KEY`, as `bench/edge.py`
//! starts it.

#![expect(clippy::expect_used, reason = "what cannot be measured should end at once")]

use std::net::SocketAddr;

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

struct Bare(SocketAddr);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.0, false, String::new())))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [upstream, http, https, chain, key] = &arguments[..] else {
        panic!("bare UPSTREAM HTTP HTTPS CHAIN KEY");
    };
    let conf = ServerConf { threads: 2, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let bare = Bare(upstream.parse().expect("UPSTREAM is no address"));
    let mut service = http_proxy_service(&server.configuration, bare);
    service.add_tcp(http);
    let mut tls = TlsSettings::intermediate(chain, key).expect("a chain and its key");
    tls.enable_h2();
    service.add_tls_with_settings(https, None, tls);
    server.add_service(service);
    server.run_forever();
}
