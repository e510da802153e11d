//! The revocation of rights while operations run with them.

use tokio_util::sync::CancellationToken;

/// The revocation of rights, which all viewers share that were identified in the same way.
#[derive(Clone, Debug, Default)]
pub(super) struct Revocation(CancellationToken);

impl Revocation {
    /// Revokes the rights of all viewers that have a clone.
    pub(super) fn revoke(&self) {
        self.0.cancel();
    }

    /// Returns a revocation of some of these viewers, which come with this one and can come before.
    pub(super) fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Returns true if the rights are revoked.
    pub(super) fn is_revoked(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the revocation.
    pub(super) fn revoked(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.clone().cancelled_owned()
    }
}

/// Viewers are compared by who they are and what they may see.
impl PartialEq for Revocation {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Revocation {}
