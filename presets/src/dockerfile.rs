//! Writes Dockerfiles.
//!
//! Every step that may need the network or the project's variables first sources one small script, which takes them
//! from the build's secrets. Secrets are mounted for that step only and are in no layer.

use crate::recipe::Commands;

/// The build secret with the project's variables, as a shell file of `export NAME='value'` lines.
pub const VARIABLES_SECRET: &str = "temps-env";
/// The build secret with extra certificate authorities, in PEM.
pub const CA_SECRET: &str = "temps-ca";
/// The build argument to give a keyed digest of the variables, so that a changed variable repeats the build step.
pub const VARIABLES_ARG: &str = "TEMPS_VARIABLES";

/// Where the script is in images.
const SCRIPT: &str = "/usr/local/share/temps-build";

/// What the script does: trusts the extra authorities, under the names that package clients know, and exports the variables.
const SCRIPT_LINES: &[&str] = &[
    "if [ -s /run/secrets/temps-ca ]; then",
    "  ca=/tmp/temps-ca-$(id -u).pem",
    "  cat /etc/ssl/certs/ca-certificates.crt /run/secrets/temps-ca >$ca 2>/dev/null || true",
    "  for name in SSL_CERT_FILE NODE_EXTRA_CA_CERTS YARN_HTTPS_CA_FILE_PATH PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE CARGO_HTTP_CAINFO GIT_SSL_CAINFO BUNDLE_SSL_CA_CERT COMPOSER_CAFILE; do export $name=$ca; done",
    "fi",
    "if [ -s /run/secrets/temps-env ]; then . /run/secrets/temps-env; fi",
];

/// One `RUN` step.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    command: String,
    caches: Vec<(String, String, bool)>,
    plain: bool,
}

impl Run {
    pub(crate) fn of(command: impl Into<String>) -> Self {
        Self { command: command.into(), caches: Vec::new(), plain: false }
    }

    /// Keeps a folder from build to build, under an id; builds use it together.
    pub(crate) fn cache(mut self, id: &str, target: &str) -> Self {
        self.caches.push((id.into(), target.into(), false));
        self
    }

    /// Keeps a folder that only one build may use at a time.
    pub(crate) fn locked_cache(mut self, id: &str, target: &str) -> Self {
        self.caches.push((id.into(), target.into(), true));
        self
    }

    /// A step that needs neither network nor variables.
    pub(crate) fn plain(mut self) -> Self {
        self.plain = true;
        self
    }
}

/// A Dockerfile in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct Writer {
    text: String,
    commands: Commands,
    /// The id of the user that steps run as; root when `None`.
    uid: Option<u32>,
}

impl Writer {
    pub(crate) fn from(self, image: &str, stage: Option<&str>) -> Self {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        let stage = stage.map(|stage| format!(" AS {stage}")).unwrap_or_default();
        Self { uid: None, ..self }.line(format!("{gap}FROM {image}{stage}"))
    }

    pub(crate) fn line(mut self, line: impl AsRef<str>) -> Self {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
        self
    }

    pub(crate) fn when(self, condition: bool, then: impl FnOnce(Self) -> Self) -> Self {
        if condition { then(self) } else { self }
    }

    /// Puts the script there that [`Writer::run`] sources.
    pub(crate) fn prepare(self) -> Self {
        let lines: Vec<String> = SCRIPT_LINES.iter().map(|line| format!("    '{line}'")).collect();
        self.line(format!("RUN printf '%s\\n' \\\n{} \\\n    >{SCRIPT}", lines.join(" \\\n")))
    }

    /// The user that runs the following steps, and owns what they copy.
    pub(crate) fn user(mut self, name: &str, uid: u32) -> Self {
        self.uid = Some(uid);
        self.line(format!("USER {name}"))
    }

    pub(crate) fn copy(self, files: &[impl AsRef<str>], to: &str) -> Self {
        let files: Vec<&str> = files.iter().map(AsRef::as_ref).collect();
        let owner = self.owner();
        self.line(format!("COPY {owner}{} {to}", files.join(" ")))
    }

    pub(crate) fn copy_from(self, stage: &str, path: &str, to: &str) -> Self {
        let owner = self.owner();
        self.line(format!("COPY --from={stage} {owner}{path} {to}"))
    }

    fn owner(&self) -> String {
        self.uid.map(|uid| format!("--chown={uid}:{uid} ")).unwrap_or_default()
    }

    /// The step that builds the app, if there is one; a changed variable repeats it.
    pub(crate) fn build(self, command: Option<String>) -> Self {
        match command {
            Some(command) => self.build_by(Run::of(command)),
            None => self,
        }
    }

