//! The key space: every key the core writes, in one place.
//!
//! | key | value |
//! |---|---|
//! | `format` | format of this table, decimal |
//! | `next.object` `.promise` `.vat` `.subcluster` `.call` | next number to hand out, decimal |
//! | `o.ko4` | object: `owner reachable recognizable` and ` revoked`; owner `v1`, `kernel` or `-` |
//! | `i.ko4.v1` | empty: `v1` imports `ko4` |
//! | `p.kp4` | promise: `state refs decider subscribers parked mark`, see [`crate::rows::Promise`] |
//! | `pv.kp4` | value of a settled promise, JSON CapData |
//! | `pq.kp4.<n>` | message parked on a promise, JSON, in order |
//! | `c.v1.k.ko4` | c-list: `R o-1` (reachable) or `_ o-1` |
//! | `c.v1.v.o-1` | c-list, the other way: `ko4` |
//! | `imports.v1` | next `o-` and next `p-` number of a vat, c-list entries: `5 7 3` |
//! | `w.v1`, `w.kernel` | work waiting for an endpoint, see [`crate::rows::Work`]; absent if none |
//! | `q.v1.<n>`, `q.kernel.<n>` | queued item, JSON, in order |
//! | `gc.v1.dropExport.ko4` | collection action due (`dropExport`, `retireExport`, `retireImport`) |
//! | `gc.v1.0sent` | what a collection delivery under way says, JSON |
//! | `vat.v1` | vat, JSON |
//! | `vatconfig.v1` | its config, JSON |
//! | `vs.v1.<key>` | its own store |
//! | `stored.v1` | bytes of keys and values in its own store, decimal; absent if none |
//! | `gone.v1` | why a vat ended that has left some of the above but `vat.`, `stored.` and `w.` |
//! | `sub.s1` | subcluster, JSON |
//! | `config.s1` | its config, JSON |
//! | `subname.<name>`, `sysname.<name>` | `s1`; the latter are system subclusters |
//! | `code.<hash>` | text of code |
//! | `svc.<name>` | `ko1`; channels are `io:s1:<channel>` |
//! | `objsvc.<name>` | `ko5`, and ` system`: a vat's object that is a service |
//! | `svck.ko1` | what a kernel-owned object is, JSON |
//! | `conn.ko5.ko9` | empty: `ko9` is a connection of the channel `ko5`, which has many |
//! | `pin.ko4` | empty: held as a root or a service |
//! | `call.<n>` | call of a service or channel under way, JSON |
//! | `callof.v1.<n>` | empty: `v1` made that call |
//! | `ask.v1.kp4` | the call `<n>` by which `v1` asked its host for something |
//! | `asks.v1` | how many `ask.` rows a vat has, decimal; absent if none |
//! | `timer.<t>.<n>` | timer `<n>`, to be looked at `<t>` milliseconds after 1970, JSON |
//! | `timerof.v1.<n>` | `<t>` of a timer that `v1` set, decimal |
//! | `timers.v1`, `timers.s1` | how many timers a vat or a subcluster has; absent if none |
//! | `peerId` | this kernel's name among others |
//! | `secret.keySeed`, `secret.entropy` | what its key is made from, and that from; never shown to anybody |
//! | `url.<hash>` | OCAP URL whose secret has this SHA-256, JSON |
//! | `urlof.ko4.<hash>` | empty: that URL stands for `ko4` |
//! | `urlexp.<t>.<hash>` | empty: that URL is void `<t>` milliseconds after 1970 |
//! | `urlend.ko4` | empty: `ko4` is gone, and its URLs are being removed |
//! | `urls`, `urls.v1` | how many URLs there are, and a vat has issued; absent if none |
//! | `read.ko5.<n>`, `ready.ko5.<n>` | empty: that call waits for the channel `ko5` |
//! | `calls` | how many `call.` rows there are, decimal |
//! | `wait.kp4` | who outside waits for a promise: `t5` a ticket, `s1` a launch |
//! | `h.ko4`, `h.kp4` | empty: held by the host |
//! | `hosts` | how many `h.` rows there are, decimal |
//! | `once.<key>` | what became of a request that is to happen once, JSON, see [`crate::once`] |
//! | `onceat.<t>.<key>` | empty: that was accepted `<t>` milliseconds after 1970 |
//! | `onces` | how many `once.` rows there are, decimal; absent if none |
//!
//! `<n>` is a decimal padded with zeros to 16 places, so that key order is number order.

