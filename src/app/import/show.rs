//! How far an import is: a bar on a terminal, else a line now and then.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use crate::ingest::ImportProgress;

/// How often a bar moves.
const FRAME: Duration = Duration::from_millis(200);

/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// What is shown while an import runs.
pub(super) struct Show {
    bar: Option<ProgressBar>,
    task: JoinHandle<()>,
}

impl Show {
    /// Begins; `total` is how many bytes there are, where that is known.
    pub(super) fn start(progress: Arc<ImportProgress>, total: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(total));
        let task = tokio::spawn(show(bar.clone(), progress, total));
        Self { bar, task }
    }

    /// Does something that writes, with no bar in its way.
    pub(super) fn around(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
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
        let told = format!("{events} events, {rate:.0}/s");
        match &bar {
            Some(bar) => {
                bar.set_position(bytes);
                bar.set_message(told);
            }
            None => tell(&told, bytes, total, started.elapsed()),
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command tells how far it is")]
fn tell(told: &str, bytes: u64, total: Option<u64>, elapsed: Duration) {
    match total.filter(|total| *total > 0 && bytes > 0) {
        Some(total) => {
            let percent = (bytes * 100 / total).min(100);
            #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
            let left = elapsed.mul_f64(total.saturating_sub(bytes) as f64 / bytes as f64);
            eprintln!("{told}; {percent}% read, about {} left", HumanDuration(left));
        }
        None => eprintln!("{told}"),
    }
}
