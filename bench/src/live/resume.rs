//! Subscribers with different filters that resume at once, beside what COPY takes to read the same events.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use sluice::event::EventColumn;
use tokio::time::timeout;

use super::crowd::{Crowd, Heard};
use super::results::Resumed;
use super::{Bench, PACE, SUBSCRIPTION};
use crate::load::{Load, Pace};
use crate::report::{count, millis, percentile, progress};
use crate::socket::{Socket, events};

/// Number of different filters.
pub(super) const FILTERS: usize = 50;

/// Number of events that each filter matches, about.
const EACH: usize = 2_000;

/// Number of subscribers that were never behind, whose latency is compared.
const LIVE: usize = 100;

/// Duration of the measurement of their latency before the others resume.
const BEFORE: Duration = Duration::from_secs(10);

/// Number of connections that are opened at once.
const AT_ONCE: usize = 200;

/// Duration of each stretch for which the subscribers that were never behind are listened to.
const LISTENED: Duration = Duration::from_secs(1);

/// Longest time that all subscribers together may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The fields of an event, and the columns that they are read from.
const RESUMED: &str = "subscription ($after: Position!, $users: [String!]) { syncEvents(from: {after: $after}, filter: \
    {user: {oktaIds: $users}}) { events { position uuid eventType published message receivedAt } } }";
const COLUMNS: &str = "position, uuid, event_type, published, message, received_at";

/// A filter by some users, and the number of events that it matches.
#[derive(Debug)]
struct Filter {
    users: Vec<String>,
    matches: usize,
}

/// Measures both, and checks that each subscriber gets as many events as its filter matches.
pub(super) async fn measure(bench: &mut Bench<'_>) -> Result<()> {
    progress("subscribers with different filters that resume at once");
    let (address, subscribers) = (bench.gateway.address(), bench.options.subscribers);
    let after = bench.cluster.head().await?;
    while bench.cluster.head().await? < after + u64::try_from(FILTERS * EACH)? {
        let load = Load { events: 100, connections: 4, duration: Duration::from_millis(250) };
        load.send(address, bench.events, &bench.identities).await?;
    }
    let mut filters = filters(bench.events);
    let copied = copy(bench, after, &mut filters).await?;

    let mut live = Crowd::gather(address, LIVE, SUBSCRIPTION, |_| None).await?.acknowledged().await?;
    live.settle().await?;
    let (events, identities) = (bench.events, Rc::clone(&bench.identities));
    let load = |duration| Load::send_at(address, events, &identities, Pace::of_single(PACE), duration);
    let (heard, sent, flush) = tokio::join!(live.hear(BEFORE, 1), load(BEFORE), bench.cluster.watch_flushes(BEFORE));
    sent?;
    let flush = flush?;
    let before = bench.latencies(&heard?, flush).await?;

    let total: usize = (0..subscribers).map(|number| filters[number % FILTERS].matches).sum();
    let started = Instant::now();
    let is_over = Cell::new(false);
    let resumed = async {
        let numbers = stream::iter(0..subscribers);
        let connected = numbers.map(|number| resume(address, after, &filters[number % FILTERS]));
        let reading = connected.buffer_unordered(AT_ONCE).map(async |resumed| read(resumed?).await);
        let reading = reading.buffer_unordered(subscribers).try_for_each(|()| async { Ok(()) });
        let done = timeout(PATIENCE, reading).await;
        is_over.set(true);
        done.with_context(|| format!("not all have resumed after {PATIENCE:?}"))??;
        anyhow::Ok(started.elapsed())
    };
    let listening = async {
        let mut receipts = Vec::new();
        while !is_over.get() {
            receipts.extend(live.hear(LISTENED, 1).await?.receipts);
        }
        anyhow::Ok(Heard { receipts, ..Heard::default() })
    };
    let both = async { tokio::join!(resumed, listening) };
    let (elapsed, heard) = tokio::select! {
        both = both => both,
        sent = load(PATIENCE * 2) => bail!("the load ended before the subscribers had resumed: {sent:?}"),
    };
    let elapsed = elapsed?;
    // A commit waits for the disk as long as before.
    let meanwhile = bench.latencies(&heard?, flush).await?;
    let p99 = |latencies: &[Duration]| millis(percentile(latencies, 99));
    bench.results.resumed =
        Some(Resumed { subscribers, events: total, elapsed, copied, p99: (p99(&before), p99(&meanwhile)) });
    Ok(())
}

/// Divides the users among filters, so that each matches about as many events as any other.
fn filters(events: &[sluice::event::ReceivedEvent]) -> Vec<Filter> {
    let mut weights = std::collections::BTreeMap::<&str, usize>::new();
    for user in events.iter().filter_map(|event| event.occurrence.text(EventColumn::UserId)) {
        *weights.entry(user).or_default() += 1;
    }
    let mut weights: Vec<_> = weights.into_iter().collect();
    weights.sort_by_key(|(user, weight)| (std::cmp::Reverse(*weight), *user));
    let mut filters: Vec<_> = (0..FILTERS).map(|_| Filter { users: Vec::new(), matches: 0 }).collect();
    for (user, weight) in weights {
        if let Some(lightest) = filters.iter_mut().min_by_key(|filter| filter.matches) {
            lightest.users.push(user.to_owned());
            lightest.matches += weight;
        }
    }
    filters
}

/// Reads the events of each filter by COPY, and records their number. Returns the number of events read in a second.
async fn copy(bench: &mut Bench<'_>, after: u64, filters: &mut [Filter]) -> Result<f64> {
    let started = Instant::now();
    let mut copied = 0;
    for filter in filters {
        let users = filter.users.iter().map(|one| format!("'{one}'")).collect::<Vec<_>>().join(", ");
        let statement = format!(
            "COPY (SELECT {COLUMNS} FROM sync_event WHERE position > {after} AND user_id IN ({users})) TO STDOUT"
        );
        let rows = bench.cluster.connection().copy_out_raw(&statement).await?;
        // A row is a line: a line break in a value is escaped.
        let lines = rows.map_ok(|data| memchr::memchr_iter(b'\n', &data).count());
        filter.matches = lines.try_fold(0, |sum, lines| async move { Ok(sum + lines) }).await?;
        copied += filter.matches;
    }
    Ok(count(copied) / started.elapsed().as_secs_f64())
}

/// Resumes with a filter. Returns the subscriber and the number of events that the filter matches.
async fn resume(address: SocketAddr, after: u64, filter: &Filter) -> Result<(Socket, usize)> {
    let variables = json!({"after": after.to_string(), "users": filter.users});
    Ok((Socket::subscribe(address, RESUMED, &variables).await?, filter.matches))
}

/// Reads until all events have come.
async fn read((mut socket, matches): (Socket, usize)) -> Result<()> {
    let mut seen = 0;
    while seen < matches {
        socket.count(&mut |message| seen += events(message)).await?;
    }
    Ok(())
}
