/** A peer: its engagements and what they share, read from the journal on disk and put away when they are over. */
import { Clock } from './clock.js';
import { Conversation } from './conversation.js';
import { answerInLane, overdue } from './deadlines.js';
import { digestOfHash, digest, engagementId, hashOfDigest, instant, jcs, newNonce } from './encoding.js';
import { endpoint, Resolver } from './did.js';
import { publicMultikey, readKey } from './keys.js';
import { HireError } from './errors.js';
import { Books } from './books.js';
import { checkpoint, leafOf, Log } from './ledger.js';
import { closing, withdraw } from './papers.js';
import { booksWait } from './untimely.js';
import { decideAsHirer } from './hirer.js';
import { decideAsProvider } from './provider.js';
import { listen, reach } from './listening.js';
import { draftTerms, sketchFor } from './terms.js';
import { Lists } from './status.js';
import { Store } from './store.js';

/** Negotiations that are in memory: with one party, if there is no contract with it, and with all of them (HIRE-LIM-02). */
const OPEN = { each: 512, all: 8192 };
/** Nonces of requests that one key may use in the time for which they are kept. */
const NONCES = 4096;
/** Bytes that are said again to one party because it asks, in a minute of so many milliseconds (page 10, section 10.4). */
const ASKED = 64 * 1024 * 1024;
const MINUTE = 60000;
const TICK = 200;
/** Seconds between two looks at the clock only where this peer stood still: its machine, its store or its clock. */
const LATE = 5;

/**
 * @typedef {{
 *   home: string, key: import('./keys.js').PrivateKey, credentials?: any[], trust?: string[], local?: boolean, port?: number, origin?: string,
 *   suites?: string[], services?: import('./provider.js').Service[], budget?: Record<string, string>, hookToken?: string, verbose?: boolean,
 *   documents?: Record<string, import('./did.js').Document>
 * }} Settings
 */

export class Peer {
  /** @param {Settings} settings */
  constructor({ home, key, credentials = [], trust = [], local = false, port = 0, origin, suites = ['eddsa-jcs-2022', 'eddsa-rdfc-2022'], services = [], budget, hookToken, verbose = false, documents }) {
    this.clock = new Clock();
    this.key = key;
    this.did = key.method.split('#')[0];
    this.credentials = credentials;
    this.local = local;
    this.port = port;
    this.origin = origin ?? '';
    this.suites = suites;
    this.services = new Map(services.map((one) => [one.task, one]));
    this.hookToken = hookToken;
    this.verbose = verbose;
    this.store = new Store(home);
    this.resolver = new Resolver({ local, documents, now: () => this.now() });
    /** @type {{needs: any[]}} what the other side is asked to show */
    this.request = { needs: trust.length ? [{ code: 'credential', credential: 'MembershipCredential', issuers: [...trust].sort() }] : [] };
    /** @type {Map<string, Conversation>} */
    this.conversations = new Map();
    /** @type {Map<string, import('./link.js').Link>} */
    this.links = new Map();
    /** @type {Map<string, {at: number, tries: number}>} when the next attempt to dial may be made, in milliseconds of the process */
    this.dials = new Map();
    this.ledger = new Log();
    this.lists = new Lists();
    this.books = new Books(this, budget);
    /** what we ask for, in canonical form, as decisions name it */
    this.policy = jcs({ name: 'trust', version: '1', require: this.request.needs.map(({ credential }) => credential) });
    /** @type {Map<string, Map<string, number>>} until when nonces are known, by the key that used them */
    this.nonces = new Map();
    /** @type {import('./ledger.js').Heads} */
    this.heads = new Map();
    /** @type {Map<string, {since: number, bytes: number}>} what each party had said again because it asked, in the minute that begins then */
    this.asked = new Map();
    this.unproved = 0;
    /** @type {import('node:http').Server | undefined} */
    this.server = undefined;
    /** @type {import('ws').WebSocketServer | undefined} */
    this.sockets = undefined;
    /** since when it is there to hear what the other side says, and when it last looked at the clock */
    this.hereSince = 0;
    this.lookedAt = 0;
    this.stopped = false;
    this.#replay();
  }

