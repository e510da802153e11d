//! A socket's operation as an outlet: its answers go out as frames, without a turn of the socket's own task.

use smallvec::SmallVec;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::super::wire::Wire;
use super::protocol::Protocol;
use crate::live::{Outlet, Sent, Told};

/// An operation of a socket.
pub(super) struct SocketOutlet {
    wire: Wire,
    /// What is written before an answer. Here and not elsewhere in memory: it is compared for each subscriber.
    before: SmallVec<[u8; 72]>,
    /// And after it.
    after: &'static str,
}

impl SocketOutlet {
    pub(super) fn new(wire: Wire, protocol: Protocol, id: &str) -> Self {
        let (before, after) = protocol.around_next(id);
        Self { wire, before: before.as_bytes().into(), after }
    }
}

impl Outlet for SocketOutlet {
    fn style(&self) -> &[u8] {
        &self.before
    }

    fn write(&self, told: &Told, out: &mut Vec<u8>) {
        let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
        let length = self.before.len() + told.text.len() + self.after.len();
        // A vector takes all there is.
        _ = header.format(length as u64, out);
        for part in [&self.before, told.text.as_bytes(), self.after.as_bytes()] {
            out.extend(part);
        }
    }

    fn send(&self, bytes: &[u8]) -> Sent {
        self.wire.send(bytes)
    }
}
