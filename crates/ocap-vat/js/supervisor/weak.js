// `WeakMap` and `WeakSet` for the vat's code. An object that may leave the heap and come back as another
// one (a presence, a representative) is known by its reference, so that nobody can tell.
(kit) => {
  const { Map, Object, Set, Symbol, WeakMap, WeakSet } = globalThis;
  const { FinalizationRegistry } = kit.ocap.originals;
  const { defineProperty } = Object;
  const { ocap } = kit;
  const { harden } = ocap;
  const { addKnower, isCohort, keyOf, removeKnower } = kit;

  // When a collection is gone, so is what it knew.
  const registry = new FinalizationRegistry((table) => {
    for (const vref of table.keys()) removeKnower(vref, table);
  });
  const newTable = (collection, Table) => {
    const table = new Table();
    registry.register(collection, table);
    return table;
  };

  class VatWeakMap {
    #own = new WeakMap();

    #byVref;

    #held;

    constructor(entries = undefined) {
      if (entries === undefined || entries === null) return;
      for (const [key, value] of entries) this.set(key, value);
    }

    has(key) {
      const vref = keyOf(key);
      if (vref === undefined) return this.#own.has(key);
      return this.#byVref !== undefined && this.#byVref.has(vref);
    }

    get(key) {
      const vref = keyOf(key);
      return vref === undefined ? this.#own.get(key) : this.#byVref?.get(vref);
    }

    set(key, value) {
      const vref = keyOf(key);
      if (vref === undefined) {
        this.#own.set(key, value);
        if (isCohort(key)) (this.#held ??= new Set()).add(key);
      } else {
        this.#byVref ??= newTable(this, Map);
        if (!this.#byVref.has(vref)) addKnower(vref, this.#byVref);
        this.#byVref.set(vref, value);
      }
      return this;
    }

    delete(key) {
      const vref = keyOf(key);
      if (vref === undefined) {
        this.#held?.delete(key);
        return this.#own.delete(key);
      }
      if (this.#byVref === undefined || !this.#byVref.delete(vref)) return false;
      removeKnower(vref, this.#byVref);
      return true;
    }
  }

  class VatWeakSet {
    #own = new WeakSet();

    #byVref;

    #held;

    constructor(values = undefined) {
      if (values === undefined || values === null) return;
      for (const value of values) this.add(value);
    }

    has(value) {
      const vref = keyOf(value);
      if (vref === undefined) return this.#own.has(value);
      return this.#byVref !== undefined && this.#byVref.has(vref);
    }

    add(value) {
      const vref = keyOf(value);
      if (vref === undefined) {
        this.#own.add(value);
        if (isCohort(value)) (this.#held ??= new Set()).add(value);
      } else {
        this.#byVref ??= newTable(this, Set);
        if (!this.#byVref.has(vref)) addKnower(vref, this.#byVref);
        this.#byVref.add(vref);
      }
      return this;
    }

    delete(value) {
      const vref = keyOf(value);
      if (vref === undefined) {
        this.#held?.delete(value);
        return this.#own.delete(value);
      }
      if (this.#byVref === undefined || !this.#byVref.delete(vref)) return false;
      removeKnower(vref, this.#byVref);
      return true;
    }
  }

  for (const [Class, name] of [
    [VatWeakMap, 'WeakMap'],
    [VatWeakSet, 'WeakSet'],
  ]) {
    defineProperty(Class, 'name', { value: name });
    defineProperty(Class.prototype, Symbol.toStringTag, { value: name, configurable: true });
    ocap.defineGlobal(name, harden(Class));
  }

  kit.VatWeakMap = VatWeakMap;
  kit.VatWeakSet = VatWeakSet;
};
