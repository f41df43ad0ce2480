//! How often and where a request is sent that nobody answers. Pure.

use std::time::Duration;

/// How often each address is asked at most.
pub const ROUNDS_MAX: u32 = 4;
/// The pause before the second round; it doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(150);

/// How a request went unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// The connection never came about, so that it carried nothing.
    pub unsent: bool,
    /// The time was over.
    pub late: bool,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Ask the next address.
    Elsewhere,
    /// Begin anew after a pause.
    Again(Duration),
    /// It has failed.
    GiveUp,
}

/// What was tried so far.
#[derive(Debug)]
pub struct Attempts {
    addresses: usize,
    repeatable: bool,
    round: u32,
    asked: usize,
    pause: Duration,
    late: bool,
}

impl Attempts {
    /// Nothing was tried yet. `repeatable` is what may be sent twice and takes effect once.
    pub fn new(addresses: usize, repeatable: bool) -> Self {
        Self { addresses, repeatable, round: 1, asked: 0, pause: PAUSE_FIRST, late: false }
    }

    /// What to do after an attempt that nobody answered.
    pub fn after(&mut self, silence: Silence) -> Next {
        self.asked += 1;
        self.late |= silence.late;
        if !(silence.unsent || self.repeatable) {
            return Next::GiveUp;
        }
        if self.asked < self.addresses {
            return Next::Elsewhere;
        }
        // Who was waited for long enough once is not waited for again.
        if self.late || self.round >= ROUNDS_MAX {
            return Next::GiveUp;
        }
        let pause = self.pause;
        (self.round, self.asked, self.pause) = (self.round + 1, 0, pause * 2);
        Next::Again(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Silence = Silence { unsent: true, late: false };
    const CUT: Silence = Silence { unsent: false, late: false };
    const SILENT: Silence = Silence { unsent: false, late: true };
    const UNROUTED: Silence = Silence { unsent: true, late: true };

    #[test]
    fn what_was_not_sent_goes_elsewhere_and_what_may_have_been_only_when_it_is_safe() {
        for (addresses, repeatable, silence, next) in [
            (2, false, REFUSED, Next::Elsewhere),
            (2, false, UNROUTED, Next::Elsewhere),
            (2, false, CUT, Next::GiveUp),
            (2, false, SILENT, Next::GiveUp),
            (2, true, CUT, Next::Elsewhere),
            (2, true, SILENT, Next::Elsewhere),
            (1, false, REFUSED, Next::Again(PAUSE_FIRST)),
            (1, true, CUT, Next::Again(PAUSE_FIRST)),
            (1, false, CUT, Next::GiveUp),
            (1, true, SILENT, Next::GiveUp),
            (1, false, UNROUTED, Next::GiveUp),
        ] {
            let case = format!("{addresses} {repeatable} {silence:?}");
            assert_eq!(Attempts::new(addresses, repeatable).after(silence), next, "{case}");
        }
    }

    #[test]
    fn every_address_is_asked_a_bounded_number_of_times() {
        for addresses in 1..4 {
            let mut attempts = Attempts::new(addresses, true);
            let sent = 1 + (0..).take_while(|_| attempts.after(REFUSED) != Next::GiveUp).count();
            assert_eq!(sent, addresses * ROUNDS_MAX as usize);
        }
    }

    #[test]
    fn nobody_is_waited_for_twice() {
        let mut attempts = Attempts::new(2, true);
        assert_eq!(attempts.after(UNROUTED), Next::Elsewhere);
        assert_eq!(attempts.after(REFUSED), Next::GiveUp);
    }
}
