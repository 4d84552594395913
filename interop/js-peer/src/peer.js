/** A peer: it listens, dials, keeps its engagements in step and its journal on disk. */
import http from 'node:http';
import { WebSocketServer } from 'ws';
import { accept, dial, SUBPROTOCOL } from './link.js';
import { Clock } from './clock.js';
import { Conversation } from './conversation.js';
import { answerInLane, overdue } from './deadlines.js';
import { digestOfBytes, digestOfHash, digest, engagementId, hashOfDigest, instant, jcs, newNonce } from './encoding.js';
import { endpoint, Resolver } from './did.js';
import { publicMultikey, readKey } from './keys.js';
import { HireError, pathTold } from './errors.js';
import { readJson, MESSAGE_BYTES } from './json.js';
import { Books } from './books.js';
import { checkpoint, leafOf, Log } from './ledger.js';
import { NOTICES, readMessage, verifyMessage } from './message.js';
import { closing, withdraw } from './papers.js';
import { booksWait } from './untimely.js';
import { checkNotice } from './stated.js';
import { decideAsHirer } from './hirer.js';
import { decideAsProvider } from './provider.js';
import { draftTerms, sketchFor } from './terms.js';
import { hook } from './hook.js';
import { progress } from './job.js';
import { serveArtifact } from './artifacts.js';
import { Lists } from './status.js';
import { Store } from './store.js';
import { tables } from './spec.js';

const NO_MISTAKE = new Set(['conflicting_message', 'conflicting_contract', 'terms_mismatch', 'holder_mismatch', 'challenge_mismatch']);
const FAILURES = 32;
/** Negotiations that are in memory: with one party, if there is no contract with it, and with all of them (HIRE-LIM-02). */
const OPEN = { each: 512, all: 8192 };
/** Nonces of requests that one key may use in the time for which they are kept. */
const NONCES = 4096;
/** Connections on which nobody is proved yet. */
const UNPROVED = 256;
/** Proved connections; more than these only with whom there is something under way: a name costs nothing (HIRE-LIM-02). */
const PROVED = 4096;
const TICK = 200;
/** Seconds between two looks at the clock only where this peer stood still: its machine, its store or its clock. */
const LATE = 5;

