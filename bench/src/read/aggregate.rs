//! Activity and top over the log, beside the same question in SQL by hand, each from one connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sluice::event::Timestamp;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::asking::{self, Answered, Asked};
use super::data::Data;
use super::document;
use super::question::{Peer, Question};
use super::results::Measurement;
use super::server::Server;
use crate::load::Connection;
use crate::postgres::Cluster;
use crate::report::progress;

/// The questions: by day over the year, by hour over a week of it, and the instances in which most happened.
pub(super) const NAMES: [&str; 3] = ["activity-year", "activity-week", "top"];

/// A question in both languages. The range is `$from` and `$until`, `$1` and `$2`; counts are the statement's second
/// column.
struct Aggregate {
    /// The field of the connection, and the place of its list of counts.
    field: &'static str,
    list: &'static str,
    document: &'static str,
    sql: &'static str,
}

fn aggregate(name: &str) -> Aggregate {
    match name {
        "activity-year" => Aggregate {
            field: "histogram",
            list: "/syncEvents/histogram/buckets",
            document: "query Activity($from: DateTime, $until: DateTime) {
                syncEvents(filter: { published: { from: $from, until: $until } }) {
                    histogram(step: { interval: DAY }) { buckets { from count } }
                }
            }",
            sql: "SELECT date_trunc('day', published, 'UTC'), count(*) FROM sync_event
                  WHERE published >= $1 AND published < $2 GROUP BY 1 ORDER BY 1",
        },
        "activity-week" => Aggregate {
            field: "histogram",
            list: "/syncEvents/histogram/buckets",
            document: "query Activity($from: DateTime, $until: DateTime) {
                syncEvents(filter: { published: { from: $from, until: $until } }) {
                    histogram(step: { interval: HOUR }) { buckets { from count } }
                }
            }",
            sql: "SELECT date_trunc('hour', published, 'UTC'), count(*) FROM sync_event
                  WHERE published >= $1 AND published < $2 GROUP BY 1 ORDER BY 1",
        },
        _ => Aggregate {
            field: "top",
            list: "/syncEvents/top/nodes",
            document: "query Top($from: DateTime, $until: DateTime) {
                syncEvents(filter: { published: { from: $from, until: $until } }) {
                    top(by: APPLICATION_INSTANCE, first: 10) { nodes { key count lastEventAt } }
                }
            }",
            sql: "SELECT instance_id, count(*), max(published) FROM sync_event
                  WHERE published >= $1 AND published < $2 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
        },
    }
}

/// The aggregates that are measured, and a connection to the database for those by hand.
pub(super) struct Aggregates {
    hand: PgConnection,
    ready: BTreeMap<&'static str, Ready>,
    missing: Vec<&'static str>,
}

/// An aggregate whose answer was found to be right.
struct Ready {
    asked: Rc<[Asked]>,
    sql: &'static str,
    from: Timestamp,
    until: Timestamp,
}

impl Aggregates {
    /// Asks each question once in both ways, and holds the counts together.
    pub(super) async fn prepare(
        questions: &[Question],
        gateway: SocketAddr,
        cluster: &mut Cluster,
        data: &Data,
    ) -> Result<Self> {
        let mut hand = PgConnection::connect(cluster.url()).await?;
        // As the gateway's own connections have it.
        for setting in ["SET jit = off", "SET work_mem = '16MB'", "SET timezone = 'UTC'"] {
            sqlx::raw_sql(setting).execute(&mut hand).await?;
        }
        let mut connection = Connection::open(gateway).await?;
        let fields = fields(&mut connection, gateway).await?;
        let (mut ready, mut missing) = (BTreeMap::new(), Vec::new());
        for question in questions {
            let Question::Aggregate(name) = *question else { continue };
            let aggregate = aggregate(name);
            if !fields.iter().any(|field| field == aggregate.field) {
                progress(&format!("{name}: the graph has no {}", aggregate.field));
                missing.push(name);
                continue;
            }
            let (from, until) = range(name, data);
            let variables = json!({ "from": from.to_string(), "until": until.to_string() });
            let request = document::post(gateway, aggregate.document, &variables);
            let answer = asking::once(&mut connection, &request).await.with_context(|| name.to_owned())?;
            let asked = Asked { request, body: connection.body().to_vec() };
            let prepared = Ready { asked: Rc::new([asked]), sql: aggregate.sql, from, until };
            let list = answer.pointer(aggregate.list).unwrap_or(&Value::Null);
            prepared.check(&mut hand, list).await.with_context(|| name.to_owned())?;
            ready.insert(name, prepared);
        }
        Ok(Self { hand, ready, missing })
    }

