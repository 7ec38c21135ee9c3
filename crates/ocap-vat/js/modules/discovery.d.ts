// The types of `@ocap/discovery`.
declare module '@ocap/discovery' {
  export type PrimitiveTypeSpec = {
    kind: 'string' | 'number' | 'boolean' | 'null' | 'void' | 'undefined' | 'bigint' | 'unknown';
  };
  export type TypeSpec =
    | PrimitiveTypeSpec
    | { kind: 'array'; elementType: TypeSpec }
    | { kind: 'object'; spec: ObjectSpec }
    | { kind: 'remotable'; spec: RemotableSpec }
    | { kind: 'union'; members: TypeSpec[] };
  export type ValueSpec = { type: TypeSpec; description?: string; optional?: boolean };
  export type ObjectSpec = {
    properties: Record<string, ValueSpec>;
    description?: string;
    extensible?: boolean;
  };
  export type MethodSpec = {
    parameters: ValueSpec[];
    returnType: TypeSpec;
    description?: string;
    optional?: boolean;
  };
  export type RemotableSpec = {
    methods: Record<string, MethodSpec>;
    description?: string;
    extensible?: boolean;
  };
  export type ServiceContactInfo = {
    contactType: 'public' | 'permissioned' | 'validatedClient';
    contactUrl: string;
  };
  export type ServiceDescription = {
    apiSpec: ObjectSpec;
    description: string;
    contact: ServiceContactInfo[];
    providerTag: string;
  };
  export type ServiceQuery = { description: string };
  export type ServiceMatch = { description: ServiceDescription; rationale?: string };
  export type RegistrationEnvelope = { description: ServiceDescription; registrationToken: string };
  export type CertificationRequirement = {
    acceptedCertificationKinds: string[];
    description?: string;
  };
  export type ValidationCertificate = { issuer: string; attestations: string[]; signature: string };

  export type JsonSchema = { description?: string } & (
    | { type: 'string' | 'number' | 'boolean' }
    | { type: 'array'; items?: JsonSchema }
    | {
        type: 'object';
        properties?: Record<string, JsonSchema>;
        required?: string[];
        additionalProperties?: boolean;
      }
  );
  export type MethodSchema = {
    description?: string;
    args?: Record<string, JsonSchema>;
    required?: string[];
    returns?: JsonSchema;
  };

  export interface ContactPoint {
    getServiceDescription(): ServiceDescription;
    confirmServiceRegistration(token: string): void;
    initiateContact(): { kind: 'public'; service: unknown };
  }
  export interface ServiceMatcher {
    registerService(description: ServiceDescription, token: string): void;
    registerServiceByUrl(contactUrl: string, token: string): void;
    registerServiceByRef(contact: unknown, token: string): void;
    findServices(query: ServiceQuery): ServiceMatch[];
  }

  /** Returns what it is given, or throws an error that begins with the path of what is wrong. */
  type Check<T> = (value: unknown, path?: string) => T;
  export const checkTypeSpec: Check<TypeSpec>;
  export const checkValueSpec: Check<ValueSpec>;
  export const checkObjectSpec: Check<ObjectSpec>;
  export const checkMethodSpec: Check<MethodSpec>;
  export const checkRemotableSpec: Check<RemotableSpec>;
  export const checkServiceContactInfo: Check<ServiceContactInfo>;
  export const checkServiceDescription: Check<ServiceDescription>;
  export const checkServiceQuery: Check<ServiceQuery>;
  export const checkServiceMatch: Check<ServiceMatch>;
  export const checkServiceMatches: Check<ServiceMatch[]>;
  export const checkRegistrationToken: Check<string>;
  export const checkRegistrationEnvelope: Check<RegistrationEnvelope>;
  export const checkCertificationRequirement: Check<CertificationRequirement>;
  export const checkValidationCertificate: Check<ValidationCertificate>;
  export const checkContactUrl: Check<string>;
  /** How much a description may be. */
  export const LIMITS: Readonly<Record<string, number>>;

  /** The methods of all remotables that a description offers by name. */
  export function methodsOf(description: ServiceDescription): { name: string; description?: string }[];
  export function jsonSchemaToTypeSpec(schema: JsonSchema, path?: string): TypeSpec;
  export function methodSchemaToMethodSpec(schema: MethodSchema, path?: string): MethodSpec;
  export function methodsToRemotableSpec(options: {
    methods: Record<string, MethodSchema>;
    description?: string;
  }): RemotableSpec;

  export const GET_DESCRIPTION: '__getDescription__';
  type Methods = Record<string, (...args: any[]) => unknown>;
  export function withDescription<M extends Methods>(
    methods: M,
    schema: Record<string, MethodSchema>,
  ): M & { __getDescription__(): Record<string, MethodSchema> };
  /** An exo that answers `__getDescription__()` with the schemas of its methods. */
  export function makeDiscoverableExo<M extends Methods>(
    name: string,
    methods: M,
    schema: Record<string, MethodSchema>,
    interfaceGuard?: unknown,
  ): M & { __getDescription__(): Record<string, MethodSchema> };

  /** A service that registers with a matcher, and does so again in each life of its vat. */
  export function provideService(
    baggage: unknown,
    options: {
      tag: string;
      description: string;
      methods: Methods;
      schema: Record<string, MethodSchema>;
      matcherUrl?: string;
    },
  ): {
    publish(services: Record<string, unknown>): Promise<{ name: string; contactUrl: string }>;
    getContactUrl(): string | undefined;
    service: unknown;
    contact: unknown;
  };
}
