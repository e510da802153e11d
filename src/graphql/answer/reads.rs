//! Reads of one operation, or of one feed: the view from which its resolvers read.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::Request;
use async_graphql::dataloader::DataLoader;
use async_graphql::runtime::{TokioSpawner, TokioTimer};
use tokio::runtime::Handle;

use super::loaders::ViewLoader;
use crate::log::View;

/// The view of one operation, or of one feed, with its loaders.
pub(in crate::graphql) struct Reads {
    view: View,
    loader: Arc<DataLoader<ViewLoader>>,
}

impl Reads {
    /// Creates the reads from a view. Loads run on a runtime.
    pub(in crate::graphql) fn new(view: View, runtime: &Handle) -> Self {
        let spawner = TokioSpawner::with_handle(runtime.clone());
        let loader = DataLoader::new(ViewLoader(view.clone()), spawner, TokioTimer::default()).delay(Duration::ZERO);
        Self { view, loader: Arc::new(loader) }
    }

    /// Adds the view and its loader to the data of a request, where its resolvers find them.
    pub(in crate::graphql) fn give(&self, request: Request) -> Request {
        request.data(self.view.for_request()).data(Arc::clone(&self.loader))
    }
}
