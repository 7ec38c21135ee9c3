//! The table of OCAP URLs: texts that stand for a reference, for whoever knows them.
//!
//! A URL is a row under the hash of its secret, so that the store holds nothing that could be
//! redeemed. It holds what it stands for, over restarts too, until it is revoked, used up or
//! expired, or until its object is gone. Chance and time come from the driver: a number nobody knew
//! before this run of the kernel, and [`Core::set_time`].
//!
//! Invariants: `first_expiry` is at most the moment the first URL expires at; a vat has issued as
//! many URLs as its `urls.` row says; an object without an owner that URLs stand for is among the
//! `urlend.` rows, which a chore works off.

use hmac::{Hmac, KeyInit, Mac};
use ocap_types::secret::hex;
use ocap_types::url::{URL_SECRET_BYTES, UrlError, oid_of, secret_of};
use ocap_types::{KRef, OcapUrl, VatId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::api::{CoreError, UrlStatus, UrlTerms};
use crate::core::{Core, Undo};
use crate::errors::{Code, single_reference};
use crate::keys;
use crate::limits;
use crate::rows::{Row, State, corrupt};

/// A URL that can be redeemed. Holds its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Url {
    pub target: KRef,
    /// When it was issued.
    pub issued: u64,
    /// From when on it is void.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<u64>,
    /// How often it can still be redeemed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uses: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
    /// The vat that issued it; the host, if none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub issuer: Option<VatId>,
}

/// Why a URL is not issued, redeemed or revoked.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The request makes no sense.
    Wrong(String),
    /// For a reason that has a code.
    Coded(Code, String),
    /// The kernel cannot go on.
    Core(CoreError),
}

impl From<CoreError> for Refusal {
    fn from(error: CoreError) -> Self {
        Refusal::Core(error)
    }
}

impl From<UrlError> for Refusal {
    fn from(error: UrlError) -> Self {
        Refusal::Wrong(error.to_string())
    }
}

/// To the host.
impl From<Refusal> for CoreError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Wrong(text) => CoreError::Invalid(text),
            Refusal::Coded(Code::LimitExceeded, text) => CoreError::Limit(text),
            Refusal::Coded(code, text) => CoreError::Invalid(code.message(text)),
            Refusal::Core(error) => error,
        }
    }
}

/// Which URLs of an object that is gone have been removed.
#[derive(Clone, Debug, Default)]
pub(crate) struct UrlEnd {
    object: u64,
    /// Key of the row looked at last.
    after: String,
}

fn wrong<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Wrong(text.into()))
}

/// One text for all of them: nobody learns from it what has become of other people's URLs.
fn void<T>() -> Result<T, Refusal> {
    let text = "ocapURL has bad object reference: it was revoked, used up or has expired, or this \
                kernel never issued it";
    Err(Refusal::Coded(Code::UrlVoid, text.to_owned()))
}

fn hash_of(secret: &[u8]) -> String {
    hex(&Sha256::digest(secret))
}

impl Core {
    /// Issues a URL for a reference. Whoever redeems it gets that reference.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if there is no such object or promise, or it has been revoked, or the
    /// kernel has no identity; [`CoreError::Limit`] if there are too many.
    pub fn issue_url(&mut self, target: KRef, terms: UrlTerms) -> Result<String, CoreError> {
        self.turn(|core| Ok(core.new_url(target, terms, None)?))
    }

    /// Redeems a URL of this kernel for the host, which holds the reference from then on.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if it is none, or no longer valid; [`CoreError::Limit`] if the host
    /// holds too many references.
    pub fn redeem_url(&mut self, url: &str) -> Result<KRef, CoreError> {
        self.turn(|core| {
            let (hash, row) = core.valid_url(url)?;
            if !core.host_hold(&[row.target])? {
                let text = "the host holds too many references; release some";
                return Err(CoreError::Limit(text.to_owned()));
            }
            core.use_url(&hash, &row)?;
            Ok(row.target)
        })
    }

    /// The URLs that can be redeemed, in the order of their ids: at most `max` of those after `after`.
    pub fn urls(&self, after: &str, max: usize) -> Result<Vec<UrlStatus>, CoreError> {
        let mut key = format!("{}{after}", keys::URLS);
        let mut urls = Vec::new();
        while urls.len() < max
            && let Some((next, text)) = self.space.next(keys::URLS, &key)?
        {
            let row = Url::read(&text).ok_or_else(|| corrupt(&next, "no URL"))?;
            let id = next.strip_prefix(keys::URLS).unwrap_or_default().to_owned();
            key = next;
            if !self.has_expired(&row) {
                let Url { target, issued, expires, uses, label, issuer } = row;
                urls.push(UrlStatus { id, target, issued, expires, uses, label, issuer });
            }
        }
        Ok(urls)
    }

