// Which reference stands for which object, both ways, and who keeps whom alive.
//
// * An import (`o-N`) is held weakly: its presence lives as long as the vat's code uses it.
// * An ephemeral export (`o+N`) is held while the kernel can reach it or virtual data mentions it.
// * Of an object with a kind (`o+vK/I`, `o+dK/I`) only a representative is here, held weakly; a new
//   one is made when it is needed again. All facets of an instance (`o+dK/I:F`) come and go together:
//   the tables know them by their base (`o+dK/I`).
// * A promise is held until it settles.
//
// Finalisers only take notes (`suspects`); syscalls are made in bringOutYourDead alone, so the
// moment the engine collects something is never visible outside.
(kit) => {
  const { Error, Map, Set, WeakMap } = globalThis;
  const { WeakRef, FinalizationRegistry } = kit.ocap.originals;

  const vrefOf = new WeakMap(); // object or promise -> vref
  const objects = new Map(); // base of an object -> WeakRef, of the record of facets if there are any
  const exported = new Map(); // ephemeral export the kernel can reach -> object
  const knownOutside = new Set(); // ephemeral exports the kernel remembers
  const young = new Map(); // ephemeral exports named in this crank -> object
  const suspects = new Set(); // bases of objects that may be unreachable by now
  const registry = new FinalizationRegistry((base) => {
    const ref = objects.get(base);
    // There may be a new object for it already.
    if (ref !== undefined && ref.deref() === undefined) {
      objects.delete(base);
      suspects.add(base);
    }
  });
  // Stands for the reference of a presence whose object the kernel has retired.
  const RETIRED = 'retired';

  const isImport = (vref) => vref[1] === '-';
  const isKinded = (vref) => vref[2] === 'd' || vref[2] === 'v';

  // What a reference with a kind consists of.
  const partsOf = (vref) => {
    const slash = vref.indexOf('/');
    const colon = vref.indexOf(':');
    return {
      kind: vref.slice(3, slash),
      instance: colon < 0 ? vref.slice(slash + 1) : vref.slice(slash + 1, colon),
      facet: colon < 0 ? undefined : +vref.slice(colon + 1),
      base: colon < 0 ? vref : vref.slice(0, colon),
    };
  };

  const hold = (base, object) => {
    objects.set(base, new WeakRef(object));
    registry.register(object, base);
  };

  const register = (vref, object) => {
    vrefOf.set(object, vref);
    hold(vref, object);
  };

  const registerFacets = (base, facets, names) => {
    names.forEach((name, i) => vrefOf.set(facets[name], `${base}:${i}`));
    hold(base, facets);
  };

  const objectOf = (vref) => {
    const held = exported.get(vref);
    if (held !== undefined) return held;
    const colon = vref.indexOf(':');
    if (colon < 0) return objects.get(vref)?.deref();
    const facets = objects.get(vref.slice(0, colon))?.deref();
    return facets === undefined ? undefined : kit.facetOf(facets, vref);
  };

  // The vref of an object of the vat's own, allocated on first use.
  const exportObject = (object) => {
    const vref = `o+${kit.nextExport()}`;
    register(vref, object);
    young.set(vref, object);
    return vref;
  };

  // The root's reference has a fixed meaning, and is never let go.
  const exportForever = (vref, object) => {
    vrefOf.set(object, vref);
    exported.set(vref, object);
  };
  const isForever = (vref) => exported.has(vref) && !objects.has(vref);

  // A syscall is about to tell the kernel of these references.
  const noteExports = (slots) => {
    for (const slot of slots) {
      if (slot[1] === '-' || slot[0] === 'p') continue;
      if (isKinded(slot)) {
        kit.setExportStatus(slot, 'r');
      } else if (!exported.has(slot)) {
        exported.set(slot, objectOf(slot));
        knownOutside.add(slot);
      }
    }
  };

  const dropExports = (vrefs) => {
    for (const vref of vrefs) {
      if (isKinded(vref)) {
        kit.setExportStatus(vref, 's');
      } else if (!isForever(vref)) {
        exported.delete(vref);
      }
    }
  };

  const retireExports = (vrefs) => {
    for (const vref of vrefs) {
      if (isKinded(vref)) {
        kit.setExportStatus(vref, 'n');
      } else if (!isForever(vref)) {
        exported.delete(vref);
        knownOutside.delete(vref);
      }
    }
  };

  const retireImports = (vrefs) => {
    for (const vref of vrefs) {
      const presence = objectOf(vref);
      if (presence !== undefined) vrefOf.set(presence, RETIRED);
      objects.delete(vref);
      suspects.delete(vref);
      kit.forgetKey(vref);
    }
  };

  const noteImport = (vref) => {
    if (!objects.has(vref)) suspects.add(vref);
  };

  const assertLive = (vref) => {
    if (vref === RETIRED) throw Error('the object no longer exists');
    return vref;
  };

  kit.vrefOf = vrefOf;
  kit.assertLive = assertLive;
  kit.isImport = isImport;
  kit.isKinded = isKinded;
  kit.partsOf = partsOf;
  kit.suspects = suspects;
  kit.young = young;
  kit.knownOutside = knownOutside;
  kit.isHeld = (base) => objects.has(base);
  kit.register = register;
  kit.registerFacets = registerFacets;
  kit.noteImport = noteImport;
  kit.objectOf = objectOf;
  kit.exportObject = exportObject;
  kit.exportForever = exportForever;
  kit.noteExports = noteExports;
  kit.dropExports = dropExports;
  kit.retireExports = retireExports;
  kit.retireImports = retireImports;
};
