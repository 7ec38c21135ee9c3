// A built-in exo that does next to nothing.
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject() {
  let pings = 0;
  return makeDefaultExo('exo', {
    bootstrap() {},
    ping() {
      pings += 1;
      return pings;
    },
  });
}
