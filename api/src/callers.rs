//! `/api/projects/{p}/callers`: which other projects' apps may call a project's by their internal names.

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use temps_state::{Command, Name, Project, ProjectId, State as Agreed};
use utoipa::ToSchema;

use crate::auth::{MayRead, MayWrite};
use crate::consistency::Seen;
use crate::context::Shared;
use crate::deletion::Deletion;
use crate::pages::{Order, Page, Paging};
use crate::{ApiError, ids};

/// A project whose apps may call those of another one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Caller)]
pub struct CallerOut {
    /// The project's id.
    #[schema(value_type = String)]
    pub id: ProjectId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
}

impl From<&Project> for CallerOut {
    fn from(project: &Project) -> Self {
        Self { id: project.id, name: project.name.clone() }
    }
}

/// The projects that may call this one.
pub(crate) fn callers_of<'a>(
    state: &'a Agreed,
    project: &'a Project,
) -> impl Iterator<Item = &'a Project> {
    project.callers.iter().filter_map(|id| state.projects.get(id))
}

/// Lists the projects that may call this one, besides itself.
#[utoipa::path(
    get, path = "/api/projects/{p}/callers", tag = "projects",
    responses((status = 200, body = Page<CallerOut>))
)]
pub(crate) async fn list(
    MayRead(_): MayRead,
    Path(p): Path<String>,
    paging: Paging,
    Seen(state): Seen,
) -> Result<Out<Page<CallerOut>>, ApiError> {
    let callers = callers_of(&state, ids::project(&state, &p)?);
    Ok(Out(paging.page(callers, Order::Rising, |one| one.id.to_string(), CallerOut::from)))
}

/// Lets apps of another project call this one's by their internal names. Once is as good as twice.
#[utoipa::path(
    put, path = "/api/projects/{p}/callers/{caller}", tag = "projects",
    responses((status = 200, body = CallerOut))
)]
pub(crate) async fn allow(
    State(context): State<Shared>,
    MayWrite(by): MayWrite,
    Path((p, caller)): Path<(String, String)>,
) -> Result<Out<CallerOut>, ApiError> {
    let state = context.cluster.read_latest().await?;
    let caller = ids::project(&state, &caller)?;
    let command = Command::AllowCaller { id: ids::project(&state, &p)?.id, caller: caller.id };
    let proposal = by.asks(command);
    context.change(proposal).await?;
    Ok(Out(caller.into()))
}

/// Lets apps of another project call this one's no more.
#[utoipa::path(
    delete, path = "/api/projects/{p}/callers/{caller}", tag = "projects",
    responses((status = 204))
)]
pub(crate) async fn deny(
    State(context): State<Shared>,
    MayWrite(by): MayWrite,
    Path((p, caller)): Path<(String, String)>,
    deletion: Deletion,
) -> Result<StatusCode, ApiError> {
    let found = |state: &Agreed| {
        let (id, caller) = (ids::project(state, &p)?.id, ids::project(state, &caller)?.id);
        Ok((format!("projects/{id}"), Command::DenyCaller { id, caller }))
    };
    deletion.of(&context, &by, found).await
}
