//! Flags that cannot be followed.

/// A flag that cannot be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that makes no sense.
    #[error("--{flag} {value} is no {kind}")]
    Value {
        /// The flag.
        flag: &'static str,
        /// What it was given.
        value: String,
        /// What it takes.
        kind: &'static str,
        /// What is wrong with the value.
        why: String,
        /// A value that would do.
        example: &'static str,
    },
    /// Two listeners on one port.
    #[error("--{first} and --{second} cannot both listen on port {port}")]
    PortTwice {
        /// One flag.
        first: &'static str,
        /// The other flag.
        second: &'static str,
        /// The port.
        port: u16,
    },
    /// The first admin cannot be made of what the environment says.
    #[error("{variable} cannot be used for the first admin")]
    Admin {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it. Passwords are not repeated.
        why: String,
    },
    /// Nobody knows where the data shall be.
    #[error("there is no place for the node's data")]
    NoDataDir,
}

impl ConfigError {
    /// Why, and what to do next.
    pub fn advice(&self) -> (String, String) {
        match self {
            Self::Value { flag, why, example, .. } => {
                let env = flag.replace('-', "_").to_uppercase();
                (why.clone(), format!("temps serve --{flag} {example} (or TEMPS_{env}={example})"))
            }
            Self::PortTwice { second, port, .. } => (
                "their addresses overlap".into(),
                format!("give --{second} another port than {port}"),
            ),
            Self::Admin { variable, why } => {
                (why.clone(), format!("set {variable} to another value, or unset it"))
            }
            Self::NoDataDir => ("HOME is not set".into(), "temps serve --data-dir FOLDER".into()),
        }
    }
}
