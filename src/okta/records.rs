//! A parser that splits a stream of bytes into records: JSON objects on lines, in lists, or one after the other. The
//! format is detected record by record, so that a broken record spoils no other.

use memchr::{memchr, memchr_iter, memchr3};
use serde_json::value::RawValue;

use super::json::{JsonBody, RawJson, with_bad_bytes_masked};

/// The number of bytes that are kept of a record that is too large.
const KEPT_OF_LARGE: usize = 64 << 10;

/// A JSON object in a stream, or a broken record in its place.
#[derive(Debug)]
pub struct Record<'a> {
    /// The line on which the record starts, counted from 1.
    pub line: u64,
    /// The object, or the broken record.
    pub content: Result<RawJson<'a>, BrokenRecord<'a>>,
}

/// A record that is not a JSON object.
#[derive(Debug)]
pub struct BrokenRecord<'a> {
    /// The record's bytes; only the first of them if there are too many.
    pub bytes: &'a [u8],
    /// The reason, in words.
    pub reason: String,
}

/// A splitter of a stream into records, which buffers at most one record.
#[derive(Debug)]
pub struct Records {
    limit: usize,
    line: u64,
    has_begun: bool,
    is_line_start: bool,
    /// The number of lists that are open around the records.
    lists: usize,
    /// True once a record stood on a line of its own: from then on no record spans several lines.
    is_by_lines: bool,
    state: ScanState,
    partial: PartialRecord,
}

/// The place in the stream at which the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScanState {
    Between,
    Object,
    /// Inside something that is neither an object nor a separator.
    Stray,
}

/// The part of an object in which the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ObjectState {
    #[default]
    Structure,
    Text,
    /// After a backslash in a text.
    Escape,
}

/// A record of which only the beginning has arrived.
#[derive(Debug, Default)]
struct PartialRecord {
    bytes: Vec<u8>,
    size: usize,
    line: u64,
    depth: usize,
    state: ObjectState,
    /// True if the first line has more of the record than its first brace.
    is_on_first_line: bool,
    has_several_lines: bool,
    /// The last byte that is not white space.
    last: u8,
}

