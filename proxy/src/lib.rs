//! The edge: takes the requests of the world and answers them from replicas and static sites.
//!
//! A connection comes in through the `listener`, which reads and judges each request's head before Pingora sees it.
//! `phases` finds the route in the `route_table`, and either serves a file of a `static_site`, proxies to an
//! `upstream` endpoint that the `connector` reaches, or answers with an `error_page`. No lock, no Raft and no database
//! on this path: the route table is swapped whole whenever the state, or what the node sees of itself, changes.
#![forbid(unsafe_code)]

mod accept_encoding;
mod access_line;
mod access_log;
mod acme;
mod answer;
mod answer_window;
mod budget;
mod by_name;
mod choice;
mod chunks;
mod client;
mod client_share;
mod compress;
mod conditions;
mod connection;
mod connection_count;
mod connector;
mod digits;
mod domain_probe;
mod domains;
mod edge;
mod endpoint;
mod error;
mod error_page;
mod farewell;
mod follower;
mod form;
mod frame_budget;
mod guard;
mod handle;
mod head;
mod headers;
mod host;
mod http2;
mod http2_head;
mod http3;
mod inner;
mod inner_listener;
mod limits;
mod line_stream;
mod listener;
mod live_table;
mod metrics;
mod networks;
mod overtime;
mod own_answer;
mod ownership;
mod phases;
mod ports;
mod proxy_protocol;
mod reach;
mod recent;
mod refusal;
mod request;
mod request_count;
mod request_target;
mod route;
mod route_table;
mod seat;
mod seats;
mod security_headers;
mod sites;
mod stamp;
mod static_site;
mod ticket_rotation;
mod tls;
mod transport;
mod upstream;
mod vicinity;
mod view;

pub use access_line::AccessLines;
pub use acme::{keep_certificates, keep_previews, keep_renewal_advice};
pub use domain_probe::{DomainProbe, Names, SeenAddress, Sight};
pub use edge::{Edge, EdgeConfig, EdgeSockets};
pub use error::EdgeError;
pub use guard::Countries;
pub use handle::EdgeHandle;
pub use inner::{INNER_PORT, Inner, Residents};
pub use ownership::keep_verifying;
pub use reach::{Duplex, Nowhere, Reach};
pub use recent::{KEPT_OF_ONE, Recent, SeenRequest};
pub use ticket_rotation::keep_ticket_keys;
pub use tls::{Refused, ShownCertificate};
pub use vicinity::LocalEndpoints;
pub use view::EdgeView;
