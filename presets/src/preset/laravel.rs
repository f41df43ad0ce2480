//! Laravel.
//!
//! Recognised by artisan and a composer.json. Writes an image of Apache with PHP that serves `public`. Migrations are for
//! `beforeDeploy`.

use super::php::apache;
use super::{Plan, Preset};

pub(crate) const PRESET: Preset = Preset {
    name: "laravel",
    looks_for: "artisan and composer.json",
    recognise: |source| {
        let found = source.tree.exists("artisan") && source.tree.exists("composer.json");
        Ok(found.then(|| "there is artisan beside composer.json".to_owned()))
    },
    plan: |source| {
        let (writer, port) =
            apache(source, "public", &["pdo_mysql"], &["storage", "bootstrap/cache"])?;
        Ok(Plan::server(writer, port))
    },
};
