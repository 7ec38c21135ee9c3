// `harden`: freezes a value and everything reachable from it by own properties and prototypes.
//
// The walk itself is native (`src/realm/graph.rs`) and iterative, so no nesting overflows the
// stack. A graph is marked hardened only when all of it could be frozen: a proxy that throws
// half way leaves nothing marked.
//
// What the realm itself consists of stays for as long as there is a realm. It is marked by its address
// instead, which is quick to look up: in the engine's WeakSet many objects share one of few lists.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { hardenGraph } = ocap;
  const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, preventExtensions } = Object;
  const { ownKeys } = Reflect;

  const hardened = new WeakSet();
  const { has, add } = WeakSet.prototype;
  // Keeps the addresses theirs.
  const lasting = [];
  let isComplete = false;

  // Elements of a typed array cannot be frozen; its other properties can. Returns what they
  // lead to.
  const freezeTypedArray = array => {
    preventExtensions(array);
    const reached = [getPrototypeOf(array)];
    for (const key of ownKeys(array)) {
      if (typeof key === 'string' && String(+key) === key) {
        continue;
      }
      const { value, get, set } = getOwnPropertyDescriptor(array, key);
      reached.push(value, get, set);
      defineProperty(
        array,
        key,
        get === undefined && set === undefined
          ? { writable: false, configurable: false }
          : { configurable: false },
      );
    }
    return reached;
  };

  const { harden } = {
    /**
     * @template T
     * @param {T} root anything
     * @returns {T} the same, frozen through and through
     */
    harden(root) {
      if ((typeof root === 'object' && root !== null) || typeof root === 'function') {
        const keep = isComplete ? undefined : lasting;
        hardenGraph(root, hardened, has, add, freezeTypedArray, keep);
      }
      return root;
    },
  };

  delete ocap.hardenGraph;
  ocap.harden = harden;
  ocap.isLasting = object => lasting.includes(object);
  // From now on what is hardened may go again.
  ocap.completeRealm = () => {
    isComplete = true;
  };
})();
