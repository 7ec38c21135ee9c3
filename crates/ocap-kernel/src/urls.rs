//! OCAP URLs for the host: what vats do through the two services.

use ocap_core::Core;
use ocap_core::api::{UrlStatus, UrlTerms};
use ocap_types::KRef;

use crate::api::KernelError;
use crate::kernel::Kernel;

impl Kernel {
    /// What other kernels call this one. Stays as it is for as long as the store lives.
    pub fn peer_id(&self) -> &str {
        self.own_peer_id()
    }

    /// Issues an OCAP URL: whoever knows it can redeem it for this reference. It holds what it
    /// stands for until it is revoked, used up or expired. Durable when it answers.
    ///
    /// # Errors
    /// `Invalid` if there is no such object, or it has been revoked; `Limit` if there are too many.
    pub async fn issue_url(&self, kref: KRef, terms: UrlTerms) -> Result<String, KernelError> {
        self.turn(move |core| core.issue_url(kref, terms)).await
    }

    /// The reference that an OCAP URL of this kernel stands for, which the host holds from then on
    /// until it releases it. Durable when it answers.
    ///
    /// # Errors
    /// `Invalid` if it is no URL of this kernel, or no longer valid, or what it stood for is gone or
    /// revoked.
    pub async fn redeem_url(&self, url: &str) -> Result<KRef, KernelError> {
        let url = url.to_owned();
        self.turn(move |core| core.redeem_url(&url)).await
    }

    /// The OCAP URLs that can be redeemed, whoever issued them, by their ids: at most `max` of those
    /// after the id `after`, which may be empty. Not their texts, which only those know whom they
    /// were given.
    pub async fn urls(&self, after: &str, max: usize) -> Result<Vec<UrlStatus>, KernelError> {
        let after = after.to_owned();
        self.look(move |core: &Core| core.urls(&after, max)).await
    }

    /// Revokes an OCAP URL, whoever issued it. `false` if it could not be redeemed anyway. Durable
    /// when it answers.
    ///
    /// # Errors
    /// `Invalid` if it is no URL of this kernel.
    pub async fn revoke_url(&self, url: &str) -> Result<bool, KernelError> {
        let url = url.to_owned();
        self.turn(move |core| core.revoke_url(&url)).await
    }

    /// Revokes the OCAP URL with this id, or the only one whose id begins so. `false` if there is
    /// none. Durable when it answers.
    ///
    /// # Errors
    /// `Invalid` if that is too short to be told from others, or no id.
    pub async fn revoke_url_id(&self, id: &str) -> Result<bool, KernelError> {
        let id = id.to_owned();
        self.turn(move |core| core.revoke_url_id(&id)).await
    }
}
