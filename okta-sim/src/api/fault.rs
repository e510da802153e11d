//! What goes wrong on demand.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::lock;

/// Something that goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status: 401, 403, 500, …
    Status(u16),
    /// It is answered with 429, though the limit was not reached.
    TooManyRequests,
    /// It is answered with 429, as too many run at once: the headers tell a limit of 0.
    TooManyAtOnce,
    /// It is never answered.
    NoAnswer,
    /// The connection breaks in the middle of the answer's body.
    BrokenAnswer,
}

/// The faults that wait for their requests.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<VecDeque<(&'static str, Fault)>>);

impl Faults {
    pub(super) fn add(&self, kind: &'static str, fault: Fault, times: usize) {
        lock(&self.0).extend(std::iter::repeat_n((kind, fault), times));
    }

    /// The next fault for a kind of request.
    pub(super) fn next(&self, kind: &str) -> Option<Fault> {
        let mut faults = lock(&self.0);
        let at = faults.iter().position(|(of, _)| *of == kind)?;
        faults.remove(at).map(|(_, fault)| fault)
    }
}
