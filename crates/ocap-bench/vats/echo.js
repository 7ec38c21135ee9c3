// A vat that sends back every line of its channel, many at a time.
import { E, Far } from '@endo/far';

export function buildRootObject() {
  let line;
  return Far('echo', {
    bootstrap(_roots, services) {
      line = services.line;
    },
    async echo(count) {
      let left = count;
      while (left > 0) {
        const units = await E(line).readMany();
        // Where the client before has ended.
        if (units !== null) {
          await E(line).writeMany(units);
          left -= units.length;
        }
      }
      return count;
    },
  });
}
