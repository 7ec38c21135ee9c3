//! OCAP URLs: what they hold, and every way in which they end. The walk looks at the store after
//! each step.

use std::sync::Arc;

use ocap_core::api::{ChannelEvent, ChannelId, CoreError, Dispatch, Holder, UrlTerms};
use ocap_core::{URL_ISSUER, URL_REDEEMER, check_store, limits};
use ocap_store::Reader;
use ocap_types::config::ClusterConfig;
use ocap_types::crank::{CrankReport, Delivery, Syscall};
use ocap_types::{KRef, VRef, VatId};

use crate::walk::altered;
use crate::world::{
    PEER_ID, World, become_, cluster, cluster_with_io, data, fulfil, result_of, slots_of,
    subscribe, vref,
};

/// A vat, its root, and what it knows the services by.
struct Alice {
    vat: VatId,
    root: KRef,
    issuer: VRef,
    redeemer: VRef,
}

/// One vat that knows both services.
fn launch(world: &mut World) -> Alice {
    let services = Some(vec![URL_ISSUER.into(), URL_REDEEMER.into()]);
    let (ticket, id) = world.begin_launch(ClusterConfig { services, ..cluster(&["alice"]) });
    let mut known = Vec::new();
    while let Some(crank) = world.dispatch() {
        let mut report = CrankReport::default();
        if let Delivery::Message { result: Some(result), .. } = &crank.delivery {
            known = slots_of(&crank);
            report.syscalls.push(fulfil(*result, &[], "#1"));
            // Its durable data holds them.
            let held = known.iter().map(|vref| (format!("vom.rc.{vref}"), Some("1".to_owned())));
            report.vatstore = held.collect();
        }
        world.report(&crank, report);
    }
    assert!(world.answer(ticket).is_some());
    let status = world.core.status().unwrap();
    let vat = status.vats.iter().find(|vat| vat.subcluster_id == id).unwrap().id;
    let root = world.core.root(vat).unwrap();
    let [.., issuer, redeemer] = known[..] else { panic!("{known:?}") };
    Alice { vat, root, issuer, redeemer }
}

/// Has a vat call something, and gives the notify that tells it the outcome, and what it decides.
fn call(world: &mut World, alice: &Alice, target: VRef, body: &str, slots: &[&str]) -> Dispatch {
    world.send(alice.root, "go");
    let crank = next(world);
    let slots: Vec<VRef> = slots.iter().map(|slot| vref(slot)).collect();
    let methargs = data(body, &slots);
    let asked = Syscall::Send { target, methargs, result: Some(vref("p+90")) };
    world.done(&crank, vec![asked, subscribe("p+90"), fulfil(result_of(&crank), &[], "#1")]);
    let told = next(world);
    assert!(matches!(told.delivery, Delivery::Notify { .. }), "{told:?}");
    told
}

/// The next delivery that is not about garbage.
fn next(world: &mut World) -> Dispatch {
    loop {
        let crank = world.next();
        match &crank.delivery {
            Delivery::DropExports { vrefs } => {
                let retired = vec![Syscall::RetireExports { vrefs: vrefs.clone() }];
                world.done(&crank, retired);
            }
            Delivery::RetireExports { .. } | Delivery::RetireImports { .. } => {
                world.done(&crank, Vec::new());
            }
            _ => return crank,
        }
    }
}

/// What a call came to: the body and the references.
fn outcome(world: &mut World, told: &Dispatch, syscalls: Vec<Syscall>) -> (String, Vec<VRef>) {
    let Delivery::Notify { resolutions } = &told.delivery else { panic!("{told:?}") };
    let data = resolutions[0].data.clone();
    world.done(told, syscalls);
    (data.body, data.slots)
}

fn told(world: &mut World, alice: &Alice, target: VRef, body: &str, slots: &[&str]) -> String {
    let told = call(world, alice, target, body, slots);
    outcome(world, &told, Vec::new()).0
}

