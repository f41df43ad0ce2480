//! What the standard library leaves out of writing files so that they survive a power cut.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes renames and new names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
