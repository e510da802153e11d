//! Tests of the fair queue: properties of a simulated pool, and single steps.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

const SIZE: usize = 16;

/// Number of waiters that a greedy account has at any time.
const CROWD: usize = 32;

/// A simulated pool. Every account but the light one is greedy: as soon as one of its statements ends, it sends another.
struct Simulation {
    queue: FairQueue<usize>,
    numbers: Vec<AccountNumber>,
    /// Length of each account's statements, in turn.
    statements: Vec<VecDeque<Duration>>,
    /// Ends of the running statements, with the account and the length.
    running: BTreeSet<(Duration, u64, usize, Duration)>,
    used: Vec<Duration>,
    now: Duration,
    started: u64,
}

impl Simulation {
    fn new(statements: Vec<Vec<Duration>>) -> Self {
        let limits = QueueLimits { division: Division::ByAccount, size: SIZE, most_waiters: CROWD, most_long: SIZE };
        let mut queue = FairQueue::new(limits);
        // The first account is the gateway's own, which does nothing here.
        queue.open_account();
        let numbers: Vec<_> = statements.iter().map(|_| queue.open_account()).collect();
        Self {
            queue,
            used: vec![Duration::ZERO; numbers.len()],
            numbers,
            statements: statements.into_iter().map(VecDeque::from).collect(),
            running: BTreeSet::new(),
            now: Duration::ZERO,
            started: 0,
        }
    }

    fn start(&mut self, account: usize) {
        let length = self.statements[account].pop_front().unwrap();
        self.statements[account].push_back(length);
        self.running.insert((self.now + length, self.started, account, length));
        self.started += 1;
        self.used[account] += length;
        assert!(self.running.len() <= SIZE, "more statements run than there are connections");
    }

    /// Sends a statement of an account; returns whether it starts at once.
    fn send(&mut self, account: usize) -> bool {
        let starts = self.queue.try_take(self.numbers[account], self.now);
        if starts {
            self.start(account);
        } else {
            self.queue.wait(self.numbers[account], account, self.now).unwrap();
        }
        starts
    }

    fn crowd(&mut self, account: usize) {
        while self.queue.usage(self.numbers[account]).1 < CROWD {
            self.send(account);
        }
    }

    /// Lets statements end and greedy accounts send new ones until a moment.
    fn run_until(&mut self, end: Duration, is_greedy: impl Fn(usize) -> bool) {
        while let Some(&(at, _, account, length)) = self.running.first()
            && at <= end
        {
            self.running.pop_first();
            self.now = at;
            self.queue.give_back(self.numbers[account], length, at);
            while let Some(next) = self.queue.next(at) {
                self.start(next);
            }
            if is_greedy(account) {
                self.crowd(account);
            }
        }
        self.now = end;
    }
}

fn millis(millis: Vec<u64>) -> Vec<Duration> {
    millis.into_iter().map(Duration::from_millis).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Statements of one account: those of another one may be a hundred times as long.
fn statements() -> impl Strategy<Value = Vec<Duration>> {
    let lengths = |range| prop::collection::vec(range, 1..20).prop_map(millis);
    prop_oneof![lengths(5..50_u64), lengths(50..500), lengths(500..2_000)]
}

fn config() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(17), failure_persistence: None, ..ProptestConfig::with_cases(16) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn accounts_that_always_wait_are_served_for_the_same_time(
        lengths in prop::collection::vec(statements(), 2..24),
    ) {
        let mut simulation = Simulation::new(lengths);
        for account in 0..simulation.numbers.len() {
            simulation.crowd(account);
        }
        simulation.run_until(seconds(200), |_| true);
        let (least, most) = (simulation.used.iter().min().unwrap(), simulation.used.iter().max().unwrap());
        prop_assert!(*most < least.mul_f64(1.15) + seconds(2), "{:?}", simulation.used);
    }

    #[test]
    fn a_single_statement_never_waits_beside_few_greedy_accounts(
        greedy in prop::collection::vec(statements(), 1..=4),
        pauses in prop::collection::vec(1_u64..3_000, 1..100),
    ) {
        let light = greedy.len();
        let mut simulation = Simulation::new([greedy, vec![millis(vec![5])]].concat());
        for account in 0..light {
            simulation.crowd(account);
        }
        for pause in pauses {
            let sent = simulation.now + Duration::from_millis(5 + pause);
            simulation.run_until(sent, |account| account != light);
            prop_assert!(simulation.send(light), "it waits at {sent:?}");
        }
    }

    #[test]
    fn a_pause_earns_no_credit(
        lengths in prop::collection::vec(statements(), 6..12),
        pause in 1_u64..200,
    ) {
        let late = lengths.len() - 1;
        let mut simulation = Simulation::new(lengths);
        for account in 0..late {
            simulation.crowd(account);
        }
        simulation.run_until(seconds(pause), |account| account != late);
        let before = simulation.used.clone();
        simulation.crowd(late);
        simulation.run_until(seconds(pause + 100), |_| true);
        let used: Vec<_> = simulation.used.iter().zip(before).map(|(used, before)| used.saturating_sub(before)).collect();
        let (least, most) = (used.iter().min().unwrap(), used.iter().max().unwrap());
        prop_assert!(*most < least.mul_f64(1.3) + seconds(4), "{used:?}");
    }
}

