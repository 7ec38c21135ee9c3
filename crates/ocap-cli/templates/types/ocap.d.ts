// What a vat sees, for TypeScript. Nothing here exists at run time but what it describes.

/** Makes an object and all that it leads to unchangeable. */
declare function harden<T>(value: T): T;

/** The console; its lines go to the kernel's log, under the vat's id. */
declare const console: {
  debug(...values: unknown[]): void;
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
};

/** Kinds of objects and collections that live in the vat's store. */
declare const VatData: Ocap.VatData;

// Globals that a vat has if its config asks for them (`"globals": ["setTimeout", ...]`). Others, such as
// `fetch` or `URL`, are those of the web: declare what you use, or add "DOM" to `lib` in tsconfig.json.
declare function setTimeout(callback: (...args: any[]) => void, ms?: number, ...args: any[]): unknown;
declare function clearTimeout(timer: unknown): void;
declare function setInterval(callback: (...args: any[]) => void, ms?: number, ...args: any[]): unknown;
declare function clearInterval(timer: unknown): void;

declare namespace Ocap {
  /** What `buildRootObject` is given first. */
  interface VatPowers {
    /** Ends the vat; whoever waits for it gets the completion. */
    exitVat(completion?: unknown): void;
    /** Ends the vat, undoing what the present delivery did. */
    exitVatWithFailure(reason: Error): void;
    VatData: VatData;
    logger: Logger;
  }

  /** A console whose lines begin with its tags. */
  interface Logger {
    debug(...values: unknown[]): void;
    log(...values: unknown[]): void;
    info(...values: unknown[]): void;
    warn(...values: unknown[]): void;
    error(...values: unknown[]): void;
    subLogger(options: { tags: string[] }): Logger;
  }

  /** A map that lives in the vat's store. */
  interface MapStore<K = any, V = any> {
    has(key: K): boolean;
    get(key: K): V;
    /** Adds a key that is not there. */
    init(key: K, value: V): void;
    /** Changes the value of a key that is there. */
    set(key: K, value: V): void;
    delete(key: K): void;
    keys(pattern?: unknown): Iterable<K>;
    values(pattern?: unknown): Iterable<V>;
    entries(pattern?: unknown): Iterable<[K, V]>;
    getSize(pattern?: unknown): number;
    clear(pattern?: unknown): void;
  }

  /** A set that lives in the vat's store. */
  interface SetStore<K = any> {
    has(key: K): boolean;
    add(key: K): void;
    delete(key: K): void;
    keys(pattern?: unknown): Iterable<K>;
    values(pattern?: unknown): Iterable<K>;
    entries(pattern?: unknown): Iterable<[K, K]>;
    getSize(pattern?: unknown): number;
    clear(pattern?: unknown): void;
  }

  interface WeakMapStore<K = any, V = any> {
    has(key: K): boolean;
    get(key: K): V;
    init(key: K, value: V): void;
    set(key: K, value: V): void;
    delete(key: K): void;
  }

  interface WeakSetStore<K = any> {
    has(key: K): boolean;
    add(key: K): void;
    delete(key: K): void;
  }

  /** What of a vat outlives its process. */
  type Baggage = MapStore<string, any>;

  interface StoreOptions {
    durable?: boolean;
    keyShape?: unknown;
    valueShape?: unknown;
  }

  /** What the methods of a kind are given first. */
  interface KindContext<State, Self> {
    readonly state: State;
    readonly self: Self;
  }

  interface KindHandle {
    readonly __kindHandle: unique symbol;
  }

  /** Methods as callers see them: without the context. */
  type Methods<Behavior> = {
    readonly [K in keyof Behavior]: Behavior[K] extends (context: any, ...args: infer A) => infer R
      ? (...args: A) => R
      : never;
  };