use std::fmt::Display;

use ocap_types::{KRef, SubclusterId, VRef, VatId};

use crate::key::{Key, Kind};
use crate::rows::Party;
use crate::text::Text;

pub(crate) const FORMAT: &Key = &Key::fixed(0);
pub(crate) const NEXT_OBJECT: &Key = &Key::fixed(1);
pub(crate) const NEXT_PROMISE: &Key = &Key::fixed(2);
pub(crate) const NEXT_VAT: &Key = &Key::fixed(3);
pub(crate) const NEXT_SUBCLUSTER: &Key = &Key::fixed(4);
pub(crate) const NEXT_CALL: &Key = &Key::fixed(5);
pub(crate) const CALLS: &Key = &Key::fixed(6);
pub(crate) const HOSTS: &Key = &Key::fixed(7);
pub(crate) const ONCES: &Key = &Key::fixed(8);

pub(crate) const WORK: &str = "w.";
pub(crate) const PROMISES: &str = "p.";
pub(crate) const VATS: &str = "vat.";
pub(crate) const SUBCLUSTERS: &str = "sub.";
pub(crate) const SYSTEM_NAMES: &str = "sysname.";
pub(crate) const OBJECT_SERVICES: &str = "objsvc.";
pub(crate) const CALL: &str = "call.";
pub(crate) const VATSTORES: &str = "vs.";
pub(crate) const WAITS: &str = "wait.";
pub(crate) const CONNECTIONS: &str = "conn.";
pub(crate) const GONE: &str = "gone.";
pub(crate) const TIMERS: &str = "timer.";
pub(crate) const ONCE: &str = "once.";
pub(crate) const ONCES_BY_AGE: &str = "onceat.";
pub(crate) const PEER_ID: &str = "peerId";
pub(crate) const KEY_SEED: &str = "secret.keySeed";
pub(crate) const ENTROPY: &str = "secret.entropy";
pub(crate) const URLS: &str = "url.";
pub(crate) const URL_EXPIRIES: &str = "urlexp.";
pub(crate) const URL_ENDS: &str = "urlend.";

