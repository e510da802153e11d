//! The text of a schema, completed by what its library does not print: directives, and descriptions.

use std::collections::HashMap;

/// The mark around a description.
const QUOTES: &str = "\"\"\"";

/// Parts that the text of a schema lacks. The path of an element has dots, such as `Query.syncEvents.first`.
pub(crate) struct Additions {
    /// The description of the schema.
    pub(crate) description: String,
    /// The directives of fields, of their arguments and of the fields of input objects, by path, each after a space.
    pub(crate) directives: HashMap<String, String>,
    /// The descriptions of the arguments of directives, by path, such as `@skip.if`.
    pub(crate) descriptions: HashMap<String, String>,
}

/// Completes the text of a schema, in which each element and each mark around a description has a line of its own.
pub(crate) fn complete(text: &str, additions: &Additions) -> String {
    let mut printer = SchemaPrinter { additions, out: String::with_capacity(text.len() * 2) };
    printer.print(text);
    printer.out
}

struct SchemaPrinter<'a> {
    additions: &'a Additions,
    out: String,
}

impl SchemaPrinter<'_> {
    fn print(&mut self, text: &str) {
        let (mut parent, mut field) = ("", "");
        let mut is_description = false;
        for line in text.lines() {
            let element = line.trim_start_matches('\t');
            let is_mark = element == QUOTES;
            is_description ^= is_mark;
            if is_mark || is_description {
                self.line(line.trim_end(), "");
                continue;
            }
            let mut path = String::new();
            match line.len() - element.len() {
                0 if element == "schema {" => self.description("", &self.additions.description),
                0 => {
                    if let Some(directive) = element.strip_prefix("directive @") {
                        self.directive(directive);
                        continue;
                    }
                    parent = element.split(' ').nth(1).unwrap_or_default();
                }
                1 => {
                    // The arguments of a field that has some end with a line of their own.
                    if !element.starts_with(')') {
                        field = before(before(element, ':'), '(');
                    }
                    if !element.ends_with('(') {
                        path = format!("{parent}.{field}");
                    }
                }
                _ => path = format!("{parent}.{field}.{}", before(element, ':')),
            }
            let directives = self.additions.directives.get(&path).map_or("", String::as_str);
            self.line(line, directives);
        }
    }

    /// Prints a line with directives, which stand before the comma at its end.
    fn line(&mut self, line: &str, directives: &str) {
        let (line, comma) = line.strip_suffix(',').map_or((line, ""), |line| (line, ","));
        self.out.extend([line, directives, comma, "\n"]);
    }

    fn description(&mut self, tabs: &str, text: &str) {
        for line in [QUOTES].into_iter().chain(text.lines()).chain([QUOTES]) {
            self.line(format!("{tabs}{line}").trim_end(), "");
        }
    }

    /// Prints a directive's definition with the descriptions of its arguments.
    fn directive(&mut self, definition: &str) {
        let name = before(before(definition, '('), ' ');
        let parts = definition.strip_prefix(name).and_then(|rest| rest.strip_prefix('(')?.rsplit_once(')'));
        let Some((arguments, rest)) = parts else {
            self.out.extend(["directive @", definition, "\n"]);
            return;
        };
        self.out.extend(["directive @", name, "(\n"]);
        for (index, argument) in arguments.split(", ").enumerate() {
            if index > 0 {
                self.out.push_str(",\n");
            }
            let path = format!("@{name}.{}", before(argument, ':'));
            if let Some(description) = self.additions.descriptions.get(&path) {
                self.description("\t", description);
            }
            self.out.extend(["\t", argument]);
        }
        self.out.extend(["\n)", rest, "\n"]);
    }
}

fn before(text: &str, end: char) -> &str {
    text.split(end).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_gets_what_it_lacks() {
        let text = "\"\"\"\nA: type.\n\t\n\"\"\"\ntype A {\n\ta: Int\n\tb(\n\t\t\"\"\"\n\t\tx,\n\t\t\"\"\"\n\t\tx: Int = 1,\n\t\ty: A\n\t): [A!]! \
                    @z\n\tc(x: Int): A\n}\n\ndirective @z on OBJECT\ndirective @s(if: Int!, by: [A!] = [1]) on FIELD | \
                    OBJECT\nschema {\n\tquery: A\n}\n";
        let maps = |pairs: &[(&str, &str)]| pairs.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
        let additions = Additions {
            description: "All,\nof it".to_owned(),
            directives: maps(&[("A.a", " @a"), ("A.b", " @b"), ("A.b.x", " @x"), ("A.b.y", " @y"), ("A.c", " @c")]),
            descriptions: maps(&[("@s.if", "If."), ("@s.by", "By.")]),
        };
        let expected = "\"\"\"\nA: type.\n\n\"\"\"\ntype A {\n\ta: Int @a\n\tb(\n\t\t\"\"\"\n\t\tx,\n\t\t\"\"\"\n\t\tx: Int = 1 @x,\n\t\ty: A \
                        @y\n\t): [A!]! @z @b\n\tc(x: Int): A @c\n}\n\ndirective @z on OBJECT\ndirective \
                        @s(\n\t\"\"\"\n\tIf.\n\t\"\"\"\n\tif: Int!,\n\t\"\"\"\n\tBy.\n\t\"\"\"\n\tby: [A!] = [1]\n) on FIELD | OBJECT\n\"\"\"\nAll,\nof \
                        it\n\"\"\"\nschema {\n\tquery: A\n}\n";
        assert_eq!(complete(text, &additions), expected);
    }
}
