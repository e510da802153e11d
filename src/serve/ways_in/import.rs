//! Import over HTTP: a body in any format that `sluice import` reads, taken in while it arrives.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{IngestState, OrgPath, encoding_of};
use crate::ingest::{ImportEnd, ImportError, ImportOptions, ImportProgress, ImportReport, IntakeError, Receipt};
use crate::serve::access::{ImportAccess, RequestSender};
use crate::serve::body::{TOO_SLOW, too_slow};
use crate::serve::problem::Problem;

/// Takes in a stream. Status 200 means that all of it was read and is durable.
pub(in crate::serve) async fn import(
    State(state): State<IngestState>,
    org: OrgPath,
    headers: HeaderMap,
    extensions: Extensions,
    body: Body,
) -> Result<Json<ImportReport>, Problem> {
    let sender = RequestSender::of(&extensions, &headers);
    let (org, viewer) = state.importing(org, &headers, &sender).await?;
    let mut access = ImportAccess::begin(&sender, viewer.as_ref(), &org);
    let result = take(state, &org, &headers, body).await;
    access.ended(result.as_ref().map(|Json(report)| report.receipt.stored).map_err(Problem::code));
    result
}

async fn take(state: IngestState, org: &str, headers: &HeaderMap, body: Body) -> Result<Json<ImportReport>, Problem> {
    // The header must name a known encoding; the first bytes decide which one it is.
    encoding_of(headers)?;
    let limit = state.body.bytes as u64;
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(failed(&ImportError::TooLarge(limit), None));
    }
    let (parts, source) = mpsc::channel(4);
    let options = ImportOptions {
        file: None,
        limit: Some(limit),
        stop: CancellationToken::new(),
        progress: Arc::new(ImportProgress::default()),
    };
    // A separate task, which a client that disconnects does not interrupt.
    let (intake, org) = (state.intake, org.to_owned());
    let source = BodyReader { parts: source, part: Bytes::new(), has_ended: false };
    let taken = tokio::spawn(async move { intake.import(&org, source, options).await }.in_current_span());
    let is_in_time = forward(body, &parts, state.body.timeout).await;
    drop(parts);
    match taken.await {
        Ok((report, ImportEnd::Complete | ImportEnd::Stopped)) => {
            let Receipt { stored, duplicates, rejected, dropped } = report.receipt;
            tracing::info!(stored, duplicates, rejected, dropped, "imported");
            Ok(Json(report))
        }
        Ok((report, ImportEnd::Failed(_))) if !is_in_time => {
            Err(Problem::too_slow(format!("{TOO_SLOW}{}", before_that(Some(&report)))))
        }
        Ok((report, ImportEnd::Failed(error))) => Err(failed(&error, Some(&report))),
        Err(error) => {
            tracing::error!(%error, "an import failed");
            Err(Problem::unavailable("the gateway failed; see its log"))
        }
    }
}

/// Forwards a body, with its end or its error. Returns false if a part did not arrive in time.
async fn forward(body: Body, parts: &mpsc::Sender<Part>, patience: Duration) -> bool {
    let mut stream = body.into_data_stream();
    loop {
        let mut is_in_time = true;
        let part = match timeout(patience, stream.next()).await {
            Ok(Some(Ok(bytes))) => Part::Bytes(bytes),
            Ok(Some(Err(error))) => Part::Broken(error.to_string()),
            Ok(None) => Part::End,
            Err(_) => {
                is_in_time = false;
                too_slow();
                Part::Broken("it took too long to arrive".to_owned())
            }
        };
        let is_last = !matches!(part, Part::Bytes(_));
        if parts.send(part).await.is_err() || is_last {
            return is_in_time;
        }
    }
}

/// Describes the results of the events before the error.
fn before_that(report: Option<&ImportReport>) -> String {
    let stored = report.map(|report| {
        let receipt = &report.receipt;
        format!("; before that, {} events were stored, and {} were duplicates", receipt.stored, receipt.duplicates)
    });
    stored.unwrap_or_default()
}

fn failed(error: &ImportError, report: Option<&ImportReport>) -> Problem {
    let message = format!("{error}{}", before_that(report));
    match error {
        ImportError::TooLarge(_) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message),
        ImportError::Intake(IntakeError::Append(_)) => Problem::unavailable(message),
        ImportError::Intake(IntakeError::Store(error)) | ImportError::Store(error) => {
            tracing::error!(%error, "an import failed because of the database");
            Problem::unavailable("the database is unavailable; send it again")
        }
        ImportError::Read(_) | ImportError::CutOff | ImportError::Csv | ImportError::Utf16 => {
            Problem::new(StatusCode::BAD_REQUEST, "NOT_IMPORTABLE", message)
        }
    }
}

/// A part of a body.
enum Part {
    Bytes(Bytes),
    Broken(String),
    End,
}

/// A reader of a body for the import's thread.
struct BodyReader {
    parts: mpsc::Receiver<Part>,
    part: Bytes,
    has_ended: bool,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            match self.parts.blocking_recv() {
                Some(Part::Bytes(bytes)) => self.part = bytes,
                Some(Part::End) => self.has_ended = true,
                Some(Part::Broken(error)) => return Err(io::Error::other(error)),
                // A read after the end returns the end again.
                None if self.has_ended => return Ok(0),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let part = self.part.split_to(buffer.len().min(self.part.len()));
        if let Some(room) = buffer.get_mut(..part.len()) {
            room.copy_from_slice(&part);
        }
        Ok(part.len())
    }
}
