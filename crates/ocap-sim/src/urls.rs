//! OCAP URLs: the host issues, redeems and revokes them. What vats do with the
//! services is theirs; of what the host has issued itself the model knows what has to become.

use ocap_core::api::{CoreError, UrlTerms};
use ocap_types::KRef;

use crate::coverage::State;
use crate::limits;
use crate::rng::Rng;
use crate::world::{Outcomes, World, wrong};

/// A URL that the host has issued, and nobody but the host redeems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// What it was issued for.
    pub target: KRef,
    /// When it is void.
    pub expires: Option<u64>,
    /// How often it is still good.
    pub uses: Option<u64>,
}

impl World {
    pub(crate) fn issue_url(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(target) = self.pick_url_target(rng) else { return Ok(()) };
        let (state, root) = self.state_of(target);
        let terms = UrlTerms {
            lifetime_ms: rng.one_in(2).then(|| 1 + rng.below(limits::URL_LIFETIME_MS_MAX) as u64),
            uses: rng.one_in(3).then(|| 1 + rng.below(3) as u64),
            label: rng.one_in(4).then(|| "label".to_owned()),
        };
        self.note(|| format!("    {target} {terms:?}"));
        let expires = terms.lifetime_ms.map(|ms| self.wall_ms + ms);
        let uses = terms.uses;
        let result = self.core.issue_url(target, terms);
        if result.is_ok() && matches!(state, State::Revoked | State::Deleted) {
            return wrong(format!("a URL was issued for {target}, which is {state:?}"));
        }
        if let (true, Err(CoreError::Invalid(text))) = (root.is_some(), &result) {
            return wrong(format!("no URL was issued for the root {target}: {text}"));
        }
        let url = result.as_ref().ok().cloned();
        self.asked(state, None, result.map(|_| ()))?;
        let Some(url) = url else { return Ok(()) };
        if self.issued.contains(&url) {
            return wrong(format!("{url} was issued twice"));
        }
        if self.issued.len() >= limits::URLS_KNOWN_MAX {
            self.issued.pop_front();
        }
        self.issued.push_back(url.clone());
        self.model.urls.insert(url, Issued { target, expires, uses });
        self.check_urls()
    }

    fn pick_url_target(&self, rng: &mut Rng) -> Option<KRef> {
        let roots: Vec<KRef> = self.watch.vats().map(|vat| vat.root).collect();
        if rng.one_in(3) { rng.pick(&roots) } else { self.pick_known(rng) }
    }

    pub(crate) fn redeem_url(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(url) = self.pick_url(rng) else { return Ok(()) };
        self.note(|| format!("    {url}"));
        let result = self.core.redeem_url(&url);
        let issued = self.model.urls.get(&url).cloned();
        let due = |at: Option<u64>| at.is_some_and(|at| at <= self.wall_ms);
        let good = issued.filter(|issued| !due(issued.expires) && issued.uses != Some(0));
        let state = match (&good, &result) {
            (Some(issued), _) => self.state_of(issued.target).0,
            (None, Ok(kref)) => self.state_of(*kref).0,
            (None, Err(_)) => State::Deleted,
        };
        match (&good, &result) {
            (None, Ok(kref)) if self.issued.contains(&url) => {
                return wrong(format!("{url} is void, and was redeemed for {kref}"));
            }
            (Some(issued), Ok(kref)) if !issued.target.is_promise() && *kref != issued.target => {
                return wrong(format!("{url} is for {}, not {kref}", issued.target));
            }
            (Some(issued), Err(CoreError::Invalid(text)))
                if self.watch.vat_of_root(issued.target).is_some() && state != State::Revoked =>
            {
                return wrong(format!("{url} is for the root {}: {text}", issued.target));
            }
            _ => {}
        }
        let redeemed = result.as_ref().ok().copied();
        self.asked(state, None, result.map(|_| ()))?;
        if let Some(kref) = redeemed {
            if !self.core.host_refs()?.contains(&kref) {
                return wrong(format!("{kref} was redeemed, and the host does not hold it"));
            }
            self.learn(kref);
            if let Some(Issued { uses: Some(uses), .. }) = self.model.urls.get_mut(&url) {
                *uses = uses.saturating_sub(1);
            }
        }
        self.check_urls()
    }

