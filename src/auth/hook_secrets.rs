//! The secrets with which an org's event hooks authenticate.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use secrecy::{ExposeSecret as _, SecretString};

use super::is_secret;
use crate::event::Timestamp;

/// The minimum time between two log lines about refused requests of an org.
const LINE_INTERVAL: Duration = Duration::from_mins(1);

/// An org's hook secrets, each of which is accepted, so that secrets can be rotated. Without secrets everybody may
/// deliver, which `serve` allows on a loopback address only. Clones share the secrets and the last refusal.
#[derive(Clone, Debug)]
pub struct HookSecrets {
    /// The header with the secret, in lower case.
    pub header: String,
    secrets: Arc<RwLock<Vec<SecretString>>>,
    refused: Arc<Mutex<RefusalLog>>,
}

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRequest {
    /// The time of the request.
    pub at: Timestamp,
    /// The reason, and how to fix it.
    pub reason: String,
}

#[derive(Debug, Default)]
struct RefusalLog {
    last: Option<RefusedRequest>,
    /// The time of the last log line, and the number of requests that were refused since then.
    line_at: Option<Instant>,
    since_line: u64,
}

/// The reason why a request's secret is refused.
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
    /// Creates the secrets that are accepted in a header.
    pub fn new(header: &str, secrets: Vec<SecretString>) -> Self {
        let secrets = Arc::new(RwLock::new(secrets));
        Self { header: header.to_ascii_lowercase(), secrets, refused: Arc::default() }
    }

    /// Returns true if no secret is required.
    pub fn is_open(&self) -> bool {
        self.secrets.read().is_empty()
    }

    /// Returns true if a header's whole value is one of the secrets.
    pub fn accept(&self, value: Option<&[u8]>) -> bool {
        let value = value.unwrap_or_default();
        let secrets = self.secrets.read();
        secrets.is_empty() || secrets.iter().fold(false, |accepted, secret| accepted | is_secret(secret, value))
    }

    /// Replaces the secrets for all clones. Returns true if the new ones differ.
    pub fn replace(&self, fresh: &Self) -> bool {
        let fresh = fresh.secrets.read().clone();
        let mut secrets = self.secrets.write();
        let text =
            |secrets: &[SecretString]| secrets.iter().map(|one| one.expose_secret().to_owned()).collect::<Vec<_>>();
        let differs = text(&secrets) != text(&fresh);
        *secrets = fresh;
        differs
    }

    /// Counts and logs a refused request of an org. Returns the reason, and how to fix it. At most one line a minute is
    /// logged, since anybody can send such requests.
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

    /// Returns the last refused request.
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
