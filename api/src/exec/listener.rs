//! The client at the other end of a WebSocket, for as long as it is there.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// How often a client is asked whether it is there. Every WebSocket answers that by itself (RFC 6455 §5.5.2).
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long it may say nothing, not even that.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A client that is asked whether it is there.
pub(super) struct Listener {
    socket: WebSocket,
    pings: Interval,
    silence_max: Duration,
    /// Since when it owes an answer.
    asked: Option<Instant>,
}

impl Listener {
    pub fn new(socket: WebSocket) -> Self {
        Self::with(socket, PING_EVERY, SILENCE_MAX)
    }

    fn with(socket: WebSocket, ping_every: Duration, silence_max: Duration) -> Self {
        let mut pings = interval(ping_every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { socket, pings, silence_max, asked: None }
    }

    /// What the client says next; `None` when it is gone. Unless it `hears`, nothing is read: then the client is gone
    /// when it cannot be asked any more, and its silence means nothing. Nothing is lost when this is dropped.
    pub async fn next(&mut self, hears: bool) -> Option<Message> {
        loop {
            tokio::select! {
                // What it has said counts before what it has not.
                biased;
                message = self.socket.recv(), if hears => {
                    self.asked = None;
                    return message?.ok();
                }
                _ = self.pings.tick() => {
                    self.asked = self.asked.filter(|_| hears);
                    if self.asked.is_some_and(|asked| asked.elapsed() > self.silence_max) {
                        return None;
                    }
                    self.asked.get_or_insert_with(Instant::now);
                    self.tell(Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }

    /// Ends it because whoever it is may not go on (RFC 6455 §7.4.1).
    pub async fn dismiss(mut self) {
        let reason = "you are logged out, or may not do this any more".into();
        let frame = CloseFrame { code: close_code::POLICY, reason };
        let _ = self.tell(Message::Close(Some(frame))).await;
    }

    /// Sends something; `None` when the client is gone.
    pub async fn tell(&mut self, message: Message) -> Option<()> {
        self.socket.send(message).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::WebSocketUpgrade;
    use axum::routing::any;
    use futures::{SinkExt, StreamExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio::time::timeout;
    use tokio_tungstenite::{connect_async, tungstenite};

    use super::*;

    const OFTEN: Duration = Duration::from_millis(20);
    const SILENCE: Duration = Duration::from_secs(1);
    const ENOUGH: Duration = Duration::from_secs(20);

    /// What a listener with little patience hears; ends when it takes the client for gone.
    async fn listen() -> (String, mpsc::Receiver<Message>) {
        let (told, heard) = mpsc::channel(8);
        let hear = move |upgrade: WebSocketUpgrade| async move {
            upgrade.on_upgrade(|socket| async move {
                let mut client = Listener::with(socket, OFTEN, SILENCE);
                while let Some(message) = client.next(true).await {
                    if matches!(message, Message::Text(_)) {
                        let _ = told.send(message).await;
                    }
                }
                let _ = told.send(Message::Close(None)).await;
            })
        };
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", socket.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(socket, Router::new().route("/", any(hear))).await });
        (url, heard)
    }

    #[tokio::test]
    async fn a_client_that_answers_nothing_is_gone() {
        let (url, mut heard) = listen().await;
        // Nobody reads what comes here, so nothing is answered.
        let (_client, _) = connect_async(url).await.unwrap();
        let last = timeout(ENOUGH, heard.recv()).await.expect("it is given up");
        assert_eq!(last, Some(Message::Close(None)));
    }

    #[tokio::test]
    async fn a_client_that_only_answers_is_there() {
        let (url, mut heard) = listen().await;
        let (mut client, _) = connect_async(url).await.unwrap();
        // More than silence would have taken.
        for _ in 0..2 * SILENCE.as_millis() / OFTEN.as_millis() {
            let ping = timeout(ENOUGH, client.next()).await.expect("it is asked");
            assert!(matches!(ping, Some(Ok(tungstenite::Message::Ping(_)))), "{ping:?}");
        }
        client.send(tungstenite::Message::text("here")).await.unwrap();
        let message = timeout(ENOUGH, heard.recv()).await.expect("it is heard").unwrap();
        assert_eq!(message, Message::Text("here".into()));
    }
}
