//! A stand-in Okta org with its APIs, and gateways that read them.

use std::collections::BTreeMap;
use std::time::Duration;

use okta_sim::{ApiOptions, ApiToken, AppDirectory, LogEvent, OktaApi, Organisation, OrganisationOptions, SystemLog};
use sluice::config::{OrgApiSettings, Settings};
use sluice::ingest;
use sluice::okta::Credentials;
use sluice::store::decompress_json;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::gateway::{ORG, every_event_type};

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// The API token that the org accepts.
pub(crate) const TOKEN: &str = "the API token";

/// An org.
pub(crate) struct OktaOrg {
    pub(crate) api: OktaApi,
    pub(crate) organisation: Organisation,
}

impl OktaOrg {
    /// Starts one in which nothing has happened yet.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts one whose APIs are changed first.
    pub(crate) async fn start_with(change: impl FnOnce(&mut ApiOptions)) -> Self {
        Self::start_of(OrganisationOptions::default(), SystemLog::new(), change).await
    }

    /// Starts one that has this System Log already.
    pub(crate) async fn start_over(log: SystemLog) -> Self {
        Self::start_of(OrganisationOptions::default(), log, |_| ()).await
    }

    /// Starts one with so many application instances.
    pub(crate) async fn start_with_instances(instances: u32) -> Self {
        let options = OrganisationOptions { instances, ..OrganisationOptions::default() };
        Self::start_of(options, SystemLog::new(), |_| ()).await
    }

    async fn start_of(of: OrganisationOptions, log: SystemLog, change: impl FnOnce(&mut ApiOptions)) -> Self {
        let organisation = Organisation::new(OrganisationOptions { outsiders: 0.1, ..of });
        let mut options = ApiOptions { tokens: vec![ApiToken::new(TOKEN)], ..ApiOptions::default() };
        options.rate.requests = 10_000;
        change(&mut options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = OktaApi::start(listener, log, AppDirectory::of(&organisation), options).unwrap();
        Self { api, organisation }
    }

    /// So many things happen now.
    pub(crate) fn happen(&mut self, events: usize) -> Vec<LogEvent> {
        (0..events).map(|_| self.happen_at(OffsetDateTime::now_utc())).collect()
    }

    /// Something that happened at another time is persisted now.
    pub(crate) fn happen_at(&mut self, published: OffsetDateTime) -> LogEvent {
        let event = self.organisation.event_at(published);
        self.api.log().record(&event);
        event
    }

    /// So many things happened in the hours before, each persisted when it happened.
    pub(crate) fn have_history(&mut self, events: usize, hours: i64) {
        let now = OffsetDateTime::now_utc();
        for event in self.organisation.history(events, now - time::Duration::hours(hours), now) {
            self.api.log().record_at(&event, event.published);
        }
    }

    /// Settings by which a gateway reads the org, often, and keeps every event type.
    pub(crate) fn read_by(&self, settings: &mut Settings) {
        self.read_with(settings, Credentials::Token(TOKEN.into()));
    }

    /// The same with other credentials.
    pub(crate) fn read_with(&self, settings: &mut Settings, credentials: Credentials) {
        let options = ingest::ApiOptions {
            poll_interval: Duration::from_millis(50),
            rate_share: 1.0,
            settle: Duration::from_secs(1),
            reconcile_interval: Duration::from_millis(200),
            ..ingest::ApiOptions::default()
        };
        let org = settings.orgs.get_mut(ORG).unwrap();
        org.url = Some(self.api.url());
        org.event_types = every_event_type();
        org.api = Some(OrgApiSettings { credentials: credentials.into(), options });
    }

    /// Waits until a gateway has stored so many events.
    pub(crate) async fn wait_for(&self, pool: &PgPool, events: usize) {
        wait_until(&format!("{events} events"), async || count(pool).await >= events).await;
    }

    /// What is stored is what the System Log has, each event once, byte for byte, and it came this way.
    pub(crate) async fn assert_stored(&self, pool: &PgPool) {
        let rows: Vec<(String, Vec<u8>, bool)> = sqlx::query_as(
            "SELECT a.uuid::text, e.raw, a.system_log_at IS NOT NULL FROM arrival a \
             JOIN sync_event e USING (published, position) ORDER BY a.position",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        assert!(rows.iter().all(|(_, _, polled)| *polled), "not all came by the System Log");
        assert_eq!(rows.len(), self.api.log().len());
        let stored: BTreeMap<_, _> =
            rows.into_iter().map(|(uuid, raw, _)| (uuid, decompress_json(&raw).unwrap())).collect();
        let entries = self.api.log().entries();
        let happened: BTreeMap<_, _> =
            entries.iter().map(|entry| (entry.uuid.to_string(), entry.json.to_string())).collect();
        assert!(stored.keys().eq(happened.keys()), "other events are stored than happened");
        let differ = stored.iter().filter(|(uuid, raw)| happened[*uuid] != **raw).count();
        // What hooks brought first stands in the hook's form.
        let by_hook: i64 =
            sqlx::query_scalar("SELECT count(*) FROM sync_event WHERE first_source = 0").fetch_one(pool).await.unwrap();
        assert!(differ <= usize::try_from(by_hook).unwrap(), "{differ} events are not as Okta sent them");
    }

    /// How many polling requests for the System Log there were that start anew, with `since`, and not by a link.
    pub(crate) fn starts(&self) -> usize {
        self.polls().filter(|request| !request.query.contains("after=")).count()
    }

    /// The polling requests: those that are not bounded.
    pub(crate) fn polls(&self) -> impl Iterator<Item = okta_sim::SeenRequest> {
        self.requests().filter(|request| !request.query.contains("until="))
    }

    /// The requests for the System Log.
    pub(crate) fn requests(&self) -> impl Iterator<Item = okta_sim::SeenRequest> {
        self.api.requests().into_iter().filter(|request| request.path == "/api/v1/logs")
    }
}

/// How many events are stored.
pub(crate) async fn count(pool: &PgPool) -> usize {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM arrival").fetch_one(pool).await.unwrap_or(-1);
    usize::try_from(count).unwrap_or_default()
}

/// Waits until something holds.
pub(crate) async fn wait_until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "it takes too long: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
