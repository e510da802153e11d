//! The objects that have a global id. Their resolvers stand in files of their own: objects lead to each other in circles,
//! and so would the files.

use std::sync::Arc;

use async_graphql::{ID, Interface};

use crate::event::{Application, ApplicationInstance, CatalogueKey, Details, EventColumn, EventColumns, SyncEvent};
use crate::graphql::answer::ids::encode_key;
use crate::ledger::StoredRejection;

/// An object with a global id: the query `node` finds it by the id alone.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "The global id, for `node` and `nodes`. Store it if you like, but do not parse it."
))]
pub(super) enum Node {
    SyncEvent(SyncEventNode),
    Application(ApplicationNode),
    ApplicationInstance(ApplicationInstanceNode),
    RejectedRecord(RejectedRecordNode),
}

/// An event.
#[derive(Clone)]
pub(super) struct SyncEventNode(pub(super) Arc<SyncEvent>);

impl From<SyncEvent> for SyncEventNode {
    fn from(event: SyncEvent) -> Self {
        Self(Arc::new(event))
    }
}

impl SyncEventNode {
    /// True if these columns of the event are in memory.
    pub(super) fn has_columns(&self, columns: EventColumns) -> bool {
        !columns.has(EventColumn::Details) || matches!(self.0.details, Details::Read(_))
    }
}

/// An application.
#[derive(Clone)]
pub(super) struct ApplicationNode(pub(super) Arc<Application>);

/// An application instance.
#[derive(Clone)]
pub(super) struct ApplicationInstanceNode(pub(super) Arc<ApplicationInstance>);

impl ApplicationNode {
    pub(in crate::graphql) fn cursor(&self) -> String {
        let Application { org, name, .. } = &*self.0;
        encode_key(&CatalogueKey { sort: name.to_ascii_lowercase(), org: org.clone(), key: name.clone() })
    }
}

impl ApplicationInstanceNode {
    pub(in crate::graphql) fn cursor(&self) -> String {
        encode_key(&instance_key(&self.0))
    }
}

/// The place of an instance in its list.
pub(super) fn instance_key(instance: &ApplicationInstance) -> CatalogueKey {
    CatalogueKey {
        sort: instance.label.as_deref().unwrap_or_default().to_ascii_lowercase(),
        org: instance.org.clone(),
        key: instance.instance_id.clone(),
    }
}

/// A rejection.
#[derive(Clone)]
pub(super) struct RejectedRecordNode(pub(super) Arc<StoredRejection>);
