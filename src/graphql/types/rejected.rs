//! Rejections: records that came in and could not be read.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use super::enums::IngestSourceNode;
use super::nodes::RejectedRecordNode;
use super::page::{PageArguments, PageInfo};
use super::scalars::DateTime;
use crate::event::Page;
use crate::graphql::answer::error::from_store;
use crate::graphql::answer::ids::{NodeId, decode_rejection_cursor, encode_rejection_cursor};
use crate::log::View;

/// Reads a page of rejections.
pub(in crate::graphql) async fn page(
    context: &Context<'_>,
    arguments: PageArguments,
) -> Result<RejectedRecordConnection> {
    let request = arguments.read(decode_rejection_cursor)?;
    let view = context.data::<View>()?;
    let page = view.rejections(&request).await.map_err(|error| from_store(&error))?;
    let items = page.items.into_iter().map(|found| RejectedRecordNode(Arc::new(found))).collect();
    Ok(RejectedRecordConnection::new(Page { items, has_next: page.has_next, has_previous: page.has_previous }))
}

/// A record that came in and could not be read. The command `sluice rejected` lists, retries and drops such records.
#[Object(name = "RejectedRecord")]
impl RejectedRecordNode {
    /// The global id, for `node` and `nodes`.
    pub(in crate::graphql) async fn id(&self) -> ID {
        NodeId::RejectedRecord(self.0.id).encode().into()
    }

    /// The Okta org that the record is from, by its name in sluice's settings.
    async fn org(&self) -> &str {
        &self.0.org
    }

    /// When the record came first.
    async fn received_at(&self) -> DateTime {
        DateTime(self.0.received_at)
    }

    /// The source that brought the record.
    async fn source(&self) -> IngestSourceNode {
        self.0.source.into()
    }

    /// Why the record could not be read, in words.
    async fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The file that had the record, as it was named to `sluice import`; null for records of other sources.
    async fn file(&self) -> Option<&str> {
        self.0.place.as_ref()?.file.as_deref()
    }

    /// The line on which the record starts in the import, counted from 1; null for records of other sources.
    async fn line(&self) -> Option<i32> {
        self.0.place.as_ref().map(|place| i32::try_from(place.line).unwrap_or(i32::MAX))
    }

    /// The record's bytes as text; bytes that are not UTF-8 show as U+FFFD.
    async fn raw(&self) -> String {
        String::from_utf8_lossy(&self.0.raw).into_owned()
    }
}

/// A rejected record on a page.
#[derive(SimpleObject)]
pub(super) struct RejectedRecordEdge {
    /// The cursor of the item.
    cursor: String,
    /// The record.
    node: RejectedRecordNode,
}

/// A page of rejected records.
#[derive(SimpleObject)]
pub(super) struct RejectedRecordConnection {
    /// The records with their cursors.
    edges: Vec<RejectedRecordEdge>,
    /// The records.
    nodes: Vec<RejectedRecordNode>,
    /// The place of the page in the list.
    page_info: PageInfo,
}

impl RejectedRecordConnection {
    fn new(page: Page<RejectedRecordNode>) -> Self {
        let cursor = |node: &RejectedRecordNode| encode_rejection_cursor(node.0.id);
        let page_info = PageInfo::new(&page, cursor);
        let edges = page.items.iter().map(|node| RejectedRecordEdge { cursor: cursor(node), node: node.clone() });
        Self { edges: edges.collect(), nodes: page.items, page_info }
    }
}
