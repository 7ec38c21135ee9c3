// The global `assert`: assertions whose messages say the shape of a value but not the value itself,
// unless it is quoted. Bundles carrying `@endo/errors` build on this global.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { harden } = ocap;
  const { defineProperty, freeze } = Object;

  // Longer quotations are cut: a message is for reading.
  const QUOTE_CHARS_MAX = 10_000;

  const withArticle = noun => `${'aeiouAEIOU'.includes(noun[0]) ? 'an' : 'a'} ${noun}`;

  // JSON with a readable form for what JSON has none for. Never throws.
  const stringify = (value, indent) => {
    const seen = new Set();
    const show = (_key, item) => {
      switch (typeof item) {
        case 'object': {
          if (item === null) {
            return null;
          }
          if (seen.has(item)) {
            return '[Seen]';
          }
          seen.add(item);
          if (item instanceof Error) {
            return `[${item.name}: ${item.message}]`;
          }
          const tag = item[Symbol.toStringTag];
          return tag === undefined ? item : `[${String(tag)}]`;
        }
        case 'function':
          return `[Function ${item.name || '<anon>'}]`;
        case 'string':
          return item.startsWith('[') ? `[${item}]` : item;
        case 'undefined':
          return '[undefined]';
        case 'symbol':
          return `[${String(item)}]`;
        case 'bigint':
          return `[${item}n]`;
        case 'number':
          if (Object.is(item, -0)) {
            return '[-0]';
          }
          return Number.isFinite(item) ? item : `[${item}]`;
        default:
          return item;
      }
    };
    try {
      const text = JSON.stringify(value, show, indent);
      return text.length > QUOTE_CHARS_MAX ? `${text.slice(0, QUOTE_CHARS_MAX)}...` : text;
    } catch (_) {
      return '[Something that failed to stringify]';
    }
  };

  // Token to text: values that may be shown.
  const declassified = new WeakMap();
  const makeToken = text => {
    const token = freeze({
      toString: freeze({ toString: () => text }.toString),
    });
    declassified.set(token, text);
    return token;
  };
  const quote = (payload, indent = undefined) => makeToken(stringify(payload, indent));
  const bare = (payload, indent = undefined) =>
    typeof payload === 'string' && /^[\w:-]( ?[\w:-])*$/.test(payload)
      ? makeToken(payload)
      : quote(payload, indent);

  const describe = value => {
    const text =
      (typeof value === 'object' && value !== null) || typeof value === 'function'
        ? declassified.get(value)
        : undefined;
    if (text !== undefined) {
      return text;
    }
    if (value === null) {
      return 'null';
    }
    if (value instanceof Error) {
      return `(${withArticle(String(value.name))})`;
    }
    return `(${withArticle(typeof value)})`;
  };

  // Details token to its template and values.
  const detailsParts = new WeakMap();
  const details = (template, ...args) => {
    const token = freeze({
      toString: freeze({ toString: () => '[DetailsToken]' }.toString),
    });
    detailsParts.set(token, { template, args });
    return token;
  };
  const messageOf = given => {
    if (typeof given === 'string') {
      return given;
    }
    const parts = detailsParts.get(given);
    if (parts === undefined) {
      throw TypeError(`unrecognized details ${stringify(given)}`);
    }
    const { template, args } = parts;
    let message = template[0];
    for (let at = 0; at < args.length; at += 1) {
      message += describe(args[at]) + template[at + 1];
    }
    return message;
  };
  const redact = optDetails => (optDetails === undefined ? details`Assert failed` : optDetails);

  const makeError = (optDetails, constructor = Error, options = {}) => {
    const { cause, errors, errorName: _errorName, properties } = options;
    const message = messageOf(redact(optDetails));
    const causeOption = cause === undefined ? undefined : { cause };
    let error;
    if (constructor === AggregateError) {
      error = AggregateError(errors ?? [], message, causeOption);
    } else {
      error = new constructor(message, causeOption);
      if (errors !== undefined) {
        defineProperty(error, 'errors', {
          value: errors,
          writable: true,
          enumerable: false,
          configurable: true,
        });
      }
    }
    if (properties !== undefined) {
      Object.defineProperties(error, properties);
    }
    return freeze(error);
  };

  // Notes are for a console that shows them; ours shows stacks, so they are only checked.
  const note = (error, detailsNote) => {
    messageOf(detailsNote);
    if (!(error instanceof Error)) {
      throw TypeError('note must be about an error');
    }
  };

  const makeAssert = (optRaise = undefined, _unredacted = false) => {
    const fail = (optDetails, constructor, options) => {
      const error = makeError(optDetails, constructor, options);
      if (optRaise !== undefined) {
        optRaise(error);
      }
      throw error;
    };
    const Fail = (template, ...args) => fail(details(template, ...args));
    const assert = (flag, optDetails, constructor, options) =>
      flag || fail(optDetails, constructor, options);
    const equal = (actual, expected, optDetails, constructor, options) =>
      Object.is(actual, expected) ||
      fail(
        optDetails ?? details`Expected ${actual} is same as ${expected}`,
        constructor ?? RangeError,
        options,
      );
    const assertTypeof = (specimen, typename, optDetails) => {
      if (typeof typename !== 'string') {
        fail(details`${quote(typename)} must be a string`);
      }
      return (
        typeof specimen === typename ||
        fail(optDetails ?? details`${specimen} must be ${bare(withArticle(typename))}`, TypeError)
      );
    };
    const string = (specimen, optDetails) => assertTypeof(specimen, 'string', optDetails);
    return Object.assign(assert, {
      bare,
      details,
      equal,
      error: makeError,
      fail,
      Fail,
      makeAssert,
      makeError,
      note,
      quote,
      string,
      typeof: assertTypeof,
    });
  };

  const assert = harden(makeAssert());
  ocap.defineGlobal('assert', assert);
  ocap.assert = assert;
  // How an unquoted value appears in a message.
  ocap.describe = harden(describe);
})();
