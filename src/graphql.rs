//! The graph: types, queries and the subscription. The only place that knows async-graphql; others see a [`Graph`].
//!
//! A request goes through these modules:
//!
//! 1. `request` finds its document, has it read and validated, and computes what answering it would cost.
//! 2. `types` has the schema and its resolvers.
//! 3. `answer` has what resolvers print with and load with, and makes the response's JSON.
//!
//! `graph` calls them, and `printed_schema` prints the schema.

mod request;

mod answer;

mod types;

mod operation;

mod graph;

mod printed_schema;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

pub use answer::text::JsonText;
pub use answer::{Answer, Verdict};
pub use graph::{Graph, GraphOptions, RequestError, Subscription};
pub use operation::{Operation, OperationKind};
pub use printed_schema::sdl;
pub use request::documents::{DocumentOptions, syntax_fault};
pub use request::limits::DocumentLimits;
pub use request::{BodyError, GraphBody, GraphRequest};
pub use types::orgs::OrgUrls;
