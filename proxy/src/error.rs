//! What can go wrong before the edge serves.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use temps_state::{CertificateId, SealError};

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
    /// The file that says where addresses are could not be read.
    #[error(
        "cannot read {path} as a file of countries: {source}; --geoip takes a file in MaxMind's format, such as GeoLite2-Country.mmdb"
    )]
    ReadCountries {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        #[source]
        source: maxminddb::MaxMindDbError,
    },
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
    /// A certificate that answers an authority's challenge could not be used.
    #[error("the answer to a challenge cannot be used: {0}")]
    UseAnswer(#[source] rustls::Error),
    /// The system gave no random octets.
    #[error("cannot draw a key for session tickets: {0}")]
    DrawTicketKey(#[source] rustls::Error),
    /// The edge was not given the key that opens what the state holds sealed.
    #[error("the edge has no cluster key")]
    NoClusterKey,
    /// The key of a certificate does not open.
    #[error("the key of certificate {id} does not open: {source}; upload the certificate again")]
    OpenCertificate {
        /// The certificate.
        id: CertificateId,
        /// Why.
        #[source]
        source: SealError,
    },
    /// A certificate of the state cannot be used.
    #[error("certificate {id} cannot be used: {source}; upload it again with its own key")]
    ShowCertificate {
        /// The certificate.
        id: CertificateId,
        /// What was wrong.
        #[source]
        source: rustls::Error,
    },
    /// A key of session tickets does not open.
    #[error("a key of session tickets does not open: {0}")]
    OpenTicketKey(#[source] SealError),
    /// A key of session tickets has not 32 octets.
    #[error("a key of session tickets is not 32 octets in Base64")]
    ReadTicketKey,
}

impl EdgeError {
    pub(crate) fn listen(addr: SocketAddr, scheme: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { addr, scheme, source },
            _ => Self::Listen { addr, scheme, source },
        }
    }
}
