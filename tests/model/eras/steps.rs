//! Steps of the databases, the gateways and the subscriber.

use super::database::{Contents, Database, Era, Position, Restore, Tag};
use super::{Action, Eras, Event, FIRST, Flaw, Gateway, State, Subscriber};

/// Answer to a subscriber that names its position.
enum Answer {
    Next(Option<(Position, Event)>),
    Lost,
    Ahead,
}

fn resume(contents: &Contents, after: Position) -> Answer {
    let Some(number) = contents.eras.iter().position(|era| era.tag == after.tag) else { return Answer::Lost };
    let stands = usize::from(after.offset) <= contents.eras[number].events.len();
    match (stands, number + 1 == contents.eras.len()) {
        (true, _) => Answer::Next(contents.next(after)),
        (false, true) => Answer::Ahead,
        (false, false) => Answer::Lost,
    }
}

impl Eras {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// Returns true if the log's last era was started in another database, as far as the compared parts show it.
    fn was_moved(&self, database: &Database) -> bool {
        let (is, was) = (database.identity, database.contents.started_in);
        (is.system, is.time_line) != (was.system, was.time_line)
            || self.compared.tables && is.tables != was.tables
            || self.compared.directory && is.directory != was.directory
            || self.compared.start && is.start != was.start
    }

    fn has_read_further(&self, gateway: &Gateway, contents: &Contents) -> bool {
        let (Some(read), head) = (gateway.read, contents.head()) else { return false };
        let is_unknown = !contents.knows(read.tag) && !self.is(Flaw::OnlyReadOfLastEraIsAsked);
        (read.tag == head.tag || is_unknown) && read > head && !self.is(Flaw::ReadIsNotAsked)
    }

    /// Returns the tags that an era may get when a gateway starts it.
    fn new_tags(&self, state: &State, gateway: &Gateway, contents: &Contents) -> Vec<Tag> {
        let last = contents.last_era().tag;
        if self.is(Flaw::TagFromHead) {
            return vec![last + 1];
        }
        let known =
            if self.is(Flaw::TagFromClockAlone) { 0 } else { last.max(gateway.read.map_or(0, |read| read.tag)) };
        // Clocks differ: the tag may be any later one.
        let later = known + 1..=self.bounds.tags;
        later.filter(|tag| !state.tags.contains(tag)).collect()
    }

    /// Returns true if the tables are those in which the last era was started: only such a log is read.
    fn is_readable(&self, database: &Database) -> bool {
        self.is(Flaw::RestoreIsNotAwaited)
            || !self.compared.tables
            || database.identity.tables == database.contents.started_in.tables
    }

    /// Adds the restores that may come next.
    pub(super) fn add_restores(&self, state: &State, actions: &mut Vec<Action>) {
        for how in self.restores.iter().copied() {
            for copy in 0..state.copies.len() {
                let instead = (0..state.servers.len()).filter(|_| how.comes_instead());
                let beside =
                    (state.servers.len() < self.bounds.servers && how.comes_beside()).then_some(state.servers.len());
                actions.extend(instead.chain(beside).map(|server| Action::Restore { how, copy, server }));
            }
        }
    }

    /// Adds the steps that a gateway may take next, and those of the subscriber at this gateway.
    pub(super) fn add_steps_of(&self, state: &State, number: usize, gateway: &Gateway, actions: &mut Vec<Action>) {
        if state.left.forgets > 0 && gateway.read.is_some() {
            actions.push(Action::Forget(number));
        }
        if gateway.server.is_some() && state.left.appends > 0 {
            actions.push(Action::Append(number));
        }
        for (server, database) in state.servers.iter().enumerate() {
            let is_whole = database.is_loaded || self.is(Flaw::RestoreIsNotAwaited);
            if gateway.server != Some(server) && is_whole {
                let connect = |new_era| Action::Connect { gateway: number, server, new_era };
                if self.was_moved(database) || self.has_read_further(gateway, &database.contents) {
                    let tags = self.new_tags(state, gateway, &database.contents).into_iter();
                    actions.extend(tags.map(|tag| connect(Some(tag))));
                } else {
                    actions.push(connect(None));
                }
            }
            if !self.has_subscriber || !self.is_readable(database) || state.subscriber.was_lost {
            } else if state.subscriber.at.is_some() {
                actions.push(Action::Resume { gateway: number, server });
            } else {
                actions.push(Action::FromNow { gateway: number, server });
            }
        }
    }

