//! A site built by Parcel, webpack, Rsbuild or another bundler.
//!
//! Recognised by the bundler and a `build` script, where nothing is started. Writes a build whose `dist`, or `build` or
//! `public` where the script names that, the edge serves.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::node::Workshop;
use crate::source::Source;

const BUNDLERS: &[&str] = &[
    "parcel",
    "webpack",
    "@rsbuild/core",
    "@rspack/core",
    "rollup",
    "esbuild",
    "preact-cli",
    "snowpack",
    "hexo",
];

pub(crate) const PRESET: Preset = Preset {
    name: "bundler",
    looks_for: "package.json with a bundler and a build script",
    recognise: |source| {
        let package = source.package()?.filter(|package| {
            let start = package.script("start").unwrap_or_default();
            let develops = start.is_empty()
                || BUNDLERS.iter().any(|name| start.contains(name))
                || start.contains("dev");
            package.script("build").is_some()
                && develops
                && package.main().is_none_or(|main| source.tree.read(main).is_none())
        });
        Ok(package.and_then(|package| package.because(package.first_of(BUNDLERS)?)))
    },
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let workshop = Workshop::new(source, PRESET.name)?;
    let settings = source.text_of(&[
        "webpack.config.js",
        "webpack.prod.js",
        "rollup.config.js",
        "rollup.config.mjs",
    ]);
    let told = format!("{} {settings}", workshop.package.script("build").unwrap_or_default());
    let directory =
        ["dist", "build", "public"].into_iter().find(|name| told.contains(name)).unwrap_or("dist");
    Ok(workshop.site("npm run build", directory, true))
}
