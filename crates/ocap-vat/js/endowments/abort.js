// `AbortController` and `AbortSignal`.
(kit) => {
  const { Error, Object, Promise, Reflect, Set, String, Symbol, TypeError } = globalThis;
  const { defineProperty } = Object;
  const { native, globalMakers } = kit;

  // Listeners of one signal; more is a mistake.
  const LISTENERS_MAX = 10_000;

  const errorNamed = (name, text) =>
    defineProperty(Error(text), 'name', { value: name, writable: true, configurable: true });

  const report = (error) => {
    // As if it had been thrown in a turn of its own: it reaches the log and nobody else.
    Promise.reject(error);
  };

  const makeClasses = () => {
    let make;
    let abort;
    const key = Symbol('internal');

    class AbortSignal {
      #aborted = false;

      #reason = undefined;

      #onabort = null;

      #listeners = new Set();

      // Signals that abort with this one.
      #dependents = new Set();

      static {
        make = () => new AbortSignal(key);
        abort = (signal, reason) => {
          if (signal.#aborted) return;
          signal.#aborted = true;
          signal.#reason =
            reason === undefined ? errorNamed('AbortError', 'This operation was aborted') : reason;
          signal.#dispatch();
          for (const dependent of signal.#dependents) abort(dependent, signal.#reason);
          signal.#dependents.clear();
        };
      }

      constructor(secret = undefined) {
        if (secret !== key) throw TypeError('Illegal constructor');
      }

      #dispatch() {
        const event = Object.freeze({
          __proto__: null,
          type: 'abort',
          target: this,
          currentTarget: this,
        });
        const called = [...this.#listeners];
        this.#listeners.clear();
        if (typeof this.#onabort === 'function') called.push(this.#onabort);
        for (const listener of called) {
          try {
            if (typeof listener === 'function') Reflect.apply(listener, this, [event]);
            else listener.handleEvent(event);
          } catch (error) {
            report(error);
          }
        }
      }

      get aborted() {
        return this.#aborted;
      }

      get reason() {
        return this.#reason;
      }

      get onabort() {
        return this.#onabort;
      }

      set onabort(handler) {
        this.#onabort = typeof handler === 'function' ? handler : null;
      }

      throwIfAborted() {
        if (this.#aborted) throw this.#reason;
      }

      // An aborted signal fires no more, so every listener is called at most once.
      addEventListener(type, listener, _options = undefined) {
        if (String(type) !== 'abort' || listener === null || listener === undefined) return;
        if (typeof listener !== 'function' && typeof listener !== 'object') {
          throw TypeError('the listener must be a function or an object');
        }
        if (this.#aborted) return;
        if (this.#listeners.size >= LISTENERS_MAX) {
          throw TypeError(`a signal has at most ${LISTENERS_MAX} listeners`);
        }
        this.#listeners.add(listener);
      }

      removeEventListener(type, listener, _options = undefined) {
        if (String(type) === 'abort') this.#listeners.delete(listener);
      }

      static abort(reason = undefined) {
        const signal = make();
        abort(signal, reason);
        return signal;
      }

      static timeout(milliseconds) {
        const signal = make();
        const delay = kit.delayOf(milliseconds);
        kit.ask(
          (result) => native.askTimer(result, delay, -1),
          () => abort(signal, errorNamed('TimeoutError', 'The operation timed out')),
          () => {},
        );
        return signal;
      }

      static any(signals) {
        const all = [...signals];
        const made = make();
        for (const signal of all) {
          if (!(#aborted in signal)) throw TypeError('AbortSignal.any: not a signal');
        }
        const aborted = all.find((signal) => signal.#aborted);
        if (aborted !== undefined) {
          abort(made, aborted.#reason);
        } else {
          for (const signal of all) signal.#dependents.add(made);
        }
        return made;
      }
    }
    defineProperty(AbortSignal.prototype, Symbol.toStringTag, {
      value: 'AbortSignal',
      configurable: true,
    });

    class AbortController {
      #signal = make();

      get signal() {
        return this.#signal;
      }

      abort(reason = undefined) {
        abort(this.#signal, reason);
      }
    }
    defineProperty(AbortController.prototype, Symbol.toStringTag, {
      value: 'AbortController',
      configurable: true,
    });
    return { AbortController, AbortSignal };
  };

  let classes;
  const provide = () => {
    classes ??= makeClasses();
    return classes;
  };
  globalMakers.AbortController = () => provide().AbortController;
  globalMakers.AbortSignal = () => provide().AbortSignal;
  kit.provideAbort = provide;
  kit.errorNamed = errorNamed;
};
