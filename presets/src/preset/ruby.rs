//! Ruby: Sinatra, Rack and plain scripts.
//!
//! Recognised by a Gemfile. Writes an image that runs config.ru, or the file with the most telling name.

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::dockerfile::{Run, Writer};
use crate::listening::capture;
use crate::source::Source;

pub(crate) const PORT: u16 = 3_000;
const ENTRIES: &[&str] = &["app.rb", "main.rb", "server.rb", "web.rb"];
const BUNDLE: &str = "/usr/local/bundle";
/// Gems that need libraries of the system.
const SYSTEM: &[(&str, &str)] = &[
    ("pg", "libpq-dev"),
    ("mysql2", "default-libmysqlclient-dev"),
    ("sqlite3", "libsqlite3-dev"),
    ("ruby-vips", "libvips42"),
    ("execjs", "nodejs"),
];

pub(crate) const PRESET: Preset = Preset {
    name: "ruby",
    looks_for: "a Gemfile",
    recognise: |source| Ok(source.first_of(&["Gemfile"]).map(|file| format!("there is a {file}"))),
    plan,
};

fn plan(source: Source) -> Result<Plan, DetectError> {
    let start = source.start().or_else(|| start(source)).ok_or(DetectError::NoStart {
        preset: PRESET.name,
        looked_for: "config.ru, app.rb, main.rb and server.rb",
        example: "{\"start\": \"bundle exec ruby path/to/app.rb\"}",
    })?;
    let writer = furnished(source);
    let writer = writer.build(source.build_command());
    let writer = writer.line("ENV RACK_ENV=production APP_ENV=production");
    Ok(Plan::server(writer.listen(source.port_or(PORT)).start(&start), PORT))
}

/// Whether the Gemfile or its lock lists a gem.
pub(crate) fn gem(source: Source, name: &str) -> bool {
    let quoted = [format!("gem \"{name}\""), format!("gem '{name}'")];
    let gemfile = source.text_of(&["Gemfile"]);
    let lock = source.text_of(&["Gemfile.lock"]);
    quoted.iter().any(|quoted| gemfile.contains(quoted)) || lock.contains(&format!("    {name} ("))
}

/// The image up to the source.
pub(crate) fn furnished(source: Source) -> Writer {
    let mut packages = vec!["build-essential", "git", "libyaml-dev", "pkg-config"];
    packages
        .extend(SYSTEM.iter().filter(|(name, _)| gem(source, name)).map(|(_, package)| *package));
    let manifests = source.all_of(&["Gemfile", "Gemfile.lock"]);
    let deployment = if source.tree.exists("Gemfile.lock") { " BUNDLE_FROZEN=1" } else { "" };
    let install = source.install_command().unwrap_or_else(|| "bundle install --jobs 4".into());
    Writer::default()
        .from(&image(source), None)
        .packages(&packages)
        .prepare()
        .line("WORKDIR /app")
        .line(format!("ENV BUNDLE_PATH={BUNDLE} BUNDLE_WITHOUT=development:test{deployment}"))
        .copy(&manifests, "./")
        .run(Run::of(install))
        .copy(&["."], ".")
}

fn image(source: Source) -> String {
    let pinned = source.text_of(&[".ruby-version"]);
    let version = capture(r"(\d+\.\d+)", &pinned).or_else(|| {
        capture(r#"(?m)^ruby\s+['"](?:~>\s*)?(\d+\.\d+)"#, &source.text_of(&["Gemfile"]))
    });
    format!("ruby:{}-slim", version.as_deref().unwrap_or("3.3"))
}

fn start(source: Source) -> Option<String> {
    if source.tree.exists("config.ru") {
        let server = if gem(source, "puma") {
            "puma -b tcp://0.0.0.0:$PORT"
        } else {
            "rackup --host 0.0.0.0 --port $PORT"
        };
        return Some(format!("bundle exec {server}"));
    }
    let entry = source.first_of(ENTRIES)?;
    let sinatra = if gem(source, "sinatra") { " -o 0.0.0.0 -p $PORT" } else { "" };
    Some(format!("bundle exec ruby {entry}{sinatra}"))
}
