// Plays providers and consumers as a test tells it to. It notes what its contacts are called with.
import { E, Far } from '@endo/far';

export const buildRootObject = (_vatPowers, _parameters, baggage) => {
  const contacts = new Map();
  const heard = [];
  const redeem = url => E(baggage.get('redeemer')).redeem(url);
  const matcher = () => redeem(baggage.get('matcherUrl'));

  const describe = (name, contactUrl, tag) => ({
    apiSpec: {
      properties: {
        service: {
          type: {
            kind: 'remotable',
            spec: {
              methods: {
                [name]: { description: `does ${name}`, parameters: [], returnType: { kind: 'void' } },
              },
            },
          },
        },
      },
    },
    description: `The service ${name}`,
    contact: [{ contactType: 'public', contactUrl }],
    providerTag: tag,
  });

  return Far('scout', {
    bootstrap(_vats, { ocapURLIssuerService, ocapURLRedemptionService }) {
      baggage.init('issuer', ocapURLIssuerService);
      baggage.init('redeemer', ocapURLRedemptionService);
    },
    use(matcherUrl) {
      if (baggage.has('matcherUrl')) baggage.set('matcherUrl', matcherUrl);
      else baggage.init('matcherUrl', matcherUrl);
    },

    // A contact that confirms one token. `url` is another's URL to be claimed, `change` what its
    // description has instead.
    async make(name, { token, tag = name, url = undefined, change = {}, silent = false }) {
      const service = Far('service', { [name]: () => `${name} was done` });
      const state = { description: undefined };
      const contact = Far('contact', {
        confirmServiceRegistration(given) {
          heard.push(`${name}: confirm ${given}`);
          if (silent) return new Promise(() => {});
          if (given !== token) throw Error('the registration token does not match');
          return undefined;
        },
        getServiceDescription() {
          heard.push(`${name}: describe`);
          return state.description;
        },
        initiateContact: () => harden({ kind: 'public', service }),
      });
      const own = await E(baggage.get('issuer')).issue(contact);
      state.description = harden({ ...describe(name, url ?? own, tag), ...change });
      contacts.set(name, { contact, own, description: state.description });
      return own;
    },
    contact: name => contacts.get(name).contact,
    heard: () => heard.splice(0),

    async registerByRef(name, token) {
      await E(matcher()).registerServiceByRef(contacts.get(name).contact, token);
      return 'registered';
    },
    async registerByUrl(name, token) {
      await E(matcher()).registerServiceByUrl(contacts.get(name).own, token);
      return 'registered';
    },
    async registerByDescription(name, token) {
      await E(matcher()).registerService(contacts.get(name).description, token);
      return 'registered';
    },
    async find(text) {
      const matches = await E(matcher()).findServices({ description: text });
      return harden(
        matches.map(({ description, rationale }) => ({ tag: description.providerTag, rationale })),
      );
    },
    // The whole way: finds a service, contacts it, and calls it.
    async employ(text, tag, method, args) {
      const matches = await E(matcher()).findServices({ description: text });
      const match = matches.find(({ description }) => description.providerTag === tag);
      if (match === undefined) throw Error(`no ${tag} among ${matches.length} matches`);
      const [{ contactUrl }] = match.description.contact;
      const { service } = await E(redeem(contactUrl)).initiateContact();
      return E(service)[method](...args);
    },
  });
};
