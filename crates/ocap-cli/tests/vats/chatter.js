// Passes on what it is asked to say to the language model.
import { E, Far } from '@endo/far';

export const buildRootObject = (_vatPowers, _parameters, baggage) =>
  Far('chatter', {
    bootstrap: (_vats, { languageModelService }) => baggage.init('model', languageModelService),
    chat: content =>
      E(baggage.get('model')).chat({ messages: [{ role: 'user', content }], max_tokens: 20 }),
    sample: () => E(baggage.get('model')).sample({ prompt: 'x' }),
  });
