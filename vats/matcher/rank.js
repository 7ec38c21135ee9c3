// Finds services by the words of a query (BM25), for when no language model can be asked. An index in
// memory: it asks nobody, and the same documents and query always give the same list.

const { entries } = Object;
const { log, min } = Math;

// How soon a word that is repeated says nothing more, and how much the length of a text counts: the
// values that are usual.
const SATURATION = 1.2;
const LENGTH = 0.75;

// Words of a query that are looked at, and characters of one of them.
const QUERY_WORDS_MAX = 200;
const WORD_CHARS_MAX = 60;

// English words that say nothing about what is wanted. A query of nothing else is taken as it is.
const FILLERS = new Set(
  'a an and are as at be by can do for from has have i in is it me my need of on or some that the to want with'.split(' '),
);

/** The words of a text, as they are compared: `randomInt` has two of them. */
export const wordsOf = text =>
  text
    .normalize('NFKC')
    .replace(/(\p{Ll}|\d)(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter(word => word !== '')
    .map(word => word.slice(0, WORD_CHARS_MAX))
    .map(word => (word.length > 3 && /[^s]s$/.test(word) ? word.slice(0, -1) : word));

// The words of a description and how much each counts: names say more than prose.
const documentOf = ({ apiSpec, description, providerTag }) => {
  const counts = new Map();
  const add = (text, weight) => {
    for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + weight);
  };
  const addSpec = ({ description: said = '', methods = {} }) => {
    add(said, 1);
    for (const [name, method] of entries(methods)) {
      add(name, 2);
      add(method.description ?? '', 1);
      for (const { description: parameter = '' } of method.parameters) add(parameter, 0.5);
    }
  };
  add(description, 1);
  add(providerTag, 2);
  add(apiSpec.description ?? '', 1);
  for (const { description: said = '', type } of Object.values(apiSpec.properties)) {
    add(said, 1);
    if (type.kind === 'remotable') addSpec(type.spec);
  }
  let length = 0;
  for (const count of counts.values()) length += count;
  return { counts, length };
};

/**
 * An index of descriptions by id. `search(query, most)` answers with `[{ id, score, words }]`, the best
 * first, and of equals the one added first; a service that has no word of the query is not in it.
 */
export const makeIndex = () => {
  const documents = new Map(); // id -> { counts, length }
  const holders = new Map(); // word -> Set of ids
  let length = 0;

  const remove = id => {
    const document = documents.get(id);
    if (document === undefined) return;
    documents.delete(id);
    length -= document.length;
    for (const word of document.counts.keys()) {
      const ids = holders.get(word);
      ids.delete(id);
      if (ids.size === 0) holders.delete(word);
    }
  };

  const add = (id, description) => {
    remove(id);
    const document = documentOf(description);
    documents.set(id, document);
    length += document.length;
    for (const word of document.counts.keys()) {
      if (!holders.has(word)) holders.set(word, new Set());
      holders.get(word).add(id);
    }
  };

  const search = (query, most) => {
    const said = wordsOf(query).slice(0, QUERY_WORDS_MAX);
    const telling = said.filter(word => !FILLERS.has(word));
    const wanted = new Set(telling.length > 0 ? telling : said);
    const mean = length / documents.size;
    const found = new Map(); // id -> { id, score, words }
    for (const word of wanted) {
      const ids = holders.get(word) ?? new Set();
      const rarity = log(1 + (documents.size - ids.size + 0.5) / (ids.size + 0.5));
      for (const id of ids) {
        const document = documents.get(id);
        const count = document.counts.get(word);
        const long = 1 - LENGTH + LENGTH * (document.length / mean);
        const entry = found.get(id) ?? { id, score: 0, words: [] };
        entry.score += (rarity * count * (SATURATION + 1)) / (count + SATURATION * long);
        entry.words.push(word);
        found.set(id, entry);
      }
    }
    const order = new Map([...documents.keys()].map((id, place) => [id, place]));
    const all = [...found.values()];
    all.sort((a, b) => b.score - a.score || order.get(a.id) - order.get(b.id));
    return all.slice(0, min(most, all.length));
  };

  return harden({ add, remove, search });
};
harden(makeIndex);
harden(wordsOf);
