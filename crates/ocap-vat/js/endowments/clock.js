// `Date` with a clock and `Math` with randomness, for vats that ask for them.
(kit) => {
  const { Math, Object, Reflect, String, Uint32Array, Uint8Array } = globalThis;
  const { construct, getOwnPropertyDescriptor, ownKeys } = Reflect;
  const { defineProperty } = Object;
  const { native, globalMakers } = kit;
  const { originals } = kit.ocap;
  const { Date: OriginalDate, dateNow } = originals;
  const { round } = Math;

  const words = new Uint32Array(1);
  const bytes = new Uint8Array(words.buffer);
  const random = () => {
    native.randomFill(bytes);
    return words[0] / 2 ** 32;
  };

  globalMakers.Math = () => {
    const copy = {};
    for (const key of ownKeys(Math)) {
      if (key !== 'random') defineProperty(copy, key, getOwnPropertyDescriptor(Math, key));
    }
    const { random: value } = { random: () => random() };
    return defineProperty(copy, 'random', { value, writable: true, configurable: true });
  };

  // A millisecond of noise, and never backwards: too coarse to measure others with.
  let latest = 0;
  const now = () => {
    const time = round(dateNow() + random());
    if (time > latest) latest = time;
    return latest;
  };

  globalMakers.Date = () => {
    const Date = function Date(...args) {
      if (new.target === undefined) return String(new OriginalDate(now()));
      return construct(OriginalDate, args.length === 0 ? [now()] : args, new.target);
    };
    const define = (key, value, writable) =>
      defineProperty(Date, key, { value, writable, enumerable: false, configurable: writable });
    defineProperty(Date, 'length', { value: 7 });
    define('prototype', OriginalDate.prototype, false);
    define('parse', OriginalDate.parse, true);
    define('UTC', OriginalDate.UTC, true);
    define('now', { now: () => now() }.now, true);
    return Date;
  };
};
