//! `temps deploy`: a folder, a Git repository or an image becomes the version that is served.

use std::path::{Path, PathBuf};

use indicatif::HumanBytes;
use serde_json::{Value, json};
use temps_api::SourceIn;
use temps_builder::UPLOAD_BYTES_MAX;
use temps_state::PRODUCTION;

use super::context::{Context, TargetArgs};
use super::detection;
use crate::client::{Client, path};
use crate::error::CliError;
use crate::folder;
use crate::follow::follow;
use crate::output::Output;
use crate::pack::{Packed, pack};
use crate::revision;
use crate::upload::upload;
use crate::view::{self, Deployment};

#[derive(clap::Args)]
#[command(
    after_help = "The project is created when there is none of that name. Files that .gitignore, \
.dockerignore or .tempsignore name are not uploaded.\n\
Git URLs: https://host/path, ssh://git@host/path, git@host:path, file:///path.\nExit code 3: the deployment failed, and the old version is kept."
)]
pub struct Args {
    /// The folder to deploy.
    #[arg(default_value = ".", value_name = "PATH")]
    folder: PathBuf,
    #[command(flatten)]
    target: TargetArgs,
    /// Deploy a Git repository instead of a folder: https, ssh or file URL; the project's own when none is given.
    #[arg(long, value_name = "URL", conflicts_with_all = ["image", "folder"])]
    git: Option<Option<String>>,
    /// The branch of the repository; the project's, or the repository's default, when not given.
    #[arg(long, requires = "git", value_name = "NAME")]
    branch: Option<String>,
    /// The commit of the repository; the branch's newest when not given.
    #[arg(long, requires = "git", value_name = "HASH")]
    commit: Option<String>,
    /// The folder of the app inside the repository.
    #[arg(long, requires = "git", value_name = "PATH")]
    directory: Option<String>,
    /// Deploy a ready image instead of a folder.
    #[arg(long, value_name = "REFERENCE", conflicts_with = "folder")]
    image: Option<String>,
    /// Return once the deployment is asked for, without waiting for it.
    #[arg(long)]
    no_wait: bool,
    /// Show what would be built and why, and build nothing.
    #[arg(long, conflicts_with_all = ["image", "no_wait"])]
    dry_run: bool,
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let folder = match args.git.is_some() || args.image.is_some() {
        true => None,
        false => Some(folder::existing(&args.folder)?),
    };
    check_source(&args)?;
    if args.dry_run {
        return dry_run(context, &args, folder).await;
    }
    let project = project_name(&args, folder.as_deref())?;
    let client = context.client()?;
    let packed = pack_folder(folder.clone()).await?;
    let revision = folder.as_deref().and_then(revision::read);
    ensure_project(&client, &context.output, &project, &args).await?;
    if let Some(folder) = &folder {
        remember(&context.output, folder, &project);
    }
    let source = source(&client, &context.output, &args, packed).await?;
    let body = json!({
        "environment": args.target.environment, "source": source, "revision": revision,
    });
    let created = client.post(&path(&["projects", &project, "deployments"]), &body).await?.value;
    let deployment: Deployment = view::read(&created)?;
    let Deployment { number, environment_name, .. } = deployment;
    context.output.note(&format!("Deployment {number} of {project}/{environment_name}"));
    let last = match args.no_wait {
        true => created,
        false => follow(context.output, &client, &created).await?,
    };
    let url = view::read::<Deployment>(&last)?.url;
    context.output.answer(&last, || url)
}

/// Sends the source, and has a node look at it as a build would.
async fn dry_run(context: &Context, args: &Args, folder: Option<PathBuf>) -> Result<(), CliError> {
    let client = context.client()?;
    let project = match args.git {
        Some(_) => repository_of(&client, args).await?,
        None => None,
    };
    let packed = pack_folder(folder).await?;
    let source = source(&client, &context.output, args, packed).await?;
    let body = json!({"project": project, "source": source});
    let detection = client.post(&path(&["detections"]), &body).await?.value;
    context.output.try_answer(&detection, || detection::shown(&detection))
}

/// The project whose repository and deploy key are used, where there is one already.
async fn repository_of(client: &Client, args: &Args) -> Result<Option<String>, CliError> {
    let project = project_name(args, None)?;
    match client.get(&path(&["projects", &project])).await {
        Ok(_) => Ok(Some(project)),
        Err(error) if error.is_not_found() && args.git != Some(None) => Ok(None),
        Err(error) => Err(error),
    }
}

fn project_name(args: &Args, folder: Option<&Path>) -> Result<String, CliError> {
    if let Some(name) = args.target.project.project.as_ref().filter(|name| !name.is_empty()) {
        return Ok(name.clone());
    }
    let suggested = match (&args.git, &args.image, folder) {
        (Some(None), _, _) => return args.target.project.name(),
        (Some(Some(url)), _, _) => folder::name_of_url(url),
        (_, Some(image), _) => folder::name_of_image(image),
        (_, _, Some(folder)) => match folder::linked(folder)? {
            Some(name) => return Ok(name),
            None => folder::suggested_name(folder),
        },
        _ => None,
    };
    suggested.map(String::from).ok_or_else(|| {
        CliError::usage(
            "the project needs a name",
            "none can be made from what is deployed",
            "the same command with --project NAME",
        )
    })
}

