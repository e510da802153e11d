//! Global ids and cursors: texts that clients give back as they are.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::event::{CatalogueKey, Cursor, EventFields, EventOrderField, Position, Tally, TallyCursor, Timestamp};

/// The object of a global id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::graphql) enum NodeId {
    SyncEvent(Position),
    Application { org: String, name: String },
    ApplicationInstance { org: String, instance_id: String },
    RejectedRecord(i64),
}

impl NodeId {
    pub(in crate::graphql) fn encode(&self) -> String {
        match self {
            Self::SyncEvent(position) => format!("SyncEvent:{position}"),
            Self::Application { org, name } => format!("Application:{}:{}", escape(org), escape(name)),
            Self::ApplicationInstance { org, instance_id } => {
                format!("ApplicationInstance:{}:{}", escape(org), escape(instance_id))
            }
            Self::RejectedRecord(id) => format!("RejectedRecord:{id}"),
        }
    }

    pub(in crate::graphql) fn decode(id: &str) -> Option<Self> {
        let mut parts = id.split(':');
        let node = match parts.next()? {
            "SyncEvent" => Self::SyncEvent(parts.next()?.parse().ok()?),
            "Application" => Self::Application { org: unescape(parts.next()?)?, name: unescape(parts.next()?)? },
            "ApplicationInstance" => {
                Self::ApplicationInstance { org: unescape(parts.next()?)?, instance_id: unescape(parts.next()?)? }
            }
            "RejectedRecord" => Self::RejectedRecord(parts.next()?.parse().ok()?),
            _ => return None,
        };
        parts.next().is_none().then_some(node)
    }
}

/// Encodes a place in a list of events. The cursor is valid in lists that are ordered by the same field.
pub(in crate::graphql) fn encode_cursor(field: EventOrderField, cursor: Cursor) -> String {
    match field {
        EventOrderField::Published => format!("e{}.{}", cursor.published.millis(), cursor.position),
        EventOrderField::Position => format!("p{}", cursor.position),
    }
}

/// Encodes the place of an event in a list that is ordered by a field.
pub(in crate::graphql) fn encode_event_cursor(field: EventOrderField, event: &impl EventFields) -> String {
    encode_cursor(field, Cursor { published: event.published(), position: event.position() })
}

pub(in crate::graphql) fn decode_cursor(field: EventOrderField, text: &str) -> Option<Cursor> {
    let (published, position) = match field {
        EventOrderField::Published => {
            let (published, position) = text.strip_prefix('e')?.split_once('.')?;
            (published.parse().ok()?, position)
        }
        EventOrderField::Position => (0, text.strip_prefix('p')?),
    };
    Some(Cursor { published: Timestamp::from_millis(published)?, position: position.parse().ok()? })
}

pub(in crate::graphql) fn encode_key(key: &CatalogueKey) -> String {
    format!("c{}:{}:{}", escape(&key.sort), escape(&key.org), escape(&key.key))
}

pub(in crate::graphql) fn decode_key(text: &str) -> Option<CatalogueKey> {
    let mut parts = text.strip_prefix('c')?.split(':').map(unescape);
    let key = CatalogueKey { sort: parts.next()??, org: parts.next()??, key: parts.next()?? };
    parts.next().is_none().then_some(key)
}

/// Encodes the place of a tally in its list.
pub(in crate::graphql) fn encode_tally_cursor(tally: &Tally) -> String {
    match &tally.key {
        Some(key) => format!("t{}:{}", tally.count, escape(key)),
        None => format!("t{}", tally.count),
    }
}

pub(in crate::graphql) fn decode_tally_cursor(text: &str) -> Option<TallyCursor> {
    let text = text.strip_prefix('t')?;
    let (count, key) = match text.split_once(':') {
        Some((count, key)) => (count, Some(unescape(key)?)),
        None => (text, None),
    };
    Some(TallyCursor { count: count.parse().ok()?, key })
}

/// Encodes a place in the list of rejections.
pub(in crate::graphql) fn encode_rejection_cursor(id: i64) -> String {
    format!("r{id}")
}

pub(in crate::graphql) fn decode_rejection_cursor(text: &str) -> Option<i64> {
    text.strip_prefix('r')?.parse().ok()
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn unescape(text: &str) -> Option<String> {
    // Postgres's text holds no U+0000, so no key has one.
    let text = percent_decode_str(text).decode_utf8().ok()?.into_owned();
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_cursors_go_there_and_back() {
        let node = NodeId::Application { org: "a:b".into(), name: "ü/%".into() };
        assert_eq!(NodeId::decode(&node.encode()), Some(node));
        let cursor = Cursor { published: Timestamp::now(), position: Position::new(7) };
        let (by_time, by_position) = (EventOrderField::Published, EventOrderField::Position);
        assert_eq!(decode_cursor(by_time, &encode_cursor(by_time, cursor)), Some(cursor));
        let found = decode_cursor(by_position, &encode_cursor(by_position, cursor));
        assert_eq!(found.map(|found| found.position), Some(cursor.position));
        assert_eq!(decode_cursor(by_position, &encode_cursor(by_time, cursor)), None);
        assert_eq!(NodeId::decode(&NodeId::RejectedRecord(7).encode()), Some(NodeId::RejectedRecord(7)));
        assert_eq!(decode_rejection_cursor(&encode_rejection_cursor(7)), Some(7));
        assert_eq!(decode_rejection_cursor("c7"), None);
        let key = CatalogueKey { sort: "a b".into(), org: String::new(), key: ":".into() };
        assert_eq!(decode_key(&encode_key(&key)), Some(key));
        for bad in ["", "e", "e1", "e1.x", "c", "cx", "c::::", "SyncEvent:", "SyncEvent:1:2", "Application:a"] {
            assert_eq!(NodeId::decode(bad), None, "{bad}");
            assert_eq!(decode_cursor(by_time, bad), None, "{bad}");
        }
    }
}
