// `vatPowers.logger`: a console, and loggers below it, whose lines begin with their tags.
(kit) => {
  const { Array, TypeError } = globalThis;
  const { harden } = kit.ocap;
  const { console } = kit;
  const METHODS = ['debug', 'info', 'log', 'warn', 'error'];

  const tagsOf = (options) => {
    if (typeof options === 'string') return [options];
    const { tags = [] } = options;
    if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string')) {
      throw TypeError('the tags of a logger must be an array of strings');
    }
    return [...tags];
  };

  // The first argument may be a template for the others; a tag never is.
  const tagged = (prefix, args) => {
    const [first, ...rest] = args;
    if (typeof first === 'string' && rest.length > 0) return [`%s ${first}`, prefix, ...rest];
    return ['%s', prefix, ...args];
  };

  const makeLogger = (tags) => {
    const prefix = `[${tags.join(', ')}]`;
    const logger = {
      subLogger: (options = {}) => {
        const more = tagsOf(options).filter((tag) => !tags.includes(tag));
        return makeLogger([...tags, ...more]);
      },
    };
    for (const method of METHODS) {
      logger[method] =
        tags.length === 0
          ? console[method]
          : (...args) => console[method](...tagged(prefix, args));
    }
    return harden(logger);
  };

  kit.makeLogger = () => harden({ ...console, ...makeLogger([]) });
};
