//! The ports of the edge, and what clients take them for. Pure.

/// Where HTTP is, unless a client says otherwise.
const HTTP_PORT: u16 = 80;
/// Where HTTPS is, unless a client says otherwise.
pub(crate) const HTTPS_PORT: u16 = 443;

/// Where the edge listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) https: Option<u16>,
}

impl Ports {
    /// The port to send a client to that asked this one in the clear. Who asked port 80 of an edge that listens elsewhere
    /// came through something that maps ports, which has HTTPS where everybody has it.
    pub(crate) fn secure(&self, asked: Option<u16>) -> Option<u16> {
        let is_mapped = asked.unwrap_or(HTTP_PORT) == HTTP_PORT && self.http != HTTP_PORT;
        self.https.map(|port| if is_mapped { HTTPS_PORT } else { port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_came_by_mapped_ports_is_sent_to_one() {
        let edge = |http, https| Ports { http, https };
        for (ports, asked, secure) in [
            (edge(80, Some(443)), None, Some(443)),
            (edge(80, Some(8443)), None, Some(8443)),
            (edge(80, Some(8443)), Some(80), Some(8443)),
            (edge(8080, Some(8443)), Some(8080), Some(8443)),
            (edge(8080, Some(8443)), None, Some(443)),
            (edge(8080, Some(8443)), Some(80), Some(443)),
            (edge(8080, Some(8443)), Some(9090), Some(8443)),
            (edge(80, None), None, None),
            (edge(8080, None), None, None),
        ] {
            assert_eq!(ports.secure(asked), secure, "{ports:?} asked at {asked:?}");
        }
    }
}
