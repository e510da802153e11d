//! The statements that the gateway sends for a request, and the values it sends along: PostgreSQL logs them for a moment.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::time::sleep;

use super::asking;
use super::server::Pages;
use crate::load::Connection;
use crate::postgres::Cluster;

/// A statement with `$1` and so on, and what these stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sql: String,
    /// None stands for NULL.
    pub(super) parameters: Vec<Option<String>>,
    /// Their types.
    pub(super) types: Vec<String>,
}

/// Each page is asked for so often: what is logged as often belongs to it, and not to what the gateway does besides.
const TIMES: usize = 5;

/// How long the log may take to start, and to be written.
const PATIENCE: Duration = Duration::from_secs(10);

/// The statements of each of a place's pages, in the order in which the gateway sends them.
pub(super) async fn of(pages: &Pages, gateway: SocketAddr, cluster: &mut Cluster) -> Result<Vec<Vec<Statement>>> {
    let postgres = cluster.connection();
    let recorded = record(pages, gateway, postgres).await;
    let stop = "ALTER SYSTEM RESET log_statement; ALTER SYSTEM RESET log_destination";
    for statement in stop.split("; ").chain(["SELECT pg_reload_conf()"]) {
        sqlx::raw_sql(statement).execute(&mut *postgres).await?;
    }
    // The processes take it up one by one.
    sleep(Duration::from_millis(300)).await;
    let mut recorded = recorded?;
    for statement in recorded.iter_mut().flatten() {
        statement.types = types(&statement.sql, postgres).await?;
    }
    Ok(recorded)
}

/// Of which types PostgreSQL takes a statement's parameters to be.
async fn types(sql: &str, postgres: &mut PgConnection) -> Result<Vec<String>> {
    sqlx::raw_sql(AssertSqlSafe(format!("PREPARE of_gateway AS {sql}"))).execute(&mut *postgres).await?;
    let query = "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'of_gateway'";
    let types = sqlx::query_scalar(query).fetch_one(&mut *postgres).await?;
    sqlx::raw_sql("DEALLOCATE of_gateway").execute(&mut *postgres).await?;
    Ok(types)
}

async fn record(pages: &Pages, gateway: SocketAddr, postgres: &mut PgConnection) -> Result<Vec<Vec<Statement>>> {
    let start = "ALTER SYSTEM SET log_statement = 'all'; ALTER SYSTEM SET log_destination = 'jsonlog'";
    for statement in start.split("; ").chain(["SELECT pg_reload_conf()"]) {
        sqlx::raw_sql(statement).execute(&mut *postgres).await?;
    }
    let (file, size) = log_file(postgres).await?;
    let mut connection = Connection::open(gateway).await?;
    for (number, page) in pages.asked.iter().enumerate() {
        for _ in 0..TIMES {
            asking::once(&mut connection, &page.request).await?;
        }
        sqlx::raw_sql(AssertSqlSafe(end_of(number))).execute(&mut *postgres).await?;
    }
    let log = read_log(postgres, &file, size, &end_of(pages.asked.len() - 1)).await?;
    let statements = by_page(&log, pages.asked.len());
    if let Some(number) = statements.iter().position(Vec::is_empty) {
        bail!("PostgreSQL's log names no statement of the gateway's for {:?}", pages.spots[number]);
    }
    Ok(statements)
}

/// What is logged after a page's statements.
fn end_of(page: usize) -> String {
    format!("SELECT 'end of page {page}'")
}

/// The log file, once statements are written to it, and its size by then.
async fn log_file(postgres: &mut PgConnection) -> Result<(String, i64)> {
    let statement = "SELECT pg_current_logfile('jsonlog'), current_setting('log_statement')";
    for _ in 0..PATIENCE.as_millis() / 100 {
        sleep(Duration::from_millis(100)).await;
        let (file, logged): (Option<String>, String) = sqlx::query_as(statement).fetch_one(&mut *postgres).await?;
        if let (Some(file), "all") = (file, logged.as_str()) {
            // The gateway's connections take it up as well.
            sleep(Duration::from_millis(300)).await;
            let size = sqlx::query_scalar("SELECT size FROM pg_stat_file($1)").bind(&file);
            let size = size.fetch_one(&mut *postgres).await?;
            return Ok((file, size));
        }
    }
    bail!("PostgreSQL does not start to log statements")
}

