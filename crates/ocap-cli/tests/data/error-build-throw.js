// A vat that cannot start.
var __vatExports__ = {
  buildRootObject: () => {
    throw Error('thrown by buildRootObject');
  },
};
