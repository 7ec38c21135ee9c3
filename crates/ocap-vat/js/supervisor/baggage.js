// Baggage: the map that outlives incarnations. String keys, durable values; collection 1 of the
// vatstore.
(kit) => {
  const { Error, JSON, Object, RangeError, Symbol, TypeError } = globalThis;
  const { parse, stringify } = JSON;
  const { Far, harden, passStyleOf } = kit.ocap;
  const { native, encodeDurable, decode } = kit;

  const VREF = 'o+d6/1';
  const ENTRY = 'vc.1.s';
  const COUNT = 'vc.1.|entryCount';
  const LABEL = 'collection "baggage"';

  // UTF-16 units of a key; with its prefix it fits what the kernel takes for one (4096 bytes).
  const KEY_LENGTH_MAX = 1_000;

  // Raised by additions, so that an iteration can tell.
  let generation = 0;

  const checkPatterns = (patterns) => {
    if (patterns.some((pattern) => pattern !== undefined)) {
      throw Error('patterns are not supported yet');
    }
  };

  const recordOf = (key) => {
    if (typeof key !== 'string') throw TypeError(`invalid key type for ${LABEL}`);
    if (key.length > KEY_LENGTH_MAX) {
      throw RangeError(`invalid key for ${LABEL}: longer than ${KEY_LENGTH_MAX}`);
    }
    if (!key.isWellFormed()) {
      throw TypeError(`invalid key for ${LABEL}: not well-formed Unicode`);
    }
    return `${ENTRY}${key}`;
  };

  const load = (text) => {
    const { body, slots } = parse(text);
    return decode(body, slots);
  };

  const size = () => +native.vatstoreGet(COUNT);
  const resize = (change) => native.vatstoreSet(COUNT, `${size() + change}`);

  const mustGet = (key) => {
    const text = native.vatstoreGet(recordOf(key));
    if (text === undefined) throw Error(`key ${stringify(key)} not found in ${LABEL}`);
    return text;
  };

  // Replaces `old` (text of a record, or `undefined`), keeping the counts of what it mentions.
  // `data` was encoded before `old` was read: encoding may run code of the vat's.
  const write = (key, data, old) => {
    const before = old === undefined ? [] : parse(old).slots;
    native.vatstoreSet(recordOf(key), stringify(data));
    for (const slot of data.slots) if (!before.includes(slot)) kit.addDurable(slot);
    for (const slot of before) if (!data.slots.includes(slot)) kit.removeDurable(slot);
  };

  const remove = (key, old) => {
    native.vatstoreDelete(recordOf(key));
    for (const slot of parse(old).slots) kit.removeDurable(slot);
    resize(-1);
  };

  const mustLack = (key) => {
    if (native.vatstoreGet(recordOf(key)) !== undefined) {
      throw Error(`key ${stringify(key)} already registered in ${LABEL}`);
    }
  };

  const init = (key, value) => {
    mustLack(key);
    const data = encodeDurable(value);
    mustLack(key);
    write(key, data, undefined);
    resize(1);
    generation += 1;
  };

  const set = (key, value) => {
    mustGet(key);
    const data = encodeDurable(value);
    write(key, data, mustGet(key));
  };

  // The records one after the other; what is deleted meanwhile is skipped.
  const walk = function* walk(project) {
    const started = generation;
    let record = ENTRY;
    for (;;) {
      if (generation !== started) {
        throw Error(`keys in store cannot be added to during iteration`);
      }
      record = native.vatstoreNextKey(record);
      if (record === undefined || !record.startsWith(ENTRY)) return;
      yield project(record.slice(ENTRY.length), record);
    }
  };

  const keyOf = (key) => key;
  const valueOf = (_key, record) => load(native.vatstoreGet(record));
  const entryOf = (key, record) => harden([key, valueOf(key, record)]);
  const iterable = (project, patterns) => {
    checkPatterns(patterns);
    return harden({ [Symbol.iterator]: () => walk(project) });
  };
  const iterableOf = (project) => (...patterns) => iterable(project, patterns);

  const isTagged = (entries, tag) =>
    typeof entries === 'object' &&
    entries !== null &&
    Object.isFrozen(entries) &&
    passStyleOf(entries) === 'tagged' &&
    entries[Symbol.toStringTag] === tag;

  const makeBaggage = () => {
    const methods = {
      has: (key) => native.vatstoreGet(recordOf(key)) !== undefined,
      get: (key) => load(mustGet(key)),
      init,
      set,
      delete: (key) => remove(key, mustGet(key)),
      addAll: (entries) => {
        const pairs = isTagged(entries, 'copyMap')
          ? entries.payload.keys.map((key, i) => [key, entries.payload.values[i]])
          : entries;
        for (const [key, value] of pairs) {
          if (native.vatstoreGet(recordOf(key)) === undefined) init(key, value);
          else set(key, value);
        }
      },
      getSize: (...patterns) => {
        checkPatterns(patterns);
        return size();
      },
      keys: iterableOf(keyOf),
      values: iterableOf(valueOf),
      entries: iterableOf(entryOf),
      snapshot: (...patterns) => {
        // Ordered as CopyMaps are: descending.
        const entries = [...iterable(entryOf, patterns)].sort(([a], [b]) => (a < b ? 1 : -1));
        return kit.ocap.makeTagged(
          'copyMap',
          harden({ keys: entries.map(([key]) => key), values: entries.map(([, value]) => value) }),
        );
      },
      clear: (...patterns) => {
        for (const key of [...iterable(keyOf, patterns)]) remove(key, mustGet(key));
      },
    };
    const baggage = Far('mapStore', methods);
    kit.exportForever(VREF, baggage);
    return baggage;
  };

  kit.makeBaggage = makeBaggage;
};
