//! The log's promises, checked in small models: every order in which the steps of a protocol can happen is tried.
//!
//! A model is the protocol as one would tell it: what everybody remembers (its state), what can happen next (its
//! actions), and what must hold whatever happens (its properties). Where the right protocol has a rule, the model has a
//! flaw that leaves the rule out, and a test shows that the checker finds what goes wrong then. So a property that
//! holds because nothing happens does not stay unnoticed; nor does a model that visits too few states.
#![expect(clippy::panic, reason = "a test that cannot go on panics")]

mod checked;

mod append;
mod eras;
mod hand_over;
