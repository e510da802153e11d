//! `bench access`: what a token costs, and what the rights of many subscribers cost an event.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use okta_sim::AuthorizationServer;
use serde_json::{Value, json};
use sluice::auth::Authenticator;
use sluice::config::{Common, Serve, Settings};
use sluice::event::{EventColumn, ReceivedEvent};
use tokio::net::TcpListener;

use crate::gateway::{Gateway, HOOK_SECRET};
use crate::load::{Identities, Load};
use crate::processor;
use crate::report::{Spread, count, progress};
use crate::rows;
use crate::setup::Setup;
use crate::socket::Socket;
use crate::target::{self, Bound, Target};

/// The audience of the tokens.
const AUDIENCE: &str = "api://sluice";

/// The number of readers with tokens of their own, beside the issuer.
const READERS: usize = 10;

/// The number of times that a known token is looked up in a round.
const LOOK_UPS: usize = 200_000;

/// The number of new tokens that are verified in a round.
const NEW_TOKENS: usize = 2_000;

/// The subscribers beside which the others are measured.
const FEW: usize = 100;

/// The document of all subscribers: what each gets depends on its rights alone.
const SUBSCRIPTION: &str =
    "subscription { syncEvents { events { id position uuid eventType published message receivedAt } } }";

/// The options of the benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; each of them measures everything once.
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: usize,
    /// Seconds for which events are stored beside subscribers.
    #[arg(long, value_name = "N", default_value_t = 4)]
    seconds: u64,
    /// Subscribers, each with rights of its own.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    subscribers: usize,
    #[command(flatten)]
    setup: Setup,
}

/// The results of the rounds.
#[derive(Debug, Default)]
struct Results {
    /// Microseconds that a reader's token takes, a token of the issuer that is known, and a new one.
    reader: Vec<f64>,
    known: Vec<f64>,
    new: Vec<f64>,
    /// The gateway's CPU an event, in microseconds, beside few subscribers and beside all.
    few: Vec<f64>,
    all: Vec<f64>,
}

/// Runs the benchmark and prints its results.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let directory = options.setup.directory()?;
    let issuer = AuthorizationServer::start(TcpListener::bind("127.0.0.1:0").await?)?;
    fs::write(directory.path().join("sluice.toml"), settings(&issuer))?;
    let mut results = Results::default();
    for run in 1..=options.runs {
        authenticate(&issuer, directory.path(), run, &mut results).await?;
        progress(&format!("run {run} of {}: tokens", options.runs));
    }
    let events = rows::events(rows::POOL)?;
    for run in 1..=options.runs {
        for subscribers in [FEW, options.subscribers] {
            let place = directory.path().join(format!("{run}-{subscribers}"));
            fs::create_dir(&place)?;
            fs::write(place.join("sluice.toml"), settings(&issuer))?;
            let gateway = Gateway::start(&options.setup.sluice, &place).await?;
            let cost = cost_beside(&gateway, &issuer, &events, subscribers, options.seconds).await?;
            gateway.stop().await?;
            if subscribers == FEW {
                results.few.push(cost);
            } else {
                results.all.push(cost);
            }
            progress(&format!("run {run} of {}: {subscribers} subscribers: {cost:.1} µs an event", options.runs));
        }
    }
    print(options, &results)
}

/// Returns settings with readers, and with an issuer whose tokens give grants of two kinds.
fn settings(issuer: &AuthorizationServer) -> String {
    let reader =
        |number| format!("[[readers]]\nname = \"reader {number}\"\ntoken = \"literal:{}\"\n", reader_token(number));
    let readers = (0..READERS).map(reader).collect::<Vec<_>>().concat();
    format!(
        r#"
        [[orgs]]
        name = "default"
        hook_secrets = ["literal:{HOOK_SECRET}"]
        {readers}
        [[issuers]]
        name = "issuer"
        url = "{}"
        audience = "{AUDIENCE}"
        [[issuers.rules]]
        claim = "scp"
        has = "events"
        scopes = ["events:read", "people:read"]
        see = [
          {{ org = "default", instances = "claim:instances" }},
          {{ org = "default", applications = "claim:applications" }},
        ]
        "#,
        issuer.url()
    )
}

fn reader_token(number: usize) -> String {
    format!("the token of the reader {number}")
}

/// Returns a token that shows an instance, and an application without events.
fn token(issuer: &AuthorizationServer, subject: &str, instance: &str) -> Result<String> {
    let claims = json!({
        "aud": AUDIENCE, "sub": subject, "scp": ["events"], "instances": [instance],
        "applications": [format!("application of {subject}")],
    });
    issuer.token(&claims)
}

