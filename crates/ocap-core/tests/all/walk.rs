//! The walk finds what it is there to find.

use ocap_core::api::{ChannelEvent, ChannelId};
use ocap_core::check_store;
use ocap_store::memory::MemoryStore;
use ocap_store::{Batch, Reader};
use ocap_types::crank::{Request, Syscall};
use ocap_types::{KRef, SubclusterId};

use crate::world::*;

/// A store with something of every kind in it.
fn busy() -> World {
    let mut world = World::new();
    let mut config = cluster_with_io(&["repl"]);
    config.vats.insert("bob".into(), cluster(&["bob"]).vats["bob"].clone());
    let mut launch = launch_of(config);
    launch.name = Some("home".into());
    let ticket = world.ticket();
    world.core.launch(ticket, launch).unwrap();
    let channel = ChannelId::new(SubclusterId(1), "repl");
    world.event(&channel, ChannelEvent::Listening);
    world.settle_all();
    let (repl, alice, bob) = (KRef::Object(4), KRef::Object(5), KRef::Object(6));
    world.send_with(alice, "meet", &[bob, repl]);
    let meet = world.next();
    let slots: Vec<_> = slots_of(&meet).iter().map(ToString::to_string).collect();
    let read = |method: &str, result: &str| Syscall::Send {
        target: vref(&slots[1]),
        methargs: data(&format!("#[\"{method}\",[]]"), &[]),
        result: Some(vref(result)),
    };
    let report = ocap_types::crank::CrankReport {
        syscalls: vec![
            read("read", "p+1"),
            call("p+1", &["o+5"], None),
            call(&slots[0], &["o+6", "p+2", "o+0"], Some("p+3")),
            subscribe("p+3"),
            Syscall::Ask {
                request: Request::Timer { delay_ms: 10, since_ms: None },
                result: vref("p+8"),
            },
            fulfil(vref("p+4"), &[], "#4"),
            fulfil(result_of(&meet), &["o+7", "p+2", "p+4"], "#[]"),
        ],
        vatstore: vec![("key".into(), Some("value".into()))],
        ..ocap_types::crank::CrankReport::default()
    };
    world.report(&meet, report);
    let given = world.next();
    let import = slots_of(&given)[0];
    world.done(&given, vec![]);
    world.settle_all();
    let held = world.core.host_refs().unwrap();
    assert_eq!(held.len(), 3);
    world.send(alice, "settle");
    let settle = world.next();
    world.done(&settle, vec![fulfil(vref("p+2"), &["o+9"], "#[]")]);
    world.settle_all();
    world.send(bob, "drop");
    let drop = world.next();
    world.done(&drop, vec![Syscall::DropImports { vrefs: vec![import] }]);
    world.send(bob, "queued");
    world.send_with(bob, "queued", &held);
    world.core.revoke(bob).unwrap();
    world.commit();
    world
}

/// The rows of a store, in a store of their own, with one of them changed.
pub fn altered(world: &World, key: &str, value: Option<&str>) -> MemoryStore {
    let reader: &dyn Reader = &world.store;
    let mut batch = Batch { seq: 1, ..Batch::default() };
    let mut after = String::new();
    while let Some((row, text)) = reader.next("", &after).unwrap() {
        batch.writes.insert(row.clone(), Some(text));
        after = row;
    }
    match value {
        Some(value) => batch.writes.insert(key.to_owned(), Some(value.to_owned())),
        None => batch.writes.remove(key),
    };
    let store = MemoryStore::new();
    store.open().writer.commit(&batch).unwrap();
    store
}

fn findings(store: &MemoryStore) -> usize {
    check_store(store.open().reader).unwrap().len()
}

#[test]
fn a_missing_row_is_found_wherever_it_was() {
    let mut world = busy();
    let keys = world.keys();
    let kinds: std::collections::BTreeSet<&str> =
        keys.iter().filter_map(|key| key.split('.').next()).collect();
    // Everything that can be in a store is in this one, except a waiting `ready()`.
    assert_eq!(kinds.len(), 32, "{kinds:?}");
    for key in &keys {
        let store = altered(&world, key, None);
        assert!(findings(&store) > 0, "nobody misses {key}");
    }
}

