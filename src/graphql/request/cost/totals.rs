//! Totals over a part of a document, and their limits.

use super::super::limits::DocumentLimits;
use super::super::refusal::RequestRefusal;
use super::prices::PAGE;

/// Totals over a part of a document, its fragments expanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Fields at the top of the part.
    pub(super) width: usize,
    /// Depth of nested fields.
    pub(super) depth: usize,
    pub(super) aliases: usize,
    pub(super) directives: usize,
    /// VariableValues in arguments.
    pub(super) values: usize,
    /// The price, without that of a page's items.
    pub(super) fixed: u64,
    /// The price of each item of the page of which this is a part.
    pub(super) per_item: u64,
    /// True if the part selects parts of the schema (introspection).
    pub(super) introspects: bool,
}

impl Totals {
    /// Adds the totals of a part that stands beside this one.
    pub(super) fn add(&mut self, other: &Self) {
        self.width = self.width.saturating_add(other.width);
        self.depth = self.depth.max(other.depth);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.values = self.values.saturating_add(other.values);
        self.fixed = self.fixed.saturating_add(other.fixed);
        self.per_item = self.per_item.saturating_add(other.per_item);
        self.introspects |= other.introspects;
    }

    /// The totals of a fragment with this part in it, and with directives.
    pub(super) fn within_fragment(mut self, directives: &Self) -> Self {
        self.add(directives);
        self
    }

    /// Adds the selection of a field to the totals of the field itself, but not its prices.
    pub(super) fn enclose(&mut self, children: &Self) {
        self.width = 1;
        self.depth = children.depth.saturating_add(1);
        self.aliases = self.aliases.saturating_add(children.aliases);
        self.directives = self.directives.saturating_add(children.directives);
        self.values = self.values.saturating_add(children.values);
        self.introspects |= children.introspects;
    }

    /// The price, with `items` items on the page.
    pub(super) const fn price(&self, items: u64) -> u64 {
        self.fixed.saturating_add(self.per_item.saturating_mul(items))
    }

    /// Refuses totals beyond a limit.
    pub(super) fn check(&self, limits: &DocumentLimits) -> Result<(), RequestRefusal> {
        let refused = |message: String| RequestRefusal::new("TOO_COMPLEX", message);
        let counts = [
            (self.depth, limits.depth, "fields nested in each other", "document_depth"),
            (self.width, limits.root_fields, "fields at its root", "document_root_fields"),
            (self.aliases, limits.aliases, "aliases", "document_aliases"),
            (self.directives, limits.directives, "directives", "document_directives"),
            (self.values, limits.values, "values in its arguments", "document_values"),
        ];
        for (count, most, what, name) in counts {
            if count > most {
                let refusal = refused(format!("the document has more than {most} {what} (limits.{name})"));
                return Err(refusal.with("limit", most));
            }
        }
        let price = self.price(PAGE);
        if price > limits.complexity as u64 {
            let refusal = refused(format!(
                "the complexity is {price}, at most {} is allowed (limits.complexity): ask for fewer fields or smaller \
                 pages",
                limits.complexity
            ));
            return Err(refusal.with("cost", price).with("limit", limits.complexity));
        }
        Ok(())
    }
}
