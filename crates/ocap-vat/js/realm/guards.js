// `M`: how patterns and guards are made; and what else `@endo/patterns` exports.
//
// A guard is tagged `guard:<kind>`. It says what the methods of an exo take and give.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { assert, getTag, harden, isPrimitive, keys: keyed, makeTagged, matching } = ocap;
  const { passStyleOf, patternTools } = ocap;
  const { Fail, quote: q } = assert;
  const { fromEntries } = Object;
  const { ownKeys } = Reflect;
  const { makeMatcher } = patternTools;
  const { assertKey, getCopyMapEntries, makeCopyMap } = keyed;

  const isTagged = (value, tag) =>
    !isPrimitive(value) && passStyleOf(value) === 'tagged' && getTag(value) === tag;

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
    const [byString, bySymbol] = [{}, []];
    for (const name of ownKeys(methodGuards)) {
      const guard = methodGuards[name];
      if (!isTagged(harden(guard), 'guard:methodGuard')) {
        throw Fail`guard of method ${q(String(name))} must be a method guard`;
      }
      if (typeof name === 'symbol') {
        bySymbol.push([name, guard]);
      } else {
        byString[name] = guard;
      }
    }
    return makeTagged('guard:interfaceGuard', {
      interfaceName,
      methodGuards: byString,
      ...(bySymbol.length === 0 ? {} : { symbolMethodGuards: makeCopyMap(bySymbol) }),
      defaultGuards: defaultGuards ?? (sloppy ? 'passable' : undefined),
    });
  };
  const getPayload = (guard, tag) => {
    if (!isTagged(guard, tag)) {
      throw Fail`${guard} must be a ${q(tag)}`;
    }
    return guard.payload;
  };
  const getNamedMethodGuards = interfaceGuard => {
    const { methodGuards, symbolMethodGuards } = getPayload(interfaceGuard, 'guard:interfaceGuard');
    return symbolMethodGuards === undefined
      ? methodGuards
      : harden({ ...methodGuards, ...fromEntries(getCopyMapEntries(symbolMethodGuards)) });
  };

  // Building patterns.
  const any = makeMatcher('any', undefined);
  const kind = name => makeMatcher('kind', name, 'M.kind');
  const kinds = fromEntries(
    ['undefined', 'boolean', 'number', 'error', 'promise', 'remotable'].map(name => [
      name,
      kind(name),
    ]),
  );
  const or = (...patterns) =>
    // What matches one of nothing is what does not match anything.
    patterns.length === 0 ? makeMatcher('not', any) : makeMatcher('or', patterns, 'M.or');
  // A matcher whose payload ends with limits, if there are any.
  const limited = (name, parts, limits, from = `M.${name}`) =>
    makeMatcher(name, limits === undefined ? parts : [...parts, limits], from);
  const labelled = (name, label) =>
    label === undefined ? kinds[name] : makeMatcher(name, { label });
  const splitPayload = (none, base, optional, rest) => {
    if (rest !== undefined) {
      return [base, optional ?? none, rest];
    }
    return optional === undefined ? [base] : [base, optional];
  };
  const splitArray = (base, optional, rest) =>
    makeMatcher('splitArray', splitPayload([], base, optional, rest), 'M.splitArray');
  const splitRecord = (base, optional, rest) =>
    makeMatcher('splitRecord', splitPayload({}, base, optional, rest), 'M.splitRecord');
  const eq = key => {
    assertKey(harden(key));
    return key === undefined ? kinds.undefined : key;
  };

  const M = harden({
    and: (...patterns) => makeMatcher('and', patterns, 'M.and'),
    any: () => any,
    array: limits => limited('arrayOf', [any], limits, 'M.array'),
    arrayOf: (pattern = any, limits = undefined) => limited('arrayOf', [pattern], limits),
    await: argGuard => makeTagged('guard:awaitArgGuard', { argGuard }),
    bag: limits => limited('bagOf', [any, any], limits, 'M.bag'),
    bagOf: (key = any, count = any, limits = undefined) => limited('bagOf', [key, count], limits),
    bigint: limits => limited('bigint', [], limits),
    boolean: () => kinds.boolean,
    byteArray: limits => limited('byteArray', [], limits),
    call: (...argGuards) => methodGuardMaker('sync', argGuards),
    callWhen: (...argGuards) => methodGuardMaker('async', argGuards),
    containerHas: (pattern = any, bound = 1n, limits = undefined) =>
      limited('containerHas', [pattern, bound], limits),
    discriminated: (name, patterns) =>
      makeMatcher('discriminated', [name, patterns], 'M.discriminated'),
    eq,
    eref: pattern => or(pattern, kinds.promise),
    error: () => kinds.error,
    gt: bound => makeMatcher('gt', bound, 'M.gt'),
    gte: bound => makeMatcher('gte', bound, 'M.gte'),
    interface: makeInterfaceGuard,
    key: () => makeMatcher('key', undefined),
    kind,
    lt: bound => makeMatcher('lt', bound, 'M.lt'),
    lte: bound => makeMatcher('lte', bound, 'M.lte'),
    map: limits => limited('mapOf', [any, any], limits, 'M.map'),
    mapOf: (key = any, value = any, limits = undefined) => limited('mapOf', [key, value], limits),
    nat: limits => limited('nat', [], limits),
    neq: key => makeMatcher('not', eq(key), 'M.neq'),
    not: pattern => makeMatcher('not', pattern, 'M.not'),
    null: () => null,
    number: () => kinds.number,
    opt: pattern => or(kinds.undefined, pattern),
    or,
    partial: (base, rest) =>
      Array.isArray(base) ? splitArray([], base, rest) : splitRecord({}, base, rest),
    pattern: () => makeMatcher('pattern', undefined),
    promise: label => labelled('promise', label),
    raw: () => rawGuard,
    record: limits => limited('recordOf', [any, any], limits, 'M.record'),
    recordOf: (name = any, value = any, limits = undefined) =>
      limited('recordOf', [name, value], limits),
    remotable: label => labelled('remotable', label),
    scalar: () => makeMatcher('scalar', undefined),
    set: limits => limited('setOf', [any], limits, 'M.set'),
    setOf: (key = any, limits = undefined) => limited('setOf', [key], limits),
    split: (base, rest) =>
      Array.isArray(base)
        ? splitArray(base, rest && [], rest)
        : splitRecord(base, rest && {}, rest),
    splitArray,
    splitRecord,
    string: limits => limited('string', [], limits),
    symbol: limits => limited('symbol', [], limits),
    tagged: (tag = M.string(), payload = any) => makeMatcher('tagged', [tag, payload], 'M.tagged'),
    undefined: () => kinds.undefined,
  });

  const mustBeGuard = tag => guard => {
    getPayload(guard, tag);
  };
  ocap.patterns = harden({
    ...keyed,
    ...matching,
    assertAwaitArgGuard: mustBeGuard('guard:awaitArgGuard'),
    assertInterfaceGuard: mustBeGuard('guard:interfaceGuard'),
    assertMethodGuard: mustBeGuard('guard:methodGuard'),
    assertRawGuard: mustBeGuard('guard:rawGuard'),
    getAwaitArgGuardPayload: guard => getPayload(guard, 'guard:awaitArgGuard'),
    getInterfaceGuardPayload: guard => getPayload(guard, 'guard:interfaceGuard'),
    getInterfaceMethodKeys: interfaceGuard => harden(ownKeys(getNamedMethodGuards(interfaceGuard))),
    getMethodGuardPayload: guard => getPayload(guard, 'guard:methodGuard'),
    getNamedMethodGuards,
    isAwaitArgGuard,
    isRawGuard,
    listDifference: (left, right) => {
      const others = new Set(right);
      return left.filter(item => !others.has(item));
    },
    M,
    objectMap: (original, map) =>
      harden(fromEntries(ownKeys(original).map(name => [name, map(original[name], name)]))),
  });
})();
