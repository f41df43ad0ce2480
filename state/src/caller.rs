//! Which projects' apps may call those of another by their internal names. Those of the same project always may.

use crate::{Project, ProjectId, Rejected, Reply, State};

/// The most other projects that may call one.
pub const CALLERS_MAX: usize = 100;

impl Project {
    /// Whether apps of a project may call this one's by their internal names.
    pub fn admits(&self, caller: ProjectId) -> bool {
        caller == self.id || self.callers.contains(&caller)
    }
}

impl State {
    /// Lets apps of another project call those of a project. Who may already still may.
    pub(crate) fn allow_caller(
        &mut self,
        id: ProjectId,
        caller: ProjectId,
    ) -> Result<Reply, Rejected> {
        let mut project = self.project(id)?.clone();
        if self.project(caller)?.id == id {
            let why = "apps of one project may call each other anyway".into();
            return Err(Rejected::Invalid { what: "caller".into(), why });
        }
        project.callers.insert(caller);
        if project.callers.len() > CALLERS_MAX {
            return Err(Rejected::TooMany { noun: "callers".into(), max: CALLERS_MAX });
        }
        self.projects.insert(id, project);
        Ok(Reply::Done)
    }

    /// Lets apps of another project call those of a project no more.
    pub(crate) fn deny_caller(
        &mut self,
        id: ProjectId,
        caller: ProjectId,
    ) -> Result<Reply, Rejected> {
        let mut project = self.project(id)?.clone();
        if !project.callers.remove(&caller) {
            let name = self.projects.get(&caller).map(|caller| caller.name.to_string());
            return Err(Rejected::not_found("caller", name.unwrap_or_else(|| caller.to_string())));
        }
        self.projects.insert(id, project);
        Ok(Reply::Done)
    }

    /// Takes a project that is gone off the lists of those that it could call.
    pub(crate) fn forget_caller(&mut self, gone: ProjectId) {
        let all = self.projects.values();
        let called: Vec<ProjectId> = all
            .filter(|project| project.callers.contains(&gone))
            .map(|project| project.id)
            .collect();
        for id in called {
            if let Some(project) = self.projects.get_mut(&id) {
                project.callers.remove(&gone);
            }
        }
    }
}
