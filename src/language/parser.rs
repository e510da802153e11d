//! The parser of documents. Descriptions are read and dropped.

mod literals;

use super::document::{
    Directive, Document, DocumentOperation, Field, Fragment, InlineFragment, Item, Name, SelectionSet, Spread,
    VariableDefinition,
};
use super::fault::{DocumentFault, Location};
use super::text;
use super::tokens::{self, Token, TokenKind};
use super::types::{RootKind, TypeBase, TypeReference};

type Parsed<T> = Result<T, DocumentFault>;

/// Reads a document of at most that many tokens.
///
/// # Errors
/// The text is no document, exceeds a limit, or defines parts of a schema.
pub(crate) fn parse(text: &str, most_tokens: usize) -> Parsed<Document<'_>> {
    let mut parser = Parser { tokens: tokens::read(text, most_tokens)?, at: 0 };
    let mut document = Document::default();
    loop {
        parser.definition(&mut document)?;
        if parser.next().kind == TokenKind::End {
            return Ok(document);
        }
    }
}

/// Keywords that begin the definition of a part of a schema.
const SCHEMA_KEYWORDS: [&str; 8] = ["schema", "scalar", "type", "interface", "union", "enum", "input", "directive"];

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    /// The index of the next token.
    at: usize,
}

impl<'t> Parser<'t> {
    /// The next token, which is not taken.
    fn next(&self) -> Token<'t> {
        self.ahead(0)
    }

    fn ahead(&self, count: usize) -> Token<'t> {
        let end = Token { kind: TokenKind::End, text: "", at: Location::default() };
        self.tokens.get(self.at + count).or(self.tokens.last()).copied().unwrap_or(end)
    }

    fn take(&mut self) -> Token<'t> {
        let token = self.next();
        self.at += 1;
        token
    }

    fn is_sign(&self, sign: &str) -> bool {
        let next = self.next();
        next.kind == TokenKind::Sign && next.text == sign
    }

    /// Takes a punctuator, if it is the next token.
    fn takes(&mut self, sign: &str) -> bool {
        let is_next = self.is_sign(sign);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn unexpected(&self, expected: &str) -> DocumentFault {
        let next = self.next();
        let found = match next.kind {
            TokenKind::End => "its end".to_owned(),
            TokenKind::Text | TokenKind::BlockText => "a string".to_owned(),
            _ => format!("`{}`", next.text),
        };
        DocumentFault::syntax(next.at, &format!("expected {expected}, found {found}"))
    }

    fn name(&mut self) -> Parsed<Name<'t>> {
        if self.next().kind != TokenKind::Name {
            return Err(self.unexpected("a name"));
        }
        let token = self.take();
        Ok(Name { text: token.text, at: token.at })
    }

    fn takes_keyword(&mut self, keyword: &str) -> bool {
        let next = self.next();
        let is_next = next.kind == TokenKind::Name && next.text == keyword;
        self.at += usize::from(is_next);
        is_next
    }

    /// Reads items up to a punctuator, at least one.
    fn items<T>(&mut self, end: &str, item: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        loop {
            items.push(item(self)?);
            if self.takes(end) {
                return Ok(items);
            }
        }
    }

    /// Takes a description, if there is one.
    fn description(&mut self) -> Parsed<bool> {
        let token = self.next();
        match token.kind {
            TokenKind::BlockText => {}
            TokenKind::Text => {
                text::value(token.text).map_err(|what| DocumentFault::syntax(token.at, &what))?;
            }
            _ => return Ok(false),
        }
        self.at += 1;
        Ok(true)
    }

    fn definition(&mut self, document: &mut Document<'t>) -> Parsed<()> {
        let is_described = self.description()?;
        let next = self.next();
        if next.kind == TokenKind::Sign && next.text == "{" && !is_described {
            let selection = self.selection()?;
            document.operations.push(DocumentOperation {
                kind: RootKind::Query,
                name: None,
                variables: Vec::new(),
                directives: Vec::new(),
                selection,
                at: next.at,
            });
            return Ok(());
        }
        let keyword = if next.kind == TokenKind::Name { next.text } else { "" };
        let kind = match keyword {
            "query" => RootKind::Query,
            "mutation" => RootKind::Mutation,
            "subscription" => RootKind::Subscription,
            "fragment" => {
                document.fragments.push(self.fragment()?);
                return Ok(());
            }
            keyword if SCHEMA_KEYWORDS.contains(&keyword) || (keyword == "extend" && self.extends()) => {
                let message =
                    format!("`{keyword}` defines a part of a schema: only operations and fragments are executed");
                return Err(DocumentFault::invalid([next.at], message));
            }
            _ => return Err(self.unexpected("an operation or a fragment")),
        };
        document.operations.push(self.operation(kind)?);
        Ok(())
    }

    /// True if the keyword after the next token begins the definition of a part of a schema.
    fn extends(&self) -> bool {
        SCHEMA_KEYWORDS.contains(&self.ahead(1).text)
    }

    fn operation(&mut self, kind: RootKind) -> Parsed<DocumentOperation<'t>> {
        let at = self.take().at;
        let name = if self.next().kind == TokenKind::Name { Some(self.name()?) } else { None };
        let variables = if self.takes("(") { self.items(")", Self::variable)? } else { Vec::new() };
        let directives = self.directives(false)?;
        Ok(DocumentOperation { kind, name, variables, directives, selection: self.selection()?, at })
    }

    fn variable(&mut self) -> Parsed<VariableDefinition<'t>> {
        self.description()?;
        let at = self.next().at;
        self.expect("$")?;
        let name = self.name()?;
        self.expect(":")?;
        let type_at = self.next().at;
        let of = self.type_reference()?;
        let default = if self.takes("=") { Some(self.literal(true)?) } else { None };
        Ok(VariableDefinition { name, of, type_at, default, directives: self.directives(true)?, at })
    }

    fn type_reference(&mut self) -> Parsed<TypeReference> {
        let base = if self.takes("[") {
            let item = self.type_reference()?;
            self.expect("]")?;
            TypeBase::List(Box::new(item))
        } else {
            TypeBase::Named(self.name()?.text.to_owned())
        };
        Ok(TypeReference { base, is_non_null: self.takes("!") })
    }

    fn fragment(&mut self) -> Parsed<Fragment<'t>> {
        let at = self.take().at;
        let name = self.fragment_name()?;
        if !self.takes_keyword("on") {
            return Err(self.unexpected("`on`"));
        }
        let condition = self.name()?;
        let directives = self.directives(false)?;
        Ok(Fragment { name, condition, directives, selection: self.selection()?, at })
    }

    fn fragment_name(&mut self) -> Parsed<Name<'t>> {
        if self.next().text == "on" { Err(self.unexpected("the name of a fragment")) } else { self.name() }
    }

    fn selection(&mut self) -> Parsed<SelectionSet<'t>> {
        let at = self.next().at;
        self.expect("{")?;
        Ok(SelectionSet { items: self.items("}", Self::item)?, at })
    }

    fn item(&mut self) -> Parsed<Item<'t>> {
        let at = self.next().at;
        if !self.takes("...") {
            return self.field().map(Item::Field);
        }
        if self.next().kind == TokenKind::Name && self.next().text != "on" {
            let name = self.fragment_name()?;
            return Ok(Item::Spread(Spread { name, directives: self.directives(false)?, at }));
        }
        let condition = if self.takes_keyword("on") { Some(self.name()?) } else { None };
        let directives = self.directives(false)?;
        Ok(Item::Inline(InlineFragment { condition, directives, selection: self.selection()?, at }))
    }

    fn field(&mut self) -> Parsed<Field<'t>> {
        let first = self.name()?;
        let (alias, name) = if self.takes(":") { (Some(first), self.name()?) } else { (None, first) };
        let arguments = self.arguments(false)?;
        let directives = self.directives(false)?;
        let selection = if self.is_sign("{") { self.selection()? } else { SelectionSet::default() };
        Ok(Field { alias, name, arguments, directives, selection })
    }

    fn directives(&mut self, is_constant: bool) -> Parsed<Vec<Directive<'t>>> {
        let mut directives = Vec::new();
        loop {
            let at = self.next().at;
            if !self.takes("@") {
                return Ok(directives);
            }
            directives.push(Directive { name: self.name()?, arguments: self.arguments(is_constant)?, at });
        }
    }
}

#[cfg(test)]
mod tests;
