// The matchers of patterns: for each kind, the form of its payload, and what it matches.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { describe, getTag, harden, isPrimitive, keys: keyed, keyTools, matching } = ocap;
  const { assert, nameForPassableSymbol, passStyleOf, patternTools } = ocap;
  const { keyProblem, raise, scalarKeyProblem } = keyTools;
  const { define, each, equals, isKeyPattern, ofKind, patternProblem, within, wrong } = patternTools;
  const { compareKeys, isKey, makeCopyBag, makeCopySet } = keyed;
  const { assertPattern, kindOf } = matching;
  const { quote: q } = assert;
  const { hasOwn, keys } = Object;

  // What a matcher allows unless it says otherwise.
  const LIMITS = harden({
    __proto__: null,
    arrayLengthLimit: 10_000,
    byteLengthLimit: 100_000,
    decimalDigitsLimit: 100,
    numMapEntriesLimit: 5_000,
    numPropertiesLimit: 80,
    numSetElementsLimit: 10_000,
    numUniqueBagElementsLimit: 10_000,
    propertyNameLengthLimit: 100,
    stringLengthLimit: 100_000,
    symbolNameLengthLimit: 100,
  });
  const limitOf = (limits, name) => (limits === undefined ? LIMITS[name] : (limits[name] ?? LIMITS[name]));

  const valuesOf = record => keys(record).map(name => record[name]);
  const everyWrong = (list, pattern, label) => {
    for (let at = 0; at < list.length; at += 1) {
      const complaint = wrong(list[at], pattern);
      if (complaint !== undefined) {
        return `${label}[${at}]: ${complaint}`;
      }
    }
    return undefined;
  };

  // Forms of payloads: each says what is wrong with a value, or undefined.
  const nothing = value =>
    value === undefined ? undefined : `${describe(value)} - Must be undefined`;
  const text = value => ofKind('string', value);
  const patternList = value => ofKind('copyArray', value) ?? patternProblem(value);
  const patternRecord = value => ofKind('copyRecord', value) ?? patternProblem(value);
  const patternOrNothing = value => (value === undefined ? undefined : patternProblem(value));
  const limitsRecord = value =>
    ofKind('copyRecord', value) ??
    each(valuesOf(value), keys(value), limit => ofKind('number', limit));
  const atLeastOne = value =>
    keyProblem(value) ??
    (typeof value === 'bigint' && value >= 1n
      ? undefined
      : `${describe(value)} - Must be >= ${q(1n)}`);
  const labelled = value =>
    ofKind('copyRecord', value) ??
    (keys(value).length === 1 && hasOwn(value, 'label')
      ? undefined
      : `${describe(value)} - Must have a label and nothing else`) ??
    each([value.label], ['label'], text);
  // The first `least` of these have to be there.
  const tuple =
    (least, ...checks) =>
    value => {
      const complaint = ofKind('copyArray', value);
      if (complaint !== undefined) {
        return complaint;
      }
      if (value.length < least || value.length > checks.length) {
        return `${describe(value)} - Must have ${least} to ${checks.length} elements`;
      }
      for (let at = 0; at < value.length; at += 1) {
        const problem = checks[at](value[at]);
        if (problem !== undefined) {
          return `[${at}]: ${problem}`;
        }
      }
      return undefined;
    };

  define('any', nothing, specimen => {
    passStyleOf(specimen);
    return undefined;
  });
  const unless = problemOf => specimen => problemOf(specimen);
  define('scalar', nothing, unless(scalarKeyProblem));
  define('key', nothing, unless(keyProblem));
  define('pattern', nothing, unless(patternProblem));
  define('kind', text, (specimen, kind) => ofKind(kind, specimen));

  const digits = (specimen, limits) => {
    const limit = limitOf(limits, 'decimalDigitsLimit');
    return `${specimen < 0n ? -specimen : specimen}`.length <= limit
      ? undefined
      : `bigint ${describe(specimen)} must not have more than ${limit} digits`;
  };
  define(
    'bigint',
    tuple(0, limitsRecord),
    (specimen, [limits]) =>
      ofKind('bigint', specimen) ?? digits(specimen, limits),
  );
  define('nat', tuple(0, limitsRecord), (specimen, [limits]) => {
    if (typeof specimen !== 'bigint') {
      return ofKind('bigint', specimen);
    }
    return specimen >= 0n
      ? digits(specimen, limits)
      : `${describe(specimen)} - Must be non-negative`;
  });
  define('string', tuple(0, limitsRecord), (specimen, [limits]) => {
    if (typeof specimen !== 'string') {
      return ofKind('string', specimen);
    }
    const limit = limitOf(limits, 'stringLengthLimit');
    return specimen.length <= limit
      ? undefined
      : `string ${describe(specimen)} must not be bigger than ${limit}`;
  });
  define('symbol', tuple(0, limitsRecord), (specimen, [limits]) => {
    const complaint = ofKind('symbol', specimen);
    if (complaint !== undefined) {
      return complaint;
    }
    const limit = limitOf(limits, 'symbolNameLengthLimit');
    const name = nameForPassableSymbol(specimen);
    return name.length <= limit
      ? undefined
      : `Symbol name ${q(name)} must not be bigger than ${limit}`;
  });
  // Nothing that can be passed here is one.
  define('byteArray', tuple(0, limitsRecord), (specimen, _payload) =>
    ofKind('byteArray', specimen),
  );
  const labelledKind =
    kind =>
    (specimen, payload) => {
      const complaint = ofKind(kind, specimen);
      const label = payload === undefined ? '' : ` (${payload.label})`;
      return complaint === undefined ? undefined : `${complaint}${label}`;
    };
  define('remotable', labelled, labelledKind('remotable'));
  define('promise', labelled, labelledKind('promise'));
  define('tagged', tuple(2, patternProblem, patternProblem), (specimen, [tag, payload]) => {
    const style = passStyleOf(specimen);
    if (style !== 'tagged') {
      return `Expected tagged object, not ${q(style)}: ${describe(specimen)}`;
    }
    return (
      within('tag', wrong(getTag(specimen), tag)) ??
      within('payload', wrong(specimen.payload, payload))
    );
  });

  define('and', patternList, (specimen, patterns) => {
    passStyleOf(specimen);
    for (const pattern of patterns) {
      const complaint = wrong(specimen, pattern);
      if (complaint !== undefined) {
        return complaint;
      }
    }
    return undefined;
  });
  const isUndefinedPattern = pattern =>
    pattern === undefined ||
    (!isPrimitive(pattern) &&
      passStyleOf(pattern) === 'tagged' &&
      getTag(pattern) === 'match:kind' &&
      pattern.payload === 'undefined');
  define('or', patternList, (specimen, patterns) => {
    let complaint;
    for (const pattern of patterns) {
      complaint = wrong(specimen, pattern);
      if (complaint === undefined) {
        return undefined;
      }
    }
    // Of what is optional, only what it is otherwise says something.
    return patterns.length === 2 && isUndefinedPattern(patterns[0])
      ? complaint
      : `${describe(specimen)} - Must match one of ${q(patterns)}`;
  });
  define('not', patternProblem, (specimen, pattern) =>
    wrong(specimen, pattern) === undefined
      ? `${describe(specimen)} - Must fail negated pattern: ${q(pattern)}`
      : undefined,
  );
  for (const [name, sign, test] of [
    ['lt', '<', order => order < 0],
    ['lte', '<=', order => order <= 0],
    ['gte', '>=', order => order >= 0],
    ['gt', '>', order => order > 0],
  ]) {
    define(name, keyProblem, (specimen, bound) =>
      isKey(specimen) && test(compareKeys(specimen, bound))
        ? undefined
        : `${describe(specimen)} - Must be ${sign} ${q(bound)}`,
    );
  }

  define('arrayOf', tuple(1, patternProblem, limitsRecord), (specimen, [inner, limits]) => {
    const complaint = ofKind('copyArray', specimen);
    if (complaint !== undefined) {
      return complaint;
    }
    const limit = limitOf(limits, 'arrayLengthLimit');
    return specimen.length <= limit
      ? everyWrong(specimen, inner, '')
      : `Array length ${specimen.length} must be <= limit ${limit}`;
  });
  define(
    'recordOf',
    tuple(2, patternProblem, patternProblem, limitsRecord),
    (specimen, [name, value, limits]) => {
      const complaint = ofKind('copyRecord', specimen);
      if (complaint !== undefined) {
        return complaint;
      }
      const names = keys(specimen);
      const many = limitOf(limits, 'numPropertiesLimit');
      if (names.length > many) {
        return `Must not have more than ${many} properties: ${describe(specimen)}`;
      }
      const long = limitOf(limits, 'propertyNameLengthLimit');
      for (const own of names) {
        if (own.length > long) {
          return `${own}: Property name must not be longer than ${long}`;
        }
        const amiss =
          within('[0]', wrong(own, name)) ?? within('[1]', wrong(specimen[own], value));
        if (amiss !== undefined) {
          return `${own}: ${amiss}`;
        }
      }
      return undefined;
    },
  );
  define('setOf', tuple(1, patternProblem, limitsRecord), (specimen, [inner, limits]) => {
    const complaint = ofKind('copySet', specimen);
    if (complaint !== undefined) {
      return complaint;
    }
    const { payload } = specimen;
    const limit = limitOf(limits, 'numSetElementsLimit');
    return payload.length <= limit
      ? everyWrong(payload, inner, 'set elements')
      : `Set must not have more than ${limit} elements: ${payload.length}`;
  });
  define(
    'bagOf',
    tuple(2, patternProblem, patternProblem, limitsRecord),
    (specimen, [inner, count, limits]) => {
      const complaint = ofKind('copyBag', specimen);
      if (complaint !== undefined) {
        return complaint;
      }
      const { payload } = specimen;
      const limit = limitOf(limits, 'numUniqueBagElementsLimit');
      if (payload.length > limit) {
        return `Bag must not have more than ${limit} unique elements: ${describe(specimen)}`;
      }
      for (let at = 0; at < payload.length; at += 1) {
        const [key, n] = payload[at];
        const amiss =
          within(`bag keys[${at}]`, wrong(key, inner)) ??
          within(`bag counts[${at}]`, digits(n, limits) ?? wrong(n, count));
        if (amiss !== undefined) {
          return amiss;
        }
      }
      return undefined;
    },
  );
  define(
    'mapOf',
    tuple(2, patternProblem, patternProblem, limitsRecord),
    (specimen, [key, value, limits]) => {
      const complaint = ofKind('copyMap', specimen);
      if (complaint !== undefined) {
        return complaint;
      }
      const { payload } = specimen;
      const limit = limitOf(limits, 'numMapEntriesLimit');
      return payload.keys.length <= limit
        ? (everyWrong(payload.keys, key, 'map keys') ??
            everyWrong(payload.values, value, 'map values'))
        : `CopyMap must have no more than ${limit} entries: ${describe(specimen)}`;
    },
  );

  // Entries `[element, count]` of an array, a set or a bag; of the latter two, in rising rank.
  const entriesIn = container => {
    const kind = kindOf(container);
    switch (kind) {
      case 'copyArray':
        return container.map(element => [element, 1n]);
      case 'copySet':
        return container.payload.map(element => [element, 1n]).reverse();
      case 'copyBag':
        return [...container.payload].reverse();
      default:
        return undefined;
    }
  };
  // Takes out the first `bound` elements that match.
  const split = (entries, pattern, bound) => {
    const [taken, left] = [[], []];
    let need = bound;
    for (const [element, count] of entries) {
      const fits = need > 0n && wrong(element, pattern) === undefined;
      const here = fits ? (count < need ? count : need) : 0n;
      need -= here;
      if (here > 0n) {
        taken.push([element, here]);
      }
      if (count > here) {
        left.push([element, count - here]);
      }
    }
    return { taken, left, found: bound - need };
  };
  const tooFew = (found, bound) => `Has only ${q(found)} matches, but needs ${q(bound)}`;
  define(
    'containerHas',
    tuple(2, patternProblem, atLeastOne, limitsRecord),
    (specimen, [pattern, bound]) => {
      const entries = entriesIn(specimen);
      if (entries === undefined) {
        return `${describe(specimen)} - Must be a copyArray, copySet or copyBag`;
      }
      const { found } = split(entries, pattern, bound);
      return found === bound ? undefined : `${tooFew(found, bound)}`;
    },
  );
  const containerHasSplit = (
    specimen,
    pattern,
    bound,
    reject,
    needTaken = false,
    needLeft = false,
  ) => {
    assertPattern(pattern);
    raise(atLeastOne(bound));
    const entries = entriesIn(specimen);
    if (entries === undefined) {
      return reject && reject`${specimen} - Must be a copyArray, copySet or copyBag`;
    }
    const { taken, left, found } = split(entries, pattern, bound);
    if (found < bound) {
      return reject && reject`Has only ${q(found)} matches, but needs ${q(bound)}`;
    }
    const elements = list => list.map(([element]) => element);
    const make = {
      copyArray: list => harden(elements(list)),
      copySet: list => makeCopySet(elements(list)),
      copyBag: makeCopyBag,
    }[kindOf(specimen)];
    return [needTaken ? make(taken) : undefined, needLeft ? make(left) : undefined];
  };

  define(
    'splitArray',
    tuple(1, patternList, patternList, patternOrNothing),
    (specimen, [required, optional = [], rest]) => {
      const complaint = ofKind('copyArray', specimen);
      if (complaint !== undefined) {
        return complaint;
      }
      const { length } = specimen;
      const declared = required.length + optional.length;
      if (length < required.length) {
        return `Expected at least ${required.length} arguments: ${describe(specimen)}`;
      }
      for (let at = 0; at < length && at < declared; at += 1) {
        const must = at < required.length;
        const item = specimen[at];
        if (must || item !== undefined) {
          const pattern = must ? required[at] : optional[at - required.length];
          const amiss = wrong(item, pattern);
          if (amiss !== undefined) {
            return `arg ${at}${must ? '' : '?'}: ${amiss}`;
          }
        }
      }
      return rest === undefined
        ? undefined
        : within('...rest', wrong(harden(specimen.slice(declared)), rest));
    },
  );
  // What of a record is not as `required` says, or undefined.
  const unmetProperty = (specimen, required) => {
    const names = keys(required);
    for (const name of names) {
      const complaint = hasOwn(specimen, name)
        ? within(name, wrong(specimen[name], required[name]))
        : `${describe(specimen)} - Must have missing properties ${q(names.filter(other => !hasOwn(specimen, other)))}`;
      if (complaint !== undefined) {
        const there = names.filter(other => hasOwn(specimen, other));
        return isKeyPattern(required)
          ? equals(harden(Object.fromEntries(there.map(own => [own, specimen[own]]))), required)
          : complaint;
      }
    }
    return undefined;
  };
  define(
    'splitRecord',
    tuple(1, patternRecord, patternRecord, patternOrNothing),
    (specimen, [required, optional = {}, rest]) => {
      const complaint = ofKind('copyRecord', specimen);
      if (complaint !== undefined) {
        return complaint;
      }
      const unmet = unmetProperty(specimen, required);
      if (unmet !== undefined) {
        return unmet;
      }
      const others = {};
      for (const name of keys(specimen)) {
        const item = specimen[name];
        if (hasOwn(required, name)) {
          continue;
        }
        if (!hasOwn(optional, name)) {
          others[name] = item;
        } else if (item !== undefined) {
          const amiss = wrong(item, optional[name]);
          if (amiss !== undefined) {
            return `${name}?: ${amiss}`;
          }
        }
      }
      return rest === undefined
        ? undefined
        : within('...rest', wrong(harden(others), rest));
    },
  );
  define(
    'discriminated',
    tuple(2, text, patternRecord),
    (specimen, [name, patterns]) => {
      const complaint = ofKind('copyRecord', specimen);
      if (complaint !== undefined) {
        return complaint;
      }
      const { [name]: kind, ...others } = specimen;
      return hasOwn(specimen, name) && typeof kind === 'string' && hasOwn(patterns, kind)
        ? wrong(harden(others), patterns[kind])
        : `${describe(specimen)} - Must have ${q(name)} with one of ${q(keys(patterns))}`;
    },
  );

  matching.containerHasSplit = containerHasSplit;
})();
