//! The rows that a reader may see: everything, or the events of grants.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::event::Filter;

/// A grant: events of one org that a reader may see.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grant {
    /// The configured name of the Okta org.
    pub org: String,
    /// The part of the org.
    pub part: GrantedPart,
}

/// The part of an org that a grant is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GrantedPart {
    /// Everything in the org.
    Whole,
    /// The events of these applications, by Okta's keys.
    Applications(Vec<String>),
    /// The events of these application instances, by Okta's ids.
    Instances(Vec<String>),
}

/// The events that a reader may see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// Every event of every org.
    All,
    /// The events of any of these grants. An org has at most one grant of each kind, and no other beside the whole org.
    Granted(Arc<Grants>),
}

/// The grants of a reader.
#[derive(Default)]
pub struct Grants {
    list: Vec<Grant>,
    /// The filter that matches all that the grants show. Most requests need it, and its lists may be long.
    filter: OnceLock<(Arc<Filter>, Option<RepeatedList>)>,
}

impl Deref for Grants {
    type Target = [Grant];

    fn deref(&self) -> &[Grant] {
        &self.list
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(formatter)
    }
}

impl PartialEq for Grants {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Grants {}

impl Hash for Grants {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.list.hash(state);
    }
}

impl Grants {
    /// Narrows a filter to the events of the grants.
    fn narrow(&self, filter: Filter) -> (Arc<Filter>, Option<RepeatedList>) {
        let narrowed = |filter| {
            let (narrowed, repeated_list) = narrow(&self.list, filter);
            (Arc::new(narrowed), repeated_list)
        };
        if filter == Filter::default() {
            self.filter.get_or_init(|| narrowed(filter)).clone()
        } else {
            narrowed(filter)
        }
    }
}

/// No rows.
static NOTHING: std::sync::LazyLock<Rows> = std::sync::LazyLock::new(|| Rows::Granted(Arc::default()));

impl Rows {
    /// Returns the rows of grants, which are merged, so that equal rows have equal values.
    pub fn granted(grants: impl IntoIterator<Item = Grant>) -> Self {
        let mut orgs: BTreeMap<String, MergedGrants> = BTreeMap::new();
        for Grant { org, part } in grants {
            orgs.entry(org).or_default().add(part);
        }
        let list = orgs.into_iter().flat_map(|(org, merged)| merged.into_grants(&org)).collect();
        Self::Granted(Arc::new(Grants { list, filter: OnceLock::new() }))
    }

    /// Returns no rows.
    pub fn nothing() -> &'static Self {
        &NOTHING
    }

    /// Returns true if all of an org may be seen.
    pub fn have_whole(&self, org: &str) -> bool {
        match self {
            Self::All => true,
            Self::Granted(grants) => grants.iter().any(|grant| grant.org == org && grant.part == GrantedPart::Whole),
        }
    }

    /// Returns the orgs of which all may be seen; None for every org.
    pub fn whole_orgs(&self) -> Option<Vec<String>> {
        let Self::Granted(grants) = self else { return None };
        let whole = grants.iter().filter(|grant| grant.part == GrantedPart::Whole);
        Some(whole.map(|grant| grant.org.clone()).collect())
    }

    /// Returns the rows with only those granted instances that are among these pairs of org and id, which keeps a statement about
    /// a few instances short. Of these instances, the rows have the same ones as before.
    #[must_use]
    pub fn among_instances(&self, keys: &[(&str, &str)]) -> Self {
        let Self::Granted(grants) = self else { return Self::All };
        let narrowed = grants.iter().filter_map(|grant| {
            let GrantedPart::Instances(ids) = &grant.part else { return Some(grant.clone()) };
            let is_granted = |id: &str| ids.binary_search_by(|granted| granted.as_str().cmp(id)).is_ok();
            let among = keys.iter().filter(|(org, id)| *org == grant.org && is_granted(id));
            let among: Vec<_> = among.map(|(_, id)| (*id).to_owned()).collect();
            (!among.is_empty()).then(|| Grant { part: GrantedPart::Instances(among), ..grant.clone() })
        });
        Self::granted(narrowed)
    }

    /// Narrows a filter to these rows.
    pub(super) fn narrow(&self, filter: Filter) -> (Arc<Filter>, Option<RepeatedList>) {
        match self {
            Self::All => (Arc::new(filter), None),
            Self::Granted(grants) => grants.narrow(filter),
        }
    }
}

