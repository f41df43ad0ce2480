//! Certificates: one name after the other that is to get one, from a real authority. It is work that one node does for
//! all, and whichever dies meanwhile, the authority's own books say whether it was done once.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::ask::outcome;
use crate::chaos::{ChaosError, Field};
use crate::history::{Done, Op, Sight, What};
use crate::wait::until;
use crate::{Authority, GroundError};

const PROJECT: &str = "certificates";
/// An authority that looks at once.
const QUICK: (&str, &str) = ("PEBBLE_VA_NOSLEEP", "1");
/// From one name to the next.
const BETWEEN_NAMES: Duration = Duration::from_secs(10);
/// How long names may wait for their certificates once all is well again: an attempt that failed for a third time in a
/// row waits four minutes for its turn.
const GIVEN_WITHIN: Duration = Duration::from_secs(300);

/// The authority, the names that it may hear of, and those that it will hear of for sure.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    authority: Arc<Authority>,
    asked: Arc<Mutex<Vec<String>>>,
    known: Arc<Mutex<Vec<String>>>,
}

impl Certificates {
    pub async fn prepare(field: &Field) -> Result<Self, ChaosError> {
        let failed = |why: String| ChaosError::Workload { workload: "certificates", why };
        if !field.need_project(PROJECT).await {
            return Err(failed("no node makes a project".into()));
        }
        let authority = Authority::start(&field.ground, &[QUICK]).await?;
        let mut settings = field.client.get(1, "/settings").await?.body;
        settings["acme"] = authority.settings();
        let answer = field.client.put(1, "/settings", &settings).await?;
        if !answer.is_success() {
            return Err(failed(format!("{} {}", answer.status, answer.body)));
        }
        let authority = field.authority.get_or_init(|| Arc::new(authority)).clone();
        Ok(Self { authority, asked: Default::default(), known: Default::default() })
    }

    pub fn begin(&self, field: &Field, workers: &mut JoinSet<()>) {
        workers.spawn(self.clone().work(field.clone()));
    }

    pub async fn read_all(&self, field: &Field) {
        let (asked, known) = (names(&self.asked).clone(), names(&self.known).clone());
        let all = async || {
            let given = self.authority.given(&known).await;
            given.is_ok_and(|given| known.iter().all(|name| given.contains_key(name)))
        };
        // What is missing then is the checker's affair.
        let _ = until("all names have certificates", GIVEN_WITHIN, all).await;
        let certificates = self.authority.certificates();
        let seen = match self.authority.given(&asked).await {
            Ok(given) => What::Sight(Sight::Authority { names: asked.len(), certificates, given }),
            Err(error) => What::Broken { err: format!("the authority's books: {error}") },
        };
        field.recorder.note(seen).await;
    }

    async fn work(self, field: Field) {
        let mut chance = field.chance("certificates");
        let mut hand = field.recorder.hand();
        for number in 1.. {
            if field.is_over() {
                return;
            }
            let name = format!("c{number}.example.test");
            if let Err(error) = self.lead(&field, &name).await {
                let err = format!("{name} cannot be made to lead to the nodes: {error}");
                return field.recorder.note(What::Broken { err }).await;
            }
            let node = usize::try_from(chance.within(1, field.nodes as u64)).unwrap_or(1);
            let op = Op::Certify { k: name.clone() };
            let body = json!({ "name": name, "project": PROJECT });
            let asked = async {
                let answer = field.ask(node, Method::POST, "/domains", Some(&body)).await;
                outcome(&op, answer, |_| Some(op.clone()))
            };
            names(&self.asked).push(name.clone());
            if matches!(hand.ask(node, op.clone(), asked).await, Done::Ok { .. }) {
                names(&self.known).push(name);
            }
            field.pause(BETWEEN_NAMES).await;
        }
    }

    /// Lets a name lead to all nodes, and all nodes look it up where it does: a machine that boots has forgotten that.
    async fn lead(&self, field: &Field, name: &str) -> Result<(), GroundError> {
        let addresses: Vec<Ipv4Addr> = field.ground.nodes().map(|node| node.address).collect();
        for node in field.ground.nodes() {
            node.look_names_up_at(field.ground.host())?;
        }
        self.authority.lead(name, &addresses).await
    }
}

fn names(some: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    some.lock().unwrap_or_else(PoisonError::into_inner)
}
