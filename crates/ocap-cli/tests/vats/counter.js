// A vat that does what tests ask of it.
import { E } from '@endo/eventual-send';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject(_vatPowers, parameters, baggage) {
  const get = (key, otherwise) => (baggage.has(key) ? baggage.get(key) : otherwise);
  const set = (key, value) =>
    baggage.has(key) ? baggage.set(key, value) : baggage.init(key, value);

  return makeDefaultExo('counter', {
    bootstrap: () => 'ready',
    name: () => parameters?.name,
    ping: () => 'pong',
    echo: (value) => value,
    boom: () => {
      throw Error('boom');
    },
    bump: () => {
      set('count', get('count', 0) + 1);
      return get('count');
    },
    never: () => new Promise(() => {}),
    spin: () => {
      for (;;);
    },
    pingOther: (other) => E(other).ping(),
    make: () => makeDefaultExo('made', { hello: () => 'hello' }),
  });
}
