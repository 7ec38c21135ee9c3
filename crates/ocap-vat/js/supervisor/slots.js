// Which reference stands for which object, both ways, and who keeps whom alive.
//
// * An import (`o-N`) is held weakly: its presence lives as long as the vat's code uses it.
// * An export (`o+N`) is held until the kernel drops it, then weakly until it is retired.
// * A promise is held until it settles.
//
// Finalisers only take notes (`suspects`); syscalls are made in bringOutYourDead alone, so the
// moment the engine collects something is never visible outside.
(kit) => {
  const { Error, Map, Set, WeakMap } = globalThis;
  const { WeakRef, FinalizationRegistry } = kit.ocap.originals;
  const { native } = kit;

  // References in one syscall; the kernel takes ten times as many.
  const LIST_MAX = 10_000;

  const vrefOf = new WeakMap(); // object or promise -> vref
  const objects = new Map(); // vref of an object -> WeakRef
  const pinned = new Map(); // vref of an export the kernel can reach -> object
  const suspects = new Set(); // vrefs whose object may be gone
  const registry = new FinalizationRegistry((vref) => {
    if (objects.has(vref)) suspects.add(vref);
  });
  // Stands for the reference of a presence whose object the kernel has retired.
  const RETIRED = 'retired';

  const register = (vref, object) => {
    vrefOf.set(object, vref);
    objects.set(vref, new WeakRef(object));
    registry.register(object, vref);
  };

  const objectOf = (vref) => {
    const held = pinned.get(vref);
    if (held !== undefined) return held;
    const ref = objects.get(vref);
    return ref === undefined ? undefined : ref.deref();
  };

  // The vref of an object of the vat's own, allocated on first use.
  const exportObject = (object) => {
    const vref = `o+${kit.nextExport()}`;
    register(vref, object);
    pinned.set(vref, object);
    return vref;
  };

  // Objects whose reference has a fixed meaning are never let go.
  const exportForever = (vref, object) => {
    vrefOf.set(object, vref);
    pinned.set(vref, object);
  };
  const isForever = (vref) => pinned.has(vref) && !objects.has(vref);

  const dropExports = (vrefs) => {
    for (const vref of vrefs) {
      if (!isForever(vref)) {
        pinned.delete(vref);
        suspects.add(vref);
      }
    }
  };

  const retireExports = (vrefs) => {
    for (const vref of vrefs) {
      if (isForever(vref)) continue;
      const object = objectOf(vref);
      if (object !== undefined) vrefOf.delete(object);
      pinned.delete(vref);
      objects.delete(vref);
      suspects.delete(vref);
    }
  };

  const retireImports = (vrefs) => {
    for (const vref of vrefs) {
      const presence = objectOf(vref);
      if (presence !== undefined) vrefOf.set(presence, RETIRED);
      objects.delete(vref);
      suspects.delete(vref);
    }
  };

  const noteImport = (vref) => {
    if (!objects.has(vref)) suspects.add(vref);
  };

  const assertLive = (vref) => {
    if (vref === RETIRED) throw Error('the object no longer exists');
    return vref;
  };

  const isImport = (vref) => vref[1] === '-';

  const partsOf = (vrefs) => {
    const parts = [];
    for (let i = 0; i < vrefs.length; i += LIST_MAX) parts.push(vrefs.slice(i, i + LIST_MAX).join());
    return parts;
  };

  // Reports what is gone. The engine has collected and all finalisers have run.
  const reportDead = () => {
    const imports = [];
    const exports = [];
    for (const vref of [...suspects].sort()) {
      if (objectOf(vref) !== undefined) continue;
      const known = objects.delete(vref);
      if (!isImport(vref)) {
        if (known) exports.push(vref);
      } else if (kit.durableCount(vref) === 0) {
        imports.push(vref);
      }
    }
    suspects.clear();
    for (const part of partsOf(imports)) native.dropImports(part);
    for (const part of partsOf(imports)) native.retireImports(part);
    for (const part of partsOf(exports)) native.retireExports(part);
  };

  kit.vrefOf = vrefOf;
  kit.assertLive = assertLive;
  kit.suspects = suspects;
  kit.registerImport = register;
  kit.noteImport = noteImport;
  kit.objectOf = objectOf;
  kit.exportObject = exportObject;
  kit.exportForever = exportForever;
  kit.dropExports = dropExports;
  kit.retireExports = retireExports;
  kit.retireImports = retireImports;
  kit.reportDead = reportDead;
};
