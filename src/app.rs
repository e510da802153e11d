//! The gateway, assembled from its parts. Only this module knows all of them.

mod database;
mod delivery;
mod explain;
mod files;
mod import;
mod keys;
mod open;
mod readiness;
mod refusals;
mod rejected;

pub use database::{migrate, new_era};
pub use explain::explain;
pub use import::{ImportEnded, import};
pub use keys::{add_key, list_keys, revoke_key};
pub use rejected::{drop_rejected, list_rejected, retry_rejected};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::access_log;
use crate::auth::{AccessWatch, HookSecrets, PublicUrl};
use crate::backoff::Backoff;
use crate::config::{Limits, OrgSettings, Settings};
use crate::graphql::{DocumentOptions, Graph, GraphOptions, OrgUrls};
use crate::ingest::{self, Intake, IntakeLimits, KeptHeaders, OrgApi, OrgIntake};
use crate::ledger::Ledger;
use crate::live::{Live, LiveOptions};
use crate::log::{Log, LogOptions};
use crate::okta::OktaClient;
use crate::serve::{self, GatewayParts, RenderMetrics, ServeOptions, ServedRoutes, Status, Subscribers};
use crate::store::{LockShortage, Store, StoreError};
use crate::telemetry;
use database::OpenDatabase;
use delivery::DeliveryRuntime;
use readiness::StartupStep;

/// The longest pause between two attempts to reach the database at the start.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The time for sockets to close when the gateway stops.
const SOCKET_GRACE: Duration = Duration::from_secs(3);

/// The time by which a timeout exceeds the database's or the gateway's own one, so that the other one fires first.
const NETWORK_GRACE: Duration = Duration::from_secs(5);

/// Runs a gateway on a listener until `stop`. Requests are accepted from the first moment, and get 503 until the
/// database can be used. At the end, running commits finish, and subscribers are disconnected so that they resume
/// elsewhere.
///
/// # Errors
/// The database cannot be opened.
pub async fn run(listener: TcpListener, settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let metrics = telemetry::start_metrics()?;
    telemetry::count_from_zero(settings.orgs.keys());
    let startup = StartupStep::default();
    let status = Status { ready: startup.ready(), metrics: render(&metrics, None) };
    let routes = ServedRoutes::starting(status, settings.authenticator(), hooks(&settings), &settings.allowed_origins);
    let options = serve_options(&settings, files::raise_limit(&settings.limits));
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    let end_serving = stop.child_token();
    let serving = tokio::spawn(serve::run(listener, routes.clone(), options.clone(), end_serving.clone()));
    let opened = stop.run_until_cancelled(OpenGateway::open(&settings, &startup)).await;
    let gateway = match opened {
        Some(Ok(gateway)) => gateway,
        failed => {
            end_serving.cancel();
            serving.await?;
            return failed.map_or(Ok(()), |failed| failed.map(drop));
        }
    };
    gateway.log_ready(address, settings.public_url.as_ref()).await;
    gateway.serve(&settings, &options, routes, &metrics, serving, stop).await
}

/// A gateway whose database and log are open, and which does not serve yet.
struct OpenGateway {
    /// Dropped last: the drop stops the private PostgreSQL and releases its data directory.
    database: OpenDatabase,
    store: Store,
    log: Log,
    watch: AccessWatch,
}

impl OpenGateway {
    async fn open(settings: &Settings, startup: &StartupStep) -> anyhow::Result<Self> {
        let limits = &settings.limits;
        startup.enter("the private PostgreSQL is starting");
        let database = OpenDatabase::open(&settings.database).await?;
        let mut options = database.options();
        options.reads = limits.reads();
        // The gateway cancels a query that exceeds its limit; the server's later timeout ends queries of a gateway that died.
        options.query_timeout = limits.query_timeout() + NETWORK_GRACE;
        options.append_timeout = limits.append_timeout();
        let store = Store::new(&options)?;
        startup.enter("the database cannot be reached yet");
        let log = open_log(&store, &log_options(limits), (true, None)).await?;
        warn_of_few_locks(&store, limits.query_connections).await;
        let watch = || AccessWatch::start(store.access_records(), settings.authenticator());
        let watch = once_available(None, watch).await.context("could not read the API keys")?;
        Ok(Self { database, store, log, watch })
    }

    /// Logs that the gateway is ready, with its database, and with its addresses as people type them.
    async fn log_ready(&self, address: SocketAddr, public_url: Option<&PublicUrl>) {
        let at = |path: &str| {
            public_url.map_or_else(|| format!("http://{address}{path}"), |public_url| public_url.with_path(path))
        };
        let ready = async {
            let (facts, ends) = (self.store.facts().await?, self.store.ends().await?);
            let (database, postgresql, schema) = (facts.server, facts.version, facts.schema);
            let (head, eras) = (ends.head, ends.eras.len());
            tracing::info!(
                database,
                postgresql,
                schema,
                %head,
                eras,
                page = at("/"),
                graphql = at("/graphql"),
                "ready"
            );
            Ok::<_, StoreError>(())
        };
        if let Err(error) = ready.await {
            tracing::debug!(%error, "could not query the database's version");
        }
    }

