//! Readers with random rights, and what they may see, told without the code that is tested.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use sluice::auth::{Reader, Readers};
use sluice::event::{Grant, GrantedPart, Rights, Rows, Scope};

use crate::leaks::world::{APPLICATIONS, Cell, INSTANCES, ORGS, SHARED, org_name};

/// A reader with its token.
#[derive(Clone, Debug)]
pub(crate) struct TestReader {
    pub(crate) token: String,
    pub(crate) scopes: BTreeSet<&'static str>,
    /// The grants: an org and its part; None for everything.
    pub(crate) grants: Option<Vec<(usize, TestPart)>>,
}

/// A part of an org.
#[derive(Clone, Debug)]
pub(crate) enum TestPart {
    Whole,
    Applications(Vec<usize>),
    Instances(Vec<String>),
}

impl TestReader {
    /// Random readers, of which the first may see everything.
    pub(crate) fn random_set(random: &mut StdRng, number: usize) -> Vec<Self> {
        (0..number).map(|nth| Self::random(random, nth)).collect()
    }

    fn random(random: &mut StdRng, nth: usize) -> Self {
        let mut scopes = BTreeSet::from(["events:read", "events:details", "people:read", "ingestion:read", "metrics"]);
        let token = format!("the token of the reader {nth}");
        if nth == 0 {
            return Self { token, scopes, grants: None };
        }
        for (scope, odds) in
            [("events:details", 0.5), ("people:read", 0.3), ("ingestion:read", 0.4), ("events:read", 0.07)]
        {
            if random.random_bool(odds) {
                scopes.remove(scope);
            }
        }
        if !scopes.contains("people:read") {
            scopes.remove("events:details");
        }
        let grants = (0..random.random_range(0..=4)).map(|_| random_grant(random)).collect();
        Self { token, scopes, grants: (!random.random_bool(0.05)).then_some(grants) }
    }

    /// The readers as a gateway has them.
    pub(crate) fn settings(readers: &[Self]) -> Readers {
        let reader = |(nth, reader): (usize, &Self)| Reader {
            name: format!("reader {nth}"),
            token: reader.token.clone().into(),
            rights: Arc::new(reader.rights()),
            documents: sluice::auth::AllowedDocuments::Any,
        };
        Readers::with_rights(readers.iter().enumerate().map(reader).collect())
    }

    pub(crate) fn rights(&self) -> Rights {
        let rows = match &self.grants {
            None => Rows::All,
            Some(grants) => Rows::granted(grants.iter().map(|(org, part)| Grant {
                org: org_name(*org),
                part: match part {
                    TestPart::Whole => GrantedPart::Whole,
                    TestPart::Applications(known) => {
                        GrantedPart::Applications(known.iter().map(|one| APPLICATIONS[*one].to_owned()).collect())
                    }
                    TestPart::Instances(ids) => GrantedPart::Instances(ids.clone()),
                },
            })),
        };
        Rights::new(self.scopes.iter().filter_map(|name| Scope::named(name)).collect(), rows)
    }

    pub(crate) fn has(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    fn is_granted(&self, is_it: impl Fn(usize, &TestPart) -> bool) -> bool {
        self.grants.as_ref().is_none_or(|grants| grants.iter().any(|(org, part)| is_it(*org, part)))
    }

    /// Returns true if the reader may see the events of a cell.
    pub(crate) fn sees(&self, cell: &Cell) -> bool {
        self.has("events:read")
            && self.is_granted(|org, part| {
                org == cell.org
                    && match part {
                        TestPart::Whole => true,
                        TestPart::Applications(known) => cell.application.is_some_and(|one| known.contains(&one)),
                        TestPart::Instances(ids) => cell.instance.as_ref().is_some_and(|id| ids.contains(id)),
                    }
            })
    }

    /// Returns true if the reader may see the ingestion of an org.
    pub(crate) fn sees_ingestion(&self, of: usize) -> bool {
        self.has("ingestion:read") && self.is_granted(|org, part| org == of && matches!(part, TestPart::Whole))
    }

    /// Returns true if the reader has a grant in an org, whose name is then no secret.
    pub(crate) fn knows(&self, of: usize) -> bool {
        self.is_granted(|org, _| org == of)
    }
}

fn random_grant(random: &mut StdRng) -> (usize, TestPart) {
    let org = random.random_range(0..ORGS);
    let some = |random: &mut StdRng, most: usize| -> Vec<usize> {
        let all: Vec<usize> = (0..most).collect();
        let number = random.random_range(1..=most.min(4));
        all.sample(random, number).copied().collect()
    };
    let part = match random.random_range(0..10) {
        0..2 => TestPart::Whole,
        2..5 => TestPart::Applications(some(random, APPLICATIONS.len())),
        _ => {
            let id = |instance| if instance == 0 { SHARED.to_owned() } else { format!("0oaidx{org}{instance}x") };
            TestPart::Instances(some(random, INSTANCES).into_iter().map(id).collect())
        }
    };
    (org, part)
}
