/** One engagement as it runs: what was said and heard, what is still to be said, and to whom. */
import { digest, duration, instant } from './encoding.js';
import { HireError } from './errors.js';
import { SUITES } from './keys.js';
import { Engagement } from './machine.js';
import { signAgain, signMessage } from './message.js';
import { other } from './contract.js';
import { contractLeaf, inclusion, keepHead } from './ledger.js';
import { weigh } from './receive.js';

const PAUSES = [5, 15, 45, 120, 300];
/** So many problems that the other side told are kept (HIRE-LIM-05). */
const PROBLEMS = 1024;
/** What a statement of the work has room for. */
const ACTIONS = 256;
const NO_ANSWER = new Set(['Seal', 'Withdraw', 'Closing']);

export class Conversation {
  /**
   * @param {import('./peer.js').Peer} peer
   * @param {{id: string, role: 'hirer' | 'provider', with: string, url?: string, order?: any}} of
   */
  constructor(peer, of) {
    this.peer = peer;
    this.id = of.id;
    this.role = of.role;
    this.with = of.with;
    this.url = of.url;
    this.order = of.order;
    this.engagement = new Engagement(of.role);
    /** @type {Map<string, string>} the texts of moves, by digest */
    this.raw = new Map();
    /** @type {Map<string, any>} */
    this.bookings = new Map();
    /** @type {any[]} what the gate was asked for, the first of it; of the rest the number */
    this.actions = [];
    this.actionsOmitted = 0;
    /** @type {Map<string, {at: number, repeated: number}>} what the gate refused, and when that was stated */
    this.refusals = new Map();
    /** @type {Record<string, any>} */
    this.facts = {};
    /** @type {any[]} the credentials that the other side showed */
    this.shown = [];
    /** @type {{type: string, code: string}[]} */
    this.problems = [];
    this.acked = 0;
    this.heardAt = 0;
    this.tries = 0;
    this.sentAt = 0;
    this.beats = 0;
    /** up to when, in seconds of the process, the `Progress` that came uses up what may come */
    this.signsUpTo = -Infinity;
    /** @type {{at: number, of: string[]} | undefined} */
    this.receipt = undefined;
    /** @type {{message: any, at: number, bytes: number}[]} all moves in the order in which they were recorded */
    this.journal = [];
    /** @type {string | undefined} the code with which a move of ours was refused for good */
    this.refused = undefined;
    /** @type {Promise<any>} */
    this.queue = Promise.resolve();
    this.working = false;
    this.ticking = false;
  }

  get over() { return ['withdrawn', 'closed'].includes(this.engagement.state.main) || (this.refused !== undefined && this.engagement.state.main === '-'); }
  get own() { return this.engagement.moves[this.role]; }
  get theirs() { return this.engagement.moves[other(this.role)]; }

  /** The suites of its notices: any before one was chosen, then those that were offered, because notices cross. @returns {string[]} */
  get suites() {
    const { profile, inquiry } = this.engagement.state;
    return profile ? inquiry.suites : Object.keys(SUITES);
  }

  /** The last message of a type, as a side said it. @param {string} type @param {string} [role] @returns {any} */
  last(type, role) {
    const found = [...Object.values(this.engagement.messages)].filter((one) => one.type === type && (role === undefined || one.role === role));
    return found.at(-1);
  }

  /** @param {any} action */
  took(action) {
    if (this.actions.length < ACTIONS) this.actions.push(action); else this.actionsOmitted += 1;
  }

  /** One thing after another. @template T @param {() => Promise<T>} act @returns {Promise<T>} */
  enqueue(act) {
    const done = this.queue.then(act);
    this.queue = done.catch((error) => this.peer.log(this, 'error', error));
    return done;
  }

  // ---------------------------------------------------------------- said

