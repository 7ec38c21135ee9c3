//! OCAP URLs with real vats: from one cluster to another, over restarts, and to their ends.

use ocap_kernel::{ErrorKind, Kernel, UrlTerms};
use ocap_types::KRef;
use serde_json::{Value, json};

use crate::house::{House, ask, assert_sound};

/// A vat that issues URLs for what it has, and redeems those it is given.
const PEER: &str = r"
import { E, Far } from '@endo/far';
const { defineDurableKind, makeKindHandle } = VatData;
export const buildRootObject = (_powers, _parameters, baggage) => {
  if (!baggage.has('kind')) baggage.init('kind', makeKindHandle('door'));
  const makeDoor = defineDurableKind(baggage.get('kind'), name => ({ name }), {
    open: ({ state: { name } }) => `${name} is open`,
  });
  const keep = (name, value) => (baggage.has(name) ? baggage.set : baggage.init)(name, value);
  const issuer = () => baggage.get('issuer');
  const text = async promise => { try { return await promise; } catch (error) { return error.message; } };
  return Far('peer', {
    bootstrap(_vats, { ocapURLIssuerService, ocapURLRedemptionService }) {
      keep('issuer', ocapURLIssuerService);
      keep('redeemer', ocapURLRedemptionService);
    },
    issue: (name, terms) => text(E(issuer()).issue(makeDoor(name), terms)),
    issueAndKeep: async name => { keep('url', await E(issuer()).issue(makeDoor(name))); },
    kept: () => baggage.get('url'),
    issuePromised: () => E(issuer()).issue(Promise.resolve(makeDoor('later'))),
    issueEphemeral: () => E(issuer()).issue(Far('ephemeral', { open: () => 'for now' })),
    issueOther: what => text(E(issuer()).issue(what)),
    revoke: url => text(E(issuer()).revoke(url)),
    open: url => text(E(E(baggage.get('redeemer')).redeem(url)).open()),
    redeemOther: what => text(E(baggage.get('redeemer')).redeem(what)),
    take: async url => { keep('taken', await E(baggage.get('redeemer')).redeem(url)); },
    openTaken: () => E(baggage.get('taken')).open(),
  });
};
";

async fn launch(house: &House, kernel: &Kernel) -> KRef {
    house.source("peer.js", PEER);
    let services = ["ocapURLIssuerService", "ocapURLRedemptionService"];
    let config = json!({
        "bootstrap": "peer", "services": services, "vats": {"peer": {"sourceSpec": "peer.js"}},
    });
    house.try_launch(kernel, &config).await.unwrap().root
}

/// What a vat answers, if it is a string.
async fn told(kernel: &Kernel, root: KRef, method: &str, args: Value) -> String {
    let body = ask(kernel, root, method, args).await;
    match body.strip_prefix('#').map(serde_json::from_str) {
        Some(Ok(Value::String(text))) => text,
        _ => body,
    }
}

const VOID: &str = "[KERNEL:URL_VOID] ocapURL has bad object reference";

