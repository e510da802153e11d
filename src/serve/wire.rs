//! A client's connection as a stream of bytes. Several tasks may send on it, each a whole message at a time.

mod in_time;

pub(super) use in_time::WriteTimeout;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use parking_lot::{Mutex, MutexGuard};
use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use crate::live::Sent;

/// A connection. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Wire(Arc<SharedWire>);

#[derive(Debug)]
struct SharedWire {
    stream: TcpStream,
    /// The number of bytes that may still be read from an unauthenticated client; `usize::MAX` means no limit.
    readable: AtomicUsize,
    /// True if each write is a whole message, between which other tasks may send.
    is_shared: AtomicBool,
    /// The rest of a message that was sent partly.
    rest: Mutex<BytesMut>,
    handing_over: Mutex<HandingOver>,
    /// Notifies the task that serves HTTP that a stream has taken over the connection.
    left: Notify,
}

/// The progress of a connection's hand-over from HTTP to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandingOver {
    Not,
    /// The connection is handed over once everything written is sent.
    Begun,
    Done,
}

/// The hand-over of a connection from HTTP to a stream, beginning with the body of its response. HTTP drops this when
/// it releases the connection.
#[derive(Debug)]
pub(super) struct HandOver {
    wire: Wire,
    taken: Option<oneshot::Sender<()>>,
}

