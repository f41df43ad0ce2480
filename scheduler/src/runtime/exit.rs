//! Why a container ended, in words. Pure.

use bollard::models::ContainerState;
use temps_state::{Failure, FailureCode};

/// What a deployment's record says of a container that ended. `memory` is its limit in octets.
pub fn failure(state: &ContainerState, memory: i64, log_tail: Vec<String>) -> Failure {
    let code = state.exit_code.unwrap_or_default();
    let (message, hint) = if state.oom_killed == Some(true) {
        (
            format!("the app used more than its {} MiB of memory and was ended", memory >> 20),
            "raise `resources.memory` in temps.json, or let the app use less".to_owned(),
        )
    } else {
        (format!("the app ended by itself with {}", describe(code)), hint(code).to_owned())
    };
    Failure { code: FailureCode::Exited, message, hint, log_tail }
}

fn describe(code: i64) -> String {
    match code {
        0 => "code 0, as if it were done".into(),
        126 => "code 126: its command may not be executed".into(),
        127 => "code 127: its command is not there".into(),
        129..=192 => format!("code {code}: signal {}", code - 128),
        _ => format!("code {code}"),
    }
}

fn hint(code: i64) -> &'static str {
    match code {
        0 => "a web app must keep running in the foreground: check the start command",
        126 | 127 => "check the start command in temps.json or the Dockerfile",
        _ => "read the last lines of its log; run it with the same variables to see more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_by_its_code() {
        let of = |exit_code, oom_killed| {
            let state = ContainerState {
                exit_code: Some(exit_code),
                oom_killed: Some(oom_killed),
                ..Default::default()
            };
            failure(&state, 64 << 20, vec![]).message
        };
        assert_eq!(of(0, false), "the app ended by itself with code 0, as if it were done");
        assert_eq!(of(3, false), "the app ended by itself with code 3");
        assert_eq!(of(139, false), "the app ended by itself with code 139: signal 11");
        assert_eq!(of(137, true), "the app used more than its 64 MiB of memory and was ended");
    }
}
