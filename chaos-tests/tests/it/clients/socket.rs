//! An open WebSocket.

use futures::{SinkExt, StreamExt};
use http::Request;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Count, Place, Visit, said};

/// The only one that the small app knows.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

type Open = WebSocketStream<TlsStream<TcpStream>>;

/// A client that says something now and then, and comes again once it is told to.
pub struct Socket {
    place: Place,
    open: Option<Open>,
    farewells: Count,
}

impl Socket {
    /// Counts how often it was told to come again.
    pub fn new(place: Place, farewells: Count) -> Self {
        Self { place, open: None, farewells }
    }

    async fn opened(&mut self) -> Result<&mut Open, String> {
        if self.open.is_none() {
            let stream = self.place.connect(b"http/1.1").await?;
            let request = Request::get(format!("wss://{}/", self.place.name));
            let request = request.header("host", &self.place.name).header("sec-websocket-key", KEY);
            let request = request.header("connection", "upgrade").header("upgrade", "websocket");
            let request = request.header("sec-websocket-version", "13").body(());
            let opened = client_async(request.map_err(said("opening"))?, stream).await;
            self.open = Some(opened.map_err(said("opening"))?.0);
        }
        Ok(self.open.as_mut().expect("it is open"))
    }
}

impl Visit for Socket {
    async fn visit(&mut self) -> Result<(), String> {
        let socket = self.opened().await?;
        let said = Message::text("hello");
        // What says goodbye meanwhile is to be read still.
        let sent = socket.send(said.clone()).await;
        let heard = socket.next().await;
        match heard {
            Some(Ok(heard)) if heard == said => Ok(()),
            Some(Ok(Message::Close(Some(reason))))
                if matches!(reason.code, CloseCode::Away | CloseCode::Restart) =>
            {
                self.farewells.add();
                self.open = None;
                Ok(())
            }
            other => {
                self.open = None;
                Err(format!("it ends with {other:?}, sent {sent:?}"))
            }
        }
    }
}
