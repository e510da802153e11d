//! The sink of a stream: its chunks go into a response's body, or onto a connection that the stream has for itself.

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use crate::serve::wire::Wire;

/// The destination of a stream's chunks.
pub(super) enum StreamSink {
    /// Into a response's body. None is the stream's end.
    Body(mpsc::Sender<Option<Bytes>>),
    /// Onto a connection of HTTP/1.1. No further request can come on it, since the response has no end before the
    /// connection's.
    Wire {
        wire: Wire,
        /// Receives a message when HTTP has let go of the connection.
        taken: oneshot::Receiver<()>,
    },
}

/// The client has closed the connection.
#[derive(Debug)]
pub(super) struct ClientGone;

/// The stream broke off before its end.
#[derive(Debug, thiserror::Error)]
#[error("the client reads too slowly")]
struct CutOff;

impl StreamSink {
    /// A sink, and the body of the response with which the stream begins.
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

    /// Waits until chunks can be sent. Must be called once, before everything else.
    pub(super) async fn ready(&mut self) -> Result<(), ClientGone> {
        match self {
            Self::Body(_) => Ok(()),
            Self::Wire { taken, .. } => taken.await.map_err(|_| ClientGone),
        }
    }

    /// Sends a text, unless it is empty, and the stream's end, if this is it.
    pub(super) async fn send(&mut self, text: String, is_end: bool) -> Result<(), ClientGone> {
        match self {
            Self::Body(sender) => {
                let chunk = (!text.is_empty()).then(|| Some(text.into()));
                for chunk in chunk.into_iter().chain(is_end.then_some(None)) {
                    sender.send(chunk).await.map_err(|_| ClientGone)?;
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
                sent.await.map_err(|_| ClientGone)
            }
        }
    }

    /// Waits until the client closes the connection.
    pub(super) async fn closed(&mut self) {
        match self {
            Self::Body(sender) => sender.closed().await,
            Self::Wire { wire, .. } => {
                // What the client sends is ignored.
                let mut ignored = [0; 64];
                while matches!(wire.read(&mut ignored).await, Ok(1..)) {}
            }
        }
    }
}

/// The end of a body that is sent in chunks.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Writes a chunk of a body (RFC 9112, section 7.1). An empty text writes nothing, since an empty chunk is the end.
pub(super) fn write_chunk(out: &mut Vec<u8>, text: &str) {
    if !text.is_empty() {
        out.extend(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes());
    }
}

/// The response's body. A channel that closes without the stream's end makes the body fail, so that the client sees a
/// broken connection.
fn body(receiver: mpsc::Receiver<Option<Bytes>>) -> Body {
    let chunks = ReceiverStream::new(receiver).map(Ok).chain(tokio_stream::once(Err(CutOff)));
    Body::from_stream(chunks.map_while(Result::transpose))
}
