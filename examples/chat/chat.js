// A room in which everybody hears everybody, whichever door they came in by: the Unix socket or the
// port. Each client has a connection of its own, an object that `accept()` answers with.

import { E } from '@endo/eventual-send';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

const NAME_LENGTH_MAX = 30;

// A door that rejects this often in a row, although it claims to be ready, is left alone until the
// vat starts again.
const REJECTIONS_MAX = 3;

export function buildRootObject(_vatPowers, _parameters, baggage) {
  // Connections to names. Not in baggage: no connection outlives the kernel's process.
  const guests = new Map();

  // Nobody waits for anybody here. A guest who takes nothing has a full connection after a while,
  // whose writes are rejected, and is sent away: the read that waits for them gets its null.
  const say = (text, except) => {
    for (const guest of guests.keys()) {
      if (guest !== except) {
        E(guest)
          .write(text)
          .catch(() => E(guest).close());
      }
    }
  };

  const listen = async (guest, name) => {
    for (;;) {
      // All lines that are there in one message. Null: the guest has left.
      const lines = await E(guest).readMany();
      if (lines === null) {
        return;
      }
      for (const line of lines) {
        say(`${name}: ${line}`, guest);
      }
    }
  };

  const welcome = async (guest) => {
    await E(guest).write('What is your name?');
    const line = await E(guest).read();
    const name = line === null ? '' : line.trim().slice(0, NAME_LENGTH_MAX);
    if (name === '') {
      return;
    }
    say(`* ${name} is here`);
    guests.set(guest, name);
    const others = [...guests.values()].filter((other) => other !== name);
    await E(guest).write(`* With you: ${others.join(', ') || 'nobody yet'}`);
    try {
      await listen(guest, name);
    } finally {
      guests.delete(guest);
      say(`* ${name} has left`);
    }
  };

  const keepOpen = async (door) => {
    let rejections = 0;
    while (rejections < REJECTIONS_MAX) {
      let guest;
      try {
        guest = await E(door).accept();
        rejections = 0;
      } catch {
        // Not there at the moment. This resolves as soon as it is.
        rejections += 1;
        await E(door).ready();
        continue;
      }
      // A connection that is dropped is closed too, in time; this is at once.
      const goodbye = () => E(guest).close();
      welcome(guest)
        .then(goodbye, goodbye)
        .catch(() => {});
    }
  };

  const open = () => {
    for (const door of Object.values(baggage.get('doors'))) {
      keepOpen(door).catch(() => {});
    }
  };

  if (baggage.has('doors')) {
    open();
  }

  return makeDefaultExo('chat', {
    bootstrap(_roots, doors) {
      baggage.init('doors', doors);
      open();
    },

    names: () => [...guests.values()],
  });
}
