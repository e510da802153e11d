//! Permits of a pool, each of which allows its holder to use a connection. A fair queue divides them between accounts, one
//! for each credential.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::fair_queue::{AccountNumber, Division, FairQueue, QueueLimits, Ticket};
use crate::postgres::Credential;

/// Least interval between two log lines about refusals of the same account.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// The permits of a pool. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Permits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    started: Instant,
    limits: QueueLimits,
    /// Longest wait for a permit.
    patience: Duration,
    state: Mutex<PermitState>,
}

#[derive(Debug)]
struct PermitState {
    queue: FairQueue<Waiter>,
    accounts: HashMap<Credential, Arc<CredentialAccount>>,
    /// Number of accounts of API keys.
    keys: usize,
    is_closed: bool,
}

#[derive(Debug)]
struct Waiter {
    account: Arc<CredentialAccount>,
    sender: oneshot::Sender<Permit>,
}

/// The account of a credential.
#[derive(Debug)]
pub(super) struct CredentialAccount {
    number: AccountNumber,
    credential: Credential,
    measures: Option<Measures>,
    /// Moment of the last log line about refusals.
    logged: Mutex<Option<Instant>>,
}

/// Largest number of API keys that have metrics of their own. Keys come and go while a gateway runs, and a label stays.
const LABELLED_KEYS: usize = 100;

/// Label of the API keys that come later.
const OTHER_KEYS: &str = "other keys";

/// Metrics of an account. Readers and issuers are named in the settings, so the number of their labels is bounded.
#[derive(Debug)]
struct Measures {
    waits: Histogram,
    uses: Histogram,
    refusals: Counter,
}

/// A permit, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    permits: Permits,
    account: Arc<CredentialAccount>,
    since: Instant,
    must_share: bool,
}

/// Reason why there is no permit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPermit {
    /// The pool is closed.
    Closed,
    /// No permit became free within this time.
    TimedOut(Duration),
    /// The queue of the account is full; its number of waiters.
    QueueFull(usize),
}

impl Permits {
    pub(super) fn new(limits: QueueLimits, patience: Duration) -> Self {
        let state = PermitState { queue: FairQueue::new(limits), accounts: HashMap::new(), keys: 0, is_closed: false };
        Self(Arc::new(Shared { started: Instant::now(), limits, patience, state: Mutex::new(state) }))
    }

    /// Returns true if each credential has a share of the permits.
    pub(super) fn are_divided(&self) -> bool {
        self.0.limits.division == Division::ByAccount
    }

    /// Returns the account of a credential. The first account of a pool is the gateway's. Only the use of divided permits
    /// is measured.
    pub(super) fn account(&self, credential: &Credential) -> Arc<CredentialAccount> {
        let mut state = self.state();
        if let Some(account) = state.accounts.get(credential) {
            return Arc::clone(account);
        }
        let label = match credential {
            Credential::ApiKey(_) if state.keys >= LABELLED_KEYS => OTHER_KEYS.to_owned(),
            credential => credential.to_string(),
        };
        state.keys += usize::from(matches!(credential, Credential::ApiKey(_)));
        let account = Arc::new(CredentialAccount {
            number: state.queue.open_account(),
            credential: credential.clone(),
            measures: self.are_divided().then(|| Measures::of(label)),
            logged: Mutex::default(),
        });
        state.accounts.insert(credential.clone(), Arc::clone(&account));
        account
    }

    /// Takes a permit for an account, or waits for one.
    pub(super) async fn acquire(&self, account: &Arc<CredentialAccount>) -> Result<Permit, NoPermit> {
        let mut waiting = {
            let mut state = self.state();
            if state.is_closed {
                return Err(NoPermit::Closed);
            }
            let now = Instant::now();
            if state.queue.try_take(account.number, self.moment(now)) {
                let must_share = state.queue.must_share(account.number, self.moment(now));
                drop(state);
                return Ok(Permit { permits: self.clone(), account: Arc::clone(account), since: now, must_share });
            }
            let (sender, permit) = oneshot::channel();
            let waiter = Waiter { account: Arc::clone(account), sender };
            let Some(ticket) = state.queue.wait(account.number, waiter, self.moment(now)) else {
                let (held, waiting) = state.queue.usage(account.number);
                drop(state);
                account.refuse(self.0.limits.size, held, waiting);
                return Err(NoPermit::QueueFull(waiting));
            };
            Waiting { permits: self, account, ticket, since: now, permit }
        };
        if let Ok(permit) = timeout(self.0.patience, &mut waiting.permit).await {
            return permit.map_err(|_| NoPermit::Closed);
        }
        let (held, waiting) = self.state().queue.usage(account.number);
        account.refuse(self.0.limits.size, held, waiting);
        Err(NoPermit::TimedOut(self.0.patience))
    }

