//! What detection decides: which preset, why, and how the source becomes an image or a folder of files.

/// Port of an app that says nothing else.
pub const PORT_DEFAULT: u16 = 3_000;

/// What a written Dockerfile's build context must not hold, in the syntax of `.dockerignore`: what a build makes
/// itself, and what must not get into an image. For sources that have no `.dockerignore` of their own.
pub const IGNORED: &[&str] = &[
    ".git",
    "**/node_modules",
    "**/.next",
    "**/.nuxt",
    "**/.output",
    "**/.svelte-kit",
    "**/.venv",
    "**/venv",
    "**/__pycache__",
    "**/target",
    "**/.gradle",
    "**/.env",
    "**/.env.local",
    "**/.env.*.local",
    "**/.DS_Store",
];

/// How a source is built and run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The preset's name, such as `nextjs`.
    pub preset: &'static str,
    /// Why: which files and keys decided, such as "package.json has the dependency `next`"; the preset's comes first.
    pub reasons: Vec<String>,
    /// What will probably not work, and what to do about it; for the build log.
    pub warnings: Vec<String>,
    /// What the image is built by.
    pub dockerfile: Dockerfile,
    /// What runs in the image, where the source's own Dockerfile does not say so.
    pub commands: Commands,
    /// What the build gives.
    pub output: Output,
    /// The port the app listens on, when the source tells.
    pub port: Option<u16>,
}

impl Recipe {
    /// The recipe of a ready image: nothing to build.
    pub fn image(reference: &str) -> Self {
        Self {
            preset: "image",
            reasons: vec![format!("the source is the image {reference}")],
            warnings: Vec::new(),
            dockerfile: Dockerfile::None,
            commands: Commands::default(),
            output: Output::Image,
            port: None,
        }
    }

    /// The reasons in one line.
    pub fn because(&self) -> String {
        self.reasons.join("; ")
    }
}

/// The commands of a written Dockerfile, as people know them: without mounts and scripts around them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// What is run before the build, such as `npm ci`.
    pub install: Vec<String>,
    /// What builds the app, such as `npm run build`.
    pub build: Vec<String>,
    /// What runs the app.
    pub start: Option<String>,
}

/// What an image is built by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dockerfile {
    /// This text; the build context is the source's root.
    Written(String),
    /// A file of the source, by its path.
    InSource(String),
    /// Nothing is built.
    None,
}

/// What a build gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// An image to run.
    Image,
    /// A folder of files for the edge.
    Static {
        /// Absolute inside the built image; relative to the source's root when nothing is built (empty for the root).
        directory: String,
        /// Whether unknown paths get `index.html`.
        single_page: bool,
    },
}
