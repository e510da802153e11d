//! The progress display of an import: a bar on a terminal, otherwise a line at intervals.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use crate::ingest::ImportProgress;

/// The interval at which the bar is updated.
const FRAME: Duration = Duration::from_millis(200);

/// The interval at which a line is written without a terminal.
const LINE: Duration = Duration::from_secs(10);

/// The display of a running import's progress.
pub(super) struct ProgressDisplay {
    bar: Option<ProgressBar>,
    task: JoinHandle<()>,
}

impl ProgressDisplay {
    /// Starts the display. `total` is the number of bytes, if it is known.
    pub(super) fn start(progress: Arc<ImportProgress>, total: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(total));
        let task = tokio::spawn(show(bar.clone(), progress, total));
        Self { bar, task }
    }

    /// Hides the bar while something else is printed.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    pub(super) fn end(self) {
        self.task.abort();
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:30} {percent}% of {total_bytes}, {msg}, about {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes}, {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message("0 events")
}

async fn show(bar: Option<ProgressBar>, progress: Arc<ImportProgress>, total: Option<u64>) {
    let started = Instant::now();
    let mut tick = interval(if bar.is_some() { FRAME } else { LINE });
    tick.tick().await;
    loop {
        tick.tick().await;
        let (bytes, events) = (progress.bytes(), progress.events());
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = events as f64 / started.elapsed().as_secs_f64();
        let events = format!("{events} events, {rate:.0}/s");
        match &bar {
            Some(bar) => {
                bar.set_position(bytes);
                bar.set_message(events);
            }
            None => print_line(&events, bytes, total, started.elapsed()),
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command shows its progress")]
fn print_line(events: &str, bytes: u64, total: Option<u64>, elapsed: Duration) {
    match total.filter(|total| *total > 0 && bytes > 0) {
        Some(total) => {
            let percent = (bytes * 100 / total).min(100);
            #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
            let left = elapsed.mul_f64(total.saturating_sub(bytes) as f64 / bytes as f64);
            eprintln!("{events}; {percent}% read, about {} left", HumanDuration(left));
        }
        None => eprintln!("{events}"),
    }
}
