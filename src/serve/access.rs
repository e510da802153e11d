//! Records of the access log about operations and requests.

mod request_sender;

pub(super) use request_sender::{CLIENT_HEADERS, RequestSender};

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use tracing::Span;

use crate::access_log::{self, AccessEvent, AccessRecord};
use crate::auth::{Denied, Viewer, ViewerKind};
use crate::event::StatementUsage;
use crate::graphql::{Answer, GraphRequest, Operation};
use crate::live::Progress;
use crate::store::Credential;
use request_sender::SenderFacts;

/// The verdict on operations that end without an answer: their clients have left, or ended them.
const CANCELLED: &str = "cancelled";

/// The record of an operation, which is written when the operation ends, whatever ends it. It does nothing if there is no access
/// log.
pub(super) struct OperationAccess(Option<Box<OpenRecord>>);

struct OpenRecord {
    record: AccessRecord,
    sender: Arc<SenderFacts>,
    usage: Option<Arc<StatementUsage>>,
    /// The progress of a subscription that has started.
    progress: Option<Progress>,
}

impl OperationAccess {
    /// Begins the record of a request for an operation.
    pub(super) fn begin(request: &GraphRequest, viewer: &Viewer, sender: &RequestSender) -> Self {
        let Some(sender) = sender.facts() else { return Self(None) };
        let document = request.query.as_deref().map(access_log::hash_of).or_else(|| request.persisted_hash.clone());
        let record = AccessRecord {
            event: AccessEvent::Read,
            document,
            operation: request.operation_name.as_deref().and_then(access_log::operation_name),
            ..record_of(Some(viewer), sender)
        };
        Self(Some(Box::new(OpenRecord { record, sender: Arc::clone(sender), usage: None, progress: None })))
    }

    /// Adds the facts of an operation that will be executed, and has its statements counted.
    pub(super) fn found(&mut self, operation: &mut Operation) {
        let Some(open) = &mut self.0 else { return };
        open.usage = Some(operation.count_statements());
        open.record.document.get_or_insert_with(|| access_log::hash_of(operation.document_text()));
        if open.record.operation.is_none() {
            open.record.operation = operation.name().and_then(access_log::operation_name);
        }
    }

    /// Writes that a subscription has started.
    pub(super) fn started(&mut self, progress: &Progress) {
        let Some(open) = &mut self.0 else { return };
        open.record.from = progress.position().map(|position| position.to_string());
        let started = AccessRecord { event: AccessEvent::FollowStarted, verdict: "ok".into(), ..open.record.clone() };
        access_log::write(started);
        open.record.event = AccessEvent::FollowEnded;
        open.progress = Some(progress.clone());
    }

    /// Sets the verdict by the last answer, or the only one.
    pub(super) fn answered(&mut self, answer: &Answer) {
        if let Some(open) = &mut self.0 {
            open.record.verdict = verdict(&answer.errors);
        }
    }

    /// Sets the verdict of an operation that is not executed.
    pub(super) fn refused(&mut self, code: &'static str) {
        if let Some(open) = &mut self.0 {
            open.record.verdict = code.into();
        }
    }
}

impl Drop for OperationAccess {
    fn drop(&mut self) {
        let Some(open) = self.0.take() else { return };
        let OpenRecord { mut record, sender, usage, progress } = *open;
        if let Some(usage) = usage {
            record.rows = Some(usage.rows());
            record.database_ms = Some(usage.milliseconds());
        }
        if let Some(progress) = progress {
            record.through = progress.position().map(|position| position.to_string());
            record.events = Some(progress.events());
        }
        if record.verdict == CANCELLED
            && let Some(code) = sender.rights_end.get()
        {
            record.verdict = (*code).into();
        }
        access_log::write(record);
    }
}

/// Writes that a credential was refused.
pub(super) fn denied(sender: &RequestSender, denied: &Denied) {
    let Some(facts) = sender.facts() else { return };
    let credential = match denied {
        Denied::NoToken(_) | Denied::KeysUnread | Denied::SeveralHeaders => "none",
        Denied::Key(_) => kind(ViewerKind::ApiKey),
        Denied::Session(_) => kind(ViewerKind::Session),
        Denied::Token(_) | Denied::UnknownToken(_) | Denied::OfNoReader(_) => kind(ViewerKind::Token),
    };
    let verdict = super::authorization::status(denied).1.into();
    let (issuer, reader) = denied.proven();
    let (issuer, reader) = (issuer.map(str::to_owned), reader.map(str::to_owned));
    access_log::write(AccessRecord { reader, credential, issuer, verdict, ..record_of(None, facts) });
}