    pub(crate) fn revoke_url(&mut self, rng: &mut Rng) -> Outcomes {
        let listed = self.core.urls("", limits::URLS_KNOWN_MAX)?;
        if rng.one_in(3)
            && let Some(url) = rng.pick(&listed)
        {
            // Not one of the host's own: which of its texts that is nobody knows.
            if url.issuer.is_none() {
                return Ok(());
            }
            self.note(|| format!("    {}", url.id));
            let result = self.core.revoke_url_id(&url.id);
            if !matches!(result, Ok(true) | Err(CoreError::Store(_))) {
                return wrong(format!("{} is listed, and not revoked: {result:?}", url.id));
            }
            self.asked(State::Live, None, result.map(|_| ()))?;
            return self.check_urls();
        }
        let Some(url) = self.pick_url(rng) else { return Ok(()) };
        self.note(|| format!("    {url}"));
        let result = self.core.revoke_url(&url);
        if self.asked(State::Live, None, result.map(|_| ()))? {
            self.model.urls.remove(&url);
        }
        self.check_urls()
    }

    /// When all vats have ended, only URLs for what is the kernel's own, or was promised, are left.
    pub(crate) fn end_urls(&mut self) -> Outcomes {
        for url in self.core.urls("", usize::MAX)? {
            let owner = self.watch.row(&format!("o.{}", url.target));
            if !url.target.is_promise() && !owner.is_some_and(|row| row.starts_with("kernel")) {
                return wrong(format!("{} has outlived {}: {owner:?}", url.id, url.target));
            }
            self.core.revoke_url_id(&url.id)?;
            self.obey()?;
        }
        Ok(())
    }

    /// A URL somebody has, is said to have, or has made up.
    fn pick_url(&self, rng: &mut Rng) -> Option<String> {
        let all: Vec<&String> = self.issued.iter().chain(&self.heard).collect();
        let url = rng.pick(&all)?.clone();
        if rng.one_in(16) {
            return Some(url.replacen("ocap:z", "ocap:z2", 1));
        }
        Some(url)
    }

    /// A vat is told of URLs.
    pub(crate) fn hear_url(&mut self, body: &str) {
        let Some(start) = body.find("ocap:z") else { return };
        let url: String = body[start..].chars().take_while(|&c| c != '"').collect();
        if self.heard.contains(&url) {
            return;
        }
        if self.heard.len() >= limits::URLS_KNOWN_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back(url);
    }

    /// What is listed of the host's URLs is what the model has of them: at least those whose object
    /// is there, at most those that are not void.
    pub(crate) fn check_urls(&mut self) -> Outcomes {
        let mut listed: Vec<Issued> = Vec::new();
        let mut after = String::new();
        loop {
            let more = self.core.urls(&after, limits::URLS_KNOWN_MAX)?;
            let Some(last) = more.last() else { break };
            after.clone_from(&last.id);
            // What the service has issued for a message of the host's has that one's tag.
            let tagged = |label: &Option<String>| matches!(label, Some(l) if l.starts_with('t'));
            let own = more.into_iter().filter(|url| url.issuer.is_none() && !tagged(&url.label));
            listed.extend(own.map(|url| Issued {
                target: url.target,
                expires: url.expires,
                uses: url.uses,
            }));
        }
        let wall_ms = self.wall_ms;
        self.model
            .urls
            .retain(|_, url| url.expires.is_none_or(|at| at > wall_ms) && url.uses != Some(0));
        for url in self.model.urls.values() {
            // What a promise has become since it was issued it stands for.
            let there = self.watch.vat_of_root(url.target).is_some();
            match listed.iter().position(|other| other == url) {
                Some(place) => {
                    listed.swap_remove(place);
                }
                None if there => return wrong(format!("{url:?} is not listed")),
                None => {}
            }
        }
        let strange = listed.iter().find(|url| {
            // A promise that had become an object was issued for that.
            !self.model.urls.values().any(|known| {
                known.target.is_promise() && known.expires == url.expires && known.uses == url.uses
            })
        });
        match strange {
            Some(url) => wrong(format!("{url:?} is listed, and is void or was never issued")),
            None => Ok(()),
        }
    }
}
