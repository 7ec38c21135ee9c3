//! Rows of OCAP URLs and of the identity: how they are taken up, and what has to hold of them.

use ocap_types::{KRef, Secret};

use super::rows::{object, read, replace_in};
use super::seen::{Held, Seen, Subject};
use crate::keys;
use crate::url::Url;

impl Seen {
    pub(super) fn identity_row(
        &mut self,
        kind: &str,
        rest: &str,
        value: Option<&str>,
    ) -> Option<()> {
        let secret = |text| Secret::from_hex(text).is_some();
        let good = match (kind, rest) {
            ("peerId", "") => value.is_none_or(|peer_id| !peer_id.is_empty()),
            ("secret", "keySeed" | "entropy") => value.is_none_or(secret),
            _ => false,
        };
        if !good {
            return None;
        }
        let key = if rest.is_empty() { kind.to_owned() } else { format!("{kind}.{rest}") };
        replace_in(&mut self.identity, key, value.is_some());
        self.touch(Subject::Counters);
        Some(())
    }

    pub(super) fn url_row(
        &mut self,
        kind: &str,
        rest: &str,
        before: bool,
        value: Option<&str>,
    ) -> Option<()> {
        let hash = match kind {
            "url" => {
                let row: Option<Url> = read(value)?;
                let held = |row: &Option<Url>| row.as_ref().map(|row| Held::one(row.target));
                let issuer = |row: &Option<Url>| row.as_ref().and_then(|row| row.issuer);
                let (now, now_held) = (issuer(&row), held(&row));
                let was =
                    std::mem::replace(&mut self.urls.entry(rest.to_owned()).or_default().row, row);
                self.recount(held(&was).as_ref(), now_held.as_ref());
                self.urls_there += u64::from(value.is_some());
                self.urls_there -= u64::from(was.is_some());
                for (vat, more) in [(now, true), (issuer(&was), false)] {
                    let Some(vat) = vat else { continue };
                    let urls = &mut self.vats.entry(vat).or_default().urls;
                    *urls = if more { *urls + 1 } else { *urls - 1 };
                    self.touch(Subject::Vat(vat));
                }
                self.touch(Subject::UrlCount);
                rest.to_owned()
            }
            "urlof" => {
                let (number, hash) = rest.split_once('.')?;
                let number = object(number)?;
                let listed = &mut self.urls.entry(hash.to_owned()).or_default().listed;
                replace_in(listed, number, value.is_some());
                let urls = &mut self.objects.entry(number).or_default().urls;
                *urls = (*urls + u64::from(value.is_some())).saturating_sub(u64::from(before));
                self.touch(Subject::Object(number));
                hash.to_owned()
            }
            "urlexp" => {
                let (at, hash) = rest.split_once('.')?;
                let expires = &mut self.urls.entry(hash.to_owned()).or_default().expires;
                replace_in(expires, at.parse().ok()?, value.is_some());
                hash.to_owned()
            }
            "urlend" => {
                let number = object(rest)?;
                self.objects.entry(number).or_default().urls_end = value.is_some();
                self.touch(Subject::Object(number));
                return Some(());
            }
            _ if rest.is_empty() => {
                self.urls_counted = read(value)?;
                self.touch(Subject::UrlCount);
                return Some(());
            }
            _ => {
                let vat = rest.parse().ok()?;
                self.vats.entry(vat).or_default().urls_counted = read(value)?;
                self.touch(Subject::Vat(vat));
                return Some(());
            }
        };
        self.touch(Subject::Url(hash));
        Some(())
    }

    pub(super) fn test_url(&mut self, hash: &str) {
        let Some(seen) = self.urls.get(hash) else { return };
        let (object, expires) = match &seen.row {
            Some(row) => match row.target {
                KRef::Object(number) => (Some(number), row.expires),
                KRef::Promise(_) => (None, row.expires),
            },
            None => (None, None),
        };
        let hashed = hash.len() == 64 && Secret::from_hex(hash).is_some();
        let gone = seen.row.is_none() && seen.listed.is_empty() && seen.expires.is_empty();
        let tests = [
            (hashed, "its name is no hash"),
            (seen.listed.iter().copied().eq(object), "not among its object's URLs, or another's"),
            (seen.expires.iter().copied().eq(expires), "not listed to expire when it does"),
            (seen.row.as_ref().is_none_or(|row| row.uses != Some(0)), "used up, but still there"),
        ];
        for (holds, problem) in tests {
            self.expect(holds || gone, keys::url(hash), problem);
        }
        if gone {
            self.urls.remove(hash);
        }
    }

    pub(super) fn test_url_count(&mut self) {
        let counted = self.urls_counted.unwrap_or(0) == self.urls_there;
        self.expect(counted, keys::url_count(), "not the number of URLs");
    }
}
