// Retires services whose providers do not answer any more. A provider that restarts registers itself
// again, so nothing is lost by retiring one too many.
import { E } from '@endo/far';
import { isGone } from './registrar.js';
import { within } from './time.js';

/** Providers asked at the same time. */
const TOGETHER = 32;
/** Rounds in a row without an answer after which a service is retired. */
const FAILURES_MAX = 3;

/** `round()` asks every provider once; answers when all have answered or have not. */
export const makeCaretaker = ({ registry, bridge, pingMs }) => {
  const retire = (id, why) => {
    if (!registry.remove(id)) return;
    console.log(`retired ${id}: ${why}`);
    bridge.forget([id]).catch(error => console.warn(error.message));
  };

  const visit = async id => {
    if (!registry.has(id)) return;
    const { contact, failures } = registry.get(id);
    try {
      await within(E(contact).getServiceDescription(), pingMs, 'its provider');
      if (registry.has(id)) registry.setFailures(id, 0);
    } catch (error) {
      if (isGone(error) || failures + 1 >= FAILURES_MAX) retire(id, error.message);
      else if (registry.has(id)) registry.setFailures(id, failures + 1);
    }
  };

  const round = async () => {
    const ids = registry.ids();
    for (let at = 0; at < ids.length; at += TOGETHER) {
      await Promise.all(ids.slice(at, at + TOGETHER).map(visit));
    }
  };

  return harden({ round });
};
harden(makeCaretaker);
