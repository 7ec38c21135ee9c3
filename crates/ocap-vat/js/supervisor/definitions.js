// Defining kinds of virtual and durable objects: their behaviour, their state's shape, and how their
// instances are made and revived.
//
// A representative has no state of its own. Its methods look up the context (`state`, and `self` or
// `facets`) of its reference, which lasts for one crank, so that nobody can tell a representative that
// stayed in the heap from a revived one.
(kit) => {
  const { Map, Object, Reflect, WeakMap, WeakSet } = globalThis;
  const { freeze, fromEntries, hasOwn, values } = Object;
  const { ownKeys } = Reflect;
  const { assert, defendPrototype, defendPrototypeKit, harden, isPrimitive, makeSelf } = kit.ocap;
  const { getTag, passStyleOf } = kit.ocap;
  const { Fail, quote: q } = assert;
  const { kinds, makeRules, makeStates, objectOf, partsOf, vrefOf } = kit;

  // Contexts kept during a crank; more are made again.
  const CONTEXTS_MAX = 10_000;

  const contexts = new Map(); // base -> context
  // Facet -> its record of facets, so that they live and die together ...
  const facetsOfFacet = new WeakMap();
  // ... and those records: as keys they are held, or their coming and going would show.
  const cohorts = new WeakSet();

  // Whether behaviour is that of one object ('one'), a kit ('many'), or neither (undefined).
  const countFacets = (behavior) => {
    if (typeof behavior !== 'object' || behavior === null) return undefined;
    const found = ownKeys(behavior).map((name) => {
      const value = behavior[name];
      if (typeof value === 'function') return 'one';
      return typeof name === 'string' && countFacets(value) === 'one' ? 'many' : undefined;
    });
    if (found.length === 0) return 'one';
    return found.every((sort) => sort === found[0]) ? found[0] : undefined;
  };

  // The facets a durable kind has from now on; `undefined` for a single object. All that it had keep
  // their places.
  const updateFacets = (descriptor, proposed) => {
    const { facets: before = [], tag } = descriptor;
    if (proposed === undefined) {
      if (descriptor.facets !== undefined) {
        throw Fail`defineDurableKind called for faceted KindHandle ${q(tag)}`;
      }
      descriptor.unfaceted = true;
      return undefined;
    }
    if (descriptor.unfaceted) {
      throw Fail`defineDurableKindMulti called for unfaceted KindHandle ${q(tag)}`;
    }
    for (const facet of before) {
      if (!proposed.includes(facet)) {
        throw Fail`durable kind ${q(tag)} facets (${q(proposed.join())}) is missing ${q(facet)} from original definition (${q(before.join())})`;
      }
    }
    descriptor.facets = [...before, ...proposed.filter((facet) => !before.includes(facet)).sort()];
    return descriptor.facets;
  };

  const isTagged = (pattern, tag) =>
    !isPrimitive(pattern) && passStyleOf(pattern) === 'tagged' && getTag(pattern) === tag;
  const isUndefined = (pattern) =>
    pattern === undefined || (isTagged(pattern, 'match:kind') && pattern.payload === 'undefined');

  // A shape may gain fields that may be missing; it may not change otherwise.
  const assertCompatible = (before, after, shape) => {
    if (before.body !== after.body) {
      const old = kit.decode(before.body, before.slots);
      if (old === undefined) throw Fail`durable Kind stateShape mismatch (no old shape)`;
      const textOf = (pattern) => kit.encode(pattern).body;
      for (const name of ownKeys(old)) {
        if (shape === undefined || !hasOwn(shape, name) || textOf(shape[name]) !== textOf(old[name])) {
          throw Fail`durable Kind stateShape mismatch (body ${q(name)})`;
        }
      }
      for (const name of ownKeys(shape)) {
        if (hasOwn(old, name)) continue;
        const pattern = shape[name];
        if (!isTagged(pattern, 'match:or')) {
          throw Fail`durable Kind stateShape mismatch (body new field ${q(name)})`;
        }
        if (!pattern.payload.some(isUndefined)) {
          throw Fail`durable Kind stateShape mismatch (body ${q(name)})`;
        }
      }
    }
    if (before.slots.length !== after.slots.length) {
      throw Fail`durable Kind stateShape mismatch (slots.length)`;
    }
    before.slots.forEach((slot, i) => {
      if (slot !== after.slots[i]) throw Fail`durable Kind stateShape mismatch (slot[${q(i)}])`;
    });
  };

  const updateShape = (descriptor, shape) => {
    const before = descriptor.stateShapeCapData;
    const after = kit.encodeDurable(shape, 'stateShape');
    if (before !== undefined) assertCompatible(before, after, shape);
    kit.changeRefs(before?.slots ?? [], after.slots);
    descriptor.stateShapeCapData = after;
  };

  const checkShape = (shape) => {
    harden(shape);
    if (shape !== undefined && passStyleOf(shape) !== 'copyRecord') {
      throw Fail`A stateShape must be a copyRecord: ${q(shape)}`;
    }
    return shape;
  };

  // Checks behaviour and guards; the names of its facets, sorted, or `undefined`.
  const proposedFacets = (tag, isMulti, behavior, options) => {
    const count = countFacets(behavior);
    if (count === undefined) throw Fail`invalid behavior specifier for ${q(tag)}`;
    if ((count === 'many') !== isMulti) {
      throw isMulti
        ? Fail`behavior of ${q(tag)} has no facets`
        : Fail`behavior of ${q(tag)} has facets; use defineKindMulti or defineDurableKindMulti`;
    }
    if (isMulti) return ownKeys(behavior).sort();
    if (options.interfaceGuardKit !== undefined) {
      throw Fail`Use an interfaceGuard, not interfaceGuardKit, to protect class ${q(tag)}`;
    }
    if (options.receiveAmplifier !== undefined) {
      throw Fail`Only facets of an exo class kit can be amplified, not ${q(tag)}`;
    }
    return undefined;
  };

  // The guards of a kit; older callers pass them under the other name.
  const guardKitOf = (tag, { interfaceGuard, interfaceGuardKit }) => {
    if (interfaceGuardKit === undefined) return interfaceGuard;
    if (interfaceGuard !== undefined) {
      throw Fail`Use an interfaceGuardKit, not an interfaceGuard, to protect class kit ${q(tag)}`;
    }
    return interfaceGuardKit;
  };

  // How contexts of one kind's instances are found: by reference, once in a crank each.
  const contextFinder = (stem, stateOf, isFaceted) => {
    const contextAt = (base) => {
      const known = contexts.get(base);
      if (known !== undefined) return known;
      const state = stateOf(base);
      const object = objectOf(base);
      const context = freeze(isFaceted ? { state, facets: object } : { state, self: object });
      if (contexts.size >= CONTEXTS_MAX) contexts.clear();
      contexts.set(base, context);
      return context;
    };
    const contextOf = (object, facet) => {
      const vref = vrefOf.get(object);
      if (vref === undefined || !vref.startsWith(stem)) return undefined;
      const parts = partsOf(vref);
      return parts.facet === facet ? contextAt(parts.base) : undefined;
    };
    return { contextAt, contextOf };
  };

  const tellTools = (tag, facetNames, contextOf, { receiveAmplifier, receiveInstanceTester }) => {
    const all = facetNames === undefined ? [undefined] : facetNames.map((_, i) => i);
    const find = (object) => {
      if (isPrimitive(object)) return undefined;
      for (const facet of all) {
        const context = contextOf(object, facet);
        if (context !== undefined) return context;
      }
      return undefined;
    };
    if (receiveAmplifier !== undefined) {
      receiveAmplifier(
        harden((object) => {
          const context = find(object);
          if (context === undefined) throw Fail`Must be a facet of ${q(tag)}: ${q(object)}`;
          return context.facets;
        }),
      );
    }
    if (receiveInstanceTester !== undefined) {
      receiveInstanceTester(
        harden((object, name = undefined) => {
          if (name === undefined) return find(object) !== undefined;
          if (facetNames === undefined) {
            throw Fail`facetName can only be used with an exo class kit: ${q(tag)} has no facet ${q(name)}`;
          }
          const facet = facetNames.indexOf(name);
          if (facet < 0) throw Fail`exo class kit ${q(tag)} has no facet named ${q(name)}`;
          return !isPrimitive(object) && contextOf(object, facet) !== undefined;
        }),
      );
    }
  };

  // `descriptor` is that of a durable kind.
  const define = (kind, tag, init, isMulti, behavior, options, descriptor) => {
    const isDurable = descriptor !== undefined;
    const { finish, thisfulMethods = false } = options;
    const proposed = proposedFacets(tag, isMulti, behavior, options);
    const shape = checkShape(options.stateShape);
    const guardKit = isMulti ? guardKitOf(tag, options) : undefined;
    // The places of facets are known before they are recorded, so that a bad definition changes nothing.
    const updated = isDurable ? { ...descriptor } : undefined;
    const facetNames = isDurable ? updateFacets(updated, proposed) : proposed;

    const stem = `o+${isDurable ? 'd' : 'v'}${kind}/`;
    const rules = makeRules(shape, isDurable);
    const { contextAt, contextOf } = contextFinder(stem, makeStates(rules), isMulti);
    const prototypes = isMulti
      ? defendPrototypeKit(
          tag,
          fromEntries(facetNames.map((name, i) => [name, (object) => contextOf(object, i)])),
          behavior,
          guardKit,
          thisfulMethods,
        )
      : defendPrototype(
          tag,
          (object) => contextOf(object, undefined),
          behavior,
          options.interfaceGuard,
          thisfulMethods,
        );
    if (isDurable) {
      updateShape(updated, shape);
      Object.assign(descriptor, updated);
      kit.saveDescriptor(descriptor);
      kit.markDefined(kind);
    }

    const revive = () => {
      if (!isMulti) return makeSelf(prototypes);
      const facets = harden(fromEntries(facetNames.map((name) => [name, makeSelf(prototypes[name])])));
      cohorts.add(facets);
      for (const facet of values(facets)) facetsOfFacet.set(facet, facets);
      return facets;
    };
    const remove = (base) => {
      contexts.delete(base);
      return kit.removeState(base);
    };
    kinds.set(kind, { revive, remove, facets: facetNames });
    tellTools(tag, facetNames, contextOf, options);

    return harden((...args) => {
      const base = `${stem}${kit.nextInstance(kind, isDurable)}`;
      const initial = init ? init(...args) : {};
      if (typeof initial !== 'object' || initial === null) {
        throw Fail`initial data must be object, not ${q(initial)}`;
      }
      kit.initState(base, initial, rules);
      const object = revive();
      if (isMulti) {
        kit.registerFacets(base, object, facetNames);
      } else {
        kit.register(base, object);
      }
      if (finish !== undefined) finish(contextAt(base));
      return object;
    });
  };

  const defineVirtual = (isMulti) => (tag, init, behavior, options = {}) =>
    define(kit.virtualKind(tag), tag, init, isMulti, behavior, options, undefined);
  const defineDurable = (isMulti) => (handle, init, behavior, options = {}) => {
    const descriptor = kit.durableKind(handle);
    return define(descriptor.kindID, descriptor.tag, init, isMulti, behavior, options, descriptor);
  };

  kit.isCohort = (object) => cohorts.has(object);
  kit.flushContexts = () => contexts.clear();
  kit.defineKind = defineVirtual(false);
  kit.defineKindMulti = defineVirtual(true);
  kit.defineDurableKind = defineDurable(false);
  kit.defineDurableKindMulti = defineDurable(true);
};