    /// Those that the graph does not have.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        self.missing.clone()
    }

    /// Asks both ways for a while, one after the other.
    pub(super) async fn measure(
        &mut self,
        name: &str,
        duration: Duration,
        server: &Server,
    ) -> Result<Vec<(Peer, Measurement)>> {
        let Some(ready) = self.ready.get(name) else { return Ok(Vec::new()) };
        let before = server.usage().await?;
        let by_hand = ready.by_hand(&mut self.hand, duration).await?;
        let hand = Measurement::of_load(&by_hand, server.usage().await?.since(before));
        let gateway = self.ask(name, duration, server).await?.map(|gateway| (Peer::Gateway, gateway));
        Ok([(Peer::Hand, Measurement { server: None, ..hand })].into_iter().chain(gateway).collect())
    }

    /// Asks the gateway for an aggregate for a while; returns None where its schema does not have the aggregate.
    pub(super) async fn ask(&self, name: &str, duration: Duration, server: &Server) -> Result<Option<Measurement>> {
        let Some(ready) = self.ready.get(name) else { return Ok(None) };
        let turns: Rc<[usize]> = Rc::new([0]);
        let before = server.usage().await?;
        let asked = asking::ask(server.address, &ready.asked, &turns, 1, duration).await?;
        Ok(Some(Measurement::of_load(&asked, server.usage().await?.since(before))))
    }
}

impl Ready {
    async fn check(&self, hand: &mut PgConnection, answer: &Value) -> Result<()> {
        let told = answer.as_array().context("no list")?.iter().map(|item| item["count"].as_i64());
        // SQL has no row for a bucket without events.
        let told = told.filter(|count| *count != Some(0));
        let told: Vec<_> = told.collect::<Option<_>>().context("a count is missing")?;
        let rows = self.query().fetch_all(hand).await?;
        let counted: Vec<i64> = rows.iter().map(|row| row.try_get(1)).collect::<Result<_, _>>()?;
        ensure!(!counted.is_empty() && told == counted, "the gateway counts {told:?}, and SQL {counted:?}");
        Ok(())
    }

    async fn by_hand(&self, hand: &mut PgConnection, duration: Duration) -> Result<Answered> {
        let mut latencies = Vec::new();
        let started = Instant::now();
        while started.elapsed() < duration {
            let sent = Instant::now();
            self.query().fetch_all(&mut *hand).await?;
            latencies.push(sent.elapsed());
        }
        let elapsed = started.elapsed();
        latencies.sort_unstable();
        Ok(Answered { elapsed, latencies })
    }

    fn query(&self) -> sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments> {
        sqlx::query(self.sql).bind(self.from.date_time()).bind(self.until.date_time())
    }
}

/// The fields of a connection of events.
async fn fields(connection: &mut Connection, gateway: SocketAddr) -> Result<Vec<String>> {
    let query = "{ __type(name: \"SyncEventConnection\") { fields { name } } }";
    let data = asking::once(connection, &document::post(gateway, query, &Value::Null)).await?;
    let fields = data["__type"]["fields"].as_array().context("the graph says nothing of connections")?;
    Ok(fields.iter().filter_map(|field| field["name"].as_str().map(str::to_owned)).collect())
}

/// The whole year, or a week in the middle of it.
fn range(name: &str, data: &Data) -> (Timestamp, Timestamp) {
    let (from, until) = data.span();
    if name != "activity-week" {
        return (from, until);
    }
    let middle = from.plus((until.date_time() - from.date_time()) / 2);
    (middle, middle.plus(time::Duration::WEEK))
}