  /** Whether the store has it decides; so it is signed, stored, and only then sent. @param {{type: string, body: any, leaf?: Buffer}} said */
  async say({ type, body, leaf }) {
    const { engagement, peer } = this;
    const now = peer.now();
    const suite = engagement.state.profile?.suite ?? body.suite ?? peer.suites[0];
    const content = { ...this.envelope(type, this.own.length + 1, body.version), ...body };
    const text = JSON.stringify(await signMessage(content, peer.key, suite, now));
    const message = JSON.parse(text); // what was signed, whoever still holds parts of what it was made of
    const judged = engagement.judge(message, { at: now, bytes: Buffer.byteLength(text) });
    peer.store.add({ k: 'sent', at: now, engagement: this.id, raw: text }, ...(leaf ? [{ k: 'leaf', at: now, engagement: this.id, leaf: leaf.toString('hex') }] : []));
    engagement.commit(message, judged);
    this.keep(message, text, now);
    this.receipt = undefined;
    this.sent(now);
    peer.send(this, text);
    return message;
  }

  /** @param {any} message @param {string} text @param {number} at */
  keep(message, text, at) {
    this.raw.set(digest(message), text);
    this.journal.push({ message, at, bytes: Buffer.byteLength(text) });
  }

  /** Takes a move of ours back, and what we sent after it: the peer has refused it for good (HIRE-NEG-19). @param {string} name */
  takeBack(name) {
    const from = this.journal.findIndex(({ message }) => digest(message) === name);
    this.journal = this.journal.filter(({ message }, i) => i < from || message.role !== this.role);
    const { documents } = this.engagement;
    this.engagement = new Engagement(this.role);
    this.engagement.documents = documents;
    for (const { message, ...facts } of this.journal) this.engagement.take(message, facts);
  }

  /** @param {string} type @param {number} sequence @param {string} [version] */
  envelope(type, sequence, version) {
    const previous = this.own.at(-1)?.digest;
    const seen = this.theirs.at(-1)?.digest;
    return {
      type, version: version ?? '1.0', engagement: this.id, sender: this.peer.did, recipient: this.with, role: this.role, sequence,
      ...(previous ? { previous } : {}), ...(seen ? { seen } : {}),
    };
  }

  /** A notice: it takes no place and is not kept. @param {string} type @param {any} body */
  async tell(type, body) {
    const { state } = this.engagement;
    const suite = state.profile?.suite ?? state.inquiry?.suites.find((/** @type {string} */ one) => this.peer.suites.includes(one)) ?? this.peer.suites[0];
    const message = await signMessage({ ...this.envelope(type, this.own.length), ...body }, this.peer.key, suite, this.peer.now());
    this.peer.send(this, JSON.stringify(message));
  }

  /** @param {number} now */
  sent(now) {
    this.sentAt = now;
    this.tries = 0;
  }

  /** Own moves that the peer has not shown to have, oldest first; signed again where the proof is past. */
  async repeat() {
    const now = this.peer.now();
    this.sentAt = now;
    for (const { digest: name } of this.own.slice(this.acked)) {
      const message = JSON.parse(/** @type {string} */ (this.raw.get(name)));
      if (Date.parse(message.proof.expires) / 1000 < now + 5) {
        const text = JSON.stringify(await signAgain(message, this.peer.key, message.proof.cryptosuite, now));
        this.peer.store.add({ k: 'again', at: now, engagement: this.id, name, raw: text });
        this.raw.set(name, text);
      }
      this.peer.send(this, /** @type {string} */ (this.raw.get(name)));
    }
  }

  // ---------------------------------------------------------------- heard

  /** A move that arrived. @param {any} message @param {string} text */
  async hear(message, text) {
    const { peer, engagement } = this;
    const at = peer.now();
    const found = await weigh(engagement, message, { resolver: peer.resolver, own: peer.did, at, bytes: Buffer.byteLength(text), heads: peer.heads });
    const name = digest(message);
    if (found.outcome !== 'repeat') {
      const { live, accepted } = engagement.state;
      const leaf = message.type === 'Seal' && found.outcome === 'applies' ? this.leafOf(live.document, accepted.proof) : undefined;
      const got = { k: 'got', at, engagement: this.id, raw: text, outcome: found.outcome, evidence: found.evidence };
      peer.store.add(got, ...(leaf ? [{ k: 'leaf', at, engagement: this.id, leaf: leaf.toString('hex') }] : []));
      if (leaf) peer.leaf(this, leaf.toString('hex'));
      found.commit();
      for (const one of engagement.early.filter(({ move }) => move === name)) peer.log(this, 'before its time', JSON.stringify(one)); // HIRE-LIF-34
      if (found.outcome === 'applies') keepHead(peer.heads, message);
      this.keep(message, text, at);
      if (found.credentials) this.shown = found.credentials;
      this.acked = Math.max(this.acked, engagement.seenOf(message));
    }
    this.heardAt = at;
    await this.acknowledge(message, name, found.outcome);
    return found.outcome;
  }

