//! Where the API of a cluster answers: any of its nodes does, and one that does not is passed over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config_file::normal_url;
use crate::error::CliError;

/// The most addresses of one cluster that are kept.
pub const ADDRESSES_MAX: usize = 100;

/// Addresses of one cluster's API, at least one. Clones share which of them is asked.
#[derive(Debug, Clone)]
pub struct Addresses {
    all: Arc<[String]>,
    asked: Arc<AtomicUsize>,
}

impl Addresses {
    /// Reads addresses with commas between them; each is kept once.
    pub fn read(text: &str) -> Result<Self, CliError> {
        let mut all = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let url = normal_url(part)?;
            if !all.contains(&url) {
                all.push(url);
            }
        }
        match all.len() {
            0 => normal_url("").map(Self::only),
            1..=ADDRESSES_MAX => Ok(Self { all: all.into(), asked: Arc::default() }),
            _ => Err(CliError::usage(
                "these are too many addresses",
                format!("at most {ADDRESSES_MAX} are of use"),
                "temps login with the addresses of a few nodes",
            )),
        }
    }

    /// One address.
    pub fn only(url: String) -> Self {
        Self { all: [url].into(), asked: Arc::default() }
    }

    /// Every address, the preferred one first.
    pub fn all(&self) -> &[String] {
        &self.all
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The first address alone, for what is meant for one node.
    pub fn first(&self) -> Self {
        Self::only(self.all[0].clone())
    }

    /// All but the first.
    pub fn others(&self) -> &[String] {
        &self.all[1..]
    }

    /// The address that is asked now.
    pub fn asked(&self) -> &str {
        &self.all[self.asked.load(Ordering::Relaxed) % self.all.len()]
    }

    /// Asks the one after it from now on; after the last comes the first.
    pub fn ask_next(&self) -> &str {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.asked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_once_each_and_asked_in_turn() {
        let read = Addresses::read("a:1, http://b:2/ ,a:1,").unwrap();
        assert_eq!(read.all(), ["http://a:1", "http://b:2"]);
        let shared = read.clone();
        assert_eq!((read.asked(), read.ask_next()), ("http://a:1", "http://b:2"));
        assert_eq!(shared.asked(), "http://b:2");
        assert_eq!(shared.ask_next(), "http://a:1");
        assert_eq!(shared.first().all(), ["http://a:1"]);
        assert_eq!(shared.others(), ["http://b:2"]);
    }

    #[test]
    fn no_address_and_a_wrong_one_are_refused() {
        for bad in ["", ",", "http://a,ftp://b", "http://"] {
            assert!(Addresses::read(bad).is_err(), "{bad}");
        }
        let many: Vec<_> = (0..=ADDRESSES_MAX).map(|n| format!("h{n}")).collect();
        assert!(Addresses::read(&many.join(",")).is_err());
    }
}
