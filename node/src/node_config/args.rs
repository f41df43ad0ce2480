//! The flags as they were given.

use std::path::PathBuf;

/// The flags as they were given; each has a twin in the environment.
#[derive(clap::Args, Debug)]
pub struct ServeArgs {
    /// Where the node keeps its data. [default: /var/lib/temps for root, ~/.local/share/temps otherwise]
    #[arg(long, env = "TEMPS_DATA_DIR", value_name = "FOLDER")]
    pub(super) data_dir: Option<PathBuf>,
    /// Where apps are served over HTTP.
    #[arg(long, env = "TEMPS_HTTP", default_value = "0.0.0.0:80", value_name = "ADDRESS")]
    pub(super) http: String,
    /// Where apps are served over HTTPS; `off` for nowhere.
    #[arg(long, env = "TEMPS_HTTPS", default_value = "0.0.0.0:443", value_name = "ADDRESS")]
    pub(super) https: String,
    /// Where the API is served.
    #[arg(long, env = "TEMPS_API", default_value = "127.0.0.1:3000", value_name = "ADDRESS")]
    pub(super) api: String,
    /// Where other nodes are listened to, over TCP and UDP; strangers get nothing there.
    #[arg(long, env = "TEMPS_PEER", default_value = "0.0.0.0:3001", value_name = "ADDRESS")]
    pub(super) peer: String,
    /// Where the node answers for the zones of dns.zones in the settings; `off` for nowhere.
    #[arg(long, env = "TEMPS_DNS", default_value = "off", value_name = "ADDRESS")]
    pub(super) dns: String,
    /// Where other nodes reach this one, when that is not where it listens: behind a NAT, say.
    #[arg(long, env = "TEMPS_ADVERTISE", value_name = "ADDRESS")]
    pub(super) advertise: Option<String>,
    /// How log lines look: text or json.
    #[arg(long, env = "TEMPS_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(super) log_format: String,
    /// What is logged: error, warn, info, debug, trace, or directives such as info,temps_proxy=debug.
    #[arg(long, env = "TEMPS_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub(super) log_level: String,
    /// The container engine's socket.
    #[arg(long, env = "TEMPS_DOCKER_SOCKET", value_name = "SOCKET")]
    #[arg(default_value = "/var/run/docker.sock")]
    pub(super) docker_socket: String,
    /// A program that makes a base image that cannot be pulled; it is given the image's name.
    #[arg(long, env = "TEMPS_BASE_IMAGES", value_name = "PROGRAM")]
    pub(super) base_images: Option<PathBuf>,
    /// A file that says in which country an address is, in MaxMind's format; rules about countries need it.
    #[arg(long, env = "TEMPS_GEOIP", value_name = "FILE")]
    pub(super) geoip: Option<PathBuf>,
    /// What people call the node. [default: its host name]
    #[arg(long, env = "TEMPS_NAME", value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Do not build images on this node.
    #[arg(long, env = "TEMPS_NO_BUILD")]
    pub(super) no_build: bool,
}
