// Which kinds of objects there are: how a representative is made of a base, and what is to be
// removed with an instance. And the handles by which vats name their durable kinds.
(kit) => {
  const { JSON, Map, Set, WeakMap } = globalThis;
  const { Far, assert } = kit.ocap;
  const { Fail, quote: q } = assert;
  const { native, partsOf } = kit;

  const DURABLE = 'vom.dkind.';

  // Kind -> { revive(base), remove(base), facets }.
  const kinds = new Map();

  const facetsOf = (kind) => kinds.get(kind)?.facets;
  const facetCount = (kind) => facetsOf(kind)?.length ?? 1;
  const facetOf = (facets, vref) => {
    const { kind, facet } = partsOf(vref);
    const names = facetsOf(kind);
    return names !== undefined && facet < names.length ? facets[names[facet]] : undefined;
  };

  // A new representative of an instance none of whose facets is in the heap.
  const revive = (vref) => {
    const { base, facet, kind } = partsOf(vref);
    const info = kinds.get(kind);
    const isFaceted = info?.facets !== undefined;
    if (info === undefined || isFaceted !== (facet !== undefined)) return undefined;
    const object = info.revive(base);
    if (!isFaceted) {
      kit.register(base, object);
      return object;
    }
    kit.registerFacets(base, object, info.facets);
    return facetOf(object, vref);
  };

  // Removes an unreachable instance. Whether something in the heap may be free now.
  const remove = (base) => kinds.get(partsOf(base).kind)?.remove(base) ?? false;

  // Durable kinds the vat has named: kind -> { kindID, tag, unfaceted | facets, stateShapeCapData }.
  const descriptors = new Map();
  const kindOfHandle = new WeakMap();
  // Handles are never let go, so that nobody can tell one from its successor.
  const handles = new Set();
  const defined = new Set();
  const nextInstances = new Map(); // kind -> number
  const advanced = new Set(); // durable kinds that got instances in this crank
  let kindOfKinds;

  const saveDescriptor = (descriptor) => {
    native.vatstoreSet(`${DURABLE}${descriptor.kindID}.descriptor`, JSON.stringify(descriptor));
  };

  const makeHandle = (kind) => {
    const handle = Far('kind', {});
    kindOfHandle.set(handle, kind);
    handles.add(handle);
    return handle;
  };

  const reviveHandle = (base) => {
    const kind = partsOf(base).instance;
    const text = native.vatstoreGet(`${DURABLE}${kind}.descriptor`);
    if (text === undefined) throw Fail`unknown kind ID ${q(kind)}`;
    descriptors.set(kind, JSON.parse(text));
    nextInstances.set(kind, +native.vatstoreGet(`${DURABLE}${kind}.nextID`));
    return makeHandle(kind);
  };

  const newKind = () => {
    const kind = `${kit.nextExport()}`;
    nextInstances.set(kind, 1);
    return kind;
  };

  const makeKindHandle = (tag) => {
    const kind = newKind();
    const descriptor = { kindID: kind, tag };
    descriptors.set(kind, descriptor);
    saveDescriptor(descriptor);
    advanced.add(kind);
    const handle = makeHandle(kind);
    kit.register(`o+d${kindOfKinds}/${kind}`, handle);
    return handle;
  };

  const durableKind = (handle) => {
    const kind = kindOfHandle.get(handle);
    if (kind === undefined) throw Fail`unknown handle ${q(handle)}`;
    const descriptor = descriptors.get(kind);
    if (defined.has(kind)) throw Fail`redefinition of durable kind ${q(descriptor.tag)}`;
    return descriptor;
  };

  const virtualKind = (tag) => {
    const kind = newKind();
    native.vatstoreSet(`vom.vkind.${kind}.descriptor`, JSON.stringify({ kindID: kind, tag }));
    return kind;
  };

  const nextInstance = (kind, isDurable) => {
    const instance = nextInstances.get(kind);
    nextInstances.set(kind, instance + 1);
    if (isDurable) advanced.add(kind);
    return instance;
  };

  const flushKinds = () => {
    for (const kind of advanced) {
      native.vatstoreSet(`${DURABLE}${kind}.nextID`, `${nextInstances.get(kind)}`);
    }
    advanced.clear();
  };

  // Every durable kind needs behaviour in every incarnation: its instances may be sent for at any
  // time.
  const assertAllDefined = () => {
    const missing = [];
    for (const key of kit.keysUnder(DURABLE)) {
      if (!key.endsWith('.descriptor')) continue;
      const kind = key.slice(DURABLE.length, -'.descriptor'.length);
      if (!defined.has(kind)) missing.push(JSON.parse(native.vatstoreGet(key)).tag);
    }
    if (missing.length > 0) {
      throw globalThis.Error(`defineDurableKind not called for tags: [${missing.join()}]`);
    }
  };

  kit.kinds = kinds;
  kit.facetsOf = facetsOf;
  kit.facetCount = facetCount;
  kit.facetOf = facetOf;
  kit.revive = revive;
  kit.removeInstance = remove;
  kit.makeKindHandle = makeKindHandle;
  kit.durableKind = durableKind;
  kit.virtualKind = virtualKind;
  kit.saveDescriptor = saveDescriptor;
  kit.markDefined = (kind) => defined.add(kind);
  kit.nextInstance = nextInstance;
  kit.flushKinds = flushKinds;
  kit.assertAllDefined = assertAllDefined;
  kit.startKinds = (kind) => {
    kindOfKinds = kind;
    kinds.set(kind, { revive: reviveHandle, remove: () => false, facets: undefined });
  };
};
