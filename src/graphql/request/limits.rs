//! What a request to the graph is held to, before anything of it is executed.

/// Limits on one request. What goes beyond one of them is refused with the code `TOO_COMPLEX`, by looking once at each of
/// the document's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Bytes of a document.
    pub bytes: usize,
    /// Tokens of a document: names, values and signs; space and comments do not count.
    pub tokens: usize,
    /// How deep fields may be nested. GraphiQL's introspection needs 15.
    pub depth: usize,
    /// Fields and fragments of a document, its fragments expanded.
    pub fields: usize,
    /// Fields at the root of the operation.
    pub root_fields: usize,
    /// Aliases of the operation, its fragments expanded.
    pub aliases: usize,
    /// Directives of the operation, its fragments expanded.
    pub directives: usize,
    /// Values in the operation's arguments, those within variables as often as they are used.
    pub values: usize,
    /// What answering may cost: each field as often as its pages have room for it, and more where it asks the database.
    pub complexity: usize,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self {
            bytes: 64 << 10,
            tokens: 2_000,
            depth: 20,
            fields: 5_000,
            root_fields: 20,
            aliases: 100,
            directives: 100,
            values: 10_000,
            complexity: 100_000,
        }
    }
}
