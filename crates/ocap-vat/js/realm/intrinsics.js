// Finds every intrinsic of the realm, tames what is unsafe and takes the ambient powers off the
// global. Runs first, in a pristine realm; what the supervisor may need later is kept in
// `__ocap.originals`, which no vat code can reach.
//
// Invariants when this script is done:
// - no name on the global gives a clock, randomness, shared memory, weak references or `eval`;
// - the four function constructors are dead, under every path that leads to them;
// - `__ocap.intrinsics` holds every object that vat code could reach without being given it.
'use strict';
(() => {
  const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, setPrototypeOf } = Object;
  const { construct, ownKeys } = Reflect;
  const isObject = value =>
    (typeof value === 'object' && value !== null) || typeof value === 'function';

  const ocap = { __proto__: null };
  defineProperty(globalThis, '__ocap', {
    value: ocap,
    writable: false,
    enumerable: false,
    configurable: true,
  });

  // Prototypes that no global name leads to.
  const makeGenerator = function* () {};
  const makeAsyncGenerator = async function* () {};
  const strictArguments = (function () {
    return arguments;
  })();
  const hidden = [
    makeGenerator,
    makeGenerator(),
    makeAsyncGenerator,
    makeAsyncGenerator(),
    async () => {},
    [][Symbol.iterator](),
    new Map()[Symbol.iterator](),
    new Set()[Symbol.iterator](),
    ''[Symbol.iterator](),
    ''.matchAll(/x/g),
    [].values().map(x => x),
    Iterator.from({ next() {} }),
    Iterator.concat([]),
    getOwnPropertyDescriptor(strictArguments, 'callee').get,
  ].flatMap(sample => [getPrototypeOf(sample), ...(typeof sample === 'function' ? [sample] : [])]);

  const originals = { __proto__: null };
  for (const name of [
    'Date',
    'WeakRef',
    'FinalizationRegistry',
    'queueMicrotask',
    'performance',
    'SharedArrayBuffer',
    'Atomics',
    'DOMException',
    'InternalError',
    'atob',
    'btoa',
  ]) {
    originals[name] = globalThis[name];
  }
  originals.dateNow = Date.now;
  originals.mathRandom = Math.random;

  // A data property as intrinsics have them.
  const define = (object, name, value) =>
    defineProperty(object, name, { value, writable: true, enumerable: false, configurable: true });

  // Function constructors: alive only as things to compare with.
  const tameFunctionConstructor = (name, prototype, parent) => {
    const constructor = {
      [name]: function () {
        throw TypeError(`${name}() is disabled: code cannot be made from strings here`);
      },
    }[name];
    defineProperty(constructor, 'length', { value: 1, configurable: true });
    defineProperty(constructor, 'prototype', {
      value: prototype,
      writable: false,
      enumerable: false,
      configurable: false,
    });
    setPrototypeOf(constructor, parent);
    // Generator prototypes have a read-only `constructor`, hence no plain assignment.
    defineProperty(prototype, 'constructor', {
      ...getOwnPropertyDescriptor(prototype, 'constructor'),
      value: constructor,
    });
    return constructor;
  };
  const TamedFunction = tameFunctionConstructor('Function', Function.prototype, Function.prototype);
  for (const [name, sample] of [
    ['GeneratorFunction', makeGenerator],
    ['AsyncFunction', async () => {}],
    ['AsyncGeneratorFunction', makeAsyncGenerator],
  ]) {
    tameFunctionConstructor(name, getPrototypeOf(sample), TamedFunction);
  }
  define(globalThis, 'Function', TamedFunction);
  const tamedEval = {
    eval(_source) {
      throw TypeError('eval() is disabled: code cannot be made from strings here');
    },
  }.eval;
  define(globalThis, 'eval', tamedEval);

  // Date: no clock.
  const OriginalDate = Date;
  const TamedDate = function Date(...args) {
    if (new.target === undefined) {
      throw TypeError('secure mode Calling %SharedDate% constructor as a function throws');
    }
    if (args.length === 0) {
      throw TypeError('secure mode Calling new %SharedDate%() with no arguments throws');
    }
    return construct(OriginalDate, args, new.target);
  };
  defineProperty(TamedDate, 'length', { value: 7, configurable: true });
  defineProperty(TamedDate, 'prototype', {
    value: OriginalDate.prototype,
    writable: false,
    enumerable: false,
    configurable: false,
  });
  define(TamedDate, 'parse', OriginalDate.parse);
  define(TamedDate, 'UTC', OriginalDate.UTC);
  define(
    TamedDate,
    'now',
    {
      now() {
        throw TypeError('secure mode Calling %SharedDate%.now() throws');
      },
    }.now,
  );
  define(OriginalDate.prototype, 'constructor', TamedDate);
  define(globalThis, 'Date', TamedDate);

  // Math: no randomness.
  define(
    Math,
    'random',
    {
      random() {
        throw TypeError('secure mode Calling %SharedMath%.random() throws');
      },
    }.random,
  );

  // Error: the engine's two setters reach through any freeze, so they have to go.
  for (const name of ['stackTraceLimit', 'prepareStackTrace']) {
    const { get, set } = getOwnPropertyDescriptor(
      {
        get [name]() {
          return undefined;
        },
        // Libraries assign these on load; that must not fail, and must not do anything.
        set [name](_ignored) {},
      },
      name,
    );
    defineProperty(Error, name, { get, set, enumerable: false, configurable: true });
  }
  const { captureStackTrace } = Error;
  const tamedCaptureStackTrace = {
    // Without the check it would change the stack of a frozen error.
    captureStackTrace(error, hideAbove = tamedCaptureStackTrace) {
      if (isObject(error) && Object.isFrozen(error)) {
        throw TypeError('Cannot capture a stack trace into a frozen object');
      }
      captureStackTrace(error, hideAbove);
    },
  }.captureStackTrace;
  define(Error, 'captureStackTrace', tamedCaptureStackTrace);

  // The engine lets a proxy describe properties of its target falsely even where they are frozen
  // (other traps are held to the truth). Then whoever checks a value by its descriptors would see
  // another one than whoever uses it.
  const { getOwnPropertyDescriptor: describe } = Object;
  const isTrue = (object, key, told) => {
    if ('value' in told) {
      return told.writable || Object.is(told.value, object[key]);
    }
    const target = ocap.proxyTarget(object);
    const real = target === undefined ? told : checkedDescriptor(target, key);
    return real !== undefined && real.get === told.get && real.set === told.set;
  };
  const checkedDescriptor = (object, key) => {
    const told = describe(object, key);
    if (told !== undefined && !told.configurable && !isTrue(object, key, told)) {
      throw TypeError('proxy: inconsistent getOwnPropertyDescriptor');
    }
    return told;
  };
  // A key that is an object would be another one each time.
  const keyOf = key => (isObject(key) ? ownKeys({ __proto__: null, [key]: 0 })[0] : key);
  for (const holder of [Object, Reflect]) {
    define(
      holder,
      'getOwnPropertyDescriptor',
      {
        getOwnPropertyDescriptor(object, key) {
          if (holder === Reflect && !isObject(object)) {
            throw TypeError('not an object');
          }
          return checkedDescriptor(object, keyOf(key));
        },
      }.getOwnPropertyDescriptor,
    );
  }
  define(
    Object,
    'getOwnPropertyDescriptors',
    {
      getOwnPropertyDescriptors(object) {
        if (object === undefined || object === null) {
          throw TypeError('not an object');
        }
        const told = {};
        for (const key of ownKeys(Object(object))) {
          const value = checkedDescriptor(object, key);
          if (value !== undefined) {
            defineProperty(told, key, { value, writable: true, enumerable: true, configurable: true });
          }
        }
        return told;
      },
    }.getOwnPropertyDescriptors,
  );

  // `compile` changes a frozen regular expression. The others tell where code lies, or are what SES
  // does not permit (yet).
  const AsyncIteratorPrototype = getPrototypeOf(getPrototypeOf(makeAsyncGenerator.prototype));
  for (const [object, ...names] of [
    [RegExp.prototype, 'compile'],
    [Function.prototype, 'arguments', 'caller', 'columnNumber', 'fileName', 'lineNumber'],
    [Iterator.prototype, 'chunks', 'includes', 'join', 'windows', Symbol.dispose],
    [AsyncIteratorPrototype, Symbol.asyncDispose],
  ]) {
    for (const name of names) {
      delete object[name];
    }
  }

  // No constructors, yet with a prototype that cannot be deleted.
  Iterator.zip.prototype = undefined;
  Iterator.zipKeyed.prototype = undefined;

  // Everything reachable by now, before names are taken away, so that what the supervisor keeps and
  // what only the engine hands out (InternalError) is frozen too.
  const intrinsics = new Set();
  const queue = [];
  const visit = value => {
    if (isObject(value) && value !== globalThis && value !== ocap && !intrinsics.has(value)) {
      intrinsics.add(value);
      queue.push(value);
    }
  };
  for (const name of ownKeys(globalThis)) {
    const descriptor = getOwnPropertyDescriptor(globalThis, name);
    visit(descriptor.value);
    visit(descriptor.get);
    visit(descriptor.set);
  }
  visit(getPrototypeOf(globalThis));
  hidden.forEach(visit);
  Object.values(originals).forEach(visit);
  for (let at = 0; at < queue.length; at += 1) {
    const object = queue[at];
    visit(getPrototypeOf(object));
    for (const name of ownKeys(object)) {
      const descriptor = getOwnPropertyDescriptor(object, name);
      visit(descriptor.value);
      visit(descriptor.get);
      visit(descriptor.set);
    }
  }

  for (const name of [
    'AsyncDisposableStack',
    'Atomics',
    'DOMException',
    'DisposableStack',
    'FinalizationRegistry',
    'InternalError',
    'SharedArrayBuffer',
    'SuppressedError',
    'WeakRef',
    'atob',
    'btoa',
    'performance',
    'queueMicrotask',
  ]) {
    delete globalThis[name];
  }
  delete globalThis[Symbol.toStringTag];

  ocap.originals = originals;
  ocap.intrinsics = intrinsics;
  ocap.WeakRef = originals.WeakRef;
  ocap.FinalizationRegistry = originals.FinalizationRegistry;
})();
