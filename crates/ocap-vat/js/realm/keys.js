// Keys: passable data without promises and errors, which is equal to itself wherever it is; how keys
// are ordered; and sets, bags and maps of them, which are tagged data.
//
// *Rank* is an order of all passable data in which some differ without coming before or after one
// another: all remotables, for one. The *full* order tells those apart too, and holds for as long as
// one comparator is used. The *key* order is partial: a set comes before another if it is part of it.
// Collections have their keys in falling rank, which makes their comparison a merge.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { assert, describe, getTag, harden, isPrimitive, makeTagged } = ocap;
  const { nameForPassableSymbol, passStyleOf } = ocap;
  const { Fail, quote: q } = assert;
  const { hasOwn, keys } = Object;

  const RANK_OF_STYLE = {
    __proto__: null,
    error: 0,
    copyRecord: 1,
    tagged: 2,
    promise: 3,
    copyArray: 4,
    boolean: 5,
    number: 6,
    bigint: 7,
    remotable: 8,
    string: 9,
    null: 10,
    symbol: 11,
    undefined: 12,
  };

  const compareValues = (left, right) => {
    if (left < right) {
      return -1;
    }
    return left > right ? 1 : 0;
  };
  // Not-a-number equals itself and comes last.
  const compareNumbers = (left, right) =>
    Number.isNaN(left) || Number.isNaN(right)
      ? Number(Number.isNaN(left)) - Number(Number.isNaN(right))
      : compareValues(left, right);
  const compareLists = (left, right, compare) => {
    const length = Math.min(left.length, right.length);
    for (let at = 0; at < length; at += 1) {
      const order = compare(left[at], right[at]);
      if (order !== 0) {
        return order;
      }
    }
    return compareValues(left.length, right.length);
  };
  const namesOf = record => keys(record).sort().reverse();

  const makeComparator = tie => {
    const compare = (left, right) => {
      if (left === right) {
        return 0;
      }
      const style = passStyleOf(left);
      const other = passStyleOf(right);
      if (style !== other) {
        return compareValues(RANK_OF_STYLE[style], RANK_OF_STYLE[other]);
      }
      switch (style) {
        case 'boolean':
        case 'bigint':
        case 'string':
          return compareValues(left, right);
        case 'number':
          return compareNumbers(left, right);
        case 'symbol':
          return compareValues(nameForPassableSymbol(left), nameForPassableSymbol(right));
        case 'copyArray':
          return compareLists(left, right, compare);
        case 'copyRecord': {
          const names = namesOf(left);
          const others = namesOf(right);
          const order = compareLists(names, others, compareValues);
          return order !== 0
            ? order
            : compareLists(
                names.map(name => left[name]),
                names.map(name => right[name]),
                compare,
              );
        }
        case 'tagged': {
          const order = compareValues(getTag(left), getTag(right));
          return order !== 0 ? order : compare(left.payload, right.payload);
        }
        case 'remotable':
          return tie(left, right);
        default:
          return 0;
      }
    };
    return compare;
  };
  const compareRank = makeComparator(() => 0);
  // Remotables in the order in which this comparator has met them.
  const makeFullComparator = () => {
    const met = new Map();
    const place = remotable => {
      if (!met.has(remotable)) {
        met.set(remotable, met.size);
      }
      return met.get(remotable);
    };
    return makeComparator((left, right) => compareValues(place(left), place(right)));
  };

  // Items in an order. Of themselves, arrays have `undefined` last whatever the order.
  const sorted = (list, compare) =>
    list
      .map(item => [item])
      .sort(([left], [right]) => compare(left, right))
      .map(([item]) => item);
  const fallingRank = (left, right) => compareRank(right, left);
  const isSortedByRank = list =>
    list.every((item, at) => at === 0 || compareRank(list[at - 1], item) >= 0);
  // A key that is there twice, in a list, or undefined.
  const findTwin = list => {
    const compare = makeFullComparator();
    const ordered = sorted(list, compare);
    const at = ordered.findIndex(
      (item, place) => place > 0 && compare(ordered[place - 1], item) === 0,
    );
    return at === -1 ? undefined : [ordered[at]];
  };

  // Keys, and valid collections, that are objects: what is hardened stays what it is.
  const known = new WeakSet();
  // Each of the following says what is wrong, or undefined.
  const keyProblem = value => {
    if (isPrimitive(value)) {
      passStyleOf(value);
      return undefined;
    }
    if (known.has(value)) {
      return undefined;
    }
    const problem = objectKeyProblem(value);
    if (problem === undefined) {
      known.add(value);
    }
    return problem;
  };
  const firstProblem = (list, check) => {
    for (const item of list) {
      const problem = check(item);
      if (problem !== undefined) {
        return problem;
      }
    }
    return undefined;
  };
  const objectKeyProblem = value => {
    const style = passStyleOf(value);
    switch (style) {
      case 'remotable':
        return undefined;
      case 'copyArray':
        return firstProblem(value, keyProblem);
      case 'copyRecord':
        return firstProblem(
          keys(value).map(name => value[name]),
          keyProblem,
        );
      case 'tagged': {
        const tag = getTag(value);
        if (tag === 'copySet' || tag === 'copyBag') {
          return collectionProblem(value);
        }
        if (tag === 'copyMap') {
          return collectionProblem(value) ?? firstProblem(value.payload.values, keyProblem);
        }
        return `A passable tagged ${q(tag)} is not a key: ${describe(value)}`;
      }
      default:
        return `A ${q(style)} cannot be a key: ${describe(value)}`;
    }
  };
  const elementsProblem = elements => {
    if (passStyleOf(elements) !== 'copyArray') {
      return `The keys of a copySet or copyMap must be a copyArray: ${describe(elements)}`;
    }
    const problem = firstProblem(elements, keyProblem);
    if (problem !== undefined) {
      return problem;
    }
    if (!isSortedByRank(elements)) {
      return `The keys of a copySet or copyMap must be sorted in reverse rank order: ${describe(elements)}`;
    }
    const twin = findTwin(elements);
    return twin === undefined ? undefined : `value has duplicate keys: ${describe(twin[0])}`;
  };
  const bagEntriesProblem = bagEntries => {
    if (passStyleOf(bagEntries) !== 'copyArray') {
      return `The entries of a copyBag must be a copyArray: ${describe(bagEntries)}`;
    }
    for (const entry of bagEntries) {
      if (
        passStyleOf(entry) !== 'copyArray' ||
        entry.length !== 2 ||
        typeof entry[1] !== 'bigint'
      ) {
        return `Each entry of a copyBag must be pair of a key and a bigint representing a count: ${describe(entry)}`;
      }
      if (entry[1] < 1n) {
        return `Each entry of a copyBag must have a positive count: ${describe(entry)}`;
      }
    }
    const elements = bagEntries.map(([key]) => key);
    const problem = firstProblem(elements, keyProblem);
    if (problem !== undefined) {
      return problem;
    }
    if (!isSortedByRank(elements)) {
      return `The entries of a copyBag must be sorted in reverse rank order: ${describe(bagEntries)}`;
    }
    const twin = findTwin(elements);
    return twin === undefined ? undefined : `value has duplicate keys: ${describe(twin[0])}`;
  };
  const mapProblem = map => {
    const { payload } = map;
    if (passStyleOf(payload) !== 'copyRecord') {
      return `A copyMap's payload must be a record: ${describe(map)}`;
    }
    if (keys(payload).length !== 2 || !hasOwn(payload, 'keys') || !hasOwn(payload, 'values')) {
      return `A copyMap's payload must only have .keys and .values: ${describe(map)}`;
    }
    if (passStyleOf(payload.values) !== 'copyArray') {
      return `A copyMap's .values must be a copyArray: ${describe(map)}`;
    }
    if (payload.keys.length !== payload.values.length) {
      return `A copyMap must have the same number of keys and values: ${describe(map)}`;
    }
    return elementsProblem(payload.keys);
  };
  const validCollections = new WeakSet();
  // Of a copySet, a copyBag or a copyMap, whose values may be anything passable.
  const collectionProblem = collection => {
    if (validCollections.has(collection)) {
      return undefined;
    }
    let problem;
    switch (getTag(collection)) {
      case 'copySet':
        problem = elementsProblem(collection.payload);
        break;
      case 'copyBag':
        problem = bagEntriesProblem(collection.payload);
        break;
      default:
        problem = mapProblem(collection);
    }
    if (problem === undefined) {
      validCollections.add(collection);
    }
    return problem;
  };

  const raise = problem => {
    if (problem !== undefined) {
      throw assert.makeError(problem);
    }
  };
  const isKey = value => keyProblem(value) === undefined;
  const assertKey = value => raise(keyProblem(value));
  const scalarKeyProblem = value => {
    const style = passStyleOf(value);
    return isPrimitive(value) || style === 'remotable'
      ? undefined
      : `A ${q(style)} cannot be a scalar key: ${describe(value)}`;
  };
  const assertScalarKey = value => raise(scalarKeyProblem(value));

  const isTagged = (value, tag) =>
    !isPrimitive(value) && passStyleOf(value) === 'tagged' && getTag(value) === tag;
  // `isX` and `assertX` of one kind of collection.
  const checksOf = tag => {
    const problemOf = value =>
      isTagged(value, tag)
        ? collectionProblem(value)
        : `Not a ${assert.bare(tag)}: ${describe(value)}`;
    return {
      is: value => problemOf(value) === undefined,
      assert: value => raise(problemOf(value)),
    };
  };
  const { is: isCopySet, assert: assertCopySet } = checksOf('copySet');
  const { is: isCopyBag, assert: assertCopyBag } = checksOf('copyBag');
  const { is: isCopyMap, assert: assertCopyMap } = checksOf('copyMap');

  const coerceToElements = elements => {
    const ordered = harden(sorted(harden([...elements]), fallingRank));
    raise(elementsProblem(ordered));
    return ordered;
  };
  const byKey = ([left], [right]) => fallingRank(left, right);
  const coerceToBagEntries = bagEntries => {
    const ordered = harden([...harden([...bagEntries])].sort(byKey));
    raise(bagEntriesProblem(ordered));
    return ordered;
  };
  const valid = collection => {
    raise(collectionProblem(collection));
    return collection;
  };
  const makeCopySet = elements => valid(makeTagged('copySet', coerceToElements(elements)));
  const makeCopyBag = bagEntries => valid(makeTagged('copyBag', coerceToBagEntries(bagEntries)));
  const makeCopyBagFromElements = elements => {
    const compare = makeFullComparator();
    const counted = [];
    for (const element of sorted(harden([...elements]), (a, b) => compare(b, a))) {
      const last = counted.at(-1);
      if (last !== undefined && compare(last[0], element) === 0) {
        last[1] += 1n;
      } else {
        counted.push([element, 1n]);
      }
    }
    return makeCopyBag(counted);
  };
  const makeCopyMap = mapEntries => {
    const ordered = [...harden([...mapEntries])].sort(byKey);
    return valid(
      makeTagged('copyMap', {
        keys: ordered.map(([key]) => key),
        values: ordered.map(([_, value]) => value),
      }),
    );
  };
  const getCopySetKeys = set => {
    assertCopySet(set);
    return set.payload;
  };
  const getCopyBagEntries = bag => {
    assertCopyBag(bag);
    return bag.payload;
  };
  const getCopyMapKeys = map => {
    assertCopyMap(map);
    return map.payload.keys;
  };
  const getCopyMapValues = map => {
    assertCopyMap(map);
    return map.payload.values;
  };
  const getCopyMapEntries = map => {
    const values = getCopyMapValues(map);
    return harden(map.payload.keys.map((key, at) => [key, values[at]]));
  };

  // Two lists of entries `[key, count]` as one of `[key, count on the left, count on the right]`, in
  // falling rank; what is not there counts 0n.
  const merge = (left, right) => {
    const compare = makeFullComparator();
    const falling = list => [...list].sort(([a], [b]) => compare(b, a));
    const [lefts, rights] = [falling(left), falling(right)];
    const merged = [];
    let [l, r] = [0, 0];
    while (l < lefts.length || r < rights.length) {
      let order = l === lefts.length ? -1 : 1;
      if (l < lefts.length && r < rights.length) {
        order = compare(lefts[l][0], rights[r][0]);
      }
      const [key] = order >= 0 ? lefts[l] : rights[r];
      merged.push([key, order >= 0 ? lefts[l][1] : 0n, order <= 0 ? rights[r][1] : 0n]);
      l += order >= 0 ? 1 : 0;
      r += order <= 0 ? 1 : 0;
    }
    return merged;
  };
  const once = elements => elements.map(element => [element, 1n]);
  const compareCounts = merged => {
    const less = merged.some(([_, left, right]) => left < right);
    const more = merged.some(([_, left, right]) => left > right);
    if (less && more) {
      return NaN;
    }
    return Number(more) - Number(less);
  };

  // -1, 0, 1, or NaN if neither comes before the other.
  const compareKeys = (left, right) => {
    raise(keyProblem(left));
    raise(keyProblem(right));
    return compareKnownKeys(left, right);
  };
  const compareKnownKeys = (left, right) => {
    if (left === right) {
      return 0;
    }
    const style = passStyleOf(left);
    if (style !== passStyleOf(right)) {
      return NaN;
    }
    switch (style) {
      case 'number':
        return Number.isNaN(left) === Number.isNaN(right) ? compareNumbers(left, right) : NaN;
      case 'remotable':
        return NaN;
      case 'copyArray':
        return compareLists(left, right, compareKnownKeys);
      case 'copyRecord': {
        const names = keys(left);
        if (names.length !== keys(right).length || !names.every(name => hasOwn(right, name))) {
          return NaN;
        }
        let order = 0;
        for (const name of names) {
          const next = compareKnownKeys(left[name], right[name]);
          if (Number.isNaN(next) || order * next < 0) {
            return NaN;
          }
          order = order === 0 ? next : order;
        }
        return order;
      }
      case 'tagged': {
        const tag = getTag(left);
        if (tag !== getTag(right)) {
          return NaN;
        }
        switch (tag) {
          case 'copySet':
            return compareCounts(merge(once(left.payload), once(right.payload)));
          case 'copyBag':
            return compareCounts(merge(left.payload, right.payload));
          default:
            // Maps have no order, but those with the same entries are equal.
            return haveSameEntries(left, right, isSameKey) ? 0 : NaN;
        }
      }
      default:
        return compareRank(left, right);
    }
  };
  const isSameKey = (left, right) => compareKnownKeys(left, right) === 0;
  // Whether two maps have the same keys, and `test` holds for the values of each.
  const haveSameEntries = (left, right, test) => {
    const places = map => map.payload.keys.map((key, at) => [key, BigInt(at) + 1n]);
    return merge(places(left), places(right)).every(
      ([_, l, r]) =>
        l > 0n &&
        r > 0n &&
        test(left.payload.values[Number(l) - 1], right.payload.values[Number(r) - 1]),
    );
  };

  // What two keyed collections have in common, as operations on lists in falling rank, and on sets.
  const onLists = {
    isSuperset: merged => merged.every(([_, left]) => left > 0n),
    isDisjoint: merged => merged.every(([_, left, right]) => left === 0n || right === 0n),
    compare: compareCounts,
    union: merged => merged.map(([key]) => key),
    disjointUnion: merged =>
      merged.map(([key, left, right]) => {
        if (left > 0n && right > 0n) {
          throw Fail`Sets must not have common elements: ${key}`;
        }
        return key;
      }),
    intersection: merged =>
      merged.filter(([_, left, right]) => left > 0n && right > 0n).map(([key]) => key),
    disjointSubtract: merged =>
      merged
        .filter(([key, left, right]) => {
          if (left === 0n) {
            throw Fail`right element ${key} was not in left`;
          }
          return right === 0n;
        })
        .map(([key]) => key),
  };
  const capitalised = name => `${name[0].toUpperCase()}${name.slice(1)}`;
  const setOperations = {};
  for (const name of keys(onLists)) {
    const operation = onLists[name];
    setOperations[`elements${capitalised(name)}`] = (left, right) =>
      harden(operation(merge(once(coerceToElements(left)), once(coerceToElements(right)))));
    setOperations[`set${capitalised(name)}`] = (left, right) => {
      const result = operation(merge(once(getCopySetKeys(left)), once(getCopySetKeys(right))));
      return Array.isArray(result) ? makeCopySet(result) : result;
    };
  }
  const mergeBags = (left, right) => merge(getCopyBagEntries(left), getCopyBagEntries(right));
  const bagOf = (left, right, count) =>
    makeCopyBag(
      mergeBags(left, right)
        .map(([key, l, r]) => [key, count(l, r, key)])
        .filter(([_, n]) => n > 0n),
    );
  const bagOperations = {
    bagCompare: (left, right) => compareCounts(mergeBags(left, right)),
    bagIsSuperbag: (left, right) => mergeBags(left, right).every(([_, l, r]) => l >= r),
    bagUnion: (left, right) => bagOf(left, right, (l, r) => l + r),
    bagIntersection: (left, right) => bagOf(left, right, (l, r) => (l < r ? l : r)),
    bagDisjointSubtract: (left, right) =>
      bagOf(left, right, (l, r, key) => {
        if (l < r) {
          throw Fail`right element ${key} was not in left`;
        }
        return l - r;
      }),
  };

  // For patterns.
  ocap.keyTools = harden({
    collectionProblem,
    haveSameEntries,
    keyProblem,
    raise,
    scalarKeyProblem,
  });
  ocap.keys = harden({
    assertCopyBag,
    assertCopyMap,
    assertCopySet,
    assertKey,
    assertScalarKey,
    ...bagOperations,
    coerceToBagEntries,
    coerceToElements,
    compareKeys,
    ...setOperations,
    getCopyBagEntries,
    getCopyMapEntries,
    getCopyMapKeys,
    getCopyMapValues,
    getCopySetKeys,
    isCopyBag,
    isCopyMap,
    isCopySet,
    isKey,
    keyEQ: (left, right) => compareKeys(left, right) === 0,
    keyGT: (left, right) => compareKeys(left, right) > 0,
    keyGTE: (left, right) => compareKeys(left, right) >= 0,
    keyLT: (left, right) => compareKeys(left, right) < 0,
    keyLTE: (left, right) => compareKeys(left, right) <= 0,
    makeCopyBag,
    makeCopyBagFromElements,
    makeCopyMap,
    makeCopySet,
  });
})();
