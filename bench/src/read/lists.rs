//! Pages of filters with lists, out of a log of their own: each list finds many events, few or none. Beside them, the
//! statement that sluice used to send, by hand from one connection.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, QueryBuilder, Row as _};
use tempfile::TempDir;

use super::Options;
use super::asking::{self, Answered, Asked};
use super::document;
use super::question::{PAGE, Peer, Question};
use super::results::Measurement;
use super::server::Server;
use crate::gateway::Gateway;
use crate::load::Connection;
use crate::postgres::Cluster;
use crate::report::{Thousands, progress};

/// The cases, and the targets that they have. All 2,000 instances are asked for as two lists in an `or`, since a list may
/// have 1,000 values.
pub(super) const CASES: [(&str, &str); 24] = [
    ("list-2000", "list-2000, mean latency of all 2,000 instances in ms"),
    ("list-1000", "list-1000, mean latency of 1,000 of 2,000 in ms"),
    ("list-400", "list-400, mean latency of 400 of 2,000 in ms"),
    ("list-40", "list-40, mean latency of 40 of 2,000 in ms"),
    ("list-absent", "list-absent, mean latency of 1,000 absent ones in ms"),
    ("list-one", "list-one, mean latency of 999 absent and 1 there in ms"),
    ("list-two", "list-two, mean latency of 1,000 instances, 1,000 types in ms"),
    ("list-both", "list-both, mean latency of 1,000 instances, 1,000 users in ms"),
    ("list-org", "list-org, mean latency of an org with 300 events in ms"),
    ("list-severity", "list-severity, mean latency of severities with 300 events in ms"),
    ("list-source", "list-source, mean latency of a way in without events in ms"),
    ("list-admin", "list-admin, mean latency of a type of admins, 300 events in ms"),
    ("list-address", "list-address, mean latency of 1,000 absent addresses in ms"),
    ("list-person", "list-person, mean latency of 1,000 absent application users in ms"),
    ("list-old", "list-old, mean latency of 1,000 users of the older half in ms"),
    ("list-transactions", "list-transactions, mean latency of 1,000 transactions in ms"),
    ("list-transaction", "list-transaction, mean latency of 1,000 absent transactions in ms"),
    (ALL_RIGHTS, "rights-all, mean latency without limits in ms"),
    ("rights-1", "rights-1, mean latency with rights to 1 of 2,000 instances in ms"),
    ("rights-40", "rights-40, mean latency with rights to 40 in ms"),
    ("rights-400", "rights-400, mean latency with rights to 400 in ms"),
    ("rights-1000", "rights-1000, mean latency with rights to 1,000 in ms"),
    ("rights-nothing", "rights-nothing, mean latency with rights to an absent one in ms"),
    ("rights-absent", "rights-absent, mean latency with rights to 1,000 absent ones in ms"),
];

/// The case of a page of everything, for a reader without limits.
pub(super) const ALL_RIGHTS: &str = "rights-all";

/// The cases of limited readers that see a fifth of the events or more.
pub(super) const WIDE_RIGHTS: [(&str, &str); 2] = [
    ("rights-400", "rights-400, mean latency of rights-all's"),
    ("rights-1000", "rights-1000, mean latency of rights-all's"),
];

/// The cases of limited readers, and the instances that they see.
const LIMITED: [(&str, &str, Range<usize>); 6] = [
    ("rights-1", "instance", 7..8),
    ("rights-40", "instance", 0..40),
    ("rights-400", "instance", 0..400),
    ("rights-1000", "instance", 0..1000),
    ("rights-nothing", "absent", 0..1),
    ("rights-absent", "absent", 0..1000),
];

