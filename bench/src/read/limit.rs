//! The limit: the gateway's own statements by pgbench, with the values that the gateway sends, each page as often.
//!
//! One script for all pages of a place that have the same statements, as pgbench would prepare and plan each script for
//! itself. It picks a page by its weight; a value that differs from page to page is then an element of an array.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::question::{Place, Spot};
use super::statements::Statement;

/// Planned once: left to itself, PostgreSQL may plan a page of many partitions anew each time, which takes longer than to
/// read it.
pub(super) const SETTINGS: &str = "-c jit=off -c plan_cache_mode=force_generic_plan";

/// Writes the scripts of a place, one for the pages that have the same statements; gives pgbench's arguments.
pub(super) fn write(
    place: Place,
    spots: &[Spot],
    statements: &[Vec<Statement>],
    directory: &Path,
) -> Result<Vec<OsString>> {
    let mut kinds: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
    for (page, statements) in statements.iter().enumerate() {
        kinds.entry(statements.iter().map(|statement| statement.sql.as_str()).collect()).or_default().push(page);
    }
    let mut arguments = Vec::new();
    for (nth, pages) in kinds.into_values().enumerate() {
        let (spots, statements): (Vec<_>, Vec<_>) =
            pages.into_iter().filter_map(|page| Some((spots.get(page)?, &**statements.get(page)?))).unzip();
        let weight: i64 = spots.iter().map(|spot| spot.weight).sum();
        let path = directory.join(format!("{place}-{nth}.sql"));
        let script = script(&format!("value_{nth}"), &spots, &statements, &mut arguments)?;
        fs::write(&path, script).with_context(|| path.display().to_string())?;
        arguments.extend(["-f".into(), format!("{}@{weight}", path.display()).into()]);
    }
    Ok(arguments)
}

/// The script for pages with the same statements; adds pgbench's arguments with its values.
fn script(name: &str, spots: &[&Spot], statements: &[&[Statement]], arguments: &mut Vec<OsString>) -> Result<String> {
    let mut script = choice(spots);
    for (nth, statement) in statements.first().context("there are no pages")?.iter().enumerate() {
        let of_pages: Vec<_> = statements.iter().filter_map(|statements| statements.get(nth)).collect();
        let variables: Vec<_> = (0..statement.parameters.len())
            .map(|index| Variable::of(&format!("{name}_{nth}_{}", index + 1), &of_pages, index))
            .collect();
        script.push_str(&with_variables(statement, &variables)?);
        script.push_str(";\n");
        for value in variables.into_iter().filter_map(|variable| variable.value) {
            arguments.extend(["-D".into(), value.into()]);
        }
    }
    Ok(script)
}

/// Sets `page` to the number of one of the pages, from 1.
fn choice(spots: &[&Spot]) -> String {
    let total: i64 = spots.iter().map(|spot| spot.weight).sum();
    let mut script = format!("\\set point random(1, {total})\n\\set page case");
    let mut sum = 0;
    for (index, spot) in spots.iter().enumerate() {
        sum += spot.weight;
        _ = write!(script, " when :point <= {sum} then {}", index + 1);
    }
    script + " end\n"
}

/// What stands for a parameter in a script.
#[derive(Debug, PartialEq, Eq)]
struct Variable {
    expression: String,
    /// `name=value`.
    value: Option<String>,
}

impl Variable {
    /// The variable for a parameter of the same statement of each page.
    fn of(name: &str, statements: &[&Statement], index: usize) -> Self {
        let mut values = statements.iter().map(|statement| statement.parameters[index].as_deref());
        let first = values.next().flatten();
        if values.all(|value| value == first) {
            return match first {
                Some(value) => Self { expression: format!(":{name}"), value: Some(format!("{name}={value}")) },
                None => Self { expression: "NULL".to_owned(), value: None },
            };
        }
        let element = |statement: &&Statement| match &statement.parameters[index] {
            Some(value) => format!("\"{}\"", value.replace('\\', r"\\").replace('"', "\\\"")),
            None => "NULL".to_owned(),
        };
        let elements: Vec<_> = statements.iter().map(element).collect();
        let kind = &statements[0].types[index];
        Self {
            expression: format!("(:{name}::{kind}[])[:page::int]"),
            value: Some(format!("{name}={{{}}}", elements.join(","))),
        }
    }
}

/// A statement with pgbench's variables for its parameters.
fn with_variables(statement: &Statement, variables: &[Variable]) -> Result<String> {
    let mut parts = statement.sql.split('$');
    let mut script = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
        let number: usize = part[..digits].parse().context("a `$` without a number")?;
        let Some(variable) = number.checked_sub(1).and_then(|index| variables.get(index)) else {
            bail!("${number} has no value in: {}", statement.sql);
        };
        script.push_str(&variable.expression);
        script.push_str(&part[digits..]);
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(values: &[Option<&str>]) -> Statement {
        let parameters = values.iter().map(|value| value.map(str::to_owned)).collect();
        let types = values.iter().map(|_| "text".to_owned()).collect();
        Statement { sql: "SELECT $1::text, $2, $3 LIMIT $1".to_owned(), parameters, types }
    }

    #[test]
    fn parameters_become_variables() {
        let (one, other) = (statement(&[Some("51"), None, Some("a")]), statement(&[Some("51"), None, Some("b\"c")]));
        let variable = |index: usize| Variable::of(&format!("v{index}"), &[&one, &other], index);
        let variables = [variable(0), variable(1), variable(2)];
        let script = with_variables(&one, &variables).unwrap();
        assert_eq!(script, "SELECT :v0::text, NULL, (:v2::text[])[:page::int] LIMIT :v0");
        let values: Vec<_> = variables.into_iter().filter_map(|variable| variable.value).collect();
        assert_eq!(values, ["v0=51", r#"v2={"a","b\"c"}"#]);
        assert!(with_variables(&one, &[]).is_err());
    }

    #[test]
    fn pages_are_picked_by_weight() {
        let spot = |weight| Spot { instance: None, depth: 0, weight };
        let script = choice(&[&spot(30), &spot(10)]);
        assert_eq!(
            script,
            "\\set point random(1, 40)\n\\set page case when :point <= 30 then 1 when :point <= 40 then 2 end\n"
        );
    }
}
