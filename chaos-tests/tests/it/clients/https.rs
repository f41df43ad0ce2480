//! Requests over TLS, each on a connection of its own.

use super::{PATIENCE, Place, Visit, said};

/// A client of one version of HTTP.
pub struct Https {
    place: Place,
    http1: bool,
}

impl Https {
    /// One that shakes hands for each request.
    pub fn new(place: Place, http1: bool) -> Self {
        Self { place, http1 }
    }

    fn client(&self) -> reqwest::Client {
        // Somebody else in this process may have installed it first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = reqwest::Certificate::from_der(&self.place.root).expect("a root");
        let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let builder = builder.tls_certs_only([root]).resolve(&self.place.name, self.place.https());
        if self.http1 { builder.http1_only() } else { builder }.build().expect("a client")
    }
}

impl Visit for Https {
    async fn visit(&mut self) -> Result<(), String> {
        let answer = self.client().get(format!("https://{}/", self.place.name)).send().await;
        let answer = answer.map_err(said("asking"))?;
        let (status, version) = (answer.status(), answer.version());
        answer.bytes().await.map_err(said("reading"))?;
        let right = (version == http::Version::HTTP_11) == self.http1;
        (status == 200 && right).then_some(()).ok_or_else(|| format!("{status} {version:?}"))
    }
}
