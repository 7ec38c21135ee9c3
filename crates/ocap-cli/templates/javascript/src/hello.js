import { Far } from '@endo/far';

/**
 * @param {Ocap.VatPowers} _powers
 * @param {unknown} _parameters
 * @param {Ocap.Baggage} baggage
 */
export function buildRootObject(_powers, _parameters, baggage) {
  // What is in baggage outlives the process; everything else begins anew at each start.
  if (!baggage.has('visits')) baggage.init('visits', 0);

  return Far('hello', {
    /** Runs once, when the cluster is launched. */
    bootstrap() {},

    /** @param {string} name */
    greet(name) {
      const number = baggage.get('visits') + 1;
      baggage.set('visits', number);
      return `Hello, ${name}! You are visitor ${number}.`;
    },
  });
}
