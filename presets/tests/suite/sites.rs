//! Sites that the edge serves without a container.

use crate::common::{check, recipe, site};
use temps_presets::{Dockerfile, Output};

const LOCK: (&str, &str) = ("package-lock.json", "{}");

fn built(name: &str, preset: &str, dependency: &str, script: &str, single_page: bool) {
    let package = format!(
        r#"{{"scripts": {{"build": "{script}"}}, "devDependencies": {{"{dependency}": "1"}}}}"#
    );
    let because = format!("package.json has the dependency `{dependency}`; package-lock.json: npm");
    let recipe = check(name, &[("package.json", &package), LOCK], preset, &because);
    assert_eq!((recipe.output, recipe.port), (site(single_page), None));
}

#[test]
fn builders_of_static_sites() {
    built("vite", "vite", "vite", "vite build", true);
    built("create-react-app", "create-react-app", "react-scripts", "react-scripts build", true);
    built("vue-cli", "vue-cli", "@vue/cli-service", "vue-cli-service build", true);
    built("docusaurus", "docusaurus", "@docusaurus/core", "docusaurus build", false);
    built("gatsby", "gatsby", "gatsby", "gatsby build", false);
    built("eleventy", "eleventy", "@11ty/eleventy", "eleventy", false);
    built("astro", "astro", "astro", "astro build", false);
    built("bundler", "bundler", "parcel", "parcel build index.html", true);
}

#[test]
fn the_output_folder_is_configured_or_read() {
    let package = r#"{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}"#;
    let config = ("vite.config.ts", "export default { build: { outDir: './out/web' } }");
    let Dockerfile::Written(text) = recipe(&[("package.json", package), config]).dockerfile else {
        panic!()
    };
    assert!(text.contains("COPY --from=build /app/out/web /site"), "{text}");
    let configured = (".temps.yaml", "build:\n  outputDir: www\nsinglePage: false\n");
    let recipe = recipe(&[("package.json", package), config, configured]);
    let Dockerfile::Written(text) = recipe.dockerfile else { panic!() };
    assert!(text.contains("COPY --from=build /app/www /site"), "{text}");
    assert_eq!(recipe.output, site(false));
}

#[test]
fn angular_by_its_builder() {
    let package = r#"{"scripts": {"build": "ng build"}, "dependencies": {"@angular/core": "19"}}"#;
    let workspace = |build: &str| {
        format!(r#"{{"projects": {{"shop": {{"architect": {{"build": {build}}}}}}}}}"#)
    };
    let because = "package.json has the dependency `@angular/core`; no lock file: npm";
    let new = workspace(
        r#"{"builder": "@angular-devkit/build-angular:application", "options": {"outputPath": "dist/shop"}}"#,
    );
    check("angular", &[("package.json", package), ("angular.json", &new)], "angular", because);
    let old = workspace(
        r#"{"builder": "@angular-devkit/build-angular:browser", "options": {"outputPath": "dist"}}"#,
    );
    let Dockerfile::Written(text) =
        recipe(&[("package.json", package), ("angular.json", &old)]).dockerfile
    else {
        panic!()
    };
    assert!(text.contains("/app/dist /site"), "{text}");
    let server = workspace(
        r#"{"builder": "@angular/build:application", "options": {"ssr": {"entry": "src/server.ts"}}}"#,
    );
    let recipe = check(
        "angular-server",
        &[("package.json", package), ("angular.json", &server)],
        "angular",
        because,
    );
    assert_eq!(recipe.output, Output::Image);
}

#[test]
fn astro_with_a_server() {
    let package = r#"{"scripts": {"build": "astro build"}, "dependencies": {"astro": "5", "@astrojs/node": "9"}}"#;
    let config = (
        "astro.config.mjs",
        "import node from '@astrojs/node'; export default { adapter: node({ mode: 'standalone' }) }",
    );
    let because = "package.json has the dependency `astro`; package-lock.json: npm; astro.config uses @astrojs/node";
    check("astro-server", &[("package.json", package), LOCK, config], "astro", because);
}

#[test]
fn folders_of_files() {
    for (files, directory) in [
        (vec![("index.html", "")], ""),
        (vec![("public/index.html", ""), ("README.md", "")], "public"),
        (
            vec![("index.html", ""), ("package.json", r#"{"devDependencies": {"prettier": "3"}}"#)],
            "",
        ),
        (
            vec![
                ("index.html", ""),
                ("package.json", r#"{"name": "site", "main": "index.js"}"#),
                ("index.js", ""),
            ],
            "",
        ),
        (vec![("index.html", ""), ("app.js", "document.title = 'x'")], ""),
        (
            vec![
                ("my/site/a.html", ""),
                ("temps.json", r#"{"preset": "static", "build": {"outputDirectory": "my/site"}}"#),
            ],
            "my/site",
        ),
    ] {
        let recipe = recipe(&files);
        assert_eq!((recipe.preset, &recipe.dockerfile), ("static", &Dockerfile::None), "{files:?}");
        let expected = Output::Static { directory: directory.into(), single_page: false };
        assert_eq!(recipe.output, expected, "{files:?}");
    }
}
