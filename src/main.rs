//! The `sluice` command.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use sluice::app::ImportEnded;
use sluice::config::{
    self, Arguments, Command, Common, Import, Log, LogCommand, LogFormat, Rejected, RejectedCommand, Serve, Settings,
    SettingsError, Target, WaysIn,
};
use sluice::store::{RejectionFilter, StoreError};
use sluice::{app, graphql, telemetry};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// An answer is built of many small pieces that live for a moment: glibc's allocator takes a sixth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the exit status says where all was done, and some of what was read was refused.
const SOME_REJECTED: u8 = 3;

/// Exit status for a log that was made before 0.1.0, which `scripts/run` moves aside.
const MADE_BEFORE: u8 = 4;

/// What a shell says of a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// How many tasks a thread goes on with before it looks for what has come, such as an answer of the database for which all
/// who append wait: tokio's 61 kept it waiting for as long as 1.3 ms, while requests were read.
const TASKS_BETWEEN_LOOKS: u32 = 8;

/// Time that blocking work, such as a DNS look-up, has to end when the program exits.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let command = arguments.command.unwrap_or(Command::Serve(arguments.serve));
    let format = format_of_errors(&command);
    // Told before the runtime ends, which waits for what blocks, as for a name that is looked up.
    let failed = |error: anyhow::Error| {
        report(&error, format);
        let made_before = matches!(error.downcast_ref(), Some(StoreError::MadeBefore));
        if made_before { MADE_BEFORE.into() } else { ExitCode::FAILURE }
    };
    match runtime(&command) {
        Ok(runtime) => {
            let code = runtime.block_on(async { run(command).await.unwrap_or_else(failed) });
            runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
            code
        }
        Err(error) => failed(error),
    }
}

/// Threads that take turns with PostgreSQL on one processor cost more than they bring, so one is left to it.
fn runtime(command: &Command) -> anyhow::Result<Runtime> {
    let chosen = if let Command::Serve(Serve { threads, .. }) = command { *threads } else { None };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = chosen.map_or_else(|| processors.saturating_sub(1).max(1), usize::from);
    Builder::new_multi_thread()
        .worker_threads(threads)
        .event_interval(TASKS_BETWEEN_LOOKS)
        .enable_all()
        .build()
        .context("could not start threads")
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(arguments) => serve(&arguments).await.map(|()| ExitCode::SUCCESS),
        Command::Schema => schema(),
        Command::Migrate(target) => migrate(&target).await,
        Command::Import(arguments) => import(&arguments).await,
        Command::Rejected(Rejected { command }) => rejected(&command).await,
        Command::Log(Log { command: LogCommand::NewEra { target, reason } }) => new_era(&target, &reason).await,
    }
}

fn start_logging(common: &Common) -> Result<(), SettingsError> {
    telemetry::start_logging(common.log_format, &config::log_targets(&variable)?);
    Ok(())
}

async fn migrate(Target { common, create }: &Target) -> anyhow::Result<ExitCode> {
    start_logging(common)?;
    app::migrate(&config::database(common, &variable)?, *create).await?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the command's output")]
async fn new_era(Target { common, create }: &Target, reason: &str) -> anyhow::Result<ExitCode> {
    start_logging(common)?;
    let begun = app::new_era(&config::database(common, &variable)?, *create, reason).await?;
    println!(
        "a new era has begun: positions go on after {}, and those through {} stand",
        begun.start, begun.previous_end
    );
    Ok(ExitCode::SUCCESS)
}

async fn import(arguments: &Import) -> anyhow::Result<ExitCode> {
    let ways_in = WaysIn::read(&arguments.target, &variable)?;
    let org = ways_in.org(arguments.org.as_deref())?;
    start_logging(&arguments.target.common)?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone(), true)?;
    Ok(match app::import(&ways_in, &org, &arguments.files, stop).await? {
        ImportEnded::Complete => ExitCode::SUCCESS,
        ImportEnded::SomeRejected => SOME_REJECTED.into(),
        ImportEnded::Stopped => INTERRUPTED.into(),
    })
}

async fn rejected(command: &RejectedCommand) -> anyhow::Result<ExitCode> {
    let (RejectedCommand::List { selection, .. }
    | RejectedCommand::Retry(selection)
    | RejectedCommand::Drop { selection, .. }) = command;
    start_logging(&selection.target.common)?;
    let filter =
        RejectionFilter { org: selection.org.clone(), ids: Some(selection.ids.clone()).filter(|ids| !ids.is_empty()) };
    let ways_in = WaysIn::read(&selection.target, &variable)?;
    match command {
        RejectedCommand::List { limit, raw, .. } => {
            let limit = if *limit == 0 { usize::MAX } else { *limit };
            app::list_rejected(&ways_in, &filter, limit, *raw).await?;
        }
        RejectedCommand::Drop { .. } => app::drop_rejected(&ways_in, &filter).await?,
        RejectedCommand::Retry(_) => {
            let stop = CancellationToken::new();
            stop_on_signals(stop.clone(), true)?;
            let is_all = app::retry_rejected(&ways_in, &filter, &stop).await?;
            return Ok(if is_all { ExitCode::SUCCESS } else { SOME_REJECTED.into() });
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(arguments: &Serve) -> anyhow::Result<()> {
    let settings = Settings::read(arguments, &variable)?;
    if arguments.check {
        return say_checked(&settings);
    }
    start_logging(&arguments.common)?;
    // SIGHUP does not end the process from here on.
    let hangup = signal(SignalKind::hangup())?;
    say_read(arguments, &settings);
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("could not listen on {} (--listen)", settings.listen))?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone(), false)?;
    reload_on_hangup(hangup, arguments.clone(), settings.clone());
    app::run(listener, settings, stop).await
}

/// Logs which program starts with which settings.
fn say_read(arguments: &Serve, settings: &Settings) {
    let file = config::settings_file(&arguments.common).map(|file| file.display().to_string());
    let orgs = settings.orgs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        settings = file.as_deref().unwrap_or("none"),
        orgs,
        readers = settings.readers.number(),
        "starting"
    );
}

