//! Reads of the catalogue: applications and their instances.

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::Catalogue;
use crate::event::{Application, ApplicationInstance, CatalogueKey, Direction, Page, PageRequest, Rows, Timestamp};
use crate::postgres::named_row::named_row;
use crate::store::{StoreError, push_is_granted, push_visible_applications, push_visible_instances};

/// A filter of applications, all of whose conditions must hold. None is no condition.
#[derive(Clone, Debug, Default)]
pub struct ApplicationFilter {
    /// The configured name of the Okta org.
    pub org: Option<String>,
    /// Okta's key of the application.
    pub name: Option<String>,
    /// A text within the key or the display name, regardless of the case of ASCII letters.
    pub search: Option<String>,
}

/// A filter of application instances, all of whose conditions must hold. None is no condition.
#[derive(Clone, Debug, Default)]
pub struct InstanceFilter {
    /// The configured name of the Okta org.
    pub org: Option<String>,
    /// Okta's ids of the instances.
    pub instance_ids: Option<Vec<String>>,
    /// Okta's key of the application.
    pub application: Option<String>,
    /// A text within the label or the id, regardless of the case of ASCII letters.
    pub search: Option<String>,
}

named_row! {
    struct ApplicationRow {
        org: String,
        name: String,
        display_name: Option<String>,
        event_count: i64,
        last_event_at: Option<OffsetDateTime>,
    }
}

named_row! {
    struct InstanceRow {
        org: String,
        instance_id: String,
        label: Option<String>,
        status: Option<String>,
        application: Option<String>,
        event_count: i64,
        last_event_at: Option<OffsetDateTime>,
    }
}

impl Catalogue {
    /// Returns a page of the applications that may be seen, ordered by key.
    ///
    /// # Errors
    /// The database's.
    pub async fn applications(
        &self,
        wanted: &ApplicationFilter,
        visible: &Rows,
        request: &PageRequest<CatalogueKey>,
    ) -> Result<Page<Application>, StoreError> {
        let mut query = QueryBuilder::new(APPLICATIONS);
        query.push("(SELECT ");
        push_columns(&mut query, visible);
        query.push(", lower(name) AS sort, name AS key FROM application WHERE true");
        push_visible_applications(&mut query, "application", visible);
        push_equal(&mut query, "org", wanted.org.as_deref());
        push_equal(&mut query, "name", wanted.name.as_deref());
        push_search(&mut query, ["name", "display_name"], wanted.search.as_deref());
        push_page(&mut query, "name", "name", request);
        query.push(")");
        push_instances(&mut query, visible);
        query.push(order("p.", request.direction));
        let rows: Vec<ApplicationRow> = query.build_query_as().fetch_all(&self.reads.planned_for_values()).await?;
        Ok(Page::from_read(rows.into_iter().map(Application::from).collect(), request))
    }

    /// Returns a page of the application instances that may be seen, ordered by label.
    ///
    /// # Errors
    /// The database's.
    pub async fn application_instances(
        &self,
        wanted: &InstanceFilter,
        visible: &Rows,
        request: &PageRequest<CatalogueKey>,
    ) -> Result<Page<ApplicationInstance>, StoreError> {
        let mut query = QueryBuilder::new(
            "SELECT *, lower(coalesce(label, '')) AS sort, instance_id AS key FROM application_instance WHERE true",
        );
        push_visible_instances(&mut query, "application_instance", visible);
        push_equal(&mut query, "org", wanted.org.as_deref());
        push_equal(&mut query, "application", wanted.application.as_deref());
        if let Some(ids) = &wanted.instance_ids {
            query.push(" AND instance_id = ANY(").push_bind(ids.clone()).push(")");
        }
        push_search(&mut query, ["label", "instance_id"], wanted.search.as_deref());
        push_page(&mut query, "coalesce(label, '')", "instance_id", request);
        let rows: Vec<InstanceRow> = query.build_query_as().fetch_all(&self.reads.planned_for_values()).await?;
        Ok(Page::from_read(rows.into_iter().map(ApplicationInstance::from).collect(), request))
    }
}

impl Catalogue {
    /// Returns the applications with these pairs of org and key that may be seen, in any order.
    ///
    /// # Errors
    /// The database's.
    pub async fn applications_at(&self, keys: &[(&str, &str)], visible: &Rows) -> Result<Vec<Application>, StoreError> {
        let mut query = QueryBuilder::new(APPLICATIONS);
        query.push("(SELECT ");
        push_columns(&mut query, visible);
        query.push(" FROM application WHERE (org, name) IN ");
        push_keys(&mut query, keys);
        push_visible_applications(&mut query, "application", visible);
        query.push(")");
        push_instances(&mut query, visible);
        let rows: Vec<ApplicationRow> = query.build_query_as().fetch_all(&self.reads).await?;
        Ok(rows.into_iter().map(Application::from).collect())
    }

