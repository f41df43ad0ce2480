//! What can go wrong before the edge serves.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the edge could not start, or could not change its certificate.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// Another program listens there.
    #[error(
        "cannot listen on {addr} for {scheme}: another program uses the port; stop it, or choose another with --{scheme}"
    )]
    PortInUse {
        /// The address.
        addr: SocketAddr,
        /// `http` or `https`.
        scheme: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system refused the address.
    #[error(
        "cannot listen on {addr} for {scheme}: {source}; ports below 1024 need root or CAP_NET_BIND_SERVICE, and the address must be one of this machine"
    )]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// `http` or `https`.
        scheme: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gave no threads.
    #[error("cannot start the edge's threads")]
    StartThreads(#[source] io::Error),
    /// The preview domain's certificate could not be made.
    #[error("cannot make a self-signed certificate for {domain}")]
    MakeCertificate {
        /// The preview domain.
        domain: String,
        /// What was wrong.
        #[source]
        source: rcgen::Error,
    },
    /// The preview domain's certificate could not be read or kept.
    #[error(
        "cannot read or write {path}: {source}; check the data folder's permissions and free space"
    )]
    KeepCertificate {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The kept certificate cannot be used.
    #[error(
        "the certificate in {path} cannot be used: {source}; delete the file and the .key beside it to have a new one made"
    )]
    UseCertificate {
        /// Its file.
        path: PathBuf,
        /// What was wrong.
        #[source]
        source: rustls::Error,
    },
}

impl EdgeError {
    pub(crate) fn listen(addr: SocketAddr, scheme: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { addr, scheme, source },
            _ => Self::Listen { addr, scheme, source },
        }
    }
}
