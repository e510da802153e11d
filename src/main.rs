//! The `sluice` command.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use sluice::app::ImportEnded;
use sluice::config::{
    self, Arguments, Command, Common, Import, Log, LogCommand, Rejected, RejectedCommand, Serve, Settings, WaysIn,
};
use sluice::store::RejectionFilter;
use sluice::{app, graphql, telemetry};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// An answer is built of many small pieces that live for a moment: glibc's allocator takes a sixth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the exit status says where all was done, and some of what was read was refused.
const SOME_REJECTED: u8 = 3;

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
    // Told before the runtime ends, which waits for what blocks, as for a name that is looked up.
    let failed = |error| {
        report(&error);
        ExitCode::FAILURE
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
        Command::Migrate(common) => migrate(&common).await,
        Command::Import(arguments) => import(&arguments).await,
        Command::Rejected(Rejected { command }) => rejected(&command).await,
        Command::Log(Log { command: LogCommand::NewEra { common, reason } }) => new_era(&common, &reason).await,
    }
}

async fn migrate(common: &Common) -> anyhow::Result<ExitCode> {
    telemetry::start_logging(common.log_format);
    app::migrate(&config::database(common, &variable)?).await?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the command's output")]
async fn new_era(common: &Common, reason: &str) -> anyhow::Result<ExitCode> {
    telemetry::start_logging(common.log_format);
    let begun = app::new_era(&config::database(common, &variable)?, reason).await?;
    println!(
        "a new era has begun: positions go on after {}, and those through {} stand",
        begun.start, begun.previous_end
    );
    Ok(ExitCode::SUCCESS)
}

async fn import(arguments: &Import) -> anyhow::Result<ExitCode> {
    let ways_in = WaysIn::read(&arguments.common, &variable)?;
    let org = ways_in.org(arguments.org.as_deref())?;
    telemetry::start_logging(arguments.common.log_format);
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
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
    telemetry::start_logging(selection.common.log_format);
    let filter =
        RejectionFilter { org: selection.org.clone(), ids: Some(selection.ids.clone()).filter(|ids| !ids.is_empty()) };
    let database = || config::database(&selection.common, &variable);
    match command {
        RejectedCommand::List { limit, raw, .. } => {
            let limit = if *limit == 0 { usize::MAX } else { *limit };
            app::list_rejected(&database()?, &filter, limit, *raw).await?;
        }
        RejectedCommand::Drop { .. } => app::drop_rejected(&database()?, &filter).await?,
        RejectedCommand::Retry(_) => {
            let ways_in = WaysIn::read(&selection.common, &variable)?;
            let stop = CancellationToken::new();
            stop_on_signals(stop.clone())?;
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
    telemetry::start_logging(arguments.common.log_format);
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("could not listen on {} (--listen)", settings.listen))?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    app::run(listener, settings, stop).await
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The first signal stops in peace; a second one ends the process as it always does.
fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        std::process::exit(130);
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
    println!("the settings are right: {} org(s), listening on {}", settings.orgs.len(), settings.listen);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "logging may not have started")]
fn report(error: &anyhow::Error) {
    eprintln!("sluice: {error:#}");
}
