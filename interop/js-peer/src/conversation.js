/**
 * One engagement as it runs: what was said and heard, what is still to be said, and to whom.
 *
 * All that changes it stands in its queue, one thing after another. A move of ours is signed, held against the tables as the other side will do, written to the
 * journal, and only then sent (`say`); one of theirs is checked, written, and only then acknowledged (`hear`). What the journal has, `replay` gives again.
 */
import { digest, digestOfHash, duration, fromMultibase, instant, jcs, sha256 } from './encoding.js';
import { check, HireError } from './errors.js';
import { SUITES } from './keys.js';
import { Engagement } from './machine.js';
import { readMessage, signAgain, signMessage } from './message.js';
import { countersigned, other } from './contract.js';
import { contractLeaf, keepHead, LOGGED } from './ledger.js';
import { usageOf } from './gate.js';
import { booksDiffer } from './owed.js';
import { credentialDigest } from './presentation.js';
import { weigh } from './receive.js';

const PAUSES = [5, 15, 45, 120, 300];
/** So many problems that the other side told are kept (HIRE-LIM-05). */
const PROBLEMS = 1024;
/** What a statement of the work has room for. */
const ACTIONS = 256;
/** So long what has no receipt is said again every few minutes, and after the end at all, in seconds (page 10, section 10.2). */
const REPEATED = 86400;
/** So long, in seconds, nothing is heard of a contract before it is put away: reading it again takes time. */
const QUIET = 10;
const NO_ANSWER = new Set(['Seal', 'Withdraw', 'Closing']);
/** What stands whatever the other side says of it, and what is never said in another place either (HIRE-NEG-19). */
const STANDS = new Set(['Suspend', 'Cancel', 'Terminate', 'Delivery', 'Review', 'Closing', 'Ruling']);
const SIGNED = new Set(['Acceptance', 'Seal']);
const OF_OUR_LOG = new Set(['Offer', 'Acceptance', 'Closing']);

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
    /** @type {Map<string, any>} what was booked at our gate, by the id of the action */
    this.bookings = new Map();
    /** @type {any[]} what the gate was asked for, the first of it; of the rest the number */
    this.actions = [];
    this.actionsOmitted = 0;
    /** @type {Map<string, {at: number, pause: number, repeated: number}>} what the gate refused, when that was stated, and for how long it is not again */
    this.refusals = new Map();
    /** @type {Record<string, any>} what is known besides and is no move: `index` of the contract in our log, whether that was `proved`, `waiting` for whom, `most` at once, `asked` how often */
    this.facts = {};
    /** @type {any[]} the credentials that the other side showed */
    this.shown = [];
    /** @type {{type: string, code: string}[]} */
    this.problems = [];
    /** how many of our moves the other side has shown to have: those after them are said again, `tries` times since the last new one or a start, at `newAt`, and last at `sentAt` */
    this.acked = 0;
    this.tries = 0;
    this.newAt = peer.now();
    this.sentAt = 0;
    this.heardAt = 0;
    /** number of the last `Progress` that was sent */
    this.beats = 0;
    /** when the last sign of life came, and the number of the last `Progress` that was one (HIRE-LIF-35) */
    this.signAt = 0;
    this.signs = 0;
    /** up to when, in seconds of the process, the `Progress` that came uses up what may come */
    this.signsUpTo = -Infinity;
    /** @type {{at: number, of: string[]} | undefined} the `Receipt` that is due, unless a move of ours goes before it */
    this.receipt = undefined;
    /** @type {{message: any, at: number, bytes: number}[]} all moves in the order in which they were recorded */
    this.journal = [];
    /** @type {string | undefined} the code with which a move of ours was refused for good */
    this.refused = undefined;
    /** whether the other side says that what we state of our log contradicts itself: our books are not said again before the next start (HIRE-LOG-09) */
    this.distrusted = false;
    /** @type {Set<string>} place and type of those under the contract: nobody is asked for them, so none of them is said there once more */
    this.refusedPlaces = new Set();
    /** @type {import('./papers.js').Said[]} what stood behind a move that was taken back, and is said again */
    this.standing = [];
    /** @type {Promise<any>} */
    this.queue = Promise.resolve();
    /** whether work or a review is under way, and whether a look at the clock stands in the queue */
    this.working = false;
    this.ticking = false;
    /** how much stands in the queue */
    this.waiting = 0;
    /** @type {any[]} the entry with which it begins, until that is written */
    this.begun = [];
    /** @type {number[]} where our entries stand in the store */
    this.places = [];
    /** how many of them were read again, if it was put away before */
    this.readAgain = 0;
    /** what the log has beside moves (HIRE-PCK-10) */
    this.recorded = { decisions: 0, refusals: 0 };
    /** @type {string | undefined} the last decision, which is not recorded twice */
    this.decided = undefined;
  }

  get over() { return ['withdrawn', 'closed'].includes(this.engagement.state.main) || (this.refused !== undefined && this.engagement.state.main === '-'); }

  /**
   * Whether nothing more is said of it unless the other side does, so that it can be put away: it is over, or our books are closed and the time for the others
   * is too, and each side has what the other said, or has been told for a day (HIRE-CHN-12).
   */
  isDone() {
    const { main, since, closings, contract, terms, lane } = this.engagement.state;
    const now = this.peer.now();
    const close = main === 'closing' && closings[this.role] ? duration(terms.deadlines.close) : 0;
    const ended = (since ?? this.heardAt) + close;
    if (this.working || this.waiting > 0 || !(this.over || (close > 0 && now > ended))) return false;
    const settled = this.own.length === this.acked && !this.receipt && lane !== `accepted-by-${this.role}`;
    const said = Math.max(ended, this.own.at(-1)?.at ?? 0); // books may be closed late
    return (settled && (!contract || now > this.heardAt + QUIET)) || now > said + REPEATED;
  }

  get own() { return this.engagement.moves[this.role]; }
  get theirs() { return this.engagement.moves[other(this.role)]; }

  /** What waits for the other side, oldest first: an acceptance until it is answered (HIRE-NEG-13), and the moves that it has not shown to have. */
  get unanswered() {
    const { main, lane, accepted } = this.engagement.state;
    const inDoubt = [main, lane].includes(`accepted-by-${this.role}`) && accepted.sequence <= this.acked;
    const untold = this.own.slice(this.acked);
    return [...(inDoubt ? [accepted] : []), ...(this.distrusted ? untold.filter(({ digest: name }) => this.engagement.messages[name].type !== 'Closing') : untold)];
  }

  /** The suites that a notice of the other side's may be in: any while its sender had neither made nor seen the `Profile`, then the one chosen (HIRE-PRF-02). @param {any} notice @returns {string[]} */
  suitesOf({ role, seen, sequence }) {
    const { profile } = this.engagement.state;
    const before = role === 'hirer' ? seen === undefined : sequence === 0;
    return profile && !before ? [profile.suite] : Object.keys(SUITES);
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
    this.waiting += 1;
    const done = this.queue.then(act).finally(() => { this.waiting -= 1; });
    this.queue = done.catch((error) => this.peer.log(this, 'error', error));
    return done;
  }

  // ---------------------------------------------------------------- said

  /** Whether the store has it decides; so it is signed, stored, and only then sent. @param {import('./papers.js').Said} said */
  async say({ type, body, sealed, decisions = [] }) {
    const { engagement, peer } = this;
    const now = peer.now();
    const suite = engagement.state.profile?.suite ?? body.suite ?? peer.suites[0];
    /** @type {string} */ let text;
    /** @type {number} */ let place;
    do { // where its leaf will stand is signed, and meanwhile another engagement may have added one
      place = peer.ledger.size;
      const ledger = sealed ? { ledger: { log: peer.did, index: place, leaf: digestOfHash(contractLeaf(sealed)) } } : {};
      const content = { ...this.envelope(type, this.own.length + 1, body.version), ...body, ...ledger };
      text = JSON.stringify(await signMessage(content, peer.key, suite, now));
    } while (sealed && peer.ledger.size !== place);
    const message = readMessage(Buffer.from(text)); // what was signed, whoever still holds parts of what it was made of
    const judged = engagement.judge(message, { at: now, bytes: Buffer.byteLength(text) });
    check(judged.outcome === 'applies', 'wrong_state', `${type} moves nothing`);
    const takes = !engagement.state.contract && (type === 'Offer' ? message.document.terms : type === 'Acceptance' && engagement.state.live.document.terms);
    if (takes && !peer.books.fits(this, takes)) throw new HireError('overloaded', 'another engagement was sooner'); // the next turn says so
    peer.write(this, { k: 'sent', at: now, engagement: this.id, raw: text }, ...this.#leaves(now, message, text, sealed), ...this.#decided(now, decisions));
    engagement.commit(message, judged);
    if (type === 'Seal') peer.books.count();
    this.keep(message, text, now);
    this.receipt = undefined;
    this.sent(now);
    peer.send(this, text);
    return message;
  }

  /** The leaves of a move, that of a contract or change first. @param {number} at @param {any} message @param {string} text @param {any} [sealed] */
  #leaves(at, { type }, text, sealed) {
    const contract = sealed ? [this.leaf(at, 'contract', sha256(jcs(sealed)))] : [];
    return [...contract, ...(LOGGED.has(type) ? [this.leaf(at, 'move', sha256(text))] : [])];
  }

  /** @param {number} at @param {'contract' | 'move' | 'refusal' | 'decision'} label @param {Uint8Array} hash @param {string} [salt] */
  leaf(at, label, hash, salt) { return { k: 'leaf', at, engagement: this.id, label, commitment: digestOfHash(hash), ...(salt ? { salt } : {}) }; }

  /** Entries of decisions; equal ones are one. @param {number} at @param {import('./judge.js').Decision[]} decisions */
  #decided(at, decisions) {
    const unlike = decisions.filter(({ text }, i) => text !== (decisions[i - 1]?.text ?? this.decided));
    return unlike.flatMap(({ text, salt, documents }) => [
      { k: 'decision', at, engagement: this.id, text, documents }, this.leaf(at, 'decision', sha256(Buffer.concat([fromMultibase(salt), Buffer.from(text)])), salt),
    ]);
  }

  /** Goes on from an entry of the journal. @param {any} entry */
  replay(entry) {
    if (entry.k === 'sent' || entry.k === 'got') {
      const message = JSON.parse(entry.raw);
      this.engagement.take(message, { at: entry.at, bytes: Buffer.byteLength(entry.raw) });
      this.keep(message, entry.raw, entry.at);
      if (entry.k === 'got') this.#heard(message, entry);
    } else if (entry.k === 'back') {
      this.#back(entry.name, entry.code, entry);
    } else if (entry.k === 'again') this.raw.set(entry.name, entry.raw);
    else if (entry.k === 'booked') {
      this.bookings.set(entry.id, { clause: entry.clause, charges: entry.charges });
      this.took(entry.taken);
    } else if (entry.k === 'refused') {
      this.took(entry.taken);
      this.refusedAt(entry.name, entry.at);
    }
  }

  /** @param {string} name @param {number} at */
  refusedAt(name, at) {
    this.refusals.set(name, { at, pause: 2 * (this.refusals.get(name)?.pause ?? 30), repeated: 0 });
  }

  /** What of an entry is known once it is stored. @param {any} entry */
  stored({ k, text }) {
    if (k === 'refused') this.recorded.refusals += 1;
    if (k !== 'decision') return;
    this.recorded.decisions += 1;
    this.decided = text;
  }

  /** What a move that was recorded tells beside its effect. @param {any} message @param {{outcome: string, evidence?: any, documents?: any[], held?: string[]}} of */
  #heard(message, { outcome, evidence, documents = [], held }) {
    const counts = (/** @type {any} */ { id }) => id === this.with || (id !== this.peer.did && message.type !== 'Presentation');
    for (const one of [...(evidence ? [evidence] : []), ...documents].filter(counts)) this.engagement.shown(one);
    keepHead(this.peer.heads, message);
    this.acked = Math.max(this.acked, this.engagement.seenOf(message));
    if (held) this.shown = (message.presentation.verifiableCredential ?? []).filter((/** @type {any} */ one) => held.includes(credentialDigest(one)));
  }

  /** @param {any} message @param {string} text @param {number} at */
  keep(message, text, at) {
    this.raw.set(digest(message), text);
    this.journal.push({ message, at, bytes: Buffer.byteLength(text) });
    const again = message.role === this.role ? this.standing.findIndex(({ type }) => type === message.type) : -1;
    this.standing.splice(0, again + 1);
  }

  /**
   * Takes a move of ours back, and what we sent after it: the peer has refused it for good (HIRE-NEG-19). The engagement stays the same object, which work and
   * reviews that are under way look at.
   * @param {string} name
   */
  takeBack(name) {
    const { engagement, role } = this;
    const from = this.journal.findIndex(({ message }) => digest(message) === name);
    const [{ message: first }, ...after] = this.journal.splice(from);
    if (engagement.state.contract) this.refusedPlaces.add(`${first.sequence} ${first.type}`);
    this.standing.push(...after.filter(({ message }) => STANDS.has(message.type)).map(({ message }) => ({ type: message.type, body: said(message) })));
    const { documents, seen } = engagement;
    Object.assign(engagement, new Engagement(role), { documents });
    for (const { message, ...facts } of this.journal) engagement.take(message, facts);
    engagement.seen[other(role)] = Math.min(seen[other(role)], this.own.length); // what a notice told of the moves before it
  }

  /** Whether the peer refused for good what is to be said now, in the place that is next, or would refuse it. @param {import('./papers.js').Said | undefined} said */
  refuses(said) { return said !== undefined && (this.refusedPlaces.has(`${this.own.length + 1} ${said.type}`) || (this.distrusted && said.type === 'Closing')); }

  /** Says again what stood behind a move that was taken back, where it still has its row. */
  async sayAgain() {
    for (let [first] = this.standing; first; [first] = this.standing) {
      try { await this.say(first); } catch (error) {
        if (!(error instanceof HireError)) throw error;
        this.standing.shift(); // such as for a deadline that is none without what was refused
      }
    }
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
    this.newAt = now;
    this.sentAt = now;
    this.tries = 0;
  }

  /** Says again what waits for the other side; signed again where the proof is past. @returns {Promise<number>} how many bytes that is */
  async repeat() {
    const now = this.peer.now();
    let bytes = 0;
    this.sentAt = now;
    for (const { digest: name } of this.unanswered) {
      const message = JSON.parse(/** @type {string} */ (this.raw.get(name)));
      if (Date.parse(message.proof.expires) / 1000 < now + 5) {
        const text = JSON.stringify(await signAgain(message, this.peer.key, message.proof.cryptosuite, now));
        this.peer.write(this, { k: 'again', at: now, engagement: this.id, name, raw: text });
        this.raw.set(name, text);
      }
      const text = /** @type {string} */ (this.raw.get(name));
      bytes += Buffer.byteLength(text);
      this.peer.send(this, text);
    }
    return bytes;
  }

  /** The same because the other side asks: a `Sync` is small, and what is said again for it may be much. What it may not ask for comes again by time. */
  async repeatAsked() {
    if (this.peer.mayAsk(this.with)) this.peer.saidAgain(this.with, await this.repeat());
  }

  // ---------------------------------------------------------------- heard

  /** A move that arrived. @param {any} message @param {string} text */
  async hear(message, text) {
    const { peer, engagement } = this;
    const at = peer.now();
    const found = await weigh(engagement, message, { resolver: peer.resolver, own: peer.did, at, bytes: Buffer.byteLength(text), heads: peer.heads, log: peer.ledger, continues: (named) => peer.saidNo(this.with, named) });
    const name = digest(message);
    if (found.outcome !== 'repeat') {
      const { live, accepted } = engagement.state;
      const sealed = message.type === 'Seal' && found.outcome === 'applies' ? countersigned(live.document, accepted.proof) : undefined;
      const documents = found.documents.filter((one) => !engagement.holds(one));
      const of = {
        outcome: found.outcome, ...(engagement.holds(found.evidence) ? {} : { evidence: found.evidence }), ...(documents.length ? { documents } : {}),
        ...(found.credentials ? { held: found.credentials.map(credentialDigest) } : {}),
      };
      peer.write(this, { k: 'got', at, engagement: this.id, raw: text, ...of }, ...this.#leaves(at, message, text, sealed));
      found.commit();
      if (message.type === 'Seal') peer.books.count();
      for (const one of engagement.early.filter(({ move }) => move === name)) peer.log(this, 'before its time', JSON.stringify(one)); // HIRE-LIF-34
      const differs = message.type === 'Closing' && found.outcome === 'applies' ? booksDiffer(engagement.state, message, usageOf(this)) : [];
      if (differs.length) peer.log(this, 'the books differ', differs.join('; '));
      this.keep(message, text, at);
      this.#heard(message, of);
    }
    this.heardAt = at;
    if (found.outcome !== 'repeat') this.signAt = at;
    await this.acknowledge(message, name, found.outcome);
    return found.outcome;
  }

  /** @param {any} message @param {string} name @param {string} outcome */
  async acknowledge(message, name, outcome) {
    const now = this.peer.now();
    // what is said again need not be the answer to what came again, so that has its receipt too
    if (['repeat', 'late'].includes(outcome)) await this.repeatAsked();
    const { of } = this.receipt ?? { of: [] };
    const soon = NO_ANSWER.has(message.type) || this.over || outcome !== 'applies';
    this.receipt = { at: now + (soon ? 0 : 1), of: [...of, name].slice(-64) };
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

  /** A `Progress` that came is a sign of life if it is news of this contract (HIRE-LIF-35). @param {any} message */
  sign({ role, contract, number }) {
    if (role !== 'provider' || contract !== this.engagement.state.contract || number <= this.signs) return;
    this.signs = number;
    this.signAt = this.peer.now();
  }

  /** A notice that arrived and whose proof holds. @param {any} message @param {string} text @param {import('./did.js').Document} [evidence] the document by which it was checked */
  async notice(message, text, evidence) {
    const seen = this.engagement.hear(message);
    this.heardAt = this.peer.now();
    this.acked = Math.max(this.acked, seen);
    if (message.type === 'Progress') this.sign(message);
    if (message.type === 'Receipt' && message.waiting) this.facts.waiting = message.waiting;
    if (message.type === 'Problem') this.problem(message, text, evidence);
    const inPlace = message.type === 'Receipt' && !message.of.length && !message.waiting; // of a side for which it is over (HIRE-SYN-02)
    if (inPlace && this.own.length > this.acked) await this.repeatAsked();
    if (message.type !== 'Sync') return;
    if (this.own.length > this.acked) await this.repeatAsked(); // what it once had is not said again, whatever it says now (HIRE-CHN-13)
    else if (this.over) await this.tell('Receipt', { of: [], receivedAt: instant(this.heardAt) }); // it says no `Sync` of its own (HIRE-SYN-02)
  }

  /** @param {any} message @param {string} text @param {import('./did.js').Document} [evidence] */
  problem(message, text, evidence) {
    const of = this.engagement.messages[message.of];
    if (this.problems.length < PROBLEMS) this.problems.push({ type: of?.type ?? '', code: message.code });
    if (message.code === 'ledger_diverged' && of?.role === this.role && OF_OUR_LOG.has(of.type)) this.distrusted = true;
    if (!message.final || !this.#givesWay(of)) return;
    const shown = evidence && !this.engagement.holds(evidence) ? { evidence } : {};
    this.peer.write(this, { k: 'back', at: this.peer.now(), engagement: this.id, name: message.of, code: message.code, raw: text, ...shown });
    this.#back(message.of, message.code, shown);
    const heard = this.theirs.at(-1);
    if (heard) this.receipt ??= { at: this.peer.now(), of: [heard.digest] }; // what was taken back was the answer
  }

  /** @param {string} name @param {string} code @param {{evidence?: import('./did.js').Document}} shown */
  #back(name, code, { evidence }) {
    if (evidence) this.engagement.shown(evidence);
    this.takeBack(name);
    this.refused = code;
  }

  /** Whether a move of ours that was refused for good leaves its place free (HIRE-NEG-19). @param {any} of */
  #givesWay(of) {
    if (of?.role !== this.role || of.sequence <= this.acked) return false;
    if (STANDS.has(of.type) || (of.type === 'Withdraw' && !this.engagement.state.contract)) return false;
    const from = this.journal.slice(this.journal.findIndex(({ message }) => message === of));
    return from.every(({ message: { role, type } }) => role === this.role && !SIGNED.has(type));
  }

  /** What is due by the clock: receipts and repeats. */
  async tick() {
    const now = this.peer.now();
    if (this.receipt && now >= this.receipt.at) {
      const { of } = this.receipt;
      this.receipt = undefined;
      await this.tell('Receipt', { of, receivedAt: instant(now), ...this.place() });
    }
    const pause = now < this.newAt + REPEATED ? PAUSES[Math.min(this.tries, PAUSES.length - 1)] : REPEATED;
    if (this.unanswered.length > 0 && now >= this.sentAt + pause) {
      this.tries += 1;
      await this.repeat();
    }
  }

  /** The proof that the contract is in our log, once (HIRE-LOG-02). */
  place() {
    const index = this.facts.index;
    if (index === undefined || this.facts.proved || this.engagement.state.contract === undefined) return {};
    this.facts.proved = true;
    return { checkpoint: this.peer.checkpoint(), inclusion: this.peer.ledger.inclusion(index) };
  }
}

const ENVELOPE = new Set(['@context', 'id', 'type', 'version', 'engagement', 'sender', 'recipient', 'role', 'sequence', 'previous', 'seen', 'proof']);

/** What a message says beside its envelope. @param {any} message */
const said = (message) => Object.fromEntries(Object.entries(message).filter(([name]) => !ENVELOPE.has(name)));