    pub(super) fn connect(state: &mut State, gateway: usize, server: usize, new_era: Option<Tag>) {
        let database = &mut state.servers[server];
        if let Some(tag) = new_era {
            database.contents.eras.push(Era { tag, events: Vec::new() });
            database.contents.started_in = database.identity;
            state.tags.push(tag);
            state.tags.sort_unstable();
            state.tags.dedup();
        }
        state.gateways[gateway].server = Some(server);
    }

    pub(super) fn append(&self, state: &mut State, number: usize) -> Option<()> {
        let gateway = &mut state.gateways[number];
        let database = &mut state.servers[gateway.server?];
        let is_home = database.identity.tables == database.contents.started_in.tables;
        if !is_home && self.compared.tables && !self.is(Flaw::TablesAreComparedOnce) {
            gateway.server = None;
            return Some(());
        }
        let event = FIRST + 1 + self.bounds.appends - state.left.appends;
        state.left.appends -= 1;
        let last = database.contents.eras.len() - 1;
        database.contents.eras[last].events.push(event);
        let position = self.outside(gateway, database, database.contents.head());
        gateway.read = gateway.read.max(Some(position));
        state.tell(position, event);
        Some(())
    }

    /// Returns a position as a gateway reports it to its clients.
    fn outside(&self, gateway: &mut Gateway, database: &Database, position: Position) -> Position {
        if !self.is(Flaw::TagsAreKept) {
            return position;
        }
        let tags: Vec<_> = database.contents.eras.iter().map(|era| era.tag).collect();
        let number = tags.iter().position(|tag| *tag == position.tag).unwrap_or_default();
        if gateway.tags.len() < tags.len() {
            gateway.tags = tags;
        }
        Position { tag: gateway.tags[number], offset: position.offset }
    }

    pub(super) fn restore(&self, state: &mut State, how: Restore, copy: usize, server: usize) {
        state.left.restores -= 1;
        let number = self.bounds.restores - state.left.restores;
        let old = state.servers.get(server).unwrap_or(&state.servers[0]);
        let database = how.restored(&state.copies[copy], old, number);
        if server == state.servers.len() {
            state.servers.push(database);
            return;
        }
        state.servers[server] = database;
        for gateway in state.gateways.iter_mut().filter(|gateway| gateway.server == Some(server)) {
            if !how.keeps_connections() {
                gateway.server = None;
            }
        }
    }

    pub(super) fn subscribe_from_now(&self, state: &mut State, number: usize, server: usize) -> Option<()> {
        let gateway = &mut state.gateways[number];
        let database = &state.servers[server];
        let head = database.contents.head();
        let at = self.outside(gateway, database, head);
        gateway.read = gateway.read.max(Some(at));
        let seen = database.contents.through(head)?;
        state.subscriber = Subscriber { at: Some(at), seen, ..state.subscriber.clone() };
        Some(())
    }

    pub(super) fn resume(&self, state: &mut State, number: usize, server: usize) -> Option<()> {
        let gateway = &mut state.gateways[number];
        let database = &state.servers[server];
        let contents = &database.contents;
        let subscriber = &mut state.subscriber;
        let at = subscriber.at?;
        let answer = match resume(contents, at) {
            Answer::Lost if self.is(Flaw::BorderIsNotChecked) => Answer::Next(contents.next(at)),
            answer => answer,
        };
        match answer {
            Answer::Ahead => return None,
            Answer::Lost => *subscriber = Subscriber { was_lost: true, ..Subscriber::default() },
            Answer::Next(next) => {
                subscriber.is_misled |= contents.through(at).as_ref() != Some(&subscriber.seen);
                if let Some((position, event)) = next {
                    let position = self.outside(gateway, database, position);
                    subscriber.at = Some(position);
                    // A row whose event is not loaded yet is skipped: the subscriber never gets the event.
                    gateway.read = gateway.read.max(Some(position));
                    if database.is_loaded {
                        subscriber.seen.push(event);
                        state.tell(position, event);
                    }
                }
            }
        }
        Some(())
    }
}

impl State {
    fn tell(&mut self, position: Position, event: Event) {
        if let Err(place) = self.seen.binary_search(&(position, event)) {
            self.seen.insert(place, (position, event));
        }
    }
}
