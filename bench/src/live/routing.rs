//! Cost of an event where each subscriber has an instance of its own.

use std::collections::BTreeSet;

use anyhow::Result;
use sluice::event::EventColumn;

use super::crowd::Crowd;
use super::{Bench, OF_INSTANCE};
use crate::load::Load;
use crate::processor;
use crate::report::{count, progress};

impl Bench<'_> {
    /// Measures the cost of an event that one of a hundred subscribers wants, and one of all, each with its own instance.
    pub(super) async fn routing(&mut self) -> Result<()> {
        progress("subscribers with different instances");
        let instances = self.events.iter().filter_map(|event| event.occurrence.text(EventColumn::InstanceId));
        let instances: BTreeSet<_> = instances.map(str::to_owned).collect();
        let instances: Vec<_> = instances.into_iter().collect();
        for subscribers in [100, self.options.idle] {
            // Nearly every event is wanted by one of them.
            let own =
                |number: usize| Some(instances.get(number).cloned().unwrap_or_else(|| format!("0oanothing{number}")));
            let _crowd =
                Crowd::gather(self.gateway.address(), subscribers, OF_INSTANCE, own).await?.acknowledged().await?;
            let process = self.gateway.process()?;
            let before = processor::of_process(process)?;
            let load = Load { events: 100, connections: 4, duration: self.duration() };
            let answered = load.send(self.gateway.address(), self.events, &self.identities).await?;
            let spent = processor::of_process(process)?.saturating_sub(before);
            self.results.routing.push((subscribers, spent.as_secs_f64() * 1e6 / count(answered.events)));
        }
        Ok(())
    }
}
