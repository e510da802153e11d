//! A fair queue for permits: start-time fair queueing by the time for which permits are held, with dynamic thresholds.
//!
//! Each account has a virtual time, which advances by the time for which the account holds permits. Of the accounts that
//! wait, the one with the least virtual time is served next. An account without waiters is raised to the present, the
//! virtual time of the account that was served last: pauses earn no credit.
//!
//! A queue alone would not help a short statement behind many long ones, which hold every permit until they end. So an
//! account may take another permit only if it then holds at most [`SHARE`] times as many as remain free (the dynamic
//! thresholds of Choudhury and Hahne): alone it gets three quarters of the permits, and several get less each. An account
//! without a permit may take the last one.
//!
//! Connections are not all that statements need: a few that take long keep the database's processors busy, and every short
//! statement then waits there. So an account whose statements take [`LONG`] on average has only a few of them executed at
//! once while another account uses the pool, too.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

/// Number of permits that an account may hold for each permit that remains free.
const SHARE: usize = 3;

/// Average time for which an account holds a permit that makes its statements long ones.
const LONG: Duration = Duration::from_millis(10);

/// Weight of the last statement in the average is one of this many parts.
const AVERAGE_OF: u32 = 8;

/// Time for which an account counts as one that uses the pool, after it has used a permit.
const ACTIVE: Duration = Duration::from_secs(1);

/// Least number of permits of which one is kept for the first account.
const RESERVE_FROM: usize = 4;

/// Number of an account of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccountNumber(usize);

/// A waiter's place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// The rule by which permits are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Division {
    /// Permits are handed out in the order of requests.
    None,
    /// Each account has a share of the permits. Of four or more, one is kept for the first account.
    ByAccount,
}

/// Limits of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueLimits {
    pub(super) division: Division,
    /// Number of permits.
    pub(super) size: usize,
    /// Largest number of waiters of an account.
    pub(super) most_waiters: usize,
    /// Largest number of permits of an account with long statements, while another account uses the pool.
    pub(super) most_long: usize,
}

/// Permits, the accounts that hold them, and the waiters for them. All times are measured from the same moment.
#[derive(Debug)]
pub(super) struct FairQueue<W> {
    limits: QueueLimits,
    free: usize,
    waiting: usize,
    next_ticket: u64,
    /// Virtual time at which the last permit was handed out.
    present: Duration,
    accounts: Vec<Account<W>>,
}

#[derive(Debug)]
struct Account<W> {
    virtual_time: Duration,
    /// Moment through which the held permits are in `virtual_time`.
    counted: Duration,
    held: usize,
    /// Moving average of the time for which a permit is held.
    average: Duration,
    /// Moment at which a permit was last taken or given back.
    used: Option<Duration>,
    waiters: VecDeque<(Ticket, W)>,
}

impl<W> Account<W> {
    /// Returns the virtual time with all that is held at a moment.
    fn virtual_time_at(&self, now: Duration) -> Duration {
        let held = u32::try_from(self.held).unwrap_or(u32::MAX);
        self.virtual_time.saturating_add(now.saturating_sub(self.counted).saturating_mul(held))
    }

    fn count(&mut self, now: Duration) {
        self.virtual_time = self.virtual_time_at(now);
        self.counted = self.counted.max(now);
    }
}

impl<W> FairQueue<W> {
    /// Creates a queue whose permits are free.
    pub(super) const fn new(limits: QueueLimits) -> Self {
        Self { limits, free: limits.size, waiting: 0, next_ticket: 0, present: Duration::ZERO, accounts: Vec::new() }
    }

    /// Adds an account.
    pub(super) fn open_account(&mut self) -> AccountNumber {
        self.accounts.push(Account {
            virtual_time: Duration::ZERO,
            counted: Duration::ZERO,
            held: 0,
            average: Duration::ZERO,
            used: None,
            waiters: VecDeque::new(),
        });
        AccountNumber(self.accounts.len() - 1)
    }

    /// Takes a permit, if the account may have one at once.
    pub(super) fn try_take(&mut self, AccountNumber(account): AccountNumber, now: Duration) -> bool {
        self.raise(account, now);
        let may_take = self.may_take(account, now);
        if may_take {
            self.hand_out(account, now);
        }
        may_take
    }

    /// Puts a waiter at the end of its account's queue. Returns None if that queue is full.
    pub(super) fn wait(&mut self, AccountNumber(account): AccountNumber, waiter: W, now: Duration) -> Option<Ticket> {
        self.raise(account, now);
        let account =
            self.accounts.get_mut(account).filter(|account| account.waiters.len() < self.limits.most_waiters)?;
        let ticket = Ticket(self.next_ticket);
        account.waiters.push_back((ticket, waiter));
        self.next_ticket += 1;
        self.waiting += 1;
        Some(ticket)
    }

