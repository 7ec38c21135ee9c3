// Deliveries: what the engine calls, once each per crank.
(kit) => {
  const { Array, Error, JSON, Map, Object, Promise, Reflect, Set, String, TypeError } =
    globalThis;
  const { apply, ownKeys } = Reflect;
  const { getPrototypeOf, prototype: ObjectPrototype } = Object;
  const { stringify } = JSON;
  const { HandledPromise, harden, isPromise, passStyleOf, getInterfaceOf } = kit.ocap;
  const { native, vrefOf, encode, decode, watch } = kit;

  const ROOT = 'o+0';

  // Of the vat's start: undefined while unsettled, then '' or what is wrong.
  let started;

  kit.unknownExport = (vref) => {
    const error = Error(`I don't remember allocating ${vref}`);
    kit.fatal = error;
    return error;
  };

  const quote = (name) => (typeof name === 'symbol' ? stringify(String(name)) : stringify(name));

  const methodNames = (target) => {
    const names = new Set();
    let layer = target;
    while (layer !== null && layer !== ObjectPrototype) {
      for (const name of ownKeys(layer)) {
        if (typeof target[name] === 'function') names.add(name);
      }
      layer = getPrototypeOf(layer);
    }
    return [...names].map((name) => quote(name)).sort().join();
  };

  const call = (target, method, args) => {
    if (method === undefined) {
      if (typeof target !== 'function') {
        throw TypeError(`Cannot invoke target as a function; typeof target is ${quote(typeof target)}`);
      }
      return apply(target, undefined, args);
    }
    const found = target[method];
    // What every object inherits is no method of anybody's.
    if (found === undefined || (method in ObjectPrototype && found === ObjectPrototype[method])) {
      throw TypeError(`target has no method ${quote(method)}, has [${methodNames(target)}]`);
    }
    if (typeof found !== 'function') {
      throw TypeError(
        `invoked method ${quote(method)} is not a function; it is a ${quote(typeof found)}`,
      );
    }
    return apply(found, target, args);
  };

  // The promise of what `act` returns. If that is a promise too, messages for the one go to the other.
  const answer = (act) => {
    let value;
    try {
      value = act();
    } catch (error) {
      return Promise.reject(error);
    }
    return isPromise(value)
      ? new HandledPromise((resolve) => resolve(value))
      : new Promise((resolve) => resolve(value));
  };

  // The same, but `act` is called in a turn of its own.
  const answerLater = (act) =>
    new HandledPromise((resolve, reject) => {
      watch(Promise.resolve(), () => {
        try {
          resolve(act());
        } catch (error) {
          reject(error);
        }
      });
    });

  const throwIfFatal = () => {
    if (kit.fatal !== undefined) throw kit.fatal;
  };

  // What a message asks for, to be done once.
  const prepare = (target, object, body, slots) => {
    const methargs = decode(body, slots);
    if (!Array.isArray(methargs) || methargs.length !== 2 || !Array.isArray(methargs[1])) {
      throw TypeError('malformed message: methargs must be [method, args]');
    }
    const [method, args] = methargs;
    if (method !== undefined && typeof method !== 'string' && typeof method !== 'symbol') {
      throw TypeError('malformed message: a method name must be a string or a symbol');
    }
    if (target[0] === 'o') return () => call(object, method, args);
    return method === undefined
      ? () => HandledPromise.applyFunction(object, args)
      : () => HandledPromise.applyMethod(object, method, args);
  };

  const message = (target, body, slots, result) => {
    const object = target[0] === 'p' ? kit.promiseOf(target) : kit.presenceOf(target, undefined);
    let act;
    try {
      act = prepare(target, object, body, slots);
    } catch (error) {
      act = () => {
        throw error;
      };
    }
    // The method may have the result already: by the time it runs, that must be its answer.
    const isKnown = result !== undefined && kit.isAwaited(result);
    const promise = isKnown ? answerLater(act) : answer(act);
    throwIfFatal();
    if (result !== undefined) kit.decide(result, promise);
  };

  const notify = (resolutions) => {
    kit.notify(resolutions);
    throwIfFatal();
  };

  const exit = (failure, value) => {
    let { body, slots } = encode(value);
    let failed = failure;
    try {
      kit.assertSize(body.length, slots.length);
    } catch (error) {
      ({ body, slots } = encode(error));
      failed = true;
    }
    kit.noteExports(slots);
    native.exit(failed, body, slots.join());
    kit.afterSyscall(slots);
  };

  const describe = (error) => {
    if (!(error instanceof Error)) return String(error);
    const { name, message: text } = error;
    return name === 'Error' ? `${text}` : `${name}: ${text}`;
  };

  const fail = (error) => {
    let text;
    try {
      text = describe(error);
    } catch {
      text = 'an error that cannot be described';
    }
    started = text === '' ? 'an error without a message' : text;
    let stack;
    try {
      ({ stack } = error);
    } catch {
      stack = undefined;
    }
    native.log(3, `the vat failed to start: ${started}\n${stack ?? ''}`.toWellFormed());
  };

  const checkRoot = (root) => {
    if (typeof root !== 'object' || root === null) {
      throw TypeError(`buildRootObject() returned ${root === null ? 'null' : typeof root}, not a remotable`);
    }
    harden(root);
    if (passStyleOf(root) !== 'remotable' || getInterfaceOf(root) === undefined) {
      throw TypeError(
        `buildRootObject() returned a ${passStyleOf(root)} with no interface, not a remotable`,
      );
    }
    const known = vrefOf.get(root);
    if (known !== undefined) {
      throw TypeError(
        known[1] === '-'
          ? 'buildRootObject() returned an object of another vat'
          : 'buildRootObject() must return ephemeral, not virtual/durable object',
      );
    }
    kit.resumeWatchers();
    kit.exportForever(ROOT, root);
    kit.assertAllDefined();
  };

  // Data of earlier incarnations, and what is to be done about it.
  const open = () => {
    const { kindOfKinds, storeKinds, firstCollections } = kit.initialiseStore();
    kit.startKinds(kindOfKinds);
    kit.startCollections(storeKinds);
    kit.startCollector();
    const [baggageId, watchersId, watchedId] = firstCollections;
    kit.startWatchers(watchersId, watchedId);
    return kit.presenceOf(baggageId, undefined);
  };

  // What is written once per crank.
  const flush = () => {
    kit.flushStates();
    kit.flushContexts();
    kit.flushNumbers();
    kit.flushKinds();
    kit.flushCounters();
    kit.young.clear();
    kit.flushPromises();
    kit.prune();
  };

  const start = (buildRootObject, body, slots) => {
    started = undefined;
    try {
      const baggage = open();
      const vatPowers = harden({
        D: Object.freeze(() => {
          throw Error('there are no devices');
        }),
        exitVat: (completion) => exit(false, completion),
        exitVatWithFailure: (reason) => exit(true, reason),
        VatData: kit.VatData,
        logger: kit.makeLogger(),
        WeakMap: kit.VatWeakMap,
        WeakSet: kit.VatWeakSet,
      });
      const parameters = decode(body, slots);
      const promise = new Promise((resolve) => {
        resolve(buildRootObject(vatPowers, parameters, baggage));
      });
      watch(
        promise,
        (root) => {
          try {
            checkRoot(root);
            started = '';
          } catch (error) {
            fail(error);
          }
        },
        fail,
      );
    } catch (error) {
      fail(error);
    }
  };

  kit.describe = describe;
  kit.entry = {
    setVat: (vatId) => {
      kit.vatId = vatId;
    },
    start,
    provideGlobal: kit.provideGlobal,
    sealGlobals: kit.sealGlobals,
    enableFiles: kit.enableFiles,
    startError: () => started ?? 'buildRootObject unresolved',
    message,
    notify,
    dropExports: kit.dropExports,
    retireExports: kit.retireExports,
    retireImports: kit.retireImports,
    beginSweep: kit.beginSweep,
    sweep: kit.sweep,
    reportDead: kit.reportDead,
    flush,
  };
};
