// `structuredClone`.
(kit) => {
  const { Array, ArrayBuffer, DataView, Error, Map, Object, Reflect, RegExp, Set, String } =
    globalThis;
  const { apply, construct, getOwnPropertyDescriptor, getPrototypeOf } = Reflect;
  const { defineProperty, hasOwn } = Object;
  const { globalMakers } = kit;
  const { Date: OriginalDate } = kit.ocap.originals;

  // Nesting of a value; deeper ones would end in the engine's own limit.
  const DEPTH_MAX = 1_000;

  const getterOf = (object, name) => getOwnPropertyDescriptor(object, name).get;
  const ERRORS = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
  const TypedArray = getPrototypeOf(Uint8Array);
  const tagOf = getterOf(TypedArray.prototype, Symbol.toStringTag);
  const bytesOf = getterOf(ArrayBuffer.prototype, 'byteLength');
  const viewBufferOf = getterOf(DataView.prototype, 'buffer');
  const mapSize = getterOf(Map.prototype, 'size');
  const setSize = getterOf(Set.prototype, 'size');
  const sourceOf = getterOf(RegExp.prototype, 'source');

  const is = (method, value) => {
    try {
      apply(method, value, []);
      return true;
    } catch {
      return false;
    }
  };

  const refuse = (value) => {
    let text;
    try {
      text = String(value);
    } catch {
      text = 'the value';
    }
    throw kit.errorNamed('DataCloneError', `${text} could not be cloned`);
  };

  const cloneOf = (root) => {
    const known = new Map();

    const fields = (from, to, depth) => {
      for (const key of Object.keys(from)) {
        const value = clone(from[key], depth);
        defineProperty(to, key, { value, writable: true, enumerable: true, configurable: true });
      }
      return to;
    };

    const note = (value, copy) => {
      known.set(value, copy);
      return copy;
    };

    const errorOf = (value, depth) => {
      const { name, message } = value;
      const Kind = ERRORS.find((kind) => kind.name === name) ?? Error;
      const copy = note(value, Kind(message === undefined ? '' : String(message)));
      if (hasOwn(value, 'cause')) {
        const cause = clone(value.cause, depth);
        defineProperty(copy, 'cause', { value: cause, writable: true, configurable: true });
      }
      return copy;
    };

    const viewOf = (value, kind, depth) => {
      const buffer = clone(value.buffer, depth);
      const Kind = globalThis[kind];
      const length = kind === 'DataView' ? value.byteLength : value.length;
      return note(value, construct(Kind, [buffer, value.byteOffset, length]));
    };

    const exotic = (value, depth) => {
      if (is(OriginalDate.prototype.valueOf, value)) {
        return note(value, new OriginalDate(apply(OriginalDate.prototype.valueOf, value, [])));
      }
      if (is(bytesOf, value)) return note(value, apply(ArrayBuffer.prototype.slice, value, [0]));
      const kind = apply(tagOf, value, []);
      if (kind !== undefined) return viewOf(value, kind, depth);
      if (is(viewBufferOf, value)) return viewOf(value, 'DataView', depth);
      if (is(mapSize, value)) {
        const copy = note(value, new Map());
        const entries = [...apply(Map.prototype.entries, value, [])];
        for (const [k, v] of entries) copy.set(clone(k, depth), clone(v, depth));
        return copy;
      }
      if (is(setSize, value)) {
        const copy = note(value, new Set());
        for (const v of [...apply(Set.prototype.values, value, [])]) copy.add(clone(v, depth));
        return copy;
      }
      if (value !== RegExp.prototype && is(sourceOf, value)) {
        return note(value, construct(RegExp, [apply(sourceOf, value, []), value.flags]));
      }
      for (const Box of [Boolean, Number, String, BigInt]) {
        if (is(Box.prototype.valueOf, value)) {
          return note(value, Object(apply(Box.prototype.valueOf, value, [])));
        }
      }
      return undefined;
    };

    const clone = (value, depth) => {
      if (typeof value === 'symbol' || typeof value === 'function') return refuse(value);
      if (typeof value !== 'object' || value === null) return value;
      if (known.has(value)) return known.get(value);
      if (depth >= DEPTH_MAX) {
        throw kit.errorNamed('DataCloneError', `nested deeper than ${DEPTH_MAX} levels`);
      }
      const next = depth + 1;
      if (Array.isArray(value)) {
        const copy = note(value, []);
        copy.length = value.length;
        return fields(value, copy, next);
      }
      if (Error.isError?.(value) ?? value instanceof Error) return errorOf(value, next);
      const prototype = getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) {
        const copy = exotic(value, next);
        if (copy !== undefined) return copy;
        for (const [Kind, probe] of [
          [WeakMap, WeakMap.prototype.has],
          [WeakSet, WeakSet.prototype.has],
        ]) {
          if (value instanceof Kind || is(probe, value)) return refuse(value);
        }
        if (kit.ocap.isPromise(value)) return refuse(value);
      }
      return fields(value, note(value, {}), next);
    };
    return clone(root, 0);
  };

  globalMakers.structuredClone = () => {
    const structuredClone = (value, options = undefined) => {
      const transfer = options?.transfer;
      if (transfer !== undefined && [...transfer].length > 0) {
        throw kit.errorNamed('DataCloneError', 'transfer is not supported');
      }
      return cloneOf(value);
    };
    return structuredClone;
  };
};
