//! Memory of subscribers that receive nothing, and of a filter.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::crowd::Crowd;
use super::{Bench, OF_INSTANCE, peer};
use crate::gateway::Gateway;
use crate::load::Load;
use crate::report::progress;

impl Bench<'_> {
    /// Measures the memory of subscribers that receive nothing, each kind with a gateway that has no others.
    pub(super) async fn idle(&mut self) -> Result<()> {
        let subscribers = self.options.idle;
        self.results.idle_bytes =
            Some((self.idle_sockets("idle-sockets", |_| Some("0oanone".to_owned())).await?, subscribers));
        self.results.idle_filter_bytes =
            Some((self.idle_sockets("idle-filters", |number| Some(format!("0oanone{number}"))).await?, subscribers));
        self.results.idle_stream_bytes = Some((self.idle_streams().await?, subscribers));
        Ok(())
    }

    async fn idle_sockets(&self, name: &str, instance: impl Fn(usize) -> Option<String>) -> Result<u64> {
        let gateway = self.fresh_gateway(name).await?;
        let before = peer::memory(gateway.process()?)?;
        let crowd =
            Crowd::gather(gateway.address(), self.options.idle, OF_INSTANCE, instance).await?.acknowledged().await?;
        Self::memory_since(before, gateway, crowd).await
    }

    async fn idle_streams(&self) -> Result<u64> {
        let gateway = self.fresh_gateway("idle-streams").await?;
        let before = peer::memory(gateway.process()?)?;
        let variables = json!({"instance": "0oanone"});
        let crowd = Crowd::gather_streams(gateway.address(), self.options.idle, OF_INSTANCE, &variables)
            .await?
            .acknowledged()
            .await?;
        Self::memory_since(before, gateway, crowd).await
    }

    /// Returns how much the gateway's memory has grown with these subscribers, and stops it.
    async fn memory_since(before: u64, gateway: Gateway, crowd: Crowd) -> Result<u64> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let bytes = peer::memory(gateway.process()?)?.saturating_sub(before);
        drop(crowd);
        gateway.stop().await?;
        Ok(bytes)
    }

    /// Starts a gateway that knows some events and has had no subscriber.
    async fn fresh_gateway(&self, name: &str) -> Result<Gateway> {
        progress(name);
        let directory = self.scratch.join(name);
        std::fs::create_dir(&directory)?;
        peer::run_on(0)?;
        let gateway = Gateway::start(self.program, &directory).await?;
        peer::run_on(1)?;
        let warm_up = Load { events: 10, connections: 4, duration: Duration::from_secs(1) };
        warm_up.send(gateway.address(), self.events, &self.identities).await?;
        Ok(gateway)
    }
}
