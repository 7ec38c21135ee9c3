// Globals a vat gets only if it asks for them. The scripts in `endowments` say how each is made.
(kit) => {
  const { ocap } = kit;
  const { harden } = ocap;

  // Maker by name; a maker that answers `undefined` does not make this vat one.
  kit.globalMakers = { __proto__: null };

  // What `globals.js` left open, and what came since.
  const unsealed = [...kit.unsealedGlobals];

  // Whether there is such a global; it is there afterwards.
  kit.provideGlobal = (name) => {
    const make = kit.globalMakers[name];
    const value = make?.();
    if (value === undefined) return false;
    ocap.defineGlobal(name, harden(value));
    unsealed.push(name);
    return true;
  };

  // All it asked for is there.
  kit.sealGlobals = () => ocap.sealGlobals(unsealed);
};
