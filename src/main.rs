//! The `sluice` command.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use sluice::app::ImportEnded;
use sluice::config::{
    self, AccessArguments, AccessCommand, AddKey, Arguments, Command, Common, Import, IntakeSettings, KeysArguments,
    KeysCommand, LogArguments, LogCommand, LogFormat, NewKeySettings, Rejected, RejectedCommand, Serve, Settings,
    SettingsError, TargetLog,
};
use sluice::ledger::RejectionFilter;
use sluice::store::StoreError;
use sluice::{app, graphql, telemetry};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// mimalloc is faster than glibc's allocator, which takes a sixth of the time of building a response from small pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit status if everything was read, but some records were rejected.
const SOME_REJECTED: u8 = 3;

/// The exit status if the explained token is refused.
const REFUSED: u8 = 3;

/// The exit status for a log from before 0.1.0, which `scripts/run` moves aside.
const LOG_TOO_OLD: u8 = 4;

/// The exit status of a program that was interrupted, as shells use it.
const INTERRUPTED: u8 = 130;

/// The number of tasks that a thread runs before it polls for I/O events, such as a response of the database for which all
/// appends wait. With tokio's default of 61, such a response waited for up to 1.3 ms while requests were read.
const TASKS_BETWEEN_POLLS: u32 = 8;

/// The time for blocking work, such as a DNS look-up, to end when the program exits.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let command = arguments.command.unwrap_or(Command::Serve(arguments.serve));
    let format = format_of_errors(&command);
    // Reported before the runtime ends, which waits for blocking work such as a DNS look-up.
    let failed = |error: anyhow::Error| {
        report(&error, format);
        let is_too_old = matches!(error.downcast_ref(), Some(StoreError::TooOld));
        if is_too_old { LOG_TOO_OLD.into() } else { ExitCode::FAILURE }
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

/// Starts the runtime. One processor is left to PostgreSQL, since threads that compete with it cost more than they
/// gain.
fn runtime(command: &Command) -> anyhow::Result<Runtime> {
    let chosen = if let Command::Serve(Serve { threads, .. }) = command { *threads } else { None };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = chosen.map_or_else(|| processors.saturating_sub(1).max(1), usize::from);
    Builder::new_multi_thread()
        .worker_threads(threads)
        .event_interval(TASKS_BETWEEN_POLLS)
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
        Command::Access(AccessArguments { command: AccessCommand::Explain(common) }) => explain(common).await,
        Command::Keys(KeysArguments { command }) => keys(&command).await,
        Command::Log(LogArguments { command: LogCommand::NewEra { target, reason } }) => {
            new_era(&target, &reason).await
        }
    }
}

fn start_logging(common: &Common) -> Result<(), SettingsError> {
    telemetry::start_logging(common.log_format, &config::log_targets(&variable)?);
    Ok(())
}

