// `crypto` and `SubtleCrypto`: the interface of Web Crypto over functions of the engine's host. Keys
// are plain bytes here, which nothing outside this script can see: HMAC and AES a secret, P-256 and
// Ed25519 a secret of 32 bytes or a public point.
(kit) => {
  const { Array, JSON, Number, Object, Promise, Reflect, Set, String, Symbol, TypeError, Uint8Array } =
    globalThis;
  const { apply, getOwnPropertyDescriptor, getPrototypeOf } = Reflect;
  const { defineProperty, freeze } = Object;
  const { native, globalMakers, errorNamed } = kit;
  const { atob, btoa } = kit.ocap.originals;

  // What the reference's host takes for one call.
  const RANDOM_BYTES_MAX = 65_536;
  const DERIVED_BYTES_MAX = 1 << 20;

  const TypedArrayPrototype = getPrototypeOf(Uint8Array.prototype);
  const getterOf = (object, name) => getOwnPropertyDescriptor(object, name).get;
  const bufferOf = getterOf(TypedArrayPrototype, 'buffer');
  const offsetOf = getterOf(TypedArrayPrototype, 'byteOffset');
  const lengthOf = getterOf(TypedArrayPrototype, 'byteLength');
  const kindOf = getterOf(TypedArrayPrototype, Symbol.toStringTag);
  const viewBufferOf = getterOf(DataView.prototype, 'buffer');
  const viewOffsetOf = getterOf(DataView.prototype, 'byteOffset');
  const viewLengthOf = getterOf(DataView.prototype, 'byteLength');

  // The bytes behind an array buffer or a view of one, not copied.
  const viewOf = (data) => {
    if (ArrayBuffer.isView(data)) {
      return apply(kindOf, data, []) === undefined
        ? new Uint8Array(
            apply(viewBufferOf, data, []),
            apply(viewOffsetOf, data, []),
            apply(viewLengthOf, data, []),
          )
        : new Uint8Array(
            apply(bufferOf, data, []),
            apply(offsetOf, data, []),
            apply(lengthOf, data, []),
          );
    }
    apply(getterOf(ArrayBuffer.prototype, 'byteLength'), data, []); // throws for anything else
    return new Uint8Array(data);
  };
  const bytesOf = (data) => new Uint8Array(viewOf(data));
  const bufferFrom = (bytes) => bytes.buffer;

  const operationError = (text) => errorNamed('OperationError', text);
  const notSupported = (text) => errorNamed('NotSupportedError', text);
  const invalidAccess = (text) => errorNamed('InvalidAccessError', text);
  const dataError = (text) => errorNamed('DataError', text);

  const HASHES = { __proto__: null, 'SHA-1': 20, 'SHA-256': 32, 'SHA-384': 48, 'SHA-512': 64 };
  const BLOCKS = { __proto__: null, 'SHA-1': 64, 'SHA-256': 64, 'SHA-384': 128, 'SHA-512': 128 };
  const NAMES = ['HMAC', 'AES-GCM', 'ECDSA', 'Ed25519', 'HKDF', 'PBKDF2'];

  const nameOf = (algorithm, known) => {
    const given = String(typeof algorithm === 'string' ? algorithm : algorithm?.name);
    const name = known.find((one) => one.toUpperCase() === given.toUpperCase());
    if (name === undefined) throw notSupported(`Unrecognized algorithm name: ${given}`);
    return name;
  };
  const hashOf = (algorithm) => nameOf(algorithm, Object.keys(HASHES));

  const base64url = (bytes) =>
    btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '');
  const fromBase64url = (text) => {
    if (typeof text !== 'string') throw dataError('the JWK lacks a member');
    let binary;
    try {
      binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    } catch {
      throw dataError('a member of the JWK is not base64url');
    }
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  };
  const fromHex = (text) =>
    Uint8Array.from({ length: text.length / 2 }, (_, i) =>
      Number.parseInt(text.slice(2 * i, 2 * i + 2), 16),
    );

  // DER around keys. Each key type has one form, so no parser is needed.
  const DER = {
    __proto__: null,
    ECDSA: {
      spki: [fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200'), 65],
      pkcs8: [
        fromHex('308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420'),
        32,
        fromHex('a144034200'),
        65,
      ],
      bare: [
        fromHex('3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420'),
        32,
      ],
    },
    Ed25519: {
      spki: [fromHex('302a300506032b6570032100'), 32],
      pkcs8: [fromHex('302e020100300506032b657004220420'), 32],
    },
  };
  const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
  // The key inside, or `undefined`.
  const unwrapped = (bytes, form) => {
    if (form === undefined) return undefined;
    const [prefix, length, middle = [], rest = 0] = form;
    const end = prefix.length + length;
    if (bytes.length !== end + middle.length + rest) return undefined;
    if (!same(bytes.subarray(0, prefix.length), prefix)) return undefined;
    if (!same(bytes.subarray(end, end + middle.length), middle)) return undefined;
    return bytes.slice(prefix.length, end);
  };

  const randomBytes = (length) => {
    const bytes = new Uint8Array(length);
    native.randomFill(bytes);
    return bytes;
  };

  const makeClasses = () => {
    const secret = Symbol('internal');
    let makeKey;
    let secretOf;

    class CryptoKey {
      #bytes;

      #type;

      #extractable;

      #algorithm;

      #usages;

      static {
        makeKey = (type, extractable, algorithm, usages, bytes) => {
          const key = new CryptoKey(secret);
          key.#type = type;
          key.#extractable = !!extractable;
          key.#algorithm = kit.ocap.harden(algorithm);
          key.#usages = freeze([...usages]);
          key.#bytes = bytes;
          return key;
        };
        secretOf = (key) => key.#bytes;
      }

      constructor(given = undefined) {
        if (given !== secret) throw TypeError('Illegal constructor');
      }

      get type() {
        return this.#type;
      }

      get extractable() {
        return this.#extractable;
      }

      get algorithm() {
        return this.#algorithm;
      }

      get usages() {
        return this.#usages;
      }
    }
    defineProperty(CryptoKey.prototype, Symbol.toStringTag, {
      value: 'CryptoKey',
      configurable: true,
    });

    const USAGES = {
      __proto__: null,
      HMAC: { secret: ['sign', 'verify'] },
      'AES-GCM': { secret: ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey'] },
      ECDSA: { private: ['sign'], public: ['verify'] },
      Ed25519: { private: ['sign'], public: ['verify'] },
      HKDF: { secret: ['deriveKey', 'deriveBits'] },
      PBKDF2: { secret: ['deriveKey', 'deriveBits'] },
    };
    const usagesOf = (name, type, given) => {
      const usages = [...new Set([...given].map(String))];
      const possible = USAGES[name][type];
      const wrong = usages.find((usage) => !possible.includes(usage));
      if (wrong !== undefined) {
        throw errorNamed('SyntaxError', `a ${type} ${name} key cannot be used for ${wrong}`);
      }
      if (usages.length === 0 && type !== 'public') {
        throw errorNamed('SyntaxError', `a ${type} key needs a usage`);
      }
      return usages;
    };

    // Whether `key` may be used like this; its bytes.
    const use = (key, name, usage) => {
      const bytes = secretOf(key);
      if (key.algorithm.name !== name) throw invalidAccess(`the key is not one for ${name}`);
      if (!key.usages.includes(usage)) throw invalidAccess(`the key is not to be used for ${usage}`);
      return bytes;
    };

    const secretAlgorithm = (name, algorithm, bytes) => {
      switch (name) {
        case 'HMAC':
          return { name, hash: { name: hashOf(algorithm.hash) }, length: bytes.length * 8 };
        case 'AES-GCM':
          if (![16, 24, 32].includes(bytes.length)) {
            throw dataError('an AES key has 128, 192 or 256 bits');
          }
          return { name, length: bytes.length * 8 };
        default:
          return { name };
      }
    };
    const secretKey = (name, algorithm, extractable, usages, bytes) => {
      if (bytes.length === 0 && name === 'HMAC') throw dataError('the key is empty');
      const described = secretAlgorithm(name, algorithm, bytes);
      return makeKey('secret', extractable, described, usagesOf(name, 'secret', usages), bytes);
    };

    const pairAlgorithm = (name, algorithm) => {
      if (name === 'Ed25519') return { name };
      if (algorithm.namedCurve !== 'P-256') {
        throw notSupported(`namedCurve: only P-256 is supported, not ${String(algorithm.namedCurve)}`);
      }
      return { name, namedCurve: 'P-256' };
    };
    const publicOf = (name, bytes) => {
      const point = name === 'ECDSA' ? native.ecPublic(bytes) : native.edPublic(bytes);
      if (point === undefined) throw dataError('not a private key');
      return point;
    };
    const privateKey = (name, algorithm, extractable, usages, bytes) => {
      publicOf(name, bytes); // whether it is one
      const described = pairAlgorithm(name, algorithm);
      return makeKey('private', extractable, described, usagesOf(name, 'private', usages), bytes);
    };
    const publicKey = (name, algorithm, extractable, usages, bytes) => {
      const point = name === 'ECDSA' ? native.ecPoint(bytes) : native.edPoint(bytes);
      if (point === undefined) throw dataError('not a public key');
      const described = pairAlgorithm(name, algorithm);
      return makeKey('public', extractable, described, usagesOf(name, 'public', usages), point);
    };

    const isPair = (name) => name === 'ECDSA' || name === 'Ed25519';
    const AES_JWK = { __proto__: null, 16: 'A128GCM', 24: 'A192GCM', 32: 'A256GCM' };

    const importJwk = (jwk, name, algorithm, extractable, usages) => {
      if (!isPair(name)) {
        if (jwk.kty !== 'oct') throw dataError('the JWK is not a secret');
        return secretKey(name, algorithm, extractable, usages, fromBase64url(jwk.k));
      }
      const [kty, crv] = name === 'ECDSA' ? ['EC', 'P-256'] : ['OKP', 'Ed25519'];
      if (jwk.kty !== kty || jwk.crv !== crv) throw dataError(`the JWK is not one for ${name}`);
      const x = fromBase64url(jwk.x);
      const point = name === 'ECDSA' ? joined([4], x, fromBase64url(jwk.y)) : x;
      if (jwk.d === undefined) return publicKey(name, algorithm, extractable, usages, point);
      const bytes = fromBase64url(jwk.d);
      if (!same(publicOf(name, bytes), point)) throw dataError('the JWK contradicts itself');
      return privateKey(name, algorithm, extractable, usages, bytes);
    };

    const importKey = (format, data, algorithm, extractable, usages) => {
      const name = nameOf(algorithm, NAMES);
      if (format === 'jwk') return importJwk(data, name, algorithm, extractable, usages);
      const bytes = bytesOf(data);
      if (!isPair(name)) {
        if (format !== 'raw') throw notSupported(`${name} keys are imported as raw or jwk`);
        if ((name === 'HKDF' || name === 'PBKDF2') && extractable) {
          throw errorNamed('SyntaxError', `a ${name} key cannot be extractable`);
        }
        return secretKey(name, algorithm, extractable, usages, bytes);
      }
      const forms = DER[name];
      switch (format) {
        case 'raw':
          return publicKey(name, algorithm, extractable, usages, bytes);
        case 'spki': {
          const point = unwrapped(bytes, forms.spki);
          if (point === undefined) throw dataError(`not an spki of a ${name} key`);
          return publicKey(name, algorithm, extractable, usages, point);
        }
        case 'pkcs8': {
          const inner = unwrapped(bytes, forms.pkcs8) ?? unwrapped(bytes, forms.bare);
          if (inner === undefined) throw dataError(`not a pkcs8 of a ${name} key`);
          return privateKey(name, algorithm, extractable, usages, inner);
        }
        default:
          throw notSupported(`unknown key format ${String(format)}`);
      }
    };

    const exportJwk = (key, bytes) => {
      const { name } = key.algorithm;
      const common = { ext: key.extractable, key_ops: [...key.usages] };
      if (!isPair(name)) {
        const alg =
          name === 'HMAC' ? `HS${key.algorithm.hash.name.slice(4)}` : AES_JWK[bytes.length];
        return { ...common, kty: 'oct', alg, k: base64url(bytes) };
      }
      const isPrivate = key.type === 'private';
      const point = isPrivate ? publicOf(name, bytes) : bytes;
      const d = isPrivate ? { d: base64url(bytes) } : {};
      if (name === 'Ed25519') {
        return { ...common, kty: 'OKP', crv: 'Ed25519', alg: 'Ed25519', x: base64url(point), ...d };
      }
      const [x, y] = [point.subarray(1, 33), point.subarray(33)];
      return { ...common, kty: 'EC', crv: 'P-256', x: base64url(x), y: base64url(y), ...d };
    };

    const exportKey = (format, key) => {
      const bytes = secretOf(key);
      if (!key.extractable) throw invalidAccess('the key is not extractable');
      const { name } = key.algorithm;
      if (format === 'jwk') return exportJwk(key, bytes);
      if (format === 'raw' && key.type !== 'private') return bufferFrom(new Uint8Array(bytes));
      if (format === 'spki' && key.type === 'public') {
        return bufferFrom(joined(DER[name].spki[0], bytes));
      }
      if (format === 'pkcs8' && key.type === 'private') {
        const [prefix, , middle] = DER[name].pkcs8;
        const point = middle === undefined ? [] : publicOf(name, bytes);
        return bufferFrom(joined(prefix, bytes, middle ?? [], point));
      }
      throw invalidAccess(`a ${key.type} ${name} key cannot be exported as ${String(format)}`);
    };

    const newSecret = (name) => {
      for (;;) {
        const bytes = randomBytes(32);
        // Nearly every number is a key of P-256.
        if (name === 'Ed25519' || native.ecPublic(bytes) !== undefined) return bytes;
      }
    };

    const generateKey = (algorithm, extractable, usages) => {
      const name = nameOf(algorithm, NAMES.slice(0, 4));
      if (isPair(name)) {
        const wanted = [...usages].map(String);
        const bytes = newSecret(name);
        const ofType = (type) => wanted.filter((usage) => USAGES[name][type].includes(usage));
        const unknown = wanted.find((usage) => !['sign', 'verify'].includes(usage));
        if (unknown !== undefined) {
          throw errorNamed('SyntaxError', `a ${name} key cannot be used for ${unknown}`);
        }
        return {
          publicKey: publicKey(name, algorithm, true, ofType('public'), publicOf(name, bytes)),
          privateKey: privateKey(name, algorithm, extractable, ofType('private'), bytes),
        };
      }
      const bits =
        algorithm.length ?? (name === 'HMAC' ? BLOCKS[hashOf(algorithm.hash)] * 8 : undefined);
      if (!Number.isInteger(bits) || bits <= 0 || bits % 8 !== 0 || bits > 65_536) {
        throw operationError('length: not a possible number of bits');
      }
      return secretKey(name, algorithm, extractable, usages, randomBytes(bits / 8));
    };

    const sign = (algorithm, key, data) => {
      const name = nameOf(algorithm, NAMES.slice(0, 4));
      const bytes = use(key, name, 'sign');
      const message = viewOf(data);
      switch (name) {
        case 'HMAC':
          return native.hmac(key.algorithm.hash.name, bytes, message);
        case 'ECDSA':
          return native.ecSign(hashOf(algorithm.hash), bytes, message);
        case 'Ed25519':
          return native.edSign(bytes, message);
        default:
          throw notSupported(`${name} does not sign`);
      }
    };

    const verify = (algorithm, key, signature, data) => {
      const name = nameOf(algorithm, NAMES.slice(0, 4));
      const bytes = use(key, name, 'verify');
      const [given, message] = [viewOf(signature), viewOf(data)];
      switch (name) {
        case 'HMAC':
          return native.hmacVerify(key.algorithm.hash.name, bytes, message, given);
        case 'ECDSA':
          return native.ecVerify(hashOf(algorithm.hash), bytes, message, given);
        case 'Ed25519':
          return native.edVerify(bytes, message, given);
        default:
          throw notSupported(`${name} does not verify`);
      }
    };

    const crypt = (usage, algorithm, key, data) => {
      const seals = usage === 'encrypt' || usage === 'wrapKey';
      const name = nameOf(algorithm, ['AES-GCM']);
      const bytes = use(key, name, usage);
      const iv = viewOf(algorithm.iv);
      if (iv.length !== 12) throw notSupported('iv: only 96 bits are supported');
      if ((algorithm.tagLength ?? 128) !== 128) {
        throw notSupported('tagLength: only 128 bits are supported');
      }
      const { additionalData } = algorithm;
      const more = additionalData === undefined ? new Uint8Array(0) : viewOf(additionalData);
      const result = native.aesGcm(seals, bytes, iv, viewOf(data), more);
      if (result === undefined) throw operationError('the data cannot be decrypted');
      return result;
    };

    const derive = (algorithm, key, bits, usage) => {
      const name = nameOf(algorithm, ['HKDF', 'PBKDF2']);
      const bytes = use(key, name, usage);
      const hash = hashOf(algorithm.hash);
      const salt = viewOf(algorithm.salt);
      if (!Number.isInteger(bits) || bits <= 0 || bits % 8 !== 0 || bits / 8 > DERIVED_BYTES_MAX) {
        throw operationError('length: not a possible number of bits');
      }
      let result;
      if (name === 'HKDF') {
        result = native.hkdf(hash, bytes, salt, viewOf(algorithm.info), bits / 8);
      } else {
        const { iterations } = algorithm;
        if (!Number.isInteger(iterations) || iterations <= 0 || iterations >= 2 ** 32) {
          throw operationError('iterations: not a possible number');
        }
        result = native.pbkdf2(hash, bytes, salt, iterations, bits / 8);
      }
      if (result === undefined) throw operationError('more bits than can be derived');
      return result;
    };

    const deriveKey = (algorithm, key, wanted, extractable, usages) => {
      const name = nameOf(wanted, ['HMAC', 'AES-GCM', 'HKDF', 'PBKDF2']);
      const bits =
        wanted.length ??
        { __proto__: null, HMAC: () => BLOCKS[hashOf(wanted.hash)] * 8 }[name]?.() ??
        256;
      const bytes = derive(algorithm, key, bits, 'deriveKey');
      return secretKey(name, wanted, extractable, usages, bytes);
    };

    // Everything is done at once, and told like something that took a while.
    const later = (work) => new Promise((resolve) => resolve(work()));

    class SubtleCrypto {
      constructor(given = undefined) {
        if (given !== secret) throw TypeError('Illegal constructor');
      }

      digest(algorithm, data) {
        return later(() => bufferFrom(native.digest(hashOf(algorithm), viewOf(data))));
      }

      generateKey(algorithm, extractable, usages) {
        return later(() => generateKey(algorithm, extractable, usages));
      }

      importKey(format, data, algorithm, extractable, usages) {
        return later(() => importKey(format, data, algorithm, extractable, usages));
      }

      exportKey(format, key) {
        return later(() => exportKey(format, key));
      }

      sign(algorithm, key, data) {
        return later(() => bufferFrom(sign(algorithm, key, data)));
      }

      verify(algorithm, key, signature, data) {
        return later(() => verify(algorithm, key, signature, data));
      }

      encrypt(algorithm, key, data) {
        return later(() => bufferFrom(crypt('encrypt', algorithm, key, data)));
      }

      decrypt(algorithm, key, data) {
        return later(() => bufferFrom(crypt('decrypt', algorithm, key, data)));
      }

      deriveBits(algorithm, key, bits) {
        return later(() => bufferFrom(derive(algorithm, key, bits, 'deriveBits')));
      }

      deriveKey(algorithm, key, wanted, extractable, usages) {
        return later(() => deriveKey(algorithm, key, wanted, extractable, usages));
      }

      wrapKey(format, key, wrapping, algorithm) {
        return later(() => {
          const exported = exportKey(format, key);
          const data =
            format === 'jwk' ? native.utf8Encode(JSON.stringify(exported)) : exported;
          return bufferFrom(crypt('wrapKey', algorithm, wrapping, data));
        });
      }

      unwrapKey(format, wrapped, wrapping, algorithm, wanted, extractable, usages) {
        return later(() => {
          const bytes = crypt('unwrapKey', algorithm, wrapping, wrapped);
          const data = format === 'jwk' ? JSON.parse(native.utf8Decode(bytes, true)) : bytes;
          return importKey(format, data, wanted, extractable, usages);
        });
      }
    }
    defineProperty(SubtleCrypto.prototype, Symbol.toStringTag, {
      value: 'SubtleCrypto',
      configurable: true,
    });

    const INTEGERS = [
      'Int8Array',
      'Uint8Array',
      'Uint8ClampedArray',
      'Int16Array',
      'Uint16Array',
      'Int32Array',
      'Uint32Array',
      'BigInt64Array',
      'BigUint64Array',
    ];
    const subtle = new SubtleCrypto(secret);
    const crypto = {
      subtle,
      getRandomValues(array) {
        if (!ArrayBuffer.isView(array) || !INTEGERS.includes(apply(kindOf, array, []))) {
          throw errorNamed('TypeMismatchError', 'getRandomValues fills integer arrays');
        }
        const view = viewOf(array);
        if (view.length > RANDOM_BYTES_MAX) {
          throw errorNamed(
            'QuotaExceededError',
            `getRandomValues fills at most ${RANDOM_BYTES_MAX} bytes`,
          );
        }
        native.randomFill(view);
        return array;
      },
      randomUUID() {
        const bytes = randomBytes(16);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
        return [[0, 8], [8, 12], [12, 16], [16, 20], [20]].map((cut) => hex.slice(...cut)).join('-');
      },
    };
    defineProperty(crypto, Symbol.toStringTag, { value: 'Crypto' });
    return { crypto, SubtleCrypto };
  };

  let classes;
  const provide = () => {
    classes ??= native.digest === undefined ? {} : makeClasses();
    return classes;
  };
  globalMakers.crypto = () => provide().crypto;
  globalMakers.SubtleCrypto = () => provide().SubtleCrypto;
};
