//! Tests of messages: every written one is read, and no other.

use uuid::Uuid;

use super::*;
use crate::event::{Details, EventTexts, IngestSource, Occurrence, Timestamp};

fn channel(database: &str, era: u128, key: u8) -> Channel {
    let key = vec![key; 32].into();
    Channel::of(LogIdentity { database: database.to_owned(), era: Position::new(era), key })
}

/// An event whose JSON takes so many bytes, about.
fn event(position: u128, size: usize) -> Arc<SyncEvent> {
    // Every column has its own text, but for one that is missing and one that is empty.
    let mut texts = EventTexts::default();
    for (number, column) in EventColumn::texts().enumerate() {
        texts.set(column, Some(format!("\"ünal {number}\n")));
    }
    texts.set(EventColumn::Version, None::<&str>);
    texts.set(EventColumn::OutcomeReason, Some(""));
    let published = Timestamp::from_millis(1_700_000_000_123).unwrap();
    Arc::new(SyncEvent {
        position: Position::new(position),
        org: "acme".to_owned(),
        occurrence: Occurrence { uuid: Uuid::from_u128(position), published, texts },
        received_at: Timestamp::from_millis(1_700_000_000_456).unwrap(),
        first_source: IngestSource::SystemLog,
        details: Details::Read(format!("{{ \"a\":1.00,\n\"a\":\"\\ud800{}\" }}", "x".repeat(size)).into()),
    })
}

fn stretch(events: Vec<Arc<SyncEvent>>) -> WindowPart {
    let through = events.last().unwrap().position;
    WindowPart { events, through }
}

/// The positions in messages, in order; negative for an event that is announced by its position only.
fn told(channel: &Channel, messages: &[Bytes]) -> Vec<i128> {
    let mut told = Vec::new();
    for message in messages {
        assert!(message.len() <= MAX_BYTES, "a message has {} bytes", message.len());
        match channel.read(message).unwrap() {
            TailUpdate::Events(events) => told.extend(events.iter().map(|event| event.position.get().cast_signed())),
            TailUpdate::Through(position) => told.push(-position.get().cast_signed()),
        }
    }
    told
}

#[test]
fn an_event_comes_out_as_it_went_in() {
    let (channel, events) = (channel("one", 0, 1), vec![event(8, 10), event(9, 0)]);
    let messages = channel.write(Position::new(7), &stretch(events.clone()));
    assert_eq!(messages.len(), 1);
    let TailUpdate::Events(read) = channel.read(&messages[0]).unwrap() else { panic!("no events") };
    assert_eq!(read.to_vec(), events);
}

#[test]
fn a_long_stretch_is_several_messages_and_what_is_too_big_is_its_position() {
    let (channel, big) = (channel("one", 0, 1), MAX_BYTES);
    let sizes = [50_000, 50_000, 50_000, big, 10, big, big, 10, big - 1000, 10];
    let events = (1..).zip(sizes).map(|(position, size)| event(position, size)).collect();
    let messages = channel.write(Position::START, &stretch(events));
    assert_eq!(told(&channel, &messages), [1, 2, 3, -4, 5, -6, -7, 8, 9, 10]);
    assert!(messages.len() > 7, "{} messages", messages.len());
}

#[test]
fn a_hole_in_the_log_is_none_that_a_message_covers() {
    let channel = channel("one", 0, 1);
    let messages = channel.write(Position::new(3), &stretch(vec![event(5, 1), event(6, 1), event(9, 1)]));
    let TailUpdate::Events(first) = channel.read(&messages[0]).unwrap() else { panic!("no events") };
    assert_eq!(first[0].position, Position::new(5));
    assert_eq!(told(&channel, &messages), [5, 6, 9]);
    assert_eq!(messages.len(), 2);
}

#[test]
fn what_is_not_known_as_okta_sent_it_is_its_position() {
    let channel = channel("one", 0, 1);
    for details in [Details::NotRead, Details::Read(" {}".into()), Details::Read("no JSON".into())] {
        let event = Arc::new(SyncEvent { details, ..SyncEvent::clone(&event(1, 1)) });
        assert_eq!(told(&channel, &channel.write(Position::START, &stretch(vec![event]))), [-1]);
    }
}

#[test]
fn only_messages_of_this_log_and_era_are_taken() {
    let channel = channel("one", 0, 1);
    let write = |channel: &Channel, position: u128| {
        channel.write(Position::new(position - 1), &stretch(vec![event(position, 1)])).remove(0)
    };
    let good = write(&channel, 7);
    assert!(channel.read(&good).is_ok());
    let mut bent = good.to_vec();
    bent[SIGNATURE + 10] ^= 1;
    let long = [&good[..], &vec![b' '; MAX_BYTES]].concat();
    let signed = |text: &str| channel.sign(text).to_vec();
    for (message, refused) in [
        (Vec::new(), MessageRefused::Signature),
        (good[..31].to_vec(), MessageRefused::Signature),
        (good[..good.len() - 1].to_vec(), MessageRefused::Signature),
        (bent, MessageRefused::Signature),
        (long, MessageRefused::Size),
        (write(&self::channel("two", 0, 1), 7).to_vec(), MessageRefused::Signature),
        (write(&self::channel("one", 0, 2), 7).to_vec(), MessageRefused::Signature),
        (write(&self::channel("one", Position::ERA, 1), 7).to_vec(), MessageRefused::Signature),
        (write(&channel, Position::ERA + 1).to_vec(), MessageRefused::Form),
        (signed("no JSON"), MessageRefused::Form),
        (signed(r#"{"after":7,"through":7}"#), MessageRefused::Form),
        (signed(r#"{"after":-1,"through":0}"#), MessageRefused::Form),
        (signed(&String::from_utf8(good[SIGNATURE..].to_vec()).unwrap().replace("\"after\":6", "\"after\":5")), {
            MessageRefused::Form
        }),
    ] {
        assert_eq!(channel.read(&message).unwrap_err(), refused, "{}", String::from_utf8_lossy(&message));
    }
}
