//! How a knot is configured that lets a key transfer and update its one zone. The stories of chaos-tests start theirs
//! with this, too.

use std::net::SocketAddr;
use std::path::Path;

/// What updates are signed with.
pub const KEY: &str = "c2VjcmV0IG9mIDMyIG9jdGV0cywgYXMgaXQgaXMgc2FpZA==";

/// It listens there, and has its zone in the file `zone` of the folder.
pub fn config(folder: &Path, listen: SocketAddr, zone: &str) -> String {
    let (dir, address, port) = (folder.display(), listen.ip(), listen.port());
    format!(
        "server:\n  listen: {address}@{port}\n  rundir: {dir}\n  udp-workers: 1\n  tcp-workers: 1\n\
         database:\n  storage: {dir}\n\
         key:\n  - id: temps\n    algorithm: hmac-sha256\n    secret: {KEY}\n\
         acl:\n  - id: temps\n    key: temps\n    action: [transfer, update]\n\
         zone:\n  - domain: {zone}\n    storage: {dir}\n    file: zone\n    acl: temps\n    \
         zonefile-load: whole\n"
    )
}
