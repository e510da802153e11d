//! A subscriber that only counts: a WebSocket client that reads as little as it must.

use std::io;
use std::net::SocketAddr;

use anyhow::{Result, bail};
use memchr::memmem::find_iter;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Where in it the next frame starts.
    at: usize,
}

/// A WebSocket's frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'f> {
    /// A message.
    Text(&'f [u8]),
    /// A ping, and what it bears.
    Ping(&'f [u8]),
    /// Anything else.
    Other,
}

/// How much is read at once: many subscribers share the client's memory.
const READ: usize = 64 << 10;

/// How a message ends that asks for a sign of life, and the answer.
const PING: &[u8] = br#""type":"ping"}"#;
const PONG: &[u8] = br#"{"type":"pong"}"#;

/// How much the system takes for a narrow one, in bytes.
const NARROW: u32 = 16 << 10;

impl Socket {
    /// Connects and shakes hands.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        Self::shake_hands(address, TcpStream::connect(address).await?).await
    }

    /// The same, for whom the system takes little that is not read: who stops to read is felt soon.
    async fn open_narrow(address: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(NARROW)?;
        Self::shake_hands(address, socket.connect(address).await?).await
    }

    async fn shake_hands(address: SocketAddr, mut stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /graphql HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut unread = Vec::with_capacity(4096);
        let end = loop {
            if stream.read_buf(&mut unread).await? == 0 {
                bail!("the handshake was not answered");
            }
            if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        if !unread.starts_with(b"HTTP/1.1 101") {
            bail!("the handshake was refused: {}", String::from_utf8_lossy(&unread));
        }
        Ok(Self { stream, unread, at: end })
    }

    /// Connects, and subscribes; the server has acknowledged the connection then.
    pub(crate) async fn subscribe(address: SocketAddr, query: &str, variables: &Value) -> Result<Self> {
        Self::open(address).await?.subscribed(&json!({}), query, variables).await
    }

    /// Connects with the value of an `Authorization` header, and subscribes.
    pub(crate) async fn subscribe_as(
        address: SocketAddr,
        authorization: &str,
        query: &str,
        variables: &Value,
    ) -> Result<Self> {
        let payload = json!({"authorization": authorization});
        Self::open(address).await?.subscribed(&payload, query, variables).await
    }

    /// The same, by a socket that is felt soon when nobody reads it.
    pub(crate) async fn subscribe_narrow(address: SocketAddr, query: &str, variables: &Value) -> Result<Self> {
        Self::open_narrow(address).await?.subscribed(&json!({}), query, variables).await
    }

    async fn subscribed(mut self, payload: &Value, query: &str, variables: &Value) -> Result<Self> {
        self.send(&json!({"type": "connection_init", "payload": payload})).await?;
        let acknowledged = self.next(|frame| matches!(frame, Frame::Text(_))).await?;
        if !acknowledged {
            bail!("the connection was not acknowledged");
        }
        let payload = json!({"query": query, "variables": variables});
        self.send(&json!({"type": "subscribe", "id": "1", "payload": payload})).await?;
        Ok(self)
    }

    async fn send(&mut self, message: &Value) -> io::Result<()> {
        self.send_frame(0x81, message.to_string().as_bytes()).await
    }

    /// Sends a frame, masked with zeros as clients must mask.
    async fn send_frame(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = vec![kind];
        match u16::try_from(payload.len()) {
            Ok(short @ ..126) => frame.push(0x80 | short.to_be_bytes()[1]),
            Ok(length) => {
                frame.push(0x80 | 0x7e);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame).await
    }

    /// Reads one frame, and asks what to make of it.
    pub(crate) async fn next<T>(&mut self, read: impl FnOnce(Frame<'_>) -> T) -> Result<T> {
        loop {
            if let Some((kind, start, end)) = whole_frame(&self.unread[self.at..]) {
                let payload = &self.unread[self.at + start..self.at + end];
                let frame = match kind {
                    0x1 => Frame::Text(payload),
                    0x9 => Frame::Ping(payload),
                    _ => Frame::Other,
                };
                let read = read(frame);
                self.at += end;
                return Ok(read);
            }
            self.read_more().await?;
        }
    }

    /// Reads what is there, and counts the messages in it; waits until there is something.
    pub(crate) async fn count(&mut self, each: &mut impl FnMut(&[u8])) -> Result<()> {
        self.read_more().await?;
        let mut pongs = Vec::new();
        while let Some((kind, start, end)) = whole_frame(&self.unread[self.at..]) {
            let payload = &self.unread[self.at + start..self.at + end];
            match kind {
                0x1 if payload.ends_with(PING) => pongs.push((0x81, PONG.to_vec())),
                0x1 => each(payload),
                0x9 => pongs.push((0x8a, payload.to_vec())),
                0x8 => bail!("the server closes: {payload:?}"),
                _ => {}
            }
            self.at += end;
        }
        for (kind, pong) in pongs {
            self.send_frame(kind, &pong).await?;
        }
        Ok(())
    }

    async fn read_more(&mut self) -> Result<()> {
        self.unread.drain(..self.at);
        self.at = 0;
        if self.unread.capacity() - self.unread.len() < READ / 2 {
            self.unread.reserve(READ);
        }
        if self.stream.read_buf(&mut self.unread).await? == 0 {
            bail!("the server is gone");
        }
        Ok(())
    }
}

/// The key of an event's position. No document of the bench selects the position of a payload itself.
const POSITION: &[u8] = br#""position":"#;

/// Returns the number of events in a message.
pub(crate) fn events(message: &[u8]) -> usize {
    find_iter(message, POSITION).count()
}

/// Returns the positions of the events in a message, in order.
pub(crate) fn positions(message: &[u8]) -> impl Iterator<Item = i64> {
    find_iter(message, POSITION).filter_map(|at| {
        let digits = message[at + POSITION.len()..].trim_ascii_start();
        let digits = digits.strip_prefix(b"\"").unwrap_or(digits);
        let end = digits.iter().position(|next| !next.is_ascii_digit()).unwrap_or(digits.len());
        std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
    })
}

/// The kind of a frame that is whole, and where its payload is.
fn whole_frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (kind, length) = (*bytes.first()? & 0x0f, usize::from(*bytes.get(1)? & 0x7f));
    let (start, length) = match length {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        length => (2, length),
    };
    (bytes.len() >= start + length).then_some((kind, start, start + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_a_message_are_found_by_their_positions() {
        for (message, expected) in [
            (r#"{"data":{"syncEvents":{"events":[{"position":"17","a":1},{"a":2,"position":"18"}]}}}"#, &[17, 18][..]),
            (r#"{"data":{"syncEvents":{"events":[]}}}"#, &[]),
            (r#"{"syncEvents":{"position":19}}"#, &[19]),
        ] {
            assert_eq!(positions(message.as_bytes()).collect::<Vec<_>>(), expected, "{message}");
            assert_eq!(events(message.as_bytes()), expected.len(), "{message}");
        }
    }

    #[test]
    fn a_frame_is_whole_with_its_last_byte() {
        let long = [&[0x81, 126, 0, 200][..], &[b'x'; 200]].concat();
        assert_eq!(whole_frame(b"\x81\x02ok\x81"), Some((1, 2, 4)));
        assert_eq!(whole_frame(b"\x89\x00"), Some((9, 2, 2)));
        assert_eq!(whole_frame(&long), Some((1, 4, 204)));
        for length in 0..long.len() {
            assert_eq!(whole_frame(&long[..length]), None, "{length}");
        }
    }
}