/// Reads the settings again at each SIGHUP and puts their readers and secrets into force. Settings with a fault change
/// nothing.
fn reload_on_hangup(mut hangup: Signal, arguments: Serve, settings: Settings) {
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let again = arguments.clone();
            let read = tokio::task::spawn_blocking(move || Settings::read(&again, &variable)).await;
            match read {
                Ok(Ok(fresh)) => adopt(&settings, &fresh),
                Ok(Err(SettingsError(faults))) => {
                    metrics::counter!("sluice_settings_reload_failures_total").increment(1);
                    let faults = faults.join("; ");
                    tracing::error!(
                        faults,
                        "SIGHUP: the settings are wrong; the readers and secrets stay as they were. A process keeps the \
                         environment with which it was started: a new secret must be in a file (file:PATH)"
                    );
                }
                // The runtime ends.
                Err(_) => return,
            }
        }
    });
}

fn adopt(settings: &Settings, fresh: &Settings) {
    let reloaded = settings.adopt(fresh);
    metrics::counter!("sluice_settings_reloaded_total").increment(1);
    let changed = reloaded.changed.join("; ");
    tracing::info!(changed, changes = reloaded.changed.len(), "SIGHUP: read the readers and secrets again");
    if !reloaded.needs_restart.is_empty() {
        let parts = reloaded.needs_restart.join(", ");
        tracing::warn!(parts, "SIGHUP: these parts of the settings have changed, too, and need a restart");
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The first signal stops in peace; a second one ends the process as it always does. Commands stop at SIGHUP, too, as when
/// their terminal is closed.
fn stop_on_signals(stop: CancellationToken, at_hangup: bool) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = if at_hangup { Some(signal(SignalKind::hangup())?) } else { None };
    tokio::spawn(async move {
        let mut told = async || {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hung_up => {}
            }
        };
        told().await;
        tracing::info!("stopping");
        stop.cancel();
        told().await;
        std::process::exit(INTERRUPTED.into());
    });
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command's output")]
#[expect(clippy::unnecessary_wraps, reason = "a command like the others")]
fn schema() -> anyhow::Result<ExitCode> {
    print!("{}", graphql::sdl());
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the command's output")]
#[expect(clippy::unnecessary_wraps, reason = "a command like the others")]
fn say_checked(settings: &Settings) -> anyhow::Result<()> {
    for warning in &settings.warnings {
        println!("warning: {warning}");
    }
    for note in settings.notes() {
        println!("note: {note}");
    }
    println!("the settings are right: {} org(s), listening on {}", settings.orgs.len(), settings.listen);
    Ok(())
}

/// Returns how a fatal error looks: like the log lines of a gateway, else, unless JSON is asked for, for people.
fn format_of_errors(command: &Command) -> LogFormat {
    let (common, is_gateway) = match command {
        Command::Serve(serve) => (&serve.common, !serve.check),
        Command::Import(import) => (&import.target.common, false),
        Command::Rejected(Rejected {
            command:
                RejectedCommand::List { selection, .. }
                | RejectedCommand::Retry(selection)
                | RejectedCommand::Drop { selection, .. },
        }) => (&selection.target.common, false),
        Command::Migrate(target) | Command::Log(Log { command: LogCommand::NewEra { target, .. } }) => {
            (&target.common, false)
        }
        Command::Schema => return LogFormat::Text,
    };
    if is_gateway { telemetry::log_format(common.log_format) } else { common.log_format.unwrap_or(LogFormat::Text) }
}

/// Tells a fatal error. Logging may not have started, and may not be chosen to show errors.
#[expect(clippy::print_stderr, reason = "logging may not have started")]
fn report(error: &anyhow::Error, format: LogFormat) {
    match format {
        LogFormat::Text => eprintln!("sluice: {error:#}"),
        LogFormat::Json => {
            let timestamp = sluice::event::Timestamp::now().to_string();
            let message = format!("{error:#}");
            let line =
                serde_json::json!({"timestamp": timestamp, "level": "ERROR", "message": message, "target": "sluice"});
            eprintln!("{line}");
        }
    }
}
