//! Create React App.
//!
//! Recognised by the dependency `react-scripts`. Writes a build whose `build` the edge serves.

use super::Preset;
use crate::node::Workshop;

pub(crate) const PRESET: Preset = Preset {
    name: "create-react-app",
    looks_for: "package.json with `react-scripts`",
    recognise: |source| Ok(source.package()?.and_then(|package| package.because("react-scripts"))),
    plan: |source| {
        Ok(Workshop::new(source, PRESET.name)?.site("react-scripts build", "build", true))
    },
};
