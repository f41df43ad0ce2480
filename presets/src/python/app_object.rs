//! Finds the application object of a WSGI or ASGI app in its code.

use crate::listening::capture;
use crate::source::Source;

/// Files that hold the object, by habit: those that servers are told to load come first.
const FIRST: &[&str] = &[
    "wsgi.py",
    "asgi.py",
    "main.py",
    "app.py",
    "application.py",
    "server.py",
    "api.py",
    "run.py",
    "app/main.py",
    "app/__init__.py",
];

/// Where the object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppObject {
    /// The file.
    pub(crate) file: String,
    /// The folder to start in; empty for the root.
    pub(crate) folder: String,
    /// The module, such as `app.main`.
    pub(crate) module: String,
    /// The object's or the factory's name.
    pub(crate) name: String,
    /// Whether the name is that of a function that makes the object.
    pub(crate) factory: bool,
}

/// How code makes the object; the first group is its name.
pub(crate) struct Making {
    pub(crate) object: &'static str,
    pub(crate) factory: &'static str,
}

impl AppObject {
    /// The first object in the source, or else the first factory.
    pub(crate) fn find(source: Source, making: &Making) -> Option<Self> {
        let mut files: Vec<String> = source.all_of(FIRST);
        let rest = source.code_files(&[".py"]);
        files.extend(rest.into_iter().filter(|file| !FIRST.contains(&file.as_str())));
        let texts: Vec<(&String, String)> =
            files.iter().filter_map(|file| Some((file, source.tree.read(file)?))).collect();
        let find = |pattern: &'static str, factory: bool| {
            texts.iter().find_map(|(file, text)| {
                let name = capture(pattern, text)?;
                Some(Self::at(source, file, text, name, factory))
            })
        };
        find(making.object, false).or_else(|| find(making.factory, true))
    }

    /// A module is named from the folder above its outermost package. A file in a plain folder starts there, unless it
    /// imports its neighbours by the folder's name.
    fn at(source: Source, file: &str, text: &str, name: String, factory: bool) -> Self {
        let path = file.strip_suffix(".py").unwrap_or(file);
        let mut folders: Vec<&str> = path.split('/').collect();
        let stem = folders.pop().unwrap_or(path);
        let mut package = Vec::new();
        while let Some(folder) = folders.last() {
            let inside = folders.join("/");
            let by_name =
                [format!("from {folder}."), format!("from {folder} "), format!("import {folder}")]
                    .iter()
                    .any(|import| text.contains(import.as_str()));
            if !source.tree.exists(&format!("{inside}/__init__.py")) && !by_name {
                break;
            }
            package.insert(0, *folder);
            folders.pop();
        }
        if stem != "__init__" {
            package.push(stem);
        }
        Self {
            file: file.into(),
            folder: folders.join("/"),
            module: package.join("."),
            name,
            factory,
        }
    }

    /// Why this object.
    pub(crate) fn because(&self) -> String {
        let kind = if self.factory { "makes" } else { "has" };
        format!("{} {kind} the app (`{}`)", self.file, self.name)
    }
}