    /// Ends the hand-out of permits, and all waits with [`NoPermit::Closed`].
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        let waiters = state.queue.drain();
        drop(state);
        drop(waiters);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    fn give_back(&self, account: &CredentialAccount, held_for: Duration, now: Instant) {
        let mut state = self.state();
        state.queue.give_back(account.number, held_for, self.moment(now));
        while let Some(Waiter { account, sender }) = state.queue.next(self.moment(now)) {
            let must_share = state.queue.must_share(account.number, self.moment(now));
            // If the waiter is gone, the permit is dropped, and its drop needs the lock.
            drop(state);
            _ = sender.send(Permit { permits: self.clone(), account, since: now, must_share });
            state = self.state();
        }
    }

    fn state(&self) -> MutexGuard<'_, PermitState> {
        self.0.state.lock()
    }

    fn moment(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.0.started)
    }
}

impl Permit {
    /// Returns true if the statement should keep at most one processor busy, since other credentials use the pool, too.
    pub(super) const fn must_share(&self) -> bool {
        self.must_share
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = Instant::now();
        let held_for = now.saturating_duration_since(self.since);
        if let Some(measures) = &self.account.measures {
            measures.uses.record(held_for);
        }
        self.permits.give_back(&self.account, held_for, now);
    }
}

/// A wait for a permit. A permit that comes after the end of the wait is given back.
struct Waiting<'a> {
    permits: &'a Permits,
    account: &'a CredentialAccount,
    ticket: Ticket,
    since: Instant,
    permit: oneshot::Receiver<Permit>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(measures) = &self.account.measures {
            measures.waits.record(self.since.elapsed());
        }
        self.permits.state().queue.give_up(self.account.number, self.ticket);
    }
}

impl CredentialAccount {
    /// Counts a refusal, and logs it from time to time.
    fn refuse(&self, connections: usize, running: usize, waiting: usize) {
        let Some(measures) = &self.measures else { return };
        measures.refusals.increment(1);
        let mut logged = self.logged.lock();
        if logged.is_none_or(|logged| logged.elapsed() > LOG_INTERVAL) {
            *logged = Some(Instant::now());
            tracing::warn!(
                credential = %self.credential,
                running,
                waiting,
                connections,
                "a read was refused, as no connection to the database became free in time (logged at most once a minute \
                 for each credential)"
            );
        }
    }
}

impl Measures {
    fn of(label: String) -> Self {
        Self {
            waits: metrics::histogram!("sluice_read_wait_seconds", "credential" => label.clone()),
            uses: metrics::histogram!("sluice_read_seconds", "credential" => label.clone()),
            refusals: metrics::counter!("sluice_reads_refused_total", "credential" => label),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn permits(size: usize) -> Permits {
        let limits = QueueLimits { division: Division::None, size, most_waiters: usize::MAX, most_long: size };
        Permits::new(limits, Duration::from_millis(20))
    }

    #[tokio::test]
    async fn a_permit_is_lent_again_and_a_wait_for_one_ends() {
        let permits = permits(1);
        let account = permits.account(&Credential::Gateway);
        let first = permits.acquire(&account).await.unwrap();
        assert_eq!(permits.acquire(&account).await.unwrap_err(), NoPermit::TimedOut(Duration::from_millis(20)));
        let mut waiting = Box::pin(permits.acquire(&account));
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        assert!(waiting.await.is_ok());
    }

    #[test]
    fn many_keys_share_a_label() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let limits = QueueLimits { division: Division::ByAccount, size: 4, most_waiters: usize::MAX, most_long: 4 };
            let permits = Permits::new(limits, Duration::from_millis(20));
            for key in 0..2 * LABELLED_KEYS {
                permits.account(&Credential::ApiKey(format!("key-{key}")));
            }
            permits.account(&Credential::Reader("reader".to_owned()));
        });
        let text = handle.render();
        let counted = |label: &str| text.matches(&format!("sluice_reads_refused_total{{credential=\"{label}")).count();
        assert_eq!((counted("key:"), counted(OTHER_KEYS), counted("reader:")), (LABELLED_KEYS, 1, 1), "{text}");
    }

    #[tokio::test]
    async fn a_closed_pool_lends_nothing_and_sends_its_waiters_away() {
        let permits = permits(1);
        let account = permits.account(&Credential::Gateway);
        let held = permits.acquire(&account).await.unwrap();
        let mut waiting = Box::pin(permits.acquire(&account));
        assert!((&mut waiting).now_or_never().is_none());
        permits.close();
        assert!(permits.is_closed());
        assert_eq!(waiting.await.unwrap_err(), NoPermit::Closed);
        drop(held);
        assert_eq!(permits.acquire(&account).await.unwrap_err(), NoPermit::Closed);
    }
}
