// Who needs an object besides the vat's heap: virtual data that mentions it (`vom.rc.<base>`), the
// kernel (`vom.es.<base>`), and weak collections that know it as a key (`vom.ir.<vref>|<collection>`).
//
// The kernel reads the first of these records too: an import outlives an incarnation if durable data
// mentions it.
(kit) => {
  const { Map, Set } = globalThis;
  const { isImport, isKinded, native, objectOf, partsOf, suspects, vrefOf, young } = kit;

  const COUNT = 'vom.rc.';
  const STATUS = 'vom.es.';
  const KEY_OF = 'vom.ir.';

  // Ephemeral objects and promises that virtual data mentions -> [object, count].
  const counted = new Map();
  // What weak collections in the heap have as keys -> the maps or sets behind those collections.
  const knowers = new Map();
  // Imports that fewer collections know than before.
  const forgotten = new Set();

  const countOf = (base) => {
    const text = native.vatstoreGet(`${COUNT}${base}`);
    return text === undefined ? 0 : +text;
  };

  const setCount = (base, count) => {
    if (count > 0) {
      native.vatstoreSet(`${COUNT}${base}`, `${count}`);
    } else {
      native.vatstoreDelete(`${COUNT}${base}`);
      suspects.add(base);
    }
  };

  // The base under which the store counts it, if it does.
  const storedBase = (vref) => {
    if (vref[0] === 'p') return undefined;
    if (isImport(vref)) return vref;
    return isKinded(vref) ? partsOf(vref).base : undefined;
  };

  const addRef = (vref) => {
    const base = storedBase(vref);
    if (base !== undefined) {
      setCount(base, countOf(base) + 1);
      return;
    }
    const entry = counted.get(vref);
    if (entry === undefined) {
      const object = vref[0] === 'p' ? kit.promiseOf(vref) : (young.get(vref) ?? objectOf(vref));
      counted.set(vref, [object, 1]);
    } else {
      entry[1] += 1;
    }
  };

  // Whether something in the heap may be free now.
  const dropRef = (vref) => {
    const base = storedBase(vref);
    if (base !== undefined) {
      setCount(base, countOf(base) - 1);
      return false;
    }
    const entry = counted.get(vref);
    if (entry === undefined) return false;
    entry[1] -= 1;
    if (entry[1] > 0) return false;
    counted.delete(vref);
    if (vref[0] === 'p') kit.releasePromise(vref, entry[0]);
    return true;
  };

  const addRefs = (slots) => {
    for (const slot of slots) addRef(slot);
  };

  const dropRefs = (slots) => {
    let freed = false;
    for (const slot of slots) freed = dropRef(slot) || freed;
    return freed;
  };

  // Data that mentioned `before` now mentions `after`. What it goes on to mention is not touched.
  const changeRefs = (before, after) => {
    if (before.length === 0) {
      addRefs(after);
    } else if (after.length === 0) {
      dropRefs(before);
    } else {
      const old = new Set(before);
      const now = new Set(after);
      for (const slot of now) if (!old.has(slot)) addRef(slot);
      for (const slot of old) if (!now.has(slot)) dropRef(slot);
    }
  };

  // What the kernel knows of each facet: `r`eaches it, `s`ees it, or `n`either.
  const setExportStatus = (vref, status) => {
    const { base, kind, facet = 0 } = partsOf(vref);
    const key = `${STATUS}${base}`;
    const before = native.vatstoreGet(key) ?? '';
    const all = before.padEnd(kit.facetCount(kind), 'n').padEnd(facet + 1, 'n');
    if (all[facet] === status && before !== '') return;
    const after = `${all.slice(0, facet)}${status}${all.slice(facet + 1)}`;
    if (after.includes('r') || after.includes('s')) {
      native.vatstoreSet(key, after);
    } else {
      native.vatstoreDelete(key);
    }
    if (!after.includes('r')) suspects.add(base);
  };

  const isExported = (base) => (native.vatstoreGet(`${STATUS}${base}`) ?? '').includes('r');

  // The references to an unreachable instance that the kernel still remembers.
  const rememberedOutside = (base) => {
    const status = native.vatstoreGet(`${STATUS}${base}`) ?? '';
    if (kit.facetsOf(partsOf(base).kind) === undefined) return status === 's' ? [base] : [];
    return [...status].flatMap((letter, i) => (letter === 's' ? [`${base}:${i}`] : []));
  };

  const removeRecords = (base) => {
    native.vatstoreDelete(`${COUNT}${base}`);
    native.vatstoreDelete(`${STATUS}${base}`);
  };

  const addKnower = (vref, table) => {
    const tables = knowers.get(vref);
    if (tables === undefined) {
      knowers.set(vref, new Set([table]));
    } else {
      tables.add(table);
    }
  };

  const removeKnower = (vref, table) => {
    const tables = knowers.get(vref);
    if (tables === undefined || !tables.delete(table) || tables.size > 0) return;
    knowers.delete(vref);
    if (isImport(vref)) forgotten.add(vref);
  };

  const addStoredKnower = (vref, collection) => {
    native.vatstoreSet(`${KEY_OF}${vref}|${collection}`, '1');
  };

  const removeStoredKnower = (vref, collection) => {
    native.vatstoreDelete(`${KEY_OF}${vref}|${collection}`);
    if (isImport(vref)) forgotten.add(vref);
  };

  const isKey = (vref) => {
    if (knowers.has(vref)) return true;
    const prefix = `${KEY_OF}${vref}|`;
    return native.vatstoreNextKey(prefix)?.startsWith(prefix) === true;
  };

  // Removes a reference, or those of all facets, from all weak collections. Whether something in the
  // heap may be free now.
  const forgetKey = (vref) => {
    const facets = isKinded(vref) && !vref.includes(':') ? kit.facetsOf(partsOf(vref).kind) : undefined;
    if (facets !== undefined) {
      let freed = false;
      facets.forEach((_, i) => {
        freed = forgetKey(`${vref}:${i}`) || freed;
      });
      return freed;
    }
    const tables = knowers.get(vref) ?? [];
    knowers.delete(vref);
    let freed = false;
    for (const table of tables) {
      table.delete(vref);
      freed = true;
    }
    for (const key of kit.keysUnder(`${KEY_OF}${vref}|`)) {
      native.vatstoreDelete(key);
      freed = kit.removeWeakEntry(key.slice(key.indexOf('|') + 1), vref) || freed;
    }
    return freed;
  };

  kit.counted = counted;
  kit.forgotten = forgotten;
  kit.countOf = countOf;
  kit.addRef = addRef;
  kit.dropRef = dropRef;
  kit.addRefs = addRefs;
  kit.dropRefs = dropRefs;
  kit.changeRefs = changeRefs;
  kit.setExportStatus = setExportStatus;
  kit.isExported = isExported;
  kit.rememberedOutside = rememberedOutside;
  kit.removeRecords = removeRecords;
  kit.addKnower = addKnower;
  kit.removeKnower = removeKnower;
  kit.addStoredKnower = addStoredKnower;
  kit.removeStoredKnower = removeStoredKnower;
  kit.isKey = isKey;
  kit.forgetKey = forgetKey;
  // The reference by which weak collections know an object; `undefined` for one they know by itself.
  kit.keyOf = (object) => {
    const vref = vrefOf.get(object);
    return vref !== undefined && vref[0] === 'o' && (isImport(vref) || isKinded(vref)) ? vref : undefined;
  };
};
