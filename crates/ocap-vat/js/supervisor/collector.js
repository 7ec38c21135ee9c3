// What happens to what nobody can reach any more: in bringOutYourDead, the only time when what the
// engine has collected may show.
//
// An object is unreachable when the heap, virtual data and the kernel have all let go of it. Removing
// one may free others, so the engine collects again and we look again, until nothing more comes.
(kit) => {
  const { Set } = globalThis;
  const { countOf, forgotten, isHeld, isImport, isKinded, knownOutside, native, suspects } = kit;

  // References in one syscall; the kernel takes ten times as many.
  const LIST_MAX = 10_000;
  // Records of virtual data removed in one crank, whose effects are limited. The rest waits.
  const REMOVALS_MAX = 10_000;
  // Notes are gone through when there are this many more: a crank may look at far more objects than it
  // keeps.
  const SUSPECTS_STEP = 10_000;
  const WAITING = 'vom.dead.';

  const droppedImports = new Set();
  const retiredExports = new Set();
  const waiting = new Set(); // unreachable, and to be removed in a later crank
  let removals = 0;

  const spend = () => {
    removals += 1;
    return removals <= REMOVALS_MAX;
  };

  const postpone = (base) => {
    if (waiting.has(base)) return;
    waiting.add(base);
    native.vatstoreSet(`${WAITING}${base}`, '1');
  };

  const isReachable = (base) => isHeld(base) || countOf(base) > 0 || (isKinded(base) && kit.isExported(base));

  const removeKinded = (base) => {
    if (!spend()) {
      postpone(base);
      return false;
    }
    for (const vref of kit.rememberedOutside(base)) retiredExports.add(vref);
    let freed = kit.removeInstance(base);
    kit.removeRecords(base);
    freed = kit.forgetKey(base) || freed;
    return freed;
  };

  const removeEphemeral = (vref) => {
    if (knownOutside.delete(vref)) retiredExports.add(vref);
    return kit.forgetKey(vref);
  };

  // Whether something in the heap may be free now.
  const examine = (base) => {
    if (isReachable(base)) return false;
    if (isImport(base)) {
      droppedImports.add(base);
      forgotten.add(base);
      return false;
    }
    return isKinded(base) ? removeKinded(base) : removeEphemeral(base);
  };

  // Goes through the notes. The engine has collected and all finalisers have run. Whether it is to
  // collect again.
  const sweep = () => {
    let freed = false;
    while (suspects.size > 0 && !freed) {
      for (const base of [...suspects].sort()) {
        // Here, because removing one may bring a later one among the suspects again.
        suspects.delete(base);
        freed = examine(base) || freed;
      }
    }
    return freed;
  };

  const partsOf = (vrefs) => {
    const list = [...vrefs].sort();
    const parts = [];
    for (let i = 0; i < list.length; i += LIST_MAX) parts.push(list.slice(i, i + LIST_MAX).join());
    return parts;
  };

  // Tells the kernel.
  const reportDead = () => {
    const retired = [];
    for (const vref of forgotten) {
      if ((droppedImports.has(vref) || !isReachable(vref)) && !kit.isKey(vref)) retired.push(vref);
    }
    for (const part of partsOf(droppedImports)) native.dropImports(part);
    for (const part of partsOf(retired)) native.retireImports(part);
    for (const part of partsOf(retiredExports)) native.retireExports(part);
    droppedImports.clear();
    forgotten.clear();
    retiredExports.clear();
  };

  // Before the first sweep of a crank.
  const beginSweep = () => {
    removals = 0;
    for (const base of waiting) {
      native.vatstoreDelete(`${WAITING}${base}`);
      suspects.add(base);
    }
    waiting.clear();
  };

  // Drops notes about what something else than the heap holds: should that let go, it will be noted
  // again.
  let pruneAt = SUSPECTS_STEP;
  const prune = () => {
    if (suspects.size < pruneAt) return;
    for (const base of suspects) {
      if (!isHeld(base) && isReachable(base)) suspects.delete(base);
    }
    pruneAt = suspects.size + SUSPECTS_STEP;
  };

  kit.spend = spend;
  kit.postpone = postpone;
  kit.prune = prune;
  kit.beginSweep = beginSweep;
  kit.sweep = sweep;
  kit.reportDead = reportDead;
  kit.startCollector = () => {
    for (const key of kit.keysUnder(WAITING)) waiting.add(key.slice(WAITING.length));
  };
};
