// `URL` and `URLSearchParams`. What a URL is made of the engine's host says; here is only its text.
(kit) => {
  const { Array, Object, Reflect, String, Symbol, TypeError } = globalThis;
  const { iterator } = Symbol;
  const { native, globalMakers } = kit;
  const { defineProperty } = Object;

  const textOf = (value) => String(value).toWellFormed();

  const PARTS = [
    'hash',
    'host',
    'hostname',
    'href',
    'password',
    'pathname',
    'port',
    'protocol',
    'search',
    'username',
  ];

  const makeClasses = () => {
    // Of a search belonging to a URL: reads its list again, and tells the URL of a change.
    let linkSearch;
    let readSearch;

    class URLSearchParams {
      #list = []; // [name, value] pairs

      #changed = () => {};

      static {
        linkSearch = (search, changed) => {
          search.#changed = changed;
        };
        readSearch = (search, text) => {
          search.#list = parse(text);
        };
      }

      constructor(init = '') {
        if ((typeof init === 'object' && init !== null) || typeof init === 'function') {
          const pairs = init[iterator] === undefined ? Object.entries(init) : init;
          for (const pair of pairs) {
            const [name, value, ...rest] = pair;
            if (value === undefined || rest.length > 0) {
              throw TypeError('URLSearchParams: each pair must have two members');
            }
            this.#list.push([textOf(name), textOf(value)]);
          }
        } else {
          const text = textOf(init);
          this.#list = parse(text.startsWith('?') ? text.slice(1) : text);
        }
      }

      get size() {
        return this.#list.length;
      }

      append(name, value) {
        this.#list.push([textOf(name), textOf(value)]);
        this.#changed();
      }

      delete(name, value = undefined) {
        const [key, wanted] = [textOf(name), value];
        this.#list = this.#list.filter(
          ([n, v]) => n !== key || (wanted !== undefined && v !== textOf(wanted)),
        );
        this.#changed();
      }

      get(name) {
        const key = textOf(name);
        const found = this.#list.find(([n]) => n === key);
        return found === undefined ? null : found[1];
      }

      getAll(name) {
        const key = textOf(name);
        return this.#list.filter(([n]) => n === key).map(([, value]) => value);
      }

      has(name, value = undefined) {
        const key = textOf(name);
        return this.#list.some(
          ([n, v]) => n === key && (value === undefined || v === textOf(value)),
        );
      }

      set(name, value) {
        const [key, text] = [textOf(name), textOf(value)];
        const first = this.#list.findIndex(([n]) => n === key);
        if (first === -1) {
          this.#list.push([key, text]);
        } else {
          this.#list = this.#list.filter(([n], at) => n !== key || at === first);
          this.#list[first] = [key, text];
        }
        this.#changed();
      }

      sort() {
        const before = (a, b) => (a < b ? -1 : 1);
        this.#list.sort(([a], [b]) => (a === b ? 0 : before(a, b)));
        this.#changed();
      }

      forEach(callback, thisArg = undefined) {
        for (const [name, value] of this) {
          Reflect.apply(callback, thisArg, [value, name, this]);
        }
      }

      *entries() {
        for (let at = 0; at < this.#list.length; at += 1) {
          const [name, value] = this.#list[at];
          yield [name, value];
        }
      }

      *keys() {
        for (const [name] of this.entries()) yield name;
      }

      *values() {
        for (const [, value] of this.entries()) yield value;
      }

      toString() {
        return native.formText(this.#list.flat());
      }
    }
    const named = { value: 'URLSearchParams', configurable: true };
    defineProperty(URLSearchParams.prototype, Symbol.toStringTag, named);
    defineProperty(URLSearchParams.prototype, iterator, {
      value: URLSearchParams.prototype.entries,
      writable: true,
      configurable: true,
    });

    const parse = (text) => {
      const flat = native.formPairs(text);
      return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
    };

    let partOf;
    let changePart;
    class URL {
      #href;

      #search;

      static {
        partOf = (url, name) => native.urlPart(url.#href, name);
        changePart = (url, name, value) => {
          const href = native.urlWith(url.#href, name, textOf(value));
          if (href === undefined) throw TypeError(`Invalid URL: '${textOf(value)}'`);
          url.#href = href;
          if (url.#search !== undefined) readSearch(url.#search, partOf(url, 'search').slice(1));
        };
      }

      constructor(url, base = undefined) {
        const href = native.urlParse(textOf(url), base === undefined ? undefined : textOf(base));
        if (href === undefined) throw TypeError(`Invalid URL: '${textOf(url)}'`);
        this.#href = href;
      }

      get origin() {
        return native.urlPart(this.#href, 'origin');
      }

      get searchParams() {
        if (this.#search === undefined) {
          const search = new URLSearchParams(partOf(this, 'search'));
          linkSearch(search, () => {
            this.#href = native.urlWith(this.#href, 'search', search.toString());
          });
          this.#search = search;
        }
        return this.#search;
      }

      toString() {
        return this.#href;
      }

      toJSON() {
        return this.#href;
      }

      static canParse(url, base = undefined) {
        return native.urlParse(textOf(url), base === undefined ? undefined : textOf(base)) !== undefined;
      }

      static parse(url, base = undefined) {
        return URL.canParse(url, base) ? new URL(url, base) : null;
      }
    }
    defineProperty(URL.prototype, Symbol.toStringTag, { value: 'URL', configurable: true });
    for (const name of PARTS) {
      const accessors = {
        get [name]() {
          return partOf(this, name);
        },
        set [name](value) {
          changePart(this, name, value);
        },
      };
      const { get, set } = Object.getOwnPropertyDescriptor(accessors, name);
      defineProperty(URL.prototype, name, { get, set, enumerable: true, configurable: true });
    }
    return { URL, URLSearchParams };
  };

  let classes;
  const provide = () => {
    classes ??= native.urlParse === undefined ? {} : makeClasses();
    return classes;
  };
  globalMakers.URL = () => provide().URL;
  globalMakers.URLSearchParams = () => provide().URLSearchParams;
  kit.provideUrl = provide;
};
