//! PHP.
//!
//! Recognised by index.php at the root or in public/ or web/. Writes an image of Apache with PHP, run by Apache's own
//! user: the container has no right to change users. Apache listens on `PORT`.

use serde_json::{Map, Value};

use super::{Plan, Preset};
use crate::detect::DetectError;
use crate::dockerfile::{Run, Writer};
use crate::source::Source;

const PORT: u16 = 8_080;
const ROOTS: &[&str] = &["public", "web", ""];
/// Extensions that the image lacks, with the Debian packages they need.
const EXTENSIONS: &[(&str, &[&str])] = &[
    ("pdo_mysql", &[]),
    ("mysqli", &[]),
    ("bcmath", &[]),
    ("pcntl", &[]),
    ("exif", &[]),
    ("gd", &["libpng-dev"]),
    ("intl", &["libicu-dev"]),
    ("zip", &["libzip-dev"]),
    ("pgsql", &["libpq-dev"]),
    ("pdo_pgsql", &["libpq-dev"]),
];
/// What lets Apache run as its own user on any port, and rewrite by .htaccess.
const SETTINGS: &str = "a2enmod -q rewrite \\
    && sed -i 's/^Listen 80$/Listen ${PORT}/' /etc/apache2/ports.conf \\
    && sed -i 's/<VirtualHost \\*:80>/<VirtualHost *:${PORT}>/' /etc/apache2/sites-available/000-default.conf \\
    && mkdir -p /var/run/apache2 /var/lock/apache2 \\
    && chown -R www-data:www-data /var/run/apache2 /var/lock/apache2 /var/log/apache2 /var/www/html";

pub(crate) const PRESET: Preset = Preset {
    name: "php",
    looks_for: "index.php at the root or in public/",
    recognise: |source| {
        let found = ROOTS.iter().map(|root| index(root)).find(|index| source.tree.exists(index));
        Ok(found.map(|index| format!("there is {index}")))
    },
    plan: |source| {
        let root =
            ROOTS.iter().find(|root| source.tree.exists(&index(root))).copied().unwrap_or_default();
        let (writer, port) = apache(source, root, &[], &[])?;
        Ok(Plan::server(writer, port))
    },
};

fn index(root: &str) -> String {
    if root.is_empty() { "index.php".into() } else { format!("{root}/index.php") }
}

/// The image that serves `root`, with these extensions besides those that composer.json asks for.
pub(crate) fn apache(
    source: Source,
    root: &str,
    extensions: &[&str],
    writable: &[&str],
) -> Result<(Writer, u16), DetectError> {
    let required = required(source)?;
    let wanted: Vec<_> = EXTENSIONS
        .iter()
        .filter(|(name, _)| {
            extensions.contains(name) || required.contains_key(&format!("ext-{name}"))
        })
        .collect();
    let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
    let packages: Vec<&str> =
        wanted.iter().flat_map(|(_, packages)| packages.iter().copied()).collect();
    let writer = Writer::default()
        .from(&image(&required), None)
        .packages(&packages)
        .when(!names.is_empty(), |writer| writer.line(format!("RUN docker-php-ext-install {}", names.join(" "))))
        .run(Run::of(SETTINGS).plain())
        .when(!root.is_empty(), |writer| {
            writer.line(format!("RUN sed -i 's#/var/www/html#/var/www/html/{root}#' /etc/apache2/sites-available/000-default.conf"))
        })
        .prepare()
        .user("www-data", 33);
    let writer = composed(source, &required, writer);
    let writer = writer.build(source.build_command());
    let start = source.start().unwrap_or_else(|| "apache2-foreground".into());
    let writer = writer.when(!writable.is_empty(), |writer| {
        writer.run(Run::of(format!("mkdir -p {0} && chmod -R u+w {0}", writable.join(" "))).plain())
    });
    Ok((writer.listen(source.port_or(PORT)).start(&start), PORT))
}

/// The source with its packages, where composer.json asks for any that the source does not carry.
fn composed(source: Source, required: &Map<String, Value>, writer: Writer) -> Writer {
    let packages = required.keys().any(|name| name.contains('/'));
    if !packages || source.tree.exists("vendor/autoload.php") {
        return writer.copy(&["."], ".");
    }
    let cache = "COMPOSER_HOME=/tmp/composer COMPOSER_CACHE_DIR=/cache";
    let flags = "--no-dev --no-interaction --prefer-dist";
    let install = source.install_command().unwrap_or_else(|| {
        format!("{cache} composer install {flags} --no-scripts --no-autoloader")
    });
    writer
        .line("COPY --from=composer:2 /usr/bin/composer /usr/local/bin/composer")
        .copy(&source.all_of(&["composer.json", "composer.lock"]), "./")
        .run(Run::of(install).cache("composer", "/cache"))
        .copy(&["."], ".")
        .run(
            Run::of(format!("{cache} composer dump-autoload --no-dev --optimize"))
                .cache("composer", "/cache"),
        )
}

fn required(source: Source) -> Result<Map<String, Value>, DetectError> {
    let Some(text) = source.tree.read("composer.json") else { return Ok(Map::new()) };
    let composer: Value =
        serde_json::from_str(&text).map_err(|source| DetectError::ComposerInvalid { source })?;
    Ok(composer.get("require").and_then(Value::as_object).cloned().unwrap_or_default())
}

/// PHP 8.3, unless composer.json asks for a newer 8.
fn image(required: &Map<String, Value>) -> String {
    let asked = required.get("php").and_then(Value::as_str).unwrap_or_default();
    let newer = ["8.4", "8.5"].into_iter().find(|version| {
        ["^", ">=", "~"]
            .iter()
            .any(|operator| asked.replace(' ', "").starts_with(&format!("{operator}{version}")))
    });
    format!("php:{}-apache", newer.unwrap_or("8.3"))
}