/// Issues a URL with these terms for what the vat calls `what`.
fn issue(world: &mut World, alice: &Alice, what: &str, terms: &str) -> String {
    let sign = if what.starts_with('p') { '&' } else { '$' };
    let body =
        told(world, alice, alice.issuer, &format!("#[\"issue\",[\"{sign}0\"{terms}]]"), &[what]);
    body.strip_prefix("#\"").and_then(|rest| rest.strip_suffix('"')).expect(&body).to_owned()
}

fn redeem(world: &mut World, alice: &Alice, url: &str) -> (String, Vec<VRef>) {
    let told = call(world, alice, alice.redeemer, &format!("#[\"redeem\",[\"{url}\"]]"), &[]);
    outcome(world, &told, Vec::new())
}

fn rows(world: &mut World) -> Vec<String> {
    world.keys().into_iter().filter(|key| key.starts_with("url")).collect()
}

fn settle(world: &mut World) {
    while let Some(crank) = world.dispatch() {
        let syscalls = match &crank.delivery {
            Delivery::DropExports { vrefs } => {
                vec![Syscall::RetireExports { vrefs: vrefs.clone() }]
            }
            _ => Vec::new(),
        };
        world.done(&crank, syscalls);
    }
}

fn at(world: &mut World, ms: u64) {
    world.core.set_time(ms);
    world.core.ring().unwrap();
    world.check();
}

/// A durable object of the vat's.
const DOOR: &str = "o+d8/1";

#[test]
fn a_url_holds_its_object_until_it_is_revoked() {
    let mut world = World::identified();
    let (alice, bob) = (launch(&mut world), launch(&mut world));
    let before = world.keys();
    let url = issue(&mut world, &alice, DOOR, "");
    assert!(url.starts_with("ocap:z") && url.ends_with(PEER_ID), "{url}");
    settle(&mut world);
    world.commit();
    let target: KRef = "ko6".parse().unwrap();
    let holders = world.core.inspect(target).unwrap().unwrap().holders;
    assert!(matches!(&holders[..], [Holder::Url { .. }]), "{holders:?}");
    // Nothing that could be redeemed is in the store.
    let oid = &url[5..url.len() - PEER_ID.len() - 1];
    let keys = world.keys();
    for key in &keys {
        let value = world.store.get(key).unwrap().unwrap();
        assert!(!key.contains(oid) && !value.contains(oid), "{key}: {value}");
    }
    // Not a crash, and nothing else, makes the owner forget it.
    let mut world = world.crash();
    settle(&mut world);
    let told = call(&mut world, &bob, bob.redeemer, &format!("#[\"redeem\",[\"{url}\"]]"), &[]);
    let (body, slots) = outcome(&mut world, &told, Vec::new());
    assert_eq!((body.as_str(), slots.len()), ("#\"$0\"", 1));
    let refused =
        self::told(&mut world, &bob, bob.issuer, &format!("#[\"revoke\",[\"{url}\"]]"), &[]);
    assert!(refused.contains("only the vat that issued a URL can revoke it"), "{refused}");
    for revoked in ["#true", "#false"] {
        let body = format!("#[\"revoke\",[\"{url}\"]]");
        assert_eq!(self::told(&mut world, &alice, alice.issuer, &body, &[]), revoked);
    }
    let (body, _) = redeem(&mut world, &bob, &url);
    assert!(body.contains("[KERNEL:URL_VOID]"), "{body}");
    // Bob has it, and lets go of it.
    let gone = Syscall::DropImports { vrefs: slots.clone() };
    world.send(bob.root, "go");
    let crank = next(&mut world);
    let retired = Syscall::RetireImports { vrefs: slots };
    world.done(&crank, vec![gone, retired, fulfil(result_of(&crank), &[], "#1")]);
    settle(&mut world);
    assert_eq!(world.keys(), before);
}

