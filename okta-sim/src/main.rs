//! The command: an organisation that tells its event hook what happens in it.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use okta_sim::{
    Behaviour, Courier, DeliveryPlan, HookSender, HookSenderOptions, LogEvent, Organisation, OrganisationOptions,
    Tally, VerifyError,
};
use reqwest::Url;
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, interval, sleep, sleep_until};

/// A stand-in Okta organisation that delivers sync events to an event hook
#[derive(Parser)]
#[command(name = "okta-sim", version)]
struct Options {
    /// Where to deliver
    #[arg(long, value_name = "URL")]
    hook: Url,
    /// The secret that the hook expects, as its header's whole value
    #[arg(long, value_name = "SECRET", env = "OKTA_SIM_HOOK_SECRET", hide_env_values = true)]
    hook_secret: Option<String>,
    /// The header that carries the secret
    #[arg(long, value_name = "NAME", default_value = "authorization")]
    hook_header: String,
    /// How many events happen a second
    #[arg(long, value_name = "EVENTS_PER_S", default_value = "5", value_parser = positive)]
    rate: f64,
    /// How many applications the organisation uses
    #[arg(long, value_name = "N", default_value = "12")]
    apps: u32,
    /// How many instances of them it has
    #[arg(long, value_name = "N", default_value = "40")]
    instances: u32,
    /// Makes the same organisation again
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// How many events happened in the last hours, told first
    #[arg(long, value_name = "N", default_value = "500")]
    history: usize,
    /// Stop after so many events beyond history
    #[arg(long, value_name = "N")]
    events: Option<usize>,
}

/// How long ago history begins.
const HISTORY: time::Duration = time::Duration::hours(6);

/// How many events of history a delivery tells, at most.
const HISTORY_BATCH: usize = 50;

/// How long to wait before an endpoint is asked again whether it is there.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often to say how it goes.
const STATUS: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let sender = HookSender::new(HookSenderOptions {
        header: options.hook_header.clone(),
        secret: options.hook_secret.clone(),
        ..HookSenderOptions::new(options.hook.clone())
    })?;
    let mut courier = Courier::new(sender.clone());
    let tally = courier.tally();
    let Options { apps, instances, seed, hook, .. } = &options;
    say(&format!("{apps} applications, {instances} instances, seed {seed}; waiting for {hook}"));
    let ended = tokio::select! {
        ended = run(&options, &sender, &mut courier) => ended,
        () = status(&tally) => Ok(()),
        stopped = stop_signal() => stopped,
    };
    courier.finish().await;
    say(&format!("the end: {tally}"));
    ended
}

/// Tells history, then what happens from now on.
async fn run(options: &Options, sender: &HookSender, courier: &mut Courier) -> anyhow::Result<()> {
    verify(sender).await?;
    say("the hook is verified; delivering");
    let mut organisation = Organisation::new(OrganisationOptions {
        seed: options.seed,
        applications: options.apps,
        instances: options.instances,
        only_for_hooks: true,
        ..OrganisationOptions::default()
    });
    let hook = Arc::clone(organisation.hook());
    // The plans are not of the seed: no delivery has the id of another one, not even of an earlier run.
    let now = OffsetDateTime::now_utc();
    let history = organisation.history(options.history, now - HISTORY, now);
    let batches = Behaviour { batch: HISTORY_BATCH, ..Behaviour::default() };
    for delivery in DeliveryPlan::new(Arc::clone(&hook), history, batches, rand::random()) {
        courier.take(delivery).await;
    }
    let happening = std::iter::repeat_with(|| organisation.event_at(OffsetDateTime::now_utc()));
    let happening = happening.take(options.events.unwrap_or(usize::MAX));
    tell(DeliveryPlan::new(hook, happening, Behaviour::default(), rand::random()), options.rate, courier).await;
    Ok(())
}

/// Delivers what happens, so many events a second.
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

/// Verifies the endpoint, and waits for it as long as it is not there or not ready.
async fn verify(sender: &HookSender) -> Result<(), VerifyError> {
    loop {
        match sender.verify().await {
            Err(VerifyError::Status(status)) if !status.is_server_error() => return Err(VerifyError::Status(status)),
            Err(VerifyError::NoAnswer(_) | VerifyError::Status(_)) => sleep(PATIENCE).await,
            verified => return verified,
        }
    }
}

/// Says how it goes, for ever.
async fn status(tally: &Tally) {
    let mut tick = interval(STATUS);
    tick.tick().await;
    loop {
        tick.tick().await;
        say(&tally.to_string());
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

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("expected a number above 0, at most 1,000,000".to_owned()),
    }
}

#[expect(clippy::print_stdout, reason = "the command says how it goes")]
fn say(line: &str) {
    println!("okta-sim: {line}");
}