/// Measures the authenticator of a gateway with these settings, in this process.
async fn authenticate(issuer: &AuthorizationServer, directory: &Path, run: usize, results: &mut Results) -> Result<()> {
    let common = Common { config: Some(directory.join("sluice.toml")), ..Common::default() };
    let data_dir = Some(directory.join("none"));
    let settings = Settings::read(&Serve::unstarted(Common { data_dir, ..common }), &|_| None)?;
    let keys = tokio::spawn(settings.issuers.clone().keep_keys_fresh());
    let authenticator = settings.authenticator();
    let tokens = (0..NEW_TOKENS).map(|number| token(issuer, &format!("{run}-{number}"), "0oa1"));
    let headers: Vec<_> = tokens.map(|token| Ok(format!("Bearer {}", token?))).collect::<Result<_>>()?;
    let known = format!("Bearer {}", token(issuer, "known", "0oa1")?);
    let reader = format!("Bearer {}", reader_token(READERS / 2));
    // The first token waits for the keys.
    time_of(&authenticator, [known.as_str()]).await?;
    let fetches = issuer.fetches();
    results.new.push(time_of(&authenticator, headers.iter().map(String::as_str)).await?);
    results.known.push(time_of(&authenticator, std::iter::repeat_n(known.as_str(), LOOK_UPS)).await?);
    results.reader.push(time_of(&authenticator, std::iter::repeat_n(reader.as_str(), LOOK_UPS)).await?);
    ensure!(issuer.fetches() == fetches, "keys were fetched while tokens were verified");
    keys.abort();
    Ok(())
}

/// Returns the mean time to find the viewer of a header, in microseconds.
async fn time_of<'h>(authenticator: &Authenticator, headers: impl IntoIterator<Item = &'h str>) -> Result<f64> {
    let started = Instant::now();
    let mut number = 0;
    for header in headers {
        authenticator.identify(Some(header)).await?;
        number += 1;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / count(number))
}

/// Returns the gateway's CPU an event, in microseconds, beside so many subscribers with rights of their own. One of them sees
/// nearly every event.
async fn cost_beside(
    gateway: &Gateway,
    issuer: &AuthorizationServer,
    events: &[ReceivedEvent],
    subscribers: usize,
    seconds: u64,
) -> Result<f64> {
    let address = gateway.address();
    let instances: BTreeSet<_> =
        events.iter().filter_map(|event| event.occurrence.text(EventColumn::InstanceId)).collect();
    let instances: Vec<_> = instances.into_iter().map(str::to_owned).collect();
    let identities = std::rc::Rc::new(Identities::starting_now());
    Load { events: 10, connections: 4, duration: Duration::from_secs(1) }.send(address, events, &identities).await?;
    let mut sockets = Vec::with_capacity(subscribers);
    for number in 0..subscribers {
        let instance = instances.get(number).cloned().unwrap_or_else(|| format!("0oanothing{number}"));
        let authorization = format!("Bearer {}", token(issuer, &format!("{number}"), &instance)?);
        sockets.push(Socket::subscribe_as(address, &authorization, SUBSCRIPTION, &Value::Null).await?);
    }
    for socket in &mut sockets {
        let mut has_begun = false;
        while !has_begun {
            socket.count(&mut |_| has_begun = true).await.context("a subscription did not begin")?;
        }
    }
    let process = gateway.process()?;
    let before = processor::of_process(process)?;
    let load = Load { events: 100, connections: 4, duration: Duration::from_secs(seconds) };
    let answered = load.send(address, events, &identities).await?;
    let spent = processor::of_process(process)?.saturating_sub(before);
    Ok(spent.as_secs_f64() * 1e6 / count(answered.events))
}

fn print(options: &Options, results: &Results) -> Result<()> {
    let Options { runs, seconds, subscribers, .. } = options;
    let mut output = io::stdout().lock();
    writeln!(
        output,
        "access: medians of {runs} runs; events for {seconds} s beside {FEW} and {subscribers} subscribers\n"
    )?;
    for (what, values) in [
        ("a reader's token, µs", &results.reader),
        ("a known token of an issuer, µs", &results.known),
        ("a new token of an issuer, µs", &results.new),
        ("CPU an event beside few subscribers, µs", &results.few),
        ("CPU an event beside all subscribers, µs", &results.all),
    ] {
        let Some(spread) = Spread::of(values.iter().copied()) else { continue };
        writeln!(output, "{what:44}{:>8.2} ({:.2}–{:.2})", spread.median, spread.least, spread.greatest)?;
    }
    writeln!(output)?;
    let target = |what, reached, most| Target { what, reached, bound: Bound::AtMost(most) };
    target::write(
        &mut output,
        &[
            target("µs to find the viewer of a known token", Spread::of(results.known.iter().copied()), 1.0),
            target("CPU an event beside all, of that beside few", Spread::of_ratios(&results.all, &results.few), 1.2),
        ],
    )?;
    writeln!(
        output,
        "\nEach subscriber has a token with grants of its own, of an instance and of an application. Tokens are looked up in\n\
         this process, as a gateway does, on one thread; no keys were fetched meanwhile."
    )?;
    Ok(())
}
