//! Identifiers: a prefix that names the noun, and a ULID, so that ids sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

/// An id that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form {prefix}_…")]
pub struct IdError {
    prefix: &'static str,
    text: String,
}

/// What all ids have in common: they are made from a time and 80 random bits that the caller draws.
pub trait Id: Sized + Copy + Ord + fmt::Display + FromStr<Err = IdError> {
    /// The prefix before the underscore.
    const PREFIX: &'static str;

    /// Makes an id from milliseconds since the epoch and a random number (the low 80 bits count).
    fn from_parts(at_ms: u64, random: u128) -> Self;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl Id for $name {
            const PREFIX: &'static str = $prefix;

            fn from_parts(at_ms: u64, random: u128) -> Self {
                Self(Ulid::from_parts(at_ms, random))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, self.0.to_string().to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let bad = || IdError { prefix: $prefix, text: text.chars().take(64).collect() };
                let ulid = text.strip_prefix(concat!($prefix, "_")).ok_or_else(bad)?;
                Ulid::from_string(&ulid.to_ascii_uppercase()).map(Self).map_err(|_| bad())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A project: one app of a team.
    ProjectId = "prj";
    /// A token that nodes join with.
    JoinTokenId = "jtk";
    /// An environment of a project.
    EnvironmentId = "env";
    /// One attempt to run a version of a project in an environment.
    DeploymentId = "dep";
    /// A certificate that edges show.
    CertificateId = "crt";
    /// An account with a DNS provider.
    DnsProviderId = "dns";
    /// One container's place in a deployment.
    ReplicaId = "rep";
    /// A person who may log in.
    UserId = "usr";
    /// A `tk_…` key's record.
    ApiKeyId = "key";
    /// A browser session.
    SessionId = "ses";
    /// One request to change something; a retry carries the same one.
    RequestId = "req";
}

/// A node: the index of the log entry that admitted it, never used again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for NodeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self).map_err(|_| IdError { prefix: "node", text: text.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints_and_sorts_by_time() {
        let early = ProjectId::from_parts(1_000, 7);
        let late = ProjectId::from_parts(1_001, 0);
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse(), Ok(early));
        assert!(early.to_string().starts_with("prj_"));
    }

    #[test]
    fn an_id_of_another_noun_is_refused() {
        let project = ProjectId::from_parts(1, 1).to_string();
        assert!(project.parse::<UserId>().is_err());
        assert!("prj_".parse::<ProjectId>().is_err());
        assert!("".parse::<ProjectId>().is_err());
    }
}
