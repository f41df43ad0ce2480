//! sled answers some errors of the disk, and damage, with a panic. Where that is expected, it is one line of the log and not
//! what a bug of ours looks like, which is told as ever.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use tracing::warn;

/// How the path of each file of sled's begins below the folder that holds the sources of crates.
const SOURCES: &str = "/sled-";

thread_local! {
    static IS_EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Does some work of sled's; nothing when it panicked, or we did on the way.
pub fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            let is_sleds = panic.location().is_some_and(|line| line.file().contains(SOURCES));
            if IS_EXPECTED.get() && is_sleds { tell(panic) } else { usual(panic) }
        }));
    });
    let before = IS_EXPECTED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_EXPECTED.set(before);
    done.ok()
}

fn tell(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let why = text.or_else(|| payload.downcast_ref().copied()).unwrap_or("it does not say why");
    let line = panic.location().map(tracing::field::display);
    warn!(why, line, "the state's store gave up");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_is_expected_is_nothing_and_others_go_on_as_before() {
        assert_eq!(contained(|| 1), Some(1));
        assert_eq!(contained(|| -> u8 { panic!("no room") }), None);
        assert_eq!(contained(|| contained(|| -> u8 { panic!("inside") })), Some(None));
        assert!(catch_unwind(|| panic!("a panic of this test")).is_err() && !IS_EXPECTED.get());
    }
}