    /// Revokes a URL of this kernel. `false` if it cannot be redeemed anyway.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if it is no URL of this kernel.
    pub fn revoke_url(&mut self, url: &str) -> Result<bool, CoreError> {
        self.turn(|core| Ok(core.end_url_for(url, None)?))
    }

    /// Revokes the URL whose id begins with this. `false` if there is none.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if it is too short, or there are several.
    pub fn revoke_url_id(&mut self, id: &str) -> Result<bool, CoreError> {
        self.turn(|core| {
            let plain = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if id.len() < limits::URL_ID_CHARS_MIN || !plain {
                let min = limits::URL_ID_CHARS_MIN;
                let text = format!("the id of a URL is its first {min} characters, or more of it");
                return Err(CoreError::Invalid(text));
            }
            let prefix = format!("{}{id}", keys::URLS);
            let first = match core.space.get(&prefix.as_str().into())? {
                Some(_) => prefix.clone(),
                None => match core.space.next(&prefix, "")? {
                    Some((key, _)) => key,
                    None => return Ok(false),
                },
            };
            if core.space.next(&prefix, &first)?.is_some() {
                return Err(CoreError::Invalid(format!("several URLs have ids like {id}")));
            }
            core.end_url(first.strip_prefix(keys::URLS).unwrap_or_default())?;
            Ok(true)
        })
    }

    /// Issues a URL for whoever issues it.
    pub(crate) fn new_url(
        &mut self,
        target: KRef,
        terms: UrlTerms,
        issuer: Option<VatId>,
    ) -> Result<String, Refusal> {
        let Some(host) = self.peer_id.clone() else {
            return wrong("Remote identity not initialized");
        };
        let target = self.issuable(target)?;
        let UrlTerms { lifetime_ms, uses, label } = terms;
        if uses == Some(0) {
            return wrong("a URL has to be good for at least one use");
        }
        if label.as_ref().is_some_and(|label| label.len() > limits::URL_LABEL_BYTES_MAX) {
            let max = limits::URL_LABEL_BYTES_MAX;
            return wrong(format!("the label of a URL has at most {max} bytes"));
        }
        self.count_url(issuer, true)?;
        self.may_have_urls = true;
        let secret = self.next_secret();
        let hash = hash_of(&secret);
        let issued = self.wall_ms;
        let expires = lifetime_ms.map(|ms| issued.saturating_add(ms).min(limits::MOMENT_MS_MAX));
        if let Some(at) = expires {
            self.space.put_new(keys::url_expiry(at, &hash), String::new());
            // If the turn is undone this is too early, which does no harm.
            self.first_expiry = Some(self.first_expiry.map_or(at, |first| first.min(at)));
        }
        if let KRef::Object(number) = target {
            self.space.put_new(keys::url_of(number, &hash), String::new());
        }
        let row = Url { target, issued, expires, uses, label, issuer };
        self.space.put_new(keys::url(&hash), row.write());
        self.hold(target)?;
        Ok(OcapUrl { oid: oid_of(&secret), host, hints: Vec::new() }.to_string())
    }