impl Records {
    /// Creates a splitter. Records of more than `limit` bytes count as broken.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: 1,
            has_begun: false,
            is_line_start: true,
            lists: 0,
            is_by_lines: false,
            state: ScanState::Between,
            partial: PartialRecord::default(),
        }
    }

    /// Reads the next bytes of the stream, and passes every record that ends in them to `each`.
    pub fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(Record<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = match self.state {
                ScanState::Between => self.scan_between(rest, each),
                ScanState::Object => self.scan_object(rest, each),
                ScanState::Stray => self.scan_stray(rest, each),
            };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// Ends the stream, and passes what is left of it to `each`. Returns false if the stream ended within a list.
    pub fn finish(&mut self, each: &mut impl FnMut(Record<'_>)) -> bool {
        if self.state != ScanState::Between {
            self.emit(each);
        }
        self.lists == 0
    }

    fn scan_between(&mut self, rest: &[u8], each: &mut impl FnMut(Record<'_>)) -> usize {
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
                return self.start_object(rest, each);
            }
            _ => {
                self.has_begun = true;
                self.start_partial(ScanState::Stray);
                return 0;
            }
        }
        self.is_line_start = false;
        1
    }

    /// Reads the object that starts here at once if these bytes have all of it on one line; otherwise begins to scan it.
    fn start_object(&mut self, rest: &[u8], each: &mut impl FnMut(Record<'_>)) -> usize {
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
        self.start_partial(ScanState::Object);
        0
    }

    fn start_partial(&mut self, state: ScanState) {
        self.partial = PartialRecord { line: self.line, ..PartialRecord::default() };
        self.state = state;
    }

    fn scan_object(&mut self, rest: &[u8], each: &mut impl FnMut(Record<'_>)) -> usize {
        let mut at = 0;
        while let Some(byte) = rest.get(at).copied() {
            if self.partial.state == ObjectState::Escape {
                self.partial.state = ObjectState::Text;
                at += usize::from(byte != b'\n');
                continue;
            }
            if self.partial.state == ObjectState::Text {
                let Some(next) = memchr3(b'"', b'\\', b'\n', rest.get(at..).unwrap_or_default()) else {
                    at = rest.len();
                    break;
                };
                at += next;
                match rest.get(at) {
                    Some(b'\\') => self.partial.state = ObjectState::Escape,
                    Some(b'"') => self.partial.state = ObjectState::Structure,
                    // A text cannot contain a line break.
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
                    self.partial.has_several_lines = true;
                }
                b' ' | b'\t' | b'\r' => {}
                _ => {
                    self.partial.is_on_first_line |= !self.partial.has_several_lines && self.partial.depth > 0;
                    self.partial.last = byte;
                    match byte {
                        b'"' => self.partial.state = ObjectState::Text,
                        b'{' | b'[' => self.partial.depth += 1,
                        b'}' | b']' if self.partial.depth == 1 => return self.close(rest, at, each),
                        b'}' | b']' => self.partial.depth -= 1,
                        _ => {}
                    }
                }
            }
        }
        self.buffer(rest);
        at
    }

    /// Returns true if a line with this first byte cannot continue the partial record, which was cut off before this
    /// line.
    fn is_broken_off_before(&self, byte: u8) -> bool {
        if self.partial.is_on_first_line {
            return self.is_by_lines || !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'}' | b']' | b',');
        }
        byte == b'{' && !matches!(self.partial.last, b'[' | b',' | b':')
    }

    fn scan_stray(&mut self, rest: &[u8], each: &mut impl FnMut(Record<'_>)) -> usize {
        let is_end = |byte: &u8| *byte == b'\n' || self.lists > 0 && (*byte == b',' || *byte == b']');
        let end = rest.iter().position(is_end);
        let Some(end) = end else {
            self.buffer(rest);
            return rest.len();
        };
        self.close(rest, end, each)
    }

    /// Ends the partial record before the byte at `end`.
    fn close(&mut self, rest: &[u8], end: usize, each: &mut impl FnMut(Record<'_>)) -> usize {
        self.buffer(rest.get(..end).unwrap_or_default());
        self.emit(each);
        end
    }

    fn buffer(&mut self, bytes: &[u8]) {
        let PartialRecord { bytes: kept, size, .. } = &mut self.partial;
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

    fn emit(&mut self, each: &mut impl FnMut(Record<'_>)) {
        let partial = std::mem::take(&mut self.partial);
        let was_object = std::mem::replace(&mut self.state, ScanState::Between) == ScanState::Object;
        let bytes = partial.bytes.trim_ascii_end();
        let broken = |reason: String| Err(BrokenRecord { bytes, reason });
        let masked;
        let content = if partial.size > self.limit {
            broken(format!(
                "larger than {} bytes, the limit of an event; its first {KEPT_OF_LARGE} bytes are kept",
                self.limit
            ))
        } else if was_object {
            // Invalid UTF-8 may stand in one part of the object only, so the other parts are still read.
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
        if was_object && content.is_ok() && !partial.has_several_lines && self.lists == 0 {
            self.is_by_lines = true;
        }
        each(Record { line: partial.line, content });
    }
}

/// The maximum depth of nested lists around the records of a body that is one JSON value.
const MAX_LISTS: usize = 8;

/// Splits a whole body into records, as [`Records`] does with a stream, and returns false if it ended within a list. A
/// body that is one JSON value is parsed as such, wherever its line breaks are.
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

/// Passes the objects of nested lists, and anything else in the place of an object, to `each`.
fn each_object(json: RawJson<'_>, lines: &mut Lines<'_>, depth: usize, each: &mut impl FnMut(Record<'_>)) {
    if let Some(items) = json.items().filter(|_| depth > 0) {
        return items.into_iter().for_each(|item| each_object(item, lines, depth - 1, each));
    }
    let bytes = json.as_bytes();
    let broken = BrokenRecord { bytes, reason: "not a JSON object".to_owned() };
    each(Record { line: lines.of(bytes), content: if json.is_object() { Ok(json) } else { Err(broken) } });
}

/// A counter of the lines before the parts of a body. The parts must be visited in order.
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