#[test]
fn a_damaged_row_is_found_wherever_it_is() {
    let mut world = busy();
    let keys = world.keys();
    for key in &keys {
        if key.starts_with("vs.") || key.starts_with("code.") {
            continue;
        }
        let value = "{damaged";
        // Rows that only exist, and have no value.
        let bare = ["i.", "gc.", "pin.", "callof.", "read.", "h."];
        if bare.iter().any(|prefix| key.starts_with(prefix)) {
            continue;
        }
        assert!(findings(&altered(&world, key, Some(value))) > 0, "{key} may be anything");
    }
    for (key, value) in [
        ("stray", "1"),
        ("format", "2"),
        ("o.ko99", "v1 0 0"),
        ("p.kp99", "unresolved 1 - - 0 -"),
        ("c.v1.k.ko1", "R o-9"),
        ("c.v1.v.o-99", "ko1"),
        ("i.ko1.v1", ""),
        ("q.v1.0000000000000099", "{\"notify\":\"kp1\"}"),
        ("w.v9", "0 0 1 0 0 0"),
        ("pin.ko99", ""),
        ("h.ko1", ""),
        ("vs.v9.x", "1"),
        ("code.0", "x"),
        ("calls", "7"),
        ("next.object", "1"),
    ] {
        assert!(findings(&altered(&world, key, Some(value))) > 0, "{key} = {value} goes unnoticed");
    }
    assert_eq!(findings(&world.store.clone()), 0);
}

#[test]
fn a_core_that_meets_a_damaged_row_says_which() {
    let mut world = busy();
    let keys = world.keys();
    for key in keys.iter().filter(|key| key.starts_with("vat.") || key.starts_with("w.v")) {
        let opened = altered(&world, key, Some("{damaged")).open();
        let options = ocap_core::api::BootOptions {
            services: services(),
            io: true,
            ..ocap_core::api::BootOptions::default()
        };
        let error = ocap_core::Core::open(opened.reader, opened.last_seq, options);
        let text = error.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains(key.as_str()), "{key}: {text}");
    }
}

/// Rows that are damaged one at a time and put right again: a watch finds each, as a walk does, and
/// is content again afterwards.
#[test]
fn a_watch_finds_what_a_walk_finds() {
    let mut world = busy();
    let (mut watch, findings) = world.core.watch().unwrap();
    assert_eq!(findings, []);
    let keys = world.keys();
    for key in keys.iter().filter(|key| !key.starts_with("vs.")) {
        let value = watch.row(key).unwrap().to_owned();
        assert_ne!(watch.write(key, None), [], "nobody misses {key}");
        assert_eq!(watch.write(key, Some(&value)), [], "{key} is there again");
    }
    for (key, value) in [
        ("o.ko5", "v2 1 1"),
        ("o.ko99", "v1 0 0"),
        ("p.kp99", "unresolved 1 - - 0 -"),
        ("c.v1.k.ko1", "R o-9"),
        ("c.v1.v.o-99", "ko1"),
        ("i.ko1.v1", ""),
        ("q.v1.0000000000000099", "{\"notify\":\"kp1\"}"),
        ("w.v9", "0 0 1 0 0 0"),
        ("gc.v1.dropExport.ko5", ""),
        ("pin.ko99", ""),
        ("h.ko1", ""),
        ("vs.v9.x", "1"),
        ("code.0", "x"),
        ("calls", "7"),
        ("imports.v1", "1 1 1"),
        ("next.object", "1"),
    ] {
        let before = watch.row(key).map(str::to_owned);
        assert_ne!(watch.write(key, Some(value)), [], "{key} = {value} goes unnoticed");
        assert_eq!(watch.write(key, before.as_deref()), [], "{key} is as it was");
    }
}

#[test]
fn a_watch_follows_what_turns_write() {
    let mut world = busy();
    let (mut watch, _) = world.core.watch().unwrap();
    world.core.terminate_all().unwrap();
    assert_eq!(world.core.follow(&mut watch).unwrap(), []);
    assert_eq!(watch.vats().count(), 0);
    world.settle_all();
    assert_eq!(world.core.follow(&mut watch).unwrap(), []);
    world.commit();
    for key in world.keys() {
        assert_eq!(watch.row(&key), world.store.get(&key).unwrap().as_deref(), "{key}");
    }
}
