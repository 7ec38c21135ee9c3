// The conversation with the bridge to a language model, over a channel of lines with a
// connection for each client. One bridge is served at a time; others wait.
//
// Requests of the reference's matcher, and their replies: `ingest` -> `ingested`, `query` -> `matches`,
// or `error`. A bridge that answers our `hello` (with the ids it knows) gets ids with its requests and
// echoes them, so that several may be under way and a late reply is never taken for another's; it also
// understands `sync` and `forget`. One that does not know `hello` says so with an `error`: it gets one
// request at a time, without ids, and is hung up on if a reply does not come in time, since that reply
// could otherwise be taken for the next request's.
import { E } from '@endo/far';

/** Exchanges under way or waiting at once. */
const EXCHANGES_MAX = 64;
/** Services told in one request, and about how many characters they may have together. */
const BATCH_SERVICES_MAX = 100;
const BATCH_CHARS_MAX = 128 * 1024;
/** Ids that a bridge may say it knows. */
const KNOWN_MAX = 100_000;
/** Requests without an answer, one after another, before the bridge counts as stuck. */
const SILENCES_MAX = 3;
/** How long what failed at once waits before it is tried again, in milliseconds. */
const RETRY_MS = 250;
const RETRY_MS_MAX = 30_000;
/** Characters of a line that an error repeats. */
const QUOTED_CHARS_MAX = 200;

const isStrings = (list, max) =>
  Array.isArray(list) && list.length <= max && list.every(item => typeof item === 'string');

const isMatches = list =>
  Array.isArray(list) &&
  list.every(
    match =>
      typeof match === 'object' &&
      match !== null &&
      typeof match.id === 'string' &&
      typeof match.rationale === 'string',
  );

// What is wrong with a reply.
const unexpected = (request, { kind, message }) => {
  const said = String(kind === 'error' ? message : kind).slice(0, QUOTED_CHARS_MAX);
  return Error(
    kind === 'error'
      ? `matcher vat: bridge ${request} error: ${said}`
      : `matcher vat: unexpected reply to ${request}: ${said}`,
  );
};

// One bridge, from its connection to its end. It is `greeting` until it has answered our hello,
// `telling` while it is told what it does not know, then `ready`, and `over` in the end.
const makeSession = ({ connection, registryName, registry, times }) => {
  let state = 'greeting';
  let isPlain = false;
  let known = new Set();
  let silences = 0;
  let nextId = 1;
  // Id -> what becomes of its reply. In order, which is all that a bridge without ids goes by.
  const waiting = new Map();
  let turn = Promise.resolve();
  let queued = 0;

  const settle = (id, reply) => {
    const { resolve, timer } = waiting.get(id);
    waiting.delete(id);
    clearTimeout(timer);
    resolve(reply);
  };

  /** Nothing that was asked will be answered. */
  const end = () => {
    state = 'over';
    for (const id of [...waiting.keys()]) settle(id, undefined);
  };

  const hangUp = reason => {
    if (state === 'over') return;
    console.warn(`hanging up on the bridge: ${reason}`);
    end();
    E(connection)
      .close()
      .catch(error => console.warn(error.message));
  };

  const send = request =>
    E(connection)
      .write(JSON.stringify(request))
      .catch(error => hangUp(error.message));

  const timedOut = (id, kind) => {
    silences += 1;
    settle(id, undefined);
    console.warn(`the bridge did not answer "${kind}" in time`);
    if (isPlain || silences >= SILENCES_MAX) hangUp('it does not answer');
  };

  // The reply; `undefined` if there will be none.
  const exchangeNow = (request, ms) =>
    new Promise(resolve => {
      if (state === 'over') {
        resolve(undefined);
        return;
      }
      const id = nextId;
      nextId += 1;
      const timer = setTimeout(() => {
        if (waiting.has(id)) timedOut(id, request.kind);
      }, ms);
      waiting.set(id, { resolve, timer });
      send(isPlain ? request : { id, ...request });
    });

  const exchange = async (request, ms) => {
    if (waiting.size + queued >= EXCHANGES_MAX) {
      throw Error('the bridge has too much to do; try again later');
    }
    if (!isPlain) return exchangeNow(request, ms);
    queued += 1;
    const result = turn.then(() => {
      queued -= 1;
      return exchangeNow(request, ms);
    });
    turn = result;
    return result;
  };

  // Tells some of it; false if the bridge did not take it in.
  const tellNext = async (gone, untold, isForeign) => {
    if (isPlain) {
      const [id] = untold;
      const reply = await exchange({ kind: 'ingest', service: registry.serviceOf(id) }, times.exchangeMs);
      if (reply === undefined) return false;
      // One that it refuses is no reason to keep the others from it.
      if (reply.kind !== 'ingested') console.warn(unexpected('ingest', reply).message);
      known.add(id);
      return true;
    }
    const services = [];
    let chars = 0;
    for (const id of untold) {
      if (services.length >= BATCH_SERVICES_MAX || chars >= BATCH_CHARS_MAX) break;
      const service = registry.serviceOf(id);
      services.push(service);
      chars += JSON.stringify(service).length;
    }
    const request = { kind: 'sync', registry: registryName, clear: isForeign, forget: gone, services };
    const reply = await exchange(request, times.exchangeMs);
    if (reply === undefined) return false;
    if (reply.kind !== 'synced') throw unexpected('sync', reply);
    for (const id of gone) known.delete(id);
    for (const { id } of services) known.add(id);
    return true;
  };

  // Tells the bridge what it does not know, until there is nothing left.
  const tell = async isForeign => {
    state = 'telling';
    for (let first = isForeign; ; first = false) {
      const gone = isPlain ? [] : [...known].filter(id => !registry.has(id));
      const untold = registry.ids().filter(id => !known.has(id));
      if (gone.length === 0 && untold.length === 0 && !first) break;
      if (!(await tellNext(gone, untold, first))) throw Error('it does not take in what it has to know');
      if (state === 'over') return;
    }
    state = 'ready';
    console.log(`the bridge is ready and knows ${known.size} services`);
  };

  const tellAll = isForeign => {
    tell(isForeign).catch(error => hangUp(error.message));
  };

  const greeted = reply => {
    if (reply.kind === 'hello') {
      const isOurs = reply.registry === registryName && isStrings(reply.has, KNOWN_MAX);
      known = new Set(isOurs ? reply.has : []);
      tellAll(!isOurs);
    } else if (reply.kind === 'error') {
      isPlain = true;
      tellAll(false);
    } else {
      hangUp('it answers hello with something else');
    }
  };

  return harden({
    state: () => state,
    knows: id => known.has(id),
    addKnown: id => known.add(id),
    forgetKnown: id => known.delete(id),
    isPlain: () => isPlain,
    exchange,
    tellAll,
    hangUp,
    end,

    greet() {
      setTimeout(() => {
        if (state === 'greeting') hangUp('it does not say hello');
      }, times.helloMs);
      send({ kind: 'hello', id: 0, protocol: 1, registry: registryName });
    },

    hear(line) {
      let reply;
      try {
        reply = JSON.parse(line);
      } catch {
        reply = undefined;
      }
      if (typeof reply !== 'object' || reply === null) {
        hangUp(`it says what is no reply: ${JSON.stringify(line.slice(0, QUOTED_CHARS_MAX))}`);
        return;
      }
      if (state === 'greeting') {
        greeted(reply);
        return;
      }
      const [oldest] = waiting.keys();
      const id = isPlain ? oldest : reply.id;
      if (waiting.has(id)) {
        silences = 0;
        settle(id, reply);
      } else if (isPlain) {
        hangUp('it says something that nobody asked for');
      }
      // With ids it is a reply that came too late.
    },
  });
};

