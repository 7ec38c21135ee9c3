// Maps and sets that live in the store, and only there: `makeScalarBigMapStore` and its like.
//
// Collection N has an entry `vc.N.<key>` for each key, with the value as CapData; `vc.N.|<vref>` tells
// the number that a reference among the keys was given; `vc.N.|entryCount`, `|nextOrdinal` and
// `|schemata` are about the whole. A weak one does not hold its keys, which know it by `vom.ir.` records,
// and cannot be listed.
(kit) => {
  const { JSON, Map, Object, Symbol } = globalThis;
  const { parse, stringify } = JSON;
  const { Far, assert, getTag, harden, isPrimitive, makeTagged, passStyleOf, patterns } = kit.ocap;
  const { M, assertPattern, matches, mustMatch } = patterns;
  const { Fail, quote: q } = assert;
  const { changeRefs, encodeKey, native, partsOf, vrefOf } = kit;

  // `|entryCount` and `|nextOrdinal` of collections that this crank has asked for.
  const numbers = new Map();
  const NULL = '{"body":"#null","slots":[]}';
  const NO_SLOTS = '"slots":[]}';

  const numberOf = (key) => {
    let entry = numbers.get(key);
    if (entry === undefined) {
      entry = { value: +native.vatstoreGet(key), isChanged: false };
      numbers.set(key, entry);
    }
    return entry;
  };
  const addTo = (key, change) => {
    const entry = numberOf(key);
    entry.value += change;
    entry.isChanged = true;
    return entry.value - change;
  };
  const flushNumbers = () => {
    for (const [key, { value, isChanged }] of numbers) {
      if (isChanged) native.vatstoreSet(key, `${value}`);
    }
    numbers.clear();
  };

  // What a stored value mentions.
  const slotsOf = (text) => (text.endsWith(NO_SLOTS) ? [] : parse(text).slots);

  const isTagged = (value, tag) =>
    !isPrimitive(value) &&
    Object.isFrozen(value) &&
    passStyleOf(value) === 'tagged' &&
    getTag(value) === tag;
  const isAny = (pattern) => pattern === undefined || isTagged(pattern, 'match:any');

  // Whether a value matches a shape; fast for the shapes that nearly all keys have.
  const checkerOf = (shape) => {
    if (isTagged(shape, 'match:any')) return () => true;
    if (isTagged(shape, 'match:string')) return (key) => typeof key === 'string' && matches(key, shape);
    if (isTagged(shape, 'match:scalar')) {
      return (key) => typeof key === 'string' || matches(key, shape);
    }
    if (isTagged(shape, 'match:and')) {
      const checkers = shape.payload.map(checkerOf);
      return (key) => checkers.every((check) => check(key));
    }
    return (key) => matches(key, shape);
  };

  const schemaAt = (prefix) => {
    const { body, slots } = parse(native.vatstoreGet(`${prefix}|schemata`));
    const { keyShape, valueShape, label } = kit.decode(body, slots);
    return { keyShape, valueShape, label, isKey: checkerOf(keyShape) };
  };

  // The methods of one collection, of which each sort of store has some.
  const open = (id, { isWeak, isDurable }) => {
    const prefix = `vc.${id}.`;
    const COUNT = `${prefix}|entryCount`;
    const ORDINAL = `${prefix}|nextOrdinal`;
    let schema;
    // Raised by additions, so that an iteration can tell.
    let generation = 0;

    const getSchema = () => {
      schema ??= schemaAt(prefix);
      return schema;
    };

    const checkKey = (key) => {
      const { isKey, keyShape, label } = getSchema();
      if (isKey(key)) return;
      const what = `invalid key type for collection ${q(label)}`;
      mustMatch(harden(key), keyShape, what);
      throw Fail`${assert.bare('invalid key type for collection')} ${q(label)}`;
    };

    const checkValue = (value) => {
      const { valueShape, label } = getSchema();
      if (valueShape !== undefined) {
        mustMatch(value, valueShape, `invalid value type for collection ${q(label)}`);
      }
      return value;
    };

    // A value's text and what it mentions.
    const encode = (value) => {
      checkValue(harden(value));
      const data = isDurable ? kit.encodeDurable(value, 'value') : kit.encode(value);
      kit.assertSize(data.body.length, data.slots.length);
      return data;
    };
    const decode = (text) => {
      const { body, slots } = parse(text);
      return checkValue(kit.decode(body, slots));
    };

    const ordinalKey = (vref) => `${prefix}|${vref}`;

    // The store's key for a key; `undefined` for an object that is not among them.
    const recordOf = (key) => {
      if (isPrimitive(key)) return `${prefix}${encodeKey(key)}`;
      const vref = kit.referTo(key);
      const ordinal = native.vatstoreGet(ordinalKey(vref));
      return ordinal === undefined ? undefined : `${prefix}${kit.encodeReferenceKey(ordinal, vref)}`;
    };

    const find = (key) => {
      const record = recordOf(key);
      const text = record === undefined ? undefined : native.vatstoreGet(record);
      return { record, text };
    };

    const mustFind = (key) => {
      checkKey(key);
      const found = find(key);
      if (found.text === undefined) {
        throw Fail`key ${q(key)} not found in collection ${q(getSchema().label)}`;
      }
      return found;
    };

    const has = (key) => getSchema().isKey(key) && find(key).text !== undefined;

    // A new object among the keys.
    const admit = (key) => {
      const vref = kit.referTo(key);
      const ordinal = `${addTo(ORDINAL, 1)}`;
      native.vatstoreSet(ordinalKey(vref), ordinal);
      if (isWeak) {
        kit.addStoredKnower(vref, id);
      } else {
        kit.addRef(vref);
      }
      return `${prefix}${kit.encodeReferenceKey(ordinal, vref)}`;
    };

    // `encoded` is a value's text and what it mentions: it was encoded before anything was looked up,
    // because encoding may run code of the vat's.
    const add = (key, value, text, slots) => {
      if (has(key)) {
        throw Fail`key ${q(key)} already registered in collection ${q(getSchema().label)}`;
      }
      if (isDurable && !isPrimitive(key) && !kit.isDurable(kit.referTo(key))) {
        throw Fail`key (${q(key)}) is not durable in ${q(value)}`;
      }
      generation += 1;
      const record = isPrimitive(key) ? recordOf(key) : admit(key);
      kit.addRefs(slots);
      native.vatstoreSet(record, text);
      if (!isWeak) addTo(COUNT, 1);
    };

    const init = (key, value) => {
      checkKey(key);
      if (has(key)) {
        throw Fail`key ${q(key)} already registered in collection ${q(getSchema().label)}`;
      }
      const data = encode(value);
      add(key, value, stringify(data), data.slots);
    };

    const addKey = (key) => {
      checkKey(key);
      if (!has(key)) add(key, null, NULL, []);
    };

    const set = (key, value) => {
      checkKey(key);
      const data = encode(value);
      const { record, text } = mustFind(key);
      changeRefs(slotsOf(text), data.slots);
      native.vatstoreSet(record, stringify(data));
    };

    // Removes an entry, but does not count it.
    const removeEntry = (key) => {
      const { record, text } = mustFind(key);
      kit.dropRefs(slotsOf(text));
      native.vatstoreDelete(record);
      if (isPrimitive(key)) return;
      const vref = vrefOf.get(key);
      native.vatstoreDelete(ordinalKey(vref));
      if (isWeak) {
        kit.removeStoredKnower(vref, id);
      } else {
        kit.dropRef(vref);
      }
    };
    const remove = (key) => {
      removeEntry(key);
      if (!isWeak) addTo(COUNT, -1);
    };

    // The entries that match one after the other, as `project` makes them of a key and a record. What is
    // deleted meanwhile is skipped. Keys nobody asks for are not decoded: that would make their presences.
    const walk = function* walk(keyPattern, valuePattern, project) {
      const started = generation;
      const anyKey = isAny(keyPattern);
      const anyValue = isAny(valuePattern);
      if (!anyKey) assertPattern(keyPattern);
      if (!anyValue) assertPattern(valuePattern);
      const [start, end] = kit.keyRange(anyKey ? M.any() : keyPattern);
      let record = `${prefix}${start}`;
      if (start === '' || native.vatstoreGet(record) === undefined) {
        record = native.vatstoreNextKey(record);
      }
      while (record !== undefined && record.startsWith(prefix)) {
        const text = record.slice(prefix.length);
        if (text >= end) return;
        const key = anyKey && project === valueAt ? undefined : kit.decodeKey(text);
        if (anyKey || matches(key, keyPattern)) {
          if (anyValue || matches(decode(native.vatstoreGet(record)), valuePattern)) {
            yield project(key, record);
            if (generation !== started) throw Fail`keys in store cannot be added to during iteration`;
          }
        }
        record = native.vatstoreNextKey(record);
      }
    };
    const keyAt = (key) => key;
    const valueAt = (_key, record) => decode(native.vatstoreGet(record));
    const entryAt = (key, record) => harden([key, valueAt(key, record)]);
    const keys = (keyPattern, valuePattern) => walk(keyPattern, valuePattern, keyAt);
    const entries = (keyPattern, valuePattern) => walk(keyPattern, valuePattern, entryAt);

    const getSize = (keyPattern, valuePattern) => {
      if (isAny(keyPattern) && isAny(valuePattern)) return numberOf(COUNT).value;
      let size = 0;
      for (const _ of keys(keyPattern, valuePattern)) size += 1;
      return size;
    };

    const clear = (keyPattern, valuePattern) => {
      if (isAny(keyPattern) && isAny(valuePattern)) {
        for (const record of kit.keysUnder(prefix)) kit.removeRecord(record, prefix, id, isWeak);
        const entry = numberOf(COUNT);
        addTo(COUNT, -entry.value);
      } else {
        for (const key of keys(keyPattern, valuePattern)) remove(key);
      }
    };

    const listOf = (items, tag) => {
      if (!isPrimitive(items) && typeof items[Symbol.iterator] === 'function') return items;
      if (!isTagged(items, tag)) throw Fail`provided data source is not iterable: ${q(items)}`;
      if (tag === 'copySet') return items.payload;
      return items.payload.keys.map((key, i) => [key, items.payload.values[i]]);
    };

    return {
      has,
      get: (key) => decode(mustFind(key).text),
      init,
      set,
      add: addKey,
      delete: remove,
      addAllKeys: (items) => {
        for (const key of listOf(items, 'copySet')) addKey(key);
      },
      addAllEntries: (items) => {
        for (const [key, value] of listOf(items, 'copyMap')) {
          if (has(key)) {
            set(key, value);
          } else {
            init(key, value);
          }
        }
      },
      keys,
      values: (keyPattern, valuePattern) => walk(keyPattern, valuePattern, valueAt),
      entries,
      getSize,
      snapshotKeys: (keyPattern) => {
        const pairs = kit.descending([...keys(keyPattern)].map((key) => [key]));
        return makeTagged('copySet', harden(pairs.map(([key]) => key)));
      },
      snapshotEntries: (keyPattern, valuePattern) => {
        const pairs = kit.descending([...entries(keyPattern, valuePattern)]);
        const payload = { keys: pairs.map(([key]) => key), values: pairs.map(([, value]) => value) };
        return makeTagged('copyMap', harden(payload));
      },
      clear,
    };
  };

  // What each sort of store offers.
  const INTERFACES = {
    __proto__: null,
    weakMapStore: ({ has, get, init, set, delete: remove, addAllEntries: addAll }) => ({
      has,
      get,
      init,
      set,
      delete: remove,
      addAll,
    }),
    mapStore: (all) => {
      const { keys, values, entries, snapshotEntries: snapshot, getSize, clear } = all;
      return { ...INTERFACES.weakMapStore(all), keys, values, entries, snapshot, getSize, clear };
    },
    weakSetStore: ({ has, add, delete: remove, addAllKeys: addAll }) => ({
      has,
      add,
      delete: remove,
      addAll,
    }),
    setStore: (all) => ({
      ...INTERFACES.weakSetStore(all),
      keys: (pattern) => all.keys(pattern),
      values: (pattern) => all.keys(pattern),
      snapshot: all.snapshotKeys,
      getSize: (pattern) => all.getSize(pattern),
      clear: all.clear,
    }),
  };

  // Kind of stores -> what they are.
  const sorts = new Map();

  const summon = (sort, id) => Far(sort.name, INTERFACES[sort.name](open(id, sort)));

  // Deletes one record of a collection, except those about the whole. Whether something in the heap may
  // be free now.
  const removeRecord = (record, prefix, id, isWeak) => {
    const rest = record.slice(prefix.length);
    let freed = false;
    if (rest[0] !== '|') {
      freed = kit.dropRefs(slotsOf(native.vatstoreGet(record)));
    } else if (!rest.includes('+') && !rest.includes('-')) {
      return false;
    } else if (isWeak) {
      kit.removeStoredKnower(rest.slice(1), id);
    } else {
      freed = kit.dropRef(rest.slice(1));
    }
    native.vatstoreDelete(record);
    return freed;
  };

  // Removes an unreachable collection, or as much as may be in one crank.
  const removeCollection = (sort) => (base) => {
    const id = partsOf(base).instance;
    const prefix = `vc.${id}.`;
    let freed = false;
    for (const record of kit.keysUnder(prefix)) {
      if (!kit.spend()) {
        kit.postpone(base);
        return freed;
      }
      freed = removeRecord(record, prefix, id, sort.isWeak) || freed;
    }
    const schemata = `${prefix}|schemata`;
    freed = kit.dropRefs(slotsOf(native.vatstoreGet(schemata))) || freed;
    for (const name of ['|entryCount', '|nextOrdinal']) {
      numbers.delete(`${prefix}${name}`);
      native.vatstoreDelete(`${prefix}${name}`);
    }
    native.vatstoreDelete(schemata);
    return freed;
  };

  // The entry of a weak collection whose key is gone. Whether something in the heap may be free now.
  const removeWeakEntry = (id, vref) => {
    const prefix = `vc.${id}.`;
    const ordinal = native.vatstoreGet(`${prefix}|${vref}`);
    if (ordinal === undefined) return false;
    native.vatstoreDelete(`${prefix}|${vref}`);
    const record = `${prefix}${kit.encodeReferenceKey(ordinal, vref)}`;
    const text = native.vatstoreGet(record);
    if (text === undefined) return false;
    native.vatstoreDelete(record);
    return kit.dropRefs(slotsOf(text));
  };

  const make = (name, label, options) => {
    assert.typeof(label, 'string');
    const { keyShape, valueShape, durable = false } = options;
    const isDurable = !!durable;
    const [kind, sort] = [...sorts].find(
      ([, each]) => each.name === name && each.isDurable === isDurable,
    );
    const shape = keyShape === undefined ? M.scalar() : M.and(M.scalar(), harden(keyShape));
    assertPattern(shape);
    if (valueShape !== undefined) assertPattern(harden(valueShape));
    const schemata = harden({ label, keyShape: shape, ...(valueShape === undefined ? {} : { valueShape }) });
    const data = isDurable ? kit.encodeDurable(schemata, 'value') : kit.encode(schemata);
    const id = `${kit.nextCollection()}`;
    const prefix = `vc.${id}.`;
    native.vatstoreSet(`${prefix}|nextOrdinal`, '1');
    if (!sort.isWeak) native.vatstoreSet(`${prefix}|entryCount`, '0');
    kit.addRefs(data.slots);
    native.vatstoreSet(`${prefix}|schemata`, stringify(data));
    const store = summon(sort, id);
    kit.register(`o+${isDurable ? 'd' : 'v'}${kind}/${id}`, store);
    return store;
  };

  kit.removeRecord = removeRecord;
  kit.removeWeakEntry = removeWeakEntry;
  kit.flushNumbers = flushNumbers;
  kit.startCollections = (storeKinds) => {
    for (const [key, number] of storeKinds) {
      // Such as `scalarDurableWeakMapStore`.
      const isDurable = key.includes('Durable');
      const isWeak = key.includes('Weak');
      const what = key.endsWith('MapStore') ? 'apStore' : 'etStore';
      const name = `${isWeak ? 'weak' : ''}${what === 'apStore' ? 'M' : 'S'}${what}`;
      const sort = { name: isWeak ? name : name[0].toLowerCase() + name.slice(1), isWeak, isDurable };
      const kind = `${number}`;
      sorts.set(kind, sort);
      kit.kinds.set(kind, {
        revive: (base) => summon(sort, partsOf(base).instance),
        remove: removeCollection(sort),
        facets: undefined,
      });
    }
  };
  kit.makeScalarBigMapStore = (label = 'map', options = {}) => make('mapStore', label, options);
  kit.makeScalarBigWeakMapStore = (label = 'weakMap', options = {}) =>
    make('weakMapStore', label, options);
  kit.makeScalarBigSetStore = (label = 'set', options = {}) => make('setStore', label, options);
  kit.makeScalarBigWeakSetStore = (label = 'weakSet', options = {}) =>
    make('weakSetStore', label, options);
};
