// What providers, matchers and consumers tell each other, and checks of it. Each check returns what it
// was given, hardened, or throws a TypeError that begins with the path of what is wrong. All of it may
// come from anybody, so everything is bounded.
import { passStyleOf } from '@endo/far';

const { entries, fromEntries, hasOwn, keys, values } = Object;

/** How much one description may be. */
export const LIMITS = harden({
  // Characters of one text for people.
  textChars: 4_000,
  // Characters of a name: of a method, a property, a provider's tag.
  nameChars: 200,
  // Characters of a URL, with the hints it may carry.
  urlChars: 4_000,
  // Characters of a registration token.
  tokenChars: 200,
  // Characters of the code and of a signature in a certificate.
  codeChars: 1_000_000,
  // Members of one list or table.
  members: 500,
  // Ways to contact one service.
  contacts: 16,
  // Types within types.
  depth: 16,
  // Characters of all texts, names and URLs of one value together.
  totalChars: 65_536,
});

const PRIMITIVES = harden([
  'string',
  'number',
  'boolean',
  'null',
  'void',
  'undefined',
  'bigint',
  'unknown',
]);

const fail = (path, problem) => {
  throw TypeError(`${path} ${problem}`);
};

const isRecord = value =>
  typeof value === 'object' && value !== null && passStyleOf(value) === 'copyRecord';

// A check is a function of the value, its path, what is left of the budget, and the depth.
const text = (max, { empty = true } = {}) => (value, path, budget) => {
  if (typeof value !== 'string') fail(path, 'must be a string');
  if (value === '' && !empty) fail(path, 'must not be empty');
  if (value.length > max) fail(path, `must have at most ${max} characters`);
  budget.chars -= value.length;
  if (budget.chars < 0) fail(path, `makes it all longer than ${budget.max} characters`);
};

const flag = (value, path) => {
  if (typeof value !== 'boolean') fail(path, 'must be true or false');
};

const oneOf = names => (value, path) => {
  if (!names.includes(value)) fail(path, `must be one of ${names.join(', ')}`);
};

const list = (member, max = LIMITS.members) => (value, path, budget, depth) => {
  if (!Array.isArray(value)) fail(path, 'must be an array');
  if (value.length > max) fail(path, `must have at most ${max} members`);
  value.forEach((item, i) => member(item, `${path}[${i}]`, budget, depth));
};

const table = member => (value, path, budget, depth) => {
  if (!isRecord(value)) fail(path, 'must be a record');
  const named = entries(value);
  if (named.length > LIMITS.members) fail(path, `must have at most ${LIMITS.members} members`);
  for (const [name, item] of named) {
    text(LIMITS.nameChars)(name, `the name of a member of ${path}`, budget);
    member(item, `${path}.${name}`, budget, depth);
  }
};

// No other members than these.
const record = (required, optional = {}) => (value, path, budget, depth) => {
  if (!isRecord(value)) fail(path, 'must be a record');
  for (const name of keys(value)) {
    if (!hasOwn(required, name) && !hasOwn(optional, name)) {
      const known = [...keys(required), ...keys(optional)].join(', ');
      fail(`${path}.${name.slice(0, LIMITS.nameChars)}`, `is unknown here; there may be: ${known}`);
    }
  }
  for (const [name, member] of entries(required)) {
    if (!hasOwn(value, name)) fail(`${path}.${name}`, 'is missing');
    member(value[name], `${path}.${name}`, budget, depth);
  }
  for (const [name, member] of entries(optional)) {
    if (hasOwn(value, name) && value[name] !== undefined) {
      member(value[name], `${path}.${name}`, budget, depth);
    }
  }
};

const prose = text(LIMITS.textChars);
const label = text(LIMITS.nameChars, { empty: false });
const url = text(LIMITS.urlChars, { empty: false });
const described = { description: prose };

const typeSpec = (value, path, budget, depth) => {
  if (depth >= LIMITS.depth) fail(path, `is nested deeper than ${LIMITS.depth} types`);
  if (!isRecord(value)) fail(path, 'must be a record');
  const { kind } = value;
  if (typeof kind !== 'string' || !hasOwn(TYPES, kind)) {
    fail(`${path}.kind`, `must be one of ${keys(TYPES).join(', ')}`);
  }
  TYPES[kind](value, path, budget, depth + 1);
};

