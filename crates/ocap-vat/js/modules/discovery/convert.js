// From the schemas that objects describe their methods with to what a service's description says.
import { makeDefaultExo } from '@metamask/kernel-utils';
import { checkRemotableSpec } from '@ocap/discovery/shapes';

const { entries, fromEntries, hasOwn, keys } = Object;

/** The method by which an object tells what its methods are. */
export const GET_DESCRIPTION = '__getDescription__';

const isObject = value => typeof value === 'object' && value !== null && !Array.isArray(value);

const described = ({ description }) => (description === undefined ? {} : { description });

// Whether `required` leaves a name out. Without it everything is required.
const isOptional = (required, name) => required !== undefined && !required.includes(name);

const recordOf = (value, path) => {
  if (!isObject(value)) throw TypeError(`${path} must be a record`);
  return value;
};

const requiredOf = (schema, path) => {
  const { required } = schema;
  if (required !== undefined && !Array.isArray(required)) {
    throw TypeError(`${path}.required must be an array of names`);
  }
  return required;
};

// The members of a schema's table as values of the spec.
const valueSpecs = (table, required, path) =>
  entries(table).map(([name, schema]) => {
    const type = typeOf(schema, `${path}.${name}`);
    const optional = isOptional(required, name) ? { optional: true } : {};
    return [name, { ...described(schema), type, ...optional }];
  });

const objectSpecOf = (schema, path) => {
  const table = recordOf(schema.properties ?? {}, `${path}.properties`);
  const properties = valueSpecs(table, requiredOf(schema, path), `${path}.properties`);
  const { additionalProperties = false } = schema;
  const extensible = additionalProperties === false ? {} : { extensible: true };
  return { ...described(schema), properties: fromEntries(properties), ...extensible };
};

const typeOf = (schema, path) => {
  const { type } = recordOf(schema, path);
  switch (type) {
    case 'string':
    case 'number':
    case 'boolean':
      return { kind: type };
    case 'array': {
      const { items } = schema;
      const elementType = items === undefined ? { kind: 'unknown' } : typeOf(items, `${path}.items`);
      return { kind: 'array', elementType };
    }
    case 'object':
      return { kind: 'object', spec: objectSpecOf(schema, path) };
    default:
      throw TypeError(`${path}.type must be one of string, number, boolean, array, object`);
  }
};

/** A type, given as JSON schema. */
export const jsonSchemaToTypeSpec = (schema, path = 'schema') => harden(typeOf(schema, path));
harden(jsonSchemaToTypeSpec);

/**
 * A method, given as `{ description, args, required?, returns? }`. Arguments come in the order of
 * `args`; one without a description is described by its name.
 */
export const methodSchemaToMethodSpec = (schema, path = 'method') => {
  const { args = {}, returns } = recordOf(schema, path);
  const values = valueSpecs(recordOf(args, `${path}.args`), requiredOf(schema, path), `${path}.args`);
  const parameters = values.map(([name, value]) => ({ description: name, ...value }));
  const returnType = returns === undefined ? { kind: 'void' } : typeOf(returns, `${path}.returns`);
  return harden({ ...described(schema), parameters, returnType });
};
harden(methodSchemaToMethodSpec);

/** A remotable, given the schemas of its methods by name. */
export const methodsToRemotableSpec = ({ methods, description }) => {
  const specs = entries(recordOf(methods, 'methods')).map(([name, schema]) => [
    name,
    methodSchemaToMethodSpec(schema, `methods.${name}`),
  ]);
  return checkRemotableSpec({ ...described({ description }), methods: fromEntries(specs) });
};
harden(methodsToRemotableSpec);

/** Behaviour that also tells what it is. Each method of the schema has to be there. */
export const withDescription = (methods, schema, answer = () => schema) => {
  harden(schema);
  if (hasOwn(methods, GET_DESCRIPTION)) {
    throw TypeError(`${GET_DESCRIPTION} is made from the schema; it cannot be a method`);
  }
  const missing = keys(schema).filter(name => !hasOwn(methods, name));
  if (missing.length > 0) {
    throw TypeError(`the schema describes methods that are not there: ${missing.join(', ')}`);
  }
  return { ...methods, [GET_DESCRIPTION]: answer };
};
harden(withDescription);

/** An exo that answers `__getDescription__()` with the schemas of its methods. */
export const makeDiscoverableExo = (name, methods, schema, interfaceGuard = undefined) =>
  makeDefaultExo(name, withDescription(methods, schema), interfaceGuard);
harden(makeDiscoverableExo);
