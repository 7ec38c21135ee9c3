// Eventual sends by way of the realm's `HandledPromise`.
//
// What a proxy stands for has to be callable, and must not have properties of its own that the proxy
// would have to show.
const callable = () => {};
delete callable.name;
delete callable.length;
harden(callable);

const make = (call, apply) => target =>
  new Proxy(
    callable,
    {
      get: (_, name) => harden((...args) => call(target, name, args)),
      apply: (_, __, args) => apply(target, args),
      has: () => true,
      set: () => false,
      defineProperty: () => false,
      deleteProperty: () => false,
    },
  );

const one = (target, get) => new Proxy(harden({}), { get: (_, name) => get(target, name) });

const E = make(
  (target, name, args) => HandledPromise.applyMethod(target, name, args),
  (target, args) => HandledPromise.applyFunction(target, args),
);
E.get = target => one(target, (object, name) => HandledPromise.get(object, name));
E.sendOnly = make(
  (target, name, args) => HandledPromise.applyMethodSendOnly(target, name, args),
  (target, args) => HandledPromise.applyFunctionSendOnly(target, args),
);
E.resolve = value => HandledPromise.resolve(value);
E.when = (value, onFulfilled, onRejected) =>
  HandledPromise.resolve(value).then(onFulfilled, onRejected);
harden(E);

const Handled = HandledPromise;
export { E, Handled as HandledPromise };
