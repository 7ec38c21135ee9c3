// Makes what the realm put on the global read-only. Vat code may add globals of its own, as it
// may in a compartment, but cannot replace one that the supervisor or another module relies on.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { defineProperty, getOwnPropertyDescriptor } = Object;
  const { ownKeys } = Reflect;

  ocap.defineGlobal('global', globalThis);
  const seal = name => {
    const descriptor = getOwnPropertyDescriptor(globalThis, name);
    if (descriptor.configurable) {
      defineProperty(
        globalThis,
        name,
        'value' in descriptor
          ? { writable: false, configurable: false }
          : { configurable: false },
      );
    }
  };
  // Called again by the supervisor once it has added its own globals and removed `__ocap`.
  ocap.sealGlobal = (except = []) => {
    for (const name of ownKeys(globalThis)) {
      if (name !== '__ocap' && !except.includes(name)) seal(name);
    }
  };
  // Some of them, without a look at all the others.
  ocap.sealGlobals = names => names.forEach(seal);
  ocap.completeRealm();
  delete ocap.completeRealm;
  // These the supervisor puts its own in the place of, the first two only if the vat asks for it.
  ocap.sealGlobal(['Date', 'Math', 'WeakMap', 'WeakSet']);
})();
