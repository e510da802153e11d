//! Faults that tests inject.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;

use super::lock;

/// A fault of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The response has this status: 401, 403, 500, …
    Status(u16),
    /// The response is 429, although the limit was not reached.
    TooManyRequests,
    /// The response is 429 because too many requests run at the same time: the headers report a limit of 0.
    TooManyAtOnce,
    /// The request gets no response.
    NoAnswer,
    /// The connection breaks in the middle of the response's body.
    BrokenAnswer,
    /// The response redirects the client to the same path of another server.
    RedirectTo(SocketAddr),
}

/// The faults of future requests.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<VecDeque<(&'static str, Fault)>>);

impl Faults {
    pub(super) fn add(&self, kind: &'static str, fault: Fault, times: usize) {
        lock(&self.0).extend(std::iter::repeat_n((kind, fault), times));
    }

    /// Returns the next fault of a kind of request.
    pub(super) fn next(&self, kind: &str) -> Option<Fault> {
        let mut faults = lock(&self.0);
        let at = faults.iter().position(|(of, _)| *of == kind)?;
        faults.remove(at).map(|(_, fault)| fault)
    }
}