/// $EVENTS events of 2,000 instances, 5,000 users, 8 types and two orgs, in the three months before this one. Those of one org
/// also differ in severity and type of admin. The application users of the older half have no events in the newer one.
const FILL: &str = "
    SET timezone = 'UTC';
    SELECT log_add_month((date_trunc('month', now(), 'UTC') - n * interval '1 month')::date) FROM generate_series(1, 3) n;
    INSERT INTO sync_event (position, published, org, uuid, event_type, message, outcome_result, severity, admin_id,
        admin_alternate_id, admin_type, transaction_id, user_id, user_alternate_id, application_user_id, instance_id, instance_label,
        application_name, received_at, first_source, words, raw)
    SELECT n, date_trunc('month', now(), 'UTC') - interval '3 months' + n * interval '86 days' / $EVENTS,
        CASE WHEN n % 1000 = 7 THEN 'default' ELSE 'other' END, gen_random_uuid(), 'type.' || n % 8,
        'Sync user in external application', 'SUCCESS', CASE WHEN n % 1000 = 7 THEN 'WARN' ELSE 'INFO' END,
        'admin' || n % 10, 'admin' || n % 10 || '@acme.example',
        CASE WHEN n % 1000 = 7 THEN 'SystemPrincipal' ELSE 'User' END, 'transaction' || n / 4,
        'user' || n::bigint * 7907 % 5000, 'user' || n::bigint * 7907 % 5000 || '@acme.example',
        CASE WHEN n <= $EVENTS / 2 THEN 'old' ELSE 'new' END || n::bigint * 7907 % 2000,
        'instance' || n::bigint * 7919 % 2000, 'Instance', 'app' || n % 40, now(), 3, array_to_tsvector(ARRAY['sync']),
        convert_to('{\"n\":\"' || repeat(md5(n::text), 8) || '\"}', 'UTF8')
    FROM generate_series(1, $EVENTS) n;
    INSERT INTO arrival (org, uuid, position, published, import_at)
    SELECT org, uuid, position, published, received_at FROM sync_event;
    INSERT INTO event_type SELECT DISTINCT event_type FROM sync_event;
    UPDATE log_head SET position = $EVENTS";

/// Returns numbered names.
fn numbered(prefix: &str, numbers: Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("{prefix}{number}")).collect()
}

/// The token of the reader of a case. Readers of lists have no limits.
fn token(case: &str) -> String {
    format!("the token of the reader {}", if case.starts_with("rights-") { case } else { ALL_RIGHTS })
}

/// Returns the settings of a gateway with a reader for each case.
fn settings() -> String {
    let reader =
        |name: &str, see: &str| format!("[[readers]]\nname = \"{name}\"\ntoken = \"literal:{}\"\n{see}\n", token(name));
    let limited = LIMITED.map(|(name, prefix, numbers)| {
        let ids = numbered(prefix, numbers);
        let grant = |org| format!("{{ org = \"{org}\", instances = {ids:?} }}");
        let scopes = "scopes = [\"events:read\", \"people:read\"]";
        reader(name, &format!("{scopes}\nsee = [{}, {}]", grant("default"), grant("other")))
    });
    let orgs = ["default", "other"]
        .map(|org| format!("[[orgs]]\nname = \"{org}\"\nhook_secrets = [\"literal:the secret of {org}'s hook\"]\n"));
    orgs.concat() + &reader(ALL_RIGHTS, "") + &limited.concat()
}

