//! Prints what is detected in a folder: the reasons on stderr, the written Dockerfile on stdout.

use temps_presets::{AppConfig, Dockerfile, Folder, detect};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: detect FOLDER")?;
    let tree = Folder::new(folder);
    let config = AppConfig::read(&tree)?;
    let recipe = detect(&tree, &config)?;
    eprintln!("{}: {}", recipe.preset, recipe.because());
    for warning in &recipe.warnings {
        eprintln!("warning: {warning}");
    }
    eprintln!("{:?}, port {}", recipe.output, config.run_config(&recipe, None).port);
    match recipe.dockerfile {
        Dockerfile::Written(text) => print!("{text}"),
        other => eprintln!("{other:?}"),
    }
    Ok(())
}
