//! The sink of a stream: chunks go into a response's body, or directly onto a connection that the stream has taken
//! over.

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use crate::serve::wire::Wire;

/// The destination of a stream's chunks.
pub(super) enum StreamSink {
    /// The response's body. None is the end of the stream.
    Body(mpsc::Sender<Option<Bytes>>),
    /// An HTTP/1.1 connection. No further request can arrive on it, since the response lasts until the connection ends.
    Wire {
        wire: Wire,
        /// Receives a message when HTTP has released the connection.
        taken: oneshot::Receiver<()>,
    },
}

/// The error of a client that has disconnected.
#[derive(Debug)]
pub(super) struct ClientGone;

/// The error of a stream that was ended early.
#[derive(Debug, thiserror::Error)]
#[error("the client reads too slowly")]
struct CutOff;

impl StreamSink {
    /// Creates a sink, and the body of the stream's response.
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

    /// Waits until chunks can be sent. This must be called once before all other methods.
    pub(super) async fn ready(&mut self) -> Result<(), ClientGone> {
        match self {
            Self::Body(_) => Ok(()),
            Self::Wire { taken, .. } => taken.await.map_err(|_| ClientGone),
        }
    }

    /// Sends a text unless it is empty, and then the stream's end if `is_end` is true.
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
                // The client's data is ignored.
                let mut ignored = [0; 64];
                while matches!(wire.read(&mut ignored).await, Ok(1..)) {}
            }
        }
    }
}

/// The end of a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Writes a chunk of a body (RFC 9112, section 7.1). An empty text writes nothing, since an empty chunk is the end.
pub(super) fn write_chunk(out: &mut Vec<u8>, text: &str) {
    if !text.is_empty() {
        out.extend(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes());
    }
}

/// Creates the response's body. If the channel closes before the stream's end, the body fails, so that the client sees
/// a broken connection.
fn body(receiver: mpsc::Receiver<Option<Bytes>>) -> Body {
    let chunks = ReceiverStream::new(receiver).map(Ok).chain(tokio_stream::once(Err(CutOff)));
    Body::from_stream(chunks.map_while(Result::transpose))
}
