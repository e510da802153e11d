//! Where the pieces of a stream go: into a response's body, or onto the connection that it has for itself.

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use super::super::wire::Wire;
use super::StreamType;
use crate::graphql::Answer;
use crate::live::{Outlet, Sent, Told};

/// Where pieces go.
pub(super) enum Line {
    /// Into a body.
    Body(mpsc::Sender<Piece>),
    /// Onto a connection of HTTP/1.1, in chunks. What else a connection needs for requests, this one needs no more.
    Wire {
        wire: Wire,
        /// Tells that nobody else uses it any more.
        taken: oneshot::Receiver<()>,
    },
}

/// The client is gone.
#[derive(Debug)]
pub(super) struct Gone;

/// A piece of a stream, or its end.
pub(super) enum Piece {
    Bytes(Bytes),
    End,
}

/// The stream broke off before its end.
#[derive(Debug, thiserror::Error)]
#[error("the client reads too slowly")]
struct CutOff;

impl Line {
    /// A line, and the body of the response that begins it.
    pub(super) fn new(wire: Option<Wire>) -> (Self, Body) {
        let Some(wire) = wire else {
            let (sender, receiver) = mpsc::channel(1);
            return (Self::Body(sender), body(receiver));
        };
        let (hand_over, taken) = wire.hand_over();
        let body = stream::poll_fn(move |_| {
            hand_over.begin();
            std::task::Poll::<Option<Result<Bytes, CutOff>>>::Pending
        });
        (Self::Wire { wire, taken }, Body::from_stream(body))
    }

    /// Waits until pieces can be sent: first of all, and once.
    pub(super) async fn ready(&mut self) -> Result<(), Gone> {
        match self {
            Self::Body(_) => Ok(()),
            Self::Wire { taken, .. } => taken.await.map_err(|_| Gone),
        }
    }

    /// Sends a piece, if there is one, and the end, if it is that.
    pub(super) async fn send(&mut self, text: String, is_end: bool) -> Result<(), Gone> {
        match self {
            Self::Body(sender) => {
                let bytes = (!text.is_empty()).then(|| Piece::Bytes(text.into()));
                for piece in bytes.into_iter().chain(is_end.then_some(Piece::End)) {
                    sender.send(piece).await.map_err(|_| Gone)?;
                }
                Ok(())
            }
            Self::Wire { wire, .. } => {
                let mut bytes = Vec::new();
                write_chunk(&mut bytes, &text);
                if is_end {
                    bytes.extend(LAST_CHUNK);
                }
                let sent = async {
                    wire.write_all(&bytes).await?;
                    if is_end { wire.shutdown().await } else { wire.flush().await }
                };
                sent.await.map_err(|_| Gone)
            }
        }
    }

    /// Waits until the client is gone.
    pub(super) async fn closed(&mut self) {
        match self {
            Self::Body(sender) => sender.closed().await,
            Self::Wire { wire, .. } => {
                // Nothing that it says is of interest.
                let mut ignored = [0; 64];
                while matches!(wire.read(&mut ignored).await, Ok(1..)) {}
            }
        }
    }
}

/// How a body ends that is sent in chunks.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A chunk of a body, see RFC 9112, section 7.1; nothing where the text is empty, which would be the end.
fn write_chunk(out: &mut Vec<u8>, text: &str) {
    if !text.is_empty() {
        out.extend(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes());
    }
}

/// The response's body. It ends well only if it is told that it ends.
fn body(receiver: mpsc::Receiver<Piece>) -> Body {
    Body::from_stream(stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(receiver))),
            Some(Piece::End) => None,
            None => Some((Err(CutOff), None)),
        }
    }))
}

/// A stream's operation as an outlet: its answers go out as chunks, without a turn of the stream's own task.
pub(in super::super) struct StreamOutlet {
    wire: Wire,
    stream_type: StreamType,
}

impl StreamOutlet {
    pub(in super::super) const fn new(wire: Wire, stream_type: StreamType) -> Self {
        Self { wire, stream_type }
    }
}

impl Outlet for StreamOutlet {
    fn style(&self) -> &[u8] {
        self.stream_type.content_type().as_bytes()
    }

    fn write(&self, told: &Told, out: &mut Vec<u8>) {
        let mut text = String::new();
        self.stream_type.write_answer(&mut text, &Answer::told(told.clone()));
        write_chunk(out, &text);
    }

    fn send(&self, bytes: &[u8]) -> Sent {
        self.wire.send(bytes)
    }
}
