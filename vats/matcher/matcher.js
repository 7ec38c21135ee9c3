// The matcher: providers register services with it, consumers find them by saying what they need.
//
// Its public facet is durable, and its URL is issued once, so that both outlive every restart; so does
// the registry. A language model behind the channel `llm` says which services fit; while none is
// connected, words are compared.
import { E, Far } from '@endo/far';
import { checkServiceQuery } from '@ocap/discovery';
import { makeBridge } from './bridge.js';
import { makeCaretaker } from './caretaker.js';
import { makeRegistrar, serviceFor } from './registrar.js';
import { provideRegistry } from './registry.js';

/** In milliseconds; parameters of these names take their places. */
const TIMES = harden({
  // Until a bridge that is connected has to have answered our greeting.
  helloMs: 10_000,
  // Until it has to have taken in a service.
  exchangeMs: 60_000,
  // Until it has to have found services: a language model may take its time.
  queryMs: 180_000,
  // Until a provider has to have confirmed, described itself, or shown that it is there.
  confirmMs: 30_000,
  // Between two rounds of asking every provider whether it is there.
  livenessMs: 300_000,
});

/** Services found without a language model. */
const RANKED_MAX = 10;
/** Services that a language model may name. */
const CITED_MAX = 100;

const REQUIRED = harden([
  ['issuer', 'ocapURLIssuerService', ''],
  ['redeemer', 'ocapURLRedemptionService', ''],
  ['llm', 'llm', ' IOService'],
]);

export const buildRootObject = (vatPowers, parameters, baggage) => {
  const VatData = vatPowers?.VatData;
  const { defineDurableKind, makeKindHandle } = VatData ?? {};
  if (defineDurableKind === undefined || makeKindHandle === undefined) {
    throw Error('the matcher needs vatPowers.VatData with makeKindHandle and defineDurableKind');
  }
  const times = { ...TIMES, ...parameters };
  const provide = (name, make) => {
    if (!baggage.has(name)) baggage.init(name, make());
    return baggage.get(name);
  };
  const put = (name, value) =>
    baggage.has(name) ? baggage.set(name, value) : baggage.init(name, value);
  const recall = name => (baggage.has(name) ? baggage.get(name) : undefined);

  const registry = provideRegistry(baggage, VatData);
  // What works only once the services are there.
  let parts;
  const opened = () => {
    if (parts === undefined) throw Error('the matcher has not been bootstrapped');
    return parts;
  };

  const ranked = query =>
    registry.search(query, RANKED_MAX).map(({ id, words }) => ({
      description: registry.get(id).description,
      rationale: `No language model is connected; compared words instead. In common: ${words.join(', ')}.`,
    }));

  const cited = matches => {
    const taken = matches
      .slice(0, CITED_MAX)
      .map(({ id, rationale }) => ({ id: registry.presentId(id), rationale }));
    const found = taken.filter(({ id }) => registry.has(id));
    const unknown = taken.length - found.length;
    if (unknown > 0) console.warn(`the bridge cited ${unknown} unknown ids of ${taken.length}`);
    if (taken.length > 0 && found.length === 0) {
      throw Error(
        `matcher vat: the bridge cited only unknown ids (${unknown}/${taken.length}); ask again`,
      );
    }
    return found.map(({ id, rationale }) => ({ description: registry.get(id).description, rationale }));
  };

  const makeFacet = defineDurableKind(
    provide('matcherKindHandle', () => makeKindHandle('ServiceMatcher')),
    () => harden({}),
    {
      registerService: (_, description, token) =>
        opened().registrar.byDescription(description, token),
      registerServiceByUrl: (_, url, token) => opened().registrar.byUrl(url, token),
      registerServiceByRef: (_, contact, token) => opened().registrar.byRef(contact, token),
      async findServices(_, query) {
        const { description } = checkServiceQuery(query);
        const matches = await opened().bridge.query(description);
        return harden(matches === undefined ? ranked(description) : cited(matches));
      },
    },
  );
  const publicFacet = provide('publicFacet', makeFacet);

  // Sets the next round after each; a round that a restart cuts short is followed by a new one.
  const scheduleRound = () =>
    E(recall('timer'))
      .wakeAfter(times.livenessMs, alarm)
      .catch(error => console.error(`no liveness checks: ${error.message}`));
  const makeAlarm = defineDurableKind(
    provide('alarmKindHandle', () => makeKindHandle('alarm')),
    () => harden({}),
    {
      wake() {
        opened()
          .caretaker.round()
          .catch(error => console.error(error.message))
          .finally(scheduleRound);
      },
    },
  );
  const alarm = provide('alarm', makeAlarm);

  const open = () => {
    const bridge = makeBridge({
      channel: recall('llm'),
      registryName: recall('registryName'),
      registry: {
        ids: registry.ids,
        has: registry.has,
        serviceOf: id => serviceFor(id, registry.get(id).description),
      },
      times,
    });
    const redeemer = recall('redeemer');
    const { confirmMs } = times;
    parts = {
      bridge,
      registrar: makeRegistrar({ registry, bridge, redeemer, confirmMs }),
      caretaker: makeCaretaker({ registry, bridge, pingMs: confirmMs }),
    };
    bridge.start();
    if (recall('timer') === undefined) {
      console.warn('without the service timer, providers that are gone stay in the registry');
    } else {
      E(recall('timer')).cancel(alarm).then(scheduleRound, scheduleRound);
    }
  };

  if (baggage.has('matcherUrl')) open();

  return Far('matcher', {
    async bootstrap(_vats, services) {
      for (const [, name, what] of REQUIRED) {
        if (services?.[name] === undefined) throw Error(`${name}${what} is required`);
      }
      for (const [key, name] of REQUIRED) put(key, services[name]);
      if (services.timer !== undefined) put('timer', services.timer);
      const matcherUrl = await E(recall('issuer')).issue(publicFacet);
      // Its text is a secret, so this is another.
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      put('registryName', Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join(''));
      put('matcherUrl', matcherUrl);
      open();
      return harden({ matcherUrl });
    },

    getPublicFacet: () => publicFacet,
    getMatcherUrl: () => recall('matcherUrl'),
    listAll: () =>
      harden(registry.ids().map(id => ({ id, description: registry.get(id).description }))),
    async unregister(id) {
      const isRemoved = registry.remove(id);
      if (isRemoved) await opened().bridge.forget([id]);
      return isRemoved;
    },
    getStatus: () =>
      harden({ services: registry.size(), bridge: parts === undefined ? 'none' : parts.bridge.state() }),
  });
};
