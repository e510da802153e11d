//! A GraphQL server that is asked for pages.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::asking::{self, Answered, Asked};
use super::document;
use super::question::{PAGE, Spot};
use crate::load::Connection;
use crate::processor;

/// The largest page.
const LARGEST_PAGE: usize = 1_000;

/// In how many turns the pages of a place are asked for, as often as their weights say.
const TURNS: usize = 4_096;

/// Where a server listens, what process it is, and the main process of its PostgreSQL.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) process: u32,
    pub(super) postmaster: u32,
}

/// What has been taken of the processors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) server: Duration,
    pub(super) postgres: Duration,
}

impl Usage {
    /// What was taken since.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            server: self.server.saturating_sub(before.server),
            postgres: self.postgres.saturating_sub(before.postgres),
        }
    }
}

/// What a PostgreSQL has taken so far.
pub(super) async fn postgres(postmaster: u32) -> Result<Duration> {
    // Backends that end are counted once their main process has waited for them.
    sleep(Duration::from_millis(50)).await;
    processor::of_family(postmaster)
}

/// The pages of a place, as a server gives them.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) spots: Vec<Spot>,
    pub(super) asked: Rc<[Asked]>,
    turns: Rc<[usize]>,
}

impl Server {
    /// Asks for each page once, and holds the answer to what it should be.
    pub(super) async fn prepare(&self, spots: &[Spot]) -> Result<Pages> {
        let mut connection = Connection::open(self.address).await.with_context(|| format!("no {}", self.name))?;
        let mut asked = Vec::new();
        for spot in spots {
            let page = self.page(&mut connection, spot).await;
            asked.push(page.with_context(|| format!("{} does not give the page of {spot:?}", self.name))?);
        }
        let weights: Vec<_> = spots.iter().map(|spot| spot.weight).collect();
        Ok(Pages { spots: spots.to_vec(), asked: asked.into(), turns: turns(&weights).into() })
    }

    async fn page(&self, connection: &mut Connection, spot: &Spot) -> Result<Asked> {
        let instance = spot.instance.as_deref();
        let mut after: Option<String> = None;
        let mut missing = spot.depth * PAGE;
        // The cursors are opaque and each server's own: the way to a deep page is the one that a client has.
        while missing > 0 {
            let first = missing.min(LARGEST_PAGE);
            let request = document::end_of_page(self.address, instance, first, after.as_deref());
            let mut data = asking::once(connection, &request).await?;
            let Value::String(cursor) = data["syncEvents"]["pageInfo"]["endCursor"].take() else {
                anyhow::bail!("the list has no {} events", spot.depth * PAGE);
            };
            after = Some(cursor);
            missing -= first;
        }
        let request = document::page(self.address, instance, after.as_deref());
        let data = asking::once(connection, &request).await?;
        let nodes = data["syncEvents"]["nodes"].as_array().context("no events")?;
        ensure!(nodes.len() == PAGE, "{} events", nodes.len());
        let of_instance =
            nodes.iter().all(|node| instance.is_none() || node["application"]["oktaId"].as_str() == instance);
        ensure!(of_instance, "events of other instances");
        Ok(Asked { request, body: connection.body().to_vec() })
    }

    /// What it and its PostgreSQL have taken so far.
    pub(super) async fn usage(&self) -> Result<Usage> {
        Ok(Usage { postgres: postgres(self.postmaster).await?, server: processor::of_process(self.process)? })
    }

    /// Asks for pages for a while.
    pub(super) async fn ask(&self, pages: &Pages, connections: usize, duration: Duration) -> Result<Answered> {
        let answered = asking::ask(self.address, &pages.asked, &pages.turns, connections, duration).await;
        answered.with_context(|| self.name.to_owned())
    }
}

impl Pages {
    /// The least deep page.
    pub(super) fn least_depth(&self) -> usize {
        self.spots.iter().map(|spot| spot.depth).min().unwrap_or_default()
    }

