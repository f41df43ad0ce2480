//! `temps scale`: how many replicas an environment runs.

use serde_json::json;

use super::context::{Context, TargetArgs};
use crate::error::CliError;

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
    context.output.answer(&value, || {
        let plural = if args.replicas == 1 { "" } else { "s" };
        format!(
            "{label} shall run {} replica{plural}. Watch: temps environments list",
            args.replicas
        )
    })
}
