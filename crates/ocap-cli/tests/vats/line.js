// A vat that passes on to its channel what it is told, and keeps the channel in baggage.
import { E } from '@endo/eventual-send';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject(_vatPowers, _parameters, baggage) {
  const line = () => baggage.get('line');
  return makeDefaultExo('line', {
    bootstrap: (_roots, services) => {
      baggage.init('line', services.line);
    },
    ping: () => 'pong',
    read: () => E(line()).read(),
    write: (text) => E(line()).write(text),
  });
}
