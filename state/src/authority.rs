//! The cluster's own certificate authority: who is signed by it belongs to the cluster.

use serde::{Deserialize, Serialize};

use crate::{Rejected, Reply, Sealed, State};

/// The certificate authority of the cluster, under key 0 of its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Its certificate, in PEM.
    pub certificate: String,
    /// Its private key, PKCS #8 in PEM, sealed for [`Authority::KEY_PLACE`].
    pub key: Sealed,
}

impl Authority {
    /// What the private key is sealed for.
    pub const KEY_PLACE: &'static str = "authority/key";
}

impl State {
    /// The cluster's certificate authority, once it is founded.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.get(&0)
    }

    /// There is one authority, for ever: every node pins it.
    pub(crate) fn found_authority(&mut self, authority: Authority) -> Result<Reply, Rejected> {
        if self.authority().is_some() {
            return Err(Rejected::taken("authority", "of the cluster"));
        }
        self.authority.insert(0, authority);
        Ok(Reply::Done)
    }
}