/**
 * @param channel the IO channel, in lines, with many clients
 * @param registryName what tells this registry from all others
 * @param registry `ids()`, `has(id)` and `serviceOf(id)`: what the bridge is to know
 * @param times in milliseconds: `helloMs`, `exchangeMs`, `queryMs`
 */
export const makeBridge = ({ channel, registryName, registry, times }) => {
  let session;

  const serve = async connection => {
    session = makeSession({ connection, registryName, registry, times });
    session.greet();
    try {
      for (;;) {
        const line = await E(connection).read();
        if (line === null || session.state() === 'over') break;
        session.hear(line);
      }
    } catch (error) {
      console.warn(error.message);
    }
    session.end();
    session = undefined;
    await E(connection).close();
  };

  const run = async () => {
    let retryMs = RETRY_MS;
    for (;;) {
      try {
        const connection = await E(channel).accept();
        retryMs = RETRY_MS;
        await serve(connection);
      } catch (error) {
        // A channel that cannot serve heals by itself.
        console.warn(error.message);
        const pauseMs = retryMs;
        await new Promise(resolve => {
          setTimeout(resolve, pauseMs);
        });
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
      }
    }
  };

  const isReady = () => session !== undefined && session.state() === 'ready';

  return harden({
    /** Serves bridges from here on. Those of an earlier life have been hung up on with it. */
    start() {
      run();
    },

    state: () => (session === undefined ? 'none' : session.state()),

    /**
     * Tells the bridge of a new service, if there is a bridge to be told. Without, it is told when it
     * comes. Throws what the bridge has against it.
     */
    async ingest(service) {
      if (!isReady()) return;
      const asked = session;
      const reply = await asked.exchange({ kind: 'ingest', service }, times.exchangeMs);
      if (reply === undefined) return;
      if (reply.kind !== 'ingested') throw unexpected('ingest', reply);
      asked.addKnown(service.id);
    },

    /** What the registry holds has changed: whatever the bridge was not told of it is told now. */
    changed(id) {
      if (isReady() && !session.knows(id)) session.tellAll(false);
    },

    /** Services that are gone. */
    async forget(ids) {
      if (!isReady() || session.isPlain()) return;
      const asked = session;
      const told = ids.filter(asked.knows);
      if (told.length === 0) return;
      const reply = await asked.exchange({ kind: 'forget', ids: told }, times.exchangeMs);
      if (reply?.kind === 'forgotten') told.forEach(asked.forgetKnown);
    },

    /** `[{ id, rationale }]`, or `undefined` if there is nobody to be asked. */
    async query(query) {
      if (!isReady()) return undefined;
      const reply = await session.exchange({ kind: 'query', query }, times.queryMs);
      if (reply === undefined) return undefined;
      if (reply.kind !== 'matches' || !isMatches(reply.matches)) throw unexpected('query', reply);
      return reply.matches;
    },
  });
};
harden(makeBridge);
