//! A worker whose cluster keeps no step of an order, as its disk is full. Needs root, for a small file system.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::ground::{Ground, has};
use crate::support::pebble::Pebble;

const NAME: &str = "shop.example.test";
/// The time in which many tries would show.
const SEVERAL_TRIES: Duration = Duration::from_secs(3);
/// Less than nodes keep for what they report of themselves.
const LEFT_BYTES: u64 = 2 << 20;

/// How often it was said that an order cannot be worked on.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Counts what workers say.
struct Count;

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let is_said = event.metadata().target() == "temps_proxy::acme::work";
        REFUSED.fetch_add(usize::from(is_said), Ordering::Relaxed);
    }
}

/// A file system in memory.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Self {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]).arg(at);
        assert!(
            mount.status().unwrap().success(),
            "this test mounts a tmpfs and needs root for it"
        );
        Self(at.to_owned())
    }

    /// Fills it but for a little.
    fn fill(&self) {
        let mut file = File::create(self.0.join("ballast")).unwrap();
        let piece = [0; 64 << 10];
        let mut written = 0;
        loop {
            match file.write(&piece) {
                Ok(octets) => written += octets as u64,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
        file.set_len(written - LEFT_BYTES).unwrap();
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_left_alone_while_the_disk_is_full() {
    tracing_subscriber::registry().with(Count).init();
    let folder = TempDir::new().unwrap();
    let disk = SmallDisk::mount(folder.path());
    let ground = Ground::start_in(folder).await;
    let habits = [("PEBBLE_VA_NOSLEEP", "1")];
    let pebble = Pebble::start(ground.http.port(), ground.https.port(), &habits).await;
    ground.ask(&pebble).await;
    let name = ground.domain(NAME).await;
    disk.fill();
    let (_, cancel) = ground.keep();
    tokio::time::sleep(SEVERAL_TRIES).await;
    assert_eq!(REFUSED.load(Ordering::Relaxed), 1, "it is not tried again at once");
    disk.clear();
    ground.until("it gets one", |state| has(state, &name)).await;
    cancel.cancel();
    ground.stop().await;
}
