//! What certificates say, and requests for new ones. Pure but for the keys it draws.

mod chain;
mod error;
mod request;

pub use chain::{Facts, read, read_issued};
pub use error::CertificateError;
pub use request::{Request, draw_request};