    /// The step that builds the app; a changed variable repeats it.
    pub(crate) fn build_by(self, run: Run) -> Self {
        let mut writer = self.line(format!("ARG {VARIABLES_ARG}"));
        writer.commands.build.push(one_line(&run.command));
        writer.step(run)
    }

    /// A step before or after the one that builds the app.
    pub(crate) fn run(mut self, run: Run) -> Self {
        if !run.plain {
            self.commands.install.push(one_line(&run.command));
        }
        self.step(run)
    }

    fn step(self, run: Run) -> Self {
        if run.plain && run.caches.is_empty() {
            return self.line(format!("RUN {}", run.command));
        }
        let owner = self.uid.map(|uid| format!(",uid={uid}")).unwrap_or_default();
        let group = self.uid.map(|uid| format!(",gid={uid}")).unwrap_or_default();
        let mut mounts: Vec<String> = run
            .caches
            .iter()
            .map(|(id, target, locked)| {
                let sharing = if *locked { ",sharing=locked" } else { "" };
                format!("--mount=type=cache,id=temps-{id},target={target}{owner}{group}{sharing}")
            })
            .collect();
        if !run.plain {
            mounts.push(format!("--mount=type=secret,id={CA_SECRET}{owner}"));
            mounts.push(format!("--mount=type=secret,id={VARIABLES_SECRET}{owner}"));
        }
        let source = if run.plain { String::new() } else { format!(". {SCRIPT} && ") };
        self.line(format!("RUN {} \\\n    {source}{}", mounts.join(" \\\n    "), run.command))
    }

    /// Installs Debian packages, as root.
    pub(crate) fn packages(self, packages: &[&str]) -> Self {
        if packages.is_empty() {
            return self;
        }
        self.line(format!(
            "RUN apt-get update \\\n    && apt-get install -y --no-install-recommends {} \\\n    && rm -rf /var/lib/apt/lists/*",
            packages.join(" ")
        ))
    }

    /// What a running app finds in its environment.
    pub(crate) fn listen(self, port: u16) -> Self {
        self.line(format!("ENV HOST=0.0.0.0 PORT={port}\nEXPOSE {port}"))
    }

    /// The start command, run by a shell that makes way for it, so that signals reach the app.
    pub(crate) fn start(mut self, command: &str) -> Self {
        self.commands.start = Some(command.to_owned());
        let words = ["/bin/sh", "-c", &making_way(command)];
        self.line(format!("CMD {}", serde_json::json!(words)))
    }

    /// The text, and the commands in it.
    pub(crate) fn finish(self) -> (String, Commands) {
        (self.text, self.commands)
    }
}

/// A command without the breaks that a Dockerfile has in it.
fn one_line(command: &str) -> String {
    let lines: Vec<&str> = command.lines().map(|line| line.trim_end_matches('\\').trim()).collect();
    lines.join(" ")
}

/// The command with `exec` before its last part, where that is one plain command.
fn making_way(command: &str) -> String {
    if command.contains("&&") && command.contains(['"', '\'']) {
        return command.trim().to_owned();
    }
    let (before, last) = match command.rsplit_once("&&") {
        Some((before, last)) => (format!("{} && ", before.trim()), last.trim()),
        None => (String::new(), command.trim()),
    };
    let first = last.split_whitespace().next().unwrap_or_default();
    let compound = last.contains(['|', ';', '&', '(', '`', '<', '>'])
        || matches!(first, "exec" | "cd" | "if" | "for" | "while" | ".");
    match () {
        () if compound || first.is_empty() => command.trim().to_owned(),
        () if first.contains('=') => format!("{before}exec env {last}"),
        () => format!("{before}exec {last}"),
    }
}

/// One word for a shell, whatever is in it.
pub(crate) fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{making_way, one_line};

    #[test]
    fn a_command_is_shown_in_one_line() {
        assert_eq!(one_line("a b \\\n    || a c"), "a b || a c");
        assert_eq!(one_line("go build ."), "go build .");
    }

    #[test]
    fn the_shell_makes_way_for_the_last_command() {
        for (command, expect) in [
            ("node server.js", "exec node server.js"),
            ("NODE_ENV=production node .", "exec env NODE_ENV=production node ."),
            ("./migrate && node .", "./migrate && exec node ."),
            ("node a.js & node b.js", "node a.js & node b.js"),
            ("exec node .", "exec node ."),
            ("cd app", "cd app"),
            ("cd app && node .", "cd app && exec node ."),
        ] {
            assert_eq!(making_way(command), expect);
        }
    }
}
