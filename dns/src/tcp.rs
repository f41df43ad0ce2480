//! Queries that come over connections.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::crowd::{Crowd, Voice, Whose};
use crate::limits::{
    CONNECTION_IDLE_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX, LINGER, QUERY_BYTES_MAX,
    RECEIVE_PAUSE,
};
use crate::upstream::write_message;

/// Who answers what comes over connections.
pub(crate) trait Clerk: Send + Sync + 'static {
    /// How long a connection may last.
    const LIFE_MAX: Duration;

    /// Whose connections are counted together with a client's.
    fn crowd_of(&self, client: IpAddr) -> Whose;

    /// The answer to a query; without one, the connection ends.
    fn answer(&self, query: &[u8], client: IpAddr) -> impl Future<Output = Option<Vec<u8>>> + Send;
}

/// Answers until it is to stop, and then for a moment those who are connected: their queries may be on their way. What is
/// under way ends with it.
pub(crate) async fn serve<C: Clerk>(
    listener: TcpListener,
    clerk: Arc<C>,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let mut crowd = Crowd::new(CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = crowd.ended() => continue,
            () = &mut stop => break,
        };
        let (stream, client) = match accepted {
            Ok((stream, client)) => (stream, client.ip()),
            Err(error) => {
                debug!(%error, "cannot accept a connection");
                sleep(RECEIVE_PAUSE).await;
                continue;
            }
        };
        let whose = clerk.crowd_of(client);
        if !crowd.makes_room(whose) {
            debug!(%client, "refused a connection: too many are open");
            continue;
        }
        let clerk = clerk.clone();
        crowd.begin(whose, |voice| async move {
            let _ = timeout(C::LIFE_MAX, converse(stream, &*clerk, client, &voice)).await;
        });
    }
    drop(listener);
    let _ = timeout(LINGER, crowd.all_ended()).await;
}

/// One query after the other.
async fn converse<C: Clerk>(
    mut stream: TcpStream,
    clerk: &C,
    client: IpAddr,
    voice: &Voice,
) -> io::Result<()> {
    loop {
        let query = timeout(CONNECTION_IDLE_MAX, read_query(&mut stream)).await??;
        voice.heard();
        let Some(answer) = clerk.answer(&query, client).await else {
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
