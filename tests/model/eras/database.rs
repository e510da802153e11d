//! Databases, their identities, and the ways in which an older one takes the place of a newer one.

/// An era's tag.
pub(super) type Tag = u8;
/// An event's identity.
pub(super) type Event = u8;

/// A position as everybody outside of the database knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) tag: Tag,
    pub(super) offset: u8,
}

/// What an event's position is called in the database: the number of its era, and its place in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Era {
    pub(super) tag: Tag,
    pub(super) events: Vec<Event>,
}

/// The log as a dump or a copy holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Contents {
    /// Oldest first. Each one follows the last event of the one before it, as far as that still stands.
    pub(super) eras: Vec<Era>,
    /// The database in which the last era was started, by its own account.
    pub(super) started_in: Identity,
}

/// By what one tells a database from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Identity {
    /// The cluster's system identifier.
    pub(super) system: u8,
    pub(super) time_line: u8,
    /// The database's oid and that of its table `log_head`.
    pub(super) tables: u8,
    /// The identity of a private data directory.
    pub(super) directory: u8,
    /// When PostgreSQL was started.
    pub(super) start: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Database {
    pub(super) contents: Contents,
    /// What it is, whatever its contents say.
    pub(super) identity: Identity,
    /// False while a restore is still loading events.
    pub(super) is_loaded: bool,
}

/// A restore, or what amounts to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Restore {
    /// A base backup, recovered to some point in time; or a standby that was behind, promoted.
    PointInTime,
    /// A dump, in another cluster. Its tables may have the same oids.
    DumpElsewhere,
    /// A dump, in another database of the first server's cluster.
    DumpBeside,
    /// `pg_restore --clean` into the database, in which connections live on.
    Clean,
    /// A stopped copy of a private data directory, put in its place or beside it.
    PrivateCopy,
    /// A base backup without `recovery.signal`, a storage snapshot, a cold or a hot copy: nothing tells that it is one.
    Silent,
    /// A virtual machine with its memory: not even PostgreSQL was started anew.
    Machine,
    /// No copy at all: the database was dropped and made anew; or the copy is one of a log without any event.
    Empty,
}

impl Contents {
    pub(super) fn last_era(&self) -> &Era {
        // A log has an era from the beginning.
        &self.eras[self.eras.len() - 1]
    }

    pub(super) fn head(&self) -> Position {
        let era = self.last_era();
        Position { tag: era.tag, offset: era.events.len().try_into().unwrap_or(u8::MAX) }
    }

    pub(super) fn knows(&self, tag: Tag) -> bool {
        self.eras.iter().any(|era| era.tag == tag)
    }

    /// All events through a position, where it has that.
    pub(super) fn through(&self, position: Position) -> Option<Vec<Event>> {
        let number = self.eras.iter().position(|era| era.tag == position.tag)?;
        let before = self.eras[..number].iter().flat_map(|era| &era.events);
        let of_era = self.eras[number].events.get(..position.offset.into())?;
        Some(before.chain(of_era).copied().collect())
    }

    /// The event after a position, and where it is.
    pub(super) fn next(&self, position: Position) -> Option<(Position, Event)> {
        let mut events = self.eras.iter().flat_map(|era| {
            let at = |offset| Position { tag: era.tag, offset };
            (1..).map(at).zip(era.events.iter().copied())
        });
        events.find(|(at, _)| *at > position)
    }
}

impl Restore {
    /// What is there after the restore of a copy. `old` is the database in whose place it comes, or, for one that comes
    /// beside, the first server's; `number` is different for each restore.
    pub(super) fn restored(self, copy: &Database, old: &Database, number: u8) -> Database {
        let (of_copy, of_old) = (copy.identity, old.identity);
        let identity = match self {
            // Two recoveries of one backup may choose the same time line.
            Self::PointInTime => Identity { time_line: of_copy.time_line + 1, start: number, ..of_copy },
            Self::DumpElsewhere => Identity { system: number, start: number, ..of_copy },
            Self::DumpBeside | Self::Clean | Self::Empty => Identity { tables: number, ..of_old },
            Self::PrivateCopy => Identity { directory: number, start: number, ..of_copy },
            Self::Silent => Identity { start: number, ..of_copy },
            Self::Machine => of_copy,
        };
        let contents = match self {
            Self::Empty => Contents { eras: vec![Era { tag: 0, events: Vec::new() }], started_in: identity },
            _ => copy.contents.clone(),
        };
        Database { contents, identity, is_loaded: self != Self::Clean }
    }

    /// Whether connections to the database in whose place it comes live on.
    pub(super) fn keeps_connections(self) -> bool {
        self == Self::Clean
    }

    /// Whether it may come in the place of a database.
    pub(super) fn comes_instead(self) -> bool {
        self != Self::DumpBeside
    }

    /// Whether it may come beside the others.
    pub(super) fn comes_beside(self) -> bool {
        self != Self::Clean
    }
}