/// Writes that a request was refused: its viewer lacks rights, or without a viewer, its secret is wrong.
pub(super) fn refused(sender: &RequestSender, viewer: Option<&Viewer>, code: &'static str) {
    let Some(facts) = sender.facts() else { return };
    access_log::write(AccessRecord { verdict: code.into(), ..record_of(viewer, facts) });
}

/// The record of an import, which is written when its request ends, whatever ends it.
pub(super) struct ImportAccess(Option<Box<AccessRecord>>);

impl ImportAccess {
    /// Begins the record of an import into an org.
    pub(super) fn begin(sender: &RequestSender, viewer: Option<&Viewer>, org: &str) -> Self {
        let record =
            |facts| AccessRecord { event: AccessEvent::Import, org: Some(org.to_owned()), ..record_of(viewer, facts) };
        Self(sender.facts().map(|facts| Box::new(record(facts))))
    }

    /// Sets the number of events that were stored, or the code of the import's failure.
    pub(super) fn ended(&mut self, result: Result<usize, &'static str>) {
        let Some(record) = &mut self.0 else { return };
        record.verdict = result.err().unwrap_or("ok").into();
        record.events = result.ok().map(|stored| stored as u64);
    }
}

impl Drop for ImportAccess {
    fn drop(&mut self) {
        if let Some(record) = self.0.take() {
            access_log::write(*record);
        }
    }
}

/// Writes that a person has signed in.
pub(super) fn signed_in(sender: &RequestSender, person: Person<'_>) {
    about_session(sender, AccessEvent::SignIn, Some(person), "ok");
}

/// Writes that a sign-in has failed, with this code. The person is known where an issuer has named it.
pub(super) fn sign_in_failed(sender: &RequestSender, person: Option<Person<'_>>, code: &'static str) {
    about_session(sender, AccessEvent::SignIn, person, code);
}

/// Writes that a person has signed out, or that an issuer has ended sessions. The error is the code of the refusal.
pub(super) fn signed_out(sender: &RequestSender, result: Result<Person<'_>, &'static str>) {
    about_session(sender, AccessEvent::SignOut, result.ok(), result.err().unwrap_or("ok"));
}

/// The person of a session. Where a sign-in has failed, only its issuer may be known.
#[derive(Clone, Copy)]
pub(super) struct Person<'p> {
    pub(super) issuer: &'p str,
    pub(super) subject: Option<&'p str>,
}

fn about_session(sender: &RequestSender, event: AccessEvent, person: Option<Person<'_>>, verdict: &'static str) {
    let Some(facts) = sender.facts() else { return };
    access_log::write(AccessRecord {
        event,
        reader: person.and_then(|person| person.subject).map(str::to_owned),
        issuer: person.map(|person| person.issuer.to_owned()),
        credential: kind(ViewerKind::Session),
        verdict: verdict.into(),
        ..record_of(None, facts)
    });
}

fn record_of(viewer: Option<&Viewer>, sender: &SenderFacts) -> AccessRecord {
    AccessRecord {
        event: AccessEvent::Denied,
        reader: viewer.and_then(|viewer| viewer.name.clone()),
        credential: viewer.map_or("none", |viewer| kind(viewer.kind)),
        issuer: viewer.and_then(|viewer| issuer(&viewer.credential)),
        address: Some(sender.address),
        client: sender.client.clone(),
        client_version: sender.version.clone(),
        document: None,
        operation: None,
        verdict: CANCELLED.into(),
        rows: None,
        database_ms: None,
        from: None,
        through: None,
        events: None,
        org: None,
        span: Span::current(),
    }
}

const fn kind(kind: ViewerKind) -> &'static str {
    match kind {
        ViewerKind::Open => "open",
        ViewerKind::Reader => "reader",
        ViewerKind::ApiKey => "api_key",
        ViewerKind::Token => "token",
        ViewerKind::Session => "session",
    }
}

fn issuer(credential: &Credential) -> Option<String> {
    match credential {
        Credential::Token { issuer, .. } | Credential::Session { issuer, .. } => Some(issuer.clone()),
        _ => None,
    }
}

/// Returns the code of the first of the errors, which are a JSON list; `ok` without any.
fn verdict(errors: &str) -> Cow<'static, str> {
    if errors.is_empty() {
        return "ok".into();
    }
    let errors: Value = serde_json::from_str(errors).unwrap_or_default();
    let code = errors.pointer("/0/extensions/code").and_then(Value::as_str).unwrap_or("INTERNAL");
    code.to_owned().into()
}
