//! Log Streaming: each event in an envelope of Amazon EventBridge, posted by an API destination with retries.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio::time::sleep;
use uuid::Uuid;

use crate::{Fate, HookSender, LogEvent};

/// The maximum number of queued events.
const WAITING: usize = 1000;

/// The pause before a rejected event is posted again.
const PAUSE: Duration = Duration::from_millis(500);

/// A stream to one endpoint, which posts events in order. The stream ends when it is dropped and its queue is empty.
#[derive(Clone, Debug)]
pub struct LogStream {
    waiting: mpsc::Sender<String>,
}

impl LogStream {
    /// Starts a stream.
    pub fn start(sender: HookSender) -> Self {
        let (waiting, mut events) = mpsc::channel::<String>(WAITING);
        tokio::spawn(async move {
            while let Some(envelope) = events.recv().await {
                // EventBridge retries for a day, but gives up after a 4xx.
                loop {
                    let report = sender.send_body(&envelope).await;
                    if report.fate != Fate::Lost || report.status.is_some_and(|status| status < 500) {
                        break;
                    }
                    sleep(PAUSE).await;
                }
            }
        });
        Self { waiting }
    }

    /// Queues an event. Returns false if the queue is full.
    pub fn tell(&self, event: &LogEvent) -> bool {
        self.waiting.try_send(envelope(event)).is_ok()
    }
}

/// Wraps an event in an EventBridge envelope.
pub fn envelope(event: &LogEvent) -> String {
    let time = event.published.replace_nanosecond(0).unwrap_or(event.published);
    format!(
        r#"{{"version":"0","id":"{}","detail-type":"SystemLog","source":"aws.partner/okta.com/acme/stream","account":"111122223333","time":"{}","region":"eu-central-1","resources":[],"detail":{}}}"#,
        Uuid::new_v4(),
        time.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default(),
        event.log_json(),
    )
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::{Organisation, OrganisationOptions};

    #[test]
    fn the_envelope_has_the_event_as_the_system_log_prints_it() {
        let mut organisation = Organisation::new(OrganisationOptions::default());
        let event = organisation.event_at(OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000));
        let json: serde_json::Value = serde_json::from_str(&envelope(&event)).unwrap();
        assert_eq!(json["detail"]["uuid"], event.uuid.to_string());
        assert_eq!(json["time"], "2024-10-04T00:00:00Z");
        assert!(envelope(&event).ends_with(&format!("{}}}", event.log_json())));
    }
}
