// What may cross a vat's boundary: pass styles, remotables and tagged values.
//
// The marks are the conventions of `@endo/pass-style` (a registered symbol and a tag on a frozen
// prototype), so objects made by a bundle's own copy of that package are recognised here, and ours
// there. `passStyleOf` is also put on the global under the symbol by which such copies look for an
// implementation to share.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { assert, getMethodNames, harden, isPromise } = ocap;
  const { details: X, Fail, quote: q } = assert;
  const {
    create,
    defineProperty,
    getOwnPropertyDescriptor,
    getPrototypeOf,
    hasOwn,
    is,
    isFrozen,
    setPrototypeOf,
    values,
  } = Object;
  const { ownKeys } = Reflect;
  const { isArray } = Array;

  const PASS_STYLE = Symbol.for('passStyle');
  const { toStringTag } = Symbol;
  const GET_METHOD_NAMES = '__getMethodNames__';

  const isPrimitive = value => !value || (typeof value !== 'object' && typeof value !== 'function');
  const isObject = value => !isPrimitive(value);

  // Symbols.
  const wellKnownNames = new Map(
    ownKeys(Symbol)
      .filter(name => typeof name === 'string' && typeof Symbol[name] === 'symbol')
      .map(name => [Symbol[name], `@@${name}`]),
  );
  const isPassableSymbol = symbol =>
    typeof symbol === 'symbol' &&
    (typeof Symbol.keyFor(symbol) === 'string' || wellKnownNames.has(symbol));
  const nameForPassableSymbol = symbol => {
    const name = Symbol.keyFor(symbol);
    if (name === undefined) {
      return wellKnownNames.get(symbol);
    }
    return name.startsWith('@@') ? `@@${name}` : name;
  };
  const passableSymbolForName = name => {
    if (typeof name !== 'string') {
      throw Fail`${q(name)} must be a string, not ${q(typeof name)}`;
    }
    if (!name.startsWith('@@')) {
      return Symbol.for(name);
    }
    const rest = name.slice(2);
    if (rest.startsWith('@@')) {
      return Symbol.for(rest);
    }
    const symbol = hasOwn(Symbol, rest) ? Symbol[rest] : undefined;
    return typeof symbol === 'symbol'
      ? symbol
      : Fail`Reserved for well known symbol ${q(rest)}: ${q(name)}`;
  };

  // An own data property's value, or a complaint.
  const ownValue = (candidate, name, isEnumerable) =>
    checkedValue(candidate, name, getOwnPropertyDescriptor(candidate, name), isEnumerable);
  const checkedValue = (candidate, name, descriptor, isEnumerable) => {
    if (descriptor === undefined) {
      throw Fail`${q(name)} property expected: ${candidate}`;
    }
    if (!('value' in descriptor)) {
      throw Fail`${q(name)} must not be an accessor property: ${candidate}`;
    }
    if (descriptor.enumerable !== isEnumerable) {
      throw isEnumerable
        ? Fail`${q(name)} must be an enumerable property: ${candidate}`
        : Fail`${q(name)} must not be an enumerable property: ${candidate}`;
    }
    return descriptor.value;
  };

  const canBeMethod = value => typeof value === 'function' && !(PASS_STYLE in value);

  const assertIface = iface => {
    if (typeof iface !== 'string') {
      throw Fail`For now, interface ${iface} must be a string; unimplemented`;
    }
    if (
      iface !== 'Remotable' &&
      !iface.startsWith('Alleged: ') &&
      !iface.startsWith('DebugName: ')
    ) {
      throw Fail`For now, iface ${q(iface)} must be "Remotable" or begin with "Alleged: " or "DebugName: "; unimplemented`;
    }
  };

  // Checks the prototype that carries the marks of a remotable or tagged value.
  const assertTagRecord = (record, style) => {
    if (isPrimitive(record)) {
      throw Fail`A non-object cannot be a tagRecord: ${record}`;
    }
    if (!isFrozen(record)) {
      throw Fail`A tagRecord must be frozen: ${record}`;
    }
    if (isArray(record)) {
      throw Fail`An array cannot be a tagRecord: ${record}`;
    }
    const actual = ownValue(record, PASS_STYLE, false);
    if (actual !== style) {
      throw Fail`Expected ${q(style)}, not ${q(actual)}: ${record}`;
    }
    if (typeof ownValue(record, toStringTag, false) !== 'string') {
      throw Fail`A [Symbol.toStringTag]-named property must be a string: ${record}`;
    }
  };

  // Checks the own properties of a remotable, not its prototypes.
  const assertCanBeRemotable = candidate => {
    if (isPrimitive(candidate)) {
      throw Fail`cannot serialize non-objects as Remotable ${candidate}`;
    }
    if (isArray(candidate)) {
      throw Fail`cannot serialize arrays as Remotable ${candidate}`;
    }
    const isFunction = typeof candidate === 'function';
    for (const key of ownKeys(candidate)) {
      const descriptor = getOwnPropertyDescriptor(candidate, key);
      if (!hasOwn(descriptor, 'value')) {
        throw Fail`cannot serialize Remotables with accessors like ${q(String(key))} in ${candidate}`;
      }
      const { value } = descriptor;
      if (key === toStringTag) {
        assertIface(value);
      } else if (isFunction) {
        if (key === 'name' ? typeof value !== 'string' : key !== 'length') {
          throw Fail`Far functions unexpected properties besides .name and .length ${[key]}`;
        }
        if (key === 'length' && typeof value !== 'number') {
          throw Fail`Far function length must be a number, in ${candidate}`;
        }
      } else if (!canBeMethod(value)) {
        throw Fail`cannot serialize Remotables with non-methods like ${q(String(key))} in ${candidate}`;
      } else if (key === PASS_STYLE) {
        throw Fail`A pass-by-remote cannot shadow ${q(String(PASS_STYLE))}`;
      }
    }
  };

  const confirmedRemotables = new WeakSet();
  const assertRemotableFully = candidate => {
    // A remotable may inherit from another one: check each layer down to the tag record.
    const layers = [];
    let layer = candidate;
    while (!confirmedRemotables.has(layer)) {
      if (!isFrozen(layer)) {
        throw Fail`cannot serialize non-frozen objects like ${layer}`;
      }
      assertCanBeRemotable(layer);
      layers.push(layer);
      const proto = getPrototypeOf(layer);
      if (proto === null || proto === Object.prototype || proto === Function.prototype) {
        throw Fail`Remotables must be explicitly declared: ${q(layer)}`;
      }
      const above = getPrototypeOf(proto);
      const isLast = typeof layer === 'function' || above === null || above === Object.prototype;
      if (isLast) {
        assertTagRecord(proto, 'remotable');
        if (typeof layer === 'function') {
          if (
            above !== Function.prototype &&
            (above === null || getPrototypeOf(above) !== Function.prototype)
          ) {
            throw Fail`For functions, a tagRecord must inherit from Function.prototype: ${proto}`;
          }
        } else if (above !== Object.prototype) {
          throw Fail`A tagRecord must inherit from Object.prototype: ${proto}`;
        }
        if (ownKeys(proto).length !== 2) {
          throw Fail`Unexpected properties on Remotable Proto ${q(ownKeys(proto).map(String))}`;
        }
        assertIface(proto[toStringTag]);
        break;
      }
      layer = proto;
    }
    for (const confirmed of layers) {
      confirmedRemotables.add(confirmed);
    }
  };

  const errorConstructors = new Map(
    [
      Error,
      EvalError,
      RangeError,
      ReferenceError,
      SyntaxError,
      TypeError,
      URIError,
      AggregateError,
      // Thrown by the engine only, for what it cannot do.
      ocap.originals.InternalError,
    ].map(constructor => [constructor.name, constructor]),
  );
  const getErrorConstructor = name => errorConstructors.get(name);

  // Styles already found. Only for frozen things, so an entry stays true.
  const knownStyles = new WeakMap();

  // Throws unless `error` is a passable error.
  const assertErrorProperties = (error, inProgress) => {
    const proto = getPrototypeOf(error);
    const constructor = getErrorConstructor(proto === null ? undefined : proto.name);
    if (constructor === undefined || constructor.prototype !== proto) {
      throw Fail`Passable Error must inherit from an error class .prototype: ${error}`;
    }
    if (!hasOwn(error, 'message')) {
      throw Fail`Passable Error must have an own "message" string property: ${error}`;
    }
    for (const key of ownKeys(error)) {
      const descriptor = getOwnPropertyDescriptor(error, key);
      if (descriptor.enumerable) {
        throw Fail`Passable Error ${q(key)} own property must not be enumerable: ${descriptor}`;
      }
      if (!('value' in descriptor)) {
        throw Fail`Passable Error ${q(key)} own property must be a data property: ${descriptor}`;
      }
      const { value } = descriptor;
      switch (key) {
        case 'message':
        case 'stack':
          if (typeof value !== 'string') {
            throw Fail`Passable Error ${q(key)} own property must be a string: ${value}`;
          }
          break;
        case 'cause':
          if (!(value instanceof Error)) {
            throw Fail`Error expected: ${value}`;
          }
          styleOf(value, inProgress);
          break;
        case 'errors':
          if (!isArray(value) || styleOf(value, inProgress) !== 'copyArray') {
            throw Fail`Passable Error ${q(key)} own property must be a copyArray: ${value}`;
          }
          for (const inner of value) {
            if (!(inner instanceof Error)) {
              throw Fail`Error expected: ${inner}`;
            }
          }
          break;
        default:
          throw Fail`Passable Error has extra unpassed property ${q(String(key))}`;
      }
    }
  };

  const assertSafePromise = promise => {
    if (getPrototypeOf(promise) !== Promise.prototype) {
      throw Fail`${promise} - Must inherit from Promise.prototype: ${q(getPrototypeOf(promise))}`;
    }
    const keys = ownKeys(promise);
    if (keys.length !== 0) {
      throw Fail`${promise} - Must not have any own properties: ${q(keys.map(String))}`;
    }
  };

  // The properties of a record, or undefined if this is not one: a symbol or a method among
  // them makes it something that wants to be a remotable.
  const recordParts = candidate => {
    if (getPrototypeOf(candidate) !== Object.prototype) {
      return undefined;
    }
    const parts = [];
    for (const key of ownKeys(candidate)) {
      const descriptor = getOwnPropertyDescriptor(candidate, key);
      if (typeof key !== 'string' || canBeMethod(descriptor.value)) {
        return undefined;
      }
      parts.push(key, descriptor);
    }
    return parts;
  };

  const styleOfObject = (candidate, inProgress) => {
    if (!isFrozen(candidate)) {
      throw ArrayBuffer.isView(candidate)
        ? Fail`Cannot pass mutable typed arrays like ${candidate}.`
        : Fail`Cannot pass non-frozen objects like ${candidate}. Use harden()`;
    }
    if (isPromise(candidate)) {
      assertSafePromise(candidate);
      return 'promise';
    }
    if (typeof candidate.then === 'function') {
      throw Fail`Cannot pass non-promise thenables`;
    }
    if (typeof candidate === 'function') {
      assertRemotableFully(candidate);
      return 'remotable';
    }
    const declared = candidate[PASS_STYLE];
    if (declared === 'remotable') {
      assertRemotableFully(candidate);
      return 'remotable';
    }
    if (declared === 'tagged') {
      assertTagRecord(candidate, 'tagged');
      if (getPrototypeOf(candidate) !== Object.prototype) {
        throw Fail`A tagRecord must inherit from Object.prototype: ${candidate}`;
      }
      if (ownKeys(candidate).length !== 3) {
        throw Fail`Unexpected properties on tagged record ${q(ownKeys(candidate).map(String))}`;
      }
      styleOf(ownValue(candidate, 'payload', true), inProgress);
      return 'tagged';
    }
    if (declared !== undefined) {
      throw Fail`Unrecognized PassStyle: ${q(String(declared))}`;
    }
    if (isArray(candidate)) {
      if (getPrototypeOf(candidate) !== Array.prototype) {
        throw assert.makeError(X`Malformed array: ${candidate}`, TypeError);
      }
      const { length } = candidate;
      // Before the walk, so that a vast sparse array costs nothing.
      if (ownKeys(candidate).length > length + 1) {
        throw assert.makeError(X`Arrays must not have non-indexes: ${candidate}`, TypeError);
      }
      for (let at = 0; at < length; at += 1) {
        styleOf(ownValue(candidate, at, true), inProgress);
      }
      return 'copyArray';
    }
    const parts = recordParts(candidate);
    if (parts !== undefined) {
      for (let at = 0; at < parts.length; at += 2) {
        const value = checkedValue(candidate, parts[at], parts[at + 1], true);
        if (typeof value === 'object' || typeof value === 'function' || typeof value === 'symbol') {
          styleOf(value, inProgress);
        }
      }
      return 'copyRecord';
    }
    if (candidate instanceof Error) {
      assertErrorProperties(candidate, inProgress);
      return 'error';
    }
    assertRemotableFully(candidate);
    return 'remotable';
  };

  // `inProgress` lists the objects that hold `value`, outermost first. A closure here instead
  // of the parameter would be a cycle of garbage for each call.
  const styleOf = (value, inProgress) => {
    switch (typeof value) {
      case 'object':
        if (value === null) {
          return 'null';
        }
        break;
      case 'function':
        break;
      case 'symbol':
        if (!isPassableSymbol(value)) {
          throw Fail`Only registered symbols or well-known symbols are passable: ${q(value)}`;
        }
        return 'symbol';
      default:
        return typeof value;
    }
    const known = knownStyles.get(value);
    if (known !== undefined) {
      return known;
    }
    if (inProgress.has(value)) {
      throw Fail`Pass-by-copy data cannot be cyclic ${value}`;
    }
    inProgress.add(value);
    const style = styleOfObject(value, inProgress);
    inProgress.delete(value);
    knownStyles.set(value, style);
    return style;
  };

  /**
   * The pass style of `passable`: the name of a primitive type, `null`, `copyArray`, `copyRecord`,
   * `tagged`, `error`, `remotable` or `promise`. Throws for anything that cannot be passed, also deep
   * inside.
   */
  const passStyleOf = passable => knownStyles.get(passable) ?? styleOf(passable, new Set());

  const getInterfaceOf = value => {
    if (isPrimitive(value) || value[PASS_STYLE] !== 'remotable') {
      return undefined;
    }
    try {
      assertRemotableFully(value);
    } catch (_) {
      return undefined;
    }
    return value[toStringTag];
  };

  const Remotable = (iface = 'Remotable', props = undefined, remotable = {}) => {
    assertIface(iface);
    if (props !== undefined) {
      throw Fail`Remotable props not yet implemented ${props}`;
    }
    assertCanBeRemotable(remotable);
    if (PASS_STYLE in remotable) {
      throw Fail`Remotable ${remotable} is already marked as a ${q(String(remotable[PASS_STYLE]))}`;
    }
    if (isFrozen(remotable)) {
      throw Fail`Remotable ${remotable} is already frozen`;
    }
    let proto = getPrototypeOf(remotable);
    if (typeof remotable === 'object') {
      if (proto !== null && proto !== Object.prototype) {
        throw Fail`For now, remotables cannot inherit from anything unusual, in ${remotable}`;
      }
      proto = Object.prototype;
    } else if (
      proto === null ||
      (proto !== Function.prototype && getPrototypeOf(proto) !== Function.prototype)
    ) {
      throw Fail`Far functions must originally inherit from Function.prototype, in ${remotable}`;
    }
    const tagRecord = harden(
      create(proto, {
        [PASS_STYLE]: { value: 'remotable' },
        [toStringTag]: { value: iface },
      }),
    );
    setPrototypeOf(remotable, tagRecord);
    return harden(remotable);
  };

  const methodNamesDescriptor = harden({
    value: {
      [GET_METHOD_NAMES]() {
        return getMethodNames(this);
      },
    }[GET_METHOD_NAMES],
    writable: false,
    enumerable: false,
    configurable: false,
  });
  /** Marks an object or function as passed by reference. Freezes it. */
  const Far = (name, remotable = {}) => {
    if (isObject(remotable) && typeof remotable === 'object' && !(GET_METHOD_NAMES in remotable)) {
      defineProperty(remotable, GET_METHOD_NAMES, methodNamesDescriptor);
    }
    return Remotable(`Alleged: ${name}`, undefined, remotable);
  };
  const ToFarFunction = (name, func) =>
    getInterfaceOf(func) === undefined ? Far(name, (...args) => func(...args)) : func;

  const makeTagged = (tag, payload) => {
    if (typeof tag !== 'string') {
      throw Fail`The tag of a tagged record must be a string: ${tag}`;
    }
    passStyleOf(harden(payload));
    return harden(
      create(Object.prototype, {
        [PASS_STYLE]: { value: 'tagged' },
        [toStringTag]: { value: tag },
        payload: { value: payload, enumerable: true },
      }),
    );
  };
  const getTag = tagged => tagged[toStringTag];

  const assertPassable = value => {
    passStyleOf(value);
  };
  const isPassable = value => {
    try {
      passStyleOf(value);
      return true;
    } catch (_) {
      return false;
    }
  };
  const isStyle = style => value => {
    try {
      return passStyleOf(value) === style;
    } catch (_) {
      return false;
    }
  };
  const assertStyle =
    style =>
    (value, name = 'Alleged value') => {
      const actual = passStyleOf(value);
      if (actual !== style) {
        throw Fail`${q(name)} ${value} must be a pass-by-copy ${q(style)}, not ${q(actual)}`;
      }
    };

  // What an own data property of `object` holds.
  const partOf = (object, name) => getOwnPropertyDescriptor(object, name)?.value;
  /** `error` itself if it can be passed, else a passable copy of what can be kept of it. */
  const toPassableError = error => {
    try {
      harden(error);
      if (isStyle('error')(error)) {
        return error;
      }
      const constructor = getErrorConstructor(`${error.name}`) ?? Error;
      const cause = partOf(error, 'cause');
      const errors = partOf(error, 'errors');
      return harden(
        assert.makeError(`${error.message}`, constructor, {
          cause: isStyle('error')(cause) ? cause : undefined,
          errors:
            isStyle('copyArray')(errors) && errors.every(isStyle('error')) ? errors : undefined,
        }),
      );
    } catch (_) {
      // A proxy, or a getter that throws.
      return harden(Error('an error that cannot be read'));
    }
  };
  const partsOfData = value => {
    const style = passStyleOf(value);
    switch (style) {
      case 'copyArray':
        return value;
      case 'copyRecord':
        return values(value);
      case 'tagged':
        return [value.payload];
      default:
        throw Fail`A ${q(style)} is not throwable: ${value}`;
    }
  };
  /** What an exo may throw: data and errors that can be passed. Whoever it calls gets no authority. */
  const toThrowable = thrown => {
    harden(thrown);
    if (thrown instanceof Error) {
      return toPassableError(thrown);
    }
    if (!isPrimitive(thrown)) {
      for (const part of partsOfData(thrown)) {
        if (!is(part, toThrowable(part))) {
          throw Fail`nested toThrowable coercion not yet supported ${part}`;
        }
      }
    }
    return thrown;
  };

  const passStyle = harden({
    assertCopyArray: assertStyle('copyArray'),
    assertPassable,
    assertRecord: assertStyle('copyRecord'),
    assertRemotable: assertStyle('remotable'),
    Far,
    GET_METHOD_NAMES,
    getErrorConstructor,
    getInterfaceOf,
    getRemotableMethodNames: getMethodNames,
    getTag,
    isCopyArray: isStyle('copyArray'),
    isErrorLike: value => value instanceof Error,
    isObject,
    isPassable,
    isPassableSymbol,
    isPrimitive,
    isRecord: isStyle('copyRecord'),
    isRemotable: isStyle('remotable'),
    makeTagged,
    nameForPassableSymbol,
    PASS_STYLE,
    passableSymbolForName,
    passStyleOf,
    Remotable,
    toPassableError,
    toThrowable,
    ToFarFunction,
  });
  Object.assign(ocap, passStyle);
  ocap.passStyle = passStyle;
  defineProperty(globalThis, Symbol.for('@endo passStyleOf'), {
    value: passStyleOf,
    writable: false,
    enumerable: false,
    configurable: false,
  });
})();
