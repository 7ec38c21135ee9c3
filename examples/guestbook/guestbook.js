// A guestbook that outlives its kernel. Whoever types a name, at the console or at the socket, is
// greeted with a number that no one else ever gets.

import { E } from '@endo/eventual-send';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

const NAME_LENGTH_MAX = 100;

// A channel that rejects this often in a row, although it claims to be ready, is left alone until
// the vat starts again.
const REJECTIONS_MAX = 3;

export function buildRootObject(_vatPowers, _parameters, baggage) {
  const visitors = () => (baggage.has('visitors') ? baggage.get('visitors') : 0);

  const store = (key, value) => {
    if (baggage.has(key)) {
      baggage.set(key, value);
    } else {
      baggage.init(key, value);
    }
  };

  // The count and the answer are part of one crank: they become durable together, or not at all,
  // and the answer leaves only after that.
  const greet = (channel, name) => {
    const visitor = visitors() + 1;
    store('visitors', visitor);
    return E(channel).write(`Welcome, ${name}! You are visitor ${visitor}.`);
  };

  const serve = async (channel) => {
    let rejections = 0;
    while (rejections < REJECTIONS_MAX) {
      let line;
      try {
        line = await E(channel).read();
        rejections = 0;
      } catch {
        // Not there at the moment. This resolves as soon as it is.
        rejections += 1;
        await E(channel).ready();
        continue;
      }
      // Null: the visitor has left, and the next read waits for the next one.
      const name = line === null ? '' : line.trim().slice(0, NAME_LENGTH_MAX);
      if (name !== '') {
        // A visitor who left before the answer came has been counted all the same.
        await greet(channel, name).catch(() => {});
      }
    }
  };

  const open = () => {
    const { console: terminal, visitors: socket } = baggage.get('channels');
    E(terminal)
      .write(`The guestbook is open, ${visitors()} visitors so far. What is your name?`)
      .catch(() => {});
    for (const channel of [terminal, socket]) {
      serve(channel).catch(() => {});
    }
  };

  // What follows runs at every start. At the first one there are no channels yet: they come with
  // `bootstrap`, which runs once in the life of the cluster.
  if (baggage.has('channels')) {
    open();
  }

  return makeDefaultExo('guestbook', {
    bootstrap(_roots, services) {
      const { console: terminal, visitors: socket } = services;
      store('channels', harden({ console: terminal, visitors: socket }));
      open();
    },

    visitors,
  });
}