#[tokio::test]
async fn a_url_gives_a_stranger_the_object_over_restarts() {
    let house = House::new();
    let kernel = house.start().await;
    let (alice, bob) = (launch(&house, &kernel).await, launch(&house, &kernel).await);
    let url = told(&kernel, alice, "issue", json!(["the front"])).await;
    assert!(url.starts_with("ocap:z") && url.ends_with(kernel.peer_id()), "{url}");
    assert_eq!(told(&kernel, bob, "open", json!([url])).await, "the front is open");
    let promised = told(&kernel, alice, "issuePromised", json!([])).await;
    assert_eq!(told(&kernel, bob, "open", json!([promised])).await, "later is open");
    told(&kernel, alice, "issueAndKeep", json!(["the back"])).await;
    told(&kernel, bob, "take", json!([url])).await;
    let peer_id = kernel.peer_id().to_owned();
    kernel.stop().await.unwrap();

    let kernel = house.start().await;
    assert_eq!(kernel.peer_id(), peer_id);
    // Nobody but the URL holds what it stands for.
    kernel.collect_garbage().await.unwrap();
    assert_eq!(told(&kernel, bob, "open", json!([promised])).await, "later is open");
    assert_eq!(told(&kernel, bob, "openTaken", json!([])).await, "the front is open");
    let kept = told(&kernel, alice, "kept", json!([])).await;
    assert_eq!(told(&kernel, bob, "open", json!([kept])).await, "the back is open");
    assert_eq!(kernel.urls("", 10).await.unwrap().len(), 3);
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_url_is_good_for_as_long_as_its_terms_say() {
    let house = House::new();
    let kernel = house.start().await;
    let (alice, bob) = (launch(&house, &kernel).await, launch(&house, &kernel).await);
    let twice = told(&kernel, alice, "issue", json!(["twice", {"uses": 2, "label": "two"}])).await;
    for _ in 0..2 {
        assert_eq!(told(&kernel, bob, "open", json!([twice])).await, "twice is open");
    }
    assert!(told(&kernel, bob, "open", json!([twice])).await.starts_with(VOID));
    let short = told(&kernel, alice, "issue", json!(["short", {"expiresMs": 1}])).await;
    // The clock of the kernel goes on without it.
    while !kernel.urls("", 10).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(told(&kernel, bob, "open", json!([short])).await.starts_with(VOID));
    let revoked = told(&kernel, alice, "issue", json!(["revoked"])).await;
    let listed = kernel.urls("", 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].issuer.is_some() && listed[0].expires.is_none());
    let refused = told(&kernel, bob, "revoke", json!([revoked])).await;
    assert!(refused.contains("only the vat that issued"), "{refused}");
    assert_eq!(told(&kernel, alice, "revoke", json!([revoked])).await, "#true");
    assert_eq!(told(&kernel, alice, "revoke", json!([revoked])).await, "#false");
    assert!(told(&kernel, bob, "open", json!([revoked])).await.starts_with(VOID));
    for terms in [json!({"uses": 0}), json!({"use": 1}), json!(3), json!({"expiresMs": 1.5})] {
        let refused = told(&kernel, alice, "issue", json!(["none", terms])).await;
        assert!(refused.starts_with("[KERNEL:DELIVERY_FAILED]"), "{terms}: {refused}");
    }
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_no_url_is_refused_in_the_references_words() {
    let house = House::new();
    let kernel = house.start().await;
    let alice = launch(&house, &kernel).await;
    let refused = told(&kernel, alice, "issueOther", json!(["a string"])).await;
    assert_eq!(refused, "[KERNEL:DELIVERY_FAILED] Argument must be a remotable");
    let other = "12D3KooWP7CwQswqLKZbwvYd9wrEynnL9F2aKVP1X9huNASBTuqj";
    let own = kernel.peer_id();
    for (url, why) in [
        ("hello".to_owned(), "[KERNEL:DELIVERY_FAILED] unparseable URL"),
        ("http://a@b".to_owned(), "[KERNEL:DELIVERY_FAILED] not an ocap URL"),
        ("ocap:z1".to_owned(), "[KERNEL:DELIVERY_FAILED] bad ocap URL"),
        (format!("ocap:z1@{other}"), "[KERNEL:DELIVERY_FAILED] Remote comms not initialized"),
        (format!("ocap:z1@{own}"), VOID),
    ] {
        let refused = told(&kernel, alice, "redeemOther", json!([url])).await;
        assert!(refused.starts_with(why), "{url}: {refused}");
    }
    let host = kernel.redeem_url(&format!("ocap:z1@{own}")).await.unwrap_err();
    assert!(host.message.starts_with(VOID), "{host}");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn a_url_ends_with_what_it_stands_for() {
    let house = House::new();
    let kernel = house.start().await;
    let (alice, bob) = (launch(&house, &kernel).await, launch(&house, &kernel).await);
    let ephemeral = told(&kernel, alice, "issueEphemeral", json!([])).await;
    assert_eq!(told(&kernel, bob, "open", json!([ephemeral])).await, "for now");
    let durable = told(&kernel, alice, "issue", json!(["durable"])).await;
    let object = kernel.redeem_url(&durable).await.unwrap();
    let vat = kernel.status().await.unwrap().vats[0].id;
    kernel.restart_vat(vat).await.unwrap();
    let refused = told(&kernel, bob, "open", json!([ephemeral])).await;
    assert!(!refused.contains("for now"), "{refused}");
    assert_eq!(told(&kernel, bob, "open", json!([durable])).await, "durable is open");

    kernel.revoke(object).await.unwrap();
    let refused = kernel.redeem_url(&durable).await.unwrap_err();
    assert!(refused.message.starts_with("[KERNEL:OBJECT_REVOKED]"), "{refused}");
    let refused = kernel.issue_url(object, UrlTerms::default()).await.unwrap_err();
    assert!(refused.message.starts_with("[KERNEL:OBJECT_REVOKED]"), "{refused}");

    let root = kernel.issue_url(alice, UrlTerms::default()).await.unwrap();
    assert_eq!(kernel.redeem_url(&root).await.unwrap(), alice);
    kernel.terminate_vat(vat).await.unwrap();
    let refused = kernel.redeem_url(&root).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    while !kernel.urls("", 10).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let nothing = kernel.issue_url(KRef::Object(9_999), UrlTerms::default()).await.unwrap_err();
    assert!(nothing.message.starts_with("[KERNEL:OBJECT_DELETED]"), "{nothing}");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
}

#[tokio::test]
async fn the_host_revokes_by_text_and_by_id_and_a_reset_keeps_the_identity() {
    let house = House::new();
    let kernel = house.start().await;
    let alice = launch(&house, &kernel).await;
    let terms = UrlTerms { label: Some("mine".into()), ..UrlTerms::default() };
    let one = kernel.issue_url(alice, terms.clone()).await.unwrap();
    let other = kernel.issue_url(alice, terms).await.unwrap();
    assert_ne!(one, other);
    let listed = kernel.urls("", 10).await.unwrap();
    assert!(listed.iter().all(|url| url.label.as_deref() == Some("mine") && url.target == alice));
    assert_eq!(kernel.urls(&listed[0].id, 10).await.unwrap(), listed[1..]);
    assert!(kernel.revoke_url(&one).await.unwrap());
    let left = kernel.urls("", 10).await.unwrap().remove(0).id;
    for short in ["", &left[..4], "not an id at all"] {
        assert!(kernel.revoke_url_id(short).await.is_err(), "{short}");
    }
    assert!(kernel.revoke_url_id(&left[..12]).await.unwrap());
    assert!(!kernel.revoke_url_id(&left).await.unwrap());
    assert!(kernel.redeem_url(&other).await.is_err());

    let kept = kernel.issue_url(alice, UrlTerms::default()).await.unwrap();
    let peer_id = kernel.peer_id().to_owned();
    kernel.reset().await.unwrap();
    assert!(kernel.redeem_url(&kept).await.is_err());
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
    let kernel = house.start().await;
    assert_eq!(kernel.peer_id(), peer_id);
    let alice = launch(&house, &kernel).await;
    assert!(kernel.issue_url(alice, UrlTerms::default()).await.unwrap().ends_with(&peer_id));
    kernel.stop().await.unwrap();
}