  /** UTC in seconds; it never runs back (HIRE-CLK-01). */
  now() {
    const now = Math.max(this.clock.now(), this.store?.last ?? 0, this.lookedAt);
    if (now > this.lookedAt + LATE) this.hereSince = now;
    this.lookedAt = now;
    return now;
  }

  /** @param {Conversation | undefined} conversation @param {string} what @param {any} [detail] */
  log(conversation, what, detail) {
    if (this.verbose) process.stderr.write(`${instant(this.now())} ${conversation?.id.slice(-8) ?? ''} ${what} ${detail?.stack ?? detail?.message ?? detail ?? ''}\n`);
  }

  #replay() {
    for (const { at, entries } of this.store.lines()) {
      const [{ k, engagement: id }] = entries;
      if (k === 'past') {
        const known = this.conversations.get(id);
        if (known) this.forget(known);
        continue;
      }
      const conversation = k === 'open' ? this.#opened(entries[0]) : /** @type {Conversation} */ (this.find(id, at)); // it may have been put away again since
      for (const entry of entries) conversation.replay(entry);
      this.#stored(conversation, at, entries);
    }
    this.books.count();
  }

  /** @param {any} of what an engagement begins with */
  #opened(of) {
    const conversation = new Conversation(this, { ...of, id: of.engagement });
    this.conversations.set(conversation.id, conversation);
    return conversation;
  }

  /** Stores entries of one engagement, all or none. @param {Conversation} conversation @param {...any} entries */
  write(conversation, ...entries) {
    const at = this.store.add(...conversation.begun, ...entries);
    conversation.begun = [];
    this.#stored(conversation, at, entries);
  }

  /** What follows from entries that are on disk: where the log has its leaves, and what it has of this engagement. @param {Conversation} conversation @param {number} at @param {any[]} entries */
  #stored(conversation, at, entries) {
    conversation.places.push(at);
    for (const entry of entries) {
      conversation.stored(entry);
      if (entry.k !== 'leaf') continue;
      if (entry.label === 'contract') conversation.facts.index ??= this.ledger.size; // the contract's own is the first of its engagement
      this.ledger.add(leafOf(entry.label, hashOfDigest(entry.commitment)));
    }
  }

  // ---------------------------------------------------------------- put away

  /**
   * An engagement, also one that is put away: then it is read from the journal, and is there until it is done again.
   * @param {string} id @param {number} [before] of its entries those are read that stand before this place @returns {Conversation | undefined}
   */
  find(id, before = Infinity) {
    const known = this.conversations.get(id);
    const past = known ? undefined : this.store.past(id);
    if (!past) return known;
    const lines = this.store.linesAt(past.places.filter((/** @type {number} */ at) => at < before));
    const conversation = this.#opened(lines[0].entries[0]);
    for (const { at, entries } of lines) {
      conversation.places.push(at);
      for (const entry of entries) {
        conversation.replay(entry);
        conversation.stored(entry);
      }
    }
    conversation.readAgain = lines.length;
    conversation.acked = Math.max(conversation.acked, past.acked);
    Object.assign(conversation.facts, past.facts);
    this.books.putAway(conversation, -1n);
    return conversation;
  }

  /** The engagement of a contract. @param {string} contract */
  findContract(contract) {
    const known = [...this.conversations.values()].find((one) => one.engagement.state.contract === contract);
    const id = known ? undefined : this.store.past(`contract ${contract}`);
    return id ? this.find(id) : known;
  }

  /** Keeps of an engagement that is done only where its entries stand, so that what is over costs no memory. @param {Conversation} conversation */
  #putAway(conversation) {
    const { id, places, acked, facts: { index, proved, most }, engagement: { state } } = conversation;
    if (places.length > conversation.readAgain) { // else it was only looked at
      this.store.putAway(id, { places, acked, facts: { index, proved, most } });
      if (state.contract) this.store.putAway(`contract ${state.contract}`, id);
      if (state.withdrawn?.needed?.length) this.store.putAway(`no ${digest(state.withdrawn)}`, conversation.with);
      this.store.add({ k: 'past', at: this.now(), engagement: id });
    }
    this.forget(conversation);
  }

  /** @param {Conversation} conversation */
  forget(conversation) {
    this.conversations.delete(conversation.id);
    this.books.putAway(conversation, 1n);
    if (![...this.conversations.values()].some((one) => one.with === conversation.with)) this.dials.delete(conversation.with);
  }

  /** @returns {Promise<this>} once it listens and goes on with what was unfinished */
  async start() {
    this.hereSince = this.now();
    await listen(this);
    this.timer = setInterval(() => this.#tick(), TICK);
    for (const conversation of this.conversations.values()) conversation.enqueue(() => this.turn(conversation));
    return this;
  }

  get self() { return { did: this.did, key: this.key, resolver: this.resolver, now: () => this.now(), local: this.local }; }
  get url() { return `${this.origin.replace(/^http/, 'ws')}/hire`; }

  async stop() {
    this.stopped = true;
    clearInterval(this.timer);
    for (const link of this.links.values()) link.close(1001);
    this.sockets?.close();
    this.server?.closeAllConnections?.();
    await new Promise((resolve) => { if (this.server) this.server.close(() => resolve(undefined)); else resolve(undefined); });
    await Promise.allSettled([...this.conversations.values()].map((one) => one.queue));
    this.store.close();
  }

  /** Ends as a process does that is killed: nothing more is written or said. */
  kill() {
    this.stopped = true;
    clearInterval(this.timer);
    this.store.full = true;
    for (const link of this.links.values()) link.socket.terminate();
    this.links.clear();
    this.send = () => {};
    this.server?.closeAllConnections?.();
    this.server?.close();
  }

  /** Whether a key has used a nonce already, or so many that no more are kept (HIRE-GTS-03). @param {string} keyid @param {string} nonce */
  nonceSeen(keyid, nonce) {
    const now = this.now();
    for (const [key, used] of this.nonces) {
      for (const [one, until] of used) { if (until < now) used.delete(one); else break; }
      if (used.size === 0) this.nonces.delete(key);
    }
    const used = this.nonces.get(keyid) ?? new Map();
    if (used.has(nonce) || used.size >= NONCES) return true;
    this.nonces.set(keyid, used.set(nonce, now + 180));
    return false;
  }

  /** Whether a party may have said again what it asks for. @param {string} did */
  mayAsk(did) {
    const before = performance.now() - MINUTE;
    for (const [one, { since }] of this.asked) { if (since <= before) this.asked.delete(one); else break; }
    return (this.asked.get(did)?.bytes ?? 0) < ASKED;
  }

  /** Counts what was said again because a party asked. @param {string} did @param {number} bytes */
  saidAgain(did, bytes) {
    const { since, bytes: had } = this.asked.get(did) ?? { since: performance.now(), bytes: 0 };
    if (bytes > 0) this.asked.set(did, { since, bytes: had + bytes });
  }

  checkpoint() { return checkpoint(this.did, this.ledger, this.key, this.publicKey); }

  /** Our log as it stands, for an `Offer` or `Acceptance`. */
  head() { return { at: instant(this.now()), size: this.ledger.size, root: digestOfHash(this.ledger.root()) }; }
  get publicKey() {
    return readKey(publicMultikey(this.key)).bytes;
  }

  /** @param {string} base @param {any} of */
  termsFor(base, of) { return draftTerms(base, of, this.now()); }

  /** Where a peer serves artifacts (page 03, section 3.6). @param {Conversation} conversation */
  async originOf(conversation) {
    const url = conversation.url ?? endpoint(await this.resolver.resolve(conversation.with));
    if (!url) throw new HireError('unreachable', 'no address');
    return new URL(url.replace(/^ws/, 'http')).origin;
  }

  // ---------------------------------------------------------------- hires

  /**
   * Begins a hire.
   * @param {{provider: string, url?: string, task: string, summary?: string, inputs?: Record<string, Uint8Array>, price: {amount: string, currency: string},
   *   opening?: {amount: string, currency: string}, criteria?: Record<string, string>, opens?: 'hirer' | 'provider', arbiter?: string}} wanted
   * @returns {Promise<Conversation>}
   */
  async hire({ provider, url, task, summary = '', inputs = {}, price, opening, criteria = {}, opens = 'hirer', arbiter }) {
    const given = Object.entries(inputs).map(([name, bytes]) => {
      const name_ = this.store.put(bytes);
      return { name, digest: name_, uri: `${this.origin}/artifacts/${name_}` };
    });
    const nonce = newNonce();
    const now = this.now();
    const id = engagementId(this.did, provider, nonce);
    const order = { task, summary, inputs: given, price, opening, criteria, arbiter };
    const conversation = this.begin({ k: 'open', at: now, engagement: id, role: 'hirer', with: provider, url, order });
    await conversation.enqueue(() => conversation.say({
      type: 'Inquiry',
      body: {
        nonce, need: task, task: { kind: task, summary, inputs: given.map((one) => one.digest) }, scopeSketch: sketchFor(given), versions: ['1.0'], suites: this.suites, extensions: [],
        opens, limits: { rounds: 16, bytes: 2097152 }, respondBy: instant(now + 60), closesAt: instant(now + 900),
      },
    })).catch((error) => {
      this.forget(conversation);
      throw error;
    });
    return conversation;
  }

  /** It is written together with its first move: without that there is nothing to go on with. @param {any} of */
  begin(of) {
    const conversation = this.#opened(of);
    conversation.begun = [of];
    return conversation;
  }

  /** Says whatever is owed now. Runs in the queue of the conversation. @param {Conversation} conversation */
  async turn(conversation) {
    await conversation.sayAgain();
    for (let said = await this.#decide(conversation); said; said = await this.#decide(conversation)) {
      this.log(conversation, 'say', said.type);
      try {
        await conversation.say(said);
      } catch (error) {
        if (!['too_large', 'schema_violation'].includes(/** @type {any} */ (error).code) || conversation.engagement.state.contract || said.type === 'Withdraw') throw error;
        // The bytes that the other side leaves do not hold it, or what it said has no place in it, and would not at the next tick either: a withdrawal fits whatever they are.
        await conversation.say(withdraw(conversation, 'decision_failed'));
      }
    }
  }

  /** @param {Conversation} conversation @returns {Promise<import('./papers.js').Said | undefined>} */
  async #decide(conversation) {
    const { engagement, role } = conversation;
    const { state } = engagement;
    if (state.main === '-' || conversation.over) return undefined;
    if (conversation.refused && !state.contract && !state.main.startsWith('accepted-by-')) return withdraw(conversation, 'changed');
    const due = overdue(conversation) ?? await answerInLane(conversation);
    if (due && !conversation.refuses(due)) return due;
    if (state.main === 'closing') return state.closings[role] || conversation.distrusted || booksWait(engagement, this.now()) ? undefined : closing(conversation);
    const said = await (role === 'hirer' ? decideAsHirer(conversation) : decideAsProvider(conversation));
    return conversation.refuses(said) ? undefined : said;
  }

  /** Whether one of us two withdrew by this move, and said what would change that (HIRE-NEG-23). @param {string} peer @param {string} named */
  saidNo(peer, named) {
    return this.store.past(`no ${named}`) === peer || [...this.conversations.values()].some(({ with: other, engagement }) => other === peer && engagement.messages[named]?.needed?.length > 0);
  }

  /** Whether one more may begin to negotiate with us: a name costs nothing. @param {string} peer */
  roomFor(peer) {
    const open = [...this.conversations.values()].filter(({ engagement }) => !engagement.state.contract);
    const known = [...this.conversations.values()].some((one) => one.with === peer && one.engagement.state.contract);
    return open.length < OPEN.all && (known || open.filter((one) => one.with === peer).length < OPEN.each);
  }

  // ---------------------------------------------------------------- connections

  /** @param {Conversation} conversation @param {string} text */
  send(conversation, text) {
    const link = this.links.get(conversation.with);
    if (link?.open) link.send(text); else reach(this, conversation);
  }

  /** @param {string} did */
  connected(did) { return this.links.get(did)?.open === true; }

  #tick() {
    for (const conversation of this.conversations.values()) {
      if (conversation.isDone()) {
        try { this.#putAway(conversation); } catch (error) { this.log(conversation, 'not put away', error); }
        continue;
      }
      const owes = conversation.unanswered.length > 0;
      if (conversation.over && !owes && !conversation.receipt) continue;
      if ((owes || !conversation.over) && !this.connected(conversation.with)) reach(this, conversation); // what we wait for may have no other way to us
      if (conversation.ticking) continue;
      conversation.ticking = true;
      conversation.enqueue(async () => {
        conversation.ticking = false;
        await conversation.tick();
        await this.turn(conversation);
      }).catch(() => {});
    }
  }
}
