// Answers as the vat that the transcript was taken with.
var __vatExports__ = (() => {
  const names = [
    'arrayLoop', 'baggageGet', 'baggageSet', 'bounce', 'fib', 'incarnation', 'jsonLoop', 'never',
    'pingAll', 'propLoop', 'spin', '__getInterfaceGuard__', '__getMethodNames__',
  ];
  const Far = (name, methods) => {
    const proto = Object.create(Object.prototype, {
      [Symbol.for('passStyle')]: { value: 'remotable' },
      [Symbol.toStringTag]: { value: `Alleged: ${name}` },
    });
    return harden(Object.setPrototypeOf(methods, proto));
  };
  const buildRootObject = (_powers, _parameters, baggage) => {
    let other;
    const methods = {
      bootstrap: (vats) => {
        other = vats.bob;
        return 'ready';
      },
      ping: () => 'pong',
      echo: (value) => value,
      boom: () => {
        throw Error('boom');
      },
      bump: () => 0,
      pingPong: async (times) => {
        for (let n = 0; n < times; n += 1) await HandledPromise.applyMethod(other, 'ping', []);
        return times;
      },
    };
    // Nobody calls these; an error names them.
    for (const name of names) methods[name] = () => undefined;
    return Far('bench', methods);
  };
  return { buildRootObject };
})();
