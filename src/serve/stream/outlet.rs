//! The outlet of a stream: workers send answers as chunks, without waking the stream's own task.

use super::StreamType;
use super::sink::write_chunk;
use crate::graphql::Answer;
use crate::live::{Outlet, Payload, Sent};
use crate::serve::wire::Wire;

/// An outlet to a stream that has taken over its connection.
pub(in crate::serve) struct StreamOutlet {
    wire: Wire,
    stream_type: StreamType,
}

impl StreamOutlet {
    pub(in crate::serve) const fn new(wire: Wire, stream_type: StreamType) -> Self {
        Self { wire, stream_type }
    }
}

impl Outlet for StreamOutlet {
    fn format_key(&self) -> &[u8] {
        self.stream_type.content_type().as_bytes()
    }

    fn write(&self, payload: &Payload, out: &mut Vec<u8>) {
        let mut text = String::new();
        self.stream_type.write_answer(&mut text, &Answer::of_payload(payload.clone()));
        write_chunk(out, &text);
    }

    fn send(&self, bytes: &[u8]) -> Sent {
        self.wire.send(bytes)
    }
}
