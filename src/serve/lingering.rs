//! Request bodies whose unread rest is still read for a moment, and discarded.
//!
//! A route that refuses a request because of its head leaves the body unread. If the connection were closed at once,
//! the client's operating system would discard the response when more of the body arrived at the closed connection (RFC
//! 9112, section 9.6).

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::http::{HeaderMap, Version, header};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// The time for which an unread body is discarded.
const LINGER: Duration = Duration::from_secs(2);

/// The number of bytes of an unread body that are discarded.
const MAX_DISCARDED: usize = 1 << 20;

/// A request's body. When it is dropped, the rest is discarded in the background, within bounds.
pub(super) struct LingeringBody {
    /// None after the end.
    inner: Option<Incoming>,
    lingers: bool,
}

impl LingeringBody {
    /// Wraps the body of a request. An HTTP/2 body can be rejected on its own, and a client that waits for `100
    /// Continue` does not send a rejected body.
    pub(super) fn new(inner: Incoming, version: Version, headers: &HeaderMap) -> Self {
        let lingers = version <= Version::HTTP_11 && !headers.contains_key(header::EXPECT);
        Self { inner: Some(inner), lingers }
    }
}

impl HttpBody for LingeringBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.inner = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for LingeringBody {
    fn drop(&mut self) {
        if self.lingers
            && let Some(inner) = self.inner.take()
            && !inner.is_end_stream()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            drop(runtime.spawn(timeout(LINGER, discard(inner))));
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut discarded = 0;
    while discarded < MAX_DISCARDED
        && let Some(Ok(frame)) = body.frame().await
    {
        discarded += frame.data_ref().map_or(0, Bytes::len);
    }
}
