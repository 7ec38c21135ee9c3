// Taking in services. Whoever registers one shows that the contact is theirs: the contact confirms a
// token that only they know, before anything else is done for them.
import { E, passStyleOf } from '@endo/far';
import {
  checkContactUrl,
  checkRegistrationToken,
  checkServiceDescription,
  methodsOf,
} from '@ocap/discovery';
import { SERVICES_MAX } from './registry.js';
import { within } from './time.js';

// Of an object that will never answer again.
const GONE = /^\[KERNEL:(OBJECT_DELETED|OBJECT_REVOKED|VAT_TERMINATED|ENDPOINT_UNREACHABLE)\]/;

/** Whether an error says that its object is gone for good. */
export const isGone = error => GONE.test(error.message);

/** What a bridge is told of a service. */
export const serviceFor = (id, description) =>
  harden({ id, description: description.description, methods: methodsOf(description) });

export const makeRegistrar = ({ registry, bridge, redeemer, confirmMs }) => {
  const redeem = url => within(E(redeemer).redeem(url), confirmMs, 'the redemption service');

  const confirm = async (contact, token) => {
    try {
      const confirmed = E(contact).confirmServiceRegistration(token);
      await within(confirmed, confirmMs, 'the contact');
    } catch (error) {
      console.warn(`a registration was not confirmed: ${error.message}`);
      throw error;
    }
  };

  const describe = async contact => {
    const description = E(contact).getServiceDescription();
    return checkServiceDescription(await within(description, confirmMs, 'the contact'));
  };

  const firstUrl = ({ contact: [first] }) => {
    if (first === undefined) throw Error('ServiceDescription has no contact info');
    return first.contactUrl;
  };

  const isThere = async contact => {
    try {
      await within(E(contact).getServiceDescription(), confirmMs, 'an earlier contact');
      return true;
    } catch (error) {
      return !isGone(error);
    }
  };

  // What a new registration takes the place of: the same contact's, and those of contacts that are
  // gone. Another provider that lives keeps its own, whatever tag this one claims: vats of one kernel
  // need not trust each other.
  const replacedBy = async (description, contact) => {
    const replaced = [];
    for (const id of registry.ofProvider(description)) {
      const other = registry.get(id).contact;
      if (other === contact || !(await isThere(other))) replaced.push(id);
    }
    return replaced;
  };

  const commit = async (contact, description) => {
    const replaced = await replacedBy(description, contact);
    if (registry.size() - replaced.length >= SERVICES_MAX) {
      throw Error(`the registry is full: it holds ${SERVICES_MAX} services`);
    }
    const id = registry.takeId();
    // If the bridge has something against it, nothing has happened.
    await bridge.ingest(serviceFor(id, description));
    // Others may have registered meanwhile, also this contact.
    const own = registry.ofProvider(description).filter(old => registry.get(old).contact === contact);
    const evicted = [...new Set([...replaced, ...own])].filter(registry.has);
    for (const old of evicted) registry.replace(old, id);
    registry.add(id, description, contact);
    bridge.changed(id);
    bridge.forget(evicted).catch(error => console.warn(error.message));
    console.log(`registered ${id}: ${description.providerTag}`);
  };

  const registerContact = async (contact, token) => {
    if (passStyleOf(contact) !== 'remotable') throw TypeError('the contact must be an object');
    await confirm(contact, checkRegistrationToken(token));
    const description = await describe(contact);
    if ((await redeem(firstUrl(description))) !== contact) {
      throw Error('the contact URL of the description leads to another object');
    }
    await commit(contact, description);
  };

  return harden({
    byDescription: async (description, token) => {
      const url = firstUrl(checkServiceDescription(description));
      checkRegistrationToken(token);
      const contact = await redeem(url);
      await confirm(contact, token);
      await commit(contact, description);
    },
    byUrl: async (url, token) => registerContact(await redeem(checkContactUrl(url)), token),
    byRef: registerContact,
  });
};
harden(makeRegistrar);
harden(serviceFor);
harden(isGone);