#[test]
fn a_url_for_a_root_ends_with_the_launch_that_a_crash_undoes() {
    let mut world = World::identified();
    world.begin_launch(cluster(&["alice"]));
    let start = next(&mut world);
    let root = world.core.root(start.vat).unwrap();
    let url = world.core.issue_url(root, UrlTerms::default()).unwrap();
    world.commit();
    assert!(!rows(&mut world).is_empty());
    let mut world = world.crash();
    let refused = world.core.redeem_url(&url).unwrap_err();
    assert!(matches!(refused, CoreError::Invalid(_)), "{refused}");
    settle(&mut world);
    assert_eq!(rows(&mut world), [] as [&str; 0]);
}

#[test]
fn a_url_for_a_channel_ends_with_its_cluster() {
    let mut world = World::identified();
    let (_, id) = world.begin_launch(cluster_with_io(&["line"]));
    world.event(&ChannelId::new(id, "line"), ChannelEvent::Listening);
    world.settle_all();
    let url = world.core.issue_url(KRef::Object(4), UrlTerms::default()).unwrap();
    assert_eq!(world.core.redeem_url(&url).unwrap(), KRef::Object(4));
    world.core.terminate_subcluster(id).unwrap();
    world.check();
    assert!(matches!(world.core.redeem_url(&url), Err(CoreError::Invalid(_))));
    settle(&mut world);
    assert_eq!(rows(&mut world), [] as [&str; 0]);
}

#[test]
fn a_url_is_used_up_and_expires() {
    let mut world = World::identified();
    at(&mut world, 1_000);
    let alice = launch(&mut world);
    let url = issue(&mut world, &alice, DOOR, ",{\"uses\":2,\"label\":\"two\"}");
    let held = world.core.redeem_url(&url).unwrap();
    assert_eq!(world.core.urls("", 9).unwrap()[0].uses, Some(1));
    let (_, slots) = redeem(&mut world, &alice, &url);
    assert_eq!(slots, [vref(DOOR)]);
    assert!(redeem(&mut world, &alice, &url).0.contains("[KERNEL:URL_VOID]"));
    assert!(world.core.redeem_url(&url).is_err());
    assert!(world.core.release_host_ref(held).unwrap());

    let terms = ",{\"expiresMs\":50,\"uses\":1}";
    let (early, late) =
        (issue(&mut world, &alice, DOOR, terms), issue(&mut world, &alice, DOOR, terms));
    assert_ne!(early, late);
    assert_eq!(world.core.first_due(), Some(1_050));
    // Void at that moment, whether it has been removed or not.
    world.core.set_time(1_050);
    let refused = world.core.redeem_url(&early).unwrap_err().to_string();
    assert!(refused.contains("[KERNEL:URL_VOID]"), "{refused}");
    assert_eq!(world.core.urls("", 9).unwrap(), []);
    world.commit();
    let mut world = world.crash();
    settle(&mut world);
    assert_eq!(world.core.first_due(), Some(1_050));
    at(&mut world, 1_050);
    assert_eq!(world.core.first_due(), None);
    settle(&mut world);
    assert_eq!(rows(&mut world), [] as [&str; 0]);
}

#[test]
fn many_urls_expire_in_bounded_turns() {
    let mut world = World::identified();
    let alice = launch(&mut world);
    world.checking = false;
    let many = 2 * limits::TIMERS_FIRED_MAX + 1;
    for _ in 0..many {
        let terms = UrlTerms { lifetime_ms: Some(5), ..UrlTerms::default() };
        world.core.issue_url(alice.root, terms).unwrap();
    }
    world.core.set_time(5);
    let mut turns = 0;
    while world.core.first_due().is_some() {
        world.core.ring().unwrap();
        turns += 1;
    }
    assert_eq!(turns, 3);
    world.checking = true;
    world.check();
    assert_eq!(rows(&mut world), [] as [&str; 0]);
}

