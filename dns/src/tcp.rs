//! Queries that come over connections.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::crowd::Crowd;
use crate::desk::Desk;
use crate::limits::{
    CONNECTION_IDLE_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX, QUERY_BYTES_MAX,
    RECEIVE_PAUSE,
};
use crate::upstream::{Transport, write_message};

/// Answers for ever; what is under way ends with it.
pub(crate) async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    let mut crowd = Crowd::new(CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = crowd.ended() => continue,
        };
        match accepted {
            Ok((stream, client)) if crowd.has_room(client.ip()) => {
                let (desk, client) = (desk.clone(), client.ip());
                crowd.begin(client, async move {
                    let _ = converse(stream, &desk, client).await;
                });
            }
            Ok((_, client)) => debug!(%client, "refused a connection: too many are open"),
            Err(error) => {
                debug!(%error, "cannot accept a connection");
                sleep(RECEIVE_PAUSE).await;
            }
        }
    }
}

/// One query after the other.
async fn converse(mut stream: TcpStream, desk: &Desk, client: IpAddr) -> io::Result<()> {
    loop {
        let query = timeout(CONNECTION_IDLE_MAX, read_query(&mut stream)).await??;
        let Some(answer) = desk.answer(&query, client, Transport::Tcp).await else {
            return Ok(());
        };
        timeout(CONNECTION_IDLE_MAX, write_message(&mut stream, &answer)).await??;
    }
}

async fn read_query(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > QUERY_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut query = vec![0; length];
    stream.read_exact(&mut query).await?;
    Ok(query)
}
