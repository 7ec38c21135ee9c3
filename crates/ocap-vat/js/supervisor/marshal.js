// Values to smallcaps and back (kernel.md 17), with the vat's own references as slots.
(kit) => {
  const { Array, BigInt, Error, JSON, Map, Number, Object, RangeError, Reflect, String, Symbol, TypeError } =
    globalThis;
  const { isArray, prototype: ArrayPrototype } = Array;
  const { create, defineProperty, freeze, isFrozen, getPrototypeOf, prototype: ObjectPrototype } =
    Object;
  const { ownKeys, getOwnPropertyDescriptor } = Reflect;
  const { parse, stringify } = JSON;
  const { harden, passStyleOf, getInterfaceOf, makeTagged } = kit.ocap;
  const { nameForPassableSymbol, passableSymbolForName } = kit.ocap;
  const { assertLive, native, vrefOf } = kit;
  const { quote } = kit.ocap.assert;

  // Levels of nesting. Each costs about a KiB of the engine's stack.
  const DEPTH_MAX = 200;
  // A bigint's decimal digits: parsing is quadratic.
  const BIGINT_DIGITS_MAX = 100_000;
  const FIRST_ERROR_ID = 70_001;

  const ERROR_CONSTRUCTORS = new Map(
    ['Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError', 'AggregateError']
      .map((name) => [name, globalThis[name]])
      .filter(([, constructor]) => constructor !== undefined),
  );

  let nextErrorId = FIRST_ERROR_ID;

  // Imports, and what has a durable kind.
  const isDurable = (vref) => vref[0] === 'o' && (vref[1] === '-' || vref[2] === 'd');

  const tooDeep = () => RangeError(`value is nested more than ${DEPTH_MAX} levels deep`);

  // Of a value that has been followed to the greatest depth.
  const tooDeepOrCyclic = (object) => {
    try {
      passStyleOf(harden(object));
    } catch (error) {
      // Not that even this went too deep.
      if (getPrototypeOf(error) === Error.prototype) return error;
    }
    return tooDeep();
  };

  const encodeString = (text) => {
    const first = text.charCodeAt(0);
    return first >= 33 && first <= 45 ? `!${text}` : text;
  };

  const encodeSymbol = (symbol) => {
    passStyleOf(symbol);
    return `%${nameForPassableSymbol(symbol)}`;
  };

  // What an own property holds: getters are code of the vat's, and hidden properties are not sent.
  const dataOf = (object, key) => {
    const descriptor = getOwnPropertyDescriptor(object, key);
    if (descriptor === undefined || !('value' in descriptor) || !descriptor.enumerable) {
      passStyleOf(object); // says what is wrong
      throw TypeError(`${stringify(String(key))} cannot be sent`);
    }
    const { value } = descriptor;
    // Methods: of an object that is not marked as passed by reference, or `then`.
    if (typeof value === 'function') passStyleOf(object);
    return value;
  };

  const encodeReference = (object, vref, state) => {
    const index = state.indices.get(vref);
    const isPromise = vref[0] === 'p';
    if (index !== undefined) return isPromise ? `&${index}` : `$${index}`;
    const fresh = state.slots.length;
    state.slots.push(vref);
    state.indices.set(vref, fresh);
    if (isPromise) return `&${fresh}`;
    const iface = getInterfaceOf(object);
    return iface === undefined ? `$${fresh}` : `$${fresh}.${iface}`;
  };

  const newErrorId = () => {
    const id = `error:liveSlots:${kit.vatId}#${nextErrorId}`;
    nextErrorId += 1;
    return id;
  };

  const isError = (value) => {
    try {
      return value instanceof Error && !vrefOf.has(value);
    } catch {
      return false; // a proxy
    }
  };

  const textOf = (object, key, fallback) => {
    try {
      const value = object[key];
      return value === undefined ? fallback : `${value}`;
    } catch {
      return fallback;
    }
  };

  const encodeError = (error) => {
    const message = textOf(error, 'message', '');
    const name = textOf(error, 'name', 'Error');
    const errorId = newErrorId();
    const stack = textOf(error, 'stack', '');
    native.log(0, `sent ${errorId}: ${name}: ${message}\n${stack}`.toWellFormed());
    return { '#error': encodeString(message), errorId, name: encodeString(name) };
  };

  // An error by itself, as when one is thrown, need not be passable: its class may be the vat's own.
  const encodeLoneError = (error) => {
    try {
      harden(error);
    } catch {
      // A proxy that will not have it. All that is sent are two texts.
    }
    return encodeError(error);
  };

  const encodeArray = (array, state, depth) => {
    const { length } = array;
    if (getPrototypeOf(array) !== ArrayPrototype || ownKeys(array).length !== length + 1) {
      passStyleOf(array);
      throw TypeError('Arrays must be dense, without other properties');
    }
    const encoded = [];
    for (let i = 0; i < length; i += 1) {
      encoded[i] = encodeValue(dataOf(array, i), state, depth);
    }
    return encoded;
  };

  const encodeRecord = (record, keys, state, depth) => {
    if (keys.length > 1) keys.sort();
    const encoded = create(null);
    for (const key of keys) {
      encoded[encodeString(key)] = encodeValue(dataOf(record, key), state, depth);
    }
    return encoded;
  };

  const encodeObject = (object, state, depth) => {
    const known = vrefOf.get(object);
    if (known !== undefined) return encodeReference(object, assertLive(known), state);
    if (depth > DEPTH_MAX) throw tooDeepOrCyclic(object);
    // What is plain and frozen needs no more: its parts come here one by one.
    if (!isFrozen(object)) harden(object);
    if (isArray(object)) return encodeArray(object, state, depth + 1);
    if (typeof object === 'object' && getPrototypeOf(object) === ObjectPrototype) {
      // Symbols, as tagged values have some, come last.
      const keys = ownKeys(object);
      if (keys.length === 0 || typeof keys[keys.length - 1] === 'string') {
        return encodeRecord(object, keys, state, depth + 1);
      }
    }
    const style = passStyleOf(harden(object));
    switch (style) {
      case 'tagged':
        return {
          '#tag': encodeString(object[Symbol.toStringTag]),
          payload: encodeValue(object.payload, state, depth + 1),
        };
      case 'error':
        return encodeError(object);
      case 'remotable':
        return encodeReference(object, kit.exportObject(object), state);
      case 'promise':
        return encodeReference(object, kit.exportPromise(object), state);
      default:
        throw TypeError(`Cannot pass a ${style}`);
    }
  };

  const encodeValue = (value, state, depth) => {
    switch (typeof value) {
      case 'string':
        return encodeString(value);
      case 'number':
        if (Number.isFinite(value)) return value === 0 ? 0 : value;
        return `#${value}`;
      case 'boolean':
        return value;
      case 'undefined':
        return '#undefined';
      case 'bigint':
        return value < 0n ? `${value}` : `+${value}`;
      case 'symbol':
        return encodeSymbol(value);
      default:
        return value === null ? null : encodeObject(value, state, depth);
    }
  };

  const encode = (value) => {
    const state = { slots: [], indices: new Map() };
    const encoded = isError(value) ? encodeLoneError(value) : encodeValue(value, state, 0);
    const body = `#${stringify(encoded)}`;
    return { body, slots: state.slots };
  };

  // A value that is to outlive this incarnation.
  const encodeDurable = (value, what) => {
    const data = encode(value);
    const slot = data.slots.findIndex((vref) => !isDurable(vref));
    if (slot >= 0) {
      const shown = what === 'value' ? `${quote(value)} at slot` : 'slot';
      throw Error(`${what} is not durable: ${shown} ${slot} of ${quote(data.body)}`);
    }
    return data;
  };

  // The reference of one object, new if it has none.
  const referTo = (object) => assertLive(vrefOf.get(object) ?? kit.exportObject(object));

  // Whether a value may be kept; what cannot even be passed is an error.
  const canBeDurable = (value) => encode(harden(value)).slots.every(isDurable);

  const malformed = (what) => TypeError(`malformed message: ${what}`);

  const decodeReference = (text, slots) => {
    const dot = text.indexOf('.');
    const digits = dot < 0 ? text.slice(1) : text.slice(1, dot);
    const index = +digits;
    if (`${index}` !== digits || !(index in slots)) throw malformed(`no slot ${digits}`);
    const vref = slots[index];
    if ((text[0] === '&') !== (vref[0] === 'p')) throw malformed(`slot ${digits} is of another sort`);
    if (vref[0] === 'p') return kit.promiseOf(vref);
    return kit.presenceOf(vref, dot < 0 ? undefined : text.slice(dot + 1));
  };

  const decodeBigint = (text) => {
    if (text.length > BIGINT_DIGITS_MAX) throw malformed('bigint too long');
    const start = text[0] === '+' || text[0] === '-' ? 1 : 0;
    if (text.length === start) throw malformed('bad bigint');
    for (let i = start; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      if (code < 48 || code > 57) throw malformed('bad bigint');
    }
    return BigInt(text[0] === '+' ? text.slice(1) : text);
  };

  const decodeString = (text, slots) => {
    const first = text.charCodeAt(0);
    if (!(first >= 33 && first <= 45)) return text;
    switch (text[0]) {
      case '!':
        return text.slice(1);
      case '$':
      case '&':
        return decodeReference(text, slots);
      case '+':
      case '-':
        return decodeBigint(text);
      case '%':
        return passableSymbolForName(text.slice(1));
      case '#':
        switch (text) {
          case '#undefined':
            return undefined;
          case '#NaN':
            return NaN;
          case '#Infinity':
            return Infinity;
          case '#-Infinity':
            return -Infinity;
          default:
            throw malformed(`unknown constant ${stringify(text)}`);
        }
      default:
        throw malformed(`Special char ${stringify(text[0])} reserved for future use`);
    }
  };

  const decodeText = (value, slots, what) => {
    const text = typeof value === 'string' ? decodeString(value, slots) : undefined;
    if (typeof text !== 'string') throw malformed(`${what} must be a string`);
    return text;
  };

  const makeError = (name, message) => {
    const constructor = ERROR_CONSTRUCTORS.get(name);
    if (name === 'AggregateError') return new constructor([], message);
    return new (constructor ?? Error)(message);
  };

  const decodeError = (encoded, slots, depth) => {
    const message = decodeText(encoded['#error'], slots, 'an error message');
    const name = decodeText(encoded.name ?? 'Error', slots, 'an error name');
    const error = makeError(name, message);
    const { cause, errors } = encoded;
    if (cause !== undefined) {
      const value = decodeValue(cause, slots, depth);
      if (isError(value)) defineProperty(error, 'cause', { value, enumerable: false });
    }
    if (isArray(errors)) {
      const value = decodeValue(errors, slots, depth);
      if (value.every(isError)) defineProperty(error, 'errors', { value, enumerable: false });
    }
    return harden(error);
  };

  const decodeRecord = (encoded, slots, depth) => {
    if ('#tag' in encoded) {
      const { '#tag': tag, payload } = encoded;
      if (ownKeys(encoded).length !== 2 || payload === undefined) {
        throw malformed('a tagged value has exactly a tag and a payload');
      }
      return makeTagged(decodeText(tag, slots, 'a tag'), decodeValue(payload, slots, depth));
    }
    if ('#error' in encoded) return decodeError(encoded, slots, depth);
    const record = {};
    for (const encodedKey of ownKeys(encoded)) {
      const first = encodedKey.charCodeAt(0);
      if (first === 35) throw malformed(`unrecognized record type ${stringify(encodedKey)}`);
      const key =
        first >= 33 && first <= 45 ? decodeText(encodedKey, slots, 'a property name') : encodedKey;
      const value = decodeValue(encoded[encodedKey], slots, depth);
      if (key === '__proto__' || key in ObjectPrototype) {
        defineProperty(record, key, { value, enumerable: true, writable: true, configurable: true });
      } else {
        record[key] = value;
      }
    }
    return freeze(record);
  };

  const decodeValue = (encoded, slots, depth) => {
    if (typeof encoded === 'string') return decodeString(encoded, slots);
    if (typeof encoded !== 'object' || encoded === null) return encoded;
    if (depth > DEPTH_MAX) throw tooDeep();
    if (isArray(encoded)) {
      const { length } = encoded;
      for (let i = 0; i < length; i += 1) {
        encoded[i] = decodeValue(encoded[i], slots, depth + 1);
      }
      return freeze(encoded);
    }
    return decodeRecord(encoded, slots, depth + 1);
  };

  const decode = (body, slots) => {
    try {
      const encoded = parse(body[0] === '#' ? body.slice(1) : body);
      return body[0] === '#' ? decodeValue(encoded, slots, 0) : kit.decodeCapdata(encoded, slots);
    } finally {
      kit.noteSlots(slots);
    }
  };

  kit.encode = encode;
  kit.encodeDurable = encodeDurable;
  kit.isDurable = isDurable;
  kit.referTo = referTo;
  kit.canBeDurable = canBeDurable;
  kit.decode = decode;
  kit.decodeBigint = decodeBigint;
  kit.makeError = makeError;
  kit.malformed = malformed;
  kit.assertDepth = (depth) => {
    if (depth > DEPTH_MAX) throw tooDeep();
  };
};
