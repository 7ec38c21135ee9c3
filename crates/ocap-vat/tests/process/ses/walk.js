// Compares everything a vat can reach with what SES permits. Returns what differs, one line each.
//
// `ses` is what `fixtures/ses` exports; `ours` lists the differences that are meant (`ours.json`);
// `given` is what the vat was handed: powers, baggage and the modules it imported, by name;
// `requested` are the globals it asked for.
(ses, ours, given, requested) => {
  const { getOwnPropertyDescriptor, getPrototypeOf, hasOwn, isFrozen } = Object;
  const { apply, ownKeys } = Reflect;
  const isObject = value =>
    (typeof value === 'object' && value !== null) || typeof value === 'function';

  const differences = [];
  const used = new Set();
  // A difference, unless it is listed. A listed name may end in `*`.
  const patterns = Object.keys(ours).filter(name => name.endsWith('*'));
  const differ = (kind, path) => {
    const line = `${kind}: ${path}`;
    const listed = hasOwn(ours, line)
      ? line
      : patterns.find(pattern => line.startsWith(pattern.slice(0, -1)));
    if (listed === undefined) {
      differences.push(line);
    } else {
      used.add(listed);
    }
  };

  // Intrinsics by their names in the permits.
  const makeGenerator = function* () {};
  const makeAsyncGenerator = async function* () {};
  const strictArguments = (function () {
    'use strict';
    return arguments;
  })();
  const AsyncGeneratorPrototype = getPrototypeOf(makeAsyncGenerator).prototype;
  const intrinsics = {
    __proto__: null,
    '%ThrowTypeError%': getOwnPropertyDescriptor(strictArguments, 'callee').get,
    '%InertFunction%': Function.prototype.constructor,
    '%InertAsyncFunction%': (async () => {}).constructor,
    '%InertGeneratorFunction%': makeGenerator.constructor,
    '%InertAsyncGeneratorFunction%': makeAsyncGenerator.constructor,
    '%Generator%': getPrototypeOf(makeGenerator),
    '%AsyncGenerator%': getPrototypeOf(makeAsyncGenerator),
    '%GeneratorPrototype%': getPrototypeOf(makeGenerator).prototype,
    '%AsyncGeneratorPrototype%': AsyncGeneratorPrototype,
    '%AsyncIteratorPrototype%': getPrototypeOf(AsyncGeneratorPrototype),
    '%IteratorPrototype%': getPrototypeOf(getPrototypeOf([].values())),
    '%ArrayIteratorPrototype%': getPrototypeOf([].values()),
    '%MapIteratorPrototype%': getPrototypeOf(new Map().values()),
    '%SetIteratorPrototype%': getPrototypeOf(new Set().values()),
    '%StringIteratorPrototype%': getPrototypeOf(''[Symbol.iterator]()),
    '%RegExpStringIteratorPrototype%': getPrototypeOf('x'.matchAll(/x/g)),
    '%IteratorHelperPrototype%': getPrototypeOf([].values().map(x => x)),
    '%WrapForValidIteratorPrototype%': getPrototypeOf(Iterator.from({ next() {} })),
    '%TypedArray%': getPrototypeOf(Uint8Array),
  };
  const globals = { __proto__: null };
  for (const names of [ses.initial, ses.universal, ses.shared, ses.unique]) {
    for (const [name, intrinsic] of Object.entries(names)) {
      globals[name] = intrinsic;
    }
  }
  for (const [name, intrinsic] of Object.entries(globals)) {
    const value = globalThis[name];
    if (value === undefined) {
      differ('absent', name);
    } else if (intrinsic !== '%UniqueGlobalThis%') {
      intrinsics[intrinsic] = value;
    }
    if (hasOwn(ses.initial, name) && !hasOwn(ses.shared, name) && value !== undefined) {
      differ('only the first compartment has', name);
    }
  }
  for (const [name, permit] of Object.entries(ses.permitted)) {
    if (isObject(permit) && typeof permit.prototype === 'string' && name in intrinsics) {
      intrinsics[permit.prototype] ??= intrinsics[name].prototype;
    }
  }

  const wellKnown = new Map(
    ownKeys(Symbol)
      .filter(name => typeof Symbol[name] === 'symbol')
      .map(name => [Symbol[name], `@@${name}`]),
  );
  const nameOf = key => {
    if (typeof key !== 'symbol') {
      return key;
    }
    const registered = Symbol.keyFor(key);
    return (
      wellKnown.get(key) ??
      (registered === undefined ? `Unique${String(key)}` : `RegisteredSymbol(${registered})`)
    );
  };

  // What the permits speak of, by object.
  const known = new Map();
  const isEnabled = (holder, key) =>
    ses.enablements.includes(`${holder}.${key}`) || ses.enablements.includes(`${holder}.*`);
  const PRIMITIVES = ['undefined', 'boolean', 'number', 'string', 'symbol'];

  const checkValue = (path, value, permit) => {
    if (permit === false || permit === undefined) {
      // As SES leaves the prototypes that it cannot delete.
      if (value !== undefined || !path.endsWith('.prototype')) {
        differ('not permitted', path);
      }
    } else if (isObject(permit)) {
      checkObject(path, value, permit);
    } else if (PRIMITIVES.includes(permit)) {
      if (typeof value !== permit) {
        differ(`a ${typeof value} instead of a ${permit}`, path);
      }
    } else if (value !== intrinsics[permit]) {
      differ(`not ${permit}`, path);
    }
  };

  const checkProperty = (holder, path, object, key, permit) => {
    const { value, get, set } = getOwnPropertyDescriptor(object, key);
    if (get === undefined && set === undefined) {
      if (permit?.accessor !== undefined) {
        differ('a value instead of an accessor', path);
      }
      checkValue(path, value, permit);
      return;
    }
    if (permit?.accessor !== undefined) {
      if (permit.accessor === 'get' && set !== undefined) {
        differ('a setter', path);
      }
      checkHalves(path, get, set);
      return;
    }
    // What can be overridden by assignment is an accessor for the value that is permitted.
    if (!isEnabled(holder, nameOf(key))) {
      differ('an accessor', path);
    }
    checkHalves(path, get, set);
    if (get !== undefined) {
      checkValue(path, apply(get, object, []), permit);
    }
  };

  const checkHalves = (path, get, set) => {
    for (const [name, half] of Object.entries({ get, set })) {
      if (half !== undefined) {
        checkObject(`${path}<${name}>`, half, ses.functionInstance);
      }
    }
  };

  const checkObject = (path, object, permit) => {
    if (!isObject(object)) {
      differ(`a ${typeof object} instead of an object`, path);
      return;
    }
    if (known.has(object)) {
      return;
    }
    known.set(object, path);
    const proto = permit['[[Proto]]'] === undefined ? '%ObjectPrototype%' : permit['[[Proto]]'];
    if (getPrototypeOf(object) !== (proto === null ? null : intrinsics[proto])) {
      differ(`does not inherit from ${proto}`, path);
    }
    for (const key of ownKeys(object)) {
      const name = nameOf(key);
      const permitName = name === '__proto__' ? '--proto--' : name;
      const permitOfFunction =
        typeof object === 'function' && hasOwn(ses.functionInstance, permitName)
          ? ses.functionInstance[permitName]
          : undefined;
      const part = hasOwn(permit, permitName) ? permit[permitName] : permitOfFunction;
      checkProperty(path, `${path}.${name}`, object, key, part);
    }
    for (const [name, part] of Object.entries(permit)) {
      const isProperty = name !== '[[Proto]]' && part !== false;
      if (isProperty && ![...ownKeys(object)].some(key => nameOf(key) === name)) {
        if (name !== '--proto--' || !hasOwn(object, '__proto__')) {
          differ('absent', `${path}.${name}`);
        }
      }
    }
  };

  for (const [name, value] of Object.entries(intrinsics)) {
    const permit = ses.permitted[name];
    if (permit === undefined || !isObject(permit)) {
      differ('not permitted', name);
    } else {
      checkObject(name, value, permit);
    }
  }
  for (const key of ownKeys(globalThis)) {
    const name = nameOf(key);
    if (!(name in globals) && !ses.constants.includes(name) && !requested.includes(name)) {
      differ('a global', name);
    }
  }

  // Everything that can be reached at all: frozen, and if it is native code, permitted.
  const paths = new Map();
  const queue = [];
  const visit = (value, path) => {
    if (isObject(value) && !paths.has(value)) {
      paths.set(value, path);
      queue.push(value);
    }
  };
  visit(globalThis, 'globalThis');
  for (const [name, value] of Object.entries({ ...intrinsics, ...given })) {
    visit(value, name);
  }
  for (let at = 0; at < queue.length; at += 1) {
    const object = queue[at];
    const path = known.get(object) ?? paths.get(object);
    if (object !== globalThis && !isFrozen(object)) {
      differ('not frozen', path);
    }
    if (
      typeof object === 'function' &&
      !known.has(object) &&
      Function.prototype.toString.call(object).includes('[native code]')
    ) {
      differ('native code', path);
    }
    visit(getPrototypeOf(object), `${path}.__proto__`);
    for (const key of ownKeys(object)) {
      const { value, get, set } = getOwnPropertyDescriptor(object, key);
      const here = `${path}.${nameOf(key)}`;
      visit(value, here);
      visit(get, `${here}<get>`);
      visit(set, `${here}<set>`);
      if (get !== undefined) {
        // A getter may hide an object; most refuse a receiver that is their own prototype.
        try {
          visit(apply(get, object, []), here);
        } catch {}
      }
    }
  }

  // What is absent here may come with a newer engine.
  for (const line of Object.keys(ours)) {
    if (!used.has(line) && !line.startsWith('absent: ')) {
      differences.push(`listed, but not so: ${line}`);
    }
  }
  if (known.size < 800 || queue.length < known.size) {
    differences.push(`only ${known.size} permitted and ${queue.length} reachable objects found`);
  }
  return differences.sort().join('\n');
}
