//! Servers on Node.js, and who installs what.

use crate::common::{check, recipe, site};
use temps_presets::{Dockerfile, Output};

const EXPRESS: &str =
    r#"{"scripts": {"start": "node server.js"}, "dependencies": {"express": "^5"}}"#;
const LISTENS: &str = "const port = process.env.PORT || 4000;\napp.listen(port);";

#[test]
fn a_node_server_with_a_lock_file() {
    let files = [("package.json", EXPRESS), ("package-lock.json", "{}"), ("server.js", LISTENS)];
    let because = "package.json has the script `start`; package-lock.json: npm";
    let recipe = check("node", &files, "node", because);
    assert_eq!((recipe.port, recipe.output), (Some(3000), Output::Image));
}

#[test]
fn pnpm_by_its_lock_file_with_a_build() {
    let package = r#"{"scripts": {"start": "node dist/main.js", "build": "tsc"}, "engines": {"node": "20.x"},
        "dependencies": {"fastify": "5"}, "devDependencies": {"typescript": "5"}}"#;
    let files = [
        ("package.json", package),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n"),
        ("tsconfig.json", "{}"),
        ("src/main.ts", "app.listen({ port: 8081, host: '0.0.0.0' })"),
    ];
    let because = "package.json has the script `start`; pnpm-lock.yaml: pnpm; src/main.ts listens on port 8081";
    assert_eq!(check("node-pnpm", &files, "node", because).port, Some(8081));
}

#[test]
fn yarn_classic_by_its_lock_file() {
    let files = [
        ("package.json", EXPRESS),
        ("yarn.lock", "# yarn lockfile v1\n"),
        ("server.js", "app.listen(5000)"),
    ];
    let because =
        "package.json has the script `start`; yarn.lock: yarn; server.js listens on port 5000";
    check("node-yarn", &files, "node", because);
}

#[test]
fn yarn_berry_by_package_manager() {
    let package = r#"{"packageManager": "yarn@4.5.0+sha224.abc", "scripts": {"start": "node server.js"}, "dependencies": {"koa": "2"}}"#;
    let files = [
        ("package.json", package),
        ("yarn.lock", "__metadata:\n  version: 8\n"),
        ("server.js", LISTENS),
    ];
    check("node-berry", &files, "node", "package.json has the script `start`; yarn.lock: yarn");
}

#[test]
fn bun_by_its_lock_file() {
    let package = r#"{"module": "index.ts", "dependencies": {"hono": "4"}}"#;
    let files = [
        ("package.json", package),
        ("bun.lock", "{}"),
        ("index.ts", "export default { port: 3001, fetch: app.fetch }"),
    ];
    let because =
        "index.ts is the entry (by its name); bun.lock: bun; index.ts listens on port 3001";
    check("node-bun", &files, "node", because);
}

#[test]
fn a_server_without_lock_file_and_start_script() {
    let files = [
        ("package.json", r#"{"type": "module", "main": "app"}"#),
        ("app.js", "http.createServer(f).listen(8000, '127.0.0.1')"),
    ];
    let because = "app.js is the entry (main); no lock file: npm; app.js listens on port 8000";
    let recipe = check("node-bare", &files, "node", because);
    assert!(
        recipe.warnings[0].contains("app.js seems to listen on 127.0.0.1 only"),
        "{:?}",
        recipe.warnings
    );
}

#[test]
fn a_server_without_package_json() {
    let files = [("server.js", "require('http').createServer(f).listen(process.env.PORT)")];
    check("node-lone", &files, "node", "server.js is a server");
}

#[test]
fn workspaces_hooks_and_compiled_modules() {
    let package = r#"{"workspaces": ["packages/*"], "scripts": {"start": "npm run serve -w api", "postinstall": "prisma generate"},
        "dependencies": {"better-sqlite3": "11", "@prisma/client": "6"}}"#;
    let files = [("package.json", package), ("package-lock.json", "{}"), (".nvmrc", "lts/iron\n")];
    let because = "package.json has the script `start`; package-lock.json: npm";
    check("node-workspaces", &files, "node", because);
}

