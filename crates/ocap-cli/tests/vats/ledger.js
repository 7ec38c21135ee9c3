// Notes what comes in, and passes it on: a client's number goes from one ledger to its partner and
// from there back, each step in a crank of its own.
import { E } from '@endo/eventual-send';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject(_vatPowers, _parameters, baggage) {
  const set = (key, value) =>
    baggage.has(key) ? baggage.set(key, value) : baggage.init(key, value);

  // Numbers of one client come in order. What was passed over, or comes again, stays on record.
  const note = (table, client, number) => {
    const key = `${table}.${client}`;
    const { last, gaps, again, count } = baggage.has(key)
      ? baggage.get(key)
      : { last: 0, gaps: [], again: [], count: 0 };
    const missed = [];
    for (let n = last + 1; n < number; n += 1) missed.push(n);
    const record = {
      last: Math.max(last, number),
      gaps: [...gaps, ...missed],
      again: number <= last ? [...again, number] : again,
      count: count + 1,
    };
    set(key, harden(record));
    return record.count;
  };

  return makeDefaultExo('ledger', {
    bootstrap: async (roots) => {
      set('partner', roots.back);
      await E(roots.back).meet(roots.front);
    },
    meet: (partner) => set('partner', partner),
    put: (client, number) => {
      note('put', client, number);
      return E(baggage.get('partner')).pass(client, number);
    },
    pass: (client, number) => {
      note('pass', client, number);
      return E(baggage.get('partner')).confirm(client, number);
    },
    confirm: (client, number) => note('confirm', client, number),
    report: (table, client) => {
      const key = `${table}.${client}`;
      return baggage.has(key) ? baggage.get(key) : null;
    },
  });
}
