// `harden`: freezes a value and everything reachable from it by own properties and prototypes.
//
// Iterative, so no nesting overflows the stack. A graph is marked hardened only when all of it could
// be frozen: a proxy that throws half way leaves nothing marked.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf, preventExtensions } =
    Object;
  const { apply, ownKeys } = Reflect;

  const hardened = new WeakSet();
  const typedArrayTag = getOwnPropertyDescriptor(
    getPrototypeOf(Uint8Array.prototype),
    Symbol.toStringTag,
  ).get;
  const isTypedArray = object => apply(typedArrayTag, object, []) !== undefined;

  // Elements of a typed array cannot be frozen; its other properties can.
  const freezeTypedArray = array => {
    preventExtensions(array);
    for (const key of ownKeys(array)) {
      if (typeof key !== 'string' || String(+key) !== key) {
        defineProperty(array, key, { writable: false, configurable: false });
      }
    }
  };

  const { harden } = {
    /**
     * @template T
     * @param {T} root anything
     * @returns {T} the same, frozen through and through
     */
    harden(root) {
      if ((typeof root !== 'object' || root === null) && typeof root !== 'function') {
        return root;
      }
      if (hardened.has(root)) {
        return root;
      }
      const graph = new Set([root]);
      const visit = value => {
        if (
          ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
          !hardened.has(value)
        ) {
          graph.add(value);
        }
      };
      // A Set's iterator also yields what is added on the way.
      for (const object of graph) {
        const typed = isTypedArray(object);
        if (typed) {
          freezeTypedArray(object);
        } else {
          freeze(object);
        }
        visit(getPrototypeOf(object));
        for (const key of ownKeys(object)) {
          if (typed && typeof key === 'string' && String(+key) === key) {
            continue;
          }
          const descriptor = getOwnPropertyDescriptor(object, key);
          if ('value' in descriptor) {
            visit(descriptor.value);
          } else {
            visit(descriptor.get);
            visit(descriptor.set);
          }
        }
      }
      for (const object of graph) {
        hardened.add(object);
      }
      return root;
    },
  };

  ocap.harden = harden;
  ocap.hardened = hardened;
})();