/// What the log holds after a place in it, once a statement is among that.
async fn read_log(postgres: &mut PgConnection, file: &str, from: i64, last: &str) -> Result<String> {
    for _ in 0..PATIENCE.as_millis() / 100 {
        let read = sqlx::query_scalar("SELECT pg_read_file($1, $2, 500000000)").bind(file).bind(from);
        let log: String = read.fetch_one(&mut *postgres).await?;
        if log.lines().any(|line| line.contains(last)) {
            return Ok(log);
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("PostgreSQL's log does not come to its end")
}

/// The statements in a log, by the page to which they belong.
fn by_page(log: &str, pages: usize) -> Vec<Vec<Statement>> {
    let mut found = vec![Vec::<(Statement, usize)>::new(); pages];
    let mut page = 0;
    for entry in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let message = entry["message"].as_str().unwrap_or_default();
        if page < pages && message.contains(&end_of(page)) {
            page += 1;
        } else if entry["application_name"] == "sluice"
            && let Some(counted) = found.get_mut(page)
            && let Some((_, sql)) = message.strip_prefix("execute ").and_then(|text| text.split_once(": "))
            && let Ok(parameters) = read_parameters(entry["detail"].as_str().unwrap_or_default())
        {
            let statement = Statement { sql: sql.to_owned(), parameters, types: Vec::new() };
            match counted.iter_mut().find(|(known, _)| *known == statement) {
                Some((_, times)) => *times += 1,
                None => counted.push((statement, 1)),
            }
        }
    }
    let often = |(statement, times)| (times == TIMES).then_some(statement);
    found.into_iter().map(|counted| counted.into_iter().filter_map(often).collect()).collect()
}

/// Reads `parameters: $1 = 'it''s', $2 = NULL`.
fn read_parameters(detail: &str) -> Result<Vec<Option<String>>> {
    let mut values = Vec::new();
    let Some((_, mut rest)) = detail.split_once(": ") else { return Ok(values) };
    while let Some((_, value)) = rest.split_once(" = ") {
        if let Some(after) = value.strip_prefix("NULL") {
            values.push(None);
            rest = after;
            continue;
        }
        let mut text = String::new();
        let mut parts = value.strip_prefix('\'').context("a value without quotes")?;
        loop {
            let (part, after) = parts.split_once('\'').context("a value without an end")?;
            text.push_str(part);
            match after.strip_prefix('\'') {
                Some(after) => (text.push('\''), parts = after).1,
                None => break rest = after,
            }
        }
        values.push(Some(text));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_out_of_a_log() {
        let read = |detail: &str| read_parameters(detail).unwrap();
        assert_eq!(
            read("parameters: $1 = 'it''s, $2 = x', $2 = NULL, $3 = '', $4 = '2026-01-31 12:00:00+00'"),
            [Some("it's, $2 = x".to_owned()), None, Some(String::new()), Some("2026-01-31 12:00:00+00".to_owned())]
        );
        assert!(read("").is_empty());
        assert!(read_parameters("Parameters: $1 = 'open").is_err());
    }

    #[test]
    fn what_comes_as_often_as_the_page_is_its_statement() {
        let entry = |application: &str, message: &str, detail: &str| {
            serde_json::json!({ "application_name": application, "message": message, "detail": detail }).to_string()
        };
        let mut log = Vec::new();
        for page in 0..2 {
            for _ in 0..TIMES {
                log.push(entry("sluice", "execute sqlx_s_3: SELECT $1", &format!("parameters: $1 = '{page}'")));
                log.push(entry("other", "execute <unnamed>: SELECT 2", ""));
            }
            log.push(entry("sluice", "execute sqlx_s_1: SELECT 3", ""));
            log.push(entry("", &format!("statement: {}", end_of(page)), ""));
        }
        let statement = |value: &str| Statement {
            sql: "SELECT $1".to_owned(),
            parameters: vec![Some(value.to_owned())],
            types: vec![],
        };
        assert_eq!(by_page(&log.join("\n"), 2), [[statement("0")], [statement("1")]]);
    }
}
