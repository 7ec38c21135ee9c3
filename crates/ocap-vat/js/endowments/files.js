// `fs`, with just the operations the vat's config enables. The kernel's host keeps them below the
// vat's folder.
(kit) => {
  const { Error, Object, Promise, String, TypeError } = globalThis;
  const { native, globalMakers } = kit;

  const pathOf = (operation, path) => {
    if (typeof path !== 'string') throw TypeError(`fs.${operation}: the path must be a string`);
    return path.toWellFormed();
  };

  const done = (operation, what, project) =>
    new Promise((resolve, reject) => {
      const fail = (text) => reject(Error(`fs.${operation}: ${text}`));
      kit.ask(
        what,
        (outcome) => {
          if (outcome.failed !== undefined) fail(outcome.failed);
          else resolve(project(outcome));
        },
        (reason) => fail(kit.reasonOf(reason)),
      );
    });

  const readFile = async (path, options = undefined) => {
    const encoding = typeof options === 'string' ? options : options?.encoding;
    if (encoding !== undefined && encoding !== null && !/^utf-?8$/i.test(String(encoding))) {
      throw TypeError(`fs.readFile: the encoding ${String(encoding)} is not supported`);
    }
    const name = pathOf('readFile', path);
    return done(
      'readFile',
      (result) => native.askReadFile(result, name),
      ({ body }) => {
        const bytes = native.fromBase64(body);
        return typeof encoding === 'string' ? native.utf8Decode(bytes, false) : bytes;
      },
    );
  };

  const access = async (path, mode = 0) => {
    const name = pathOf('access', path);
    return done('access', (result) => native.askAccess(result, name, mode & 7), () => undefined);
  };

  const existsSync = (path) => typeof path === 'string' && native.fileExists(path.toWellFormed());

  kit.enableFiles = (exists, read, canAccess) => {
    const fs = {};
    const promises = {};
    if (exists) fs.existsSync = existsSync;
    if (read) promises.readFile = readFile;
    if (canAccess) promises.access = access;
    if (Object.keys(promises).length > 0) fs.promises = promises;
    globalMakers.fs = () => fs;
  };
};
