// A vat that reads its channel to the end and says how many lines and characters there were, and
// that writes as much as it is told.
import { E } from '@endo/eventual-send';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject() {
  let line;
  return makeDefaultExo('swallow', {
    bootstrap: (_roots, services) => {
      line = services.line;
    },
    swallow: async () => {
      let [lines, characters] = [0, 0];
      for (;;) {
        const units = await E(line).readMany(64);
        if (units === null) return [lines, characters];
        lines += units.length;
        for (const unit of units) characters += unit.length;
      }
    },
    pour: async (count, length) => {
      // Whoever it is for says so.
      await E(line).read();
      const batch = harden(Array(16).fill('x'.repeat(length)));
      for (let n = 0; n < count; n += batch.length) {
        await E(line).writeMany(batch);
      }
    },
  });
}
