//! Records out of a stream of bytes: JSON objects, one a line, in lists, or one after the other. Which of these it is, is
//! found by looking, record by record, so that a broken one spoils nothing but itself.

use memchr::{memchr, memchr_iter, memchr3};
use serde_json::value::RawValue;

use super::json::{JsonBody, RawJson, with_bad_bytes_masked};

/// What is kept of a record that is too large.
const KEPT_OF_LARGE: usize = 64 << 10;

/// A JSON object of a stream, or what stands where one should.
#[derive(Debug)]
pub struct Record<'a> {
    /// The line on which it starts, from 1.
    pub line: u64,
    /// The object.
    pub content: Result<RawJson<'a>, BrokenRecord<'a>>,
}

/// What is no JSON object.
#[derive(Debug)]
pub struct BrokenRecord<'a> {
    /// Its bytes; the first of them where there are too many.
    pub bytes: &'a [u8],
    /// What is wrong.
    pub reason: String,
}

/// Cuts a stream into records. Holds one record at most.
#[derive(Debug)]
pub struct Records {
    limit: usize,
    line: u64,
    has_begun: bool,
    is_line_start: bool,
    /// How many lists are open around the records.
    lists: usize,
    /// Whether a record stood on a line of its own: then none goes over several.
    is_by_lines: bool,
    place: Place,
    open: Open,
}

/// Where in the stream the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Between,
    Object,
    /// In what is neither an object nor between objects.
    Stray,
}

/// In what of an object the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Structure,
    Text,
    /// Behind a backslash.
    Escape,
}

/// A record of which not all has come.
#[derive(Debug, Default)]
struct Open {
    bytes: Vec<u8>,
    size: usize,
    line: u64,
    depth: usize,
    within: Within,
    /// Whether it goes on behind its first brace, on the same line.
    is_on_first_line: bool,
    has_several_lines: bool,
    /// Its last byte that is not white space.
    last: u8,
}

