//! What follows a push: every branch that moved is deployed, and the pusher is shown how that goes.

use futures::StreamExt;
use temps_builder::UPLOAD_BYTES_MAX;
use temps_state::{DeploymentId, Phase, Project, Revision, Source};
use tokio_util::io::ReaderStream;

use super::pkt_line::{RefUpdate, progress};
use super::{Answer, Repository};
use crate::auth::Caller;
use crate::build_log::build_log;
use crate::context::Shared;
use crate::links::Links;
use crate::push::{Decision, Push, Pusher, Target, decide, environment_name};
use crate::{ApiError, source_copy};

/// The deployments of one push.
pub(super) struct Deploys {
    pub context: Shared,
    pub links: Links,
    pub caller: Caller,
    pub project: Project,
    pub repository: Repository,
    pub updates: Vec<RefUpdate>,
    /// The client, if it shows what it is told.
    pub show: Option<Answer>,
}

impl Deploys {
    /// Deploys every branch that is now where the push wanted it.
    pub async fn all(&mut self) {
        for update in std::mem::take(&mut self.updates) {
            let Some(branch) = update.name.strip_prefix("refs/heads/") else { continue };
            if let Err(error) = self.branch(branch, &update).await {
                tracing::warn!(project = %self.project.name, branch, %error, "push not deployed");
                self.say(&format!("error: {error}")).await;
            }
        }
    }

    async fn branch(&mut self, branch: &str, update: &RefUpdate) -> Result<(), ApiError> {
        let tip = self.repository.tip(&update.name).await;
        let deleted = update.new.bytes().all(|b| b == b'0');
        let tip = match tip {
            None if deleted => None,
            Some(tip) if tip == update.new => Some(self.repository.revision(branch, &tip).await?),
            // Refused, or moved on by a later push that deploys it.
            _ => return Ok(()),
        };
        let push = Push { branch: branch.into(), tip };
        let decision = decide(&self.context.cluster.state(), &self.project, push);
        match decision {
            Decision::Ignore(why) => self.say(&format!("not deployed: {why}")).await,
            Decision::Delete(id) => {
                self.pusher().delete(&self.context, id).await?;
                self.say(&format!("the preview environment of {branch} is deleted")).await;
            }
            Decision::Deploy { revision, target } => self.deploy(revision, target).await?,
        }
        Ok(())
    }

    fn pusher(&self) -> Pusher {
        let caller = self.caller.clone();
        Pusher { asks: Box::new(move |command| caller.asks(command)), request: None }
    }

    async fn deploy(&mut self, revision: Revision, target: Target) -> Result<(), ApiError> {
        let digest = self.upload(&revision.commit).await?;
        source_copy::keep(&self.context, &self.context.cluster.state(), &digest).await;
        let source = Source::Upload { digest };
        let (context, project) = (&self.context, self.project.id);
        let (id, number) = self.pusher().deploy(context, project, target, source, revision).await?;
        let environment = environment_name(&self.context.cluster.state(), id);
        self.say(&format!("deployment #{number} of {}, {environment}", self.project.name)).await;
        let stopping = self.context.git_tasks.stopping();
        let mut lines = Box::pin(build_log(&self.context, id, true).take_until(stopping));
        while self.is_watched()
            && let Some(line) = lines.next().await
        {
            self.say(&line.text).await;
        }
        if self.is_watched() {
            self.say_end(id).await;
        }
        Ok(())
    }

    /// Keeps a commit's files as an upload; only the project's folder of them.
    async fn upload(&self, commit: &str) -> Result<String, ApiError> {
        let directory = self.project.repository.as_ref().map(|r| r.directory.as_str());
        let mut child = self.repository.archive(commit, directory.unwrap_or_default())?;
        let failed = |source| ApiError::Git { doing: "archive a commit", source };
        let gone = || failed(std::io::ErrorKind::BrokenPipe.into());
        let output = ReaderStream::new(child.stdout.take().ok_or_else(gone)?);
        let upload = self.context.builder.uploads().receive(output, UPLOAD_BYTES_MAX).await?;
        match child.wait().await.map_err(failed)?.success() {
            true => Ok(upload.digest),
            false => Err(failed(std::io::Error::other("git archive failed"))),
        }
    }

    async fn say_end(&mut self, id: DeploymentId) {
        let state = self.context.cluster.state();
        let Some(deployment) = state.deployments.get(&id) else { return };
        match &deployment.phase {
            Phase::Failed { failure } => {
                self.say(&format!("failed: {}", failure.message)).await;
                self.say(&failure.hint).await;
                self.say("the version before keeps serving").await;
            }
            Phase::Cancelled { reason } => self.say(&format!("cancelled: {reason}")).await,
            phase if phase.is_under_way() => {
                let (number, project) = (deployment.number, &self.project.name);
                let watch = format!("watch it with: temps deployments show {number} -p {project}");
                self.say("this node stops, and the deployment goes on when it is back").await;
                self.say(&watch).await;
            }
            _ => {
                let environment = state.environments.get(&deployment.environment);
                let url = environment.map(|environment| self.links.app(&state, environment));
                self.say(&format!("live at {}", url.unwrap_or_default())).await;
            }
        }
    }

    /// Whether somebody still sees what is said.
    fn is_watched(&self) -> bool {
        self.show.as_ref().is_some_and(|show| !show.is_closed())
    }

    async fn say(&mut self, line: &str) {
        if let Some(show) = &self.show
            && show.send(Ok(progress(line).into())).await.is_err()
        {
            self.show = None;
        }
    }
}
