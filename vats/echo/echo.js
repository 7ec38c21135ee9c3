// A service that repeats what it is told.
import { Far } from '@endo/far';
import { provideService } from '@ocap/discovery';

export const buildRootObject = (_vatPowers, { matcherUrl } = {}, baggage) => {
  const { publish, getContactUrl } = provideService(baggage, {
    tag: 'echo',
    description: 'Repeats the message it is given, forwards or backwards. Good for trying things out.',
    methods: {
      echo: (message, reverse = false) => (reverse ? [...message].reverse().join('') : message),
    },
    schema: {
      echo: {
        description: 'Repeats a message.',
        args: {
          message: { type: 'string', description: 'what to repeat' },
          reverse: { type: 'boolean', description: 'whether to turn it around' },
        },
        required: ['message'],
        returns: { type: 'string' },
      },
    },
    matcherUrl,
  });
  return Far('echo provider', {
    bootstrap: (_vats, services) => publish(services),
    getContactUrl,
  });
};
