// A vat whose durable doors have URLs, and that opens doors by their URLs.
import { E, Far } from '@endo/far';

const { defineDurableKind, makeKindHandle } = VatData;

export function buildRootObject(_vatPowers, _parameters, baggage) {
  if (!baggage.has('kind')) baggage.init('kind', makeKindHandle('door'));
  const makeDoor = defineDurableKind(baggage.get('kind'), () => ({ opened: 0 }), {
    open: ({ state }) => {
      state.opened += 1;
      return state.opened;
    },
  });
  return Far('root', {
    bootstrap(_vats, { ocapURLIssuerService, ocapURLRedemptionService }) {
      baggage.init('issuer', ocapURLIssuerService);
      baggage.init('redeemer', ocapURLRedemptionService);
    },
    issue: terms => E(baggage.get('issuer')).issue(makeDoor(), terms),
    open: url => E(E(baggage.get('redeemer')).redeem(url)).open(),
  });
}