    async fn serve(
        self,
        settings: &Settings,
        options: &ServeOptions,
        routes: ServedRoutes,
        metrics: &PrometheusHandle,
        serving: JoinHandle<()>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let Self { database, store, log, watch } = self;
        // Live delivery ends after the last subscriber has been disconnected.
        let live_stop = CancellationToken::new();
        let delivery = DeliveryRuntime::start()?;
        let live = {
            let _runtime = delivery.handle.enter();
            Live::start(log.clone(), &live_options(settings), live_stop.clone())
        };
        let until_stop = |work| tokio::spawn(stop.clone().run_until_cancelled_owned(work));
        let (ready, watch_writes) = readiness::of(&store);
        until_stop(watch_writes.boxed());
        until_stop(ingest::name_events(log.clone()).boxed());
        until_stop(ingest::add_words(log.clone()).boxed());
        until_stop(run_upkeep(metrics.clone()).boxed());
        until_stop(settings.issuers.clone().keep_keys_fresh().boxed());
        until_stop(watch.run().boxed());
        until_stop(settings.keys.clone().keep_last_uses(store.access_records()).boxed());
        until_stop(refusals::store_last(store.ledger(), hooks(settings)).boxed());
        let status = Status { ready, metrics: render(metrics, Some(live.clone())) };
        let parts = parts(settings, log, store.ledger(), live, status);
        let intake = parts.intake.clone();
        until_stop(ingest::reduce_stored_headers(intake.clone()).boxed());
        for api in org_apis(settings)? {
            until_stop(ingest::read_org(intake.clone(), store.catalogue(), api).boxed());
        }
        let subscribers = Subscribers::new(options, delivery.handle.clone(), stop.clone());
        routes.open(serve::router(parts, options, subscribers.clone()));
        serving.await?;
        // The routes hold the log open.
        drop(routes);
        if timeout(options.drain + SOCKET_GRACE, subscribers.gone()).await.is_err() {
            tracing::warn!("some sockets did not close in time");
        }
        live_stop.cancel();
        // The log's writers end, and release their connections, when the last handle to the log is dropped.
        drop(intake);
        store.close().await;
        drop(delivery);
        tokio::task::spawn_blocking(move || drop(database)).await?;
        access_log::flush();
        tracing::info!("stopped");
        Ok(())
    }
}

/// Runs the metrics recorder's upkeep, which discards expired samples.
async fn run_upkeep(metrics: PrometheusHandle) {
    let mut tick = interval(Duration::from_secs(5));
    loop {
        tick.tick().await;
        metrics.run_upkeep();
    }
}

fn log_options(limits: &Limits) -> LogOptions {
    LogOptions {
        waiting_bytes: limits.waiting_bytes,
        append_timeout: limits.append_timeout() + NETWORK_GRACE,
        ..LogOptions::default()
    }
}

/// Migrates the schema and opens the log. A database without a log gets one only with `create`. Attempts are repeated
/// while the database is unavailable, for at most `patience` if that is given.
async fn open_log(
    store: &Store,
    options: &LogOptions,
    (create, patience): (bool, Option<Duration>),
) -> anyhow::Result<Log> {
    let open = || async {
        store.prepare(create).await?;
        Log::open(store.clone(), options).await
    };
    match once_available(patience, open).await {
        Ok(log) => Ok(log),
        Err(
            error
            @ (StoreError::Migration(_) | StoreError::TooOld | StoreError::NoPrivilege { .. } | StoreError::NoLog),
        ) => Err(error.into()),
        Err(error) => Err(error).context("could not open the log"),
    }
}

/// Repeats attempts while the database is unavailable, for at most `patience` if that is given.
async fn once_available<T, F: Future<Output = Result<T, StoreError>>>(
    patience: Option<Duration>,
    attempt: impl Fn() -> F,
) -> Result<T, StoreError> {
    let deadline = patience.map(|patience| Instant::now() + patience);
    let mut backoff = Backoff::new(Duration::from_millis(100), LONGEST_PAUSE).with_jitter();
    loop {
        match attempt().await {
            Err(error) if error.is_unavailable() && deadline.is_none_or(|deadline| Instant::now() < deadline) => {
                let pause = backoff.pause();
                if !error.is_logged() {
                    tracing::warn!(%error, next_try_seconds = pause.as_secs_f64(), "waiting for the database");
                }
                sleep(pause).await;
            }
            done => return done,
        }
    }
}

