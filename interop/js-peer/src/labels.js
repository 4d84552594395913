/** RDFC-1.0 of quads: the work is limited before it begins (page 04, HIRE-LD-06 and HIRE-LD-08), then the library labels what needs it. */
import { canonize, NQuads } from 'rdf-canonize';
import { check } from './errors.js';
import { hash } from './encoding.js';

const [QUADS, BLANK_NODES, STEPS] = [4096, 64, 10_000];
const PLACES = /** @type {const} */ ([['s', 'subject'], ['o', 'object'], ['g', 'graph']]);
const isBlank = (/** @type {any} */ term) => term.termType === 'BlankNode';
/** By code points, which JavaScript does not compare by. @param {string[]} lines */
const sorted = (lines) => lines.map((line) => Buffer.from(line)).sort(Buffer.compare).map(String);
/** @param {any} quad @param {(name: string) => string} name of blank nodes */
const written = ({ subject, predicate, object, graph }, name) => {
  const [s, o, g] = [subject, object, graph].map((term) => (isBlank(term) ? { ...term, value: name(term.value) } : term));
  return NQuads.serializeQuadComponents(s, predicate, o, g);
};

/** For the library, which would hash lines in another order: it sorts by UTF-16. */
class Digest {
  /** @type {string[]} */ parts = [];

  /** @param {(text: string) => string} of */
  constructor(of) { this.of = of; }

  /** @param {string} part */
  update(part) { this.parts.push(part); }

  async digest() { return this.of((this.parts.every((part) => part.endsWith(' .\n')) ? sorted(this.parts) : this.parts).join('')); }
}

/** @param {any[]} quads @param {'sha256' | 'sha384'} algorithm @returns {Promise<string>} canonical N-Quads */
export async function canonical(quads, algorithm) {
  check(quads.length <= QUADS, 'canon_limit', `${quads.length} quads`);
  /** @type {Map<string, any[]>} */ const mentions = new Map();
  for (const quad of quads) {
    for (const name of new Set(PLACES.map(([, place]) => quad[place]).filter(isBlank).map(({ value }) => value))) mentions.get(name)?.push(quad) ?? mentions.set(name, [quad]);
  }
  check(mentions.size <= BLANK_NODES, 'canon_limit', `${mentions.size} blank nodes`);
  const digest = (/** @type {string} */ text) => Buffer.from(hash(text, algorithm)).toString('hex');
  const hashes = new Map([...mentions].map(([name, of]) => [name, digest(sorted(of.map((quad) => written(quad, (other) => (other === name ? 'a' : 'z')))).join(''))]));
  const ordered = [...hashes].sort(([, a], [, b]) => (a < b ? -1 : Number(a > b)));
  let names = new Map(ordered.map(([name], i) => [name, `c14n${i}`]));
  const tied = ordered.filter(([, of], i) => of === ordered[i - 1]?.[1] || of === ordered[i + 1]?.[1]).map(([name]) => name);
  if (tied.length > 0) {
    checkWork(mentions, hashes, tied, digest);
    names = new Map();
    await canonize(quads, { algorithm: 'RDFC-1.0', createMessageDigest: () => new Digest(digest), maxWorkFactor: Infinity, canonicalIdMap: names });
  }
  return sorted(quads.map((quad) => written(quad, (name) => /** @type {string} */ (names.get(name))))).join('');
}

/**
 * Hash N-Degree Quads is walked through without hashing paths, each permutation to its end (HIRE-LD-08).
 * @param {Map<string, any[]>} mentions @param {Map<string, string>} hashes @param {string[]} tied
 * @param {(text: string) => string} digest
 */
function checkWork(mentions, hashes, tied, digest) {
  const own = new Set([...mentions.keys()].filter((name) => !tied.includes(name)));
  const linksOf = (/** @type {string} */ name, /** @type {any[]} */ of) => of.flatMap((quad) => PLACES.filter(([, place]) => isBlank(quad[place]) && quad[place].value !== name).map(([letter, place]) => {
    const other = quad[place].value;
    return { other, by: digest(`${letter}${letter === 'g' ? '' : `<${quad.predicate.value}>`}${hashes.get(other)}`) };
  }));
  const links = new Map([...mentions].map(([name, of]) => [name, linksOf(name, of).sort((a, b) => (a.by < b.by ? -1 : Number(a.by > b.by)))]));
  let steps = 0;
  const take = (/** @type {number} */ more) => { steps += more; check(steps <= STEPS, 'canon_limit', `labels take more than ${STEPS} steps`); };
  /** @param {string} name @param {Set<string>} issued @returns {void} */
  const walk = (name, issued) => {
    /** @type {Map<string, string[]>} */ const lists = new Map();
    for (const { other, by } of /** @type {ReturnType<typeof linksOf>} */ (links.get(name))) {
      take(1);
      const list = `${by} ${own.has(other) || issued.has(other) ? other : ''}`;
      lists.get(list)?.push(other) ?? lists.set(list, [other]);
    }
    for (const list of lists.values()) {
      let after = issued;
      for (const order of permutations(list)) {
        take(order.length);
        after = new Set(issued);
        const fresh = order.filter((other) => !own.has(other) && after.size < after.add(other).size);
        for (const other of fresh) walk(other, after);
      }
      after.forEach((other) => issued.add(other));
    }
  };
  for (const name of tied) walk(name, new Set([name]));
}

/** Heap's: in one array, in which each is as long as it is looked at. @param {string[]} list @returns {Generator<string[]>} */
function* permutations(list) {
  const order = [...list];
  const turns = order.map(() => 0);
  yield order;
  for (let i = 1; i < order.length;) {
    if (turns[i] === i) { turns[i] = 0; i += 1; continue; }
    const j = i % 2 ? turns[i] : 0;
    [order[i], order[j]] = [order[j], order[i]];
    turns[i] += 1;
    i = 1;
    yield order;
  }
}