    /// The deepest.
    pub(super) fn greatest_depth(&self) -> usize {
        self.spots.iter().map(|spot| spot.depth).max().unwrap_or_default()
    }

    /// Holds another server to the same answers, but for ids and cursors, which are opaque.
    pub(super) fn check_same(&self, other: &Self) -> Result<()> {
        for ((mine, theirs), spot) in self.asked.iter().zip(other.asked.iter()).zip(&self.spots) {
            let (mine, theirs) = (comparable(&mine.body)?, comparable(&theirs.body)?);
            ensure!(mine == theirs, "the servers answer differently at {spot:?}:\n{mine}\n{theirs}");
        }
        Ok(())
    }
}

impl Pages {
    /// True when another build gives the same answers over a log with the same events. The comparison ignores
    /// `receivedAt` and `position`: the time of receipt, and the order in which an import appends its batches, differ
    /// between logs.
    pub(super) fn has_same_answers(&self, other: &Self) -> Result<bool> {
        for (mine, theirs) in self.asked.iter().zip(other.asked.iter()) {
            let (mut mine, mut theirs) = (comparable(&mine.body)?, comparable(&theirs.body)?);
            for answer in [&mut mine, &mut theirs] {
                for node in answer["data"]["syncEvents"]["nodes"].as_array_mut().into_iter().flatten() {
                    node["receivedAt"].take();
                    node["position"].take();
                }
            }
            if mine != theirs {
                return Ok(false);
            }
        }
        Ok(self.asked.len() == other.asked.len())
    }
}

/// An answer without what each server makes in its own way, once that is found to be there.
fn comparable(body: &[u8]) -> Result<Value> {
    let mut answer: Value = serde_json::from_slice(body)?;
    let cursor = answer["data"]["syncEvents"]["pageInfo"]["endCursor"].take();
    ensure!(cursor.as_str().is_some_and(|cursor| !cursor.is_empty()), "there is no cursor");
    let mut ids = BTreeSet::new();
    for node in answer["data"]["syncEvents"]["nodes"].as_array_mut().into_iter().flatten() {
        let id = node["id"].take();
        ensure!(id.as_str().is_some_and(|id| ids.insert(id.to_owned())), "an id is missing or not the only one");
    }
    Ok(answer)
}

/// An order in which each index comes as often as its weight says, evenly mixed and the same every time.
fn turns(weights: &[i64]) -> Vec<usize> {
    let total: i64 = weights.iter().sum::<i64>().max(1);
    let mut owed = vec![0_i64; weights.len()];
    let turn = |_| {
        for (owed, weight) in owed.iter_mut().zip(weights) {
            *owed += weight;
        }
        let most = (0..weights.len()).max_by_key(|index| owed[*index]).unwrap_or_default();
        owed[most] -= total;
        most
    };
    (0..TURNS).map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_the_weights() {
        let turns = turns(&[600, 300, 100]);
        let count = |wanted: usize| turns.iter().filter(|index| **index == wanted).count();
        assert!(count(0).abs_diff(TURNS * 6 / 10) < 3 && count(2).abs_diff(TURNS / 10) < 3);
        assert!(turns[..10].contains(&2), "{:?}", &turns[..10]);
    }

    #[test]
    fn ids_and_cursors_are_left_out_of_comparisons() {
        let body = |id: &str, uuid: &str| {
            let page = format!(r#"{{"nodes":[{{"id":{id},"uuid":"{uuid}"}}],"pageInfo":{{"endCursor":"c{uuid}"}}}}"#);
            comparable(format!(r#"{{"data":{{"syncEvents":{page}}}}}"#).as_bytes())
        };
        assert_eq!(body("\"a\"", "x").unwrap(), body("\"b\"", "x").unwrap());
        assert_ne!(body("\"a\"", "x").unwrap(), body("\"a\"", "y").unwrap());
        assert!(body("null", "x").is_err());
    }
}
