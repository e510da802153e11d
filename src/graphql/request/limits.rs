//! The limits on a request, which are checked before anything of it is executed.

/// Limits on one request. A request beyond a limit is refused with the code `TOO_COMPLEX`. The checks look once at each byte
/// of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Size of a document, in bytes.
    pub bytes: usize,
    /// Number of tokens of a document: names, values and signs. Space and comments do not count.
    pub tokens: usize,
    /// Depth of nested fields. GraphiQL's introspection needs 15.
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
    /// Cost of the answer: a field counts once for each item of its pages, and for more if it reads the database.
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
