// The services that are known: a row each in the vat's store, so that a registration costs the same
// however many there are, and nothing is lost by a restart. Beside it, in memory and made anew in each
// life when it is first needed, the index by words.
import { makeIndex } from './rank.js';

/** Services known at once. */
export const SERVICES_MAX = 20_000;

/** Ids remembered that others have taken the place of. */
const REPLACED_MAX = 1_000;

/** Whose a URL's object is: the text between `@` and the first hint; '' if it names nobody. */
export const peerOf = url => (/^[^@]*@([^,]*)/.exec(url) ?? ['', ''])[1];

// What a provider is known by over its lives: its kernel and its tag there. Tags are free text, so they
// come last.
const keyOf = ({ contact, providerTag }) => `${peerOf(contact[0].contactUrl)} ${providerTag}`;

const idOf = number => `svc:${number}`;

/** The registry in a vat's baggage. */
export const provideRegistry = (baggage, { makeScalarBigMapStore }) => {
  const provide = (name, make) => {
    if (!baggage.has(name)) baggage.init(name, make());
    return baggage.get(name);
  };
  const durable = { durable: true };
  // id -> { description, contact, failures }
  const rows = provide('services', () => makeScalarBigMapStore('services', durable));
  // Key of the provider -> ids.
  const holders = provide('providers', () => makeScalarBigMapStore('providers', durable));
  provide('nextId', () => 0);

  let index;
  const indexed = () => {
    if (index === undefined) {
      index = makeIndex();
      for (const [id, { description }] of rows.entries()) index.add(id, description);
    }
    return index;
  };

  /** An id that none had before, in any life. */
  const takeId = () => {
    const number = baggage.get('nextId');
    baggage.set('nextId', number + 1);
    return idOf(number);
  };

  const remove = id => {
    if (!rows.has(id)) return false;
    const key = keyOf(rows.get(id).description);
    const left = holders.get(key).filter(other => other !== id);
    if (left.length > 0) holders.set(key, harden(left));
    else holders.delete(key);
    rows.delete(id);
    index?.remove(id);
    return true;
  };

  // Old id -> new id, of this life: who is being asked may still name the old one.
  const successors = new Map();
  const replace = (old, id) => {
    if (!remove(old)) return;
    if (successors.size >= REPLACED_MAX) successors.delete(successors.keys().next().value);
    successors.set(old, id);
  };
  const presentId = id => {
    let present = id;
    while (!rows.has(present) && successors.has(present)) present = successors.get(present);
    return present;
  };

  const add = (id, description, contact) => {
    const key = keyOf(description);
    rows.init(id, harden({ description, contact, failures: 0 }));
    if (holders.has(key)) holders.set(key, harden([...holders.get(key), id]));
    else holders.init(key, harden([id]));
    index?.add(id, description);
  };

  return harden({
    takeId,
    add,
    remove,
    /** Removes a service whose place another takes. */
    replace,
    /** The id that a service has now. */
    presentId,
    has: id => rows.has(id),
    get: id => rows.get(id),
    ids: () => [...rows.keys()],
    size: () => rows.getSize(),
    /** The services that a provider of that description's kernel and tag has. */
    ofProvider(description) {
      const key = keyOf(description);
      return holders.has(key) ? holders.get(key) : [];
    },
    /** How often in a row its provider has not answered. */
    setFailures(id, failures) {
      const row = rows.get(id);
      if (row.failures !== failures) rows.set(id, harden({ ...row, failures }));
    },
    search: (query, most) => indexed().search(query, most),
  });
};
harden(provideRegistry);
