// A service that makes random numbers.
import { Far } from '@endo/far';
import { provideService } from '@ocap/discovery';

// A number in [0, 1) with 53 random bits.
const fraction = () => {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
};

export const buildRootObject = (_vatPowers, { matcherUrl } = {}, baggage) => {
  const { publish, getContactUrl } = provideService(baggage, {
    tag: 'random-number',
    description: 'Makes random numbers: whole ones within bounds, and fractions. For dice and lotteries.',
    methods: {
      randomInt(min, max) {
        if (!Number.isFinite(min) || !Number.isFinite(max)) throw RangeError('bounds must be finite');
        const [least, most] = [Math.ceil(min), Math.floor(max)];
        if (least > most) throw RangeError('there is no whole number between the bounds');
        return least + Math.floor(fraction() * (most - least + 1));
      },
      randomFloat: fraction,
    },
    schema: {
      randomInt: {
        description: 'A random whole number, both bounds included.',
        args: {
          min: { type: 'number', description: 'the least it may be' },
          max: { type: 'number', description: 'the most it may be' },
        },
        returns: { type: 'number' },
      },
      randomFloat: {
        description: 'A random number from 0 up to, but not including, 1.',
        args: {},
        returns: { type: 'number' },
      },
    },
    matcherUrl,
  });
  return Far('random number provider', {
    bootstrap: (_vats, services) => publish(services),
    getContactUrl,
  });
};
