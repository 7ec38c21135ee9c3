/** What somebody offers. */
export interface Bid {
  readonly bidder: string;
  readonly amount: number;
}

/** Whether an offer beats the best one so far, or is enough to begin with. */
export const isBetter = (offer: Bid, best: Bid | undefined, least: number): boolean =>
  best === undefined ? offer.amount >= least : offer.amount > best.amount;
