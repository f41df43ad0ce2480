//! What FastAPI and Flask share: the app is one object in the code, and a server is told where it is.

use super::app_object::{AppObject, Making};
use super::dependencies::Dependencies;
use crate::detect::DetectError;
use crate::source::Source;

/// A framework whose app is one object in the code.
pub(crate) struct Framework {
    /// The preset, which is also the name of the package.
    pub(crate) name: &'static str,
    pub(crate) making: Making,
    /// How its code makes the object, in words.
    pub(crate) looked_for: &'static str,
    /// A start command for the configuration.
    pub(crate) example: &'static str,
}

impl Framework {
    /// Recognised by the dependency, and the object in the code or a given start command.
    pub(crate) fn recognise(&self, source: Source) -> Result<Option<String>, DetectError> {
        let reason = Dependencies::of(source)?.and_then(|found| found.because(self.name));
        let starts = || source.start().is_some() || self.find(source).is_some();
        Ok(reason.filter(|_| starts()))
    }

    /// The start command: the given one, or else the server's for the object; and why that object.
    pub(crate) fn start(
        &self,
        source: Source,
        server: fn(&AppObject) -> String,
    ) -> Result<(String, Option<String>), DetectError> {
        let found = self.find(source);
        let start = source.start().or_else(|| found.as_ref().map(server));
        let start = start.ok_or(DetectError::NoStart {
            preset: self.name,
            looked_for: self.looked_for,
            example: self.example,
        })?;
        Ok((start, found.map(|app| app.because())))
    }

    pub(crate) fn find(&self, source: Source) -> Option<AppObject> {
        AppObject::find(source, &self.making)
    }
}
