// Test-only stand-in for the hardened realm.
{
  const hardened = new WeakSet();
  const harden = (root) => {
    const todo = [root];
    for (const v of todo) {
      if ((typeof v !== 'object' && typeof v !== 'function') || v === null || hardened.has(v)) continue;
      hardened.add(v);
      Object.freeze(v);
      for (const d of Object.values(Object.getOwnPropertyDescriptors(v))) todo.push(d.value);
    }
    return root;
  };
  const STYLE = Symbol.for('passStyle');
  const Remotable = (iface = 'Remotable', _props, obj = {}) => {
    const proto = Object.freeze(Object.create(Object.getPrototypeOf(obj) ?? Object.prototype, {
      [STYLE]: { value: 'remotable' }, [Symbol.toStringTag]: { value: iface } }));
    Object.setPrototypeOf(obj, proto);
    return harden(obj);
  };
  const Far = (name, obj) => Remotable(`Alleged: ${name}`, undefined, obj);
  const passStyleOf = (v) => {
    if (v instanceof Promise) return 'promise';
    if (v instanceof Error) return 'error';
    if (v[STYLE]) return v[STYLE];
    if (Array.isArray(v)) return 'copyArray';
    if (typeof v === 'function') throw TypeError('Remotables must be explicitly declared: [Function]');
    for (const x of Object.values(v)) if (typeof x === 'function') throw TypeError('Remotables must be explicitly declared');
    return 'copyRecord';
  };
  const getInterfaceOf = (v) => (v[STYLE] === 'remotable' ? v[Symbol.toStringTag] : undefined);
  const makeTagged = (tag, payload) => harden(Object.create(Object.create(Object.prototype, {
    [STYLE]: { value: 'tagged' }, [Symbol.toStringTag]: { value: tag } }), { payload: { value: payload, enumerable: true } }));
  const presences = new WeakMap();
  const pending = new WeakMap();
  const resolveTo = new WeakMap();
  function HandledPromise(executor, handler) {
    let res, rej;
    const p = new Promise((a, b) => { res = a; rej = b; });
    if (handler) pending.set(p, handler);
    executor((v) => { pending.delete(p); resolveTo.set(p, v); res(v); }, (e) => { pending.delete(p); rej(e); }, (h) => {
      const pr = Object.create(null); presences.set(pr, h); res(pr); return pr; });
    return p;
  }
  const op = (name, target, ...rest) => {
    const returned = new Promise((resolve, reject) => {
      Promise.resolve().then(() => {
        let t = target;
        while (resolveTo.has(t)) t = resolveTo.get(t);
        const run = (x) => {
          const h = presences.get(x) ?? pending.get(x);
          if (h) return h[name](x, ...rest, name.endsWith('SendOnly') ? undefined : returned);
          return rest.length === 1 ? x(...rest[0]) : x[rest[0]](...rest[1]);
        };
        if (t instanceof Promise && !pending.has(t)) return t.then(run);
        return run(t);
      }).then((v) => { if (v instanceof Promise) resolveTo.set(returned, v); resolve(v); }, reject);
    });
    return returned;
  };
  HandledPromise.applyMethod = (t, m, a) => op('applyMethod', t, m, a);
  HandledPromise.applyFunction = (t, a) => op('applyFunction', t, a);
  HandledPromise.applyMethodSendOnly = (t, m, a) => { op('applyMethodSendOnly', t, m, a); };
  const E = (t) => new Proxy(() => {}, {
    get: (_, m) => (...a) => HandledPromise.applyMethod(t, m, a),
    apply: (_, _this, a) => HandledPromise.applyFunction(t, a) });
  E.sendOnly = (t) => new Proxy({}, { get: (_, m) => (...a) => HandledPromise.applyMethodSendOnly(t, m, a) });
  const ocap = { harden, passStyleOf, Far, Remotable, getInterfaceOf, makeTagged, E, HandledPromise, WeakRef, FinalizationRegistry,
    builtinModules: { '@endo/far': { E, Far } } };
  Object.defineProperty(globalThis, '__ocap', { value: ocap, configurable: true, writable: true });
  Object.assign(globalThis, { harden, HandledPromise });
}
