// The modules that source vats may import although no file provides them: name to exports. An
// export called `default` is the default export.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { assert, E, exo, harden, HandledPromise, isPromise, makeDefaultExo } = ocap;
  const { makePromiseKit, passStyle, patterns } = ocap;
  const { bare, details, Fail, makeError, note, quote } = assert;

  const hideAndHardenFunction = func => harden(func);

  ocap.builtinModules = harden({
    __proto__: null,
    '@endo/errors': {
      annotateError: note,
      assert,
      b: bare,
      bare,
      details,
      Fail,
      hideAndHardenFunction,
      makeError,
      note,
      q: quote,
      quote,
      redacted: details,
      throwRedacted: Fail,
      X: details,
    },
    '@endo/eventual-send': { E, HandledPromise },
    '@endo/exo': exo,
    '@endo/far': {
      E,
      Far: passStyle.Far,
      getInterfaceOf: passStyle.getInterfaceOf,
      passStyleOf: passStyle.passStyleOf,
    },
    '@endo/harden': { default: harden },
    '@endo/pass-style': passStyle,
    '@endo/patterns': patterns,
    '@endo/promise-kit': { isPromise, makePromiseKit },
    '@metamask/kernel-utils': { makeDefaultExo },
    '@metamask/kernel-utils/exo': { makeDefaultExo },
  });
})();
