// The vat's durable counters and first records.
(kit) => {
  const { JSON, Object } = globalThis;
  const { native } = kit;

  // What the reference writes for a new vat.
  const KIND_OF_KINDS = '1';
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

  let counters = { exportID: 10, collectionID: 4, promiseID: 5 };
  let countersChanged = false;

  const writeFirstRecords = () => {
    countersChanged = true;
    native.vatstoreSet('kindIDID', KIND_OF_KINDS);
    native.vatstoreSet('storeKindIDTable', JSON.stringify(STORE_KINDS));
    FIRST_COLLECTIONS.forEach(([idKey, label, keyShape], i) => {
      const id = i + 1;
      const vref = `o+d${STORE_KINDS.scalarDurableMapStore}/${id}`;
      const schemata = { body: `#${JSON.stringify({ keyShape, label })}`, slots: [] };
      native.vatstoreSet(idKey, vref);
      native.vatstoreSet(`vc.${id}.|entryCount`, '0');
      native.vatstoreSet(`vc.${id}.|nextOrdinal`, '1');
      native.vatstoreSet(`vc.${id}.|schemata`, JSON.stringify(schemata));
      native.vatstoreSet(`vom.rc.${vref}`, '1');
    });
  };

  const initialise = () => {
    const saved = native.vatstoreGet('idCounters');
    if (saved === undefined) {
      writeFirstRecords();
    } else {
      counters = { ...counters, ...JSON.parse(saved) };
    }
    const table = JSON.parse(native.vatstoreGet('storeKindIDTable'));
    return {
      kindOfKinds: native.vatstoreGet('kindIDID'),
      storeKinds: Object.entries(table),
      firstCollections: FIRST_COLLECTIONS.map(([idKey]) => native.vatstoreGet(idKey)),
    };
  };

  const counter = (name) => () => {
    countersChanged = true;
    const id = counters[name];
    counters[name] = id + 1;
    return id;
  };

  const flushCounters = () => {
    if (countersChanged) {
      countersChanged = false;
      native.vatstoreSet('idCounters', JSON.stringify(counters));
    }
  };

  kit.initialiseStore = initialise;
  kit.nextExport = counter('exportID');
  kit.nextCollection = counter('collectionID');
  kit.nextPromise = counter('promiseID');
  kit.flushCounters = flushCounters;

  // All keys that begin with `prefix`, in order. Each may be deleted as it comes.
  kit.keysUnder = function* keysUnder(prefix) {
    let key = prefix;
    for (;;) {
      key = native.vatstoreNextKey(key);
      if (key === undefined || !key.startsWith(prefix)) return;
      yield key;
    }
  };
};
