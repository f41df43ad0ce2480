//! What this node sees of a domain: where its name leads, and whether the cluster answers there.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use temps_state::{Domain, DomainName};

/// How long a name may take to be looked up.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// How long one address may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 16;
/// The longest answer that is read, in octets.
const ANSWER_BYTES_MAX: usize = 1_024;
/// Where an edge shows that a host leads to its cluster.
pub(crate) const PROOF_PATH: &str = "/.well-known/temps-domain";

/// Looks names up in the DNS.
pub trait Names: Send + Sync + 'static {
    /// The addresses that a name leads to; none where it does not exist.
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
    /// The texts that are kept at a name.
    fn texts(&self, name: String) -> BoxFuture<'static, io::Result<Vec<String>>>;
}

/// What a node sees of a domain now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// Where the name leads.
    pub addresses: Vec<SeenAddress>,
    /// The texts that are kept where a proof belongs.
    pub texts: Vec<String>,
    /// Why the name could not be looked up.
    pub error: Option<String>,
    /// Whether what is seen shows that the name is the cluster's.
    pub proven: bool,
}

/// An address that a name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenAddress {
    /// The address.
    pub address: IpAddr,
    /// Whether an edge of this cluster answers there.
    pub leads_here: bool,
    /// Why not.
    pub why: Option<String>,
}

/// Looks at domains from this node.
#[derive(Clone)]
pub struct DomainProbe {
    names: Arc<dyn Names>,
    /// The port that the world finds edges at.
    port: u16,
    client: reqwest::Client,
}

impl DomainProbe {
    /// One that finds edges at a port, which is 80 for all the world.
    pub fn new(names: Arc<dyn Names>, port: u16) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(ANSWER_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { names, port, client })
    }

    /// What is seen of a domain. A wildcard leads nowhere by itself: only its text is looked at.
    pub async fn look(&self, domain: &Domain) -> Sight {
        let texts = in_time(self.names.texts(domain.proof_name()));
        let addresses = async {
            if domain.name.is_wildcard() { Ok(vec![]) } else { self.addresses(&domain.name).await }
        };
        let (texts, addresses) = tokio::join!(texts, addresses);
        let error = addresses.as_ref().err().map(ToString::to_string);
        let looks = addresses.unwrap_or_default().into_iter();
        let looks = looks.map(|address| self.look_at(address, domain));
        let addresses = join_all(looks).await;
        let leads_here = addresses.iter().any(|seen| seen.leads_here);
        // A text proves what leads nowhere yet; what leads here needs none.
        let unread = texts.as_ref().err().filter(|_| !leads_here).map(ToString::to_string);
        let (error, texts) = (error.or(unread), texts.unwrap_or_default());
        let proven = domain.is_proven(leads_here, &texts);
        Sight { addresses, texts, error, proven }
    }

    /// What it finds in the DNS.
    pub(crate) fn names(&self) -> &dyn Names {
        &*self.names
    }

    /// The addresses that a name leads to, as far as they can be looked up.
    pub(crate) async fn found(&self, name: &DomainName) -> Vec<IpAddr> {
        self.addresses(name).await.unwrap_or_default()
    }

    /// Whether an edge of this cluster, which shows this proof, answers where a name leads.
    pub(crate) async fn leads_here(&self, name: &DomainName, proof: &str) -> bool {
        let asked =
            self.found(name).await.into_iter().map(|address| self.ask(address, name, proof));
        join_all(asked).await.iter().any(Result::is_ok)
    }

    async fn addresses(&self, name: &DomainName) -> io::Result<Vec<IpAddr>> {
        let mut found = in_time(self.names.addresses(name.as_str().into())).await?;
        found.truncate(ADDRESSES_MAX);
        Ok(found)
    }

    async fn look_at(&self, address: IpAddr, domain: &Domain) -> SeenAddress {
        let why = self.ask(address, &domain.name, &domain.proof).await.err();
        SeenAddress { address, leads_here: why.is_none(), why }
    }

    async fn ask(&self, address: IpAddr, name: &DomainName, proof: &str) -> Result<(), String> {
        let at = SocketAddr::new(address, self.port);
        let asked = self.client.get(format!("http://{at}{PROOF_PATH}"));
        let asked = asked.header(http::header::HOST, name.as_str()).send().await;
        let mut answer = asked.map_err(|error| silence(at, &error))?;
        let mut said = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            said.extend_from_slice(&chunk);
            if said.len() > ANSWER_BYTES_MAX {
                break;
            }
        }
        match said == proof.as_bytes() {
            true => Ok(()),
            false => Err(format!("{at} is not of this cluster: it answers {}", answer.status())),
        }
    }
}

fn silence(at: SocketAddr, error: &reqwest::Error) -> String {
    match error {
        error if error.is_timeout() => format!("{at} does not answer within {ANSWER_MAX:?}"),
        error if error.is_connect() => format!("nothing listens at {at}"),
        _ => format!("{at} does not answer as an edge does"),
    }
}

/// A look that takes no longer than it may.
pub(crate) async fn in_time<T>(looked_up: BoxFuture<'static, io::Result<T>>) -> io::Result<T> {
    let looked_up = tokio::time::timeout(LOOKUP_MAX, looked_up).await;
    looked_up
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no resolver answers")))
}
