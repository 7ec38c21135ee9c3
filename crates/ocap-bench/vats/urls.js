// A vat that issues a URL for its root and redeems it again and again.
import { E, Far } from '@endo/far';

export function buildRootObject(_powers, _parameters, baggage) {
  const root = Far('urls', {
    bootstrap(_vats, { ocapURLIssuerService, ocapURLRedemptionService }) {
      baggage.init('issuer', ocapURLIssuerService);
      baggage.init('redeemer', ocapURLRedemptionService);
    },
    issue: () => E(baggage.get('issuer')).issue(root),
    async redeem(url, count) {
      const redeemer = baggage.get('redeemer');
      const redeemed = await Promise.all(
        Array.from({ length: count }, () => E(redeemer).redeem(url)),
      );
      return redeemed.filter(one => one === root).length;
    },
  });
  return root;
}
