// What the vat's code finds on its global besides the realm's own names.
(kit) => {
  const { Object, String } = globalThis;
  const { freeze } = Object;
  const { native, ocap } = kit;
  const { harden } = ocap;

  const LOG_LEVELS = { __proto__: null, debug: 0, info: 1, warn: 2, error: 3 };
  ocap.log = (level, text) => {
    native.log(LOG_LEVELS[level] ?? 1, String(text).toWellFormed());
  };

  const VAT_DATA = [
    'canBeDurable',
    'defineDurableKind',
    'defineDurableKindMulti',
    'defineKind',
    'defineKindMulti',
    'makeKindHandle',
    'makeScalarBigMapStore',
    'makeScalarBigSetStore',
    'makeScalarBigWeakMapStore',
    'makeScalarBigWeakSetStore',
    'providePromiseWatcher',
    'watchPromise',
  ];
  const VatData = {};
  for (const name of VAT_DATA) VatData[name] = harden(kit[name]);
  freeze(VatData);

  ocap.defineGlobal('VatData', VatData);
  ocap.defineGlobal('exports', {});
  // These the vat may yet be given others of.
  kit.unsealedGlobals = ['Date', 'Math'];
  ocap.sealGlobal(kit.unsealedGlobals);

  kit.VatData = VatData;
  kit.console = ocap.console;
};
