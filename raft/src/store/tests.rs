//! What a store says of rows that another version wrote.

use temps_state::Settings;

use super::*;
use crate::folder::Folder;
use crate::store::rows::Rows;

/// A store whose settings are of a format that this version does not know.
fn newer(dir: &Path) {
    let mut content = Content::default();
    content.state.settings.insert(0, Settings::default());
    let (mut rows, _) = Rows::load(dir).map_err(io::Error::from).unwrap();
    let mut changes = content.state.rows();
    for row in &mut changes {
        row.value.as_mut().unwrap()[0] = temps_state::FORMAT + 1;
    }
    rows.write(&changes, &content.position).unwrap();
    rows.close();
}

#[test]
fn rows_of_a_newer_version_are_said_to_be_so_and_not_set_aside() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder { root: root.path().into() };
    newer(&folder.state());
    for _ in 0..2 {
        let opened = Store::open(&folder.state(), folder.lock().unwrap(), |_| Ok(true));
        let Err(RaftError::StateFormat { found, .. }) = opened else {
            panic!("it was opened, or set aside");
        };
        assert_eq!(found, temps_state::FORMAT + 1);
    }
}
