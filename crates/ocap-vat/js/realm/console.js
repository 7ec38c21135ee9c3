// `console`: text for the kernel's log. The engine sets `__ocap.log(level, text)`; without it
// nothing is printed. Levels are `debug`, `info`, `warn` and `error`.
'use strict';
(() => {
  const ocap = globalThis.__ocap;
  const { assert, harden } = ocap;

  // Longer lines are cut, so that one call cannot flood the log.
  const LINE_CHARS_MAX = 16_384;
  // Deeper groups are not indented any further.
  const INDENT_LEVELS_MAX = 16;
  // More labels than this are not counted.
  const COUNTERS_MAX = 256;

  let depth = 0;
  const counters = new Map();

  const show = value => {
    if (typeof value === 'string') {
      return value;
    }
    if (value instanceof Error) {
      const { name, message, stack } = value;
      const head = `${name}: ${message}`;
      return typeof stack === 'string' && stack !== '' ? `${head}\n${stack.trimEnd()}` : head;
    }
    return String(assert.quote(value));
  };
  const showSafely = value => {
    try {
      return show(value);
    } catch (_) {
      return '[unprintable]';
    }
  };

  // `%s` and its kin in the first argument take the next ones.
  const format = args => {
    const rest = [...args];
    const words = [];
    if (typeof rest[0] === 'string' && rest.length > 1 && rest[0].includes('%')) {
      const template = rest.shift();
      words.push(
        template.replace(/%[sdifjoOc%]/g, hole => {
          if (hole === '%%') {
            return '%';
          }
          if (rest.length === 0) {
            return hole;
          }
          const value = rest.shift();
          return hole === '%c' ? '' : showSafely(value);
        }),
      );
    }
    for (const value of rest) {
      words.push(showSafely(value));
    }
    return words.join(' ');
  };

  const emit = (level, args) => {
    const { log } = ocap;
    if (typeof log !== 'function') {
      return;
    }
    const text = '  '.repeat(Math.min(depth, INDENT_LEVELS_MAX)) + format(args);
    log(level, text.length > LINE_CHARS_MAX ? `${text.slice(0, LINE_CHARS_MAX)}...` : text);
  };
  const group = (...args) => {
    emit('info', args);
    depth += 1;
  };
  const ignore = () => {};

  const console = harden({
    assert(condition, ...args) {
      if (!condition) {
        emit('error', ['Assertion failed:', ...args]);
      }
    },
    clear: ignore,
    count(label = 'default') {
      const name = String(label);
      const count = (counters.get(name) ?? 0) + 1;
      if (counters.has(name) || counters.size < COUNTERS_MAX) {
        counters.set(name, count);
      }
      emit('info', [`${name}: ${count}`]);
    },
    countReset(label = 'default') {
      counters.delete(String(label));
    },
    debug: (...args) => emit('debug', args),
    dir: value => emit('info', [value]),
    dirxml: (...args) => emit('info', args),
    error: (...args) => emit('error', args),
    group,
    groupCollapsed: group,
    groupEnd() {
      depth = Math.max(0, depth - 1);
    },
    info: (...args) => emit('info', args),
    log: (...args) => emit('info', args),
    table: value => emit('info', [value]),
    // There is no clock here.
    time: ignore,
    timeEnd: ignore,
    timeLog: ignore,
    trace: (...args) => emit('debug', args),
    warn: (...args) => emit('warn', args),
  });
  ocap.defineGlobal('console', console);
  ocap.console = console;
})();