#[test]
fn urls_of_an_object_that_is_gone_are_removed_bit_by_bit() {
    let mut world = World::identified();
    let (alice, bob) = (launch(&mut world), launch(&mut world));
    for _ in 0..7 {
        world.core.issue_url(alice.root, UrlTerms::default()).unwrap();
    }
    // What bob issues for his own stands; so does what alice issued for his, although she ends.
    let door = issue(&mut world, &bob, DOOR, "");
    let told =
        call(&mut world, &alice, alice.redeemer, &format!("#[\"redeem\",[\"{door}\"]]"), &[]);
    let (_, slots) = outcome(&mut world, &told, Vec::new());
    let again = issue(&mut world, &alice, &slots[0].to_string(), "");
    world.core.limit_chores(2);
    world.core.terminate_vat(alice.vat).unwrap();
    world.check();
    let mut steps = 0;
    while world.core.has_remains() {
        let listed = world.core.urls("", 99).unwrap();
        for url in listed.iter().filter(|url| url.target == alice.root) {
            assert!(url.issuer.is_none());
        }
        assert!(matches!(
            world.core.issue_url(alice.root, UrlTerms::default()),
            Err(CoreError::Invalid(text)) if text.contains("OBJECT_DELETED")
        ));
        let crank = world.dispatch();
        if let Some(crank) = crank {
            world.done(&crank, Vec::new());
        }
        world.commit();
        world = world.crash();
        world.core.limit_chores(2);
        steps += 1;
    }
    assert!(steps > 3, "{steps}");
    settle(&mut world);
    let held = world.core.redeem_url(&door).unwrap();
    assert_eq!(world.core.redeem_url(&again).unwrap(), held);
    assert_eq!(world.core.urls("", 99).unwrap().len(), 2);
    assert!(world.core.revoke_url(&again).unwrap());
    assert!(!rows(&mut world).iter().any(|key| key.starts_with("urlend") || key == "urls.v1"));
}

#[test]
fn a_url_for_an_ephemeral_object_ends_with_the_life_it_is_of() {
    let mut world = World::identified();
    let alice = launch(&mut world);
    let url = issue(&mut world, &alice, "o+5", "");
    assert!(world.core.redeem_url(&url).is_ok());
    world.commit();
    let mut world = world.crash();
    let refused = world.core.redeem_url(&url).unwrap_err().to_string();
    assert!(refused.contains("[KERNEL:OBJECT_DELETED]"), "{refused}");
    settle(&mut world);
    assert_eq!(rows(&mut world), [] as [&str; 0]);
    let refused = world.core.redeem_url(&url).unwrap_err().to_string();
    assert!(refused.contains("[KERNEL:URL_VOID]"), "{refused}");
}

#[test]
fn a_url_for_a_promise_is_one_for_what_becomes_of_it() {
    let mut world = World::identified();
    let (alice, bob) = (launch(&mut world), launch(&mut world));
    let url = issue(&mut world, &alice, "p+5", "");
    let (body, slots) = redeem(&mut world, &bob, &url);
    assert_eq!((body.as_str(), slots.len()), ("#\"&0\"", 1));
    world.send(alice.root, "go");
    let crank = next(&mut world);
    world.done(&crank, vec![become_(vref("p+5"), DOOR), fulfil(result_of(&crank), &[], "#1")]);
    let (body, _) = redeem(&mut world, &bob, &url);
    assert_eq!(body, "#\"$0\"");
    // One that has become an object already is that object, and one that never will be is nothing.
    let direct = issue(&mut world, &alice, DOOR, "");
    assert_eq!(world.core.redeem_url(&url).unwrap(), world.core.redeem_url(&direct).unwrap());
    let refused = world.core.issue_url(KRef::Promise(999), UrlTerms::default()).unwrap_err();
    assert!(refused.to_string().contains("no promise that a URL could stand for"), "{refused}");
    assert!(world.core.revoke_url(&url).unwrap());
}

