// The encoding before smallcaps, whose bodies do not start with `#`. It is read, never written.
(kit) => {
  const { Array, JSON, Object, Reflect } = globalThis;
  const { isArray } = Array;
  const { defineProperty, freeze, hasOwn } = Object;
  const { ownKeys } = Reflect;
  const { stringify } = JSON;
  const { assertDepth, decodeBigint, makeError, malformed } = kit;
  const { harden, makeTagged, passableSymbolForName } = kit.ocap;

  const CLASS = '@qclass';

  const textOf = (encoded, key) => {
    const text = encoded[key];
    if (typeof text !== 'string') throw malformed(`${key} must be a string`);
    return text;
  };

  const decodeSlot = (encoded, slots) => {
    const { index, iface } = encoded;
    const vref = typeof index === 'number' ? slots[index] : undefined;
    if (vref === undefined) throw malformed(`no slot ${stringify(index)}`);
    if (vref[0] === 'p') return kit.promiseOf(vref);
    return kit.presenceOf(vref, iface === undefined ? undefined : textOf(encoded, 'iface'));
  };

  const decodeFields = (encoded, slots, depth) => {
    const record = {};
    for (const key of ownKeys(encoded)) {
      const value = decodeAt(encoded[key], slots, depth);
      defineProperty(record, key, { value, enumerable: true, writable: true, configurable: true });
    }
    return record;
  };

  // A record with a property of the name that marks all others.
  const decodeHilbert = (encoded, slots, depth) => {
    const record = { [CLASS]: decodeAt(encoded.original, slots, depth) };
    if (!hasOwn(encoded, 'rest')) return freeze(record);
    const rest = decodeAt(encoded.rest, slots, depth);
    if (typeof rest !== 'object' || rest === null || isArray(rest) || hasOwn(rest, CLASS)) {
      throw malformed('bad hilbert record');
    }
    return freeze(Object.assign(record, rest));
  };

  const decodeClass = (encoded, slots, depth) => {
    switch (encoded[CLASS]) {
      case 'undefined':
        return undefined;
      case 'NaN':
        return NaN;
      case 'Infinity':
        return Infinity;
      case '-Infinity':
        return -Infinity;
      case 'bigint':
        return decodeBigint(textOf(encoded, 'digits'));
      case '@@asyncIterator':
        return passableSymbolForName('@@asyncIterator');
      case 'symbol':
        return passableSymbolForName(textOf(encoded, 'name'));
      case 'tagged':
        return makeTagged(textOf(encoded, 'tag'), decodeAt(encoded.payload, slots, depth));
      case 'error':
        return harden(makeError(textOf(encoded, 'name'), textOf(encoded, 'message')));
      case 'slot':
        return decodeSlot(encoded, slots);
      case 'hilbert':
        return decodeHilbert(encoded, slots, depth);
      default:
        throw malformed(`unrecognized ${CLASS} ${stringify(encoded[CLASS])}`);
    }
  };

  const decodeAt = (encoded, slots, depth) => {
    if (typeof encoded !== 'object' || encoded === null) return encoded;
    assertDepth(depth);
    if (isArray(encoded)) return freeze(encoded.map((item) => decodeAt(item, slots, depth + 1)));
    if (hasOwn(encoded, CLASS)) return decodeClass(encoded, slots, depth + 1);
    return freeze(decodeFields(encoded, slots, depth + 1));
  };

  kit.decodeCapdata = (encoded, slots) => decodeAt(encoded, slots, 0);
};
