//! Queries that come as datagrams.

use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::time::sleep;
use tracing::debug;

use crate::crowd::{Crowd, Whose};
use crate::desk::Desk;
use crate::limits::{QUERIES_MAX, QUERIES_PER_CLIENT_MAX, QUERY_BYTES_MAX, RECEIVE_PAUSE};
use crate::upstream::Transport;

/// Answers for ever; what is under way ends with it.
pub(crate) async fn serve(socket: UdpSocket, desk: Arc<Desk>) {
    let socket = Arc::new(socket);
    let mut crowd = Crowd::new(QUERIES_MAX, QUERIES_PER_CLIENT_MAX);
    let mut buffer = vec![0; QUERY_BYTES_MAX];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = crowd.ended() => continue,
        };
        let (query, client) = match received {
            Ok((length, client)) => (&buffer[..length], client),
            Err(error) => {
                debug!(%error, "cannot receive a query");
                sleep(RECEIVE_PAUSE).await;
                continue;
            }
        };
        let whose = Whose { client: client.ip(), site: None };
        if !crowd.has_room(whose) {
            if let Some(answer) = desk.busy(query) {
                let _ = socket.send_to(&answer, client).await;
            }
            continue;
        }
        let (socket, desk, query) = (socket.clone(), desk.clone(), query.to_vec());
        crowd.begin(whose, |_| async move {
            if let Some(answer) = desk.reply(&query, client.ip(), Transport::Udp).await {
                let _ = socket.send_to(&answer, client).await;
            }
        });
    }
}
