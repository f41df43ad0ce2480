//! Why a machine could not join.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::trust::TokenError;
use crate::{RaftError, TrustError};

/// Why a machine could not join. Nothing is half done: the same line may be run again.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum JoinError {
    /// The text is no join token.
    #[error(
        "the join token is not complete or not one ({0}): copy the whole line that `temps nodes \
         token` printed"
    )]
    TokenMalformed(TokenError),
    /// The token was made by another cluster than the peer belongs to.
    #[error(
        "the token belongs to another cluster than {peer}: run `temps nodes token` on a node of the \
         cluster that you want to join, and use both the address and the token that it prints"
    )]
    TokenForeign { peer: String },
    /// The cluster does not have the token, or not any more.
    #[error(
        "{peer} does not know the join token: it was deleted, or expired more than a day ago; run \
         `temps nodes token` on any node for a new one"
    )]
    TokenUnknown { peer: String },
    /// As many nodes joined with the token as may.
    #[error(
        "the join token was used up: run `temps nodes token` on any node for a new one (`--uses N` \
         lets N nodes join with one)"
    )]
    TokenUsed,
    /// The token's time is over.
    #[error(
        "the join token expired at {at}: run `temps nodes token` on any node for a new one (`--ttl` \
         says for how long)"
    )]
    TokenExpired { at: Timestamp },
    /// The clocks differ by too much for certificates and times to mean anything.
    #[error(
        "the clock of this machine says {ours}, the one of {peer} says {theirs}: set the clock \
         (`timedatectl set-ntp true`), then run the same line again"
    )]
    ClockOff { peer: String, ours: Timestamp, theirs: Timestamp },
    /// Nobody answers there.
    #[error(
        "{peer} cannot be reached: check the address, that a node runs there, and that no firewall \
         keeps TCP to its peer port away; then run the same line again"
    )]
    Unreachable { peer: String, source: io::Error },
    /// Somebody answers there, but not as a node does.
    #[error(
        "what answers at {peer} is not the peer port of a node: check the port; `temps nodes token` \
         prints the right one"
    )]
    NotAPeer { peer: String, source: io::Error },
    /// The versions do not work together.
    #[error(
        "this machine has Temps {ours}, and {peer} has {theirs}: install here what runs there, \
         then run the same line again"
    )]
    Incompatible { peer: String, ours: String, theirs: String },
    /// The folder has the data of another cluster.
    #[error(
        "the data folder {} belongs to another cluster: choose another folder with --data-dir, or \
         remove this one if its data is not needed any more",
        path.display()
    )]
    BelongsElsewhere { path: PathBuf },
    /// The cluster cannot admit anybody now.
    #[error(
        "the cluster has no quorum now, so it can admit nobody: bring enough of its nodes back, \
         then run the same line again"
    )]
    NoQuorum,
    /// The peer refused for a reason of its own.
    #[error("{peer} refused: {why}")]
    Refused { peer: String, why: String },
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] RaftError),
    /// A key or certificate cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
}
