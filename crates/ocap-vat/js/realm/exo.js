// Exos: remotables whose methods check what comes in and goes out. Methods are called with `this`
// set to a context: `self` and `state` for one object, `facets` and `state` for a kit.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const {
    assert,
    E,
    Far,
    getMethodNames,
    harden,
    isPrimitive,
    passStyleOf,
    patterns,
    toThrowable,
  } = ocap;
  const { Fail, quote: q } = assert;
  const { create, defineProperties, entries, freeze, fromEntries, hasOwn, keys, seal } = Object;
  const { apply, ownKeys } = Reflect;
  const { getAwaitArgGuardPayload, getInterfaceGuardPayload, getMethodGuardPayload } = patterns;
  const { getNamedMethodGuards, isAwaitArgGuard, isRawGuard, mustMatch } = patterns;

  const GET_INTERFACE_GUARD = '__getInterfaceGuard__';
  // An argument that no pattern may look at.
  const REDACTED = '<redacted raw arg>';

  const assertPassables = values => {
    for (const value of values) {
      if (!isPrimitive(value) || typeof value === 'symbol') {
        passStyleOf(harden(value));
      }
    }
  };

  // Checks arguments against a guard's payload. Returns a function of the arguments that gives those
  // the method gets: what no guard is about is dropped, as functions do with what they do not name.
  const makeArgsCheck = (payload, label) => {
    const { argGuards, optionalArgGuards = [], restArgGuard } = payload;
    const declared = [...argGuards, ...optionalArgGuards];
    const isRaw = declared.map(isRawGuard);
    const seen = declared.map((guard, at) => (isRaw[at] ? REDACTED : guard));
    const restIsRaw = restArgGuard !== undefined && isRawGuard(restArgGuard);
    const rest = restArgGuard === undefined || restIsRaw ? [] : [restArgGuard];
    const pattern = patterns.M.splitArray(
      seen.slice(0, argGuards.length),
      seen.slice(argGuards.length),
      ...rest,
    );
    return args => {
      const shown = (restIsRaw ? args.slice(0, declared.length) : [...args]).map((arg, at) =>
        isRaw[at] ? REDACTED : arg,
      );
      mustMatch(harden(shown), pattern, label);
      return restArgGuard === undefined && args.length > declared.length
        ? args.slice(0, declared.length)
        : args;
    };
  };

  const defendSync = (behavior, payload, getContext, label) => {
    const checkArgs = makeArgsCheck(payload, label);
    const { returnGuard } = payload;
    const resultIsRaw = isRawGuard(returnGuard);
    return {
      method(...args) {
        try {
          const context = getContext(this);
          const result = apply(behavior, context, checkArgs(args));
          if (!resultIsRaw) {
            mustMatch(harden(result), returnGuard, `${label}: result`);
          }
          return result;
        } catch (thrown) {
          throw toThrowable(thrown);
        }
      },
    }.method;
  };

  const defendAsync = (behavior, payload, getContext, label) => {
    const awaited = [];
    const bare = (guard, at) => {
      if (isAwaitArgGuard(guard)) {
        awaited.push(at);
        return getAwaitArgGuardPayload(guard).argGuard;
      }
      return guard;
    };
    const { argGuards, optionalArgGuards = [], restArgGuard, returnGuard } = payload;
    if (restArgGuard !== undefined && isAwaitArgGuard(restArgGuard)) {
      throw Fail`Rest args may not be awaited: ${restArgGuard}`;
    }
    const checkArgs = makeArgsCheck(
      {
        ...payload,
        argGuards: argGuards.map(bare),
        optionalArgGuards: optionalArgGuards.map((guard, at) => bare(guard, argGuards.length + at)),
      },
      label,
    );
    const resultIsRaw = isRawGuard(returnGuard);
    return {
      async method(...args) {
        try {
          const positions = awaited.filter(at => at < args.length);
          const values = await Promise.all(positions.map(at => E.resolve(args[at])));
          positions.forEach((at, index) => {
            args[at] = values[index];
          });
          const context = getContext(this);
          const result = await apply(behavior, context, checkArgs(args));
          if (!resultIsRaw) {
            mustMatch(harden(result), returnGuard, `${label}: result`);
          }
          return result;
        } catch (thrown) {
          throw toThrowable(thrown);
        }
      },
    }.method;
  };

  // A method that takes its context as the first argument instead of as `this`.
  const shifted = behavior =>
    function shiftedMethod(...args) {
      return behavior(this, ...args);
    };

  // Without a guard of its own a method takes and returns anything passable.
  const defendPassable = (behavior, getContext) =>
    ({
      method(...args) {
        try {
          const context = getContext(this);
          assertPassables(args);
          const result = apply(behavior, context, args);
          if (!isPrimitive(result) || typeof result === 'symbol') {
            passStyleOf(harden(result));
          }
          return result;
        } catch (thrown) {
          throw toThrowable(thrown);
        }
      },
    }).method;
  const defendRaw = (behavior, getContext) =>
    ({
      method(...args) {
        try {
          return apply(behavior, getContext(this), args);
        } catch (thrown) {
          throw toThrowable(thrown);
        }
      },
    }).method;

  // The shared prototype of an exo's instances: a remotable with the defended methods. `contextOf`
  // gives the context of an instance, or undefined for what is none. Methods find it in `this` if
  // they are `thisful`, else in their first argument.
  const defendPrototype = (tag, contextOf, methods, interfaceGuard, thisful = true) => {
    const names = getMethodNames(methods).filter(name => name !== 'constructor');
    let methodGuards = {};
    let defaultGuards = thisful ? 'passable' : 'raw';
    if (interfaceGuard !== undefined) {
      const payload = getInterfaceGuardPayload(interfaceGuard);
      methodGuards = getNamedMethodGuards(interfaceGuard);
      defaultGuards = payload.defaultGuards ?? (payload.sloppy ? 'passable' : undefined);
      const missing = ownKeys(methodGuards).filter(name => !names.includes(name));
      if (missing.length !== 0) {
        throw Fail`methods ${q(missing.map(String))} not implemented by ${q(tag)}`;
      }
      if (defaultGuards === undefined) {
        const unguarded = names.filter(name => !hasOwn(methodGuards, name));
        if (unguarded.length !== 0) {
          throw Fail`methods ${q(unguarded.map(String))} not guarded by ${q(payload.interfaceName)}`;
        }
      }
    }
    const defend = (name, given) => {
      const behavior = thisful ? given : shifted(given);
      const label = `In ${q(String(name))} method of (${tag})`;
      const getContext = self => {
        const context = isPrimitive(self) ? undefined : contextOf(self);
        if (context === undefined) {
          throw Fail`${q(label)} may only be applied to a valid instance: ${self}`;
        }
        return context;
      };
      let method;
      if (hasOwn(methodGuards, name)) {
        const payload = getMethodGuardPayload(methodGuards[name]);
        method =
          payload.callKind === 'sync'
            ? defendSync(behavior, payload, getContext, label)
            : defendAsync(behavior, payload, getContext, label);
      } else if (defaultGuards === 'raw') {
        method = defendRaw(behavior, getContext);
      } else {
        method = defendPassable(behavior, getContext);
      }
      defineProperties(method, { name: { value: label }, length: { value: given.length } });
      return method;
    };
    const prototype = {};
    for (const name of names) {
      prototype[name] = defend(name, methods[name]);
    }
    if (!hasOwn(prototype, GET_INTERFACE_GUARD)) {
      prototype[GET_INTERFACE_GUARD] = defend(GET_INTERFACE_GUARD, () => interfaceGuard);
    }
    return Far(tag, prototype);
  };

  // The prototypes of a kit's facets by name. `contextsOf` gives each facet's `contextOf`.
  const defendPrototypeKit = (tag, contextsOf, methodsKit, interfaceGuardKit, thisful = true) => {
    const facetNames = ownKeys(methodsKit).sort();
    if (facetNames.length < 2) {
      throw Fail`A multi-facet object must have multiple facets`;
    }
    if (interfaceGuardKit !== undefined) {
      const guarded = ownKeys(interfaceGuardKit);
      const extraNames = guarded.filter(name => !facetNames.includes(name));
      if (extraNames.length !== 0) {
        throw Fail`Interfaces ${q(extraNames)} not implemented by ${q(tag)}`;
      }
      const unguarded = facetNames.filter(name => !guarded.includes(name));
      if (unguarded.length !== 0) {
        throw Fail`Facets ${q(unguarded)} of ${q(tag)} not guarded by interfaces`;
      }
    }
    return fromEntries(
      facetNames.map(name => [
        name,
        defendPrototype(
          `${tag} ${name}`,
          contextsOf[name],
          methodsKit[name],
          interfaceGuardKit === undefined ? undefined : interfaceGuardKit[name],
          thisful,
        ),
      ]),
    );
  };

  const makeSelf = prototype => harden(create(prototype));
  const initEmpty = harden(() => harden({}));

  const defineExoClass = (tag, interfaceGuard, init, methods, options = {}) => {
    harden(methods);
    const { finish, receiveAmplifier, receiveInstanceTester } = options;
    if (receiveAmplifier !== undefined) {
      throw Fail`Only facets of an exo class kit can be amplified ${q(tag)}`;
    }
    const contexts = new WeakMap();
    const prototype = defendPrototype(
      tag,
      exo => contexts.get(exo),
      methods,
      interfaceGuard,
    );
    if (receiveInstanceTester !== undefined) {
      receiveInstanceTester(harden(exo => !isPrimitive(exo) && contexts.has(exo)));
    }
    return harden((...args) => {
      // Fields of the state may change, their set may not.
      const state = seal(init(...args));
      const self = makeSelf(prototype);
      const context = freeze({ state, self });
      contexts.set(self, context);
      if (finish !== undefined) {
        finish(context);
      }
      return self;
    });
  };

  const defineExoClassKit = (tag, interfaceGuardKit, init, methodsKit, options = {}) => {
    harden(methodsKit);
    const facetNames = keys(methodsKit).sort();
    const { finish, receiveAmplifier, receiveInstanceTester } = options;
    const contextsOf = fromEntries(facetNames.map(name => [name, new WeakMap()]));
    const prototypes = entries(
      defendPrototypeKit(
        tag,
        fromEntries(facetNames.map(name => [name, facet => contextsOf[name].get(facet)])),
        methodsKit,
        interfaceGuardKit,
      ),
    );
    const contextOf = facet => {
      for (const [, contexts] of entries(contextsOf)) {
        const context = isPrimitive(facet) ? undefined : contexts.get(facet);
        if (context !== undefined) {
          return context;
        }
      }
      return undefined;
    };
    if (receiveAmplifier !== undefined) {
      receiveAmplifier(
        harden(facet => {
          const context = contextOf(facet);
          if (context === undefined) {
            throw Fail`Must be a facet of ${q(tag)}: ${facet}`;
          }
          return context.facets;
        }),
      );
    }
    if (receiveInstanceTester !== undefined) {
      receiveInstanceTester(
        harden((facet, name = undefined) => {
          if (name === undefined) {
            return contextOf(facet) !== undefined;
          }
          if (!hasOwn(contextsOf, name)) {
            throw Fail`exo class kit ${q(tag)} has no facet named ${q(name)}`;
          }
          return !isPrimitive(facet) && contextsOf[name].has(facet);
        }),
      );
    }
    return harden((...args) => {
      const state = seal(init(...args));
      const facets = harden(
        fromEntries(prototypes.map(([name, prototype]) => [name, makeSelf(prototype)])),
      );
      const context = freeze({ state, facets });
      for (const name of facetNames) {
        contextsOf[name].set(facets[name], context);
      }
      if (finish !== undefined) {
        finish(context);
      }
      return facets;
    });
  };

  /** One exo without state. */
  const makeExo = (tag, interfaceGuard, methods, options = undefined) =>
    defineExoClass(tag, interfaceGuard, initEmpty, methods, options)();

  /** An exo whose methods take and return anything passable. */
  const makeDefaultExo = (
    name,
    methods,
    interfaceGuard = patterns.M.interface(name, {}, { defaultGuards: 'passable' }),
  ) => makeExo(name, interfaceGuard, methods);

  // For kinds of the vat's store.
  ocap.defendPrototype = defendPrototype;
  ocap.defendPrototypeKit = defendPrototypeKit;
  ocap.makeSelf = makeSelf;
  ocap.exo = harden({
    defineExoClass,
    defineExoClassKit,
    GET_INTERFACE_GUARD,
    initEmpty,
    makeExo,
  });
  ocap.makeExo = makeExo;
  ocap.makeDefaultExo = harden(makeDefaultExo);
})();
