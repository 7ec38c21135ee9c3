// `M`: patterns and guards for built-in exos, the part of `@endo/patterns` that source vats use.
//
// A pattern is passable data: a literal, or a tagged value `match:<kind>`. A guard is tagged
// `guard:<kind>`. Tags and payloads are those of `@endo/patterns`, because a guard may travel.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { assert, describe, getTag, harden, isPrimitive, makeTagged, passStyleOf } = ocap;
  const { Fail, quote: q } = assert;
  const { entries, hasOwn, is, keys } = Object;
  const { ownKeys } = Reflect;

  const isTagged = (value, tag) =>
    !isPrimitive(value) && passStyleOf(value) === 'tagged' && getTag(value) === tag;

  // Pass style, or the tag of a tagged value.
  const kindOf = value => {
    const style = passStyleOf(value);
    return style === 'tagged' ? getTag(value) : style;
  };

  const isScalar = value => isPrimitive(value) || passStyleOf(value) === 'remotable';
  // Remotables and data of them, without promises and errors.
  const isKey = value => {
    switch (passStyleOf(value)) {
      case 'copyArray':
        return value.every(isKey);
      case 'copyRecord':
        return keys(value).every(name => isKey(value[name]));
      case 'promise':
      case 'error':
        return false;
      case 'tagged':
        return !getTag(value).startsWith('match:') && isKey(value.payload);
      default:
        return true;
    }
  };
  const isSame = (left, right) => {
    if (isPrimitive(left) || isPrimitive(right)) {
      return is(left, right) || left === right;
    }
    const style = passStyleOf(left);
    if (style !== passStyleOf(right)) {
      return false;
    }
    switch (style) {
      case 'copyArray':
        return left.length === right.length && left.every((item, at) => isSame(item, right[at]));
      case 'copyRecord': {
        const names = keys(left);
        return (
          names.length === keys(right).length &&
          names.every(name => hasOwn(right, name) && isSame(left[name], right[name]))
        );
      }
      case 'tagged':
        return getTag(left) === getTag(right) && isSame(left.payload, right.payload);
      default:
        return left === right;
    }
  };
  // Numbers, bigints and strings have an order among themselves; nothing else has one here.
  const compares = (left, right, test) =>
    typeof left === typeof right &&
    ['number', 'bigint', 'string'].includes(typeof left) &&
    test(left, right);

  // What is wrong with `specimen`, or undefined. `where` names it.
  const wrong = (specimen, pattern, where) => {
    const at = where === '' ? '' : `${where}: `;
    if (isPrimitive(pattern)) {
      return isSame(specimen, pattern)
        ? undefined
        : `${at}${describe(specimen)} - Must be: ${q(pattern)}`;
    }
    switch (passStyleOf(pattern)) {
      case 'tagged':
        break;
      case 'copyArray': {
        if (passStyleOf(specimen) !== 'copyArray') {
          return `${at}${describe(specimen)} - Must be a copyArray`;
        }
        if (specimen.length !== pattern.length) {
          return `${at}Expected ${pattern.length} elements, not ${specimen.length}`;
        }
        return firstWrong(
          pattern.map((inner, index) => [specimen[index], inner, `[${index}]`]),
          where,
        );
      }
      case 'copyRecord': {
        if (passStyleOf(specimen) !== 'copyRecord') {
          return `${at}${describe(specimen)} - Must be a copyRecord`;
        }
        const names = keys(pattern);
        for (const name of names) {
          if (!hasOwn(specimen, name)) {
            return `${at}Must have missing properties ${q([name])}`;
          }
        }
        for (const name of keys(specimen)) {
          if (!hasOwn(pattern, name)) {
            return `${at}Must not have unexpected properties: ${q([name])}`;
          }
        }
        return firstWrong(
          names.map(name => [specimen[name], pattern[name], name]),
          where,
        );
      }
      default:
        return isSame(specimen, pattern)
          ? undefined
          : `${at}${describe(specimen)} - Must be: ${q(pattern)}`;
    }
    const tag = getTag(pattern);
    const check = matchers[tag];
    if (check === undefined) {
      return tag.startsWith('match:')
        ? `${at}pattern ${tag} is not supported yet`
        : isSame(specimen, pattern)
          ? undefined
          : `${at}${describe(specimen)} - Must be: ${q(pattern)}`;
    }
    return check(specimen, pattern.payload, where, at);
  };
  const firstWrong = (list, where) => {
    for (const [specimen, pattern, name] of list) {
      const complaint = wrong(specimen, pattern, where === '' ? name : `${where}: ${name}`);
      if (complaint !== undefined) {
        return complaint;
      }
    }
    return undefined;
  };
  const ofKind = (kind, at, specimen) =>
    kindOf(specimen) === kind
      ? undefined
      : `${at}${kindOf(specimen)} ${describe(specimen)} - Must be a ${kind}`;
  const comparison = (sign, test) => (specimen, bound, _where, at) =>
    compares(specimen, bound, test)
      ? undefined
      : `${at}${describe(specimen)} - Must be ${sign} ${q(bound)}`;
  const mustBe = (test, what) => (specimen, _payload, _where, at) =>
    test(specimen) ? undefined : `${at}${describe(specimen)} - Must be ${what}`;

  const matchers = {
    __proto__: null,
    'match:any': specimen => {
      passStyleOf(specimen);
      return undefined;
    },
    'match:scalar': mustBe(isScalar, 'a scalar'),
    'match:key': mustBe(isKey, 'a key'),
    'match:pattern': mustBe(specimen => passStyleOf(specimen) !== 'promise', 'a pattern'),
    'match:string': (specimen, _payload, _where, at) => ofKind('string', at, specimen),
    'match:bigint': (specimen, _payload, _where, at) => ofKind('bigint', at, specimen),
    'match:symbol': (specimen, _payload, _where, at) => ofKind('symbol', at, specimen),
    'match:nat': mustBe(specimen => typeof specimen === 'bigint' && specimen >= 0n, 'non-negative'),
    'match:kind': (specimen, kind, _where, at) => ofKind(kind, at, specimen),
    'match:tagged': (specimen, [tag, payload], where, at) =>
      passStyleOf(specimen) === 'tagged'
        ? firstWrong(
            [
              [getTag(specimen), tag, 'tag'],
              [specimen.payload, payload, 'payload'],
            ],
            where,
          )
        : `${at}${kindOf(specimen)} ${describe(specimen)} - Must be a tagged`,
    'match:remotable': (specimen, payload, _where, at) => {
      const kind = kindOf(specimen);
      return kind === 'remotable'
        ? undefined
        : `${at}${kind} ${describe(specimen)} - Must be a remotable${payload === undefined ? '' : ` ${payload.label}`}`;
    },
    'match:or': (specimen, patterns, where, at) =>
      patterns.some(pattern => wrong(specimen, pattern, where) === undefined)
        ? undefined
        : `${at}${describe(specimen)} - Must match one of ${q(patterns)}`,
    'match:and': (specimen, patterns, where) => {
      for (const pattern of patterns) {
        const complaint = wrong(specimen, pattern, where);
        if (complaint !== undefined) {
          return complaint;
        }
      }
      return undefined;
    },
    'match:not': (specimen, pattern, where, at) =>
      wrong(specimen, pattern, where) === undefined
        ? `${at}${describe(specimen)} - Must fail negated pattern: ${q(pattern)}`
        : undefined,
    'match:lt': comparison('<', (a, b) => a < b),
    'match:lte': comparison('<=', (a, b) => a <= b),
    'match:gte': comparison('>=', (a, b) => a >= b),
    'match:gt': comparison('>', (a, b) => a > b),
    'match:arrayOf': (specimen, [inner], where, at) =>
      ofKind('copyArray', at, specimen) ??
      firstWrong(
        specimen.map((item, index) => [item, inner, `[${index}]`]),
        where,
      ),
    'match:recordOf': (specimen, [name, value], where, at) =>
      ofKind('copyRecord', at, specimen) ??
      firstWrong(
        entries(specimen).flatMap(([key, item]) => [
          [key, name, key],
          [item, value, key],
        ]),
        where,
      ),
    'match:splitArray': (specimen, [required, optional = [], rest], where, at) => {
      const complaint = ofKind('copyArray', at, specimen);
      if (complaint !== undefined) {
        return complaint;
      }
      if (specimen.length < required.length) {
        return `${at}Expected at least ${required.length} arguments: ${describe(specimen)}`;
      }
      const declared = [...required, ...optional];
      if (rest === undefined && specimen.length > declared.length) {
        return `${at}Expected at most ${declared.length} arguments: ${describe(specimen)}`;
      }
      const list = [];
      specimen.forEach((item, index) => {
        if (index < required.length) {
          list.push([item, required[index], `arg ${index}`]);
        } else if (index < declared.length) {
          if (item !== undefined) {
            list.push([item, declared[index], `arg ${index}?`]);
          }
        }
      });
      return (
        firstWrong(list, where) ??
        (rest === undefined
          ? undefined
          : wrong(
              harden(specimen.slice(declared.length)),
              rest,
              where === '' ? '...rest' : `${where}: ...rest`,
            ))
      );
    },
    'match:splitRecord': (specimen, [required, optional = {}, rest], where, at) => {
      const complaint = ofKind('copyRecord', at, specimen);
      if (complaint !== undefined) {
        return complaint;
      }
      for (const name of keys(required)) {
        if (!hasOwn(specimen, name)) {
          return `${at}${describe(specimen)} - Must have missing properties ${q([name])}`;
        }
      }
      const list = [];
      const others = {};
      for (const [name, item] of entries(specimen)) {
        if (hasOwn(required, name)) {
          list.push([item, required[name], name]);
        } else if (hasOwn(optional, name)) {
          if (item !== undefined) {
            list.push([item, optional[name], `${name}?`]);
          }
        } else {
          others[name] = item;
        }
      }
      return (
        firstWrong(list, where) ??
        (rest === undefined
          ? undefined
          : wrong(harden(others), rest, where === '' ? '...rest' : `${where}: ...rest`))
      );
    },
  };

  const matches = (specimen, pattern) => {
    try {
      return wrong(harden(specimen), pattern, '') === undefined;
    } catch (_) {
      return false;
    }
  };
  const mustMatch = (specimen, pattern, label = undefined) => {
    const complaint = wrong(specimen, pattern, label === undefined ? '' : String(label));
    if (complaint !== undefined) {
      throw assert.makeError(complaint);
    }
  };

  const assertPattern = pattern => {
    passStyleOf(pattern);
    if (hasUnpatterned(pattern)) {
      throw Fail`A pattern cannot contain promises or errors: ${q(pattern)}`;
    }
  };
  const hasUnpatterned = pattern => {
    switch (passStyleOf(pattern)) {
      case 'promise':
      case 'error':
        return true;
      case 'copyArray':
        return pattern.some(hasUnpatterned);
      case 'copyRecord':
        return keys(pattern).some(name => hasUnpatterned(pattern[name]));
      case 'tagged':
        return hasUnpatterned(pattern.payload);
      default:
        return false;
    }
  };

  // Building patterns.
  const any = makeTagged('match:any', undefined);
  const kind = name => makeTagged('match:kind', name);
  const kinds = Object.fromEntries(
    ['undefined', 'boolean', 'number', 'error', 'promise', 'remotable'].map(name => [
      name,
      kind(name),
    ]),
  );
  const or = (...patterns) => makeTagged('match:or', patterns);
  const eref = pattern => or(pattern, kinds.promise);
  const notYet = name => () => {
    throw Fail`M.${assert.bare(name)} of the built-in @endo/patterns is not supported yet`;
  };

  // Building guards.
  const rawGuard = makeTagged('guard:rawGuard', {});
  const isRawGuard = guard => isTagged(guard, 'guard:rawGuard');
  const isAwaitArgGuard = guard => isTagged(guard, 'guard:awaitArgGuard');
  const methodGuardMaker = (callKind, argGuards, optionalArgGuards, restArgGuard) =>
    harden({
      optional: (...guards) => {
        if (optionalArgGuards !== undefined) {
          throw Fail`Can only have one set of optional guards`;
        }
        return methodGuardMaker(callKind, argGuards, guards, restArgGuard);
      },
      rest: guard => {
        if (restArgGuard !== undefined) {
          throw Fail`Can only have one rest arg`;
        }
        return methodGuardMaker(callKind, argGuards, optionalArgGuards, guard);
      },
      returns: (returnGuard = kinds.undefined) =>
        makeTagged('guard:methodGuard', {
          callKind,
          argGuards,
          ...(optionalArgGuards === undefined ? {} : { optionalArgGuards }),
          ...(restArgGuard === undefined ? {} : { restArgGuard }),
          returnGuard,
        }),
    });
  const makeInterfaceGuard = (interfaceName, methodGuards, options = {}) => {
    if (typeof interfaceName !== 'string') {
      throw Fail`interfaceName ${q(interfaceName)} must be a string`;
    }
    const { defaultGuards = undefined, sloppy = false } = options;
    if (![undefined, 'passable', 'raw'].includes(defaultGuards)) {
      throw Fail`Unrecognized defaultGuards ${q(defaultGuards)}`;
    }
    for (const name of ownKeys(methodGuards)) {
      if (typeof name === 'symbol') {
        throw Fail`guards of symbol-named methods are not supported yet`;
      }
      if (!isTagged(harden(methodGuards[name]), 'guard:methodGuard')) {
        throw Fail`guard of method ${q(name)} must be a method guard`;
      }
    }
    return makeTagged('guard:interfaceGuard', {
      interfaceName,
      methodGuards: { ...methodGuards },
      defaultGuards: defaultGuards ?? (sloppy ? 'passable' : undefined),
    });
  };
  const getPayload = (guard, tag) => {
    if (!isTagged(guard, tag)) {
      throw Fail`${guard} must be a ${q(tag)}`;
    }
    return guard.payload;
  };

  const splitPayload = (none, base, optional, rest) => {
    if (rest !== undefined) {
      return [base, optional ?? none, rest];
    }
    return optional === undefined ? [base] : [base, optional];
  };

  const M = harden({
    any: () => any,
    and: (...patterns) => makeTagged('match:and', patterns),
    array: () => makeTagged('match:arrayOf', [any]),
    arrayOf: (pattern = any) => makeTagged('match:arrayOf', [pattern]),
    await: argGuard => makeTagged('guard:awaitArgGuard', { argGuard }),
    bag: notYet('bag'),
    bagOf: notYet('bagOf'),
    bigint: () => makeTagged('match:bigint', []),
    boolean: () => kinds.boolean,
    call: (...argGuards) => methodGuardMaker('sync', argGuards),
    callWhen: (...argGuards) => methodGuardMaker('async', argGuards),
    containerHas: notYet('containerHas'),
    eq: key => {
      if (!isKey(harden(key))) {
        throw Fail`${q(key)} must be a key`;
      }
      return key === undefined ? kinds.undefined : key;
    },
    eref,
    error: () => kinds.error,
    gt: bound => makeTagged('match:gt', bound),
    gte: bound => makeTagged('match:gte', bound),
    interface: makeInterfaceGuard,
    key: () => makeTagged('match:key', undefined),
    kind,
    lt: bound => makeTagged('match:lt', bound),
    lte: bound => makeTagged('match:lte', bound),
    map: notYet('map'),
    mapOf: notYet('mapOf'),
    nat: () => makeTagged('match:nat', []),
    neq: key => makeTagged('match:not', M.eq(key)),
    not: pattern => makeTagged('match:not', pattern),
    null: () => null,
    number: () => kinds.number,
    opt: pattern => or(kinds.undefined, pattern),
    or,
    partial: (base, rest) =>
      Array.isArray(base)
        ? makeTagged('match:splitArray', splitPayload([], [], base, rest))
        : makeTagged('match:splitRecord', splitPayload({}, {}, base, rest)),
    pattern: () => makeTagged('match:pattern', undefined),
    promise: () => kinds.promise,
    raw: () => rawGuard,
    record: () => makeTagged('match:recordOf', [any, any]),
    recordOf: (name = any, value = any) => makeTagged('match:recordOf', [name, value]),
    remotable: label =>
      label === undefined ? kinds.remotable : makeTagged('match:remotable', { label: String(label) }),
    scalar: () => makeTagged('match:scalar', undefined),
    set: notYet('set'),
    setOf: notYet('setOf'),
    split: (base, rest) =>
      Array.isArray(base)
        ? makeTagged('match:splitArray', splitPayload([], base, rest && [], rest))
        : makeTagged('match:splitRecord', splitPayload({}, base, rest && {}, rest)),
    splitArray: (base, optional, rest) =>
      makeTagged('match:splitArray', splitPayload([], base, optional, rest)),
    splitRecord: (base, optional, rest) =>
      makeTagged('match:splitRecord', splitPayload({}, base, optional, rest)),
    string: () => makeTagged('match:string', []),
    symbol: () => makeTagged('match:symbol', []),
    tagged: (tag = M.string(), payload = any) => makeTagged('match:tagged', [tag, payload]),
    undefined: () => kinds.undefined,
  });

  ocap.patterns = harden({
    assertPattern,
    getAwaitArgGuardPayload: guard => getPayload(guard, 'guard:awaitArgGuard'),
    getInterfaceGuardPayload: guard => getPayload(guard, 'guard:interfaceGuard'),
    getMethodGuardPayload: guard => getPayload(guard, 'guard:methodGuard'),
    isAwaitArgGuard,
    isKey,
    isRawGuard,
    kindOf,
    M,
    matches,
    mustMatch,
  });
})();
