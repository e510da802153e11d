//! The `sluice` command.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use sluice::config::{self, Arguments, Command, Serve, Settings};
use sluice::{app, graphql, telemetry};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// An answer is built of many small pieces that live for a moment: glibc's allocator takes a sixth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command.unwrap_or(Command::Serve(arguments.serve)) {
        Command::Serve(arguments) => serve(&arguments).await,
        Command::Schema => schema(),
        Command::Migrate(common) => {
            telemetry::start_logging(common.log_format);
            match config::database(&common, &variable) {
                Ok(database) => app::migrate(&database).await,
                Err(error) => Err(error.into()),
            }
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
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
fn schema() -> anyhow::Result<()> {
    print!("{}", graphql::sdl());
    Ok(())
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
