//! Ruby on Rails.
//!
//! Recognised by a Gemfile with `rails` and a config.ru. Writes an image that precompiles assets and runs the Rails
//! server. Migrations are for `beforeDeploy`.

use super::ruby::{PORT, furnished, gem};
use super::{Plan, Preset};
use crate::source::Source;

pub(crate) const PRESET: Preset = Preset {
    name: "rails",
    looks_for: "a Gemfile with `rails`",
    recognise: |source| {
        let found = gem(source, "rails") && source.tree.exists("config.ru");
        Ok(found.then(|| "Gemfile lists `rails`".to_owned()))
    },
    plan: |source| Ok(plan(source)),
};

fn plan(source: Source) -> Plan {
    let assets =
        ["sprockets-rails", "propshaft", "importmap-rails"].iter().any(|name| gem(source, name));
    let precompile = "SECRET_KEY_BASE_DUMMY=1 SECRET_KEY_BASE=${SECRET_KEY_BASE:-dummy} bundle exec rails assets:precompile";
    let build = source.build_command().or(assets.then(|| precompile.to_owned()));
    let start =
        source.start().unwrap_or_else(|| "bundle exec rails server -b 0.0.0.0 -p $PORT".into());
    let writer = furnished(source)
        .line("ENV RAILS_ENV=production RAILS_LOG_TO_STDOUT=1 RAILS_SERVE_STATIC_FILES=1");
    let writer = writer.build(build);
    Plan::server(writer.listen(source.port_or(PORT)).start(&start), PORT)
}
