//! Logs and metrics, which are set up once for each process.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{LogFormat, LogTargets};
use crate::event::IngestSource;
use crate::store::Credential;

/// Histogram buckets of durations in seconds, from a fifth of a millisecond to the longest timeout.
const SECONDS: [f64; 16] =
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// Histogram buckets of distances in the log.
const POSITIONS: [f64; 7] = [0.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];

/// Histogram buckets of numbers of events.
const EVENTS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 1000.0];

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Returns the format of log lines; the default is text on a terminal and JSON elsewhere.
pub fn log_format(chosen: Option<LogFormat>) -> LogFormat {
    let is_terminal = std::io::stderr().is_terminal();
    chosen.unwrap_or(if is_terminal { LogFormat::Text } else { LogFormat::Json })
}

/// Starts logging to standard error. The targets do not filter by spans, since such filters would be evaluated at every
/// poll of a task.
pub fn start_logging(format: Option<LogFormat>, targets: &LogTargets) {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match log_format(format) {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        // The list of spans includes the current one, so that one is not repeated.
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    };
    // An existing subscriber, for example of a test, stays in force.
    _ = tracing_subscriber::registry().with(lines).with(targets.filter()).try_init();
}

/// Starts collecting metrics, unless they are collected already.
///
/// # Errors
/// Another recorder was installed.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    if let Some(handle) = METRICS.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &EVENTS)?
        .set_buckets_for_metric(Matcher::Suffix("_positions".to_owned()), &POSITIONS)?
        .build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(FromZero(recorder)).is_ok() {
        describe();
        return Ok(METRICS.get_or_init(|| handle).clone());
    }
    // Another thread was faster, and is about to set its handle.
    Ok(METRICS.wait().clone())
}

/// Metrics with labels, which are registered when they first occur or by [`count_from_zero`].
const LABELLED: [&str; 12] = [
    "sluice_events_total",
    "sluice_private_members_total",
    "sluice_catalogue_failures_total",
    "sluice_poll_failures_total",
    "sluice_hooks_refused_total",
    "sluice_deliveries_timed_out_total",
    "sluice_http_requests_total",
    "sluice_sockets_closed_total",
    "sluice_persisted_queries_total",
    "sluice_connections_cut_total",
    "sluice_requests_refused_total",
    "sluice_reads_refused_total",
];

/// A recorder that registers each described counter and gauge with 0. A counter that appeared with its first failure
/// would hide that failure from rates.
struct FromZero(PrometheusRecorder);

const METADATA: Metadata<'static> = Metadata::new(module_path!(), metrics::Level::INFO, None);

impl FromZero {
    fn has_labels(key: &KeyName) -> bool {
        LABELLED.contains(&key.as_str())
    }
}

impl Recorder for FromZero {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        if !Self::has_labels(&key) {
            self.0.register_counter(&Key::from_name(key.clone()), &METADATA).increment(0);
        }
        self.0.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        if !Self::has_labels(&key) {
            self.0.register_gauge(&Key::from_name(key.clone()), &METADATA).increment(0.0);
        }
        self.0.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.0.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.0.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.0.register_histogram(key, metadata)
    }
}

/// Registers the counters of each org, and those with few other labels, with 0.
pub fn count_from_zero<'a>(orgs: impl Iterator<Item = &'a String>) {
    for org in orgs {
        for source in IngestSource::ALL {
            for result in ["stored", "duplicate", "rejected", "dropped"] {
                let labels =
                    [("org", org.clone()), ("source", source.name().to_owned()), ("result", result.to_owned())];
                metrics::counter!("sluice_events_total", &labels).increment(0);
            }
        }
        for action in ["dropped", "hashed"] {
            let labels = [("org", org.clone()), ("action", action.to_owned())];
            metrics::counter!("sluice_private_members_total", &labels).increment(0);
        }
        for name in [
            "sluice_poll_failures_total",
            "sluice_catalogue_failures_total",
            "sluice_hooks_refused_total",
            "sluice_deliveries_timed_out_total",
        ] {
            metrics::counter!(name, "org" => org.clone()).increment(0);
        }
    }
    // The codes with which the gateway closes WebSockets.
    for code in ["1000", "1011", "1012", "1013", "4400", "4401", "4403", "4406", "4408", "4409", "4429"] {
        metrics::counter!("sluice_sockets_closed_total", "code" => code).increment(0);
    }
    for code in ["BAD_REQUEST", "FOREIGN_HOST", "FOREIGN_ORIGIN", "TOO_MANY_CONNECTIONS", "UPGRADE_REQUIRED"] {
        metrics::counter!("sluice_requests_refused_total", "code" => code).increment(0);
    }
    for reason in ["silent", "slow_reader"] {
        metrics::counter!("sluice_connections_cut_total", "reason" => reason).increment(0);
    }
    // A reader's counter is registered at the reader's first read.
    for credential in [Credential::Gateway, Credential::Subscriptions, Credential::Open] {
        metrics::counter!("sluice_reads_refused_total", "credential" => credential.to_string()).increment(0);
    }
    for result in ["hit", "miss"] {
        metrics::counter!("sluice_persisted_queries_total", "result" => result).increment(0);
    }
}

