//! The configuration file of a source, and files that presets look at: read or refused, with the reason.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use temps_presets::{AppConfig, FileMap, detect};

/// The files that the pieces of an input become.
const FILES: &[&str] = &[
    "temps.json",
    ".temps.yaml",
    "package.json",
    "Dockerfile",
    "pyproject.toml",
    "requirements.txt",
    "Procfile",
    "go.mod",
    "Cargo.toml",
    "composer.json",
];

fuzz_target!(|octets: &[u8]| {
    let Some((first, rest)) = octets.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    // The first piece is one of the two configuration files; the others follow it in order.
    let named = FILES[usize::from(*first) % 2..].iter().copied();
    let files: BTreeMap<_, _> = named.zip(text.split("\n====\n").map(str::to_owned)).collect();
    let tree = FileMap::from_iter(files);
    match AppConfig::read(&tree) {
        Ok(config) => {
            if let Ok(recipe) = detect(&tree, &config) {
                let _ = config.run_config(&recipe, None);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