impl Records {
    /// For records of at most `limit` bytes. Larger ones are broken.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: 1,
            has_begun: false,
            is_line_start: true,
            lists: 0,
            is_by_lines: false,
            place: Place::Between,
            open: Open::default(),
        }
    }

    /// Takes the next bytes, and gives every record that ends in them.
    pub fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(Record<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = match self.place {
                Place::Between => self.between(rest, each),
                Place::Object => self.object(rest, each),
                Place::Stray => self.stray(rest, each),
            };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// Gives what is left at the end, and tells whether the stream ended where it may: not within a list.
    pub fn finish(&mut self, each: &mut impl FnMut(Record<'_>)) -> bool {
        if self.place != Place::Between {
            self.give(each);
        }
        self.lists == 0
    }

    fn between(&mut self, rest: &[u8], each: &mut impl FnMut(Record<'_>)) -> usize {
        let Some(first) = rest.first() else { return 0 };
        match first {
            b'\n' => {
                self.line += 1;
                self.is_line_start = true;
                return 1;
            }
            b' ' | b'\t' | b'\r' | b',' => {}
            // A byte order mark.
            0xef | 0xbb | 0xbf if !self.has_begun => {}
            b'[' => self.lists += 1,
            b']' => self.lists = self.lists.saturating_sub(1),
            b'{' => {
                self.has_begun = true;
                return self.whole(rest, each);
            }
            _ => {
                self.has_begun = true;
                self.open = Open { line: self.line, ..Open::default() };
                self.place = Place::Stray;
                return 0;
            }
        }
        self.is_line_start = false;
        1
    }

    /// The record that starts here, at once where all of it is here, on one line and in order.
    fn whole(&mut self, rest: &[u8], each: &mut impl FnMut(Record<'_>)) -> usize {
        self.is_line_start = false;
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>();
        let found = values.next();
        let length = values.byte_offset();
        if let Some(Ok(json)) = found
            && json.get().len() <= self.limit
            && memchr(b'\n', json.get().as_bytes()).is_none()
        {
            self.is_by_lines |= self.lists == 0;
            each(Record { line: self.line, content: Ok(RawJson::of(json)) });
            return length;
        }
        self.open = Open { line: self.line, ..Open::default() };
        self.place = Place::Object;
        0
    }

    fn object(&mut self, rest: &[u8], each: &mut impl FnMut(Record<'_>)) -> usize {
        let mut at = 0;
        while let Some(byte) = rest.get(at).copied() {
            if self.open.within == Within::Escape {
                self.open.within = Within::Text;
                at += usize::from(byte != b'\n');
                continue;
            }
            if self.open.within == Within::Text {
                let Some(next) = memchr3(b'"', b'\\', b'\n', rest.get(at..).unwrap_or_default()) else {
                    at = rest.len();
                    break;
                };
                at += next;
                match rest.get(at) {
                    Some(b'\\') => self.open.within = Within::Escape,
                    Some(b'"') => self.open.within = Within::Structure,
                    // No text goes over the end of a line.
                    _ => return self.close(rest, at, each),
                }
                at += 1;
                continue;
            }
            if std::mem::take(&mut self.is_line_start) && self.is_broken_off_before(byte) {
                return self.close(rest, at, each);
            }
            at += 1;
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.is_line_start = true;
                    self.open.has_several_lines = true;
                }
                b' ' | b'\t' | b'\r' => {}
                _ => {
                    self.open.is_on_first_line |= !self.open.has_several_lines && self.open.depth > 0;
                    self.open.last = byte;
                    match byte {
                        b'"' => self.open.within = Within::Text,
                        b'{' | b'[' => self.open.depth += 1,
                        b'}' | b']' if self.open.depth == 1 => return self.close(rest, at, each),
                        b'}' | b']' => self.open.depth -= 1,
                        _ => {}
                    }
                }
            }
        }
        self.keep(rest);
        at
    }

    /// Whether a line that starts so cannot belong to the record that is open: it broke off, and this is another one.
    fn is_broken_off_before(&self, byte: u8) -> bool {
        if self.open.is_on_first_line {
            return self.is_by_lines || !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'}' | b']' | b',');
        }
        byte == b'{' && !matches!(self.open.last, b'[' | b',' | b':')
    }

    fn stray(&mut self, rest: &[u8], each: &mut impl FnMut(Record<'_>)) -> usize {
        let is_end = |byte: &u8| *byte == b'\n' || self.lists > 0 && (*byte == b',' || *byte == b']');
        let end = rest.iter().position(is_end);
        let Some(end) = end else {
            self.keep(rest);
            return rest.len();
        };
        self.close(rest, end, each)
    }

    /// Ends the record that is open with the first of these bytes.
    fn close(&mut self, rest: &[u8], end: usize, each: &mut impl FnMut(Record<'_>)) -> usize {
        self.keep(rest.get(..end).unwrap_or_default());
        self.give(each);
        end
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Open { bytes: kept, size, .. } = &mut self.open;
        *size += bytes.len();
        if *size <= self.limit {
            kept.extend_from_slice(bytes);
        } else {
            let room = KEPT_OF_LARGE.saturating_sub(kept.len());
            kept.extend(bytes.iter().take(room));
            kept.truncate(KEPT_OF_LARGE);
            kept.shrink_to_fit();
        }
    }

    fn give(&mut self, each: &mut impl FnMut(Record<'_>)) {
        let open = std::mem::take(&mut self.open);
        let was_object = std::mem::replace(&mut self.place, Place::Between) == Place::Object;
        let bytes = open.bytes.trim_ascii_end();
        let broken = |reason: String| Err(BrokenRecord { bytes, reason });
        let masked;
        let content = if open.size > self.limit {
            broken(format!(
                "larger than {} bytes, as no event is; its first {KEPT_OF_LARGE} bytes are kept",
                self.limit
            ))
        } else if was_object {
            // Bytes that are no UTF-8 may stand in one part of the object only, so the other parts are still read.
            let text = if let Ok(text) = std::str::from_utf8(bytes) {
                text
            } else {
                masked = with_bad_bytes_masked(bytes);
                masked.as_str()
            };
            let json = serde_json::from_str::<&RawValue>(text).map(|json| RawJson::masked(json, bytes));
            json.or_else(|error| broken(format!("not JSON: {error}")))
        } else {
            broken("not a JSON object".to_owned())
        };
        if was_object && content.is_ok() && !open.has_several_lines && self.lists == 0 {
            self.is_by_lines = true;
        }
        each(Record { line: open.line, content });
    }
}

/// The number of lists that may stand in each other around the records of a body that is one JSON value.
const MAX_LISTS: usize = 8;

/// Cuts a whole body into records, as [`Records`] does with a stream, and tells whether it ended where it may. A body
/// that is one JSON value is read as one, however its lines are broken.
pub fn read_records(body: &[u8], limit: usize, each: &mut impl FnMut(Record<'_>)) -> bool {
    let whole = JsonBody::new(body);
    match whole.json() {
        Ok(json) if json.text().get().starts_with(['{', '[']) => {
            let mut lines = Lines { body, at: 0, line: 1 };
            each_object(json, &mut lines, MAX_LISTS, each);
            true
        }
        _ => {
            let mut records = Records::new(limit);
            records.feed(body, each);
            records.finish(each)
        }
    }
}

/// Gives the objects of nested lists, and what stands where one should.
fn each_object(json: RawJson<'_>, lines: &mut Lines<'_>, depth: usize, each: &mut impl FnMut(Record<'_>)) {
    if let Some(items) = json.items().filter(|_| depth > 0) {
        return items.into_iter().for_each(|item| each_object(item, lines, depth - 1, each));
    }
    let bytes = json.as_bytes();
    let broken = BrokenRecord { bytes, reason: "not a JSON object".to_owned() };
    each(Record { line: lines.of(bytes), content: if json.is_object() { Ok(json) } else { Err(broken) } });
}

/// Counts lines up to parts of a body, which are asked for in their order.
struct Lines<'a> {
    body: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, part: &[u8]) -> u64 {
        let start = part.as_ptr().addr().saturating_sub(self.body.as_ptr().addr());
        let passed = self.body.get(self.at..start).unwrap_or_default();
        self.line += memchr_iter(b'\n', passed).count() as u64;
        self.at = self.at.max(start);
        self.line
    }
}

#[cfg(test)]
mod tests;
