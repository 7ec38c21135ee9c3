// Counts how often each timer it has set has fired.
import { E, Far } from '@endo/far';

const { defineDurableKind, makeKindHandle, makeScalarBigMapStore } = VatData;

export const buildRootObject = (_powers, _parameters, baggage) => {
  const provide = (name, make) => {
    if (!baggage.has(name)) baggage.init(name, make());
    return baggage.get(name);
  };
  const fired = provide('fired', () => makeScalarBigMapStore('fired', { durable: true }));
  const makeHandler = defineDurableKind(
    provide('handler', () => makeKindHandle('handler')),
    name => ({ name }),
    {
      wake: ({ state: { name } }, due, now) => {
        if (fired.has(name)) fired.set(name, [...fired.get(name), now - due]);
        else fired.init(name, [now - due]);
      },
    },
  );
  return Far('alarms', {
    bootstrap: (_vats, { timer }) => baggage.init('timer', timer),
    set: (name, ms) => E(baggage.get('timer')).wakeAfter(ms, makeHandler(name)),
    list: () => E(baggage.get('timer')).list(),
    fired: () => [...fired.entries()],
  });
};
