// `@ocap/discovery`: what providers, matchers and consumers of services share. The shapes of what they
// tell each other, the way from a method's schema to them, and a service that makes itself known and
// stays known over restarts.
export * from '@ocap/discovery/shapes';
export * from '@ocap/discovery/convert';
export * from '@ocap/discovery/provide';