/// Creates the project when there is none, and says so.
async fn ensure_project(
    client: &Client,
    output: &Output,
    project: &str,
    args: &Args,
) -> Result<(), CliError> {
    match client.get(&path(&["projects", project])).await {
        Ok(_) => return Ok(()),
        // A project that is not there has no repository to deploy.
        Err(error) if error.is_not_found() && args.git != Some(None) => {}
        Err(error) => return Err(error),
    }
    if args.target.environment != PRODUCTION {
        return Err(no_environment(project, &args.target.environment));
    }
    let mut body = json!({"name": project});
    // Without a branch it is not known which one pushes shall deploy, so that the project has no repository yet.
    if let (Some(Some(url)), Some(branch)) = (&args.git, &args.branch) {
        let directory = args.directory.as_deref().unwrap_or_default();
        body["repository"] = json!({"url": url, "branch": branch, "directory": directory});
    }
    client.post(&path(&["projects"]), &body).await?;
    output.note(&format!("Created project {project}."));
    Ok(())
}

fn no_environment(project: &str, environment: &str) -> CliError {
    CliError::blocked(
        format!("there is no project {project} with an environment {environment}"),
        format!("the project is not there yet, and a new one has {PRODUCTION} only"),
        format!(
            "temps projects create {project}, then temps environments create BRANCH -p {project}"
        ),
    )
}

/// Refuses what the API would refuse, before a project is made for it.
fn check_source(args: &Args) -> Result<(), CliError> {
    let Some(source) = remote_source(args) else { return Ok(()) };
    let checked = serde_json::from_value::<SourceIn>(source).map(|source| source.check());
    let refused = |what: String, next: Option<String>| {
        let next = next.unwrap_or_else(|| "temps deploy --help".into());
        CliError::usage("nothing can be deployed from that", what, next)
    };
    match checked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(refused(error.to_string(), error.hint())),
        Err(error) => Err(refused(error.to_string(), None)),
    }
}

/// Links the folder to the project, so that the other verbs know which one is meant.
fn remember(output: &Output, folder: &Path, project: &str) {
    if folder::linked(folder).is_ok_and(|linked| linked.is_some()) {
        return;
    }
    match folder::link(folder, project) {
        Ok(()) => output.note(&format!("Linked this folder to {project} in .temps/project.json.")),
        Err(error) => output.warn(&format!("{error}: name the project with --project next time")),
    }
}

/// Packs a folder, if there is one, before anything is changed: what cannot be packed leaves no trace.
async fn pack_folder(folder: Option<PathBuf>) -> Result<Option<Packed>, CliError> {
    let packing = tokio::task::spawn_blocking(move || folder.as_deref().map(pack).transpose());
    let packed = packing.await.expect("packing returns its errors, and nobody aborts it")?;
    packed.as_ref().map_or(Ok(()), |packed| check_size(packed.bytes))?;
    Ok(packed)
}

async fn source(
    client: &Client,
    output: &Output,
    args: &Args,
    packed: Option<Packed>,
) -> Result<Value, CliError> {
    if let Some(packed) = packed {
        let digest = send(client, output, packed).await?;
        return Ok(json!({"type": "upload", "digest": digest}));
    }
    Ok(remote_source(args).unwrap_or_default())
}

/// What is deployed from somewhere else than a folder, as REST takes it.
fn remote_source(args: &Args) -> Option<Value> {
    let Args { image, git, branch, commit, directory, .. } = args;
    match (image, git) {
        (Some(reference), _) => Some(json!({"type": "image", "reference": reference})),
        (None, Some(url)) => Some(json!({
            "type": "git", "url": url, "branch": branch, "commit": commit, "directory": directory,
        })),
        (None, None) => None,
    }
}

async fn send(client: &Client, output: &Output, packed: Packed) -> Result<String, CliError> {
    let Packed { file, bytes, files } = packed;
    let again = || {
        let mut file = file.try_clone()?;
        std::io::Seek::rewind(&mut file)?;
        Ok(file)
    };
    let open = || again().map_err(CliError::file("read", std::env::temp_dir()));
    let value = upload(client, output, &path(&["uploads"]), bytes, open).await?.value;
    let plural = if files == 1 { "" } else { "s" };
    output.note(&format!("Uploaded {files} file{plural}, {}.", HumanBytes(bytes)));
    match value["digest"].as_str() {
        Some(digest) => Ok(digest.into()),
        None => Err(CliError::Unreadable {
            url: client.url().into(),
            why: "the answer to the upload has no digest".into(),
        }),
    }
}

fn check_size(bytes: u64) -> Result<(), CliError> {
    if bytes <= UPLOAD_BYTES_MAX {
        return Ok(());
    }
    Err(CliError::blocked(
        "the folder is too large to deploy",
        format!(
            "packed it is {}, and a node takes {}",
            HumanBytes(bytes),
            HumanBytes(UPLOAD_BYTES_MAX)
        ),
        "name what the app does not need in a .tempsignore file",
    ))
}
