// A vat that does next to nothing: what a message costs is what the kernel costs.
import { Far } from '@endo/far';

export function buildRootObject() {
  let pings = 0;
  return Far('plain', {
    bootstrap() {},
    ping() {
      pings += 1;
      return pings;
    },
    spin(turns) {
      let x = 1;
      for (let i = 0; i < turns; i += 1) {
        x = (x * 48271) % 2147483647;
      }
      return x;
    },
    forever() {
      for (;;) {
        // Only the kernel can end this.
      }
    },
  });
}