fn live_options(settings: &Settings) -> LiveOptions {
    let limits = &settings.limits;
    LiveOptions {
        window_bytes: limits.window_bytes,
        feed_bytes: limits.feed_bytes,
        catch_up_reads: limits.catch_up_reads,
        nats: settings.nats.clone(),
        ..LiveOptions::default()
    }
}

/// Returns the hook secrets of each org.
fn hooks(settings: &Settings) -> BTreeMap<String, HookSecrets> {
    settings.orgs.iter().map(|(name, org)| (name.clone(), org.hook.clone())).collect()
}

async fn warn_of_few_locks(store: &Store, query_connections: u32) {
    match store.lock_shortage(query_connections).await {
        Ok(None) => {}
        Ok(Some(LockShortage { months, setting, needed })) => tracing::warn!(
            months,
            max_locks_per_transaction = setting,
            "the database server may run out of locks, as the log has many months: set max_locks_per_transaction to \
             {needed} or more in postgresql.conf and restart the server"
        ),
        Err(error) => tracing::debug!(%error, "could not query the database server's limit of locks"),
    }
}

fn parts(settings: &Settings, log: Log, ledger: Ledger, live: Live, status: Status) -> GatewayParts {
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
    let graph = Graph::new(log.clone(), live, OrgUrls(urls), options);
    GatewayParts {
        graph,
        intake: intake((log, ledger), &settings.orgs, &settings.limits, Duration::ZERO),
        authenticator: settings.authenticator(),
        hooks: hooks(settings),
        status,
    }
}

/// Creates the intake of a log, which retries for `patience` while the database is unavailable.
fn intake(
    (log, ledger): (Log, Ledger),
    orgs: &BTreeMap<String, OrgSettings>,
    limits: &Limits,
    patience: Duration,
) -> Intake {
    let orgs = orgs.iter().map(|(name, org)| {
        let headers = KeptHeaders::new(&org.keep_headers, &org.hook.header);
        let (event_types, privacy) = (org.event_types.clone(), org.privacy.clone());
        (name.clone(), OrgIntake { event_types, headers, privacy })
    });
    let (body_bytes, delivery_events) = (limits.delivery_body_bytes, limits.delivery_events);
    Intake::new(log, ledger, orgs.collect(), IntakeLimits { body_bytes, delivery_events, patience })
}

/// Returns the orgs whose APIs are read.
fn org_apis(settings: &Settings) -> anyhow::Result<Vec<OrgApi>> {
    let configured = settings.orgs.iter().filter_map(|(name, org)| Some((name, org.url.as_ref()?, org.api.as_ref()?)));
    let apis = configured.map(|(name, url, api)| {
        let client = OktaClient::new(url, api.credentials.clone(), api.options.rate_share);
        let client = client.with_context(|| format!("org {name}"))?;
        Ok(OrgApi { org: name.clone(), client, options: api.options.clone() })
    });
    apis.collect()
}

fn serve_options(settings: &Settings, connections: files::Connections) -> ServeOptions {
    let limits = &settings.limits;
    ServeOptions {
        connections: connections.all,
        connections_per_address: connections.per_address,
        trusted_proxies: settings.trusted_proxies.clone(),
        allowed_origins: settings.allowed_origins.clone(),
        head_timeout: Duration::from_secs(limits.head_seconds),
        body_timeout: Duration::from_secs(limits.body_seconds),
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
        hook_patience: Duration::from_secs(limits.hook_seconds),
    }
}

/// Returns the function that renders all metrics, including those of live delivery once it runs.
fn render(metrics: &PrometheusHandle, live: Option<Live>) -> RenderMetrics {
    let metrics = metrics.clone();
    Arc::new(move || {
        if let Some(live) = &live {
            measure(live);
        }
        metrics.render()
    })
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats; positions lose nothing below 2^53")]
fn measure(live: &Live) {
    let usage = live.usage();
    metrics::gauge!("sluice_log_position").set(usage.through.number_in_era() as f64);
    metrics::gauge!("sluice_log_era").set(usage.through.era_tag() as f64 / 1e6);
    metrics::gauge!("sluice_window_bytes").set(usage.window_bytes as f64);
    metrics::gauge!("sluice_feeds").set(usage.feeds.feeds as f64);
    metrics::gauge!("sluice_feed_bytes").set(usage.feeds.bytes as f64);
    metrics::gauge!("sluice_subscribers").set(usage.feeds.subscribers as f64);
    let ratio = usage.feeds.subscribers as f64 / usage.feeds.feeds.max(1) as f64;
    metrics::gauge!("sluice_sharing_ratio").set(ratio);
}
