//! The gateway, wired together: the only place that knows every part.

mod delivery;
mod import;
mod open;
mod rejected;

pub use import::{ImportEnded, import};
pub use rejected::{drop_rejected, list_rejected, retry_rejected};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{Database, Limits, Org, Settings};
use crate::graphql::{DocumentOptions, Graph, GraphOptions, OrgUrls};
use crate::ingest::{self, Intake, IntakeLimits, OrgApi, OrgIntake};
use crate::live::{Live, LiveOptions};
use crate::log::{Log, LogOptions};
use crate::okta::OktaClient;
use crate::serve::{self, Parts, RenderMetrics, ServeOptions, Status, Subscribers};
use crate::store::private::{DataDirLock, PrivateError, PrivatePostgres};
use crate::store::{Store, StoreError, StoreOptions};
use crate::telemetry;
use delivery::Delivery;

/// How long a database that is not there at the start is waited for.
const DATABASE_PATIENCE: Duration = Duration::from_mins(1);

/// How long the database may take to answer for the gateway to be called ready.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long sockets may take to close at the end.
const SOCKET_GRACE: Duration = Duration::from_secs(3);

/// How much longer than what is waited for the database's or the gateway's own time-out is, so that it comes second.
const NETWORK_GRACE: Duration = Duration::from_secs(5);

/// Runs a gateway on a listener until `stop`. What was being committed then is committed, and subscribers are sent away.
///
/// # Errors
/// The database cannot be had.
pub async fn run(listener: TcpListener, settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let metrics = telemetry::start_metrics()?;
    // Held to the very end: dropping it stops the private Postgres, and nobody else uses its directory before.
    let database = OpenDatabase::open(&settings.database).await?;
    let limits = &settings.limits;
    let mut store_options = StoreOptions::new(database.url());
    store_options.read_connections = limits.query_connections;
    // A query is stopped when its own time is over; the database's is for those whose gateway is gone.
    store_options.query_timeout = limits.query_timeout() + NETWORK_GRACE;
    store_options.append_timeout = limits.append_timeout();
    let store = Store::new(&store_options)?;
    let log_options = log_options(limits);
    let log = tokio::select! {
        opened = open_log(&store, &log_options) => opened?,
        () = stop.cancelled() => return Ok(()),
    };
    let live_options = LiveOptions {
        window_bytes: limits.window_bytes,
        feed_bytes: limits.feed_bytes,
        catch_up_reads: limits.catch_up_reads,
        nats: settings.nats.clone(),
        ..LiveOptions::default()
    };
    // Subscribers are told what happens until each has left.
    let live_stop = CancellationToken::new();
    let delivery = Delivery::start()?;
    let live = {
        let _there = delivery.handle.enter();
        Live::start(log.clone(), &live_options, live_stop.clone())
    };
    tokio::spawn(stop.clone().run_until_cancelled_owned(ingest::name_events(store.clone())));
    tokio::spawn(stop.clone().run_until_cancelled_owned(ingest::add_words(store.clone())));
    let upkeep = metrics.clone();
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        let mut tick = interval(Duration::from_secs(5));
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    }));
    let status = status(store.clone(), live.clone(), Arc::new(move || metrics.render()));
    let parts = parts(&settings, log, live, status);
    let intake = parts.intake.clone();
    tokio::spawn(stop.clone().run_until_cancelled_owned(ingest::write_tallies(intake.clone())));
    for api in org_apis(&settings)? {
        tokio::spawn(stop.clone().run_until_cancelled_owned(ingest::read_org(parts.intake.clone(), api)));
    }
    let options = serve_options(&settings);
    let subscribers = Subscribers::new(&options, delivery.handle.clone(), stop.clone());
    let router = serve::router(parts, &options, subscribers.clone());
    tracing::info!(address = %listener.local_addr()?, "listening");
    serve::run(listener, router, options.connections, options.drain, stop).await;
    if timeout(options.drain + SOCKET_GRACE, subscribers.gone()).await.is_err() {
        tracing::warn!("some sockets did not close in time");
    }
    live_stop.cancel();
    if let Err(error) = ingest::write_tallies_now(&intake).await {
        tracing::debug!(%error, "could not write how much has come");
    }
    // The writers, and with them their connections, end with the last who could append.
    drop(intake);
    store.close().await;
    drop(delivery);
    tokio::task::spawn_blocking(move || drop(database)).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Brings the database's schema up to date: that of a Postgres that a gateway keeps running, or of one's own.
///
/// # Errors
/// The database cannot be had, or refuses.
pub async fn migrate(database: &Database) -> anyhow::Result<()> {
    let opened = OpenDatabase::attach_or_open(database).await?;
    let store = Store::new(&StoreOptions::new(opened.url()))?;
    store.migrate().await?;
    store.close().await;
    tokio::task::spawn_blocking(move || drop(opened)).await?;
    Ok(())
}

/// A database that can be used.
enum OpenDatabase {
    Url(String),
    Private(PrivatePostgres),
}

impl OpenDatabase {
    async fn open(database: &Database) -> anyhow::Result<Self> {
        match database.clone() {
            Database::Url(url) => Ok(Self::Url(url)),
            Database::Private(directory) => {
                let started =
                    tokio::task::spawn_blocking(move || PrivatePostgres::start(DataDirLock::take(&directory)?, true));
                Ok(Self::Private(started.await??))
            }
        }
    }

