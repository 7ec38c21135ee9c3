import { Far } from '@endo/far';

interface Visit {
  name: string;
  number: number;
}

export function buildRootObject(
  _powers: Ocap.VatPowers,
  _parameters: unknown,
  baggage: Ocap.Baggage,
) {
  // What is in baggage outlives the process; everything else begins anew at each start.
  if (!baggage.has('visits')) baggage.init('visits', 0);

  return Far('hello', {
    /** Runs once, when the cluster is launched. */
    bootstrap() {},

    greet(name: string): string {
      const visit: Visit = { name, number: baggage.get('visits') + 1 };
      baggage.set('visits', visit.number);
      return `Hello, ${visit.name}! You are visitor ${visit.number}.`;
    },
  });
}
