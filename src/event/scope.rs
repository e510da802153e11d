//! Scopes: the kinds of things that a reader may do.

use std::fmt;

/// A scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Events and the catalogue, without what other scopes are for.
    EventsRead,
    /// Events as Okta sent them, with all that only the raw JSON has. Every name is in there, so this scope requires
    /// [`Scope::PeopleRead`].
    EventsDetails,
    /// The names and logins of people.
    PeopleRead,
    /// The state of ingestion, and rejected records.
    IngestionRead,
    /// The metrics of the gateway.
    Metrics,
    /// Imports over HTTP.
    Ingest,
    /// The administration of the gateway.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 7] = [
        Self::EventsRead,
        Self::EventsDetails,
        Self::PeopleRead,
        Self::IngestionRead,
        Self::Metrics,
        Self::Ingest,
        Self::Admin,
    ];

    /// Returns the name in settings and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventsRead => "events:read",
            Self::EventsDetails => "events:details",
            Self::PeopleRead => "people:read",
            Self::IngestionRead => "ingestion:read",
            Self::Metrics => "metrics",
            Self::Ingest => "ingest",
            Self::Admin => "admin",
        }
    }

    /// Returns the scope with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    /// All scopes.
    pub const ALL: Self = Self((1 << Scope::ALL.len()) - 1);

    /// The scopes of a reader whose settings name none: all that read.
    pub const READING: Self = Self::ALL.without(Scope::Ingest).without(Scope::Admin);

    /// Adds a scope.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | 1 << scope as u8)
    }

    /// Removes a scope.
    #[must_use]
    pub const fn without(self, scope: Scope) -> Self {
        Self(self.0 & !(1 << scope as u8))
    }

    /// Returns true if the set has a scope.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// Returns the scopes in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::name).collect();
        formatter.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_the_scopes_that_were_added() {
        assert!(Scope::ALL.into_iter().all(|scope| Scopes::ALL.has(scope) && !Scopes::default().has(scope)));
        let some: Scopes = [Scope::Metrics, Scope::EventsRead].into_iter().collect();
        assert_eq!(some.to_string(), "events:read,metrics");
        assert_eq!(some.iter().collect::<Scopes>(), some);
        assert_eq!(Scopes::READING.to_string(), "events:read,events:details,people:read,ingestion:read,metrics");
        assert!(Scope::ALL.into_iter().all(|scope| Scope::named(scope.name()) == Some(scope)));
        assert_eq!(Scope::named("events"), None);
    }
}
