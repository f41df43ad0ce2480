//! How the messages of the consensus library go over the wire: MessagePack with the names of the fields, so that a
//! version may add some.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Packs a message.
pub fn pack<T: Serialize>(message: &T) -> Bytes {
    rmp_serde::to_vec_named(message).expect("messages are plain data").into()
}

/// Unpacks a message.
pub fn unpack<T: DeserializeOwned>(octets: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    rmp_serde::from_slice(octets)
}
