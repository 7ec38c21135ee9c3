// Walks every object reachable from the global and returns what is wrong, one line each.
//
// `forbidden` holds objects that must not be found.
forbidden => {
  const { getOwnPropertyDescriptor, getPrototypeOf, isFrozen } = Object;
  const { apply, ownKeys } = Reflect;
  const names = new Map([[globalThis, 'globalThis']]);
  const queue = [globalThis];
  const wrong = [];
  const visit = (value, path) => {
    if (
      ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
      !names.has(value)
    ) {
      names.set(value, path);
      queue.push(value);
    }
  };
  const samples = {
    generator: (function* () {})(),
    generatorFunction: function* () {},
    asyncGenerator: (async function* () {})(),
    asyncGeneratorFunction: async function* () {},
    asyncFunction: async () => {},
    arrayIterator: [][Symbol.iterator](),
    mapIterator: new Map()[Symbol.iterator](),
    setIterator: new Set()[Symbol.iterator](),
    stringIterator: ''[Symbol.iterator](),
    regExpIterator: 'x'.matchAll(/x/g),
    iteratorHelper: [].values().map(x => x),
    iteratorZip: Iterator.zip([[1]]),
    iteratorConcat: Iterator.concat([]),
    wrappedIterator: Iterator.from({ next() {} }),
    promise: (async () => {})(),
    regExp: /x/,
    match: /(?<y>x)/.exec('x'),
    date: new Date(0),
    template: (strings => strings)`x`,
    arguments: (function () {
      return arguments;
    })(),
    strictCallee: getOwnPropertyDescriptor(
      (function () {
        'use strict';
        return arguments;
      })(),
      'callee',
    ).get,
    stackOverflow: (() => {
      const dive = () => 1 + dive();
      try {
        return dive();
      } catch (error) {
        return error;
      }
    })(),
    nativeError: (() => {
      try {
        return null.x;
      } catch (error) {
        return error;
      }
    })(),
    proxyRevoker: Proxy.revocable({}, {}).revoke,
    resolvers: Object.values(Promise.withResolvers())[1],
    bound: (() => {}).bind(),
    eSend: HandledPromise.applyMethod({ m() {} }, 'm', []),
  };
  for (const [name, sample] of Object.entries(samples)) {
    // Each generator function brings a fresh prototype for its generators.
    const proto = getPrototypeOf(sample);
    const isFresh = name === 'generator' || name === 'asyncGenerator';
    visit(isFresh ? getPrototypeOf(proto) : proto, `proto of ${name}`);
    visit(sample.constructor, `${name}.constructor`);
  }
  for (let at = 0; at < queue.length; at += 1) {
    const object = queue[at];
    const path = names.get(object);
    if (object !== globalThis && !isFrozen(object)) {
      wrong.push(`not frozen: ${path}`);
    }
    if (forbidden.has(object)) {
      wrong.push(`reachable: ${path}`);
    }
    visit(getPrototypeOf(object), `${path}.__proto__`);
    for (const key of ownKeys(object)) {
      const descriptor = getOwnPropertyDescriptor(object, key);
      const here = `${path}.${String(key)}`;
      if ('value' in descriptor) {
        visit(descriptor.value, here);
        if (object === globalThis && (descriptor.writable || descriptor.configurable)) {
          wrong.push(`can be replaced: ${here}`);
        }
        continue;
      }
      visit(descriptor.get, `get ${here}`);
      visit(descriptor.set, `set ${here}`);
      if (descriptor.get !== undefined) {
        // A getter may hide an object; most refuse a receiver that is their own prototype.
        try {
          visit(apply(descriptor.get, object, []), here);
        } catch (_) {}
      }
    }
  }
  wrong.push(...(names.size < 500 ? [`only ${names.size} objects found`] : []));
  return wrong;
}
