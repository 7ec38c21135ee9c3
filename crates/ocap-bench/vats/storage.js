// A vat that writes to its baggage, and to a store as large as it is told.
import { Far } from '@endo/far';

export function buildRootObject(_powers, _parameters, baggage) {
  if (!baggage.has('store')) {
    baggage.init('store', VatData.makeScalarBigMapStore('store', { durable: true }));
    for (let i = 0; i < 100; i += 1) {
      baggage.init(`key${i}`, 0);
    }
  }
  const store = baggage.get('store');
  return Far('storage', {
    bootstrap() {},
    set(count) {
      for (let i = 0; i < count; i += 1) {
        baggage.set(`key${i % 100}`, i);
      }
      return count;
    },
    fill(from, to) {
      for (let i = from; i < to; i += 1) {
        store.init(i, i);
      }
      return to;
    },
    look(key) {
      return store.get(key);
    },
  });
}
