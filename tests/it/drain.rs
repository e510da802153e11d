//! A gateway that stops sends its subscribers away one after the other, and each resumes elsewhere.

use serde_json::json;

use crate::database::TestDatabase;
use crate::event_stream::EventStream;
use crate::events::sync_events;
use crate::gateway::{Gateway, settings};
use crate::socket::Heard;

const AFTER: &str = "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { position } } }";

#[tokio::test]
async fn subscribers_leave_over_a_while_and_are_told_what_happens_until_then() {
    let database = TestDatabase::new().await;
    let mut leaving = settings(&database);
    leaving.limits.drain_seconds = 3;
    let staying = Gateway::start_over(database.clone(), settings(&database)).await;
    let gateway = Gateway::start_over(database, leaving).await;
    let mut sockets = Vec::new();
    for _ in 0..6 {
        let mut socket = gateway.socket().await;
        socket.subscribe("1", AFTER, json!({"after": "0"})).await;
        sockets.push(socket);
    }
    staying.deliver(&sync_events("one", 1)).await;
    for socket in &mut sockets {
        assert_eq!(socket.event("1").await, json!({"position": "1"}));
    }
    let mut stream = EventStream::open(gateway.event_stream(AFTER, &json!({"after": "0"}))).await;
    assert_eq!(stream.sync_event().await.0, "1");
    let stopping = tokio::spawn(gateway.stop());
    let (leave, mut left) = tokio::sync::mpsc::unbounded_channel();
    let ends = sockets.into_iter().map(|mut socket| {
        let leave = leave.clone();
        tokio::spawn(async move {
            let mut last = 1;
            loop {
                match socket.hear().await {
                    Heard::Message(message) => {
                        last += 1;
                        let position = &message["payload"]["data"]["syncEvents"]["position"];
                        assert_eq!(position, &json!(last.to_string()), "{message}");
                    }
                    Heard::Closed(code) => {
                        leave.send(()).unwrap();
                        break (last, code);
                    }
                }
            }
        })
    });
    let ends: Vec<_> = ends.collect();
    // The last subscriber has half of the time left when the first one is gone.
    left.recv().await.unwrap();
    staying.deliver(&sync_events("one", 1)).await;
    let mut told = 0;
    for end in ends {
        let (last, code) = end.await.unwrap();
        assert_eq!(code, Some(1012));
        told += last - 1;
        let mut socket = staying.socket().await;
        socket.subscribe("1", AFTER, json!({"after": (last - 1).to_string()})).await;
        assert_eq!(socket.event("1").await, json!({"position": last.to_string()}));
    }
    assert!(
        (1..6).contains(&told),
        "who stays longest is told what happens meanwhile, and who left first is not: {told}"
    );
    // The stream just ends: not complete, so that its client connects again.
    while let Some(frame) = stream.try_frame().await.unwrap() {
        assert_ne!(frame.event.as_deref(), Some("complete"));
    }
    stopping.await.unwrap();
}
