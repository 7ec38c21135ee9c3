// Text and bytes.
(kit) => {
  const { Error, RangeError, Reflect, String, TypeError, Uint8Array } = globalThis;
  const { apply, getOwnPropertyDescriptor, getPrototypeOf } = Reflect;
  const { native, globalMakers } = kit;
  const { originals } = kit.ocap;

  // Of the typed array's prototype, since a property of the array's own could say anything.
  const TypedArrayPrototype = getPrototypeOf(Uint8Array.prototype);
  const getterOf = (name) => getOwnPropertyDescriptor(TypedArrayPrototype, name).get;
  const bufferOf = getterOf('buffer');
  const offsetOf = getterOf('byteOffset');
  const lengthOf = getterOf('byteLength');

  globalMakers.TextEncoder = () =>
    class TextEncoder {
      get encoding() {
        return 'utf-8';
      }

      encode(text = '') {
        return native.utf8Encode(String(text).toWellFormed());
      }
    };

  globalMakers.TextDecoder = () =>
    class TextDecoder {
      #fatal;

      #ignoreBOM;

      constructor(label = 'utf-8', { fatal = false, ignoreBOM = false } = {}) {
        if (!['utf-8', 'utf8', 'unicode-1-1-utf-8'].includes(String(label).trim().toLowerCase())) {
          throw RangeError(`the encoding ${String(label)} is not supported`);
        }
        this.#fatal = !!fatal;
        this.#ignoreBOM = !!ignoreBOM;
      }

      get encoding() {
        return 'utf-8';
      }

      get fatal() {
        return this.#fatal;
      }

      get ignoreBOM() {
        return this.#ignoreBOM;
      }

      decode(bytes = new Uint8Array(0), { stream = false } = {}) {
        if (stream) throw Error('TextDecoder: stream is not supported');
        let view;
        try {
          view = new Uint8Array(
            apply(bufferOf, bytes, []),
            apply(offsetOf, bytes, []),
            apply(lengthOf, bytes, []),
          );
        } catch {
          view = new Uint8Array(bytes);
        }
        const text = native.utf8Decode(view, this.#fatal);
        if (text === undefined) throw TypeError('The encoded data was not valid for encoding utf-8');
        return !this.#ignoreBOM && text.startsWith('\ufeff') ? text.slice(1) : text;
      }
    };

  globalMakers.atob = () => originals.atob;
  globalMakers.btoa = () => originals.btoa;
};
