// `HandledPromise` and `E`: messages to things that may not be there yet.
//
// A handled promise has a *record* saying where a message to it goes:
// - waiting: nobody knows yet; messages queue up in the record, in order;
// - handled: a pending handler takes them (a supervisor pipelines them);
// - forwarded: resolved to another handled promise, which decides;
// - presence: resolved to a presence, whose handler takes them;
// - settled: resolved to anything else; messages wait for the native promise, then run locally.
// Promises without a record are treated as settled.
//
// Invariants: no handler and no target code runs in the turn that sends; messages to one promise
// keep their order through every change of its record; what is sent and what comes back is
// hardened.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { assert, harden, originals } = ocap;
  const { details: X, quote: q, Fail } = assert;
  const { create, defineProperties, freeze, getOwnPropertyDescriptors, getPrototypeOf } = Object;
  const { apply, construct, ownKeys } = Reflect;
  const { queueMicrotask } = originals;
  // A native brand check; reading any property of a promise could run its owner's code.
  const { isPromise } = ocap;
  const promiseThen = Promise.prototype.then;

  const isObject = value =>
    (typeof value === 'object' && value !== null) || typeof value === 'function';

  const WAITING = 0;
  const HANDLED = 1;
  const FORWARDED = 2;
  const PRESENCE = 3;
  const SETTLED = 4;

  // Promise to record, presence to handler, presence to the promise it came from.
  const records = new WeakMap();
  const presenceHandlers = new WeakMap();
  const presencePromises = new WeakMap();

  // The promise that decides for `promise`, with every link on the way shortened. A record that
  // still holds queued messages decides for itself until they have moved on.
  const shorten = promise => {
    let last = promise;
    let record = records.get(last);
    while (record.state === FORWARDED && record.queue === undefined) {
      last = record.next;
      record = records.get(last);
    }
    let at = promise;
    while (at !== last) {
      const passed = records.get(at);
      at = passed.next;
      passed.next = last;
    }
    return last;
  };

  const nameOfType = value => (value === null ? 'null' : typeof value);
  const compareNames = (left, right) => {
    if (typeof left !== typeof right) {
      return typeof left === 'symbol' ? -1 : 1;
    }
    const a = String(left);
    const b = String(right);
    if (a === b) {
      return 0;
    }
    return a < b ? -1 : 1;
  };

  /** Every method name of `value`, inherited ones too, sorted, symbols first. */
  const getMethodNames = value => {
    const names = new Set();
    for (
      let layer = value;
      layer !== null && layer !== undefined && layer !== Object.prototype;
      layer = isObject(value) ? getPrototypeOf(layer) : null
    ) {
      for (const name of ownKeys(Object(layer))) {
        if (typeof value[name] === 'function') {
          names.add(name);
        }
      }
    }
    return harden([...names].sort(compareNames));
  };

  const applyFunctionHere = (target, args) => {
    if (typeof target !== 'function') {
      throw assert.makeError(
        X`Cannot invoke target as a function; typeof target is ${q(nameOfType(target))}`,
        TypeError,
      );
    }
    return apply(target, undefined, args);
  };
  const applyMethodHere = (target, name, args) => {
    if (name === undefined || name === null) {
      return applyFunctionHere(target, args);
    }
    if (target === undefined || target === null) {
      throw assert.makeError(
        X`Cannot deliver ${q(name)} to target; typeof target is ${q(nameOfType(target))}`,
        TypeError,
      );
    }
    const method = target[name];
    if (typeof method === 'function') {
      return apply(method, target, args);
    }
    if (method === undefined) {
      throw assert.makeError(
        X`target has no method ${q(name)}, has ${q(getMethodNames(target))}`,
        TypeError,
      );
    }
    throw Fail`invoked method ${q(name)} is not a function; it is a ${q(nameOfType(method))}`;
  };

  // One message: an operation and its two arguments, the second unused by `get` and
  // `applyFunction`.
  const GET = 'get';
  const APPLY_FUNCTION = 'applyFunction';
  const APPLY_METHOD = 'applyMethod';

  const performHere = (target, operation, name, args) => {
    switch (operation) {
      case GET:
        return target[name];
      case APPLY_FUNCTION:
        return applyFunctionHere(target, args);
      default:
        return applyMethodHere(target, name, args);
    }
  };

  // Lets `handler` perform a message for `target`. `promise` is the answer's promise, undefined if
  // nobody wants the answer.
  const performBy = (handler, target, message, promise) => {
    const { operation, name, args } = message;
    if (promise === undefined) {
      const sendOnly = handler[`${operation}SendOnly`];
      if (typeof sendOnly === 'function') {
        const rest =
          operation === GET ? [name] : operation === APPLY_FUNCTION ? [args] : [name, args];
        apply(sendOnly, handler, [target, ...rest]);
        return undefined;
      }
    }
    if (typeof handler[operation] === 'function') {
      switch (operation) {
        case GET:
          return handler.get(target, name, promise);
        case APPLY_FUNCTION:
          return handler.applyFunction(target, args, promise);
        default:
          return handler.applyMethod(target, name, args, promise);
      }
    }
    if (operation === APPLY_METHOD && typeof handler.get === 'function') {
      const method = send(target, GET, name, undefined, false);
      return send(method, APPLY_FUNCTION, undefined, args, promise === undefined);
    }
    if (operation === APPLY_FUNCTION && typeof handler.applyMethod === 'function') {
      return handler.applyMethod(target, undefined, args, promise);
    }
    throw assert.makeError(
      X`handler has no methods needed for ${q(operation)} (has ${q(getMethodNames(handler))})`,
      TypeError,
    );
  };

  const rejectAnswer = (answer, reason) => {
    if (answer !== undefined) {
      answer.reject(reason);
    }
  };

  // Performs a message, by `handler` or here if that is undefined, and settles its answer.
  const perform = (handler, target, message) => {
    const { answer, operation, name, args } = message;
    let result;
    try {
      result = harden(
        handler === undefined
          ? performHere(target, operation, name, args)
          : performBy(handler, target, message, answer === undefined ? undefined : answer.promise),
      );
    } catch (reason) {
      rejectAnswer(answer, reason);
      return;
    }
    if (answer !== undefined) {
      answer.resolve(result);
    }
  };

  // Performs a message on a value that is known not to be a promise.
  const performOn = (target, message) =>
    perform(isObject(target) ? presenceHandlers.get(target) : undefined, target, message);

  const performWhenSettled = (promise, message) => {
    apply(promiseThen, promise, [
      target => performOn(target, message),
      reason => rejectAnswer(message.answer, reason),
    ]);
  };

  // Sends a message on its way, in a turn of its own.
  const route = (target, message) => {
    if (!isObject(target) || presenceHandlers.has(target)) {
      performOn(target, message);
      return;
    }
    if (!records.has(target)) {
      let isThenable = false;
      try {
        isThenable = typeof target.then === 'function';
      } catch (reason) {
        rejectAnswer(message.answer, reason);
        return;
      }
      if (isThenable) {
        performWhenSettled(Promise.resolve(target), message);
      } else {
        performOn(target, message);
      }
      return;
    }
    const promise = shorten(target);
    const record = records.get(promise);
    if (record.queue !== undefined) {
      record.queue.push(message);
      return;
    }
    switch (record.state) {
      case WAITING:
        record.queue = [message];
        break;
      case HANDLED:
        perform(record.handler, promise, message);
        break;
      case PRESENCE:
        performOn(record.presence, message);
        break;
      default:
        performWhenSettled(promise, message);
    }
  };

  // After a record is resolved: what was queued in it moves on.
  const scheduleDrain = (promise, record) => {
    if (record.queue === undefined) {
      return;
    }
    queueMicrotask(() => {
      const messages = record.queue;
      record.queue = undefined;
      for (const message of messages) {
        route(promise, message);
      }
    });
  };

  // The last native promise's resolving functions, handed over by its executor.
  let nativeResolve;
  let nativeReject;
  const takeResolvers = (resolve, reject) => {
    nativeResolve = resolve;
    nativeReject = reject;
  };

  // A handled promise and the power to resolve it. Without a handler it is a waiting one.
  class Deferred {
    constructor(handler, newTarget) {
      this.promise = freeze(
        newTarget === undefined
          ? new Promise(takeResolvers)
          : construct(Promise, [takeResolvers], newTarget),
      );
      this.nativeResolve = nativeResolve;
      this.nativeReject = nativeReject;
      // Kept here they would keep the promise alive.
      nativeResolve = undefined;
      nativeReject = undefined;
      this.isResolved = false;
      this.record = {
        state: handler === undefined ? WAITING : HANDLED,
        handler,
        next: undefined,
        presence: undefined,
        queue: undefined,
      };
      records.set(this.promise, this.record);
    }

    resolve(value) {
      if (this.isResolved) {
        return;
      }
      this.isResolved = true;
      const { promise, record } = this;
      record.handler = undefined;
      record.state = SETTLED;
      if (isObject(value)) {
        if (presenceHandlers.has(value)) {
          record.state = PRESENCE;
          record.presence = value;
        } else if (records.has(value) && !leadsTo(value, promise)) {
          // In a cycle it stays settled: the native promise never fulfils, so no message runs.
          record.state = FORWARDED;
          record.next = value;
        }
      }
      this.nativeResolve(value);
      scheduleDrain(promise, record);
    }

    reject(reason) {
      if (this.isResolved) {
        return;
      }
      this.isResolved = true;
      try {
        harden(reason);
      } catch (_) {
        // A reason that cannot be frozen is passed on as it is.
      }
      const { promise, record } = this;
      record.handler = undefined;
      record.state = SETTLED;
      this.nativeReject(reason);
      scheduleDrain(promise, record);
    }
  }

  // Whether the links from `from` lead to `to`, also past records that still hold messages.
  const leadsTo = (from, to) => {
    let at = from;
    for (;;) {
      if (at === to) {
        return true;
      }
      const record = records.get(at);
      if (record.state !== FORWARDED) {
        return false;
      }
      at = record.next;
    }
  };

  const send = (target, operation, name, args, isSendOnly) => {
    const answer = isSendOnly ? undefined : new Deferred();
    const message = { operation, name, args, answer };
    if (isPromise(target) && !records.has(target)) {
      performWhenSettled(target, message);
    } else {
      queueMicrotask(() => route(target, message));
    }
    return answer === undefined ? undefined : answer.promise;
  };

  const checkHandler = handler => {
    if (!isObject(handler)) {
      throw assert.makeError(X`Handler ${handler} cannot be a primitive`, TypeError);
    }
    return handler;
  };

  /**
   * @param {(resolve, reject, resolveWithPresence) => void} executor
   * @param {object} [pendingHandler] takes messages until the promise is resolved
   */
  const HandledPromise = function HandledPromise(executor, pendingHandler = undefined) {
    if (new.target === undefined) {
      throw assert.makeError(X`must be invoked with "new"`, TypeError);
    }
    if (typeof executor !== 'function') {
      throw assert.makeError(X`HandledPromise executor must be a function`, TypeError);
    }
    if (pendingHandler !== undefined) {
      checkHandler(pendingHandler);
    }
    const deferred = new Deferred(pendingHandler, new.target);
    const { promise } = deferred;
    const resolve = value => deferred.resolve(value);
    const reject = reason => deferred.reject(reason);
    let presence;
    const resolveWithPresence = (handler = pendingHandler, options = {}) => {
      if (deferred.isResolved) {
        return presence;
      }
      try {
        checkHandler(handler);
        const { proxy } = options;
        let made;
        if (proxy === undefined) {
          made = create(null);
        } else if (proxy.revokerCallback === undefined) {
          made = new Proxy(proxy.target, proxy.handler);
        } else {
          const revocable = Proxy.revocable(proxy.target, proxy.handler);
          made = revocable.proxy;
          proxy.revokerCallback(revocable.revoke);
        }
        presence = made;
        presenceHandlers.set(made, handler);
        presencePromises.set(made, promise);
      } catch (reason) {
        reject(reason);
        throw reason;
      }
      resolve(presence);
      return presence;
    };
    try {
      executor(resolve, reject, resolveWithPresence);
    } catch (reason) {
      reject(reason);
    }
    return promise;
  };

  const propertyKey = name => (typeof name === 'symbol' ? name : String(name));
  const methodKey = name => (name === undefined || name === null ? undefined : propertyKey(name));

  const statics = {
    get: (target, name) => send(target, GET, propertyKey(name), undefined, false),
    getSendOnly: (target, name) => {
      send(target, GET, propertyKey(name), undefined, true);
    },
    applyFunction: (target, args) =>
      send(target, APPLY_FUNCTION, undefined, harden([...args]), false),
    applyFunctionSendOnly: (target, args) => {
      send(target, APPLY_FUNCTION, undefined, harden([...args]), true);
    },
    applyMethod: (target, name, args) =>
      send(target, APPLY_METHOD, methodKey(name), harden([...args]), false),
    applyMethodSendOnly: (target, name, args) => {
      send(target, APPLY_METHOD, methodKey(name), harden([...args]), true);
    },
    /** The promise a presence came from, a safe promise itself, or a promise for the value. */
    resolve: value => {
      if (isObject(value)) {
        const known = presencePromises.get(value);
        if (known !== undefined) {
          return known;
        }
      }
      if (isPromise(value) && getPrototypeOf(value) === Promise.prototype) {
        harden(value);
        if (!Object.hasOwn(value, 'then') && !Object.hasOwn(value, 'constructor')) {
          return value;
        }
      }
      if (isObject(value)) {
        // A thenable's `then` runs in a later turn, by the native machinery.
        const answer = new Deferred();
        answer.resolve(value);
        return answer.promise;
      }
      return freeze(Promise.resolve(value));
    },
  };
  Object.setPrototypeOf(HandledPromise, Promise);
  Object.defineProperty(HandledPromise, 'prototype', {
    value: Promise.prototype,
    writable: false,
    enumerable: false,
    configurable: false,
  });
  for (const [name, method] of Object.entries(statics)) {
    Object.defineProperty(HandledPromise, name, {
      value: method,
      writable: false,
      enumerable: false,
      configurable: false,
    });
  }
  harden(HandledPromise);

  // Proxies behind `E(x)`: any property is a method that sends.
  const alwaysMethods = {
    set: () => false,
    has: () => true,
    isExtensible: () => false,
    setPrototypeOf: () => false,
    defineProperty: () => false,
    deleteProperty: () => false,
  };
  // Without own properties, so that methods may be called `name` and `length`.
  const functionTarget = () => {};
  for (const name of ownKeys(functionTarget)) {
    delete functionTarget[name];
  }
  freeze(functionTarget);
  const objectTarget = freeze(create(null));

  const wrongReceiver = (name, form) =>
    assert.makeError(X`Unexpected receiver for ${q(name)} method of ${assert.bare(form)}(target)`);

  const makeSender = recipient => ({
    __proto__: senderTraps,
    recipient,
  });
  const senderTraps = freeze({
    __proto__: null,
    ...alwaysMethods,
    get(_target, name, receiver) {
      const { recipient } = this;
      return {
        method(...args) {
          if (this !== receiver) {
            return Promise.reject(wrongReceiver(name, 'E'));
          }
          return send(recipient, APPLY_METHOD, name, harden(args), false);
        },
      }.method;
    },
    apply(_target, _this, args) {
      return send(this.recipient, APPLY_FUNCTION, undefined, harden(args), false);
    },
  });
  const sendOnlyTraps = freeze({
    __proto__: null,
    ...alwaysMethods,
    get(_target, name, receiver) {
      const { recipient } = this;
      return {
        method(...args) {
          if (this !== receiver) {
            throw wrongReceiver(name, 'E.sendOnly');
          }
          send(recipient, APPLY_METHOD, name, harden(args), true);
        },
      }.method;
    },
    apply(_target, _this, args) {
      send(this.recipient, APPLY_FUNCTION, undefined, harden(args), true);
    },
  });
  const getterTraps = freeze({
    __proto__: null,
    ...alwaysMethods,
    get(_target, name) {
      return send(this.recipient, GET, name, undefined, false);
    },
  });

  const E = recipient => new Proxy(functionTarget, makeSender(recipient));
  defineProperties(
    E,
    getOwnPropertyDescriptors({
      get: recipient => new Proxy(objectTarget, { __proto__: getterTraps, recipient }),
      sendOnly: recipient => new Proxy(functionTarget, { __proto__: sendOnlyTraps, recipient }),
      when: (value, onFulfilled, onRejected) =>
        apply(promiseThen, statics.resolve(value), [onFulfilled, onRejected]),
      resolve: statics.resolve,
    }),
  );
  harden(E);

  /** `{promise, resolve, reject}`; the promise can be pipelined to. */
  const makePromiseKit = () => {
    const deferred = new Deferred();
    return harden({
      promise: deferred.promise,
      resolve: value => deferred.resolve(value),
      reject: reason => deferred.reject(reason),
    });
  };
  harden(makePromiseKit);
  harden(getMethodNames);
  harden(isPromise);

  ocap.defineGlobal('HandledPromise', HandledPromise);
  ocap.HandledPromise = HandledPromise;
  ocap.E = E;
  ocap.makePromiseKit = makePromiseKit;
  ocap.getMethodNames = getMethodNames;
  ocap.applyMethod = applyMethodHere;
  ocap.applyFunction = applyFunctionHere;
})();
