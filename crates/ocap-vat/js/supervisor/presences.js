// Stand-ins for what lives elsewhere: presences of objects, promises others decide, and the
// promises of the vat's own that others wait for.
//
// A promise's reference lasts until it settles: then both sides forget it. What it became is
// remembered by the promise itself, so that sending it again tells the receiver at once.
(kit) => {
  const { Error, Map, Promise, RangeError, Reflect, Set, TypeError, WeakMap } = globalThis;
  const { apply } = Reflect;
  const { then: PromiseThen } = Promise.prototype;
  const { HandledPromise, Remotable } = kit.ocap;
  const { native, vrefOf, encode, decode } = kit;

  // The reference's limits of one syscall.
  const SEND_CHARACTERS_MAX = 10_000_000;
  const SEND_SLOTS_MAX = 10_000;

  const followed = new Map(); // vref of a promise we decide -> promise
  const awaited = new Map(); // vref of a promise others decide -> { promise, resolve, reject }
  const outcomes = new WeakMap(); // settled promise that had a reference -> [rejected, value]

  const watch = (promise, onFulfilled, onRejected) => {
    apply(PromiseThen, promise, [onFulfilled, onRejected]);
  };

  const assertSize = (characters, slots) => {
    if (characters > SEND_CHARACTERS_MAX || slots > SEND_SLOTS_MAX) {
      throw RangeError(
        `syscall capdata too large: ${characters} characters (limit ${SEND_CHARACTERS_MAX}), ` +
          `${slots} slots (limit ${SEND_SLOTS_MAX})`,
      );
    }
  };

  // Promises that have a reference of the vat's own, but are not watched because no syscall has
  // mentioned it, or none since they settled.
  const fresh = new Map();
  const young = []; // those that got a reference in this crank

  const exportPromise = (promise) => {
    const vref = `p+${kit.nextPromise()}`;
    vrefOf.set(promise, vref);
    fresh.set(vref, promise);
    young.push(vref);
    return vref;
  };

  // At the end of a crank: promises that neither the kernel nor virtual data has heard of after all,
  // because what mentioned them was refused.
  const flushPromises = () => {
    for (const vref of young) {
      const promise = fresh.get(vref);
      if (promise !== undefined && !kit.counted.has(vref)) forget(vref, promise);
    }
    young.length = 0;
  };

  // The kernel has forgotten the reference of a settled promise. Virtual data may still mention it.
  const forget = (vref, promise) => {
    followed.delete(vref);
    fresh.delete(vref);
    if (promise === undefined || vrefOf.get(promise) !== vref) return;
    if (vref[1] === '+' && kit.counted.has(vref)) {
      fresh.set(vref, promise);
    } else {
      vrefOf.delete(promise);
    }
  };

  // Virtual data does not mention a promise any more.
  const releasePromise = (vref, promise) => {
    if (fresh.delete(vref)) vrefOf.delete(promise);
  };

  const outcomeOf = (vref) => {
    if (vref[0] !== 'p' || awaited.has(vref)) return undefined;
    const promise = followed.get(vref) ?? fresh.get(vref);
    return promise && outcomes.get(promise);
  };

  // The settled ones among these promises and what their values mention, depth first.
  const collect = (vrefs) => {
    const batch = new Map();
    const ahead = vrefs.toReversed();
    while (ahead.length > 0) {
      const vref = ahead.pop();
      const outcome = outcomeOf(vref);
      if (outcome === undefined || batch.has(vref)) continue;
      let [rejected, value] = outcome;
      let data;
      try {
        data = encode(value);
        assertSize(data.body.length, data.slots.length);
      } catch (error) {
        rejected = true;
        data = encode(error instanceof Error ? error : new TypeError('the value cannot be sent'));
      }
      batch.set(vref, { rejected, ...data });
      for (let i = data.slots.length - 1; i >= 0; i -= 1) ahead.push(data.slots[i]);
    }
    return batch;
  };

  // A syscall has mentioned these references for the first time or again. What has settled is told at
  // once, the rest when it does.
  const afterSyscall = (vrefs) => {
    if (!vrefs.some((vref) => vref[0] === 'p')) return;
    const batch = collect(vrefs);
    const mentioned = [...vrefs];
    for (const [vref, { rejected, body, slots }] of batch) {
      kit.noteExports(slots);
      native.resolvePush(vref, rejected, body, slots.join());
      for (const slot of slots) mentioned.push(slot);
    }
    if (batch.size > 0) native.resolveFlush();
    for (const vref of batch.keys()) forget(vref, followed.get(vref) ?? fresh.get(vref));
    for (const vref of mentioned.sort()) if (!batch.has(vref)) followFresh(vref);
  };

  const settle = (vref, rejected, value) => {
    const promise = followed.get(vref);
    if (promise === undefined) return; // told already, together with another
    outcomes.set(promise, [rejected, value]);
    afterSyscall([vref]);
  };

  const follow = (vref, promise) => {
    fresh.delete(vref);
    followed.set(vref, promise);
    watch(
      promise,
      (value) => settle(vref, false, value),
      (reason) => settle(vref, true, reason),
    );
  };

  // Follows a promise of the vat's own that the kernel has not heard of. Whether it is one.
  const followFresh = (vref) => {
    const promise = fresh.get(vref);
    if (promise !== undefined) follow(vref, promise);
    return promise !== undefined;
  };

  const send = (target, method, args, returned) => {
    const { body, slots } = encode([method, args]);
    assertSize(body.length, slots.length);
    const result = `p+${kit.nextPromise()}`;
    kit.noteExports(slots);
    native.send(target, body, slots.join(), result);
    if (slots.length > 0) afterSyscall(slots);
    const promise = awaitPromise(result, returned);
    native.subscribe(result);
    return promise;
  };

  const sendOnly = (target, method, args) => {
    const { body, slots } = encode([method, args]);
    assertSize(body.length, slots.length);
    kit.noteExports(slots);
    native.send(target, body, slots.join(), '');
    if (slots.length > 0) afterSyscall(slots);
  };

  const refOf = (presence) => kit.assertLive(vrefOf.get(presence));

  const presenceHandler = {
    applyMethod: (presence, method, args, returned) =>
      send(refOf(presence), method, args, returned),
    applyMethodSendOnly: (presence, method, args) => sendOnly(refOf(presence), method, args),
    applyFunction: (presence, args, returned) =>
      send(refOf(presence), undefined, args, returned),
    applyFunctionSendOnly: (presence, args) => sendOnly(refOf(presence), undefined, args),
    get: (presence, key) => presence[key],
    getSendOnly: () => {},
  };

  const makePresence = (vref, iface = 'Alleged: presence') => {
    let presence;
    new HandledPromise((_resolve, _reject, resolveWithPresence) => {
      presence = resolveWithPresence(presenceHandler);
    });
    presence = Remotable(iface, undefined, presence);
    kit.register(vref, presence);
    return presence;
  };

  const presenceOf = (vref, iface) => {
    const object = kit.objectOf(vref);
    if (object !== undefined) return object;
    if (kit.isImport(vref)) return makePresence(vref, iface);
    const revived = kit.isKinded(vref) ? kit.revive(vref) : undefined;
    if (revived === undefined) throw kit.unknownExport(vref);
    return revived;
  };

  // A promise others decide. Messages for it go out at once; the kernel keeps them in order.
  const awaitPromise = (vref, returned) => {
    const record = {};
    const handler = {
      applyMethod: (_promise, method, args, result) => send(vref, method, args, result),
      applyMethodSendOnly: (_promise, method, args) => sendOnly(vref, method, args),
      applyFunction: (_promise, args, result) => send(vref, undefined, args, result),
      applyFunctionSendOnly: (_promise, args) => sendOnly(vref, undefined, args),
    };
    const promise = new HandledPromise((resolve, reject) => {
      record.resolve = resolve;
      record.reject = reject;
    }, handler);
    // `returned` is what the vat's code sees of `promise`.
    record.promise = returned ?? promise;
    vrefOf.set(record.promise, vref);
    awaited.set(vref, record);
    return promise;
  };

  // Like a promise others decide, but only the supervisor hears of it, by these functions.
  const awaitOutcome = (vref, resolve, reject) => {
    awaited.set(vref, { promise: {}, resolve, reject });
  };

  const knownPromise = (vref) =>
    awaited.get(vref)?.promise ??
    followed.get(vref) ??
    fresh.get(vref) ??
    kit.counted.get(vref)?.[0];

  // A promise that an earlier incarnation watched; the kernel has not forgotten that it did.
  const revivePromise = (vref) => knownPromise(vref) ?? awaitPromise(vref, undefined);

  // Promises first mentioned by a notify; those it settles need no subscription.
  let unsubscribed;

  const promiseOf = (vref) => {
    const known = knownPromise(vref);
    if (known !== undefined) return known;
    const promise = awaitPromise(vref, undefined);
    if (unsubscribed === undefined) {
      native.subscribe(vref);
    } else {
      unsubscribed.add(vref);
    }
    return promise;
  };

  // What came with a delivery is ours to let go of, even if its body does not mention it.
  const noteSlots = (slots) => {
    for (const slot of slots) {
      if (slot[1] !== '-') continue;
      if (slot[0] === 'p') {
        promiseOf(slot);
      } else {
        kit.noteImport(slot);
      }
    }
  };

  // Settled promises: [vref, rejected, body, slots]. Values may mention each other's promises, so
  // all are decoded before any reference is forgotten.
  const notify = (resolutions) => {
    unsubscribed = new Set();
    const settled = resolutions.map(([vref, rejected, body, slots]) => {
      try {
        return { vref, rejected, value: decode(body, slots) };
      } catch (error) {
        return { vref, rejected: true, value: error };
      }
    });
    for (const { vref, rejected, value } of settled) {
      unsubscribed.delete(vref);
      const record = awaited.get(vref);
      if (record === undefined) continue; // from before this incarnation, or told twice
      awaited.delete(vref);
      forget(vref, record.promise);
      if (rejected) {
        record.reject(value);
      } else {
        record.resolve(value);
      }
    }
    for (const vref of unsubscribed) native.subscribe(vref);
    unsubscribed = undefined;
  };

  // From now on we decide `vref`: it will become what `promise` becomes.
  const decide = (vref, promise) => {
    const record = awaited.get(vref);
    if (record === undefined) {
      vrefOf.set(promise, vref);
      follow(vref, promise);
    } else {
      // We have been waiting for it and now are to answer it ourselves.
      awaited.delete(vref);
      record.resolve(promise);
      follow(vref, record.promise);
    }
  };

  kit.flushPromises = flushPromises;
  kit.isAwaited = (vref) => awaited.has(vref);
  kit.watch = watch;
  kit.assertSize = assertSize;
  kit.followFresh = followFresh;
  kit.releasePromise = releasePromise;
  kit.revivePromise = revivePromise;
  kit.exportPromise = exportPromise;
  kit.afterSyscall = afterSyscall;
  kit.presenceOf = presenceOf;
  kit.noteSlots = noteSlots;
  kit.promiseOf = promiseOf;
  kit.awaitOutcome = awaitOutcome;
  kit.forgetOutcome = (vref) => awaited.delete(vref);
  kit.notify = notify;
  kit.decide = decide;
};
