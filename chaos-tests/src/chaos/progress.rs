//! A line every few seconds for whoever watches.

use std::time::Duration;

use tokio::sync::watch;

use super::Field;
use super::watch::Known;
use crate::history::FaultKind;

/// From one line to the next.
const LINES: Duration = Duration::from_secs(5);

/// Tells how it goes until it is dropped.
pub(super) async fn tell(
    field: Field,
    length: Duration,
    known: watch::Receiver<Known>,
    faults: watch::Receiver<Vec<FaultKind>>,
    say: fn(&str),
) {
    let began = field.recorder.now();
    let mut before = 0;
    loop {
        tokio::time::sleep(LINES).await;
        let at = field.recorder.now().since(began);
        let [answered, failed, unknown] = field.recorder.counts().now();
        let rate = (answered - before) as f64 / LINES.as_secs_f64();
        before = answered;
        let faults: Vec<&str> = faults.borrow().iter().map(|kind| kind.name()).collect();
        let faults = if faults.is_empty() { "-".into() } else { faults.join(", ") };
        let leader = known.borrow().leader.map_or("-".into(), |leader| format!("n{leader}"));
        say(&format!(
            "{:>6} of {}  {answered:>7} answered ({rate:.0}/s)  {failed:>5} failed  {unknown:>4} unknown  \
             leader {leader}  faults: {faults}",
            minutes(at),
            minutes(length)
        ));
    }
}

fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}