    /// Removes a waiter that has not been served.
    pub(super) fn give_up(&mut self, AccountNumber(account): AccountNumber, ticket: Ticket) {
        let Some(account) = self.accounts.get_mut(account) else { return };
        if let Ok(index) = account.waiters.binary_search_by_key(&ticket, |(ticket, _)| *ticket) {
            account.waiters.remove(index);
            self.waiting -= 1;
        }
    }

    /// Takes back a permit that was held for some time. The caller then serves waiters by [`next`](Self::next).
    pub(super) fn give_back(&mut self, AccountNumber(account): AccountNumber, held_for: Duration, now: Duration) {
        if let Some(account) = self.accounts.get_mut(account) {
            account.count(now);
            account.average = (account.average * (AVERAGE_OF - 1) + held_for) / AVERAGE_OF;
            account.used = Some(now);
            account.held = account.held.saturating_sub(1);
            self.free += 1;
        }
    }

    /// Hands a permit to the next waiter. Returns None if no waiter may have one.
    pub(super) fn next(&mut self, now: Duration) -> Option<W> {
        if self.waiting == 0 || self.free == 0 {
            return None;
        }
        let waiting = self.accounts.iter().enumerate().filter_map(|(number, account)| {
            let (ticket, _) = account.waiters.front()?;
            self.may_take(number, now).then(|| (account.virtual_time_at(now), account.held, *ticket, number))
        });
        let (.., number) = waiting.min()?;
        let (_, waiter) = self.accounts.get_mut(number)?.waiters.pop_front()?;
        self.waiting -= 1;
        self.hand_out(number, now);
        Some(waiter)
    }

    /// Removes all waiters.
    pub(super) fn drain(&mut self) -> Vec<W> {
        self.waiting = 0;
        let waiters = self.accounts.iter_mut().flat_map(|account| account.waiters.drain(..));
        waiters.map(|(_, waiter)| waiter).collect()
    }

    /// Returns the number of permits that an account holds, and the number of its waiters.
    pub(super) fn usage(&self, AccountNumber(account): AccountNumber) -> (usize, usize) {
        self.accounts.get(account).map_or((0, 0), |account| (account.held, account.waiters.len()))
    }

    /// Raises an account without waiters to the present. One with waiters is behind because it was not served.
    fn raise(&mut self, account: usize, now: Duration) {
        if let Some(account) = self.accounts.get_mut(account) {
            account.count(now);
            if account.waiters.is_empty() {
                account.virtual_time = account.virtual_time.max(self.present);
            }
        }
    }

    fn may_take(&self, number: usize, now: Duration) -> bool {
        if self.limits.division == Division::None {
            return self.free > 0;
        }
        let Some(account) = self.accounts.get(number) else { return false };
        match self.free_for(number).checked_sub(1) {
            None => false,
            Some(_) if account.held == 0 => true,
            Some(left) => account.held < left * SHARE && !self.has_enough_long_ones(number, now),
        }
    }

    /// Returns true for an account that may not execute another long statement, since other accounts use the pool.
    fn has_enough_long_ones(&self, number: usize, now: Duration) -> bool {
        self.accounts.get(number).is_some_and(|account| account.held >= self.limits.most_long)
            && self.must_share(AccountNumber(number), now)
    }

    /// Returns true for an account with long statements while another account uses the pool, too. Each of its statements
    /// should then keep at most one processor busy.
    pub(super) fn must_share(&self, AccountNumber(number): AccountNumber, now: Duration) -> bool {
        let is_long = |account: &Account<W>| self.limits.division == Division::ByAccount && account.average >= LONG;
        // The first account is the pool's own, which reads a little all the time.
        let others = || self.accounts.iter().enumerate().skip(1).filter(|(other, _)| *other != number);
        let is_active = |account: &Account<W>| {
            account.held > 0 || account.used.is_some_and(|used| now.saturating_sub(used) < ACTIVE)
        };
        self.accounts.get(number).is_some_and(is_long) && others().any(|(_, other)| is_active(other))
    }

    /// Returns the number of free permits without the one that is kept for the first account.
    fn free_for(&self, number: usize) -> usize {
        let is_kept = self.limits.size >= RESERVE_FROM && self.accounts.first().is_some_and(|first| first.held == 0);
        self.free - usize::from(is_kept && number != 0).min(self.free)
    }

    fn hand_out(&mut self, number: usize, now: Duration) {
        if let Some(account) = self.accounts.get_mut(number) {
            account.count(now);
            account.held += 1;
            account.used = Some(now);
            self.free -= 1;
            self.present = self.present.max(account.virtual_time);
        }
    }
}
