//! Conditions on the rows of the catalogue that a reader may see. Without restricted rights they add nothing to a statement.

use sqlx::{Postgres, QueryBuilder};

use crate::event::{GrantedPart, Rows};

/// Adds ` AND …` for the application instances in a table that may be seen: those of granted orgs and applications, and those
/// that are granted themselves.
pub(crate) fn push_visible_instances(query: &mut QueryBuilder<Postgres>, table: &str, rows: &Rows) {
    let Rows::Granted(grants) = rows else { return };
    query.push(" AND (false");
    for grant in grants.iter() {
        query.push(format!(" OR {table}.org = ")).push_bind(grant.org.clone());
        let (column, values) = match &grant.part {
            GrantedPart::Whole => continue,
            GrantedPart::Applications(names) => ("application", names),
            GrantedPart::Instances(ids) => ("instance_id", ids),
        };
        query.push(format!(" AND {table}.{column} = ANY(")).push_bind(values.clone()).push(")");
    }
    query.push(")");
}

/// Adds ` AND …` for the applications in a table that may be seen: those of granted orgs, those that are granted themselves,
/// and those of which a granted instance is an instance.
pub(crate) fn push_visible_applications(query: &mut QueryBuilder<Postgres>, table: &str, rows: &Rows) {
    let Rows::Granted(grants) = rows else { return };
    query.push(" AND (");
    push_is_granted(query, table, rows);
    for grant in grants.iter() {
        if let GrantedPart::Instances(ids) = &grant.part {
            query.push(format!(" OR {table}.org = ")).push_bind(grant.org.clone());
            query
                .push(format!(" AND {table}.name IN (SELECT g.application FROM application_instance g WHERE g.org = "));
            query.push_bind(grant.org.clone()).push(" AND g.instance_id = ANY(").push_bind(ids.clone()).push("))");
        }
    }
    query.push(")");
}

/// Adds an expression that is true if an application in a table is granted, by itself or with its whole org.
pub(crate) fn push_is_granted(query: &mut QueryBuilder<Postgres>, table: &str, rows: &Rows) {
    let Rows::Granted(grants) = rows else {
        query.push("true");
        return;
    };
    query.push("(false");
    for grant in grants.iter() {
        match &grant.part {
            GrantedPart::Whole => {
                query.push(format!(" OR {table}.org = ")).push_bind(grant.org.clone());
            }
            GrantedPart::Applications(names) => {
                query.push(format!(" OR {table}.org = ")).push_bind(grant.org.clone());
                query.push(format!(" AND {table}.name = ANY(")).push_bind(names.clone()).push(")");
            }
            GrantedPart::Instances(_) => {}
        }
    }
    query.push(")");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Grant;

    fn sql(push: impl Fn(&mut QueryBuilder<Postgres>, &str, &Rows), rows: &Rows) -> String {
        let mut query = QueryBuilder::new("");
        push(&mut query, "t", rows);
        query.sql().as_str().to_owned()
    }

    #[test]
    fn only_restricted_rows_add_conditions() {
        assert_eq!(sql(push_visible_instances, &Rows::All), "");
        assert_eq!(sql(push_visible_applications, &Rows::All), "");
        assert_eq!(sql(push_visible_instances, Rows::nothing()), " AND (false)");
        assert_eq!(sql(push_visible_applications, Rows::nothing()), " AND ((false))");
        let grant = |org: &str, part| Grant { org: org.to_owned(), part };
        let rows = Rows::granted([
            grant("acme", GrantedPart::Applications(vec!["box".to_owned()])),
            grant("acme", GrantedPart::Instances(vec!["0oa1".to_owned()])),
            grant("beta", GrantedPart::Whole),
        ]);
        let expected = " AND (false OR t.org = $1 AND t.application = ANY($2) OR t.org = $3 AND t.instance_id = ANY($4) OR \
                        t.org = $5)";
        assert_eq!(sql(push_visible_instances, &rows), expected);
        let expected = " AND ((false OR t.org = $1 AND t.name = ANY($2) OR t.org = $3) OR t.org = $4 AND t.name IN (SELECT \
                        g.application FROM application_instance g WHERE g.org = $5 AND g.instance_id = ANY($6)))";
        assert_eq!(sql(push_visible_applications, &rows), expected);
    }
}
