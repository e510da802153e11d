//! Pages of readers whose rights are lists: what the plain statement with the same conditions would give.

use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::json;
use sluice::auth::{AllowedDocuments, Reader, Readers};
use sluice::event::{Grant, GrantedPart, Rights, Rows, Scopes};

use crate::database::TestDatabase;
use crate::gateway::{Gateway, ORG, settings};
use crate::long_lists::{combination, fill};
use crate::traffic::seed;

/// Number of random filters that each reader asks for, beside none.
const FILTERS: usize = 2;

/// Events of two short spans of time become events of 40 instances that have no others: how often the first of a page match
/// tells nothing about the rest.
const BURSTS: &str = "UPDATE $TABLE SET instance_id = 'burst' || position % 40
    WHERE position % 4 < 2 AND (published BETWEEN '2025-04-25Z' AND '2025-04-26Z' OR published BETWEEN '2025-01-02Z' AND '2025-01-12Z')";

/// The rows of a limited reader, and the equivalent SQL condition.
struct Limited {
    name: &'static str,
    rows: Rows,
    condition: String,
}

impl Limited {
    fn new(name: &'static str, orgs: &[&str], column: &str, values: &[String]) -> Self {
        let part = match column {
            "instance_id" => GrantedPart::Instances,
            _ => GrantedPart::Applications,
        };
        let condition = format!("org = ANY('{{{}}}') AND {column} = ANY('{{{}}}')", orgs.join(","), values.join(","));
        let grants = orgs.iter().map(|org| Grant { org: (*org).to_owned(), part: part(values.to_vec()) });
        Self { name, rows: Rows::granted(grants), condition }
    }

    fn token(&self) -> String {
        format!("the token of {}", self.name)
    }
}

fn readers() -> Vec<Limited> {
    let numbered = |prefix: &str, numbers: std::ops::Range<usize>| {
        numbers.map(|number| format!("{prefix}{number}")).collect::<Vec<_>>()
    };
    vec![
        Limited::new("eight instances", &[ORG], "instance_id", &numbered("0oa", 100..108)),
        Limited::new("twelve instances", &[ORG], "instance_id", &numbered("0oa", 100..112)),
        Limited::new("forty instances of two orgs", &[ORG, "rare"], "instance_id", &numbered("0oa", 110..150)),
        Limited::new("two hundred instances of two orgs", &[ORG, "rare"], "instance_id", &numbered("0oa", 0..200)),
        Limited::new("instances with bursts", &[ORG, "rare"], "instance_id", &numbered("burst", 0..40)),
        Limited::new("absent instances", &[ORG], "instance_id", &numbered("none", 0..40)),
        Limited::new("twelve applications", &["rare"], "application_name", &numbered("app", 0..12)),
    ]
}

/// Starts a gateway over a log with bursts, with these readers.
async fn start(readers: &[Limited]) -> Gateway {
    let database = TestDatabase::new().await;
    fill(&database.pool).await;
    for table in ["sync_event", "truth"] {
        let sql = sqlx::AssertSqlSafe(BURSTS.replace("$TABLE", table));
        assert!(sqlx::raw_sql(sql).execute(&database.pool).await.unwrap().rows_affected() > 200);
    }
    let reader = |limited: &Limited| Reader {
        name: limited.name.to_owned(),
        token: limited.token().into(),
        rights: Arc::new(Rights::new(Scopes::READING, limited.rows.clone())),
        documents: AllowedDocuments::Any,
    };
    let mut settings = settings(&database);
    let org = settings.orgs[ORG].clone();
    settings.orgs.insert("rare".to_owned(), org);
    settings.readers = Readers::with_rights(readers.iter().map(reader).collect());
    Gateway::start_over(database, settings).await
}

/// Returns a client that sends a token with each request.
fn client(token: &str) -> Client {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
    Client::builder().no_proxy().default_headers(headers).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_with_lists_get_the_pages_that_the_plain_statement_gives() {
    let readers = readers();
    let mut gateway = start(&readers).await;
    let seed = seed();
    eprintln!("SLUICE_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for limited in readers {
        gateway.client = client(&limited.token());
        gateway.check_lists(&json!({}), &limited.condition).await;
        for _ in 0..FILTERS {
            let (filter, condition) = combination(&mut random);
            gateway.check_lists(&filter, &format!("{} AND ({condition})", limited.condition)).await;
        }
    }
}