#[test]
fn the_configuration_and_the_procfile_override() {
    let config = r#"{"start": "node other.js", "port": 9000, "build": {"installCommand": "npm i", "buildCommand": "make it"}}"#;
    let files = [
        ("temps.json", config),
        ("package.json", EXPRESS),
        ("server.js", LISTENS),
        ("Procfile", "web: node proc.js"),
    ];
    check("node-configured", &files, "node", "the start command is given; no lock file: npm");
    let files = [("package.json", EXPRESS), ("Procfile", "release: x\nweb: node proc.js")];
    let Dockerfile::Written(text) = recipe(&files).dockerfile else { panic!() };
    assert!(text.contains(r#"CMD ["/bin/sh","-c","exec node proc.js"]"#), "{text}");
}

#[test]
fn nextjs_in_its_three_outputs() {
    let package = r#"{"scripts": {"build": "next build", "start": "next start"}, "dependencies": {"next": "15"}}"#;
    let lock = ("package-lock.json", "{}");
    let because = "package.json has the dependency `next`; package-lock.json: npm";
    check("nextjs", &[("package.json", package), lock], "nextjs", because);

    let standalone =
        ("next.config.mjs", "export default {\n  // output: 'export',\n  output: 'standalone' }");
    let files = [("package.json", package), lock, standalone, ("public/a.png", "")];
    let because = "package.json has the dependency `next`; package-lock.json: npm; next.config has the output `standalone`";
    check("nextjs-standalone", &files, "nextjs", because);

    let export = ("next.config.js", "module.exports = { output: \"export\" }");
    let because = "package.json has the dependency `next`; package-lock.json: npm; next.config has the output `export`";
    let recipe =
        check("nextjs-export", &[("package.json", package), lock, export], "nextjs", because);
    assert_eq!(recipe.output, site(false));
}

#[test]
fn nuxt() {
    let package = r#"{"scripts": {"build": "nuxt build", "postinstall": "nuxt prepare"}, "dependencies": {"nuxt": "3"}}"#;
    let because = "package.json has the dependency `nuxt`; no lock file: npm";
    check("nuxt", &[("package.json", package)], "nuxt", because);
}

#[test]
fn sveltekit_by_its_adapter() {
    let package = r#"{"scripts": {"build": "vite build"}, "devDependencies": {"@sveltejs/kit": "2", "vite": "6"}}"#;
    let with = |adapter: &'static str| {
        [("package.json", package), ("package-lock.json", "{}"), ("svelte.config.js", adapter)]
    };
    let kit = "package.json has the dependency `@sveltejs/kit`; package-lock.json: npm";
    let auto = format!("{kit}; svelte.config.js uses adapter-auto: adapter-node takes its place");
    check(
        "sveltekit-auto",
        &with("import adapter from '@sveltejs/adapter-auto';"),
        "sveltekit",
        &auto,
    );
    check(
        "sveltekit-node",
        &with("import adapter from '@sveltejs/adapter-node';"),
        "sveltekit",
        kit,
    );
    let recipe = check(
        "sveltekit-static",
        &with("import adapter from '@sveltejs/adapter-static';"),
        "sveltekit",
        kit,
    );
    assert_eq!(recipe.output, site(false));
}

#[test]
fn remix_and_react_router() {
    let remix = r#"{"scripts": {"build": "remix vite:build"}, "dependencies": {"@remix-run/node": "2"}, "devDependencies": {"@remix-run/dev": "2", "vite": "6"}}"#;
    check(
        "remix",
        &[("package.json", remix)],
        "remix",
        "package.json has the dependency `@remix-run/dev`; no lock file: npm",
    );
    let router = r#"{"scripts": {"build": "react-router build", "start": "react-router-serve ./build/server/index.js"}, "devDependencies": {"@react-router/dev": "7", "vite": "6"}}"#;
    let files = [
        ("package.json", router),
        ("react-router.config.ts", "export default {\n  ssr: false,\n}"),
    ];
    let recipe = check(
        "react-router-spa",
        &files,
        "remix",
        "package.json has the dependency `@react-router/dev`; no lock file: npm",
    );
    assert_eq!(recipe.output, site(true));
    let files =
        [("package.json", router), ("react-router.config.ts", "export default { ssr: true }")];
    check(
        "react-router",
        &files,
        "remix",
        "package.json has the dependency `@react-router/dev`; no lock file: npm",
    );
}

#[test]
fn an_express_server_that_vite_builds_a_part_of() {
    let package = r#"{"scripts": {"start": "node server.js", "build": "vite build"}, "dependencies": {"express": "5", "vite": "6"}}"#;
    assert_eq!(recipe(&[("package.json", package), ("server.js", LISTENS)]).preset, "node");
}
