//! Python, Go, Rust, Ruby, PHP, Java and Dockerfiles.

use crate::common::{check, recipe};
use temps_presets::{Dockerfile, Output};

const GO_MAIN: &str = "package main\n\nfunc main() { http.ListenAndServe(\":8090\", nil) }\n";

fn written(files: &[(&str, &str)]) -> String {
    match recipe(files).dockerfile {
        Dockerfile::Written(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dockerfile_of_its_own() {
    let recipe = recipe(&[("Dockerfile", "FROM a\nEXPOSE 8081"), ("package.json", "broken")]);
    assert_eq!((recipe.preset, recipe.port), ("dockerfile", Some(8081)));
    assert_eq!(recipe.because(), "there is a Dockerfile; Dockerfile exposes port 8081");
    assert_eq!(recipe.dockerfile, Dockerfile::InSource("Dockerfile".into()));
}

#[test]
fn a_dockerfile_by_configuration() {
    let config = r#"{"build": {"dockerfile": "docker/web.Dockerfile"}}"#;
    let recipe =
        recipe(&[("temps.json", config), ("docker/web.Dockerfile", "FROM a"), ("index.html", "")]);
    assert_eq!(recipe.dockerfile, Dockerfile::InSource("docker/web.Dockerfile".into()));
    assert_eq!((recipe.output, recipe.port), (Output::Image, None));
}

#[test]
fn flask_with_gunicorn_added() {
    let files = [
        ("requirements.txt", "Flask==3.1.0\n"),
        (
            "app.py",
            "from flask import Flask\napp = Flask(__name__)\nif __name__ == '__main__':\n    app.run(port=5000)",
        ),
    ];
    check("flask", &files, "flask", "requirements.txt lists `flask`; app.py has the app (`app`)");
}

#[test]
fn flask_with_a_factory_in_a_package() {
    let files = [
        ("requirements.txt", "flask\ngunicorn\n"),
        (
            "shop/__init__.py",
            "from flask import Flask\n\ndef create_app():\n    app = Flask(__name__)\n    return app\n",
        ),
    ];
    assert!(written(&files).contains("'shop:create_app()'"));
    let with_wsgi = [
        files[0],
        files[1],
        ("wsgi.py", "from shop import create_app\napplication = create_app()\n"),
    ];
    assert!(written(&with_wsgi).contains("'wsgi:application'"));
}

#[test]
fn fastapi_by_every_installer() {
    let main = ("main.py", "from fastapi import FastAPI\n\napp: FastAPI = FastAPI(title='x')\n");
    let because = |file: &str| format!("{file} lists `fastapi`; main.py has the app (`app`)");
    check(
        "fastapi",
        &[("requirements.txt", "fastapi[standard]>=0.115"), main],
        "fastapi",
        &because("requirements.txt"),
    );
    let project = "[project]\nname = 'x'\nversion = '1'\nrequires-python = '>=3.13'\ndependencies = ['fastapi>=0.115', 'uvicorn[standard]']\n";
    check(
        "fastapi-pyproject",
        &[("pyproject.toml", project), main],
        "fastapi",
        &because("pyproject.toml"),
    );
    check(
        "fastapi-uv",
        &[("pyproject.toml", project), ("uv.lock", ""), main, (".python-version", "3.11\n")],
        "fastapi",
        &because("pyproject.toml"),
    );
    let poetry = "[tool.poetry.dependencies]\npython = '^3.10'\nfastapi = '*'\n";
    check(
        "fastapi-poetry",
        &[("pyproject.toml", poetry), ("poetry.lock", ""), main],
        "fastapi",
        &because("pyproject.toml"),
    );
    let pipfile = "[packages]\nfastapi = '*'\nuvicorn = {extras = ['standard'], version = '*'}\n\n[requires]\npython_version = \"3.10\"\n";
    check(
        "fastapi-pipenv",
        &[("Pipfile", pipfile), ("Pipfile.lock", "{}"), main],
        "fastapi",
        &because("Pipfile"),
    );
}

#[test]
fn modules_are_named_from_where_their_imports_work() {
    for (files, expect) in [
        (vec![("app/__init__.py", ""), ("app/main.py", "app = FastAPI()")], "app.main:app"),
        (vec![("app/main.py", "from app.routes import r\napi = FastAPI()")], "app.main:api"),
        (vec![("src/main.py", "import routes\napp = FastAPI()")], "--app-dir src main:app"),
        (
            vec![("backend/app/__init__.py", ""), ("backend/app/main.py", "app = FastAPI()")],
            "--app-dir backend app.main:app",
        ),
        (vec![("main.py", "def create_app():\n    return FastAPI()")], "--factory main:create_app"),
    ] {
        let mut files = files;
        files.push(("requirements.txt", "fastapi\nuvicorn"));
        let text = written(&files);
        assert!(text.contains(expect), "{expect}: {text}");
    }
}

#[test]
fn django() {
    let files = [
        ("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')"),
        ("requirements.txt", "Django>=5\npsycopg2==2.9"),
        ("mysite/settings.py", "STATIC_ROOT = BASE_DIR / 'static'"),
        ("mysite/wsgi.py", ""),
    ];
    check("django", &files, "django", "there is manage.py");
}

#[test]
fn django_as_startproject_makes_it() {
    let settings = "ALLOWED_HOSTS = []\nINSTALLED_APPS = ['django.contrib.staticfiles']\nMIDDLEWARE = [\n]\n\
                    DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3'}}\n";
    let files = [
        ("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')"),
        ("requirements.txt", "Django>=5"),
        ("mysite/settings.py", settings),
        ("mysite/wsgi.py", ""),
    ];
    let because = "there is manage.py; ALLOWED_HOSTS is empty: the hosts of this app, which the edge checks, are \
                   allowed; nothing serves the static files: WhiteNoise does";
    let recipe = check("django-new", &files, "django", because);
    assert!(recipe.warnings[0].starts_with("the database is an SQLite file in the container"));
}

#[test]
fn poetry_without_its_lock_file() {
    let poetry = "[tool.poetry.dependencies]\npython = '^3.10'\nflask = '*'\n";
    let files = [("pyproject.toml", poetry), ("app.py", "app = Flask(__name__)")];
    let because = "pyproject.toml lists `flask`; app.py has the app (`app`)";
    check("flask-poetry", &files, "flask", because);
}

#[test]
fn app_objects_of_other_frameworks() {
    for (requirements, code, expect) in [
        (
            "starlette\nuvicorn",
            "app = Starlette()",
            "uvicorn --host 0.0.0.0 --port $PORT --app-dir . main:app",
        ),
        ("starlette\nuvicorn", "app = Starlette()\nuvicorn.run(app)", "exec python main.py"),
        (
            "quart",
            "app = Quart(__name__)\napp.run()",
            "exec hypercorn --bind 0.0.0.0:$PORT main:app",
        ),
        (
            "gradio",
            "demo.launch()",
            "exec env GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=$PORT python main.py",
        ),
    ] {
        let text = written(&[("requirements.txt", requirements), ("main.py", code)]);
        assert!(text.contains(expect), "{expect}: {text}");
    }
}

#[test]
fn plain_python() {
    let files = [("main.py", "HTTPServer(('', 8123), Handler).serve_forever()")];
    check("python", &files, "python", "there is main.py; main.py listens on port 8123");
    let files = [("requirements.txt", "streamlit"), ("app.py", "import streamlit as st")];
    assert!(written(&files).contains("streamlit run app.py --server.address 0.0.0.0"));
}

#[test]
fn go_with_the_standard_library_only() {
    let files = [("go.mod", "module example.com/hello\n\ngo 1.22\n"), ("main.go", GO_MAIN)];
    check("go", &files, "go", "there is go.mod; main.go listens on port 8090");
}

#[test]
fn go_with_modules_and_a_program_in_cmd() {
    let module =
        "module example.com/shop\n\ngo 1.25.1\n\nrequire github.com/go-chi/chi/v5 v5.1.0\n";
    let files = [
        ("go.mod", module),
        ("go.sum", ""),
        ("cmd/migrate/main.go", "package main\n"),
        ("cmd/server/main.go", GO_MAIN),
    ];
    let because =
        "there is go.mod; the program is cmd/server; cmd/server/main.go listens on port 8090";
    check("go-modules", &files, "go", because);
}

#[test]
fn go_with_a_workspace() {
    let files = [
        ("go.work", "go 1.22\n\nuse (\n\t./api\n\t./lib\n)\n"),
        ("api/go.mod", "module example.com/api\n"),
        ("api/main.go", GO_MAIN),
        ("lib/lib.go", "package lib\n"),
    ];
    let text = written(&files);
    assert!(text.contains("-o /out/app ./api") && !text.contains("go mod"), "{text}");
}

#[test]
fn go_with_vendored_modules() {
    let module =
        "module example.com/shop\n\ngo 1.21\n\nrequire (\n\tgithub.com/go-chi/chi/v5 v5.1.0\n)\n";
    let text = written(&[
        ("go.mod", module),
        ("go.sum", ""),
        ("vendor/modules.txt", ""),
        ("main.go", GO_MAIN),
    ]);
    assert!(text.contains("-mod=vendor") && !text.contains("go mod"), "{text}");
}

#[test]
fn rust_with_one_binary() {
    let files = [
        (
            "Cargo.toml",
            "[package]\nname = 'hello-web'\nversion = '0.1.0'\n[dependencies]\naxum = '0.8'\n",
        ),
        ("Cargo.lock", "[[package]]\nname = \"openssl-sys\"\n"),
        ("src/main.rs", "let l = TcpListener::bind(\"127.0.0.1:3000\").await;"),
    ];
    let because = "there is Cargo.toml; the binary is hello-web; src/main.rs listens on port 3000";
    let recipe = check("rust", &files, "rust", because);
    assert!(recipe.warnings[0].starts_with("src/main.rs seems to listen on 127.0.0.1"));
}

#[test]
fn rust_in_a_workspace() {
    let files = [
        ("Cargo.toml", "[workspace]\nmembers = ['crates/*']\n"),
        ("crates/core/Cargo.toml", "[package]\nname = 'core'\n"),
        ("crates/core/src/lib.rs", ""),
        ("crates/site/Cargo.toml", "[package]\nname = 'site'\n"),
        ("crates/site/src/main.rs", "fn main() { listen(\"0.0.0.0:8000\") }"),
        ("rust-toolchain.toml", "[toolchain]\nchannel = \"1.85\"\n"),
    ];
    check(
        "rust-workspace",
        &files,
        "rust",
        "there is Cargo.toml; the binary is site; crates/site/src/main.rs listens on port 8000",
    );
}

#[test]
fn ruby_and_rails() {
    let sinatra = [
        ("Gemfile", "source 'x'\nruby '3.2.2'\ngem 'sinatra'\ngem 'puma'\n"),
        ("app.rb", "require 'sinatra'"),
    ];
    check("ruby", &sinatra, "ruby", "there is a Gemfile");
    let rails = [
        ("Gemfile", "gem \"rails\", \"~> 8.0\"\ngem \"pg\"\ngem \"propshaft\"\n"),
        ("Gemfile.lock", ""),
        ("config.ru", ""),
    ];
    check("rails", &rails, "rails", "Gemfile lists `rails`");
}

#[test]
fn php_and_laravel() {
    check("php", &[("index.php", "<?php echo 1;")], "php", "there is index.php");
    let composer = r#"{"require": {"php": "^8.2", "laravel/framework": "^12", "ext-intl": "*"}}"#;
    let laravel = [
        ("composer.json", composer),
        ("composer.lock", "{}"),
        ("artisan", ""),
        ("public/index.php", ""),
        ("package.json", "{}"),
    ];
    check("laravel", &laravel, "laravel", "there is artisan beside composer.json");
}

#[test]
fn java_by_maven_and_gradle() {
    check(
        "java-maven",
        &[("pom.xml", "<java.version>17</java.version>"), ("mvnw", "")],
        "java",
        "there is pom.xml",
    );
    let gradle =
        [("build.gradle", "id 'org.springframework.boot' version '3.4.0'"), ("gradlew", "")];
    check("java-gradle", &gradle, "java", "there is build.gradle");
}

#[test]
fn what_cannot_be_told_is_said() {
    for (files, expect) in [
        (vec![("README.md", "")], "nothing in the source says how to build it"),
        (
            vec![("temps.json", r#"{"preset": "nextj"}"#)],
            "temps.json names the preset `nextj`, which does not exist; did you mean `nextjs`?",
        ),
        (vec![("temps.json", r#"{"preset": "vite"}"#)], "the preset `vite` needs package.json"),
        (
            vec![("index.html", ""), ("temps.json", r#"{"beforeDeploy": "make db"}"#)],
            "temps.json has `beforeDeploy`, but the preset `static` makes a static site",
        ),
        (vec![("package.json", "{")], "package.json cannot be read"),
        (
            vec![("go.mod", ""), ("cmd/a/main.go", GO_MAIN), ("cmd/b/main.go", GO_MAIN)],
            "there are several programs (cmd/a, cmd/b)",
        ),
        (vec![("go.mod", "")], "cannot tell how the app is started"),
        (vec![("temps.json", r#"{"build": {"dockerfile": "x"}}"#)], "there is no x"),
        (
            vec![
                ("package.json", r#"{"devDependencies": {"@sveltejs/kit": "2"}}"#),
                ("svelte.config.js", "'@sveltejs/adapter-vercel'"),
            ],
            "svelte.config.js uses @sveltejs/adapter-vercel",
        ),
    ] {
        let tree = crate::common::tree(&files);
        let config = temps_presets::AppConfig::read(&tree).expect("the configuration is right");
        let error = temps_presets::detect(&tree, &config).expect_err("nothing can fit").to_string();
        assert!(error.contains(expect), "{error}");
    }
}