    /// Returns the application instances with these pairs of org and id that may be seen, in any order.
    ///
    /// # Errors
    /// The database's.
    pub async fn application_instances_at(
        &self,
        keys: &[(&str, &str)],
        visible: &Rows,
    ) -> Result<Vec<ApplicationInstance>, StoreError> {
        let mut query = QueryBuilder::new("SELECT * FROM application_instance WHERE (org, instance_id) IN ");
        push_keys(&mut query, keys);
        push_visible_instances(&mut query, "application_instance", &visible.among_instances(keys));
        let rows: Vec<InstanceRow> = query.build_query_as().fetch_all(&self.reads).await?;
        Ok(rows.into_iter().map(ApplicationInstance::from).collect())
    }
}

/// Start of a statement over applications `p`, whose counts include the events of their instances.
const APPLICATIONS: &str = "SELECT p.org, p.name, p.display_name, (p.event_count + i.event_count)::bigint AS event_count, \
                            greatest(p.last_event_at, i.last_event_at) AS last_event_at FROM ";

/// End of that statement's FROM clause, which adds up the instances of each application, without the end of the subquery.
const WITH_INSTANCES: &str = " p CROSS JOIN LATERAL (SELECT coalesce(sum(event_count), 0) AS event_count, max(last_event_at) AS last_event_at \
     FROM application_instance WHERE org = p.org AND application = p.name";

/// Adds the end of that statement's FROM clause, which adds up the instances that may be seen.
fn push_instances(query: &mut QueryBuilder<Postgres>, visible: &Rows) {
    query.push(WITH_INSTANCES);
    push_visible_instances(query, "application_instance", visible);
    query.push(") i");
}

/// Adds the columns of the table `application`. An application that may be seen because of an instance alone has no events
/// beside those of its instances.
fn push_columns(query: &mut QueryBuilder<Postgres>, visible: &Rows) {
    if *visible == Rows::All {
        query.push("*");
        return;
    }
    query.push("org, name, display_name, CASE WHEN ");
    push_is_granted(query, "application", visible);
    query.push(" THEN event_count ELSE 0 END AS event_count, CASE WHEN ");
    push_is_granted(query, "application", visible);
    query.push(" THEN last_event_at END AS last_event_at");
}

/// Adds a subquery with pairs of org and key.
fn push_keys(query: &mut QueryBuilder<Postgres>, keys: &[(&str, &str)]) {
    let owned = |key: fn(&(&str, &str)) -> String| keys.iter().map(key).collect::<Vec<String>>();
    query.push("(SELECT * FROM unnest(").push_bind(owned(|key| key.0.to_owned()));
    query.push(", ").push_bind(owned(|key| key.1.to_owned())).push("))");
}

fn push_equal(query: &mut QueryBuilder<Postgres>, column: &str, value: Option<&str>) {
    if let Some(value) = value {
        query.push(" AND ").push(column).push(" = ").push_bind(value.to_owned());
    }
}

/// Adds the condition that one of two columns contains a text.
fn push_search(query: &mut QueryBuilder<Postgres>, columns: [&str; 2], search: Option<&str>) {
    if let Some(search) = search {
        // `lower` changes ASCII letters only in the collation "C", which the cursor's key also has.
        let needle = search.to_ascii_lowercase();
        let [one, other] = columns;
        query.push(format!(" AND (strpos(lower({one}), ")).push_bind(needle.clone());
        query.push(format!(") > 0 OR strpos(lower({other}), ")).push_bind(needle).push(") > 0)");
    }
}

/// Adds the bounds, the order and the limit of a page that is ordered by label, org and key.
fn push_page(query: &mut QueryBuilder<Postgres>, label: &str, key: &str, request: &PageRequest<CatalogueKey>) {
    for (side, bound) in [(">", &request.bounds.after), ("<", &request.bounds.before)] {
        if let Some(bound) = bound {
            query.push(format!(" AND (lower({label}), org, {key}) {side} (")).push_bind(bound.sort.clone());
            query.push(", ").push_bind(bound.org.clone()).push(", ").push_bind(bound.key.clone()).push(")");
        }
    }
    let limit = i64::try_from(request.size).unwrap_or(i64::MAX).saturating_add(1);
    query.push(order("", request.direction)).push(" LIMIT ").push_bind(limit);
}

fn order(alias: &str, direction: Direction) -> String {
    let way = match direction {
        Direction::Forward => "",
        Direction::Backward => " DESC",
    };
    format!(" ORDER BY {alias}sort{way}, {alias}org{way}, {alias}key{way}")
}

impl From<ApplicationRow> for Application {
    fn from(row: ApplicationRow) -> Self {
        Self {
            org: row.org,
            name: row.name,
            display_name: row.display_name,
            event_count: row.event_count,
            last_event_at: row.last_event_at.map(Timestamp::from),
        }
    }
}

impl From<InstanceRow> for ApplicationInstance {
    fn from(row: InstanceRow) -> Self {
        Self {
            org: row.org,
            instance_id: row.instance_id,
            label: row.label,
            status: row.status,
            application: row.application,
            event_count: row.event_count,
            last_event_at: row.last_event_at.map(Timestamp::from),
        }
    }
}
