//! The parser of arguments and values.

use super::{DocumentFault, Name, Parsed, Parser, TokenKind, text};
use crate::language::document::{Literal, LiteralValue, NamedLiteral};

impl<'t> Parser<'t> {
    pub(super) fn arguments(&mut self, is_constant: bool) -> Parsed<Vec<NamedLiteral<'t>>> {
        if self.takes("(") { self.items(")", |parser| parser.named(is_constant)) } else { Ok(Vec::new()) }
    }

    fn named(&mut self, is_constant: bool) -> Parsed<NamedLiteral<'t>> {
        let name = self.name()?;
        self.expect(":")?;
        Ok(NamedLiteral { name, value: self.literal(is_constant)? })
    }

    /// Reads a value, which may have no variables in it if it is constant.
    pub(super) fn literal(&mut self, is_constant: bool) -> Parsed<Literal<'t>> {
        let token = self.next();
        let value = match (token.kind, token.text) {
            (TokenKind::Sign, "[") => LiteralValue::List(self.until("]", |parser| parser.literal(is_constant))?),
            (TokenKind::Sign, "{") => LiteralValue::Object(self.until("}", |parser| parser.named(is_constant))?),
            (TokenKind::Sign, "$") if is_constant => {
                let message = "a variable cannot stand in a value that is always the same";
                return Err(DocumentFault::syntax(token.at, message));
            }
            (TokenKind::Sign, "$") => {
                self.take();
                let Name { text, .. } = self.name()?;
                LiteralValue::Variable(text)
            }
            (TokenKind::Sign | TokenKind::End, _) => return Err(self.unexpected("a value")),
            (kind, text) => {
                self.take();
                match kind {
                    TokenKind::Int => LiteralValue::Int(text),
                    TokenKind::Float => LiteralValue::Float(text),
                    TokenKind::Text => {
                        let value = text::value(text).map_err(|what| DocumentFault::syntax(token.at, &what))?;
                        LiteralValue::Text(value)
                    }
                    TokenKind::BlockText => LiteralValue::Text(text::block_value(text)),
                    _ => word(text),
                }
            }
        };
        Ok(Literal { value, at: token.at })
    }

    /// Takes the punctuator at the start, and reads items up to another one.
    fn until<T>(&mut self, end: &str, item: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.take();
        if self.takes(end) { Ok(Vec::new()) } else { self.items(end, item) }
    }
}

fn word(text: &str) -> LiteralValue<'_> {
    match text {
        "true" => LiteralValue::Boolean(true),
        "false" => LiteralValue::Boolean(false),
        "null" => LiteralValue::Null,
        other => LiteralValue::Enum(other),
    }
}