fn queue(size: usize, division: Division) -> (FairQueue<&'static str>, [AccountNumber; 3]) {
    let mut queue = FairQueue::new(QueueLimits { division, size, most_waiters: 2, most_long: 2 });
    let accounts = [queue.open_account(), queue.open_account(), queue.open_account()];
    (queue, accounts)
}

/// Takes as many permits as the account gets.
fn take_all(queue: &mut FairQueue<&'static str>, account: AccountNumber) -> usize {
    let mut taken = 0;
    while queue.try_take(account, Duration::ZERO) {
        taken += 1;
    }
    taken
}

#[test]
fn one_account_leaves_permits_to_others() {
    for (size, alone, beside) in [(1, 1, 0), (2, 1, 1), (3, 2, 1), (4, 2, 1), (8, 5, 1), (16, 11, 3), (64, 47, 12)] {
        let (mut queue, [gateway, one, other]) = queue(size, Division::ByAccount);
        assert_eq!((take_all(&mut queue, one), take_all(&mut queue, other)), (alone, beside), "of {size}");
        assert_eq!(take_all(&mut queue, gateway) > 0, size >= RESERVE_FROM, "of {size}");
    }
    let (mut queue, [gateway, ..]) = queue(5, Division::None);
    assert_eq!(take_all(&mut queue, gateway), 5);
}

#[test]
fn a_permit_goes_to_an_account_without_one_and_not_to_a_waiter_that_gave_up() {
    let (mut queue, [_, one, other]) = queue(2, Division::ByAccount);
    let at = Duration::from_millis;
    assert!(queue.try_take(one, at(0)) && queue.try_take(other, at(0)));
    let given_up = queue.wait(other, "given up", at(1)).unwrap();
    for (account, waiter) in [(one, "one"), (one, "one again"), (other, "other")] {
        queue.wait(account, waiter, at(1)).unwrap();
    }
    assert_eq!(queue.wait(other, "too many", at(1)), None);
    queue.give_up(other, given_up);
    // An account that holds half of the permits already gets no more.
    queue.give_back(other, at(10), at(10));
    assert_eq!((queue.next(at(10)), queue.next(at(10))), (Some("other"), None));
    queue.give_back(one, at(500), at(500));
    assert_eq!((queue.next(at(500)), queue.next(at(500))), (Some("one"), None));
    queue.give_back(other, at(491), at(501));
    assert_eq!(queue.next(at(501)), None, "an account that holds half of the permits gets no more");
    assert_eq!(queue.usage(one), (1, 1));
    assert_eq!(queue.drain(), ["one again"]);
}

#[test]
fn long_statements_are_few_while_others_read() {
    let (mut queue, [_, long, other]) = queue(16, Division::ByAccount);
    let at = Duration::from_millis;
    let take_all = |queue: &mut FairQueue<_>, now| {
        let mut taken = 0;
        while queue.try_take(long, now) {
            taken += 1;
        }
        taken
    };
    assert_eq!(take_all(&mut queue, at(0)), 11);
    for _ in 0..11 {
        queue.give_back(long, at(400), at(400));
    }
    assert_eq!(take_all(&mut queue, at(400)), 11, "nobody else reads");
    assert!(!queue.must_share(long, at(400)));
    assert!(queue.try_take(other, at(500)));
    queue.give_back(other, at(1), at(501));
    for _ in 0..11 {
        queue.give_back(long, at(400), at(800));
    }
    assert_eq!(take_all(&mut queue, at(800)), 2, "another account has read a moment ago");
    assert!(queue.must_share(long, at(800)) && !queue.must_share(other, at(800)));
    assert!(queue.try_take(other, at(801)));
    assert_eq!(take_all(&mut queue, at(9_000)), 0, "another account reads");
    queue.give_back(other, at(1), at(9_000));
    assert_eq!(take_all(&mut queue, at(10_001)), 9, "nobody has read for a while");
    for _ in 0..60 {
        queue.give_back(long, at(2), at(10_002));
        assert!(queue.try_take(long, at(10_002)));
    }
    assert!(queue.try_take(other, at(10_003)));
    for _ in 0..2 {
        queue.give_back(long, at(2), at(10_003));
    }
    assert!(queue.try_take(long, at(10_003)), "its statements are short by now");
}