    /// That of a gateway that runs on the same data directory, else one's own.
    async fn attach_or_open(database: &Database) -> anyhow::Result<Self> {
        if let Database::Private(directory) = database
            && directory.exists()
            && let Err(PrivateError::InUse(_)) = DataDirLock::take(directory)
        {
            return Ok(Self::Url(PrivatePostgres::url_of_running(directory)));
        }
        Self::open(database).await
    }

    fn url(&self) -> &str {
        match self {
            Self::Url(url) => url,
            Self::Private(postgres) => postgres.url(),
        }
    }
}

fn log_options(limits: &Limits) -> LogOptions {
    LogOptions {
        waiting_bytes: limits.waiting_bytes,
        append_timeout: limits.append_timeout() + NETWORK_GRACE,
        ..LogOptions::default()
    }
}

/// Opens the log, with its schema up to date; waits for a database that is not there yet.
async fn open_log(store: &Store, options: &LogOptions) -> anyhow::Result<Log> {
    let deadline = Instant::now() + DATABASE_PATIENCE;
    loop {
        let opened = async {
            store.migrate().await?;
            Log::open(store.clone(), options).await
        };
        match opened.await {
            Ok(log) => return Ok(log),
            Err(error) if error.is_unavailable() && Instant::now() < deadline => {
                tracing::warn!(%error, "waiting for the database");
                sleep(Duration::from_secs(1)).await;
            }
            Err(error @ StoreError::Migration(_)) => return Err(error.into()),
            Err(error) => return Err(error).context("could not open the log"),
        }
    }
}

fn parts(settings: &Settings, log: Log, live: Live, status: Status) -> Parts {
    let urls = settings.orgs.iter().filter_map(|(name, org)| Some((name.clone(), org.url.clone()?))).collect();
    let options = GraphOptions {
        limits: settings.limits.documents(),
        timeout: settings.limits.query_timeout(),
        introspection: settings.graphql.introspection,
        documents: DocumentOptions {
            trusted: settings.graphql.trusted_documents.clone(),
            trusted_only: settings.graphql.trusted_only,
            persisted_bytes: settings.limits.persisted_bytes,
        },
        orgs: settings.orgs.keys().cloned().collect(),
    };
    let graph = Graph::new(log.store().clone(), live, OrgUrls(urls), options);
    let orgs = settings.orgs.iter();
    Parts {
        graph,
        intake: intake(log, &settings.orgs, &settings.limits),
        readers: settings.readers.clone(),
        hooks: orgs.map(|(name, org)| (name.clone(), org.hook.clone())).collect(),
        status,
    }
}

/// The door to a log.
fn intake(log: Log, orgs: &BTreeMap<String, Org>, limits: &Limits) -> Intake {
    let orgs = orgs.iter().map(|(name, org)| {
        let intake = OrgIntake { event_types: org.event_types.clone(), secret_header: org.hook.header.clone() };
        (name.clone(), intake)
    });
    let limits = IntakeLimits { body_bytes: limits.delivery_body_bytes, delivery_events: limits.delivery_events };
    Intake::new(log, orgs.collect(), limits)
}

/// The orgs whose APIs are read.
fn org_apis(settings: &Settings) -> anyhow::Result<Vec<OrgApi>> {
    let configured = settings.orgs.iter().filter_map(|(name, org)| Some((name, org.url.as_ref()?, org.api.as_ref()?)));
    let apis = configured.map(|(name, url, api)| {
        let client = OktaClient::new(url, api.credentials.clone(), api.options.rate_share);
        let client = client.with_context(|| format!("org {name}"))?;
        Ok(OrgApi { org: name.clone(), client, options: api.options.clone() })
    });
    apis.collect()
}

fn serve_options(settings: &Settings) -> ServeOptions {
    let limits = &settings.limits;
    ServeOptions {
        connections: limits.connections,
        sockets: limits.sockets,
        sockets_per_client: limits.sockets_per_client,
        streams: limits.streams,
        streams_per_client: limits.streams_per_client,
        operations_per_socket: limits.operations_per_socket,
        init_timeout: Duration::from_secs(limits.connection_init_seconds),
        write_timeout: Duration::from_secs(limits.socket_write_seconds),
        ping_interval: Duration::from_secs(limits.socket_ping_seconds),
        drain: Duration::from_secs(limits.drain_seconds),
        query_body_bytes: limits.query_body_bytes,
        batch: limits.batch,
        delivery_body_bytes: limits.delivery_body_bytes,
    }
}

fn status(store: Store, live: Live, render: RenderMetrics) -> Status {
    let metrics = Arc::new(move || {
        let usage = live.usage();
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats; positions lose nothing below 2^53")]
        {
            metrics::gauge!("sluice_log_position").set(usage.through.get() as f64);
            metrics::gauge!("sluice_window_bytes").set(usage.window_bytes as f64);
            metrics::gauge!("sluice_feeds").set(usage.feeds.feeds as f64);
            metrics::gauge!("sluice_feed_bytes").set(usage.feeds.bytes as f64);
            metrics::gauge!("sluice_subscribers").set(usage.feeds.subscribers as f64);
            let ratio = usage.feeds.subscribers as f64 / usage.feeds.feeds.max(1) as f64;
            metrics::gauge!("sluice_sharing_ratio").set(ratio);
        }
        render()
    });
    let ready = move || {
        let store = store.clone();
        let ping = async move {
            match timeout(READY_TIMEOUT, store.ping()).await {
                Ok(Ok(())) => None,
                Ok(Err(_)) | Err(_) => Some("the database does not answer".to_owned()),
            }
        };
        Box::pin(ping) as futures_util::future::BoxFuture<'static, Option<String>>
    };
    Status { ready: Arc::new(ready), metrics }
}
