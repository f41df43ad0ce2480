//! Takes queries and gives answers, whatever they come by.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;
use temps_raft::Applied;
use tokio::sync::watch;

use crate::crowd::Whose;
use crate::question::Question;
use crate::resolv_conf::Upstreams;
use crate::tcp::Clerk;
use crate::upstream::{Errand, Transport};
use crate::verdict::{Verdict, failed, judge};

/// The resolver at one address.
pub(crate) struct Desk {
    /// The node's own address on the network of its containers.
    pub(crate) gateway: Ipv4Net,
    /// What names there are.
    pub(crate) applied: watch::Receiver<Arc<Applied>>,
    /// Who knows all others.
    pub(crate) upstreams: watch::Receiver<Upstreams>,
}

impl Desk {
    /// The answer to a query; what is none may get none.
    pub(crate) async fn reply(
        &self,
        query: &[u8],
        client: IpAddr,
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let question = match Question::read(query) {
            Ok(question) => question,
            Err(refusal) => return refusal,
        };
        let verdict = {
            let state = self.applied.borrow().clone();
            judge(&question, client, self.gateway, |label| state.hosts.contains_key(label))
        };
        let answer = match verdict {
            Verdict::Reply(_) => octets(verdict),
            Verdict::Forward => {
                let errand = Errand { question: &question, query, transport };
                let answer = errand.run(&self.others()).await;
                answer.or_else(|| octets(failed(&question)))
            }
        }?;
        Some(match transport {
            Transport::Udp => question.fit(answer),
            Transport::Tcp => answer,
        })
    }

    /// The answer while there is too much to do; containers ask elsewhere then.
    pub(crate) fn busy(&self, query: &[u8]) -> Option<Vec<u8>> {
        octets(failed(&Question::read(query).ok()?))
    }

    /// The machine's resolvers. One that is this desk would ask itself for ever.
    fn others(&self) -> Vec<SocketAddr> {
        let own = IpAddr::V4(self.gateway.addr());
        self.upstreams.borrow().iter().filter(|server| server.ip() != own).copied().collect()
    }
}

impl Clerk for Desk {
    /// Containers may keep theirs.
    const LIFE_MAX: Duration = Duration::MAX;

    fn crowd_of(&self, client: IpAddr) -> Whose {
        Whose { client, site: None }
    }

    async fn answer(&self, query: &[u8], client: IpAddr) -> Option<Vec<u8>> {
        self.reply(query, client, Transport::Tcp).await
    }
}

fn octets(verdict: Verdict) -> Option<Vec<u8>> {
    match verdict {
        Verdict::Reply(message) => message.to_vec().ok(),
        Verdict::Forward => None,
    }
}
