// `watchPromise`: reactions to promises that outlive an incarnation. Who watches what is in collection
// 3, by the promise's reference; the one watcher of a kind that `providePromiseWatcher` gives, in
// collection 2.
(kit) => {
  const { Promise, Set } = globalThis;
  const { E, assert, exo, harden } = kit.ocap;
  const { Fail } = assert;
  const { defineDurableKind, isKinded, native, vrefOf, watch } = kit;

  let watchers; // handle -> watcher
  let watched; // vref -> [watcher, ...args][]
  // Promises watched since the start: those need not be taken up again.
  let taken = new Set();

  const later = (act) => {
    watch(Promise.resolve(), act);
  };

  const tell = (isFulfilled, value, [watcher, ...args]) => {
    if (isFulfilled) {
      if (watcher.onFulfilled) watcher.onFulfilled(value, ...args);
    } else if (watcher.onRejected) {
      watcher.onRejected(value, ...args);
    } else {
      throw value; // nobody has handled it
    }
  };

  const react = (promise, vref) => {
    const settle = (isFulfilled, value) => {
      const watches = watched.get(vref);
      watched.delete(vref);
      taken?.delete(vref);
      for (const each of watches) later(() => tell(isFulfilled, value, each));
    };
    E.when(
      promise,
      (value) => settle(true, value),
      (reason) => settle(false, reason),
    );
  };

  const checkWatcher = (watcher) => {
    const vref = vrefOf.get(watcher);
    if (vref === undefined || vref[0] !== 'o' || !isKinded(vref)) {
      throw Fail`promise watcher must be a virtual object`;
    }
    const { onFulfilled, onRejected } = watcher;
    if (onFulfilled) assert.typeof(onFulfilled, 'function');
    if (onRejected) assert.typeof(onRejected, 'function');
    if (!onFulfilled && !onRejected) {
      throw Fail`promise watcher must implement at least one handler method`;
    }
  };

  // In a later turn: the promise of a message that was just sent has its reference then.
  const watchPromise = (promise, watcher, ...args) => {
    later(() => {
      checkWatcher(watcher);
      if (!kit.ocap.isPromise(promise)) throw Fail`watchPromise only watches promises`;
      const vref = vrefOf.get(promise) ?? kit.exportPromise(promise);
      const entry = harden([watcher, ...args]);
      if (watched.has(vref)) {
        watched.set(vref, harden([...watched.get(vref), entry]));
      } else {
        watched.init(vref, harden([entry]));
        taken?.add(vref);
        react(promise, vref);
        // The kernel is to reject it should this vat end.
        if (kit.followFresh(vref)) native.subscribe(vref);
      }
    });
  };

  const providePromiseWatcher = (
    handle,
    onFulfilled = (_value) => {},
    onRejected = (reason) => {
      throw reason;
    },
  ) => {
    assert.typeof(onFulfilled, 'function');
    assert.typeof(onRejected, 'function');
    const makeWatcher = defineDurableKind(handle, exo.initEmpty, {
      onFulfilled: (_context, value, ...args) => onFulfilled(value, ...args),
      onRejected: (_context, reason, ...args) => onRejected(reason, ...args),
    });
    if (watchers.has(handle)) return watchers.get(handle);
    const watcher = makeWatcher();
    watchers.init(handle, watcher);
    return watcher;
  };

  kit.watchPromise = watchPromise;
  kit.providePromiseWatcher = providePromiseWatcher;
  kit.startWatchers = (watchersId, watchedId) => {
    watchers = kit.presenceOf(watchersId, undefined);
    watched = kit.presenceOf(watchedId, undefined);
  };
  // Takes up what earlier incarnations watched, once behaviour is there again.
  kit.resumeWatchers = () => {
    for (const vref of watched.keys()) {
      if (!taken.has(vref)) react(kit.revivePromise(vref), vref);
    }
    taken = undefined;
  };
};
