// Freezes the realm. Before that, properties that real code overrides by assignment on derived
// objects become accessors, because assignment cannot shadow a frozen data property (the "override
// mistake").
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { harden, intrinsics, isLasting } = ocap;
  const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, hasOwn } = Object;
  const { ownKeys } = Reflect;

  const enableOverride = (prototype, key) => {
    const descriptor = getOwnPropertyDescriptor(prototype, key);
    if (descriptor === undefined || !('value' in descriptor) || !descriptor.configurable) {
      return;
    }
    const { value, enumerable } = descriptor;
    const { get, set } = getOwnPropertyDescriptor(
      {
        get [key]() {
          return value;
        },
        set [key](replacement) {
          if (this === prototype) {
            throw TypeError(`Cannot assign to read only property '${String(key)}' of an intrinsic`);
          }
          if ((typeof this !== 'object' || this === null) && typeof this !== 'function') {
            throw TypeError(`Cannot assign to property '${String(key)}' of a primitive`);
          }
          if (hasOwn(this, key)) {
            this[key] = replacement;
          } else {
            defineProperty(this, key, {
              value: replacement,
              writable: true,
              enumerable: true,
              configurable: true,
            });
          }
        },
      },
      key,
    );
    intrinsics.add(get);
    intrinsics.add(set);
    defineProperty(prototype, key, { get, set, enumerable, configurable: false });
  };
  const enableOverrides = (prototype, keys = ownKeys(prototype)) => {
    for (const key of keys) {
      enableOverride(prototype, key);
    }
  };

  // `call` and `apply` stay data: too hot, and nobody overrides them.
  enableOverrides(Object.prototype);
  enableOverrides(Function.prototype, ['bind', 'constructor', 'toString']);
  enableOverrides(Array.prototype, [
    'concat',
    'constructor',
    'push',
    'toLocaleString',
    'toString',
    Symbol.iterator,
  ]);
  enableOverrides(Promise.prototype, ['catch', 'constructor', 'finally', 'then']);
  enableOverrides(Map.prototype);
  enableOverrides(Set.prototype);
  enableOverrides(getPrototypeOf(Uint8Array.prototype));
  const errorPrototypes = [...intrinsics].filter(
    object =>
      object === Error.prototype ||
      (typeof object === 'object' && getPrototypeOf(object) === Error.prototype),
  );
  for (const prototype of errorPrototypes) {
    enableOverrides(prototype, ['constructor', 'message', 'name', 'toString']);
  }
  const makeGenerator = function* () {};
  const makeAsyncGenerator = async function* () {};
  for (const sample of [makeGenerator, makeAsyncGenerator]) {
    const generatorFunction = getPrototypeOf(sample);
    const generator = generatorFunction.prototype;
    const iterator = getPrototypeOf(generator);
    enableOverrides(generatorFunction, ['constructor', 'name', 'prototype', 'toString']);
    enableOverrides(generator);
    enableOverrides(iterator, [
      'constructor',
      'toString',
      Symbol.iterator,
      Symbol.asyncIterator,
      Symbol.toStringTag,
    ]);
  }

  // Found by bundles that carry their own copy of `harden`.
  defineProperty(Object, Symbol.for('harden'), {
    value: harden,
    writable: false,
    enumerable: false,
    configurable: false,
  });
  harden([...intrinsics, harden]);
  for (const intrinsic of intrinsics) {
    if (!isLasting(intrinsic)) {
      throw Error('realm: an intrinsic could not be hardened');
    }
  }
  delete ocap.intrinsics;
  delete ocap.isLasting;

  // What the later scripts of the realm want to be global; `seal.js` makes it read-only.
  ocap.defineGlobal = (name, value) =>
    defineProperty(globalThis, name, {
      value,
      writable: true,
      enumerable: false,
      configurable: true,
    });
  ocap.defineGlobal('harden', harden);
})();
