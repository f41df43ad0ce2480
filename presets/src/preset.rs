//! The presets, one file each: how it is recognised, and what it writes.

pub(crate) mod angular;
pub(crate) mod astro;
pub(crate) mod bundler;
pub(crate) mod create_react_app;
pub(crate) mod django;
pub(crate) mod dockerfile;
pub(crate) mod docusaurus;
pub(crate) mod eleventy;
pub(crate) mod fastapi;
pub(crate) mod flask;
pub(crate) mod gatsby;
pub(crate) mod go;
pub(crate) mod java;
pub(crate) mod laravel;
pub(crate) mod nextjs;
pub(crate) mod node;
pub(crate) mod nuxt;
pub(crate) mod php;
pub(crate) mod python;
pub(crate) mod rails;
pub(crate) mod remix;
pub(crate) mod ruby;
pub(crate) mod rust;
pub(crate) mod static_folder;
pub(crate) mod sveltekit;
pub(crate) mod vite;
pub(crate) mod vue_cli;

use crate::detect::DetectError;
use crate::dockerfile::Writer;
use crate::listening::Listening;
use crate::recipe::{Commands, Dockerfile, Output};
use crate::source::Source;

/// The folder of static files in an image that holds nothing else.
pub(crate) const SITE: &str = "/site";

/// One kind of source.
pub struct Preset {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it is recognised by, in words.
    pub looks_for: &'static str,
    /// Why a source is of this kind, or `None`.
    pub(crate) recognise: fn(Source) -> Result<Option<String>, DetectError>,
    /// How such a source is built.
    pub(crate) plan: fn(Source) -> Result<Plan, DetectError>,
}

/// How a source is built, once its preset is known.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) dockerfile: Dockerfile,
    pub(crate) commands: Commands,
    pub(crate) output: Output,
    pub(crate) port: Option<u16>,
    /// What else was found and where; follows the reason for the preset.
    pub(crate) notes: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

impl Plan {
    /// An image that runs a server.
    pub(crate) fn server(writer: Writer, port: u16) -> Self {
        let (text, commands) = writer.finish();
        Self {
            dockerfile: Dockerfile::Written(text),
            commands,
            output: Output::Image,
            port: Some(port),
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// An image that holds only the files of [`SITE`].
    pub(crate) fn site(writer: Writer, single_page: bool) -> Self {
        let (text, commands) = writer.finish();
        Self {
            dockerfile: Dockerfile::Written(text),
            commands,
            output: Output::Static { directory: SITE.into(), single_page },
            port: None,
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds what the code says of where it listens.
    pub(crate) fn heard(mut self, listening: Listening) -> Self {
        self.notes.extend(listening.note());
        self.warnings.extend(listening.warning);
        self
    }

    pub(crate) fn note(mut self, note: Option<String>) -> Self {
        self.notes.extend(note);
        self
    }
}
