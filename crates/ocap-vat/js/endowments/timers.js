// `setTimeout` and its kin. The kernel's host counts the time; each firing is a delivery.
(kit) => {
  const { Map, Math, Number, Object, Reflect, TypeError } = globalThis;
  const { apply } = Reflect;
  const { min } = Math;
  const { native, globalMakers } = kit;

  // Finer time than this would be a clock to measure others with.
  const DELAY_MS_MIN = 10;
  // More than anything runs.
  const DELAY_MS_MAX = 2 ** 48;

  kit.delayOf = (delay) => delayOf(delay);

  const running = new Map(); // handle -> reference of what was asked

  const delayOf = (delay) => {
    const wanted = Number(delay);
    return wanted > DELAY_MS_MIN ? min(Math.ceil(wanted), DELAY_MS_MAX) : DELAY_MS_MIN;
  };

  const start = (name, handler, delay, args, repeats) => {
    if (typeof handler !== 'function') {
      throw TypeError(`${name}: the handler must be a function, not ${typeof handler}`);
    }
    const delayMs = delayOf(delay);
    const handle = Object.freeze({ __proto__: null });
    const run = () => {
      apply(handler, undefined, args);
    };
    const arm = (since) => {
      const vref = kit.ask(
        (result) => native.askTimer(result, delayMs, since),
        (due) => {
          if (repeats) arm(due);
          else running.delete(handle);
          run();
        },
        () => running.delete(handle),
      );
      running.set(handle, vref);
    };
    arm(-1);
    return handle;
  };

  const clear = (handle) => {
    const vref = running.get(handle);
    if (vref === undefined) return;
    running.delete(handle);
    kit.withdraw(vref);
  };

  globalMakers.setTimeout = () => {
    const setTimeout = (handler, delay = 0, ...args) =>
      start('setTimeout', handler, delay, args, false);
    return setTimeout;
  };
  globalMakers.setInterval = () => {
    const setInterval = (handler, delay = 0, ...args) =>
      start('setInterval', handler, delay, args, true);
    return setInterval;
  };
  globalMakers.clearTimeout = () => {
    const clearTimeout = (handle) => clear(handle);
    return clearTimeout;
  };
  globalMakers.clearInterval = () => {
    const clearInterval = (handle) => clear(handle);
    return clearInterval;
  };
};
