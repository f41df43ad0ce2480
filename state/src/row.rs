//! How values become bytes: a format number, then JSON. The number is the first format that had the value, so that an
//! equal value gives equal bytes in every version, and one that is too new says so.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::format::{FIRST, FORMAT, SECOND};
use crate::{DeploymentId, Entry, EnvironmentId, NodeId, VariableName};

/// One row of a table, encoded: the unit of storage, of snapshots and of comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `<table>/<key>`.
    pub key: String,
    /// The encoded value; `None` where the row is gone.
    pub value: Option<Vec<u8>>,
}

/// Why bytes are not a value.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// Written by a version of Temps that this one does not know.
    #[error("it has format {found}, and this version reads formats up to {FORMAT}")]
    Format {
        /// The format number found; 0 for no bytes at all.
        found: u8,
    },
    /// The JSON is not the value's.
    #[error("the value cannot be read")]
    Json(#[from] serde_json::Error),
    /// The key names no table, or is not a key of its table.
    #[error("`{0}` is not the key of a row")]
    Key(String),
}

/// What rows are made of.
pub(crate) trait Value: Serialize {
    /// The first format that had this value.
    fn since(&self) -> u8 {
        FIRST
    }
}

macro_rules! of_the_first_format {
    ($($value:ty),*) => {$(impl Value for $value {})*};
}

macro_rules! of_the_second_format {
    ($($value:ty),*) => {$(
        impl Value for $value {
            fn since(&self) -> u8 {
                SECOND
            }
        }
    )*};
}

of_the_second_format!(
    crate::AcmeAccount,
    crate::Domain,
    crate::HeaderPolicy,
    crate::Order,
    crate::Spent,
    crate::TicketKey
);

of_the_first_format!(
    u64,
    crate::ApiKey,
    crate::AuditRecord,
    crate::Authority,
    crate::Environment,
    crate::EnvironmentId,
    crate::JoinToken,
    crate::ProjectId,
    crate::Replica,
    crate::Session,
    crate::User,
    crate::UserId,
    crate::Variable
);

/// Encodes the value of a row in the format that it needs.
pub(crate) fn encode_value<V: Value>(value: &V) -> Vec<u8> {
    encode_in(value.since(), value)
}

/// Encodes a value that the first format had.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_in(FIRST, value)
}

fn encode_in<T: Serialize>(format: u8, value: &T) -> Vec<u8> {
    let mut bytes = vec![format];
    serde_json::to_writer(&mut bytes, value).expect("state values have string keys and no I/O");
    bytes
}

impl Entry {
    /// Encodes the entry in the format that it needs.
    pub fn encode(&self) -> Vec<u8> {
        encode_in(u8::try_from(self.format()).unwrap_or(u8::MAX), self)
    }
}

/// Decodes what was encoded in this or an older format. Fields that are not known are passed over.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RowError> {
    match bytes.split_first() {
        Some((FIRST..=FORMAT, json)) => Ok(serde_json::from_slice(json)?),
        Some((&found, _)) => Err(RowError::Format { found }),
        None => Err(RowError::Format { found: 0 }),
    }
}

/// A table's key as text that sorts like the key.
pub(crate) trait Key: Sized {
    fn to_text(&self) -> String;
    fn from_text(text: &str) -> Option<Self>;
}

macro_rules! keys_as_printed {
    ($($key:ty),*) => {$(
        impl Key for $key {
            fn to_text(&self) -> String {
                self.to_string()
            }

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}

keys_as_printed!(
    String,
    crate::Name,
    crate::DomainName,
    crate::Scope,
    crate::CertificateId,
    crate::DnsProviderId,
    crate::JoinTokenId,
    crate::ProjectId,
    EnvironmentId,
    DeploymentId,
    crate::ReplicaId,
    crate::TagName,
    crate::UserId,
    crate::ApiKeyId,
    crate::SessionId
);

impl Key for u64 {
    fn to_text(&self) -> String {
        format!("{self:020}")
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Key for NodeId {
    fn to_text(&self) -> String {
        self.0.to_text()
    }

    fn from_text(text: &str) -> Option<Self> {
        u64::from_text(text).map(Self)
    }
}

impl Key for (EnvironmentId, VariableName) {
    fn to_text(&self) -> String {
        format!("{}/{}", self.0, self.1)
    }

    fn from_text(text: &str) -> Option<Self> {
        let (environment, name) = text.split_once('/')?;
        Some((environment.parse().ok()?, name.parse().ok()?))
    }
}
