//! A connection on which a test writes HTTP by itself: requests that no library sends.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a gateway.
pub(crate) struct RawHttp {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

/// An answer with a length.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    /// The head of the answer, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl RawHttp {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    /// Connects from an address of this machine.
    pub(crate) async fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        Self { stream: socket.connect(address).await.unwrap(), read: Vec::new() }
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends bytes, of which the gateway need not take all.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await.is_ok_and(|sent| sent.is_ok())
    }

    /// Reads an answer.
    pub(crate) async fn answer(&mut self) -> RawAnswer {
        let head_end = self.until(|read| read.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)).await;
        let head = String::from_utf8(self.read.drain(..head_end).collect()).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let length: usize = length.unwrap_or(0);
        self.until(|read| (read.len() >= length).then_some(length)).await;
        let body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        RawAnswer { status, head, body }
    }

    /// Waits until the gateway has closed the connection. What still comes is not looked at.
    pub(crate) async fn closed(&mut self) {
        let closed = async {
            let mut read = [0; 4096];
            // A connection that is reset is closed, too.
            while matches!(self.stream.read(&mut read).await, Ok(1..)) {}
        };
        timeout(PATIENCE, closed).await.expect("the gateway closes the connection in time");
    }

    async fn until(&mut self, end: impl Fn(&[u8]) -> Option<usize>) -> usize {
        loop {
            if let Some(end) = end(&self.read) {
                return end;
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await.expect("an answer comes in time");
            assert_ne!(read.unwrap(), 0, "the connection ends: {}", String::from_utf8_lossy(&self.read));
        }
    }
}
