//! `temps scale`: how many replicas an environment runs.

use serde_json::json;

use super::context::{Context, TargetArgs};
use super::environments::lacking;
use crate::error::CliError;
use crate::view;

#[derive(clap::Args)]
pub struct Args {
    /// How many replicas.
    replicas: u32,
    #[command(flatten)]
    target: TargetArgs,
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let path = args.target.path(&["scale"])?;
    let body = json!({"replicas": args.replicas});
    let value = context.client()?.put(&path, &body, None).await?.value;
    let label = args.target.label()?;
    context.output.try_answer(&value, || {
        let plural = if args.replicas == 1 { "" } else { "s" };
        let lacking = lacking(&view::read(&value)?).unwrap_or_default();
        Ok(format!(
            "{label} shall run {} replica{plural}. Watch: temps environments list{lacking}",
            args.replicas
        ))
    })
}