const valueSpec = record({ type: typeSpec }, { ...described, optional: flag });
const objectSpec = record({ properties: table(valueSpec) }, { ...described, extensible: flag });
const methodSpec = record(
  { parameters: list(valueSpec), returnType: typeSpec },
  { ...described, optional: flag },
);
const remotableSpec = record({ methods: table(methodSpec) }, { ...described, extensible: flag });

const kindOf = name => oneOf([name]);
const TYPES = {
  ...fromEntries(PRIMITIVES.map(name => [name, record({ kind: kindOf(name) })])),
  array: record({ kind: kindOf('array'), elementType: typeSpec }),
  object: record({ kind: kindOf('object'), spec: objectSpec }),
  remotable: record({ kind: kindOf('remotable'), spec: remotableSpec }),
  union: record({ kind: kindOf('union'), members: list(typeSpec) }),
};

const contactInfo = record({
  contactType: oneOf(['public', 'permissioned', 'validatedClient']),
  contactUrl: url,
});
const description = record({
  apiSpec: objectSpec,
  description: prose,
  contact: list(contactInfo, LIMITS.contacts),
  providerTag: label,
});
const match = record({ description }, { rationale: prose });
const token = text(LIMITS.tokenChars, { empty: false });

const checkOf = (shape, name, totalChars = LIMITS.totalChars) => {
  const check = (value, path = name) => {
    shape(harden(value), path, { chars: totalChars, max: totalChars }, 0);
    return value;
  };
  return harden(check);
};

/** The type of a value: a primitive, an array, an object, a remotable, or a union. */
export const checkTypeSpec = checkOf(typeSpec, 'type');
/** `{ type, description?, optional? }` */
export const checkValueSpec = checkOf(valueSpec, 'value');
/** `{ properties, description?, extensible? }` */
export const checkObjectSpec = checkOf(objectSpec, 'spec');
/** `{ parameters, returnType, description?, optional? }` */
export const checkMethodSpec = checkOf(methodSpec, 'method');
/** `{ methods, description?, extensible? }` */
export const checkRemotableSpec = checkOf(remotableSpec, 'spec');
/** `{ contactType, contactUrl }` */
export const checkServiceContactInfo = checkOf(contactInfo, 'contact');
/** `{ apiSpec, description, contact, providerTag }` */
export const checkServiceDescription = checkOf(description, 'description');
/** `{ description }` */
export const checkServiceQuery = checkOf(record({ description: prose }), 'query');
/** `{ description, rationale? }` */
export const checkServiceMatch = checkOf(match, 'match');
/** What `findServices` answers with. */
export const checkServiceMatches = checkOf(list(match), 'matches', LIMITS.codeChars);
/** A text that a provider recognises as its own. */
export const checkRegistrationToken = checkOf(token, 'token');
/** `{ description, registrationToken }` */
export const checkRegistrationEnvelope = checkOf(
  record({ description, registrationToken: token }),
  'envelope',
);
/** `{ acceptedCertificationKinds, description? }` */
export const checkCertificationRequirement = checkOf(
  record({ acceptedCertificationKinds: list(label) }, described),
  'requirement',
);
/** `{ issuer, attestations, signature }` */
export const checkValidationCertificate = checkOf(
  record({ issuer: label, attestations: list(prose), signature: text(LIMITS.textChars) }),
  'certificate',
);
/** The URL of an object, as a text. */
export const checkContactUrl = checkOf(url, 'contactUrl');

/** The methods of all remotables that a description offers by name: `[{ name, description? }]`. */
export const methodsOf = ({ apiSpec }) =>
  harden(
    values(apiSpec.properties)
      .filter(({ type }) => type.kind === 'remotable')
      .flatMap(({ type }) => entries(type.spec.methods))
      .map(([name, method]) =>
        method.description === undefined ? { name } : { name, description: method.description },
      ),
  );
harden(methodsOf);
