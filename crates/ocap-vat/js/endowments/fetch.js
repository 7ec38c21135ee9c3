// `fetch`, `Request`, `Headers` and `Response`. The kernel's host makes the requests, after the
// crank, and holds each against the hosts the vat may reach; the answer is a delivery.
(kit) => {
  const { ArrayBuffer, Error, JSON, Map, Number, Object, Promise, Reflect, String } =
    globalThis;
  const { Symbol, TypeError, RangeError, Uint8Array } = globalThis;
  const { defineProperty } = Object;
  const { native, globalMakers } = kit;

  const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
  const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'];
  // Of one request or answer.
  const HEADERS_MAX = 1_000;

  const makeClasses = () => {
    const textOf = (value) => String(value).toWellFormed();
    const secret = Symbol('internal');
    const tag = (Class, name) =>
      defineProperty(Class.prototype, Symbol.toStringTag, { value: name, configurable: true });

    class Headers {
      #map = new Map(); // name in lower case -> values

      constructor(init = undefined) {
        if (init === undefined || init === null) return;
        const pairs = typeof init[Symbol.iterator] === 'function' ? init : Object.entries(init);
        for (const [name, value] of pairs) this.append(name, value);
      }

      #key(name) {
        const key = String(name);
        if (!TOKEN.test(key)) throw TypeError(`Headers: ${JSON.stringify(key)} is not a header name`);
        return key.toLowerCase();
      }

      #value(value) {
        const text = String(value).trim();
        if (/[\0\r\n]|[^\0-\xff]/.test(text)) throw TypeError('Headers: not a header value');
        return text;
      }

      append(name, value) {
        const [key, text] = [this.#key(name), this.#value(value)];
        if (this.#map.size >= HEADERS_MAX) throw RangeError(`at most ${HEADERS_MAX} headers`);
        const values = this.#map.get(key);
        if (values === undefined) this.#map.set(key, [text]);
        else if (values.length < HEADERS_MAX) values.push(text);
        else throw RangeError(`at most ${HEADERS_MAX} values of a header`);
      }

      delete(name) {
        this.#map.delete(this.#key(name));
      }

      get(name) {
        const values = this.#map.get(this.#key(name));
        return values === undefined ? null : values.join(', ');
      }

      getSetCookie() {
        return [...(this.#map.get('set-cookie') ?? [])];
      }

      has(name) {
        return this.#map.has(this.#key(name));
      }

      set(name, value) {
        const [key, text] = [this.#key(name), this.#value(value)];
        this.#map.delete(key);
        this.append(key, text);
      }

      forEach(callback, thisArg = undefined) {
        for (const [name, value] of this) Reflect.apply(callback, thisArg, [value, name, this]);
      }

      *entries() {
        for (const name of [...this.#map.keys()].sort()) {
          if (name === 'set-cookie') for (const value of this.getSetCookie()) yield [name, value];
          else yield [name, this.get(name)];
        }
      }

      *keys() {
        for (const [name] of this.entries()) yield name;
      }

      *values() {
        for (const [, value] of this.entries()) yield value;
      }
    }
    tag(Headers, 'Headers');
    defineProperty(Headers.prototype, Symbol.iterator, {
      value: Headers.prototype.entries,
      writable: true,
      configurable: true,
    });

    // Bytes of a body, and the type it says it has.
    const bodyOf = (body) => {
      if (body === undefined || body === null) return [undefined, undefined];
      if (body instanceof ArrayBuffer) return [new Uint8Array(body.slice(0)), undefined];
      if (ArrayBuffer.isView(body)) {
        const view = new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
        return [new Uint8Array(view), undefined];
      }
      const { URLSearchParams } = kit.provideUrl();
      const form = URLSearchParams !== undefined && body instanceof URLSearchParams;
      return [
        native.utf8Encode(textOf(body)),
        form ? 'application/x-www-form-urlencoded;charset=UTF-8' : 'text/plain;charset=UTF-8',
      ];
    };

    let takeBody;
    class Body {
      #bytes;

      #used = false;

      static {
        takeBody = (of) => {
          if (of.#used) throw TypeError('Body is unusable: Body has already been read');
          return of.#bytes;
        };
      }

      constructor(given, bytes) {
        if (given !== secret) throw TypeError('Illegal constructor');
        this.#bytes = bytes;
      }

      #read() {
        const bytes = takeBody(this);
        this.#used = bytes !== undefined;
        return bytes ?? new Uint8Array(0);
      }

      // Streams are not supported.
      get body() {
        return null;
      }

      get bodyUsed() {
        return this.#used;
      }

      async arrayBuffer() {
        return new Uint8Array(this.#read()).buffer;
      }

      async bytes() {
        return new Uint8Array(this.#read());
      }

      async text() {
        const text = native.utf8Decode(this.#read(), false);
        return text.startsWith('\ufeff') ? text.slice(1) : text;
      }

      async json() {
        return JSON.parse(await this.text());
      }
    }

    class Request extends Body {
      #url;

      #method;

      #headers;

      #redirect;

      #signal;

      constructor(input, init = undefined) {
        const options = init ?? {};
        const from = Object(input) === input && #url in input ? input : undefined;
        const url = native.urlParse(from === undefined ? textOf(input) : from.#url, undefined);
        if (url === undefined) throw TypeError(`Failed to parse URL from ${textOf(input)}`);
        const given = String(options.method ?? from?.#method ?? 'GET');
        const known = METHODS.find((name) => name === given.toUpperCase());
        if (!TOKEN.test(given) || ['CONNECT', 'TRACE', 'TRACK'].includes(given.toUpperCase())) {
          throw TypeError(`'${given}' is not a method for a request`);
        }
        const method = known ?? given;
        const [bytes, type] =
          options.body === undefined && from !== undefined
            ? [takeBody(from), undefined]
            : bodyOf(options.body);
        if (bytes !== undefined && (method === 'GET' || method === 'HEAD')) {
          throw TypeError('Request with GET/HEAD method cannot have body.');
        }
        super(secret, bytes);
        this.#url = url;
        this.#method = method;
        this.#headers = new Headers(options.headers ?? from?.#headers);
        if (type !== undefined && !this.#headers.has('content-type')) {
          this.#headers.set('content-type', type);
        }
        const redirect = String(options.redirect ?? from?.#redirect ?? 'follow');
        if (!['follow', 'error', 'manual'].includes(redirect)) {
          throw TypeError(`'${redirect}' is not a redirect mode`);
        }
        this.#redirect = redirect;
        this.#signal = options.signal ?? from?.#signal ?? null;
      }

      get url() {
        return this.#url;
      }

      get method() {
        return this.#method;
      }

      get headers() {
        return this.#headers;
      }

      get redirect() {
        return this.#redirect;
      }

      get signal() {
        return this.#signal;
      }

      clone() {
        return new Request(this);
      }
    }
    tag(Request, 'Request');

    let makeResponse;
    class Response extends Body {
      #status;

      #statusText;

      #headers;

      #url = '';

      #redirected = false;

      #type = 'default';

      static {
        makeResponse = ({ status, statusText, url, redirected, headers, body }) => {
          const bytes = native.fromBase64(body);
          const response = new Response(secret, { bytes, status, statusText, headers });
          response.#url = url;
          response.#redirected = redirected;
          response.#type = 'basic';
          return response;
        };
      }

      constructor(body = undefined, init = undefined) {
        const ours = body === secret;
        const { status = 200, statusText = '', headers } = init ?? {};
        const [bytes, type] = ours ? [init.bytes, undefined] : bodyOf(body);
        if (!ours && !(Number.isInteger(status) && status >= 200 && status <= 599)) {
          throw RangeError('init["status"] must be in the range of 200 to 599, inclusive.');
        }
        super(secret, bytes);
        this.#status = status;
        this.#statusText = String(statusText);
        this.#headers = new Headers(headers);
        if (type !== undefined && !this.#headers.has('content-type')) {
          this.#headers.set('content-type', type);
        }
      }

      get status() {
        return this.#status;
      }

      get statusText() {
        return this.#statusText;
      }

      get ok() {
        return this.#status >= 200 && this.#status <= 299;
      }

      get headers() {
        return this.#headers;
      }

      get url() {
        return this.#url;
      }

      get redirected() {
        return this.#redirected;
      }

      get type() {
        return this.#type;
      }

      clone() {
        const { status, statusText } = this;
        const bytes = takeBody(this);
        const copy = new Response(secret, { bytes, status, statusText, headers: this.#headers });
        copy.#url = this.#url;
        copy.#redirected = this.#redirected;
        copy.#type = this.#type;
        return copy;
      }

      static json(data, init = undefined) {
        const text = JSON.stringify(data);
        if (text === undefined) throw TypeError('Response.json: the data has no JSON form');
        const response = new Response(text, init);
        if (!new Headers(init?.headers).has('content-type')) {
          response.#headers.set('content-type', 'application/json');
        }
        return response;
      }

      static redirect(url, status = 302) {
        const href = native.urlParse(textOf(url), undefined);
        if (href === undefined) throw TypeError(`Failed to parse URL from ${textOf(url)}`);
        if (![301, 302, 303, 307, 308].includes(status)) throw RangeError('not a redirect status');
        return new Response(null, { status, headers: { location: href } });
      }

      static error() {
        const response = new Response();
        response.#status = 0;
        response.#type = 'error';
        return response;
      }
    }
    tag(Response, 'Response');

    const send = (request, resolve, reject) => {
      const { signal } = request;
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const bytes = takeBody(request);
      const body = bytes === undefined ? undefined : native.toBase64(bytes);
      const target = [request.method, request.url, request.redirect];
      const flat = [...request.headers].flat();
      let abort;
      const end = () => signal?.removeEventListener('abort', abort);
      const vref = kit.ask(
        (result) => native.askFetch(result, target, flat, body),
        (outcome) => {
          end();
          if (outcome.refused !== undefined) reject(Error(outcome.refused));
          else if (outcome.failed !== undefined) reject(TypeError(`fetch failed: ${outcome.failed}`));
          else resolve(makeResponse(outcome));
        },
        (reason) => {
          end();
          reject(TypeError(`fetch failed: ${kit.reasonOf(reason)}`));
        },
      );
      abort = () => {
        kit.withdraw(vref);
        reject(signal.reason);
      };
      signal?.addEventListener('abort', abort);
    };

    const fetch = (input, init = undefined) =>
      new Promise((resolve, reject) => {
        send(new Request(input, init), resolve, reject);
      });
    return { fetch, Headers, Request, Response };
  };

  let classes;
  const provide = () => {
    classes ??= native.urlParse === undefined ? {} : makeClasses();
    return classes;
  };
  for (const name of ['fetch', 'Headers', 'Request', 'Response']) {
    globalMakers[name] = () => provide()[name];
  }
};
