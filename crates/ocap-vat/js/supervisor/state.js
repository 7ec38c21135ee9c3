// The state of virtual and durable objects: one record per instance (`vom.<base>`), read when a method
// first needs it in a crank, and written back once at the crank's end if it was changed.
(kit) => {
  const { JSON, Map, Object, Reflect, WeakMap } = globalThis;
  const { create, defineProperty, freeze, hasOwn, keys } = Object;
  const { ownKeys } = Reflect;
  const { assert, harden, patterns } = kit.ocap;
  const { Fail, quote: q } = assert;
  const { changeRefs, native } = kit;

  // Records in the heap during a crank. Beyond, all are written back, and read again when needed.
  const RECORDS_MAX = 10_000;

  // Base -> { fields: { name: { body, slots } }, values: Map of decoded ones, isChanged }.
  const records = new Map();
  const baseOfState = new WeakMap();

  const keyOf = (base) => `vom.${base}`;

  const flushStates = () => {
    for (const [base, { fields, isChanged }] of records) {
      if (isChanged) native.vatstoreSet(keyOf(base), JSON.stringify(fields));
    }
    records.clear();
  };

  const remember = (base, record) => {
    if (records.size >= RECORDS_MAX) flushStates();
    records.set(base, record);
  };

  const recordOf = (base) => {
    const known = records.get(base);
    if (known !== undefined) return known;
    const text = native.vatstoreGet(keyOf(base));
    if (text === undefined) throw Fail`the object no longer exists`;
    const record = { fields: JSON.parse(text), values: new Map(), isChanged: false };
    remember(base, record);
    return record;
  };

  const setField = (record, name, data, value) => {
    // Own, whatever its name.
    defineProperty(record.fields, name, {
      value: data,
      writable: true,
      enumerable: true,
      configurable: true,
    });
    record.values.set(name, value);
    record.isChanged = true;
  };

  // What the fields of a kind's instances must be like.
  const makeRules = (shape, isDurable) => {
    const check = (name, value) => {
      if (shape === undefined) return;
      if (!hasOwn(shape, name)) {
        throw Fail`State must only have fields described by stateShape: ${q(ownKeys(shape))}`;
      }
      patterns.mustMatch(value, shape[name]);
    };
    const encode = (name, value) => {
      check(name, value);
      const data = isDurable ? kit.encodeDurable(value, `value for ${q(name)}`) : kit.encode(value);
      kit.assertSize(data.body.length, data.slots.length);
      return data;
    };
    return { check, encode, shape };
  };

  const accessorOf = (name, rules) => {
    const base = (state) => {
      const found = baseOfState.get(state);
      if (found === undefined) throw Fail`state accessors can only be applied to state`;
      return found;
    };
    const { get, set } = {
      get() {
        const { fields, values } = recordOf(base(this));
        if (!values.has(name)) {
          const data = hasOwn(fields, name) ? fields[name] : undefined;
          const value = data === undefined ? undefined : kit.decode(data.body, data.slots);
          rules.check(name, value);
          values.set(name, value);
        }
        return values.get(name);
      },
      set(value) {
        const of = base(this);
        const data = rules.encode(name, harden(value));
        const record = recordOf(of);
        changeRefs(hasOwn(record.fields, name) ? record.fields[name].slots : [], data.slots);
        setField(record, name, data, value);
      },
    };
    return { get, set, enumerable: true, configurable: false };
  };

  // Makes the states of a kind's instances.
  const makeStates = (rules) => {
    const accessors = new Map();
    const accessor = (name) => {
      let found = accessors.get(name);
      if (found === undefined) {
        found = accessorOf(name, rules);
        accessors.set(name, found);
      }
      return found;
    };
    const prototype = {};
    if (rules.shape !== undefined) {
      for (const name of ownKeys(rules.shape)) defineProperty(prototype, name, accessor(name));
    }
    harden(prototype);
    return (base) => {
      const state = create(prototype);
      if (rules.shape === undefined) {
        for (const name of keys(recordOf(base).fields)) defineProperty(state, name, accessor(name));
      }
      baseOfState.set(state, base);
      return freeze(state);
    };
  };

  // The first state of an instance.
  const initState = (base, initial, rules) => {
    const record = { fields: {}, values: new Map(), isChanged: true };
    const encoded = Object.getOwnPropertyNames(initial).map((name) => {
      const value = harden(initial[name]);
      return [name, value, rules.encode(name, value)];
    });
    for (const [name, value, data] of encoded) {
      kit.addRefs(data.slots);
      setField(record, name, data, value);
    }
    remember(base, record);
  };

  // Whether something in the heap may be free now.
  const removeState = (base) => {
    const { fields } = recordOf(base);
    let freed = false;
    for (const name of keys(fields)) freed = kit.dropRefs(fields[name].slots) || freed;
    records.delete(base);
    native.vatstoreDelete(keyOf(base));
    return freed;
  };

  kit.makeRules = makeRules;
  kit.makeStates = makeStates;
  kit.initState = initState;
  kit.removeState = removeState;
  kit.flushStates = flushStates;
};