fn describe() {
    describe_storing();
    describe_live();
    describe_serving();
    describe_database();
}

fn describe_storing() {
    metrics::describe_counter!(
        "sluice_private_members_total",
        "Members of events that were dropped or hashed because of orgs.privacy"
    );
    metrics::describe_counter!("sluice_events_total", "Events received, by org, source and result");
    metrics::describe_counter!(
        "sluice_headers_reduced_total",
        "Deliveries of earlier versions from which headers were removed that are no longer stored"
    );
    metrics::describe_histogram!("sluice_commit_events", "Events in one commit");
    metrics::describe_counter!("sluice_append_failures_total", "Appends that failed after all retries");
    metrics::describe_counter!(
        "sluice_appends_outrun_total",
        "Appends that were repeated because another gateway had just appended one of their events"
    );
    metrics::describe_counter!("sluice_poll_failures_total", "Reads of an org's System Log that failed");
    metrics::describe_counter!("sluice_catalogue_failures_total", "Reads of an org's list of applications that failed");
    metrics::describe_counter!(
        "sluice_hooks_refused_total",
        "Deliveries refused because they lacked the org's hook secret"
    );
    metrics::describe_counter!(
        "sluice_settings_reloaded_total",
        "Reloads after SIGHUP that put the readers and secrets of the settings into force"
    );
    metrics::describe_counter!(
        "sluice_settings_reload_failures_total",
        "Reloads after SIGHUP that changed nothing because the settings were wrong"
    );
    metrics::describe_gauge!(
        "sluice_log_position",
        "Newest position that this gateway has read, counted from the start of its era"
    );
    metrics::describe_gauge!(
        "sluice_log_era",
        "Start of the era of the newest position, in seconds since 1970; 0 in the first era"
    );
    metrics::describe_counter!("sluice_eras_begun_total", "Eras of positions that this gateway has begun");
    metrics::describe_gauge!("sluice_writes_failing", "1 while the database does not confirm writes, otherwise 0");
    metrics::describe_counter!(
        "sluice_deliveries_timed_out_total",
        "Deliveries answered with 503 because the database was too slow"
    );
}

fn describe_live() {
    metrics::describe_counter!(
        "sluice_tail_gaps_total",
        "Reads of the database for events that another gateway appended between two commits of this one"
    );
    metrics::describe_histogram!(
        "sluice_tail_gap_seconds",
        "Time that a commit waited until the events before it were read from the database"
    );
    metrics::describe_counter!(
        "sluice_tail_overflows_total",
        "Times that too many commits waited for an earlier one, so that all were read from the database"
    );
    metrics::describe_gauge!("sluice_window_bytes", "Bytes of the newest events that are kept in memory");
    metrics::describe_gauge!("sluice_feeds", "Feeds: groups of subscriptions with identical requests");
    metrics::describe_gauge!("sluice_feed_bytes", "Bytes of rendered events that feeds hold");
    metrics::describe_gauge!("sluice_subscribers", "Subscribers of feeds");
    metrics::describe_gauge!("sluice_sharing_ratio", "Average number of subscribers of a feed");
    metrics::describe_counter!(
        "sluice_events_rendered_total",
        "Events that were rendered, each once for each feed that wants it"
    );
    metrics::describe_counter!("sluice_events_delivered_total", "Events sent to subscribers");
    metrics::describe_histogram!(
        "sluice_delivery_lag_seconds",
        "Time from an event's commit to its delivery to a subscriber's socket, for live events; one value for each batch"
    );
    metrics::describe_histogram!(
        "sluice_delivery_lag_positions",
        "Distance between a subscriber and the newest event when a batch is sent, in positions"
    );
    metrics::describe_counter!("sluice_catch_up_reads_total", "Reads of the database for subscribers that are behind");
    metrics::describe_gauge!("sluice_nats_connected", "1 while this gateway is connected to NATS, otherwise 0");
    metrics::describe_gauge!("sluice_nats_publishing", "1 while this gateway publishes to NATS, otherwise 0");
    metrics::describe_counter!("sluice_nats_published_total", "Messages published to NATS");
    metrics::describe_counter!("sluice_nats_received_total", "Messages received from NATS");
    metrics::describe_counter!(
        "sluice_nats_refused_total",
        "Messages from NATS without the signature of a gateway of this log"
    );
    metrics::describe_counter!("sluice_nats_overflows_total", "Messages from NATS dropped because the queue was full");
    metrics::describe_counter!(
        "sluice_nats_gaps_total",
        "Messages from NATS that did not follow the end of the window"
    );
    metrics::describe_counter!("sluice_nats_fallbacks_total", "Appends that NATS did not deliver in time");
}