    /// Numbers nobody can guess: each is the code of the next count under a key from the driver,
    /// which is another at each boot.
    fn next_secret(&mut self) -> [u8; URL_SECRET_BYTES] {
        self.secrets_made += 1;
        let mut secret = [0; URL_SECRET_BYTES];
        // Keys of any length are good.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.chance.expose()) {
            mac.update(&self.secrets_made.to_be_bytes());
            secret.copy_from_slice(&mac.finalize().into_bytes());
        }
        secret
    }

    /// What a URL for this reference stands for: the object, if it is a promise for one.
    fn issuable(&self, target: KRef) -> Result<KRef, Refusal> {
        let target = self.followed(target)?;
        match target {
            KRef::Promise(number) => {
                let row: Option<crate::rows::Promise> = self.space.row(&keys::promise(number))?;
                if row.is_none_or(|row| row.state == State::Rejected) {
                    return wrong(format!("{target} is no promise that a URL could stand for"));
                }
            }
            KRef::Object(_) => self.check_target_of_url(target)?,
        }
        Ok(target)
    }

    fn check_target_of_url(&self, target: KRef) -> Result<(), Refusal> {
        if self.is_revoked(target)? {
            let text = "the object has been revoked".to_owned();
            return Err(Refusal::Coded(Code::ObjectRevoked, text));
        }
        if !self.lives(target)? {
            let text = format!("there is no object {target}; it may have been deleted");
            return Err(Refusal::Coded(Code::ObjectDeleted, text));
        }
        Ok(())
    }

    /// What a promise that is settled stands for, if that is a reference.
    fn followed(&self, target: KRef) -> Result<KRef, CoreError> {
        let mut target = target;
        for _ in 0..limits::PROMISE_CHAIN_MAX {
            let KRef::Promise(number) = target else { break };
            let row: Option<crate::rows::Promise> = self.space.row(&keys::promise(number))?;
            if row.is_none_or(|row| row.state != State::Fulfilled) {
                break;
            }
            match single_reference(&*self.promise_value(number)?) {
                Some(next) => target = next,
                None => break,
            }
        }
        Ok(target)
    }

    /// The hash that a URL of this kernel is stored under.
    fn hash_of_url(&self, url: &str) -> Result<String, Refusal> {
        let OcapUrl { oid, host, .. } = url.parse()?;
        match &self.peer_id {
            None => return wrong("Remote identity not initialized"),
            Some(own) if *own != host => return wrong("Remote comms not initialized"),
            Some(_) => {}
        }
        // Found by its hash: how long that takes tells nothing about what is there.
        secret_of(&oid).map_or_else(void, |secret| Ok(hash_of(secret.expose())))
    }

    /// A URL that can be redeemed now, with what it stands for now.
    pub(crate) fn valid_url(&self, url: &str) -> Result<(String, Url), Refusal> {
        let hash = self.hash_of_url(url)?;
        let row: Option<Url> = self.space.row(&keys::url(&hash))?;
        let Some(mut row) = row.filter(|row| !self.has_expired(row)) else { return void() };
        row.target = self.followed(row.target)?;
        if !row.target.is_promise() {
            self.check_target_of_url(row.target)?;
        }
        Ok((hash, row))
    }

    fn has_expired(&self, row: &Url) -> bool {
        row.expires.is_some_and(|at| at <= self.wall_ms)
    }

    /// A URL has been redeemed. Whoever did holds what it stands for.
    pub(crate) fn use_url(&mut self, hash: &str, row: &Url) -> Result<(), CoreError> {
        match row.uses {
            None => Ok(()),
            Some(0 | 1) => self.end_url(hash),
            Some(uses) => {
                let key = keys::url(hash);
                let stored: Url = self.space.required(&key)?;
                self.space.put(key, Url { uses: Some(uses - 1), ..stored }.write());
                Ok(())
            }
        }
    }

    /// Revokes a URL for the vat that issued it, or for the host. `false` if there is none.
    pub(crate) fn end_url_for(&mut self, url: &str, vat: Option<VatId>) -> Result<bool, Refusal> {
        let hash = match self.hash_of_url(url) {
            Err(Refusal::Coded(Code::UrlVoid, _)) => return Ok(false),
            hash => hash?,
        };
        let Some(row) = self.space.row::<Url>(&keys::url(&hash))? else { return Ok(false) };
        if vat.is_some() && row.issuer != vat {
            return wrong("only the vat that issued a URL can revoke it");
        }
        self.end_url(&hash)?;
        Ok(true)
    }

    /// Removes a URL.
    fn end_url(&mut self, hash: &str) -> Result<(), CoreError> {
        let key = keys::url(hash);
        let row: Url = self.space.required(&key)?;
        self.space.delete(key)?;
        if let Some(at) = row.expires {
            self.space.delete(keys::url_expiry(at, hash))?;
        }
        if let KRef::Object(number) = row.target {
            self.space.delete(keys::url_of(number, hash))?;
        }
        self.count_url(row.issuer, false).map_err(CoreError::from)?;
        self.release(row.target)
    }

    fn count_url(&mut self, issuer: Option<VatId>, more: bool) -> Result<(), Refusal> {
        let mut counts = vec![(keys::url_count(), limits::URLS_MAX, "a kernel")];
        counts.extend(issuer.map(|vat| (keys::url_count_of(vat), limits::VAT_URLS_MAX, "a vat")));
        for (key, max, whose) in &counts {
            if more && self.space.row(key)?.unwrap_or(0_u64) >= *max {
                let text = format!("{whose} has at most {max} URLs at once; revoke some");
                return Err(Refusal::Coded(Code::LimitExceeded, text));
            }
        }
        for (key, ..) in counts {
            let count: u64 = self.space.row(&key)?.unwrap_or(0);
            let count = if more { count.checked_add(1) } else { count.checked_sub(1) };
            match count.ok_or_else(|| corrupt(&key, "leaves its range"))? {
                0 => self.space.delete(key)?,
                count => self.space.write(key, &count),
            }
        }
        Ok(())
    }

    /// At boot: looks up when the first URL expires, and whether there are any of objects that are
    /// gone.
    pub(crate) fn find_urls(&mut self) -> Result<(), CoreError> {
        self.first_expiry = self.expiry_after("")?.map(|(_, at, _)| at);
        self.may_have_urls = self.space.contains(&keys::url_count())?;
        let ending = self.space.next(keys::URL_ENDS, "")?;
        self.set_url_end(ending.map(|_| UrlEnd::default()));
        Ok(())
    }

    /// The first expiry whose key is after this: key, when, and of which URL.
    fn expiry_after(&self, after: &str) -> Result<Option<(String, u64, String)>, CoreError> {
        let Some((key, _)) = self.space.next(keys::URL_EXPIRIES, after)? else { return Ok(None) };
        let parts = key.strip_prefix(keys::URL_EXPIRIES).and_then(|rest| rest.split_once('.'));
        let parts = parts.and_then(|(at, hash)| Some((at.parse().ok()?, hash.to_owned())));
        let (at, hash) = parts.ok_or_else(|| corrupt(&key, "no expiry"))?;
        Ok(Some((key, at, hash)))
    }

    /// Removes URLs that have expired, or as many of them as one turn may.
    pub(crate) fn expire_urls(&mut self) -> Result<(), CoreError> {
        let Some(due) = self.first_expiry.filter(|&due| due <= self.wall_ms) else { return Ok(()) };
        // Not from the first row: what is removed and not yet committed would be gone over again.
        let mut after = keys::url_expiries_from(due);
        let next = self.turn(|core| {
            for _ in 0..limits::TIMERS_FIRED_MAX {
                match core.expiry_after(&after)? {
                    Some((key, at, hash)) if at <= core.wall_ms => {
                        core.end_url(&hash)?;
                        after = key;
                    }
                    _ => break,
                }
            }
            core.expiry_after(&after)
        })?;
        self.first_expiry = next.map(|(_, at, _)| at);
        Ok(())
    }

    /// An object has lost its owner: the URLs that stand for it are to go.
    pub(crate) fn void_urls_of(&mut self, number: u64) -> Result<(), CoreError> {
        if !self.may_have_urls || self.space.next(&keys::urls_of(number), "")?.is_none() {
            return Ok(());
        }
        self.space.put_new(keys::url_end(number), String::new());
        if self.url_end.is_none() {
            self.set_url_end(Some(UrlEnd::default()));
        }
        Ok(())
    }

    fn set_url_end(&mut self, end: Option<UrlEnd>) {
        let before = std::mem::replace(&mut self.url_end, end);
        self.remember(Undo::UrlEnd(before));
    }

    /// Removes no more than `max` URLs of objects that are gone. Answers with how many more might
    /// have been removed.
    pub(crate) fn clear_urls(&mut self, max: usize) -> Result<usize, CoreError> {
        let mut left = max;
        while left > 0
            && let Some(UrlEnd { object, mut after }) = self.url_end.clone()
        {
            let prefix = keys::urls_of(object);
            if let Some((key, _)) = self.space.next(&prefix, &after)? {
                self.end_url(key.strip_prefix(&prefix).unwrap_or_default())?;
                after = key;
                left -= 1;
                self.set_url_end(Some(UrlEnd { object, after }));
                continue;
            }
            if self.space.contains(&keys::url_end(object))? {
                self.space.delete(keys::url_end(object))?;
            }
            let next = self.space.next(keys::URL_ENDS, "")?;
            let object = next.map(|(key, _)| match key[keys::URL_ENDS.len()..].parse() {
                Ok(KRef::Object(number)) => Ok(number),
                _ => Err(corrupt(&key, "no object")),
            });
            let end = object.transpose()?;
            self.set_url_end(end.map(|object| UrlEnd { object, after: String::new() }));
        }
        Ok(left)
    }
}
