//! The command: an organisation that delivers events to its event hook, and serves its APIs.

mod options;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use okta_sim::{
    ApiOptions, AppDirectory, Behaviour, Courier, DeliveryPlan, HookSender, HookSenderError, HookSenderOptions,
    LogEvent, LogStream, OktaApi, Organisation, OrganisationOptions, SystemLog, Tally, VerifyError,
};
use rand::RngExt as _;
use reqwest::Url;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, interval, sleep, sleep_until};

use options::Options;

/// The maximum number of events in a delivery of history.
const HISTORY_BATCH: usize = 50;

/// The pause before an unavailable endpoint is verified again.
const PATIENCE: Duration = Duration::from_millis(500);

/// The interval between two readiness checks.
const READY_INTERVAL: Duration = Duration::from_millis(100);

/// The interval between two status lines.
const STATUS: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut organisation = Organisation::new(OrganisationOptions {
        seed: options.seed,
        applications: options.apps,
        instances: options.instances,
        only_for_hooks: true,
        ..OrganisationOptions::default()
    });
    let log = SystemLog::new();
    let now = OffsetDateTime::now_utc();
    let history = organisation.history(options.history, now - options.history_span(), now);
    for event in &history {
        log.record_at(event, event.published);
    }
    let api = match options.listen {
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("could not listen on {address} (--listen)"))?;
            Some(OktaApi::start(listener, log.clone(), AppDirectory::of(&organisation), api_options(&options)?)?)
        }
        None => None,
    };
    if let Some(api) = &api {
        say(&format!("System Log, applications and OAuth 2 at {}", api.url()));
    }
    // The authorization server serves for as long as this handle lives.
    let issuer = options.issuer.start().await?;
    if let Some(issuer) = &issuer {
        say(&format!("authorization server at {}", issuer.url()));
    }
    let Options { apps, instances, seed, .. } = &options;
    say(&format!("{apps} applications, {instances} instances, seed {seed}"));
    let tally = Arc::new(Tally::default());
    let ended = tokio::select! {
        ended = run(&options, organisation, history, &log, Arc::clone(&tally)) => ended,
        () = status(&tally, &log) => Ok(()),
        stopped = stop_signal() => stopped,
    };
    say(&format!("the end: {tally}"));
    ended
}

fn api_options(options: &Options) -> anyhow::Result<ApiOptions> {
    Ok(ApiOptions {
        tokens: options.tokens(),
        service_apps: options.service_apps()?,
        rate: options.rate_limit(),
        joined_links: options.joined_links,
        link_lifetime: options.link_lifetime.map(Duration::from_secs),
        clock_ahead: time::Duration::seconds(options.clock_ahead),
        errors: options.errors,
        ..ApiOptions::default()
    })
}

/// Delivers history, then new events. Without a hook, only the System Log has them.
async fn run(
    options: &Options,
    mut organisation: Organisation,
    history: Vec<LogEvent>,
    log: &SystemLog,
    tally: Arc<Tally>,
) -> anyhow::Result<()> {
    let hook = Arc::clone(organisation.hook());
    let late = options.late;
    let late_by = time::Duration::seconds(options.late_by);
    let stream = options.log_stream.clone().map(|url| sender(options, url)).transpose()?.map(LogStream::start);
    let happening = std::iter::repeat_with(|| {
        let now = OffsetDateTime::now_utc();
        let is_late = rand::rng().random_bool(late);
        let event = organisation.event_at(if is_late { now - late_by } else { now });
        log.record(&event);
        if stream.as_ref().is_some_and(|stream| !stream.tell(&event)) {
            say("too many events wait for the log stream's endpoint: one was dropped");
        }
        event
    });
    let happening = happening.take(options.events.unwrap_or(usize::MAX));
    let Some(url) = &options.hook else {
        let mut tick = interval(Duration::from_secs_f64(1.0 / options.rate));
        for _ in happening {
            tick.tick().await;
        }
        // The APIs continue to be served.
        std::future::pending::<()>().await;
        return Ok(());
    };
    let sender = sender(options, url.clone())?;
    say(&format!("waiting for {url}"));
    verify(&sender).await?;
    if let Some(url) = &options.ready {
        wait_until_ready(url).await?;
    }
    say("the hook is verified; delivering");
    let mut courier = Courier::counting(sender, tally).losing(options.lose, rand::random()).recording(log.clone());
    // The plans do not use the seed, so that the ids of deliveries differ even from those of an earlier run.
    let batches = Behaviour { batch: HISTORY_BATCH, ..Behaviour::default() };
    if options.history_by_hook || options.listen.is_none() {
        for delivery in DeliveryPlan::new(Arc::clone(&hook), history, batches, rand::random()) {
            courier.take(delivery).await;
        }
    }
    tell(DeliveryPlan::new(hook, happening, Behaviour::default(), rand::random()), options.rate, &mut courier).await;
    courier.finish().await;
    if options.listen.is_some() || options.issuer.issuer.is_some() {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// Creates a sender to an endpoint with the hook's header and secret.
fn sender(options: &Options, url: Url) -> Result<HookSender, HookSenderError> {
    HookSender::new(HookSenderOptions {
        header: options.hook_header.clone(),
        secret: options.hook_secret.clone(),
        ..HookSenderOptions::new(url)
    })
}

/// Delivers new events at a rate of events per second.
async fn tell<E>(mut plan: DeliveryPlan<E>, rate: f64, courier: &mut Courier)
where
    E: Iterator<Item = LogEvent>,
{
    let mut due = Instant::now();
    let mut told = 0;
    while let Some(delivery) = plan.next() {
        courier.take(delivery).await;
        let events = u32::try_from(plan.counts().events - told).unwrap_or(u32::MAX);
        told = plan.counts().events;
        due += Duration::from_secs_f64(f64::from(events) / rate);
        sleep_until(due).await;
    }
}

/// Verifies the endpoint, and retries while it is unavailable or not ready.
async fn verify(sender: &HookSender) -> Result<(), VerifyError> {
    loop {
        match sender.verify().await {
            Err(VerifyError::Status(status)) if !status.is_server_error() => return Err(VerifyError::Status(status)),
            Err(VerifyError::NoAnswer(_) | VerifyError::Status(_)) => sleep(PATIENCE).await,
            verified => return verified,
        }
    }
}

/// Waits until a URL responds with success.
async fn wait_until_ready(url: &Url) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    while !client.get(url.clone()).send().await.is_ok_and(|answer| answer.status().is_success()) {
        sleep(READY_INTERVAL).await;
    }
    Ok(())
}

/// Prints the status at intervals, in an endless loop.
async fn status(tally: &Tally, log: &SystemLog) {
    let mut tick = interval(STATUS);
    tick.tick().await;
    loop {
        tick.tick().await;
        say(&format!("{} events in the System Log; {tally}", log.len()));
    }
}

/// Returns on Ctrl-C or SIGTERM.
async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command says how it goes")]
fn say(line: &str) {
    println!("okta-sim: {line}");
}
