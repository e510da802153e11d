//! Filters of the System Log: the useful part of SCIM's filter language (RFC 7644).

use crate::system_log::LogEntry;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// `eventType eq "…"`.
    TypeIs(String),
    /// `eventType sw "…"`.
    TypeStartsWith(String),
    /// `target.id eq "…"`.
    Target(String),
    /// `… or …`.
    Any(Vec<Self>),
    /// `… and …`.
    All(Vec<Self>),
    /// `not (…)`.
    Not(Box<Self>),
}

impl Filter {
    /// Parses a filter. The error names the violated rule.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0 };
        let filter = parser.any()?;
        if parser.at < parser.tokens.len() {
            return Err("filter: something stands behind its end".to_owned());
        }
        Ok(filter)
    }

    pub(super) fn matches(&self, entry: &LogEntry) -> bool {
        match self {
            Self::TypeIs(name) => entry.event_type == *name,
            Self::TypeStartsWith(prefix) => entry.event_type.starts_with(prefix.as_str()),
            Self::Target(id) => entry.targets.contains(id),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(entry)),
            Self::All(filters) => filters.iter().all(|filter| filter.matches(entry)),
            Self::Not(filter) => !filter.matches(entry),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            '[' | ']' => return Err("filter: all operators except [ ] are supported".to_owned()),
            '"' => {
                let mut value = String::new();
                loop {
                    match letters.next() {
                        Some('"') => break,
                        Some('\\') => value.extend(letters.next()),
                        Some(letter) => value.push(letter),
                        None => return Err("filter: a text has no end".to_owned()),
                    }
                }
                tokens.push(Token::Text(value));
            }
            letter => {
                let mut word = letter.to_string();
                while let Some(letter) = letters.next_if(|letter| !" ()\"[]".contains(*letter)) {
                    word.push(letter);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    fn takes(&mut self, word: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> Result<Filter, String> {
        let mut filters = vec![self.all()?];
        while self.takes("or") {
            filters.push(self.all()?);
        }
        Ok(one_or(filters, Filter::Any))
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut filters = vec![self.one()?];
        while self.takes("and") {
            filters.push(self.one()?);
        }
        Ok(one_or(filters, Filter::All))
    }

    fn one(&mut self) -> Result<Filter, String> {
        if self.takes("not") {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        match self.next() {
            Some(Token::Open) => {
                let inner = self.any()?;
                if self.next() == Some(Token::Close) { Ok(inner) } else { Err("filter: a `)` is missing".to_owned()) }
            }
            Some(Token::Word(attribute)) => self.comparison(&attribute),
            _ => Err("filter: expected an attribute".to_owned()),
        }
    }

    fn comparison(&mut self, attribute: &str) -> Result<Filter, String> {
        let (Some(Token::Word(operator)), Some(Token::Text(value))) = (self.next(), self.next()) else {
            return Err(format!("filter: expected an operator and a text in quotes after {attribute}"));
        };
        match (attribute, operator.to_ascii_lowercase().as_str()) {
            ("eventType", "eq") => Ok(Filter::TypeIs(value)),
            ("eventType", "sw") => Ok(Filter::TypeStartsWith(value)),
            ("target.id", "eq") => Ok(Filter::Target(value)),
            ("published", _) => Err("filter: `published` cannot be filtered on: use `since` and `until`".to_owned()),
            _ => Err(format!("filter: this stand-in does not know `{attribute} {operator}`")),
        }
    }
}

fn one_or(mut filters: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        last => {
            filters.extend(last);
            many(filters)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_as_scim_says() {
        let is = |name: &str| Filter::TypeIs(name.to_owned());
        let parsed = Filter::parse(r#"eventType eq "a" or (eventType sw "b." and target.id eq "0oa1")"#).unwrap();
        let both = Filter::All(vec![Filter::TypeStartsWith("b.".to_owned()), Filter::Target("0oa1".to_owned())]);
        assert_eq!(parsed, Filter::Any(vec![is("a"), both]));
        assert_eq!(Filter::parse(r#"NOT (eventType EQ "a\"b")"#).unwrap(), Filter::Not(Box::new(is("a\"b"))));
        for (wrong, rule) in [
            ("", "an attribute"),
            ("eventType", "an operator"),
            ("eventType eq a", "a text in quotes"),
            ("eventType eq \"a", "no end"),
            ("(eventType eq \"a\"", "`)` is missing"),
            ("eventType eq \"a\" )", "behind its end"),
            ("target[id eq \"a\"]", "except [ ]"),
            ("published gt \"2026-01-01T00:00:00Z\"", "`published` cannot be filtered on"),
        ] {
            let told = Filter::parse(wrong).unwrap_err();
            assert!(told.contains(rule), "{wrong}: {told}");
        }
    }
}
