//! Tests of the sender with a small endpoint over real sockets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// The endpoint's reaction to a request.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    Silence,
    HangUp,
    Challenge,
    WrongChallenge,
}

/// Starts an endpoint that answers one request after the other as given, and records what it receives.
async fn endpoint(answers: impl IntoIterator<Item = Answer>) -> (HookSender, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/okta/acme/hooks", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (kept, mut answers) = (Arc::clone(&requests), answers.into_iter().collect::<VecDeque<_>>());
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read_request(&mut stream).await;
            kept.lock().unwrap().push(request.clone());
            let challenge =
                request.split("x-okta-verification-challenge: ").nth(1).and_then(|rest| rest.lines().next());
            let (status, body) = match answers.pop_front().unwrap_or(Answer::HangUp) {
                Answer::Silence => {
                    silent.push(stream);
                    continue;
                }
                Answer::HangUp => continue,
                Answer::Status(status) => (status, String::new()),
                Answer::Challenge => (200, format!(r#"{{"verification":"{}"}}"#, challenge.unwrap())),
                Answer::WrongChallenge => (200, r#"{"verification":"?"}"#.to_owned()),
            };
            let length = body.len();
            let response =
                format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(response.as_bytes()).await.unwrap();
        }
    });
    let options = HookSenderOptions {
        secret: Some("s3cret".to_owned()),
        timeout: Duration::from_millis(200),
        ..HookSenderOptions::new(url.parse().unwrap())
    };
    (HookSender::new(options).unwrap(), requests)
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return request;
        }
    }
}

async fn deliver(answers: &[Answer]) -> (DeliveryReport, usize) {
    let (sender, requests) = endpoint(answers.iter().copied()).await;
    let report = sender.send_body("{}").await;
    let count = requests.lock().unwrap().len();
    (report, count)
}

#[tokio::test]
async fn an_acknowledged_delivery_is_sent_once_as_okta_sends_it() {
    let (sender, requests) = endpoint([Answer::Status(204)]).await;
    let report = sender.send_body(r#"{"é":1}"#).await;
    assert_eq!(report, DeliveryReport { fate: Fate::Delivered, status: Some(204) });
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("POST /okta/acme/hooks HTTP/1.1\r\n"));
    assert!(requests[0].ends_with("\r\n\r\n{\"é\":1}"));
    for header in ["authorization: s3cret", "content-type: application/json", "user-agent: Okta-Event-Hooks"] {
        assert!(requests[0].contains(&format!("\r\n{header}")), "{header}");
    }
}

#[tokio::test]
async fn a_server_s_error_is_retried_exactly_once() {
    let lost = DeliveryReport { fate: Fate::Lost, status: Some(500) };
    assert_eq!(deliver(&[Answer::Status(503), Answer::Status(500), Answer::Status(200)]).await, (lost, 2));
    let retried = DeliveryReport { fate: Fate::Retried, status: Some(200) };
    assert_eq!(deliver(&[Answer::Status(503), Answer::Status(200)]).await, (retried, 2));
}

#[tokio::test]
async fn a_refusal_or_redirection_is_final() {
    for status in [400, 401, 404, 429, 302] {
        let lost = DeliveryReport { fate: Fate::Lost, status: Some(status) };
        assert_eq!(deliver(&[Answer::Status(status), Answer::Status(200)]).await, (lost, 1));
    }
}

#[tokio::test]
async fn silence_is_retried_exactly_once() {
    let retried = DeliveryReport { fate: Fate::Retried, status: Some(200) };
    assert_eq!(deliver(&[Answer::Silence, Answer::Status(200)]).await, (retried, 2));
    let lost = DeliveryReport { fate: Fate::Lost, status: None };
    assert_eq!(deliver(&[Answer::Silence, Answer::Silence, Answer::Status(200)]).await, (lost, 2));
}

#[tokio::test]
async fn a_broken_connection_is_retried() {
    let retried = DeliveryReport { fate: Fate::Retried, status: Some(200) };
    assert_eq!(deliver(&[Answer::HangUp, Answer::Status(200)]).await, (retried, 2));
}

#[tokio::test]
async fn only_the_challenge_s_value_verifies() {
    let (sender, requests) = endpoint([Answer::Challenge, Answer::WrongChallenge, Answer::Status(404)]).await;
    sender.verify().await.unwrap();
    assert!(requests.lock().unwrap()[0].starts_with("GET /okta/acme/hooks HTTP/1.1\r\n"));
    assert!(matches!(sender.verify().await, Err(VerifyError::WrongAnswer)));
    assert!(matches!(sender.verify().await, Err(VerifyError::Status(StatusCode::NOT_FOUND))));
    assert!(matches!(sender.verify().await, Err(VerifyError::NoAnswer(_))));
}

#[test]
fn what_http_cannot_carry_is_said_before_anything_is_sent() {
    let options = HookSenderOptions::new("http://127.0.0.1/".parse().unwrap());
    let secret = Some("a\nb".to_owned());
    assert!(matches!(HookSender::new(HookSenderOptions { secret, ..options.clone() }), Err(HookSenderError::Secret)));
    let (header, secret) = ("no header".to_owned(), Some("a".to_owned()));
    assert!(matches!(
        HookSender::new(HookSenderOptions { header, secret, ..options }),
        Err(HookSenderError::HeaderName)
    ));
}

#[tokio::test]
async fn the_system_log_is_told_of_deliveries_that_are_lost() {
    let (sender, _) = endpoint([Answer::Status(400), Answer::Status(200)]).await;
    let mut organisation = crate::Organisation::new(crate::OrganisationOptions::default());
    let mut delivery = || {
        let event = organisation.event_at(time::OffsetDateTime::now_utc());
        organisation.hook().delivery(uuid::Uuid::new_v4(), event.published, vec![event.into()])
    };
    let (refused, taken, lost) = (delivery(), delivery(), delivery());
    let log = crate::SystemLog::new();
    let mut courier = crate::Courier::new(sender.clone()).recording(log.clone());
    for delivery in [&refused, &taken] {
        courier.take(delivery.clone()).await;
        courier.finish().await;
    }
    let mut losing = crate::Courier::new(sender).recording(log.clone()).losing(1.0, 1);
    losing.take(lost.clone()).await;
    losing.finish().await;
    assert_eq!((courier.tally().delivered(), courier.tally().lost(), losing.tally().lost()), (1, 1, 1));
    let entries = log.entries();
    assert!(entries.iter().all(|entry| entry.event_type == "event_hook.delivery"));
    let told: Vec<Value> = entries.iter().map(|entry| serde_json::from_str(&entry.json).unwrap()).collect();
    let ids: Vec<_> = told.iter().map(|event| event["debugContext"]["debugData"]["eventId"].clone()).collect();
    assert_eq!(ids, [refused, lost].map(|delivery| serde_json::json!(delivery.event_id)));
}
