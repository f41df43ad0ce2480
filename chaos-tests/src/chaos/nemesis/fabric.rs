//! A bad network between the nodes, by a program that their packets pass (`deploy/fabric.py`): all links at once.

use crate::GroundError;
use crate::chaos::Field;

/// Packets in a hundred that are lost: so many that connections stall, and elections are lost with them.
const LOST: &str = "15";
/// How late packets come in milliseconds, and by how much more or less.
const LATE: [&str; 2] = ["80", "40"];
/// Packets in a hundred that come twice.
const DOUBLED: &str = "30";
/// Packets in a hundred that others overtake.
const OVERTAKEN: &str = "30";

/// Loses packets.
pub(super) async fn lose(field: &Field) -> Result<(), GroundError> {
    field.ground.shake(&["--loss", LOST]).await
}

/// Holds all packets back for a while.
pub(super) async fn delay(field: &Field) -> Result<(), GroundError> {
    field.ground.shake(&["--delay", LATE[0], "--jitter", LATE[1]]).await
}

/// Lets packets come twice.
pub(super) async fn double(field: &Field) -> Result<(), GroundError> {
    field.ground.shake(&["--double", DOUBLED]).await
}

/// Lets packets overtake others.
pub(super) async fn reorder(field: &Field) -> Result<(), GroundError> {
    field.ground.shake(&["--overtake", OVERTAKEN]).await
}
