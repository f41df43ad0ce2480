//! Checks a source against what is expected of it, and written text against the files of `tests/golden`.

use std::path::PathBuf;

use temps_presets::{AppConfig, Dockerfile, FileMap, Output, Recipe, detect};

/// A tree of these files.
pub fn tree(files: &[(&str, &str)]) -> FileMap {
    files.iter().copied().collect()
}

/// The recipe of a tree, by its own configuration.
pub fn recipe(files: &[(&str, &str)]) -> Recipe {
    let tree = tree(files);
    let config = AppConfig::read(&tree).expect("the configuration is right");
    detect(&tree, &config).expect("a preset fits")
}

/// Checks preset and reason, and the written Dockerfile against `tests/golden/<name>.Dockerfile`.
pub fn check(name: &str, files: &[(&str, &str)], preset: &str, because: &str) -> Recipe {
    let recipe = recipe(files);
    assert_eq!(recipe.preset, preset, "{name}: {}", recipe.because());
    assert_eq!(recipe.because(), because, "{name}");
    let Dockerfile::Written(text) = &recipe.dockerfile else {
        panic!("{name}: nothing was written")
    };
    same_as_golden(&format!("{name}.Dockerfile"), text);
    recipe
}

/// Compares with a golden file; with UPDATE_GOLDEN set, writes it instead.
pub fn same_as_golden(file: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("golden files can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{file} differs; UPDATE_GOLDEN=1 accepts this:\n{text}");
}

/// A site that the edge serves.
pub fn site(single_page: bool) -> Output {
    Output::Static { directory: "/site".into(), single_page }
}
