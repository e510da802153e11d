//! The stores from which requests are answered: one for each credential, whose share of the database it uses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Request;
use async_graphql::dataloader::DataLoader;
use async_graphql::runtime::{TokioSpawner, TokioTimer};
use parking_lot::RwLock;
use tokio::runtime::Handle;

use super::loaders::StoreLoader;
use crate::auth::Viewer;
use crate::store::{Credential, Store};

/// Reads on behalf of one credential.
pub(super) struct Reads {
    store: Store,
    loader: Arc<DataLoader<StoreLoader>>,
}

/// Reads on behalf of every credential that has asked. Readers are named in the settings, so there are few.
pub(super) struct ReadsByCredential {
    store: Store,
    runtime: Handle,
    subscriptions: Reads,
    readers: RwLock<HashMap<Option<String>, Arc<Reads>>>,
}

impl Reads {
    fn new(store: &Store, credential: &Credential, runtime: &Handle) -> Self {
        let store = store.for_credential(credential);
        let spawner = TokioSpawner::with_handle(runtime.clone());
        let loader = DataLoader::new(StoreLoader(store.clone()), spawner, TokioTimer::default()).delay(Duration::ZERO);
        Self { store, loader: Arc::new(loader) }
    }

    /// Adds to a request what its resolvers read from.
    pub(super) fn give(&self, request: Request) -> Request {
        request.data(self.store.for_request()).data(Arc::clone(&self.loader))
    }
}

impl ReadsByCredential {
    /// Creates the reads from a store. Loads run on the current runtime.
    pub(super) fn new(store: Store) -> Self {
        let runtime = Handle::current();
        let subscriptions = Reads::new(&store, &Credential::Subscriptions, &runtime);
        Self { store, runtime, subscriptions, readers: RwLock::default() }
    }

    /// Returns the reads on behalf of who asks.
    pub(super) fn of(&self, viewer: &Viewer) -> Arc<Reads> {
        let known = self.readers.read().get(&viewer.name).cloned();
        known.unwrap_or_else(|| {
            let mut readers = self.readers.write();
            let new = || Arc::new(Reads::new(&self.store, &viewer.credential(), &self.runtime));
            readers.entry(viewer.name.clone()).or_insert_with(new).clone()
        })
    }

    /// Returns the reads that complete events for subscribers.
    pub(super) const fn of_subscriptions(&self) -> &Reads {
        &self.subscriptions
    }
}
