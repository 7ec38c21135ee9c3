// A service that makes itself known to a matcher, and does so again in each life of its vat.
//
// The service and its contact are durable, so that references to them, and the contact's URL, outlive
// every restart. Each life registers with a token of its own, which the matcher has the contact confirm:
// only whoever holds the contact can register it.
import { E } from '@endo/far';
import { methodsToRemotableSpec, withDescription } from '@ocap/discovery/convert';
import { checkServiceDescription } from '@ocap/discovery/shapes';

const { entries, fromEntries } = Object;

const TOKEN_BYTES = 16;

// Registrations that fail are tried again after so long, twice as long each time. A matcher that
// stays away for longer than all of them is found again at the next start.
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 300_000;
const RETRIES_MAX = 40;

const makeToken = () => {
  const { crypto } = globalThis;
  if (crypto === undefined) {
    throw Error("a provider needs random numbers: add 'crypto' to the globals of its vat's config");
  }
  const bytes = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
};

const pause = ms =>
  new Promise(resolve => {
    globalThis.setTimeout(resolve, ms);
  });

// Methods of durable kinds get the context first; those of services do without.
const withoutContext = methods =>
  fromEntries(
    entries(methods).map(([name, method]) => [name, (_context, ...args) => method(...args)]),
  );

/**
 * Makes the service of a vat, or brings it back. Call it in `buildRootObject`; a service that was
 * published in an earlier life registers itself again from here.
 *
 * @param baggage the vat's baggage; the keys used begin with `service:` and the tag
 * @param options
 *   - `tag`: the provider's tag, unique in its kernel, and the same in every life;
 *   - `description`: what the service is good for, in words;
 *   - `methods`: its methods by name;
 *   - `schema`: their descriptions by name, `{ description, args, required?, returns? }`;
 *   - `matcherUrl`: where to register; without it nothing is registered.
 * @returns `publish(services)` for `bootstrap`, `getContactUrl()`, and `service`
 */
export const provideService = (baggage, { tag, description, methods, schema, matcherUrl }) => {
  const { defineDurableKind, makeKindHandle } = globalThis.VatData;
  const provide = (name, make) => {
    const key = `service:${tag}:${name}`;
    if (!baggage.has(key)) baggage.init(key, make());
    return baggage.get(key);
  };
  const recall = name => {
    const key = `service:${tag}:${name}`;
    return baggage.has(key) ? baggage.get(key) : undefined;
  };
  const remotable = methodsToRemotableSpec({ methods: schema });
  // Tokens of this life: what was not confirmed in it will not be.
  const pending = new Set();
  const confirmed = new Set();

  const describe = () => {
    const contactUrl = recall('contactUrl');
    if (contactUrl === undefined) throw Error(`service ${tag} has not been published yet`);
    return checkServiceDescription({
      apiSpec: { properties: { service: { type: { kind: 'remotable', spec: remotable } } } },
      description,
      contact: [{ contactType: 'public', contactUrl }],
      providerTag: tag,
    });
  };

  const makeService = defineDurableKind(
    provide('serviceHandle', () => makeKindHandle(`service ${tag}`)),
    () => harden({}),
    withoutContext(withDescription(methods, schema)),
  );
  const service = provide('service', makeService);

  const makeContact = defineDurableKind(
    provide('contactHandle', () => makeKindHandle(`contact ${tag}`)),
    () => harden({}),
    withoutContext({
      getServiceDescription: describe,
      confirmServiceRegistration(token) {
        if (confirmed.has(token)) throw Error('this registration has already been confirmed');
        if (!pending.delete(token)) throw Error('the registration token does not match');
        confirmed.add(token);
      },
      initiateContact: () => harden({ kind: 'public', service }),
    }),
  );
  const contact = provide('contact', makeContact);

  const register = async () => {
    const token = makeToken();
    pending.add(token);
    try {
      const matcher = await E(baggage.get(`service:${tag}:redeemer`)).redeem(matcherUrl);
      return await E(matcher).registerServiceByRef(contact, token);
    } catch (cause) {
      throw Error(`cannot register ${tag} with the matcher: ${cause.message}`, { cause });
    } finally {
      pending.delete(token);
      confirmed.delete(token);
    }
  };

  const registerAgain = async () => {
    for (let tried = 0; ; tried += 1) {
      try {
        await register();
        console.log(`${tag} is registered again`);
        return;
      } catch (error) {
        if (globalThis.setTimeout === undefined || tried >= RETRIES_MAX) throw error;
        console.warn(`${error.message}; trying again`);
        await pause(Math.min(RETRY_MS * 2 ** tried, RETRY_MS_MAX));
      }
    }
  };

  const publish = async ({ ocapURLIssuerService: issuer, ocapURLRedemptionService: redeemer }) => {
    if (issuer === undefined) throw Error('ocapURLIssuerService is required');
    if (redeemer === undefined) throw Error('ocapURLRedemptionService is required');
    provide('redeemer', () => redeemer);
    const contactUrl = recall('contactUrl') ?? (await E(issuer).issue(contact));
    provide('contactUrl', () => contactUrl);
    if (matcherUrl === undefined) {
      console.log(`${tag} has no matcherUrl among its parameters: it is not registered`);
    } else {
      await register();
      provide('registered', () => true);
    }
    return harden({ name: tag, contactUrl });
  };

  if (recall('registered') === true && matcherUrl !== undefined) {
    registerAgain().catch(error => console.error(error.message));
  }
  return harden({ publish, getContactUrl: () => recall('contactUrl'), service, contact });
};
harden(provideService);