fn describe_serving() {
    metrics::describe_counter!(
        "sluice_events_ordinary_total",
        "Events in responses that were resolved field by field because the selection needs more than the event itself"
    );
    metrics::describe_counter!("sluice_http_requests_total", "Requests, by route, method and status");
    metrics::describe_histogram!("sluice_http_request_seconds", "Time from a request's head to its response's head");
    metrics::describe_gauge!("sluice_connections", "Open connections for requests");
    metrics::describe_counter!(
        "sluice_connections_refused_total",
        "Connections refused because their address had too many open"
    );
    metrics::describe_counter!(
        "sluice_connections_full_total",
        "Times that a new connection had to wait because too many were open"
    );
    metrics::describe_counter!(
        "sluice_connections_cut_total",
        "Connections closed, by reason: no request came in time (silent), or no bytes of a response were accepted in time \
         (slow_reader)"
    );
    metrics::describe_counter!(
        "sluice_requests_refused_total",
        "Requests refused because of their heads, by error code"
    );
    metrics::describe_gauge!("sluice_large_bodies_waiting", "Large bodies that wait until an earlier one is read");
    metrics::describe_counter!("sluice_bodies_timed_out_total", "Requests whose bodies did not arrive in time");
    metrics::describe_counter!("sluice_starting_refused_total", "Requests refused while the gateway was starting");
    metrics::describe_counter!(
        "sluice_access_log_dropped_total",
        "Records of the access log that were dropped, since it could not be written fast enough"
    );
    metrics::describe_counter!("sluice_tokens_total", "Tokens of issuers that were verified or refused");
    metrics::describe_counter!("sluice_sign_ins_total", "Sign-ins of people, by issuer and result");
    metrics::describe_counter!("sluice_sign_outs_total", "Sessions ended by their people or issuers");
    metrics::describe_counter!("sluice_logout_tokens_refused_total", "Logout tokens of issuers that were refused");
    metrics::describe_counter!("sluice_issuer_key_fetches_total", "Fetches of the keys of issuers");
    metrics::describe_gauge!("sluice_api_keys", "API keys that are neither revoked nor expired");
    metrics::describe_counter!("sluice_api_keys_total", "Requests and sockets with an API key, by result");
    metrics::describe_counter!("sluice_access_revoked_total", "Credentials that were revoked while they were valid");
    metrics::describe_counter!(
        "sluice_access_refresh_failures_total",
        "Looks for changed credentials in the database that failed"
    );
    metrics::describe_counter!(
        "sluice_rights_ended_total",
        "WebSockets and streams whose rights expired or were revoked"
    );
    metrics::describe_gauge!("sluice_sockets", "Open WebSockets");
    metrics::describe_gauge!("sluice_operations", "Running operations on WebSockets");
    metrics::describe_counter!("sluice_sockets_closed_total", "WebSockets that the gateway closed, by code");
    metrics::describe_gauge!("sluice_streams", "Open streams (SSE and multipart)");
    metrics::describe_counter!("sluice_streams_cut_total", "Streams closed because their clients read too slowly");
    metrics::describe_counter!("sluice_persisted_queries_total", "Persisted documents requested by hash, by result");
}

fn describe_database() {
    metrics::describe_counter!(
        "sluice_private_postgres_ended_total",
        "Times that the private PostgreSQL ended by itself and was started again"
    );
    metrics::describe_counter!(
        "sluice_private_postgres_start_failures_total",
        "Times that the private PostgreSQL could not be started again"
    );
    metrics::describe_gauge!(
        "sluice_database_connected",
        "1 if the last attempt to connect to the database succeeded, otherwise 0"
    );
    metrics::describe_counter!(
        "sluice_connection_failures_total",
        "Attempts to connect that no server of the database accepted"
    );
    metrics::describe_counter!(
        "sluice_standbys_refused_total",
        "Connections refused because their server accepts no writes"
    );
    metrics::describe_counter!(
        "sluice_connections_busy_total",
        "Statements of the connections for writes that did not get one in time"
    );
    metrics::describe_histogram!(
        "sluice_read_seconds",
        "Time for which statements that read used a connection to the database, by credential"
    );
    metrics::describe_histogram!(
        "sluice_read_wait_seconds",
        "Time that statements waited for their credential's turn at the database, if they had to wait"
    );
    metrics::describe_counter!(
        "sluice_reads_refused_total",
        "Statements refused because their credential's turn at the database did not come in time, by credential"
    );
    metrics::describe_counter!(
        "sluice_statements_cancelled_total",
        "Statements cancelled because their caller was gone"
    );
}
