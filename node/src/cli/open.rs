//! `temps open`: the app in a browser, or its address where there is none.

use std::process::{Command, Stdio};

use super::context::{Context, TargetArgs};
use crate::error::CliError;
use crate::view::{self, Environment};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let value = context.reader()?.get(&args.target.path(&[])?).await?.value;
    let Environment { url, .. } = view::read(&value)?;
    if !context.output.json && context.output.terminal {
        browse(&url);
    }
    context.output.answer(&value, || url)
}

/// Starts a browser where there is a screen; the address is printed either way.
fn browse(url: &str) {
    let screen = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if screen && (url.starts_with("http://") || url.starts_with("https://")) {
        // Without xdg-open the printed address is all there is.
        let _ =
            Command::new("xdg-open").arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    }
}