  interface VatData {
    makeKindHandle(tag: string): KindHandle;
    defineDurableKind<Args extends any[], State extends object, Behavior extends object>(
      handle: KindHandle,
      init: (...args: Args) => State,
      behavior: Behavior & ThisType<never>,
      options?: { finish?: (context: any) => void; stateShape?: unknown },
    ): (...args: Args) => Methods<Behavior>;
    defineDurableKindMulti<Args extends any[], State extends object, Facets extends object>(
      handle: KindHandle,
      init: (...args: Args) => State,
      facets: Facets & ThisType<never>,
      options?: { finish?: (context: any) => void; stateShape?: unknown },
    ): (...args: Args) => { readonly [F in keyof Facets]: Methods<Facets[F]> };
    defineKind<Args extends any[], State extends object, Behavior extends object>(
      tag: string,
      init: (...args: Args) => State,
      behavior: Behavior & ThisType<never>,
      options?: { finish?: (context: any) => void },
    ): (...args: Args) => Methods<Behavior>;
    defineKindMulti<Args extends any[], State extends object, Facets extends object>(
      tag: string,
      init: (...args: Args) => State,
      facets: Facets & ThisType<never>,
      options?: { finish?: (context: any) => void },
    ): (...args: Args) => { readonly [F in keyof Facets]: Methods<Facets[F]> };
    makeScalarBigMapStore<K = any, V = any>(label?: string, options?: StoreOptions): MapStore<K, V>;
    makeScalarBigSetStore<K = any>(label?: string, options?: StoreOptions): SetStore<K>;
    makeScalarBigWeakMapStore<K = any, V = any>(
      label?: string,
      options?: StoreOptions,
    ): WeakMapStore<K, V>;
    makeScalarBigWeakSetStore<K = any>(label?: string, options?: StoreOptions): WeakSetStore<K>;
    canBeDurable(value: unknown): boolean;
    watchPromise(promise: Promise<unknown>, watcher: object, ...args: unknown[]): void;
    providePromiseWatcher(
      handle: KindHandle,
      onFulfilled?: (value: any, ...args: any[]) => void,
      onRejected?: (reason: any, ...args: any[]) => void,
    ): object;
  }

  /** An IO channel, declared in the cluster's `io`. Every answer is a promise: use `E(channel)`. */
  interface Channel {
    /** The next unit, or null where a peer's input ended. */
    read(): string | null;
    readMany(most?: number): string[] | null;
    write(unit: string): void;
    writeMany(units: string[]): void;
    /** Answers once the channel serves. */
    ready(): void;
    status(): {
      state: 'opening' | 'listening' | 'connecting' | 'connected' | 'unavailable';
      unread: number;
      reason?: string;
      retryMs?: number;
    };
  }

  /** The service `timer`. The handler is of a durable kind, or a vat's root. */
  interface Timer {
    now(): number;
    wakeAt(moment: number, handler: object): string;
    wakeAfter(ms: number, handler: object): string;
    cancel(timerOrHandler: string | object): number;
    list(): { timer: string; due: number }[];
  }
}

declare module '@endo/eventual-send' {
  type Sendable<A extends any[]> = { [I in keyof A]: A[I] | PromiseLike<A[I]> };
  /** An object that may live anywhere: every method answers with a promise. */
  type Remote<T> = {
    readonly [K in keyof T]: T[K] extends (...args: infer A) => infer R
      ? (...args: Sendable<A>) => Promise<Awaited<R>>
      : never;
  };
  type Only<T> = {
    readonly [K in keyof T]: T[K] extends (...args: infer A) => any
      ? (...args: Sendable<A>) => void
      : never;
  };
  interface EventualSend {
    <T>(target: T | PromiseLike<T>): Remote<T>;
    /** Reads a property of what it will be. */
    get<T>(target: T | PromiseLike<T>): { readonly [K in keyof T]: Promise<Awaited<T[K]>> };
    /** Sends without an answer. */
    sendOnly<T>(target: T | PromiseLike<T>): Only<T>;
    resolve<T>(value: T | PromiseLike<T>): Promise<Awaited<T>>;
    when<T, R = T>(
      value: T | PromiseLike<T>,
      onFulfilled?: (value: Awaited<T>) => R | PromiseLike<R>,
      onRejected?: (reason: any) => R | PromiseLike<R>,
    ): Promise<R>;
  }
  export const E: EventualSend;
  export const HandledPromise: PromiseConstructor;
}

declare module '@endo/far' {
  export { E } from '@endo/eventual-send';
  /** Marks an object as one that other vats may hold. */
  export function Far<T extends object>(interfaceName: string, methods?: T): T;
  export function getInterfaceOf(value: unknown): string | undefined;
  export function passStyleOf(value: unknown): string;
}

declare module '@endo/harden' {
  export default function harden<T>(value: T): T;
}

declare module '@endo/promise-kit' {
  export interface PromiseKit<T> {
    promise: Promise<T>;
    resolve(value: T | PromiseLike<T>): void;
    reject(reason?: any): void;
  }
  export function makePromiseKit<T = any>(): PromiseKit<T>;
  export function isPromise(value: unknown): value is Promise<unknown>;
}

declare module '@endo/errors' {
  export function Fail(template: TemplateStringsArray, ...values: unknown[]): never;
  export function makeError(message?: string | object, constructor?: ErrorConstructor): Error;
  export function annotateError(error: Error, details: unknown): void;
  export { annotateError as note };
  export function q(value: unknown): { toString(): string };
  export { q as quote };
  export function b(value: unknown): { toString(): string };
  export { b as bare };
  export function X(template: TemplateStringsArray, ...values: unknown[]): object;
  export { X as details, X as redacted };
  export function assert(value: unknown, details?: unknown): asserts value;
}