/// Narrows a filter to the events of grants. Lists are intersected here rather than added as conditions, so that an index and
/// the routing of live events still find a list. Grants of several kinds become alternatives; a list that only repeats theirs
/// is returned beside the filter.
fn narrow(grants: &[Grant], filter: Filter) -> (Filter, Option<RepeatedList>) {
    let mut alternatives = alternatives(grants, &filter);
    match alternatives.len() {
        0 => (Filter { orgs: Some(Vec::new()), ..filter }, None),
        1 => {
            let Filter { orgs, applications, application_instances, .. } = alternatives.remove(0);
            let narrowed = Filter {
                orgs,
                applications: applications.or(filter.applications),
                application_instances: application_instances.or(filter.application_instances),
                ..filter
            };
            (narrowed, None)
        }
        _ => with_alternatives(filter, alternatives),
    }
}

/// Returns the filters of grants, one for all whole orgs and one for each other grant, without those of which the filter
/// wants nothing. Their lists have only what the filter wants.
fn alternatives(grants: &[Grant], filter: &Filter) -> Vec<Filter> {
    let parts = filter.conjuncts();
    let wanted = |list: fn(&Filter) -> Option<&Vec<String>>, values: &[String]| {
        let wanted: Vec<HashSet<&str>> =
            parts.iter().filter_map(|part| list(part)).map(|list| list.iter().map(String::as_str).collect()).collect();
        let is_wanted = |value: &&String| wanted.iter().all(|wanted| wanted.contains(value.as_str()));
        Some(values.iter().filter(is_wanted).cloned().collect::<Vec<_>>()).filter(|found| !found.is_empty())
    };
    let orgs = |values: &[String]| wanted(|part| part.orgs.as_ref(), values);
    let whole: Vec<_> =
        grants.iter().filter(|grant| grant.part == GrantedPart::Whole).map(|one| one.org.clone()).collect();
    let whole = orgs(&whole).map(|orgs| Filter { orgs: Some(orgs), ..Filter::default() });
    let parts_of_orgs = grants.iter().filter_map(|Grant { org, part }| {
        let in_org = Filter { orgs: Some(orgs(std::slice::from_ref(org))?), ..Filter::default() };
        match part {
            GrantedPart::Whole => None,
            GrantedPart::Applications(names) => {
                let applications = wanted(|part| part.applications.as_ref(), names)?;
                Some(Filter { applications: Some(applications), ..in_org })
            }
            GrantedPart::Instances(ids) => {
                let instances = wanted(|part| part.application_instances.as_ref(), ids)?;
                Some(Filter { application_instances: Some(instances), ..in_org })
            }
        }
    });
    whole.into_iter().chain(parts_of_orgs).collect()
}

/// Adds the condition that one of several alternatives matches. If all of them have lists of one kind, the filter gets all
/// values of these lists, too: that condition is redundant, but there is an index for it.
fn with_alternatives(mut filter: Filter, alternatives: Vec<Filter>) -> (Filter, Option<RepeatedList>) {
    let union = |list: fn(&Filter) -> Option<&Vec<String>>| {
        let lists = alternatives.iter().map(list).collect::<Option<Vec<_>>>()?;
        Some(lists.into_iter().flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>())
    };
    let mut repeated_list = None;
    if let Some(instances) = union(|part| part.application_instances.as_ref()) {
        filter.application_instances = Some(instances);
        repeated_list = Some(RepeatedList::Instances);
    }
    if let Some(applications) = union(|part| part.applications.as_ref()) {
        filter.applications = Some(applications);
        repeated_list = Some(RepeatedList::Applications);
    }
    if filter.or.is_none() {
        filter.or = Some(alternatives);
    } else {
        filter.and.push(Filter { or: Some(alternatives), ..Filter::default() });
    }
    (filter, repeated_list)
}

/// A list of a narrowed filter that only repeats the lists of alternatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RepeatedList {
    /// The list of applications.
    Applications,
    /// The list of application instances.
    Instances,
}

/// The grants of one org while they are merged.
#[derive(Default)]
struct MergedGrants {
    is_whole: bool,
    applications: BTreeSet<String>,
    instances: BTreeSet<String>,
}

impl MergedGrants {
    fn add(&mut self, part: GrantedPart) {
        match part {
            GrantedPart::Whole => self.is_whole = true,
            GrantedPart::Applications(names) => self.applications.extend(names),
            GrantedPart::Instances(ids) => self.instances.extend(ids),
        }
    }

    fn into_grants(self, org: &str) -> Vec<Grant> {
        let Self { is_whole, applications, instances } = self;
        let grant = |part| Grant { org: org.to_owned(), part };
        if is_whole {
            return vec![grant(GrantedPart::Whole)];
        }
        let lists = [(applications, GrantedPart::Applications as fn(_) -> _), (instances, GrantedPart::Instances)];
        let filled = lists.into_iter().filter(|(values, _)| !values.is_empty());
        filled.map(|(values, part)| grant(part(values.into_iter().collect()))).collect()
    }
}
