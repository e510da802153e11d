//! The outlet of a socket's operation: workers send answers as frames, without waking the socket's own task.

use smallvec::SmallVec;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::super::wire::Wire;
use super::protocol::Protocol;
use crate::live::{Outlet, Payload, Sent};

/// An outlet to one operation of a socket.
pub(super) struct SocketOutlet {
    wire: Wire,
    /// The text before an answer. Inline, since a worker compares it for each subscriber.
    before: SmallVec<[u8; 72]>,
    /// The text after an answer.
    after: &'static str,
}

impl SocketOutlet {
    pub(super) fn new(wire: Wire, protocol: Protocol, id: &str) -> Self {
        let (before, after) = protocol.around_next(id);
        Self { wire, before: before.as_bytes().into(), after }
    }
}

impl Outlet for SocketOutlet {
    fn format_key(&self) -> &[u8] {
        &self.before
    }

    fn write(&self, payload: &Payload, out: &mut Vec<u8>) {
        let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
        let length = self.before.len() + payload.text.len() + self.after.len();
        // Writing to a vector cannot fail.
        _ = header.format(length as u64, out);
        for part in [&self.before, payload.text.as_bytes(), self.after.as_bytes()] {
            out.extend(part);
        }
    }

    fn send(&self, bytes: &[u8]) -> Sent {
        self.wire.send(bytes)
    }
}
