// An auction, in TypeScript. Whoever holds it can bid; only who holds the bell can close it.

import { Far } from '@endo/far';

import { type Bid, isBetter } from './bid.ts';

interface Parameters {
  /** What the first bid has to offer. */
  least: number;
}

export function buildRootObject(
  _powers: Ocap.VatPowers,
  { least }: Parameters,
  baggage: Ocap.Baggage,
) {
  const leader = (): Bid | undefined => baggage.get('leader');
  const isOpen = (): boolean => baggage.get('open');

  if (!baggage.has('open')) {
    baggage.init('open', true);
    baggage.init('leader', undefined);
    baggage.init('bellKind', VatData.makeKindHandle('bell'));
  }

  // A power of its own, to which the auction's root does not lead; of a durable kind, so that who
  // holds it still does after a restart.
  const makeBell = VatData.defineDurableKind(baggage.get('bellKind'), () => ({}), {
    ring() {
      baggage.set('open', false);
      return leader();
    },
  });

  return Far('auction', {
    /** Runs once, for who launches the cluster; the answer is the only way to the bell. */
    bootstrap: () => makeBell(),

    /** Whether the bid leads now. */
    bid(bidder: string, amount: number): boolean {
      const offer: Bid = harden({ bidder, amount });
      if (!isOpen() || !isBetter(offer, leader(), least)) return false;
      baggage.set('leader', offer);
      return true;
    },

    leader,
    isOpen,
  });
}