#[test]
fn a_vat_and_a_kernel_have_a_limited_number() {
    let mut world = World::identified();
    let (alice, bob) = (launch(&mut world), launch(&mut world));
    world.checking = false;
    let body = "#[\"issue\",[\"$0\"]]";
    for part in 0..10 {
        world.send(alice.root, "go");
        let crank = next(&mut world);
        let count = limits::VAT_URLS_MAX / 10;
        let issued = (0..count).map(|n| Syscall::Send {
            target: alice.issuer,
            methargs: data(body, &[vref(DOOR)]),
            result: Some(vref(&format!("p+{}", 1_000 + part * count + n))),
        });
        let issued: Vec<Syscall> = issued.chain([fulfil(result_of(&crank), &[], "#1")]).collect();
        world.done(&crank, issued);
        settle(&mut world);
    }
    let full = told(&mut world, &alice, alice.issuer, body, &[DOOR]);
    assert!(full.contains("[KERNEL:LIMIT_EXCEEDED]") && full.contains("a vat has"), "{full}");
    issue(&mut world, &bob, DOOR, "");
    world.core.issue_url(alice.root, UrlTerms::default()).unwrap();
    world.checking = true;
    world.check();
    let long = UrlTerms { label: Some("x".repeat(257)), ..UrlTerms::default() };
    assert!(world.core.issue_url(alice.root, long).is_err());
    // The kernel's own limit, as if there were that many.
    world.commit();
    let all = altered(&world, "urls", Some(&limits::URLS_MAX.to_string()));
    let full = world.core_on(&all).issue_url(bob.root, UrlTerms::default()).unwrap_err();
    assert!(matches!(&full, CoreError::Limit(text) if text.contains("a kernel has")), "{full}");
}

#[test]
fn a_kernel_without_an_identity_has_no_urls() {
    let mut world = World::new();
    let (_, root) = world.launch(&["alice"])[0];
    let refused = world.core.issue_url(root, UrlTerms::default()).unwrap_err().to_string();
    assert_eq!(refused, "Remote identity not initialized");
}

#[test]
fn the_walk_finds_what_is_wrong_with_urls_and_identities() {
    let mut world = World::identified();
    let alice = launch(&mut world);
    issue(&mut world, &alice, DOOR, ",{\"expiresMs\":50}");
    settle(&mut world);
    world.commit();
    let keys = rows(&mut world);
    let key = |start: &str| keys.iter().find(|key| key.starts_with(start)).unwrap().clone();
    let (url, of, expiry) = (key("url."), key("urlof."), key("urlexp."));
    let row = world.store.get(&url).unwrap().unwrap();
    let object = of.split('.').nth(1).unwrap();
    let other = of.replace(object, "ko1");
    let used = row.replace("\"issued\"", "\"uses\":0,\"issued\"");
    let end = format!("urlend.{object}");
    let stray = format!("urlof.{object}.00");
    let other_target = row.replace(object, "ko1");
    let other_expiry = row.replace("\"expires\":50", "\"expires\":51");
    let other_issuer = row.replace("v1", "v2");
    let ways = [
        (url.as_str(), None, "held by"),
        (&url, Some("{}"), "not a value of its type"),
        (&url, Some(other_target.as_str()), "not among its object's URLs"),
        (&url, Some(other_expiry.as_str()), "not listed to"),
        (&url, Some(other_issuer.as_str()), "not the number of URLs"),
        (&url, Some(used.as_str()), "used up"),
        (&of, None, "not among its object's URLs"),
        (&other, Some(""), "or another's"),
        (&stray, Some(""), "its name is no hash"),
        (&expiry, None, "not listed to expire"),
        (&end, Some(""), "URLs to go of what is there"),
        ("urls", None, "not the number of URLs"),
        ("urls.v1", Some("2"), "not the number of URLs"),
        ("urls.v2", Some("1"), "not the number of URLs"),
        ("peerId", None, "part of an identity is missing"),
        ("secret.keySeed", None, "part of an identity is missing"),
        ("secret.keySeed", Some("0g"), "not a value of its type"),
        ("secret.other", Some("00"), "not a row of any kind"),
    ];
    for (key, value, expected) in ways {
        let store: Arc<dyn Reader> = Arc::new(altered(&world, key, value));
        let findings = check_store(store).unwrap();
        let found = findings.iter().any(|finding| finding.problem.contains(expected));
        assert!(found, "{key} {value:?}: {findings:?}");
    }
    let store: Arc<dyn Reader> = Arc::new(world.store.clone());
    assert_eq!(check_store(store).unwrap(), []);
}
