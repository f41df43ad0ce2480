//! Where addresses are, as a file in MaxMind's format says.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{PathElement, Reader};
use temps_state::Country;

use super::verdict::Place;
use crate::EdgeError;

/// A file that says in which country an address is. It is read whole, once.
pub struct Countries(Reader<Vec<u8>>);

/// Where the country stands in the records of the usual files, the likeliest first.
const PATHS: [&[PathElement<'static>]; 4] = [
    &[PathElement::Key("country"), PathElement::Key("iso_code")],
    &[PathElement::Key("registered_country"), PathElement::Key("iso_code")],
    &[PathElement::Key("country_code")],
    &[PathElement::Key("country")],
];

impl Countries {
    /// Reads a file, such as GeoLite2-Country.mmdb.
    pub fn open(path: &Path) -> Result<Self, EdgeError> {
        let reader = Reader::open_readfile(path);
        reader.map(Self).map_err(|source| EdgeError::ReadCountries { path: path.into(), source })
    }

    /// Where an address is.
    pub(crate) fn place_of(&self, address: IpAddr) -> Place {
        let found = self.0.lookup(address).ok();
        let country = found.and_then(|found| {
            let at = |path| found.decode_path::<&str>(path).ok().flatten()?.parse().ok();
            PATHS.into_iter().find_map(at)
        });
        country.map_or(Place::Nowhere, |country: Country| Place::In(country))
    }
}

impl fmt::Debug for Countries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Countries({})", self.0.metadata().database_type)
    }
}