declare module '@endo/pass-style' {
  export { Far, getInterfaceOf, passStyleOf } from '@endo/far';
  export function isObject(value: unknown): value is object;
  export function isPassable(value: unknown): boolean;
  export function isPrimitive(value: unknown): boolean;
  export function isCopyArray(value: unknown): value is unknown[];
  export function isRecord(value: unknown): value is Record<string, unknown>;
  export function isRemotable(value: unknown): boolean;
  export function assertPassable(value: unknown): void;
  export function makeTagged(tag: string, payload: unknown): object;
  export function getTag(value: object): string;
}

declare module '@endo/patterns' {
  /** A pattern is passable data; matchers make those that match more than themselves. */
  export type Pattern = any;
  export const M: {
    any(): Pattern;
    and(...patterns: Pattern[]): Pattern;
    or(...patterns: Pattern[]): Pattern;
    not(pattern: Pattern): Pattern;
    scalar(): Pattern;
    key(): Pattern;
    pattern(): Pattern;
    boolean(): Pattern;
    number(): Pattern;
    bigint(limits?: object): Pattern;
    nat(limits?: object): Pattern;
    string(limits?: object): Pattern;
    symbol(limits?: object): Pattern;
    record(limits?: object): Pattern;
    array(limits?: object): Pattern;
    set(limits?: object): Pattern;
    map(limits?: object): Pattern;
    remotable(label?: string): Pattern;
    error(): Pattern;
    promise(): Pattern;
    undefined(): Pattern;
    null(): Pattern;
    opt(pattern: Pattern): Pattern;
    lt(key: any): Pattern;
    lte(key: any): Pattern;
    eq(key: any): Pattern;
    neq(key: any): Pattern;
    gte(key: any): Pattern;
    gt(key: any): Pattern;
    recordOf(keys?: Pattern, values?: Pattern, limits?: object): Pattern;
    arrayOf(items?: Pattern, limits?: object): Pattern;
    setOf(keys?: Pattern, limits?: object): Pattern;
    mapOf(keys?: Pattern, values?: Pattern, limits?: object): Pattern;
    splitArray(required: Pattern[], optional?: Pattern[], rest?: Pattern): Pattern;
    splitRecord(required: object, optional?: object, rest?: Pattern): Pattern;
    tagged(tag?: Pattern, payload?: Pattern): Pattern;
    eref(pattern: Pattern): Pattern;
    await(pattern: Pattern): Pattern;
    raw(): Pattern;
    call(...args: Pattern[]): MethodGuard;
    callWhen(...args: Pattern[]): MethodGuard;
    interface(name: string, methods: Record<string, MethodGuard>, options?: object): InterfaceGuard;
  };
  export interface MethodGuard {
    optional(...args: Pattern[]): MethodGuard;
    rest(pattern: Pattern): MethodGuard;
    returns(pattern?: Pattern): MethodGuard;
  }
  export interface InterfaceGuard {
    readonly __interfaceGuard: unique symbol;
  }
  export function matches(specimen: unknown, pattern: Pattern): boolean;
  export function mustMatch(specimen: unknown, pattern: Pattern, label?: string): void;
  export function isKey(value: unknown): boolean;
  export function keyEQ(left: unknown, right: unknown): boolean;
  export function makeCopySet(elements: Iterable<any>): object;
  export function makeCopyMap(entries: Iterable<[any, any]>): object;
  export function makeCopyBag(entries: Iterable<[any, bigint]>): object;
}

declare module '@endo/exo' {
  import type { InterfaceGuard } from '@endo/patterns';
  export function makeExo<T extends object>(tag: string, guard: InterfaceGuard | undefined, methods: T): T;
  export function defineExoClass<Args extends any[], T extends object>(
    tag: string,
    guard: InterfaceGuard | undefined,
    init: (...args: Args) => object,
    methods: T & ThisType<{ self: T; state: any }>,
    options?: object,
  ): (...args: Args) => T;
  export function defineExoClassKit<Args extends any[], T extends object>(
    tag: string,
    guards: Record<string, InterfaceGuard> | undefined,
    init: (...args: Args) => object,
    facets: T & ThisType<{ facets: T; state: any }>,
    options?: object,
  ): (...args: Args) => T;
  export function initEmpty(): object;
}

declare module '@metamask/kernel-utils' {
  export function makeDefaultExo<T extends object>(name: string, methods: T): T;
}

declare module '@metamask/kernel-utils/exo' {
  export { makeDefaultExo } from '@metamask/kernel-utils';
}
