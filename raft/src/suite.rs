//! openraft's own storage suite over the real log and store.

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use crate::log::Log;
use crate::machine::Machine;
use crate::parts::Parts;
use crate::types::TypeConfig;

struct Builder;

impl StoreBuilder<TypeConfig, Log, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, Log, Machine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_path_buf();
        let opened = tokio::task::spawn_blocking(move || Parts::open(root)).await.unwrap();
        let Parts { log, machine, .. } = opened.unwrap();
        Ok((dir, log, machine))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_and_state_keep_to_openrafts_rules() {
    Suite::test_all(Builder).await.unwrap();
}
