//! Reads what a source says of itself, and turns it into what to build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use temps_presets::{AppConfig, Dockerfile, Folder, IGNORED, Recipe, SourceTree, VARIABLES_ARG};

use crate::BuildError;
use crate::checkout::app_folder;

/// Where a Dockerfile that is not part of the context is put into it.
const DOCKERFILE: &str = ".temps.Dockerfile";
/// What stays out of every context.
const ALWAYS_IGNORED: &str = ".git\n**/.git";

/// What a source says of itself.
pub(crate) struct SourcePlan {
    pub(crate) config: AppConfig,
    pub(crate) recipe: Recipe,
}

/// What the engine is given to build an image.
#[derive(Debug)]
pub(crate) struct ImagePlan {
    pub(crate) context: PathBuf,
    pub(crate) ignore: String,
    /// The Dockerfile's path in the context, and its text.
    pub(crate) dockerfile: (String, String),
    pub(crate) target: Option<String>,
    pub(crate) args: BTreeMap<String, String>,
}

impl SourcePlan {
    pub(crate) fn read(root: &Path) -> Result<Self, BuildError> {
        let tree = Folder::new(root);
        let config = AppConfig::read(&tree)?;
        let recipe = temps_presets::detect(&tree, &config)?;
        Ok(Self { config, recipe })
    }

    /// How the image is built; `None` when there is nothing to build. `variables` is the digest of the variables.
    pub(crate) fn image(
        &self,
        root: &Path,
        variables: String,
    ) -> Result<Option<ImagePlan>, BuildError> {
        match &self.recipe.dockerfile {
            Dockerfile::None => Ok(None),
            Dockerfile::Written(text) => Ok(Some(ImagePlan {
                context: root.into(),
                ignore: ignore(root, None).unwrap_or_else(|| IGNORED.join("\n"))
                    + "\n"
                    + ALWAYS_IGNORED,
                dockerfile: (DOCKERFILE.into(), text.clone()),
                target: None,
                args: BTreeMap::from([(VARIABLES_ARG.to_owned(), variables)]),
            })),
            Dockerfile::InSource(path) => self.in_source(root, path).map(Some),
        }
    }

    fn in_source(&self, root: &Path, path: &str) -> Result<ImagePlan, BuildError> {
        let missing = || BuildError::DockerfileMissing { path: path.into() };
        let text = Folder::new(root).read(path).ok_or_else(missing)?;
        let build = &self.config.build;
        let context = build.context.as_ref().map(|path| path.to_string()).unwrap_or_default();
        let inner = Path::new(path).strip_prefix(&context).ok();
        let inside = inner.map_or_else(|| DOCKERFILE.into(), |p| p.display().to_string());
        let context = app_folder(root, &context)?;
        let ignore = ignore(root, Some(path)).or_else(|| ignore(&context, None));
        Ok(ImagePlan {
            ignore: ignore.unwrap_or_default() + "\n" + ALWAYS_IGNORED,
            context,
            dockerfile: (inside, text),
            target: build.target.clone(),
            args: build.args.clone(),
        })
    }
}

/// The rules of what stays out: those of this very Dockerfile when it has some, else the context's.
fn ignore(folder: &Path, dockerfile: Option<&str>) -> Option<String> {
    let name = dockerfile.map(|path| format!("{path}.dockerignore"));
    Folder::new(folder).read(name.as_deref().unwrap_or(".dockerignore"))
}