/** Whether these bytes are a refusal, whatever else is wrong with it. @param {Buffer} bytes */
function isProblem(bytes) {
  try { return /** @type {any} */ (readJson(bytes))?.type === 'Problem'; } catch { return false; }
}

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
    this.unproved = 0;
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

  /** The time by which proofs are judged here, which may stand still: who is refused sees how far its own is from it. */
  #date() { return new Date(this.now() * 1000).toUTCString(); }

  /** @param {Conversation | undefined} conversation @param {string} what @param {any} [detail] */
  log(conversation, what, detail) {
    if (this.verbose) process.stderr.write(`${instant(this.now())} ${conversation?.id.slice(-8) ?? ''} ${what} ${detail?.stack ?? detail?.message ?? detail ?? ''}\n`);
  }

  #replay() {
    for (const { at, entries } of this.store.lines()) {
      const [{ k, engagement: id }] = entries;
      if (k === 'past') {
        const known = this.conversations.get(id);
        if (known) this.#forget(known);
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
    this.#forget(conversation);
  }

  /** @param {Conversation} conversation */
  #forget(conversation) {
    this.conversations.delete(conversation.id);
    this.books.putAway(conversation, 1n);
    if (![...this.conversations.values()].some((one) => one.with === conversation.with)) this.dials.delete(conversation.with);
  }

  /** @returns {Promise<this>} once it listens and goes on with what was unfinished */
  async start() {
    this.hereSince = this.now();
    this.server = http.createServer((request, response) => { this.#http(request, response).catch((error) => { this.log(undefined, 'http', error); response.destroy(); }); });
    this.sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES, perMessageDeflate: false, handleProtocols: () => SUBPROTOCOL });
    this.sockets.on('headers', (fields) => fields.push(`Date: ${this.#date()}`));
    this.server.on('upgrade', (request, socket, head) => {
      const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim());
      if (request.url !== '/hire' || !offered.includes(SUBPROTOCOL)) return void socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      if (this.unproved >= UNPROVED) return void socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n');
      return this.sockets?.handleUpgrade(request, socket, head, (ws) => {
        ws.on('error', (error) => this.log(undefined, 'socket', error));
        this.unproved += 1;
        const gone = new Promise((resolve) => { ws.once('close', resolve); });
        accept(ws, this.self).catch(async (error) => { await gone; throw error; }).finally(() => { this.unproved -= 1; }).then((link) => this.#linked(link), (error) => this.log(undefined, 'handshake', error));
      });
    });
    await new Promise((resolve, reject) => {
      this.server?.once('error', reject).listen(this.port, this.local ? '127.0.0.1' : undefined, () => resolve(undefined));
    });
    this.port = /** @type {any} */ (this.server.address()).port;
    this.origin ||= `http://localhost:${this.port}`;
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

  /** @param {http.IncomingMessage} incoming @param {http.ServerResponse} response */
  async #http(incoming, response) {
    const path = incoming.url ?? '/';
    const raw = incoming.rawHeaders;
    /** @type {[string, string][]} */
    const headers = Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i], raw[2 * i + 1]]);
    const answer = path.startsWith('/artifacts/') ? await serveArtifact(this, { method: incoming.method ?? '', path, headers }) : await hook(this, incoming);
    const bytes = Buffer.isBuffer(answer.body) ? answer.body : Buffer.from(JSON.stringify(answer.body));
    response.writeHead(answer.status, { date: this.#date(), 'content-type': Buffer.isBuffer(answer.body) ? 'application/octet-stream' : 'application/json', 'content-length': bytes.length });
    response.end(bytes);
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
    const conversation = this.#begin({ k: 'open', at: now, engagement: id, role: 'hirer', with: provider, url, order });
    await conversation.enqueue(() => conversation.say({
      type: 'Inquiry',
      body: {
        nonce, need: task, task: { kind: task, summary, inputs: given.map((one) => one.digest) }, scopeSketch: sketchFor(given), versions: ['1.0'], suites: this.suites, extensions: [],
        opens, limits: { rounds: 16, bytes: 2097152 }, respondBy: instant(now + 60), closesAt: instant(now + 900),
      },
    })).catch((error) => {
      this.#forget(conversation);
      throw error;
    });
    return conversation;
  }

  /** It is written together with its first move: without that there is nothing to go on with. @param {any} of */
  #begin(of) {
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

  // ---------------------------------------------------------------- connections

  /** @param {Conversation} conversation @param {string} text */
  send(conversation, text) {
    const link = this.links.get(conversation.with);
    if (link?.open) link.send(text); else this.#reach(conversation);
  }

  /** @param {string} did */
  connected(did) { return this.links.get(did)?.open === true; }

  /** Dials where there is somewhere to dial, in growing, varied pauses (HIRE-SYN-03). @param {Conversation} conversation */
  async #reach(conversation) {
    const to = conversation.with;
    const { at, tries } = this.dials.get(to) ?? { at: 0, tries: 0 };
    if (performance.now() < at) return;
    this.#waits(to, tries);
    try {
      const url = conversation.url ?? endpoint(await this.resolver.resolve(to));
      if (!url) return;
      const link = await dial(url, to, this.self);
      link.socket.on('close', (code) => this.#waits(to, code === 1008 ? tries : 0)); // what was refused is refused again
      await this.#linked(link);
    } catch (error) { this.log(conversation, 'unreachable', /** @type {any} */ (error).message); }
  }

  /** Puts the next attempt to dial off, 30 seconds at most: so long who was away listens (decision 0370). @param {string} to @param {number} tries made before */
  #waits(to, tries) {
    this.dials.set(to, { at: performance.now() + Math.min(19500, 250 * 2 ** tries) * (0.5 + Math.random()) + 250, tries: tries + 1 });
  }

  /** @param {import('./link.js').Link} link */
  async #linked(link) {
    const known = this.links.has(link.peer) || [...this.conversations.values()].some((one) => one.with === link.peer);
    if (!known && this.links.size >= PROVED) return link.close(1008, 'overloaded');
    this.links.get(link.peer)?.close(1000);
    this.links.set(link.peer, link);
    link.socket.on('close', () => { if (this.links.get(link.peer) === link) this.links.delete(link.peer); });
    for (const conversation of this.conversations.values()) {
      if (conversation.with === link.peer) conversation.enqueue(() => this.#inStep(conversation));
    }
    link.listen((bytes) => this.#frame(link, bytes).catch((error) => this.log(undefined, 'frame', error)));
    return undefined;
  }

  /** First on a connection: where we stand; before the peer showed anything, what we began with. @param {Conversation} conversation */
  async #inStep(conversation) {
    const { state } = conversation.engagement;
    if (conversation.acked === 0 && conversation.theirs.length === 0) return conversation.repeat();
    if (!conversation.over) {
      await conversation.tell('Sync', { state: state.main, lane: state.lane });
      if (conversation.role === 'provider' && conversation.working) await progress(conversation); // the other side counts from the last that it heard
    } else if (conversation.own.length > conversation.acked) await conversation.repeat();
    return undefined;
  }

  #tick() {
    for (const conversation of this.conversations.values()) {
      if (conversation.isDone()) {
        try { this.#putAway(conversation); } catch (error) { this.log(conversation, 'not put away', error); }
        continue;
      }
      const owes = conversation.unanswered.length > 0;
      if (conversation.over && !owes && !conversation.receipt) continue;
      if ((owes || !conversation.over) && !this.connected(conversation.with)) this.#reach(conversation); // what we wait for may have no other way to us
      if (conversation.ticking) continue;
      conversation.ticking = true;
      conversation.enqueue(async () => {
        conversation.ticking = false;
        await conversation.tick();
        await this.turn(conversation);
      }).catch(() => {});
    }
  }

  // ---------------------------------------------------------------- what comes in

  /** Whether one of us two withdrew by this move, and said what would change that (HIRE-NEG-23). @param {string} peer @param {string} named */
  saidNo(peer, named) {
    return this.store.past(`no ${named}`) === peer || [...this.conversations.values()].some(({ with: other, engagement }) => other === peer && engagement.messages[named]?.needed?.length > 0);
  }

  /** Whether one more may begin to negotiate with us: a name costs nothing. @param {string} peer */
  #roomFor(peer) {
    const open = [...this.conversations.values()].filter(({ engagement }) => !engagement.state.contract);
    const known = [...this.conversations.values()].some((one) => one.with === peer && one.engagement.state.contract);
    return open.length < OPEN.all && (known || open.filter((one) => one.with === peer).length < OPEN.each);
  }

  /** @param {import('./link.js').Link} link @param {Buffer} bytes */
  async #frame(link, bytes) {
    /** @type {any} */ let message;
    try {
      const read = readJson(bytes);
      if (read.type === 'Fault') return this.log(undefined, 'fault', JSON.stringify(read));
      message = readMessage(bytes);
      if (message.sender !== link.peer) return link.close(1008, 'proof_invalid');
    } catch (error) {
      const { code, path } = /** @type {any} */ (error);
      if (code === undefined) throw error;
      this.log(undefined, 'not read', `${/** @type {any} */ (error).message} ${path ?? ''}`);
      return this.#fault(link, bytes, code, path);
    }
    if (!this.find(message.engagement)) {
      try { await verifyMessage(message, { resolver: this.resolver, recipient: this.did, now: this.now() }); } catch (error) {
        const { code, path, proved } = /** @type {any} */ (error);
        return this.#fault(link, bytes, code ?? 'internal', path, proved);
      }
      if (message.type !== 'Inquiry') return this.#fault(link, bytes, 'wrong_negotiation', undefined, true);
      if (!this.conversations.has(message.engagement)) {
        if (!this.#roomFor(message.sender)) return this.#fault(link, bytes, 'overloaded', undefined, true);
        this.#begin({ k: 'open', at: this.now(), engagement: message.engagement, role: 'provider', with: message.sender });
      }
    }
    const conversation = /** @type {Conversation} */ (this.find(message.engagement));
    return conversation.enqueue(() => this.#message(link, conversation, message, bytes));
  }

  /** @param {import('./link.js').Link} link @param {Conversation} conversation @param {any} message @param {Buffer} bytes */
  async #message(link, conversation, message, bytes) {
    const notice = NOTICES.has(message.type);
    try {
      if (message.sender !== conversation.with) {
        await verifyMessage(message, { resolver: this.resolver, recipient: this.did, now: this.now() });
        return void this.#fault(link, bytes, 'wrong_negotiation', undefined, true);
      }
      if (message.role === conversation.role) {
        await verifyMessage(message, { resolver: this.resolver, recipient: this.did, now: this.now() });
        throw Object.assign(new HireError('wrong_party', 'role'), { proved: true });
      }
      if (notice) {
        if (message.type === 'Progress' && !conversation.hearsProgress()) return;
        const { document } = await verifyMessage(message, { resolver: this.resolver, recipient: this.did, now: this.now(), suites: conversation.suitesOf(message) });
        checkNotice(message, [document, ...conversation.engagement.documents], this.now(), this.heads);
        if (message.type === 'Progress') conversation.hearsProgress(true);
        await conversation.notice(message, bytes.toString(), document);
        return;
      }
      const outcome = await conversation.hear(message, bytes.toString());
      this.log(conversation, 'heard', `${message.type} ${outcome}`);
    } catch (error) {
      const { code, path, proved } = /** @type {any} */ (error);
      if (code === undefined) throw error;
      this.log(conversation, 'refused', `${message.type} ${/** @type {any} */ (error).message}`);
      if (notice) return;
      if (proved) await this.#refuse(link, conversation, message, code, path); else this.#fault(link, bytes, code, path);
      if (conversation.begun.length && conversation.waiting === 1) this.#forget(conversation); // it began with what is none
      return;
    }
    await this.turn(conversation);
  }

  /** @param {import('./link.js').Link} link @param {Conversation} conversation @param {any} message @param {string} code @param {string} [path] */
  async #refuse(link, conversation, message, code, path) {
    const row = tables.codes[code];
    if (row.told === 'never') return;
    if (!row.retryable) link.failures += 1;
    const final = !row.retryable && !['Acceptance', 'Seal'].includes(message.type);
    await conversation.tell('Problem', { of: digest(message), code, class: row.family, ...(pathTold(path) ? { path } : {}), retryable: row.retryable, final });
    const { live, accepted } = conversation.engagement.state;
    if (message.type === 'Acceptance' && live?.owner === conversation.role && message.offer === live.digest && code === 'terms_mismatch' && !accepted) {
      await conversation.say(withdraw(conversation, 'terms_mismatch')); // HIRE-NEG-11
    }
    if (NO_MISTAKE.has(code)) link.close(1008, code);
    else if (link.failures >= FAILURES) link.close(1008, 'rate_limited');
  }

  /** What belongs to no engagement is answered by a frame of its own, smaller than what it is about. @param {import('./link.js').Link} link @param {Buffer} bytes @param {string} code @param {string} [path] @param {boolean} [proved] */
  #fault(link, bytes, code, path, proved = false) {
    if (!tables.codes[code]?.retryable) link.failures += 1;
    if (tables.codes[code]?.told === 'never') return undefined; // that our disk is full, say, is no fault of the message
    if (code === 'bad_unicode' && !bytes.toString().startsWith('{')) return link.close(1007);
    if (isProblem(bytes)) return link.failures >= FAILURES ? link.close(1008, 'rate_limited') : undefined; // HIRE-SYN-04
    const told = proved || tables.codes[code]?.told === 'at once' ? code : 'proof_invalid';
    const whole = { type: 'Fault', code: told, of: digestOfBytes(bytes), path: (told === code && pathTold(path)) || '' }; // elsewhere the place says what was looked at
    for (const fault of [whole, { type: 'Fault', code: told }]) {
      const text = JSON.stringify(fault);
      if (Buffer.byteLength(text) >= bytes.length) continue;
      link.send(text);
      break;
    }
    if (link.failures >= FAILURES) link.close(1008, 'rate_limited');
    return undefined;
  }
}