pub(crate) fn object(number: u64) -> Key {
    Key::numbered(Kind::Object, 0, number)
}
pub(crate) fn importers(number: u64) -> String {
    Text::new("i.ko").number(number).char('.').done()
}
pub(crate) fn importer(number: u64, vat: VatId) -> Key {
    Key::numbered(Kind::Importer, vat.0, number)
}
pub(crate) fn promise(number: u64) -> Key {
    Key::numbered(Kind::Promise, 0, number)
}
pub(crate) fn promise_value(number: u64) -> Key {
    Key::numbered(Kind::PromiseValue, 0, number)
}
pub(crate) fn parked(number: u64, n: u64) -> Key {
    Key::numbered(Kind::Parked, n, number)
}
pub(crate) fn by_kref(vat: VatId, kref: KRef) -> Key {
    match kref {
        KRef::Object(number) => Key::numbered(Kind::ByObject, vat.0, number),
        KRef::Promise(number) => Key::numbered(Kind::ByPromise, vat.0, number),
    }
}
pub(crate) fn by_vref(vat: VatId, vref: VRef) -> Key {
    let (kind, number) = match vref {
        VRef::Export(number) => (Kind::ByExport, number),
        VRef::Import(number) => (Kind::ByImport, number),
        VRef::ExportPromise(number) => (Kind::ByExportPromise, number),
        VRef::ImportPromise(number) => (Kind::ByImportPromise, number),
        VRef::Kinded { .. } => {
            return Key::Long(Text::new("c.").vat(vat).str(".v.").vref(vref).done());
        }
    };
    Key::numbered(kind, vat.0, number)
}
/// Prefix of the vat-side c-list rows whose reference begins with `start`.
pub(crate) fn by_vref_prefix(vat: VatId, start: &str) -> String {
    Text::new("c.").vat(vat).str(".v.").str(start).done()
}
pub(crate) fn imports(vat: VatId) -> Key {
    Key::numbered(Kind::Imports, vat.0, 0)
}
pub(crate) fn work(party: Party) -> Key {
    match party {
        Party::Kernel => Key::numbered(Kind::KernelWork, 0, 0),
        Party::Vat(vat) => Key::numbered(Kind::VatWork, vat.0, 0),
    }
}
pub(crate) fn queue(party: Party) -> String {
    Text::new("q.").party(party).char('.').done()
}
pub(crate) fn queued(party: Party, n: u64) -> Key {
    match party {
        Party::Kernel => Key::numbered(Kind::KernelItem, 0, n),
        Party::Vat(vat) => Key::numbered(Kind::VatItem, vat.0, n),
    }
}
pub(crate) fn gc_actions(vat: VatId) -> String {
    Text::new("gc.").vat(vat).char('.').done()
}
pub(crate) fn gc_action(vat: VatId, kind: &str, number: u64) -> Key {
    Key::Long(Text::new("gc.").vat(vat).char('.').str(kind).str(".ko").number(number).done())
}
pub(crate) fn gc_sent(vat: VatId) -> Key {
    Key::Long(format!("gc.{vat}.{}", crate::gc::SENT))
}
pub(crate) fn vat(vat: VatId) -> Key {
    Key::numbered(Kind::Vat, vat.0, 0)
}
pub(crate) fn vat_config(vat: VatId) -> Key {
    Key::Long(Text::new("vatconfig.").vat(vat).done())
}
/// Prefix of a vat's own store.
pub(crate) fn vatstore_prefix(vat: VatId) -> String {
    Text::new(VATSTORES).vat(vat).char('.').done()
}
pub(crate) fn vatstore(vat: VatId, key: &str) -> Key {
    Key::Long(Text::new(VATSTORES).vat(vat).char('.').str(key).done())
}
pub(crate) fn stored(vat: VatId) -> Key {
    Key::Long(Text::new("stored.").vat(vat).done())
}
pub(crate) fn gone(vat: VatId) -> Key {
    Key::Long(Text::new(GONE).vat(vat).done())
}
pub(crate) fn subcluster(id: SubclusterId) -> Key {
    Key::Long(format!("sub.{id}"))
}
pub(crate) fn config(id: SubclusterId) -> Key {
    Key::Long(format!("config.{id}"))
}
/// System subclusters have names of their own: no client can take one of theirs.
pub(crate) fn subcluster_name(system: bool, name: &str) -> Key {
    let space = if system { SYSTEM_NAMES } else { "subname." };
    Key::Long(format!("{space}{name}"))
}
pub(crate) fn code(hash: &str) -> Key {
    Key::Long(format!("code.{hash}"))
}
pub(crate) fn service(name: impl Display) -> Key {
    Key::Long(format!("svc.{name}"))
}
pub(crate) fn object_service(name: &str) -> Key {
    Key::Long(format!("{OBJECT_SERVICES}{name}"))
}
pub(crate) fn service_of(number: u64) -> Key {
    Key::Long(Text::new("svck.ko").number(number).done())
}
/// Prefix of a channel's connections.
pub(crate) fn connections(channel: u64) -> String {
    Text::new(CONNECTIONS).str("ko").number(channel).char('.').done()
}
pub(crate) fn connection(channel: u64, number: u64) -> Key {
    let text = Text::new(CONNECTIONS).str("ko").number(channel).str(".ko").number(number);
    Key::Long(text.done())
}
pub(crate) fn pin(number: u64) -> Key {
    Key::Long(Text::new("pin.ko").number(number).done())
}
pub(crate) fn call(id: u64) -> Key {
    Key::Long(Text::new("call.").padded(id, 16).done())
}
pub(crate) fn calls_of(vat: VatId) -> String {
    Text::new("callof.").vat(vat).char('.').done()
}
pub(crate) fn call_of(vat: VatId, id: u64) -> Key {
    Key::Long(Text::new("callof.").vat(vat).char('.').padded(id, 16).done())
}
pub(crate) fn ask(vat: VatId, result: KRef) -> Key {
    Key::Long(Text::new("ask.").vat(vat).char('.').kref(result).done())
}
pub(crate) fn asks(vat: VatId) -> Key {
    Key::Long(Text::new("asks.").vat(vat).done())
}
pub(crate) fn timer(at: u64, id: u64) -> Key {
    Key::Long(Text::new(TIMERS).padded(at, 16).char('.').padded(id, 16).done())
}
/// What precedes the timers that are looked at at that moment or later, and follows all others.
pub(crate) fn timers_from(at: u64) -> String {
    Text::new(TIMERS).padded(at, 16).done()
}
pub(crate) fn timers_of(vat: VatId) -> String {
    Text::new("timerof.").vat(vat).char('.').done()
}
pub(crate) fn timer_of(vat: VatId, id: u64) -> Key {
    Key::Long(Text::new("timerof.").vat(vat).char('.').padded(id, 16).done())
}
/// How many timers a vat or a subcluster has.
pub(crate) fn timers(of: impl Display) -> Key {
    Key::Long(format!("timers.{of}"))
}
pub(crate) fn url(hash: &str) -> Key {
    Key::Long(Text::new(URLS).str(hash).done())
}
/// Prefix of the URLs that stand for an object.
pub(crate) fn urls_of(number: u64) -> String {
    Text::new("urlof.ko").number(number).char('.').done()
}
pub(crate) fn url_of(number: u64, hash: &str) -> Key {
    Key::Long(Text::new("urlof.ko").number(number).char('.').str(hash).done())
}
pub(crate) fn url_expiry(at: u64, hash: &str) -> Key {
    Key::Long(Text::new(URL_EXPIRIES).padded(at, 16).char('.').str(hash).done())
}
/// What precedes the expiries at that moment or later, and follows all others.
pub(crate) fn url_expiries_from(at: u64) -> String {
    Text::new(URL_EXPIRIES).padded(at, 16).done()
}
pub(crate) fn url_end(number: u64) -> Key {
    Key::Long(Text::new(URL_ENDS).str("ko").number(number).done())
}
/// How many URLs there are.
pub(crate) fn url_count() -> Key {
    Key::Long("urls".to_owned())
}
/// How many URLs a vat has issued.
pub(crate) fn url_count_of(vat: VatId) -> Key {
    Key::Long(Text::new("urls.").vat(vat).done())
}
pub(crate) fn reads(channel: u64) -> String {
    Text::new("read.ko").number(channel).char('.').done()
}
pub(crate) fn readies(channel: u64) -> String {
    Text::new("ready.ko").number(channel).char('.').done()
}
pub(crate) fn wait(number: u64) -> Key {
    Key::numbered(Kind::Wait, 0, number)
}
pub(crate) fn host(kref: KRef) -> Key {
    match kref {
        KRef::Object(number) => Key::numbered(Kind::HostObject, 0, number),
        KRef::Promise(number) => Key::numbered(Kind::HostPromise, 0, number),
    }
}
pub(crate) fn once(key: &str) -> Key {
    Key::Long(format!("once.{key}"))
}
pub(crate) fn once_at(at: u64, key: &str) -> Key {
    Key::Long(Text::new(ONCES_BY_AGE).padded(at, 16).char('.').str(key).done())
}
/// The key of the request that a row of [`once_at`] lists.
pub(crate) fn once_listed(row: &str) -> Option<&str> {
    row.strip_prefix(ONCES_BY_AGE)?.split_once('.').map(|(_, key)| key)
}
/// The number a padded key ends with.
pub(crate) fn padded_number(key: &str) -> Option<u64> {
    key.rsplit('.').next()?.parse().ok()
}
