// A vat that does nothing with its channel.
var __vatExports__ = (() => {
  const proto = Object.create(Object.prototype, {
    [Symbol.for('passStyle')]: { value: 'remotable' },
    [Symbol.toStringTag]: { value: 'Alleged: io' },
  });
  const buildRootObject = () => harden(Object.setPrototypeOf({ bootstrap: () => {} }, proto));
  return { buildRootObject };
})();