impl HandOver {
    /// Begins the hand-over after the response's head is written. It ends once the head is sent.
    pub(super) fn begin(&self) {
        let mut state = self.wire.handing_over();
        if *state == HandingOver::Not {
            *state = HandingOver::Begun;
        }
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        let mut state = self.wire.handing_over();
        if *state != HandingOver::Done {
            *state = HandingOver::Not;
        } else if let Some(taken) = self.taken.take() {
            // The stream may have given up.
            _ = taken.send(());
        }
    }
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(Arc::new(SharedWire {
            stream,
            readable: AtomicUsize::new(usize::MAX),
            is_shared: AtomicBool::new(false),
            rest: Mutex::default(),
            handing_over: Mutex::new(HandingOver::Not),
            left: Notify::new(),
        }))
    }

    /// Limits the bytes that are read from now on. Reading more is an error.
    pub(super) fn limit_reads(&self, bytes: usize) {
        self.0.readable.store(bytes, Ordering::Relaxed);
    }

    /// Removes the limit on reads.
    pub(super) fn lift_limit(&self) {
        self.limit_reads(usize::MAX);
    }

    /// Returns true if more was read than the limit allows.
    pub(super) fn is_over_limit(&self) -> bool {
        self.0.readable.load(Ordering::Relaxed) == 0
    }

    /// Counts bytes against the limit on reads.
    fn count_read(&self, bytes: usize) -> io::Result<()> {
        let readable = self.0.readable.load(Ordering::Relaxed);
        if readable == usize::MAX {
            return Ok(());
        }
        let rest = readable.saturating_sub(bytes);
        self.0.readable.store(rest, Ordering::Relaxed);
        if rest > 0 { Ok(()) } else { Err(io::ErrorKind::QuotaExceeded.into()) }
    }

    /// Prepares the hand-over of the connection, which begins when the response's body is polled. The receiver gets a
    /// message once HTTP has released the connection, and fails if the client disconnects before.
    pub(super) fn hand_over(&self) -> (HandOver, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (HandOver { wire: self.clone(), taken: Some(sender) }, receiver)
    }

    /// Waits until the connection is handed over and [shared](Self::share), so that HTTP must release it.
    pub(super) async fn left(&self) {
        self.0.left.notified().await;
    }

    /// Returns true if the connection is [shared](Self::share).
    fn is_shared(&self) -> bool {
        self.0.is_shared.load(Ordering::Acquire)
    }

    fn handing_over(&self) -> MutexGuard<'_, HandingOver> {
        self.0.handing_over.lock()
    }

    /// Makes each later write a whole message, so that other tasks may send in between.
    pub(super) fn share(&self) {
        self.0.is_shared.store(true, Ordering::Release);
    }

    fn rest(&self) -> MutexGuard<'_, BytesMut> {
        self.0.rest.lock()
    }

    /// Sends a message on a [shared](Self::share) connection without waiting. If only a part can be sent, the rest is
    /// sent with the next write or flush. While a rest is pending, nothing is sent: this is where backpressure begins.
    pub(super) fn send(&self, bytes: &[u8]) -> Sent {
        let mut rest = self.rest();
        if !rest.is_empty() {
            return Sent::Nothing;
        }
        match self.0.stream.try_write(bytes) {
            Ok(sent) if sent == bytes.len() => Sent::All,
            Ok(sent) => {
                rest.extend_from_slice(&bytes[sent..]);
                Sent::Part
            }
            // The task that reads and writes handles all other errors.
            Err(_) => Sent::Nothing,
        }
    }

    /// Writes once the operating system accepts bytes.
    fn poll_write_with<T>(&self, context: &mut Context<'_>, write: impl Fn() -> io::Result<T>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.0.stream.poll_write_ready(context))?;
            match write() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Sends the rest of a message.
    fn poll_rest(&self, context: &mut Context<'_>, rest: &mut BytesMut) -> Poll<io::Result<()>> {
        while !rest.is_empty() {
            let sent = ready!(self.poll_write_with(context, || self.0.stream.try_write(rest)))?;
            rest.advance(sent);
        }
        // Most connections never need this memory again.
        *rest = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// Accepts a whole message, once the rest of the last message is sent. Bytes that the operating system does not
    /// accept are buffered.
    fn poll_write_whole(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut rest = self.rest();
        ready!(self.poll_rest(context, &mut rest))?;
        let sent = match self.0.stream.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        rest.extend_from_slice(&bytes[sent..]);
        Poll::Ready(Ok(bytes.len()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.stream.poll_read_ready(context))?;
            match self.0.stream.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.and_then(|bytes| self.count_read(bytes))),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_shared() {
            self.poll_write_whole(context, bytes)
        } else {
            self.poll_write_with(context, || self.0.stream.try_write(bytes))
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_shared() {
            let first = slices.iter().find(|slice| !slice.is_empty());
            self.poll_write_whole(context, first.map_or(&[], |slice| slice))
        } else {
            self.poll_write_with(context, || self.0.stream.try_write_vectored(slices))
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_rest(context, &mut self.rest()))?;
        let mut state = self.handing_over();
        if *state == HandingOver::Begun {
            *state = HandingOver::Done;
            self.share();
            self.0.left.notify_one();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_rest(context, &mut self.rest()))?;
        Poll::Ready(match shutdown(&self.0.stream, Shutdown::Write) {
            // The client has closed the connection already.
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A connection and its other end.
    async fn connected() -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Wire::new(listener.accept().await.unwrap().0), other)
    }

    #[tokio::test]
    async fn messages_are_sent_whole_whichever_task_sends_them() {
        let (mut wire, mut other) = connected().await;
        wire.share();
        let sender = wire.clone();
        let (piece, written) = (vec![b'a'; 100_000], vec![b'b'; 100_000]);
        // Pieces are sent until the operating system accepts no more.
        let mut sent = 0;
        let last = loop {
            match sender.send(&piece) {
                Sent::All => sent += 1,
                other => break other,
            }
        };
        assert_eq!(sender.send(&piece), if last == Sent::Part { Sent::Nothing } else { last });
        sent += usize::from(last == Sent::Part);
        let write = async {
            wire.write_all(&written).await.unwrap();
            while sender.send(&piece) != Sent::All {
                wire.flush().await.unwrap();
            }
            wire.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let ((), count) = tokio::join!(write, other.read_to_end(&mut read));
        assert_eq!(count.unwrap(), read.len());
        let pieces: Vec<_> = read.chunk_by(|one, other| one == other).map(|piece| (piece[0], piece.len())).collect();
        assert_eq!(pieces, [(b'a', sent * piece.len()), (b'b', written.len()), (b'a', piece.len())]);
    }

    #[tokio::test]
    async fn a_wire_is_a_connection_like_any_other() {
        let (mut wire, mut other) = connected().await;
        other.write_all(b"asked").await.unwrap();
        let mut asked = [0; 5];
        wire.read_exact(&mut asked).await.unwrap();
        assert_eq!(wire.write_vectored(&[IoSlice::new(b"ans"), IoSlice::new(b"wered")]).await.unwrap(), 8);
        assert_eq!(&asked, b"asked");
        wire.shutdown().await.unwrap();
        let mut answered = String::new();
        other.read_to_string(&mut answered).await.unwrap();
        assert_eq!(answered, "answered");
        drop(other);
        assert_eq!(wire.read(&mut asked).await.unwrap(), 0);
    }
}
