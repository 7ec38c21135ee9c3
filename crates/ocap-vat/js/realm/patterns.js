// Patterns: what passable data may look like, and whether it does.
//
// A pattern is passable data: a key, which matches what equals it, or a tagged value `match:<kind>`,
// or data of these. Tags and payloads are those of `@endo/patterns`, because a pattern may travel.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { assert, describe, getTag, harden, isPrimitive, keys: keyed, keyTools } = ocap;
  const { makeTagged, passStyleOf } = ocap;
  const { collectionProblem, haveSameEntries, raise } = keyTools;
  const { compareKeys, isKey } = keyed;
  const { quote: q } = assert;
  const { hasOwn, keys } = Object;

  // A complaint about a part, as one about the whole.
  const within = (name, complaint) => (complaint === undefined ? undefined : `${name}: ${complaint}`);

  // What is wrong with the payload of a matcher, by its tag.
  const payloads = { __proto__: null };
  // What is wrong with a specimen, or undefined, by the tag of its matcher.
  const matchers = { __proto__: null };

  // Why a tagged value is not what its tag says, or undefined.
  const tagProblem = tagged => {
    const tag = getTag(tagged);
    switch (tag) {
      case 'copySet':
      case 'copyBag':
      case 'copyMap':
        return collectionProblem(tagged);
      default:
        break;
    }
    if (payloads[tag] !== undefined) {
      return matcherProblem(tagged, tag);
    }
    return tag.startsWith('guard:')
      ? undefined
      : `cannot check unrecognized tag ${q(tag)}: ${describe(tagged)}`;
  };
  // Pass style, or the tag of a tagged value that is what its tag says.
  const kindOf = value => {
    const style = passStyleOf(value);
    if (style !== 'tagged') {
      return style;
    }
    return tagProblem(value) === undefined ? getTag(value) : undefined;
  };
  const ofKind = (kind, specimen) => {
    let own = passStyleOf(specimen);
    if (own === 'tagged') {
      const problem = tagProblem(specimen);
      if (problem !== undefined) {
        return problem;
      }
      own = getTag(specimen);
    }
    return own === kind
      ? undefined
      : `${own} ${describe(specimen)} - Must be a ${kind}`;
  };

  // Matchers and other patterns that are objects, and well-formed.
  const wellFormed = new WeakSet();
  const matcherProblem = (matcher, tag) => {
    if (wellFormed.has(matcher)) {
      return undefined;
    }
    const problem = payloads[tag](matcher.payload);
    if (problem === undefined) {
      wellFormed.add(matcher);
      return undefined;
    }
    return `${tag} payload: ${problem}`;
  };
  const patternProblem = pattern => {
    if (isPrimitive(pattern)) {
      passStyleOf(pattern);
      return undefined;
    }
    if (wellFormed.has(pattern)) {
      return undefined;
    }
    const problem = objectPatternProblem(pattern);
    if (problem === undefined) {
      wellFormed.add(pattern);
    }
    return problem;
  };
  const each = (list, names, check) => {
    for (let at = 0; at < list.length; at += 1) {
      const problem = check(list[at]);
      if (problem !== undefined) {
        return `${names === undefined ? `[${at}]` : names[at]}: ${problem}`;
      }
    }
    return undefined;
  };
  const valuesOf = record => keys(record).map(name => record[name]);
  const objectPatternProblem = pattern => {
    const style = passStyleOf(pattern);
    switch (style) {
      case 'remotable':
        return undefined;
      case 'copyArray':
        return each(pattern, undefined, patternProblem);
      case 'copyRecord':
        return each(valuesOf(pattern), keys(pattern), patternProblem);
      case 'tagged':
        if (getTag(pattern).startsWith('guard:')) {
          return `A passable tagged ${q(getTag(pattern))} is not a pattern: ${describe(pattern)}`;
        }
        return (
          tagProblem(pattern) ??
          (getTag(pattern) === 'copyMap'
            ? each(pattern.payload.values, undefined, patternProblem)
            : undefined)
        );
      default:
        return `A ${q(style)} cannot be a pattern`;
    }
  };
  const isPattern = value => patternProblem(value) === undefined;
  const assertPattern = value => raise(patternProblem(value));

  // Which patterns are keys.
  const keyPatterns = new WeakMap();
  const isKeyPattern = pattern => {
    let is = keyPatterns.get(pattern);
    if (is === undefined) {
      is = isKey(pattern);
      keyPatterns.set(pattern, is);
    }
    return is;
  };
  const equals = (specimen, pattern) => {
    const same = isPrimitive(pattern)
      ? specimen === pattern || (Number.isNaN(specimen) && Number.isNaN(pattern))
      : isKey(specimen) && compareKeys(specimen, pattern) === 0;
    if (same) {
      return undefined;
    }
    passStyleOf(specimen);
    return `${describe(specimen)} - Must be: ${q(pattern)}`;
  };

  // What is wrong with a specimen, or undefined; the pattern is known to be one. No part is looked at
  // twice, so that nesting costs no more than its size.
  const wrong = (specimen, pattern) => {
    if (isPrimitive(pattern)) {
      return equals(specimen, pattern);
    }
    const style = passStyleOf(pattern);
    if (style === 'tagged') {
      const tag = getTag(pattern);
      const check = matchers[tag];
      if (check !== undefined) {
        return check(specimen, pattern.payload);
      }
      return tag === 'copyMap' && !isKeyPattern(pattern)
        ? unlikeMap(specimen, pattern)
        : equals(specimen, pattern);
    }
    if (style === 'remotable' || isKeyPattern(pattern)) {
      return equals(specimen, pattern);
    }
    return style === 'copyArray'
      ? unlikeArray(specimen, pattern)
      : unlikeRecord(specimen, pattern);
  };
  const unlike = (style, specimen, pattern) =>
    `${describe(specimen)} - Must be a ${style} to match a ${style} pattern: ${q(pattern)}`;
  const unlikeArray = (specimen, pattern) => {
    if (passStyleOf(specimen) !== 'copyArray') {
      return unlike('copyArray', specimen, pattern);
    }
    if (specimen.length !== pattern.length) {
      return `Array ${describe(specimen)} - Must be as long as copyArray pattern: ${q(pattern)}`;
    }
    for (let at = 0; at < pattern.length; at += 1) {
      const complaint = wrong(specimen[at], pattern[at]);
      if (complaint !== undefined) {
        return `[${at}]: ${complaint}`;
      }
    }
    return undefined;
  };
  const unlikeRecord = (specimen, pattern) => {
    if (passStyleOf(specimen) !== 'copyRecord') {
      return unlike('copyRecord', specimen, pattern);
    }
    const names = keys(pattern);
    const missing = names.filter(name => !hasOwn(specimen, name));
    if (missing.length !== 0) {
      return `${describe(specimen)} - Must have missing properties ${q(missing)}`;
    }
    const unexpected = keys(specimen).filter(name => !hasOwn(pattern, name));
    if (unexpected.length !== 0) {
      return `${describe(specimen)} - Must not have unexpected properties: ${q(unexpected)}`;
    }
    for (const name of names) {
      const complaint = wrong(specimen[name], pattern[name]);
      if (complaint !== undefined) {
        return `${name}: ${complaint}`;
      }
    }
    return undefined;
  };
  const unlikeMap = (specimen, pattern) => {
    const complaint = ofKind('copyMap', specimen);
    if (complaint !== undefined) {
      return complaint;
    }
    const fits = (value, inner) => wrong(value, inner) === undefined;
    return haveSameEntries(specimen, pattern, fits)
      ? undefined
      : `${describe(specimen)} - Must match the copyMap: ${q(pattern)}`;
  };

  const define = (name, payload, matcher) => {
    payloads[`match:${name}`] = payload;
    matchers[`match:${name}`] = matcher;
  };

  /** A matcher, whose payload is checked. `name` is what it is called if that is wrong. */
  const makeMatcher = (kind, payload, name = `match:${kind}`) => {
    const problem = payloads[`match:${kind}`](harden(payload));
    if (problem !== undefined) {
      throw assert.makeError(`${name} payload: ${problem}`);
    }
    const matcher = makeTagged(`match:${kind}`, payload);
    wellFormed.add(matcher);
    return matcher;
  };

  const matches = (specimen, pattern) => {
    assertPattern(pattern);
    try {
      return wrong(harden(specimen), pattern) === undefined;
    } catch (_) {
      return false;
    }
  };
  const mustMatch = (specimen, pattern, label = undefined) => {
    assertPattern(pattern);
    const complaint = wrong(specimen, pattern);
    if (complaint !== undefined) {
      throw assert.makeError(label === undefined ? complaint : `${label}: ${complaint}`);
    }
  };

  // For matchers, which add themselves.
  ocap.patternTools = harden({
    define,
    each,
    makeMatcher,
    equals,
    isKeyPattern,
    ofKind,
    patternProblem,
    within,
    wrong,
  });
  ocap.matching = { assertPattern, isPattern, kindOf, matches, mustMatch };
})();
