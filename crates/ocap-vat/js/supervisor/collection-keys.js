// Keys of collections as text whose order is that of the keys: booleans, numbers, bigints, references
// in the order in which they came, strings, null, symbols, undefined.
(kit) => {
  const { BigInt, DataView, Error, Number, RangeError, String, TypeError } = globalThis;
  const { ArrayBuffer } = globalThis;
  const { nameForPassableSymbol, passableSymbolForName, passStyleOf, getTag } = kit.ocap;
  const { isPrimitive } = kit.ocap;

  // UTF-16 units of an encoded key; with its prefix it fits what the kernel takes for one (4096 bytes).
  const KEY_LENGTH_MAX = 1_000;
  const ORDINAL_DIGITS = 10;
  // After every encoded key, and before what a collection notes of itself.
  const END = '{';

  const bits = new DataView(new ArrayBuffer(8));

  // The sixteen hexadecimal digits of a float, changed so that they sort as the floats do.
  const encodeNumber = (number) => {
    if (Number.isNaN(number)) return 'ffff8000000000000';
    bits.setFloat64(0, number === 0 ? 0 : number);
    let high = bits.getUint32(0);
    let low = bits.getUint32(4);
    if (number < 0) {
      high = ~high >>> 0;
      low = ~low >>> 0;
    } else {
      high = (high ^ 0x80000000) >>> 0;
    }
    return `f${high.toString(16).padStart(8, '0')}${low.toString(16).padStart(8, '0')}`;
  };

  const decodeNumber = (text) => {
    let high = Number.parseInt(text.slice(1, 9), 16);
    let low = Number.parseInt(text.slice(9, 17), 16);
    if (high < 0x80000000) {
      high = ~high >>> 0;
      low = ~low >>> 0;
    } else {
      high = (high ^ 0x80000000) >>> 0;
    }
    bits.setUint32(0, high);
    bits.setUint32(4, low);
    return bits.getFloat64(0);
  };

  // Digits after their number, which comes after as many marks as it has digits beyond the first. Of
  // negative ones, all digits are complements, so that the larger number sorts first.
  const encodeBigint = (bigint) => {
    const digits = String(bigint < 0n ? -bigint : bigint);
    const count = String(digits.length);
    if (bigint >= 0n) return `p${'~'.repeat(count.length - 1)}${count}:${digits}`;
    if (digits.length > KEY_LENGTH_MAX) throw RangeError('key too large');
    const rest = String(10n ** BigInt(digits.length) + bigint).padStart(digits.length, '0');
    const counted = String(10 ** count.length - digits.length).padStart(count.length, '0');
    return `n${'#'.repeat(count.length - 1)}${counted}:${rest}`;
  };

  const decodeBigint = (text) => {
    const digits = text.slice(text.indexOf(':') + 1);
    return text[0] === 'p' ? BigInt(digits) : BigInt(digits) - 10n ** BigInt(digits.length);
  };

  const wellFormed = (text) => {
    if (!text.isWellFormed()) throw TypeError('invalid key: not well-formed Unicode');
    return text;
  };

  const encodeAny = (key) => {
    switch (typeof key) {
      case 'string':
        return `s${wellFormed(key)}`;
      case 'number':
        return encodeNumber(key);
      case 'bigint':
        return encodeBigint(key);
      case 'boolean':
        return `b${key}`;
      case 'symbol': {
        const name = nameForPassableSymbol(key);
        if (name === undefined) passStyleOf(key);
        return `y${wellFormed(name)}`;
      }
      case 'undefined':
        return 'z';
      default:
        if (key === null) return 'v';
        throw TypeError('invalid key: not a scalar');
    }
  };

  /** A primitive key's text. */
  const encodeKey = (key) => {
    const text = encodeAny(key);
    if (text.length > KEY_LENGTH_MAX) throw RangeError(`key too large: longer than ${KEY_LENGTH_MAX}`);
    return text;
  };

  const encodeReference = (ordinal, vref) => `r${ordinal.padStart(ORDINAL_DIGITS, '0')}:${vref}`;

  const decodeKey = (text) => {
    switch (text[0]) {
      case 's':
        return text.slice(1);
      case 'f':
        return decodeNumber(text);
      case 'p':
      case 'n':
        return decodeBigint(text);
      case 'r':
        return kit.presenceOf(text.slice(text.indexOf(':') + 1), undefined);
      case 'b':
        return text === 'btrue';
      case 'v':
        return null;
      case 'y':
        return passableSymbolForName(text.slice(1));
      case 'z':
        return undefined;
      default:
        throw Error('invalid key in the store');
    }
  };

  // Kinds of keys, and the first letters of their texts.
  const LETTERS = {
    __proto__: null,
    boolean: 'b',
    number: 'f',
    bigint: 'np',
    remotable: 'r',
    string: 's',
    null: 'v',
    symbol: 'y',
    undefined: 'z',
  };
  const EVERYTHING = ['', END];
  const after = (letter) => String.fromCharCode(letter.charCodeAt(0) + 1);
  const rangeOfKind = (kind) => {
    const letters = LETTERS[kind];
    return letters === undefined ? EVERYTHING : [letters[0], after(letters[letters.length - 1])];
  };
  // Text compares here by UTF-16 units, in the store by UTF-8 bytes: the same up to this.
  const isPlain = (text) => text < '\ud800' && !/[\ud800-\uffff]/.test(text);

  // From a key's text on, or up to and with it, among keys of its kind.
  const rangeOfBound = (bound, isLower) => {
    if (!['number', 'bigint', 'string'].includes(typeof bound)) return EVERYTHING;
    const [start, end] = rangeOfKind(typeof bound);
    const text = encodeAny(bound);
    if (text.length > KEY_LENGTH_MAX) return [start, end];
    if (isLower) return [text, end];
    return isPlain(text) ? [start, `${text}\u0000`] : [start, end];
  };

  // Where among the texts those of the keys that match a pattern are: from the first of these to before
  // the second. Others may be among them.
  const rangeOf = (pattern) => {
    if (isPrimitive(pattern)) {
      const text = encodeAny(pattern);
      return isPlain(text) ? [text, `${text}\u0000`] : rangeOfKind(pattern === null ? 'null' : typeof pattern);
    }
    if (passStyleOf(pattern) !== 'tagged') {
      return passStyleOf(pattern) === 'remotable' ? rangeOfKind('remotable') : EVERYTHING;
    }
    const { payload } = pattern;
    switch (getTag(pattern)) {
      case 'match:kind':
        return rangeOfKind(payload);
      case 'match:string':
      case 'match:bigint':
      case 'match:symbol':
      case 'match:remotable':
        return rangeOfKind(getTag(pattern).slice('match:'.length));
      case 'match:nat':
        return rangeOfKind('bigint');
      case 'match:gt':
      case 'match:gte':
        return rangeOfBound(payload, true);
      case 'match:lt':
      case 'match:lte':
        return rangeOfBound(payload, false);
      case 'match:and':
        return payload.map(rangeOf).reduce(
          ([start, end], [from, to]) => [from > start ? from : start, to < end ? to : end],
          EVERYTHING,
        );
      default:
        return EVERYTHING;
    }
  };

  const letterOf = (key) => {
    if (isPrimitive(key)) return LETTERS[key === null ? 'null' : typeof key][0];
    return LETTERS.remotable;
  };
  // Nothing is greater than what is no number.
  const compareNumbers = (left, right) => {
    if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right);
    return left < right ? -1 : +(left > right);
  };
  const compare = (left, right) => {
    const [a, b] = [letterOf(left), letterOf(right)];
    if (a !== b) return a < b ? -1 : 1;
    switch (typeof left) {
      case 'number':
        return compareNumbers(left, right);
      case 'string':
      case 'bigint':
        return left < right ? -1 : +(left > right);
      case 'boolean':
        return left - right;
      case 'symbol':
        return compare(nameForPassableSymbol(left), nameForPassableSymbol(right));
      default:
        return 0;
    }
  };

  kit.encodeKey = encodeKey;
  kit.encodeReferenceKey = encodeReference;
  kit.decodeKey = decodeKey;
  kit.keyRange = rangeOf;
  // In the order of copy sets and maps: descending, but references as they came.
  kit.descending = (pairs) => pairs.sort(([left], [right]) => compare(right, left));
};
