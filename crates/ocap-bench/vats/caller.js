// Calls another vat and awaits each answer before the next call.
import { E } from '@endo/eventual-send';
import { Far } from '@endo/far';

export function buildRootObject() {
  let callee;
  return Far('caller', {
    bootstrap(roots) {
      callee = roots.callee;
    },
    async relay(calls) {
      let last = 0;
      for (let i = 0; i < calls; i += 1) {
        last = await E(callee).ping();
      }
      return last;
    },
  });
}