  /** @param {any} message @param {string} name @param {string} outcome */
  async acknowledge(message, name, outcome) {
    const now = this.peer.now();
    if (outcome === 'repeat' && this.own.length > this.acked) return this.repeat();
    if (outcome === 'late') await this.repeat();
    const { of } = this.receipt ?? { of: [] };
    const soon = NO_ANSWER.has(message.type) || this.over || outcome !== 'applies';
    this.receipt = { at: now + (soon ? 0 : 1), of: [...of, name].slice(-64) };
    return undefined;
  }

  /** Whether a `Progress` is taken now: one in its time, and one more that a carrier was slow with (HIRE-LIM-04). @param {boolean} takes whether it is */
  hearsProgress(takes = false) {
    const { heartbeat } = this.engagement.state.terms?.deadlines ?? { heartbeat: 'PT1M' };
    const apart = Math.min(5, duration(heartbeat) / 2);
    const now = performance.now() / 1000;
    const room = this.signsUpTo <= now + apart;
    if (takes) this.signsUpTo = Math.max(this.signsUpTo, now) + apart;
    return room;
  }

  /** A notice that arrived and whose proof holds. @param {any} message @param {string} text */
  async notice(message, text) {
    const seen = this.engagement.hear(message);
    this.heardAt = this.peer.now();
    this.acked = Math.max(this.acked, seen);
    if (message.type === 'Receipt' && message.waiting) this.facts.waiting = message.waiting;
    if (message.type === 'Problem') this.problem(message, text);
    if (message.type === 'Sync' && seen < this.own.length) {
      this.acked = seen;
      await this.repeat();
    }
  }

  /** @param {any} message @param {string} text */
  problem(message, text) {
    const of = this.engagement.messages[message.of];
    if (this.problems.length < PROBLEMS) this.problems.push({ type: of?.type ?? '', code: message.code });
    const ours = of?.role === this.role && of.sequence > this.acked && !['Acceptance', 'Seal', 'Withdraw'].includes(of.type);
    if (!message.final || !ours || this.engagement.state.contract) return;
    this.peer.store.add({ k: 'back', at: this.peer.now(), engagement: this.id, name: message.of, code: message.code, raw: text });
    this.takeBack(message.of);
    this.refused = message.code;
  }

  /** What is due by the clock: receipts and repeats. */
  async tick() {
    const now = this.peer.now();
    if (this.receipt && now >= this.receipt.at) {
      const { of } = this.receipt;
      this.receipt = undefined;
      await this.tell('Receipt', { of, receivedAt: instant(now), ...this.place() });
    }
    if (this.own.length > this.acked && now >= this.sentAt + PAUSES[Math.min(this.tries, PAUSES.length - 1)]) {
      this.tries += 1;
      await this.repeat();
    }
  }

  /** The proof that the contract is in our log, once (HIRE-LOG-02). */
  place() {
    const index = this.facts.index;
    if (index === undefined || this.facts.proved || this.engagement.state.contract === undefined) return {};
    this.facts.proved = true;
    return { checkpoint: this.peer.checkpoint(), inclusion: inclusion(this.peer.leaves, index) };
  }

  /** The leaf of a document with both proofs, and where it will stand. @param {any} document @param {any} proof */
  leafOf(document, proof) {
    const { proof: first, ...rest } = document;
    return contractLeaf({ ...rest, proof: [first, proof] });
  }
}
