//! A connection that speaks as little HTTP/1.1 as a load needs: keep-alive, and answers with a Content-Length.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// An open connection. A client library would cost as much as the gateway that is measured.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
    /// Where in it the body of the last whole answer is.
    body: Range<usize>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?)
    }

    /// Connects from an address of this machine.
    pub(crate) async fn open_from(local: IpAddr, address: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((local, 0).into())?;
        Self::over(socket.connect(address).await?)
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(4096), body: 0..0 })
    }

    /// Sends a part of a request, and waits until the other side closes the connection.
    pub(crate) async fn hold(&mut self, part: &[u8]) -> io::Result<()> {
        self.stream.write_all(part).await?;
        loop {
            self.answer.clear();
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Sends a request and waits for its whole answer; gives the status.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        self.body = 0..0;
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((status, body)) = whole_answer(&self.answer)? {
                self.body = body;
                return Ok(status);
            }
        }
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        &self.answer[self.body.clone()]
    }
}

/// The status of an answer that is whole, and where its body is; None while bytes are missing.
fn whole_answer(bytes: &[u8]) -> io::Result<Option<(u16, Range<usize>)>> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let Some(end) = bytes.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD) else {
        return Ok(None);
    };
    let (status, length) = read_head(&bytes[..end])
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an answer with a Content-Length"))?;
    let body = end + END_OF_HEAD.len()..end + END_OF_HEAD.len() + length;
    Ok((bytes.len() >= body.end).then_some((status, body)))
}

/// The status and the length of the body.
fn read_head(head: &[u8]) -> Option<(u16, usize)> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())?;
    Some((status, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\ndate: x\r\n\r\nok";
        for length in 0..answer.len() {
            assert_eq!(whole_answer(&answer[..length]).unwrap(), None, "{length} bytes");
        }
        let (status, body) = whole_answer(answer).unwrap().unwrap();
        assert_eq!((status, &answer[body]), (200, &b"ok"[..]));
        let (status, body) = whole_answer(b"HTTP/1.1 503 Away\r\ncontent-length: 0\r\n\r\n").unwrap().unwrap();
        assert_eq!((status, body.len()), (503, 0));
    }

    #[test]
    fn what_it_does_not_speak_is_an_error() {
        for head in ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked", "HTTP/1.0 200 OK\r\ncontent-length: 0", "SSH-2.0"]
        {
            assert!(whole_answer(format!("{head}\r\n\r\n").as_bytes()).is_err(), "{head}");
        }
    }
}
