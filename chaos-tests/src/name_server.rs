//! A real name server, Debian's `knot`, that takes dynamic updates (RFC 2136), on the host's side of a ground.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::net::TcpStream;

use crate::knot_config::{KEY, config};
use crate::program::{Program, folder_for};
use crate::wait::{RECOVERY, until};
use crate::{Ground, GroundError};

/// Where names are looked up.
const PORT: u16 = 53;

/// A running server of one zone. It ends when this is dropped.
#[derive(Debug)]
pub struct NameServer {
    credentials: PathBuf,
    _program: Program,
}

impl NameServer {
    /// Starts one for a zone that has no names yet, and has all machines of the ground look names up there.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(ground: &Ground, zone: &str) -> Result<Self, GroundError> {
        let (address, folder) = (ground.host(), folder_for(ground, "name-server")?);
        let credentials = write(&folder, address, zone)
            .map_err(|source| GroundError::Folder { path: folder.clone(), source })?;
        let program = Program::start(&folder, "knotd", &["-c", "knot.conf"], &[])?;
        let answers = async || TcpStream::connect((address, PORT)).await.is_ok();
        until("the name server answers", RECOVERY, answers).await?;
        for node in ground.nodes() {
            node.look_names_up_at(address)?;
        }
        Ok(Self { credentials, _program: program })
    }

    /// The file with what a cluster may change its zone with, as `temps dns providers add rfc2136` takes it.
    #[must_use]
    pub fn credentials(&self) -> &Path {
        &self.credentials
    }
}

/// Writes what the server is started with, and the credentials.
fn write(folder: &Path, address: Ipv4Addr, zone: &str) -> io::Result<PathBuf> {
    let listen = SocketAddr::from((address, PORT));
    let records = format!(
        "$ORIGIN {zone}.\n$TTL 30\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A {address}\n"
    );
    let credentials = json!({ "server": listen.to_string(), "key": "temps", "secret": KEY });
    let path = folder.join("credentials.json");
    fs::write(folder.join("knot.conf"), config(folder, listen, zone))?;
    fs::write(folder.join("zone"), records)?;
    fs::write(&path, credentials.to_string())?;
    Ok(path)
}
