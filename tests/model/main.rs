//! Models of the log's promises. A model checker visits every order in which the steps of a protocol can happen.
//!
//! A model is a small state machine. Its state is what the database, the gateways and the subscriber hold; its actions
//! are the steps and the faults that may come next; its properties must hold in every state. A flaw is a variant of a
//! model that leaves one rule of the protocol out, and a test requires the checker to find a counterexample for each
//! flaw. So a property cannot hold merely because the model does nothing; nor can a model lose most of its states
//! unnoticed, since each test of a whole protocol requires a least number of them.
#![expect(clippy::panic, reason = "a test that cannot go on panics")]

mod checked;

mod append;
mod eras;
mod hand_over;
