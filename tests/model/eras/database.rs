//! Databases, their identities, and the kinds of restores that replace a database by an older state of it.

/// Tag of an era.
pub(super) type Tag = u8;
/// Identity of an event.
pub(super) type Event = u8;

/// A position, as gateways and clients know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) tag: Tag,
    pub(super) offset: u8,
}

/// An era of a log, with its events. The database itself knows an event by the number of its era and its place in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Era {
    pub(super) tag: Tag,
    pub(super) events: Vec<Event>,
}

/// Contents of a log, as a dump or a copy holds them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Contents {
    /// Eras, the oldest first. Each one follows the last event that the database had of the one before.
    pub(super) eras: Vec<Era>,
    /// Identity of the database in which the last era was started, as the log stores it.
    pub(super) started_in: Identity,
}

/// Identity of a database, to tell it from its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Identity {
    /// The cluster's system identifier.
    pub(super) system: u8,
    pub(super) time_line: u8,
    /// Oids of the database and of its table `log_head`.
    pub(super) tables: u8,
    /// Identity of the data directory of a private PostgreSQL.
    pub(super) directory: u8,
    /// Time at which PostgreSQL was started.
    pub(super) start: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Database {
    pub(super) contents: Contents,
    /// Identity as the server reports it. After a restore, it may differ from the one that the log stores.
    pub(super) identity: Identity,
    /// False while a restore is still loading events.
    pub(super) is_loaded: bool,
}

/// A kind of restore, or an event with the same effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Restore {
    /// A base backup, recovered to a point in time; or a promoted standby that was behind.
    PointInTime,
    /// A dump, restored in another cluster, where its tables may have the same oids.
    DumpElsewhere,
    /// A dump, restored as another database in the first server's cluster.
    DumpBeside,
    /// A dump, restored into the database itself by `pg_restore --clean`: connections to it stay open.
    Clean,
    /// A copy of a private data directory, made while PostgreSQL was stopped and put in its place or beside it.
    PrivateCopy,
    /// A base backup without `recovery.signal`, a storage snapshot, a cold or a hot copy: only `start` changes.
    Silent,
    /// A virtual machine, restored with its memory: PostgreSQL is not even restarted.
    Machine,
    /// An empty log: the database was dropped and created again, or its copy was taken before the first event.
    Empty,
}

impl Contents {
    pub(super) fn last_era(&self) -> &Era {
        // Every log has at least one era.
        &self.eras[self.eras.len() - 1]
    }

    pub(super) fn head(&self) -> Position {
        let era = self.last_era();
        Position { tag: era.tag, offset: era.events.len().try_into().unwrap_or(u8::MAX) }
    }

    pub(super) fn knows(&self, tag: Tag) -> bool {
        self.eras.iter().any(|era| era.tag == tag)
    }

    /// Returns all events through a position, or None if the log does not have the position.
    pub(super) fn through(&self, position: Position) -> Option<Vec<Event>> {
        let number = self.eras.iter().position(|era| era.tag == position.tag)?;
        let before = self.eras[..number].iter().flat_map(|era| &era.events);
        let of_era = self.eras[number].events.get(..position.offset.into())?;
        Some(before.chain(of_era).copied().collect())
    }

    /// Returns the first event after a position, and its own position.
    pub(super) fn next(&self, position: Position) -> Option<(Position, Event)> {
        let mut events = self.eras.iter().flat_map(|era| {
            let at = |offset| Position { tag: era.tag, offset };
            (1..).map(at).zip(era.events.iter().copied())
        });
        events.find(|(at, _)| *at > position)
    }
}

impl Restore {
    /// Returns the database that a restore makes of a copy. `old` is the database that it replaces, or, where it
    /// replaces none, the first server's; `number` is different for each restore.
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

    /// Returns true if connections to the replaced database stay open.
    pub(super) fn keeps_connections(self) -> bool {
        self == Self::Clean
    }

    /// Returns true if the restore can replace a database that runs.
    pub(super) fn comes_instead(self) -> bool {
        self != Self::DumpBeside
    }

    /// Returns true if the restore can add a database beside the others.
    pub(super) fn comes_beside(self) -> bool {
        self != Self::Clean
    }
}
