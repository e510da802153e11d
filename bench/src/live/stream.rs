//! A subscriber by server-sent events that only counts, as [`Socket`](crate::socket::Socket) does by WebSocket.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use memchr::memmem::find;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Number of bytes that a read asks for.
const READ: usize = 64 << 10;

/// The end of an event.
const END: &[u8] = b"\n\n";

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream {
    connection: TcpStream,
    unread: Vec<u8>,
}

impl Stream {
    /// Opens a stream of a subscription.
    pub(super) async fn open(address: SocketAddr, query: &str, variables: &Value) -> Result<Self> {
        let body = json!({"query": query, "variables": variables}).to_string();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             accept: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut connection = TcpStream::connect(address).await?;
        connection.set_nodelay(true)?;
        connection.write_all(request.as_bytes()).await?;
        let mut head = Vec::with_capacity(1024);
        let end = loop {
            if connection.read_buf(&mut head).await? == 0 {
                bail!("a stream was not opened");
            }
            if let Some(end) = find(&head, b"\r\n\r\n") {
                break end + 4;
            }
        };
        if !head.starts_with(b"HTTP/1.1 200") {
            bail!("a stream was refused: {}", String::from_utf8_lossy(&head));
        }
        Ok(Self { connection, unread: head.split_off(end) })
    }

    /// Reads what is there, and calls `each` with each event; waits until there is something. An event has the sizes of
    /// HTTP's chunks before it, as an event is never in two chunks.
    pub(super) async fn count(&mut self, each: &mut impl FnMut(&[u8])) -> Result<()> {
        if self.unread.capacity() - self.unread.len() < READ / 2 {
            self.unread.reserve(READ);
        }
        if self.connection.read_buf(&mut self.unread).await? == 0 {
            bail!("the server is gone");
        }
        let mut at = 0;
        while let Some(length) = find(&self.unread[at..], END) {
            let event = &self.unread[at..at + length];
            if find(event, b"event: next").is_some() {
                each(event);
            }
            at += length + END.len();
        }
        self.unread.drain(..at);
        Ok(())
    }
}