/// A list, or two, and what they are of.
#[derive(Clone, Debug, Default)]
struct Case {
    filter: Value,
    /// The column of the list by whose index the old statement read, and the list.
    pinned: (&'static str, Vec<String>),
    /// The other list.
    other: Option<(&'static str, Vec<String>)>,
}

impl Case {
    fn named(name: &str) -> Self {
        let list = numbered;
        let instances = |ids: Vec<String>| Self {
            filter: json!({ "applicationInstances": ids }),
            pinned: ("e.instance_id", ids),
            other: None,
        };
        let half = list("instance", 0..1000);
        if let Some((_, prefix, numbers)) = LIMITED.into_iter().find(|(limited, ..)| *limited == name) {
            // The rights are what narrows the page.
            return Self { filter: Value::Null, ..instances(list(prefix, numbers)) };
        }
        match name {
            ALL_RIGHTS => Self::default(),
            "list-2000" => Self {
                filter: json!({ "or": [
                    { "applicationInstances": half }, { "applicationInstances": list("instance", 1000..2000) }
                ] }),
                ..instances(list("instance", 0..2000))
            },
            "list-1000" => instances(half),
            "list-400" => instances(list("instance", 0..400)),
            "list-40" => instances(list("instance", 0..40)),
            "list-absent" => instances(list("absent", 0..1000)),
            "list-one" => instances(list("absent", 0..999).into_iter().chain(list("instance", 7..8)).collect()),
            "list-two" => {
                let types = list("absent", 0..1000);
                let filter = json!({ "applicationInstances": half, "eventTypes": types });
                Self { filter, other: Some(("e.event_type", types)), ..instances(half) }
            }
            "list-both" => {
                let users = list("user", 0..1000);
                let filter = json!({ "applicationInstances": half, "user": { "oktaIds": users } });
                Self { filter, pinned: ("e.user_id", users), other: Some(("e.instance_id", half)) }
            }
            _ => Self::without_index(name, &list),
        }
    }

    /// A filter for which the build before had no index.
    fn without_index(name: &str, list: &impl Fn(&str, Range<usize>) -> Vec<String>) -> Self {
        let absent = list("absent", 0..1000);
        let (filter, column, values) = match name {
            "list-severity" => {
                (json!({ "severities": ["WARN", "ERROR"] }), "e.severity || ''", vec!["WARN".to_owned()])
            }
            "list-source" => {
                (json!({ "firstReceivedVia": ["LOG_STREAM"] }), "e.first_source::text", vec!["4".to_owned()])
            }
            "list-admin" => {
                let types = vec!["SystemPrincipal".to_owned()];
                (json!({ "admin": { "types": types } }), "e.admin_type || ''", types)
            }
            "list-address" => {
                let ids: Vec<_> = absent.iter().map(|name| format!("{name}@acme.example")).collect();
                (json!({ "user": { "oktaIds": ids } }), "e.user_id", ids)
            }
            "list-transactions" => {
                let ids = list("transaction", 30_000..31_000);
                (json!({ "transactions": ids }), "e.transaction_id || ''", ids)
            }
            "list-transaction" => (json!({ "transactions": absent }), "e.transaction_id || ''", absent),
            "list-person" => (json!({ "applicationUser": { "oktaIds": absent } }), "e.application_user_id", absent),
            "list-old" => {
                let ids = list("old", 0..1000);
                (json!({ "applicationUser": { "oktaIds": ids } }), "e.application_user_id", ids)
            }
            _ => (json!({ "orgs": ["default"] }), "e.org || ''", vec!["default".to_owned()]),
        };
        Self { filter, other: Some((column, values)), ..Self::default() }
    }

    /// The statement that sluice sent before it knew of long lists, without its division into months.
    fn old_statement(&self) -> QueryBuilder<Postgres> {
        const ORDER: &str = ".published DESC, e.position DESC LIMIT 51";

        let (column, values) = &self.pinned;
        let conditions = |query: &mut QueryBuilder<Postgres>| {
            for (column, values) in self.other.iter().chain((!values.is_empty()).then_some(&self.pinned)) {
                query.push(format!(" AND {column} = ANY(")).push_bind(values.clone()).push(")");
            }
        };
        let mut query = QueryBuilder::new("SELECT e.position, e.* FROM ");
        if values.is_empty() {
            query.push("sync_event e WHERE true");
            conditions(&mut query);
        } else {
            query
                .push("(SELECT k.* FROM unnest(")
                .push_bind(values.clone())
                .push("::text[]) AS pin (value) CROSS JOIN ");
            query.push("LATERAL (SELECT e.published, e.position FROM sync_event e WHERE ").push(column);
            query.push(" = pin.value");
            conditions(&mut query);
            query.push(" ORDER BY e").push(ORDER).push(") k ORDER BY k.published DESC, k.position DESC LIMIT 51) k ");
            query.push("JOIN sync_event e ON e.published = k.published AND e.position = k.position");
        }
        query.push(" ORDER BY e").push(ORDER);
        query
    }
}

/// The order in which the only page of a case is asked for.
fn once() -> Rc<[usize]> {
    Rc::new([0])
}

/// A gateway over a log for lists, and the cases that are asked of it.
pub(super) struct Lists {
    gateway: Gateway,
    hand: PgConnection,
    ready: BTreeMap<&'static str, (Case, Rc<[Asked]>)>,
    /// Gone with the value.
    directory: TempDir,
}

impl Lists {
    /// Starts a gateway over a new log, and asks each of the cases among some questions; None where there is none. A build
    /// from before readers had rights is asked without them.
    pub(super) async fn start(
        questions: &[Question],
        options: &Options,
        program: &Path,
        with_rights: bool,
    ) -> Result<Option<Self>> {
        let names = questions.iter().filter_map(|question| match question {
            Question::List(name) if with_rights || !name.starts_with("rights-") => Some(*name),
            Question::List(_) | Question::Page { .. } | Question::Aggregate(_) => None,
        });
        let names: Vec<_> = names.collect();
        if names.is_empty() {
            return Ok(None);
        }
        let events = options.list_events;
        progress(&format!("lists: storing {} events of 2,000 instances", Thousands(f64::from(events))));
        let directory = options.setup.directory()?;
        if with_rights {
            fs::write(directory.path().join("sluice.toml"), settings())?;
        }
        let gateway = Gateway::start(program, directory.path()).await?;
        let mut cluster = Cluster::of(&directory.path().join("gateway")).await?;
        for statement in [FILL.replace("$EVENTS", &events.to_string()), "VACUUM (ANALYZE)".to_owned()] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(cluster.connection()).await?;
        }
        let hand = PgConnection::connect(cluster.url()).await?;
        let mut lists = Self { gateway, hand, ready: BTreeMap::new(), directory };
        lists.restart().await?;
        for name in names {
            let prepared = lists.prepare(name).await.with_context(|| name.to_owned())?;
            lists.ready.insert(name, prepared);
        }
        Ok(Some(lists))
    }

    /// Restarts the gateway and its database, and asks each case until its statement is prepared.
    pub(super) async fn restart(&mut self) -> Result<()> {
        self.gateway.restart().await?;
        let mut cluster = Cluster::of(&self.directory.path().join("gateway")).await?;
        cluster.checkpoint().await?;
        self.hand = PgConnection::connect(cluster.url()).await?;
        // As the gateway's own connections have it.
        for setting in ["SET jit = off", "SET work_mem = '16MB'", "SET plan_cache_mode = force_generic_plan"] {
            sqlx::raw_sql(setting).execute(&mut self.hand).await?;
        }
        for (_, asked) in self.ready.values() {
            asking::ask(self.gateway.address(), asked, &once(), 1, Duration::from_millis(300)).await?;
        }
        Ok(())
    }

    /// Asks for a page once, and holds it to what the old statement gives.
    async fn prepare(&mut self, name: &str) -> Result<(Case, Rc<[Asked]>)> {
        let case = Case::named(name);
        let address = self.gateway.address();
        let mut connection = Connection::open(address).await?;
        let request = document::page_of(address, &case.filter, &token(name));
        let data = asking::once(&mut connection, &request).await?;
        let nodes = data["syncEvents"]["nodes"].as_array().context("no events")?;
        let found: Vec<_> = nodes.iter().map(|node| node["position"].as_str().unwrap_or_default().to_owned()).collect();
        let rows = case.old_statement().build().fetch_all(&mut self.hand).await?;
        let positions = rows.iter().take(PAGE).map(|row| row.try_get::<i64, _>(0).map(|position| position.to_string()));
        let positions: Vec<_> = positions.collect::<Result<_, _>>()?;
        ensure!(found == positions, "the gateway gives the events {found:?}, and SQL {positions:?}");
        let asked: Rc<[Asked]> = Rc::new([Asked { request, body: connection.body().to_vec() }]);
        Ok((case, asked))
    }

    /// Asks in both ways for a while, one after the other.
    pub(super) async fn measure(&mut self, name: &str, duration: Duration) -> Result<Vec<(Peer, Measurement)>> {
        let server = self.server().await?;
        let before = server.usage().await?;
        let by_hand = self.by_hand(name, duration).await?;
        let hand = Measurement { server: None, ..Measurement::of_load(&by_hand, server.usage().await?.since(before)) };
        Ok(vec![(Peer::Hand, hand), (Peer::Gateway, self.ask(name, duration).await?)])
    }

    /// Asks the gateway for a while.
    pub(super) async fn ask(&self, name: &str, duration: Duration) -> Result<Measurement> {
        let (_, asked) = self.ready.get(name).with_context(|| format!("{name} was not asked before"))?;
        let server = self.server().await?;
        let before = server.usage().await?;
        let answered = asking::ask(server.address, asked, &once(), 1, duration).await?;
        Ok(Measurement::of_load(&answered, server.usage().await?.since(before)))
    }

    async fn by_hand(&mut self, name: &str, duration: Duration) -> Result<Answered> {
        let (case, _) = self.ready.get(name).with_context(|| format!("{name} was not asked before"))?;
        let mut latencies = Vec::new();
        let started = Instant::now();
        while latencies.is_empty() || started.elapsed() < duration {
            let mut query = case.old_statement();
            let sent = Instant::now();
            query.build().fetch_all(&mut self.hand).await?;
            latencies.push(sent.elapsed());
        }
        let elapsed = started.elapsed();
        latencies.sort_unstable();
        Ok(Answered { elapsed, latencies })
    }

    async fn server(&self) -> Result<Server> {
        let mut cluster = Cluster::of(&self.directory.path().join("gateway")).await?;
        let (address, process) = (self.gateway.address(), self.gateway.process()?);
        Ok(Server { name: "the gateway", address, process, postmaster: cluster.postmaster().await? })
    }

    /// Stops the gateway.
    pub(super) async fn stop(self) -> Result<()> {
        self.gateway.stop().await
    }
}