async fn migrate(TargetLog { common, create }: &TargetLog) -> anyhow::Result<ExitCode> {
    start_logging(common)?;
    app::migrate(&config::database(common, &variable)?, *create).await?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the command's output")]
async fn new_era(TargetLog { common, create }: &TargetLog, reason: &str) -> anyhow::Result<ExitCode> {
    start_logging(common)?;
    let begun = app::new_era(&config::database(common, &variable)?, *create, reason).await?;
    println!(
        "a new era has begun: new positions follow {}, and those through {} remain valid",
        begun.start, begun.previous_end
    );
    Ok(ExitCode::SUCCESS)
}

async fn explain(common: Common) -> anyhow::Result<ExitCode> {
    // The explanation says itself why a token is refused.
    let targets = config::log_targets(&variable)?.without("sluice::auth");
    telemetry::start_logging(common.log_format, &targets);
    let file = config::settings_file(&common);
    let settings = Settings::read(&Serve::unstarted(common), &variable)?;
    Ok(if app::explain(&settings, file.as_deref()).await? { ExitCode::SUCCESS } else { REFUSED.into() })
}

async fn import(arguments: &Import) -> anyhow::Result<ExitCode> {
    let settings = IntakeSettings::read(&arguments.target, &variable)?;
    let org = settings.org(arguments.org.as_deref())?;
    start_logging(&arguments.target.common)?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone(), true)?;
    Ok(match app::import(&settings, &org, &arguments.files, stop).await? {
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
    let settings = IntakeSettings::read(&selection.target, &variable)?;
    match command {
        RejectedCommand::List { limit, raw, .. } => {
            let limit = if *limit == 0 { usize::MAX } else { *limit };
            app::list_rejected(&settings, &filter, limit, *raw).await?;
        }
        RejectedCommand::Drop { .. } => app::drop_rejected(&settings, &filter).await?,
        RejectedCommand::Retry(_) => {
            let stop = CancellationToken::new();
            stop_on_signals(stop.clone(), true)?;
            let is_all = app::retry_rejected(&settings, &filter, &stop).await?;
            return Ok(if is_all { ExitCode::SUCCESS } else { SOME_REJECTED.into() });
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn keys(command: &KeysCommand) -> anyhow::Result<ExitCode> {
    start_logging(&target_of_keys(command).common)?;
    match command {
        KeysCommand::Add(arguments) => {
            let NewKeySettings { intake, rights } = NewKeySettings::read(arguments, &variable)?;
            app::add_key(&intake, &arguments.name, &rights, arguments.days).await?;
        }
        KeysCommand::List(TargetLog { common, create }) => {
            app::list_keys(&config::database(common, &variable)?, *create).await?;
        }
        KeysCommand::Revoke { target: TargetLog { common, create }, name } => {
            app::revoke_key(&config::database(common, &variable)?, *create, name).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the log of a command for API keys.
const fn target_of_keys(command: &KeysCommand) -> &TargetLog {
    match command {
        KeysCommand::Add(AddKey { target, .. }) | KeysCommand::List(target) | KeysCommand::Revoke { target, .. } => {
            target
        }
    }
}

async fn serve(arguments: &Serve) -> anyhow::Result<()> {
    let settings = Settings::read(arguments, &variable)?;
    if arguments.check {
        return print_checked(&settings);
    }
    start_logging(&arguments.common)?;
    // From here on, SIGHUP does not end the process.
    let hangup = signal(SignalKind::hangup())?;
    log_start(arguments, &settings);
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("could not listen on {} (--listen)", settings.listen))?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone(), false)?;
    reload_on_hangup(hangup, arguments.clone(), settings.clone());
    app::run(listener, settings, stop).await
}

/// Logs the start of the gateway, with its version and settings.
fn log_start(arguments: &Serve, settings: &Settings) {
    let file = config::settings_file(&arguments.common).map(|file| file.display().to_string());
    let orgs = settings.orgs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        settings = file.as_deref().unwrap_or("none"),
        orgs,
        readers = settings.readers.number(),
        "starting"
    );
    if let Some(note) = settings.note_of_readers() {
        tracing::info!("{note}");
    }
}

/// Reads the settings again at each SIGHUP and puts their readers and secrets into force. Faulty settings change
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
                        "SIGHUP: the settings are wrong, and the readers and secrets stay as they were: {faults}{}",
                        hint_of_environment(&faults)
                    );
                }
                // The runtime is shutting down.
                Err(_) => return,
            }
        }
    });
}

/// Returns what to know if the faults are of environment variables.
fn hint_of_environment(faults: &str) -> &'static str {
    if faults.contains("environment variable ") || faults.contains(": env:") {
        ". A process keeps the environment with which it was started: a new secret must be in a file (file:PATH)"
    } else {
        ""
    }
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

/// Stops the work at the first signal and ends the process at the second. Commands stop at SIGHUP too, for example when
/// their terminal is closed.
fn stop_on_signals(stop: CancellationToken, at_hangup: bool) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = if at_hangup { Some(signal(SignalKind::hangup())?) } else { None };
    tokio::spawn(async move {
        let mut signalled = async || {
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
        signalled().await;
        tracing::info!("stopping");
        stop.cancel();
        signalled().await;
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
fn print_checked(settings: &Settings) -> anyhow::Result<()> {
    for warning in &settings.warnings {
        println!("warning: {warning}");
    }
    for note in settings.notes() {
        println!("note: {note}");
    }
    println!("the settings are right: {} org(s), listening on {}", settings.orgs.len(), settings.listen);
    Ok(())
}

/// Returns the format of a fatal error: like a gateway's log lines, otherwise text unless JSON is requested.
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
        Command::Keys(KeysArguments { command }) => (&target_of_keys(command).common, false),
        Command::Migrate(target) | Command::Log(LogArguments { command: LogCommand::NewEra { target, .. } }) => {
            (&target.common, false)
        }
        Command::Access(AccessArguments { command: AccessCommand::Explain(common) }) => (common, false),
        Command::Schema => return LogFormat::Text,
    };
    if is_gateway { telemetry::log_format(common.log_format) } else { common.log_format.unwrap_or(LogFormat::Text) }
}

/// Prints a fatal error. Logging may not have started, and may be configured to hide errors.
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
