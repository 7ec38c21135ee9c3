// The vat's durable counters, reference counts and first records.
(kit) => {
  const { JSON } = globalThis;
  const { native, suspects } = kit;

  // What the reference writes for a new vat. Kinds 2 to 9 and collections 2 and 3 are reserved
  // for what is to come, so that no number changes its meaning.
  const STORE_KINDS = {
    scalarMapStore: 2,
    scalarWeakMapStore: 3,
    scalarSetStore: 4,
    scalarWeakSetStore: 5,
    scalarDurableMapStore: 6,
    scalarDurableWeakMapStore: 7,
    scalarDurableSetStore: 8,
    scalarDurableWeakSetStore: 9,
  };
  const STRING_SHAPE = { '#tag': 'match:string', payload: [] };
  const SCALAR_SHAPE = { '#tag': 'match:scalar', payload: '#undefined' };
  const FIRST_COLLECTIONS = [
    ['baggageID', 'baggage', STRING_SHAPE],
    ['watcherTableID', 'promiseWatcherByKind', SCALAR_SHAPE],
    [
      'watchedPromiseTableID',
      'watchedPromises',
      { '#tag': 'match:and', payload: [SCALAR_SHAPE, STRING_SHAPE] },
    ],
  ];
  const DURABLE_MAP_KIND = STORE_KINDS.scalarDurableMapStore;

  let counters = { exportID: 10, collectionID: 4, promiseID: 5 };
  let countersChanged = false;

  const initialise = () => {
    const saved = native.vatstoreGet('idCounters');
    if (saved !== undefined) {
      counters = JSON.parse(saved);
      return;
    }
    countersChanged = true;
    native.vatstoreSet('kindIDID', '1');
    native.vatstoreSet('storeKindIDTable', JSON.stringify(STORE_KINDS));
    FIRST_COLLECTIONS.forEach(([idKey, label, keyShape], i) => {
      const id = i + 1;
      const vref = `o+d${DURABLE_MAP_KIND}/${id}`;
      const schemata = { body: `#${JSON.stringify({ keyShape, label })}`, slots: [] };
      native.vatstoreSet(idKey, vref);
      native.vatstoreSet(`vc.${id}.|entryCount`, '0');
      native.vatstoreSet(`vc.${id}.|nextOrdinal`, '1');
      native.vatstoreSet(`vc.${id}.|schemata`, JSON.stringify(schemata));
      native.vatstoreSet(`vom.rc.${vref}`, '1');
    });
  };

  const nextExport = () => {
    countersChanged = true;
    const id = counters.exportID;
    counters.exportID = id + 1;
    return id;
  };

  const nextPromise = () => {
    countersChanged = true;
    const id = counters.promiseID;
    counters.promiseID = id + 1;
    return id;
  };

  const flush = () => {
    if (countersChanged) {
      countersChanged = false;
      native.vatstoreSet('idCounters', JSON.stringify(counters));
    }
  };

  // How often durable data mentions a reference. The kernel reads the same records to know which
  // imports outlive an incarnation.
  const durableCount = (vref) => {
    const text = native.vatstoreGet(`vom.rc.${vref}`);
    return text === undefined ? 0 : +text;
  };

  const addDurable = (vref) => {
    native.vatstoreSet(`vom.rc.${vref}`, `${durableCount(vref) + 1}`);
  };

  const removeDurable = (vref) => {
    const count = durableCount(vref) - 1;
    if (count > 0) {
      native.vatstoreSet(`vom.rc.${vref}`, `${count}`);
    } else {
      native.vatstoreDelete(`vom.rc.${vref}`);
      suspects.add(vref);
    }
  };

  kit.initialiseStore = initialise;
  kit.nextExport = nextExport;
  kit.nextPromise = nextPromise;
  kit.flush = flush;
  kit.durableCount = durableCount;
  kit.addDurable = addDurable;
  kit.removeDurable = removeDurable;
};
