//! The secrets with which an org's event hooks prove themselves.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use secrecy::{ExposeSecret as _, SecretString};

use super::is_secret;
use crate::event::Timestamp;

/// The shortest time between two log lines about refused requests of an org.
const LINE_INTERVAL: Duration = Duration::from_mins(1);

/// An org's hook secrets: any of them is accepted, so that one can be rotated. Without any, hooks are open: `serve`
/// allows that on a loopback address only. Clones share the secrets and what was refused.
#[derive(Clone, Debug)]
pub struct HookSecrets {
    /// The header that bears the secret, in lower case.
    pub header: String,
    secrets: Arc<RwLock<Vec<SecretString>>>,
    refused: Arc<Mutex<Refused>>,
}

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRequest {
    /// Time at which it came.
    pub at: Timestamp,
    /// The fault of the request, and how to mend it.
    pub reason: String,
}

#[derive(Debug, Default)]
struct Refused {
    last: Option<RefusedRequest>,
    /// Time of the last log line, and the number of requests that were refused since.
    line_at: Option<Instant>,
    since_line: u64,
}

/// A fault of a request's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    NoHeader,
    Bearer,
    Wrong,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoHeader => "is missing: name it in Okta as the event hook's authentication field",
            Self::Bearer => {
                "begins with `Bearer `: the hook secret must be the header's whole value, without `Bearer ` before it (in Okta: \
                 the event hook's authentication secret)"
            }
            Self::Wrong => {
                "does not hold a hook secret of this org: it must be one of the org's hook_secrets (in Okta: the event hook's \
                 authentication secret)"
            }
        })
    }
}

impl HookSecrets {
    /// These secrets, in this header.
    pub fn new(header: &str, secrets: Vec<SecretString>) -> Self {
        let secrets = Arc::new(RwLock::new(secrets));
        Self { header: header.to_ascii_lowercase(), secrets, refused: Arc::default() }
    }

    /// Whether anybody may deliver.
    pub fn is_open(&self) -> bool {
        self.secrets.read().is_empty()
    }

    /// Whether a header's whole value is one of the secrets.
    pub fn accept(&self, value: Option<&[u8]>) -> bool {
        let value = value.unwrap_or_default();
        let secrets = self.secrets.read();
        secrets.is_empty() || secrets.iter().fold(false, |accepted, secret| accepted | is_secret(secret, value))
    }

    /// Puts other secrets into force, for all clones. Returns whether they differ.
    pub fn replace(&self, fresh: &Self) -> bool {
        let fresh = fresh.secrets.read().clone();
        let mut secrets = self.secrets.write();
        let text =
            |secrets: &[SecretString]| secrets.iter().map(|one| one.expose_secret().to_owned()).collect::<Vec<_>>();
        let differs = text(&secrets) != text(&fresh);
        *secrets = fresh;
        differs
    }

    /// Counts and logs a request of an org that was not accepted. Returns its fault, and how to mend it. At most one log line is written in a minute: anybody may send such requests.
    pub fn refuse(&self, org: &str, value: Option<&[u8]>) -> String {
        let fault = match value {
            None => Fault::NoHeader,
            Some(value) if value.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"bearer ")) => Fault::Bearer,
            Some(_) => Fault::Wrong,
        };
        metrics::counter!("sluice_hooks_refused_total", "org" => org.to_owned()).increment(1);
        let reason = format!("the header {} {fault}", self.header);
        let mut refused = self.refused.lock();
        refused.last = Some(RefusedRequest { at: Timestamp::now(), reason: reason.clone() });
        refused.since_line += 1;
        if refused.line_at.is_none_or(|line| line.elapsed() >= LINE_INTERVAL) {
            refused.line_at = Some(Instant::now());
            let requests = std::mem::take(&mut refused.since_line);
            drop(refused);
            tracing::warn!(
                org,
                header = self.header,
                has_header = fault != Fault::NoHeader,
                begins_with_bearer = fault == Fault::Bearer,
                requests,
                "refused a delivery without the org's hook secret: {reason}"
            );
        }
        reason
    }

    /// Returns the last request that was refused.
    pub fn last_refused(&self) -> Option<RefusedRequest> {
        self.refused.lock().last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_the_secrets_and_nothing_else() {
        let secrets = HookSecrets::new("Authorization", vec!["old".into(), "new".into()]);
        assert_eq!(secrets.header, "authorization");
        assert!(secrets.accept(Some(b"old")) && secrets.accept(Some(b"new")));
        for bad in [None, Some(&b""[..]), Some(b"ol"), Some(b"old "), Some(b"Bearer old")] {
            assert!(!secrets.accept(bad), "{bad:?}");
        }
        assert!(HookSecrets::new("authorization", Vec::new()).accept(None));
    }

    #[test]
    fn clones_follow_when_secrets_are_replaced() {
        let secrets = HookSecrets::new("authorization", vec!["old".into()]);
        let clone = secrets.clone();
        assert!(!secrets.replace(&HookSecrets::new("authorization", vec!["old".into()])));
        assert!(secrets.replace(&HookSecrets::new("authorization", vec!["new".into()])));
        assert!(clone.accept(Some(b"new")) && !clone.accept(Some(b"old")));
    }

    #[test]
    fn a_refusal_tells_what_is_wrong_and_no_secret() {
        let secrets = HookSecrets::new("x-key", vec!["right".into()]);
        assert_eq!(secrets.last_refused(), None);
        for (value, says) in [
            (None, "the header x-key is missing"),
            (Some(&b"bearer right"[..]), "the header x-key begins with `Bearer `"),
            (Some(b"wrong"), "the header x-key does not hold a hook secret of this org"),
        ] {
            let said = secrets.refuse("acme", value);
            assert!(said.starts_with(says) && !said.contains("right") && !said.contains("wrong"), "{said}");
            assert_eq!(secrets.last_refused().unwrap().reason, said);
        }
    }
}
