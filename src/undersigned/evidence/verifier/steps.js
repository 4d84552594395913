// The numbered steps of HIRE-PCK-01 (08, section 8.6), in the order and with the codes of `undersigned verify`.

const SKEW = 60;
const KINDS = ["message", "contract", "statement", "did-document", "ledger", "artifact", "refusal", "subcontract"].concat([
  ...["log-proofs", "decision", "credential", "status", "policy", "withheld"],
]);
const WORK = "https://w3id.org/hire/attestation/work/v1";
const LOGGED = ["Acceptance", "Seal", "Delivery", "Review", "Breach", "Dispute", "Ruling", "Terminate", "Closing"];

/** `1 proof holds`, `2 proofs hold`. */
const counted = (count, one, more) => `${count} ${count === 1 ? one : more}`;

// --- step 1

const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9_-]|[./](?=[A-Za-z0-9]))*$/;
const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

function littleEndianBytes(...fields) {
  return Uint8Array.from(fields.flatMap(([size, value]) => Array.from({ length: size }, (_, at) => Math.floor(value / 2 ** (8 * at)) % 256)));
}

/** Header of a member in the one form; with `offset` the one in the directory. */
function header(name, data, offset) {
  const path = encode(name);
  const fields = [[2, 20], [2, 0], [2, 0], [2, 0], [2, 33], [4, crc32(data)], [4, data.length], [4, data.length], [2, path.length], [2, 0]];
  if (offset === undefined) return concat(littleEndianBytes([4, 0x04034b50], ...fields), path);
  const more = [[2, 0], [2, 0], [2, 0], [4, 0o100644 * 65536], [4, offset]];
  return concat(littleEndianBytes([4, 0x02014b50], [2, 0x0314], ...fields, ...more), path);
}

/** The members of a pack's archive, which has one form: nothing is compressed, and nothing hides between members. */
const MAX_PACK_BYTES = 268435456;

function readArchive(data) {
  const no = (why) => invalid(`not the archive of an evidence pack: ${why}`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const members = new Map();
  const directory = [];
  let [at, total, formed] = [0, 0, true];
  while (at + 4 <= data.length && view.getUint32(at, true) === 0x04034b50) {
    if (members.size === 10000) throw new Refused("too_large", "expected at most 10000 members");
    if (data.length - at < 30) throw no("it ends inside a member");
    const [size, nameSize, extra] = [view.getUint32(at + 22, true), view.getUint16(at + 26, true), view.getUint16(at + 28, true)];
    const start = at + 30 + nameSize;
    if (extra || nameSize > 200 || start + size > data.length) throw no("a member has another form, or does not fit");
    const name = String.fromCharCode(...data.subarray(at + 30, start));
    if (!NAME.test(name) || name.endsWith("\n")) throw new Refused("bad_path", `expected the name of a member of an evidence pack; came ${shown(name)}`);
    if (members.has(name)) throw no(`${name} is there twice`);
    const content = data.subarray(start, start + size);
    formed = formed && same(data.subarray(at, start), header(name, content)); // said last: what its members are comes first
    directory.push(header(name, content, at));
    members.set(name, content);
    total += size;
    at = start + size;
  }
  if (total > MAX_PACK_BYTES) throw no(`its members are larger than ${MAX_PACK_BYTES} bytes together, the most that one has`);
  const whole = concat(...directory);
  const count = members.size;
  const end = littleEndianBytes([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, whole.length], [4, at], [2, 0]);
  const names = [...members.keys()];
  if (!formed || !equal(names, names.toSorted()) || !same(data.subarray(at), concat(whole, end))) throw no("it is not, byte for byte, what its members make");
  return members;
}

function readManifest(data) {
  if (!data) throw invalid("there is no manifest.json");
  let manifest;
  try {
    manifest = decodeJson(data, MANIFEST_LIMITS);
    checkSchema(DATA.schemas.Manifest, manifest);
  } catch (error) {
    if (error instanceof Refused) throw invalid(`manifest.json: ${error.message}`, error.path);
    throw error;
  }
  if (!same(canonical(manifest), data)) throw invalid("manifest.json is not in canonical form");
  return manifest;
}

async function archive(the) {
  const members = readArchive(the.data);
  const manifest = readManifest(members.get("manifest.json"));
  members.delete("manifest.json");
  const listed = manifest.members.map((item) => item.path);
  const sorted = [...new Set(listed)].sort();
  if (!equal(listed, sorted) || listed.length !== members.size || !listed.every((path) => members.has(path))) {
    throw invalid("listed and packed members differ");
  }
  const transcript = [];
  for (const item of manifest.members) {
    const data = members.get(item.path);
    if ((await digestBytes(data)) !== item.digest) throw invalid(`${item.path} was changed`, item.path);
    checkKind(item);
    if (has(item, "recordedAt") !== (item.kind === "message")) throw invalid(`${item.path}: a message, and nothing else, was recorded`);
    if (item.kind === "message") transcript.push(await transcribed(transcript.length + 1, item, data));
  }
  Object.assign(the, { manifest, members, transcript });
  const times = transcript.map((one) => one.at);
  if (!times.length || manifest.created !== times.toSorted().at(-1)) throw invalid("the manifest was not created with its last message");
  if (!equal(times, times.toSorted())) throw invalid("the transcript runs back in time");
  if (manifest.created > shift(the.now, SKEW)) throw invalid(`recorded at ${manifest.created}, which is after ${the.now}`);
  return `${members.size} members as listed; ${times.length} messages, the last of ${manifest.created}`;
}

const PLACES = new Map(
  Object.entries({
    "contract.json": "contract",
    "ledger/checkpoint.txt": "ledger",
    "ledger/inclusion.json": "ledger",
    "ledger/proofs.json": "log-proofs",
    "withheld.json": "withheld",
    transcript: "message",
    statements: "statement",
    "did-documents": "did-document",
    artifacts: "artifact",
    refusals: "refusal",
    subcontracts: "subcontract",
    decisions: "decision",
    credentials: "credential",
    status: "status",
    policies: "policy",
    approvals: "approval",
    forks: "fork",
  }),
);

/** A member under another name would be kept and not judged. */
function checkKind({ path, kind }) {
  const wanted = PLACES.get(path) ?? PLACES.get(path.split("/")[0]);
  if (wanted === undefined && [...PLACES.values()].includes(kind)) throw invalid(`${path}: nothing of the kind ${kind} stands there`);
  if (wanted !== undefined && kind !== wanted) throw invalid(`${path}: expected the kind ${wanted}, got ${shown(kind)}`);
}

async function transcribed(number, item, raw) {
  let message;
  try {
    message = await decodeMessage(raw);
  } catch (error) {
    if (error instanceof Refused) throw new Refused(error.code, `${item.path}: ${error.message}`, error.path);
    throw error;
  }
  const name = item.path.slice(item.path.indexOf("/") + 1).split("-");
  const kind = name.length === 3 ? name[1] : "";
  const right = `transcript/${String(number).padStart(4, "0")}-${kind}-${message.content.type}.json`;
  if (!["sent", "received"].includes(kind) || item.path !== right) throw invalid(`${item.path} is not the name of message ${number}`);
  return { number, kind, at: item.recordedAt, message, content: message.content };
}

const ofKind = (the, kind) => the.manifest.members.filter((item) => item.kind === kind).map((item) => [item.path, the.members.get(item.path)]);

// --- step 2

/** Of one DID, and different keys of one name that are tried for a message. */
const MAX_DOCUMENTS = 256;
const MAX_KEYS = 16;

async function documents(the) {
  for (const [path, data] of ofKind(the, "did-document")) {
    const value = decodeJson(data, FOREIGN_LIMITS);
    if (!isObject(value) || typeof value.id !== "string") throw invalid(`${path} is not a DID document`);
    const document = new DidDocument(value.id, data);
    if (path !== `did-documents/${await digestBytes(data)}.json`) throw invalid(`${path} is not named by its digest`);
    const derived = await derivedDocument(value.id);
    if (derived && !same(derived.raw, data)) throw invalid(`${path} is not the document that follows from ${value.id}`);
    const known = the.known.get(value.id);
    if (known && !known.some((one) => same(one.raw, data))) throw invalid(`${path} is another document of ${value.id} than the one known`);
    add(the.documents, value.id, document);
    if (the.documents.get(value.id).length > MAX_DOCUMENTS) throw invalid(`there are more than ${MAX_DOCUMENTS} documents of ${value.id}`);
  }
  const taken = [];
  for (const did of [the.manifest.own, the.manifest.peer]) {
    const derived = await derivedDocument(did);
    if (!the.documents.has(did) && derived) add(the.documents, did, derived);
    if (!the.documents.has(did)) throw invalid(`there is no document of ${did}`);
    if (!derived && !the.known.has(did)) taken.push(did);
  }
  // Of whoever else has one here: who stands above or judges, issuers, witnesses.
  const others = [];
  for (const did of the.documents.keys()) {
    if (did !== the.manifest.own && did !== the.manifest.peer && !the.known.has(did) && !(await derivedDocument(did))) others.push(did);
  }
  the.taken = [...taken, ...others.sort()];
  return the.taken.length ? `taken from the pack: ${the.taken.join(", ")}` : "all follow from their DIDs or are known";
}

function add(map, name, item) {
  if (!map.has(name)) map.set(name, []);
  map.get(name).push(item);
}

/** The key of the first of a DID's documents that has it. */
function keyAmong(held, method, purpose, at) {
  let failure = new Refused("key_not_authorized", `${shown(method)} is of nobody in this pack`);
  for (const document of held) {
    try {
      return document.keyFor(method, purpose, at);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      failure = error;
    }
  }
  throw failure;
}

const lookup = (the, at) => (method, purpose) => keyAmong(the.documents.get(method.split("#")[0]) ?? [], method, purpose, at);

/** When a message was recorded: what it carries is held against the keys of then. */
const recordedAt = (the, digest) => the.transcript.find((one) => one.message.digest === digest).at;

/** The same for a document with both proofs: each as it was when the move with that proof was recorded. */
const sealingKeys = (the, acceptance, seal) => (method, purpose) =>
  lookup(the, recordedAt(the, method.split("#")[0] === acceptance.sender ? seal.acceptance : seal.offer))(method, purpose);

/** Method -> key by which a DID makes claims, then or by the end of the pack; the first document that has a method decides. */
function assertionKeys(the, did, at = the.manifest.created) {
  const found = new Map();
  for (const document of the.documents.get(did) ?? []) {
    for (const [method, key] of document.keys("assertionMethod", at)) if (!found.has(method)) found.set(method, key);
  }
  return found;
}

const signsNotes = (the, did) => [...assertionKeys(the, did).values()].some((key) => key.kind === "Ed25519");

// --- steps 3 and 4

async function messages(the) {
  const { manifest } = the;
  const seen = new Set();
  for (const one of the.transcript) {
    const [sender, recipient] = one.kind === "sent" ? [manifest.own, manifest.peer] : [manifest.peer, manifest.own];
    if (one.content.engagement !== manifest.engagement || one.content.sender !== sender) {
      throw invalid(`message ${one.number} is not one of ${sender} in this engagement`);
    }
    if (seen.has(one.message.digest)) throw invalid(`message ${one.number} is there twice`);
    seen.add(one.message.digest);
    await withOneOf(byKey(the.documents.get(sender), one), `message ${one.number}, ${one.content.type}`, (document) =>
      verifyMessage(one.message, document, the.documents.get(recipient)[0], one.at),
    );
  }
  return counted(the.transcript.length, "proof holds", "proofs hold");
}

/** Of documents that give one key the name in the proof of a message, the first: who made the pack chose how many there are. */
function byKey(held, { message, at }) {
  const found = new Map();
  for (const document of held) {
    const key = keyNamed(document, message, at);
    if (!found.has(key) && found.size < MAX_KEYS) found.set(key, document);
  }
  return [...found.values()];
}

function keyNamed(document, { content, purpose }, at) {
  try {
    return document.keyFor(content.proof.verificationMethod, purpose, at);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return null;
  }
}

/** A pack may hold several documents of one DID, of before and after a rotation. */
async function withOneOf(held, what, check) {
  let failure;
  for (const document of held) {
    try {
      return await check(document);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      failure = error;
    }
  }
  throw new Refused(failure.code, `${what}: ${failure.message}`);
}

async function chains(the) {
  const { role, own, peer, engagement: id } = the.manifest;
  let engagement = begin(role, own, peer, id);
  for (const one of the.transcript) {
    try {
      engagement = await apply(engagement, one.message, one.kind === "sent", one.at);
      the.early = engagement.early;
    } catch (error) {
      if (error instanceof Refused) throw new Refused(error.code, `message ${one.number}: ${error.message}`);
      throw error;
    }
  }
  the.engagement = engagement;
  return `${engagement.sent.length} moves sent and ${engagement.got.length} received lead to ${engagement.state}`;
}

// --- step 5

const ofType = (the, ...types) => the.transcript.filter((one) => types.includes(one.content.type));

/** For each seal: the number of its message, the document with both proofs, the acceptance and the seal. Each is put together when it is asked for. */
function* sealedDocuments(the) {
  const find = (type, digest) => {
    const found = ofType(the, type).find((one) => one.message.digest === digest);
    if (!found) throw invalid(`the transcript does not hold the ${type} ${digest}`);
    return found.content;
  };
  for (const { number, content: seal } of ofType(the, "Seal")) {
    const [offer, acceptance] = [find("Offer", seal.offer), find("Acceptance", seal.acceptance)];
    yield { number, document: countersigned(offer.document, acceptance.contractProof), acceptance, seal };
  }
}

async function contract(the) {
  const { manifest, members } = the;
  const [first] = sealedDocuments(the);
  const packed = members.get("contract.json");
  const made = the.engagement.contract?.digest;
  if (made !== manifest.contract || Boolean(first) !== (made !== undefined) || Boolean(packed) !== (made !== undefined)) {
    throw invalid(`the transcript makes contract ${made}, the manifest says ${manifest.contract}`);
  }
  if (!packed) return "no contract was made";
  const { document, acceptance, seal } = first;
  if (!same(packed, canonical({ document, acceptance, seal }))) throw invalid("contract.json is not what the transcript says", "contract.json");
  const sealed = await verifySealed(document, acceptance, seal, sealingKeys(the, acceptance, seal));
  if (document.type !== "Contract") throw new Refused("terms_mismatch", "expected a Contract", "/type");
  the.sealed = sealed;
  const parties = [document.hirer, document.provider];
  if (sealed.digest !== made || !parties.includes(manifest.own) || !parties.includes(manifest.peer)) {
    throw invalid("the contract is another than the one sealed in the transcript");
  }
  const found = [`${made}: both proofs, acceptance and seal hold`];
  const [, ...changes] = sealedDocuments(the);
  for (const change of changes) {
    const { digest } = await verifySealed(change.document, change.acceptance, change.seal, sealingKeys(the, change.acceptance, change.seal));
    if (change.document.type === "Contract") throw new Refused("terms_mismatch", "expected an Amendment or a Release", "/type");
    if (change.document.type === "Amendment") the.amended.push([change.number, change.document]);
    found.push(`${change.document.type} ${digest} holds`);
  }
  await rulings(the, found);
  await above(the, found);
  await below(the, found);
  return found.join("; ");
}

/** The terms in force when message `number` was recorded. */
const termsAt = (the, number) => documentAt(the, number).terms;

/** The document in force when a move was recorded; before it the one until then, if its sender had not seen the other side's seal between them. */
function documentsKnown(the, { number, content: { role, seen } }) {
  const found = [documentAt(the, number)];
  const changes = the.amended.map(([sealed]) => sealed);
  const seal = ofType(the, "Seal").filter((one) => changes.includes(one.number) && one.number < number).at(-1);
  if (!seal || seal.content.role === role) return found;
  const last = the.transcript.find(({ message }) => message.digest === seen)?.number ?? 0;
  return last < seal.number ? [documentAt(the, seal.number), ...found] : found;
}

function documentAt(the, number) {
  const last = the.amended.filter(([sealed]) => sealed < number).at(-1);
  return last ? last[1] : the.sealed.document;
}

/** All of one DID that is no party. */
async function documentsOf(the, did) {
  const derived = await derivedDocument(did);
  return the.known.get(did) ?? the.documents.get(did) ?? (derived ? [derived] : []);
}

/** Who may rule when message `number` is recorded: by the terms in force then, and those that the sender of a dispute of before knew of. */
function arbitersAt(the, number) {
  const known = ofType(the, "Dispute").filter((one) => one.number < number).flatMap((one) => documentsKnown(the, one));
  return [...new Set([...known, documentAt(the, number)].map(({ terms }) => terms.arbiter).filter(Boolean))];
}

async function rulings(the, found) {
  for (const one of ofType(the, "Ruling")) {
    const named = arbitersAt(the, one.number);
    const method = String(one.content.ruling.proof?.verificationMethod);
    const arbiter = named.find((did) => method.startsWith(`${did}#`)) ?? named.at(-1);
    if (!arbiter) throw invalid(`message ${one.number} is a ruling, and the terms name no arbiter`);
    const held = await documentsOf(the, arbiter);
    if (!held.length) {
      throw invalid(`message ${one.number} is a ruling, and no DID document of the arbiter ${arbiter} is here`);
    }
    const { ruling } = one.content;
    try {
      await verifyRuling(ruling, arbiter, (method, purpose) => keyAmong(held, method, purpose, one.at));
    } catch (error) {
      if (error instanceof Refused) throw new Refused(error.code, `message ${one.number}, Ruling: ${error.message}`);
      throw error;
    }
    found.push(`ruled ${ruling.outcome}, ${ruling.amount} ${ruling.currency} owed`);
  }
}

async function above(the, found) {
  const { parent } = the.sealed.document;
  if (!parent) return;
  // The contract's offer; where the provider made that, the hirer's that it answers.
  const named = (digest) => ofType(the, "Offer").find((one) => one.message.digest === digest);
  const sealed = named(ofType(the, "Seal")[0].content.offer);
  const offer = sealed.content.role === "hirer" ? sealed : named(sealed.content.inReplyTo);
  const { parents } = offer.content;
  await checkParents(the.sealed.document, parents);
  const held = new Map();
  for (const did of parents.flatMap(({ document }) => [document.hirer, document.provider])) {
    held.set(did, await documentsOf(the, did));
    // Who signed under them had the documents, and so has whoever shows them.
    if (!held.get(did).length) throw invalid(`it stands under contracts of ${did}, and no DID document of it is here`);
  }
  const keys = (method, purpose) => keyAmong(held.get(method.split("#")[0]) ?? [], method, purpose, offer.at);
  const names = [];
  for (const { document, acceptance, seal } of parents) {
    try {
      await verifySealed(document, acceptance, seal, keys);
    } catch (error) {
      if (error instanceof Refused) throw new Refused(error.code, `a contract above: ${error.message}`);
      throw error;
    }
    names.push(await nameOf(document));
  }
  found.push(`under ${names.join(", under ")}`);
}

async function below(the, found) {
  for (const [path, data] of ofKind(the, "subcontract")) {
    if (the.level >= MAX_DEPTH) throw invalid(`${path} lies deeper than a chain goes`, path);
    const child = newCase(data, the.now, the.known, the.witnesses, the.level + 1);
    const failed = (await checked(child)).find((step) => !step.ok && step.code);
    if (failed) throw invalid(`${path}: step ${failed.number}, ${failed.name}: ${failed.detail}`, path);
    if (!child.sealed) throw invalid("work without a contract");
    const { digest, document } = child.sealed;
    if (path !== `subcontracts/${digest}.zip`) throw invalid(`${path} is the pack of ${digest}`, path);
    if (document.parent !== the.sealed.digest || document.hirer !== the.sealed.document.provider) {
      throw new Refused("chain_invalid", `${path} is no subcontract of this contract`, path);
    }
    insideOne(document.terms, [the.sealed.document, ...the.amended.map(([, change]) => change)], path);
    const own = child.taken.length ? `, by documents of ${child.taken.join(", ")} that are its own` : "";
    found.push(`${digest} under it holds${own}`);
  }
}

/** Inside the terms that were in force at one time: which those were when it was signed, a pack does not say. */
function insideOne(terms, documents, path) {
  let failure;
  for (const one of documents) {
    try {
      return checkWithin(terms, one.terms);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      failure = error;
    }
  }
  throw new Refused(failure.code, `${path}: ${failure.message}`, path);
}

// --- steps 6 and 7

function carried(the) {
  const found = new Map();
  for (const { number, content } of ofType(the, "Delivery", "Review")) {
    const [kind, envelopes] = content.type === "Delivery" ? ["work", content.statements] : ["acceptance", [content.statement]];
    envelopes.forEach((envelope, at) => found.set(`statements/${String(number).padStart(4, "0")}-${kind}-${at + 1}.json`, canonical(envelope)));
  }
  return found;
}

function sealedOf(the) {
  if (!the.sealed) throw invalid("work without a contract");
  return the.sealed;
}

const reviewsOf = (the, delivery) => ofType(the, "Review").filter((one) => one.content.delivery === delivery);

async function statements(the) {
  const packed = new Map(ofKind(the, "statement"));
  const said = carried(the);
  if (said.size !== packed.size || ![...said].every(([path, data]) => packed.has(path) && same(packed.get(path), data))) {
    throw invalid("the statements are not those of the transcript");
  }
  const deliveries = ofType(the, "Delivery");
  const delivered = new Set(deliveries.flatMap((one) => one.content.artifacts.map((item) => item.digest)));
  for (const [path, data] of ofKind(the, "artifact")) {
    const digest = await digestBytes(data);
    if (path !== `artifacts/${digest}`) throw invalid(`${path} is not named by its digest`);
    if (!delivered.has(digest)) throw invalid(`${path} was not delivered here`);
  }
  if (!deliveries.length) return "nothing was delivered";
  const refused = [];
  for (const one of deliveries) {
    const reviews = reviewsOf(the, one.message.digest);
    try {
      the.statements.set(one.message.digest, await ofDelivery(the, one));
    } catch (error) {
      const accepted = reviews.some((review) => review.content.verdict === "accepted");
      if (!(error instanceof Refused) || accepted || (!reviews.length && one.content.sender === the.manifest.own)) throw error;
      the.statements.set(one.message.digest, []);
      refused.push(`round ${one.content.round}: ${error.code}, and it was not ${reviews.length ? "accepted" : "reviewed"}`);
    }
  }
  const works = workOf(the);
  for (const { provider, subcontracts = [] } of works) {
    for (const line of provider === the.manifest.own ? subcontracts : []) {
      if (line.contract && !the.members.has(`subcontracts/${line.contract}.zip`)) {
        throw invalid(`the work statement names the contract ${line.contract}, and its pack is not here`);
      }
    }
  }
  const count = [...the.statements.values()].reduce((sum, list) => sum + list.length, 0);
  const complete = deliveries.filter((one) => one.content.outcome === "complete");
  const wanted = wantedBesides(complete.map((one) => termsAt(the, one.number)));
  return [counted(count, "statement holds", "statements hold"), ...uncheckedIn([...the.statements.values()].flat()), ...wanted, ...refused].join("; ");
}

/** What these terms ask for that a pack is not asked for, in one sentence if there is any. */
function wantedBesides(terms) {
  const asked = ({ evidence }) => [...(evidence.sbom ? [`the bill of materials (${evidence.sbom})`] : []), ...(evidence.c2pa ? ["manifests in media"] : [])];
  const wanted = [...new Set(terms.flatMap(asked))].sort();
  return wanted.length ? [`not checked: ${wanted.join(", ")}`] : [];
}

/** What these statements name of subjects and a pack cannot show to be right, in one sentence if there is any. */
function uncheckedIn(statements) {
  const named = [...new Set(statements.flatMap((one) => one.unchecked))].sort();
  return named.length ? [`not checked without the bytes: ${named.join(", ")}`] : [];
}

/** What the work statements that hold say. */
const workOf = (the) =>
  [...the.statements.values()].flat().filter(({ statement }) => statement.predicateType === WORK).map(({ predicate }) => predicate);

/** Every deliverable is there of what is called complete, and nothing else, no larger than agreed, by one of the documents then in force. */
function checkWhole(documents, { outcome }, made) {
  let failure;
  for (const { terms } of documents) {
    const wanted = new Map(terms.deliverables.map((one) => [one.name, one.maxBytes]));
    const missing = outcome === "complete" ? [...wanted.keys()].filter((name) => !made.has(name)) : [];
    const unasked = [...made.keys()].filter((name) => !wanted.has(name));
    const large = [...made].filter(([name, data]) => typeof data !== "string" && data.length > (wanted.get(name) ?? data.length)).map(([name]) => name);
    if (missing.length) failure = new Refused("digest_mismatch", `not delivered: ${shown(missing.sort()[0])}`);
    else if (unasked.length) failure = new Refused("terms_mismatch", `delivered and not agreed on: ${shown(unasked.sort()[0])}`);
    else if (large.length) failure = new Refused("too_large", `larger than agreed on: ${shown(large.sort()[0])}`);
    else return;
  }
  throw failure;
}

/** The documents in force when a delivery is recorded, and from then until it is reviewed, so far if it was not; before them the one that its provider knew of. */
function documentsOfDelivery(the, one) {
  const reviewed = reviewsOf(the, one.message.digest).at(-1)?.number ?? Infinity;
  return [...documentsKnown(the, one), ...the.amended.filter(([sealed]) => one.number < sealed && sealed < reviewed).map(([, document]) => document)];
}

async function ofDelivery(the, one) {
  const { at, content: delivery } = one;
  const { document, digest } = sealedOf(the);
  const named = new Map(delivery.artifacts.map((item) => [item.name, the.members.get(`artifacts/${item.digest}`) ?? item.digest]));
  if (named.size < delivery.artifacts.length) throw new Refused("digest_mismatch", "two artifacts of the delivery have one name");
  const inForce = documentsOfDelivery(the, one);
  checkWhole(inForce, delivery, named);
  const complete = delivery.outcome === "complete";
  const artifacts = named.size || complete ? named : new Map([["contract", digest]]);
  // HIRE-ATT-02: only keys that the contract lists speak for the provider.
  const allowed = inForce.flatMap(({ methods }) => methods.provider);
  const own = new Map([...assertionKeys(the, document.provider, at)].filter(([method]) => allowed.includes(method)));
  const inputs = ofType(the, "Start").flatMap((one) => one.content.inputs.map((input) => input.digest));
  let failure;
  for (const { task, evidence } of inForce.map(({ terms }) => terms)) {
    try {
      return await asAsked(delivery, { attester: document.provider, own, contract: digest, artifacts, predicates: OF_WORK }, document.engagement, task.kind, inputs, complete ? evidence.predicates : undefined);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

/** The statements of a delivery, by what one document in force asks for; `predicates` is undefined where not all was done. */
async function asAsked(delivery, by, engagement, kind, inputs, predicates) {
  const found = [];
  for (const [place, envelope] of delivery.statements.entries()) {
    if (place >= 64) throw new Refused("too_large", "expected at most 64 statements");
    const one = await verifyStatement(envelope, by);
    checkTold(one, engagement, kind, inputs, delivery.usage);
    found.push(one);
  }
  const required = predicates ? (predicates.length ? predicates : [WORK]) : [];
  for (const type of required) {
    for (const name of by.artifacts.keys()) {
      const covered = found.some(({ statement }) => statement.predicateType === type && statement.subject.some((one) => one.name === name));
      if (!covered) throw new Refused("digest_mismatch", `expected a statement of ${type} about ${shown(name)}; there is none`);
    }
  }
  return found;
}

async function acceptance(the) {
  const reviews = ofType(the, "Review");
  if (!reviews.length) return "nothing was reviewed";
  const judged = [];
  for (const one of reviews) {
    const { content: review } = one;
    const delivery = ofType(the, "Delivery").find(({ message }) => message.digest === review.delivery);
    if (!delivery) throw invalid(`a review of ${review.delivery}, which was not delivered here`);
    judged.push(await ofReview(the, one, review, delivery));
  }
  // Nothing here rests on it: whoever is shown it judges it, beside the contract.
  const carried = reviews.filter(({ content }) => content.credential !== undefined).length;
  const more = carried ? [`${counted(carried, "credential", "credentials")} in reviews: not checked`] : [];
  return [`${reviews.length} reviewed; the last verdict is ${reviews.at(-1).content.verdict}`, ...uncheckedIn(judged), ...more].join("; ");
}

async function ofReview(the, one, review, delivery) {
  let failure;
  for (const named of new Set(documentsKnown(the, one).map(({ terms }) => terms.evidence.verifier))) {
    try {
      return await ofVerdict(the, one.at, review, delivery, named);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

async function ofVerdict(the, at, review, { at: deliveredAt, content: delivery }, namedVerifier) {
  const { document, digest } = sealedOf(the);
  const verifier = namedVerifier ?? document.hirer;
  // HIRE-ATT-06: the verifier is neither party, under whatever name.
  const own = namedVerifier ? await verifierKeys(the, verifier, at) : assertionKeys(the, verifier, at);
  const otherThan = namedVerifier ? partyKeys(the, document) : new Set();
  const named = new Map(delivery.artifacts.map((item) => [item.name, item.digest]));
  const artifacts = named.size ? named : new Map([["contract", digest]]);
  const verified = await verifyStatement(review.statement, { attester: verifier, own, otherThan, contract: digest, artifacts, predicates: VERDICTS });
  await checkVerdict(verified, document.engagement, delivery.statements);
  const { statement, predicate } = verified;
  const passed = predicate.verificationResult === "PASSED";
  const subjects = statement.subject.map((subject) => subject.name).sort();
  if (passed && !equal(subjects, [...artifacts.keys()].sort())) throw new Refused("attestation_binding", "the acceptance is not of everything delivered");
  // HIRE-ATT-06: nobody accepts its own work, under whatever name.
  const keysOf = (one) => one.signers.map((method) => lookup(the, deliveredAt)(method, "assertionMethod").name);
  const claimants = new Set((the.statements.get(review.delivery) ?? []).flatMap(keysOf));
  if (verified.signers.some((method) => claimants.has(own.get(method).name))) throw new Refused("attester_not_trusted", "the work was accepted with a key that made its statements");
  if (passed !== (review.verdict === "accepted")) throw new Refused("terms_mismatch", `a verdict of ${review.verdict} with another statement`);
  return verified;
}

/** Method -> key of the verifier that the terms name. */
async function verifierKeys(the, verifier, at) {
  const held = await documentsOf(the, verifier);
  if (!held.length) throw invalid(`there is no DID document of the verifier ${verifier}`);
  return new Map([...held].reverse().flatMap((document) => [...document.keys("assertionMethod", at)]));
}

/** Names of every key by which a party makes claims or shows who it is, or did. */
function partyKeys(the, { hirer, provider }) {
  const documents = [hirer, provider].flatMap((did) => the.documents.get(did) ?? []);
  return new Set(documents.flatMap((document) => [...listedKeys(document)]));
}

// --- steps 8 to 10

async function logs(the) {
  const { own } = the.manifest;
  const [checkpoint, inclusion] = [the.members.get("ledger/checkpoint.txt"), the.members.get("ledger/inclusion.json")];
  if (Boolean(checkpoint) !== Boolean(inclusion)) throw noProof("checkpoint and inclusion prove something only together");
  const [heads, against] = [[], []];
  for (const { number, content } of ofType(the, "Offer", "Acceptance", "Closing", "Receipt", "Sync")) {
    if (content.head) heads.push([content.head.at, { ...content.head, origin: content.sender, root: rawDigest(content.head.root) }]);
    if (content.checkpoint && signsNotes(the, content.sender)) {
      const stated = await held(the, content.sender, against, `message ${number}, ${content.type}`, () =>
        noteOf(noteText(content.checkpoint), content.sender, assertionKeys(the, content.sender)),
      );
      if (stated) heads.push([content.checkpointAt ?? content.proof.created, stated]);
    }
  }
  const head = checkpoint && (await noteOf(utf8(checkpoint, "log_proof_invalid"), own, assertionKeys(the, own)));
  for (const log of new Set(heads.map(([, one]) => one.origin))) {
    await held(the, log, against, "its checkpoints", () => checkGrowth(heads.filter(([, one]) => one.origin === log)));
  }
  const roots = new Map(heads.map(([, one]) => [`${one.size} ${one.origin}`, one.root]));
  if (head) await checkPacked(the, head, roots);
  const proofs = (the.proofs = await moreProofs(the, head));
  const witnessed = await witnesses(the, checkpoint && utf8(checkpoint, "log_proof_invalid"));
  const more = [await continued(the, roots, against), await cosignatures(the, roots, against), witnessed].filter(Boolean);
  if (!the.sealed) return ["no contract, and no proof of a log in this pack", ...more, ...against].join("; ");
  const leaf = written(await leafHash(concat(encode("hire/v1 contract\n"), await sha256(canonical(the.sealed.document)))));
  const { ledger, sender } = ofType(the, "Seal")[0].content;
  const promised = await held(the, sender, against, "its Seal", () => {
    if (ledger.leaf !== leaf || ledger.log !== sender) throw noProof("the seal promises a place for another leaf, or in another's log");
    return ledger;
  });
  const found = [];
  for (const { number, content } of ofType(the, "Receipt")) {
    if (content.inclusion?.leaf !== leaf) continue;
    const said = await held(the, content.sender, against, `message ${number}, Receipt`, async () =>
      included(content.inclusion, await noteOf(noteText(content.checkpoint ?? ""), content.sender, assertionKeys(the, content.sender)), promised),
    );
    if (said) found.push(said);
  }
  if (head) {
    const proof = readInclusion(decodeJson(inclusion));
    if (!same(canonical(proof), inclusion) || proof.leaf !== leaf) throw noProof("the inclusion is of another leaf, or not in canonical form");
    found.push(await included(proof, head, promised));
    const others = proofs.filter((one) => one.index !== proof.index).length;
    if (others) found.push(`${others} more leaves in the log of ${own}`);
  }
  const commitment = await digestBytes(canonical(the.sealed.document));
  const proved = head && proofs.some((one) => one.label === "contract" && one.commitment === commitment);
  if (!proved && signsNotes(the, own) && ofType(the, "Closing").some((one) => one.content.sender === own)) {
    throw noProof(`${own} signed its log, and the pack does not prove the contract in it`);
  }
  return [...(found.length ? found : [`no proof under a checkpoint of ${own} yet`]), ...more, ...against].join("; ");
}

/** What `check` of something that `sender` says of a log gives. What the packer says has to hold; what the other side says
 * and does not hold makes no pack invalid (HIRE-PCK-11): then `against` has it, and this is undefined. */
async function held(the, sender, against, what, check) {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof Refused) || sender === the.manifest.own) throw error;
    against.push(`${sender} said of a log what does not hold (${what}: ${error.code}, ${error.message})`);
    return undefined;
  }
}

/** What a member of the packer's making says, which it writes in canonical form; undefined if it is not there. */
function packed(the, path, schema) {
  const data = the.members.get(path);
  if (!data) return undefined;
  let value;
  try {
    value = decodeJson(data, MANIFEST_LIMITS);
    checkSchema(DATA.schemas[schema], value);
  } catch (error) {
    if (error instanceof Refused) throw invalid(`${path}: ${error.message}`, path);
    throw error;
  }
  if (!same(canonical(value), data)) throw invalid(`${path} is not in canonical form`, path);
  return value;
}

const withheldOf = (the) => packed(the, "withheld.json", "WithheldList")?.withheld ?? [];

/** Proofs that moves, refusals and decisions stand in the packer's log, each of something here or listed as withheld. */
async function moreProofs(the, head) {
  const path = "ledger/proofs.json";
  const read = packed(the, path, "LogProofs");
  if (!read) return [];
  if (!head || read.size !== head.size) throw noProof(`${path} is of another tree than the checkpoint's`);
  if (read.proofs.some((one, at) => at && read.proofs[at - 1].index >= one.index)) throw noProof(`${path} does not have its proofs by place`);
  const known = await commitments(the, read.proofs);
  for (const { label, commitment, index, path: siblings } of read.proofs) {
    if (!known.has(`${label} ${commitment}`)) throw noProof(`${path}: the ${label} ${commitment} is not here`);
    const leaf = written(await leafHash(concat(encode(`hire/v1 ${label}\n`), rawDigest(commitment))));
    await verifyInclusion({ leaf, index, size: read.size, path: siblings }, head.root);
  }
  return read.proofs;
}

/** "label commitment" of everything here that has a leaf. */
async function commitments(the, proofs) {
  const known = new Set();
  const offers = new Map();
  for (const { content, message } of the.transcript) {
    if (content.type === "Offer") offers.set(message.digest, content.document);
    else if (content.type === "Acceptance" && offers.has(content.offer)) {
      const document = acceptedBy(offers.get(content.offer), content.contractProof);
      if (document) known.add(`contract ${await digestBytes(canonical(document))}`);
    }
    if (LOGGED.includes(content.type)) known.add(`move ${await digestBytes(message.raw)}`);
  }
  for (const [, data] of ofKind(the, "refusal")) known.add(`refusal ${await digestBytes(data)}`);
  for (const salt of new Set(proofs.map((one) => one.salt).filter(Boolean))) {
    for (const [, data] of ofKind(the, "decision")) known.add(`decision ${await digestBytes(concat(fromBase64url(salt.slice(1)), data))}`);
  }
  for (const one of withheldOf(the)) known.add(`${one.kind} ${one.commitment}`);
  return known;
}

/** Each line below the packer's is by a key of the witness that it names; of one whose keys are not known, that is said.
 * The witnesses that the verifier names have a line each. */
async function witnesses(the, note) {
  const [said, unknown] = [[], []];
  const lines = note ? readNote(note).signatures : [];
  for (const one of the.level ? [] : the.witnesses) {
    if (lines.some((line) => line.name === one.name && same(line.hint, one.hint))) continue;
    throw noProof(`expected a cosignature of the witness ${shown(one.name)}; the pack has ${note ? "no line by that key" : "no checkpoint"}`);
  }
  for (const { name, hint } of lines) {
    if (name === the.manifest.own) continue;
    const keys = await witnessKeys(the, name);
    if (!keys.length) {
      unknown.push(shown(name));
      continue;
    }
    let own;
    for (const key of keys) if (same(await keyHint(name, 4, key), hint)) own ??= key;
    if (!own) throw noProof(`a line of ${shown(name)} is by no key of it`);
    const { size, at } = await verifyCosignature(note, own, name);
    if (at > seconds(the.now) + SKEW) throw noProof(`${shown(name)} cosigned after ${the.now}`);
    said.push(`${name} cosigned ${size} leaves at ${instantOf(Number(at))}`);
  }
  if (unknown.length) said.push(`no DID document of the witness ${unknown.join(", ")} is here: not checked`);
  return said.join("; ");
}

/** The keys that cosign for a witness, as far as they are known here; its name may be no DID at all. */
async function witnessKeys(the, name) {
  const brought = the.witnesses.filter((one) => one.name === name).map((one) => one.key);
  try {
    const held = await documentsOf(the, name);
    const listed = held.flatMap((one) => [...one.keys("assertionMethod", the.manifest.created).values()]);
    return [...brought, ...listed.filter((key) => key.kind === "Ed25519")];
  } catch (error) {
    if (error instanceof Refused) return brought;
    throw error;
  }
}

/** Each head continues the one that it says, where that is in the pack. */
async function continued(the, roots, against) {
  const [count, left] = [[], []];
  for (const { number, content } of ofType(the, "Offer", "Acceptance", "Closing")) {
    const consistency = content.head?.consistency ?? content.consistency;
    if (!consistency) continue;
    await held(the, content.sender, against, `message ${number}, ${content.type}`, async () => {
      const size = content.head?.size ?? readCheckpoint(readNote(noteText(content.checkpoint)).text).size;
      const [old, root] = [consistency.size, size].map((one) => roots.get(`${one} ${content.sender}`));
      if (old && root) await verifyConsistency(consistency.size, old, size, root, consistency.path);
      (old && root ? count : left).push(content);
    });
  }
  const said = count.length ? [`${counted(count.length, "head continues", "heads continue")} what was stated before`] : [];
  if (left.length) said.push(`${counted(left.length, "head continues", "heads continue")} what this pack does not have: not checked`);
  return said.join("; ");
}

/** Each cosignature is its sender's, of the recipient's log, and contradicts no checkpoint of the packer's. What the packer
 * cosigned and the other side contradicts here, it may have been shown elsewhere. */
async function cosignatures(the, roots, against) {
  let count = 0;
  for (const { number, content } of ofType(the, "Acceptance", "Seal", "Closing")) {
    const what = `message ${number}, ${content.type}`;
    for (const coded of content.cosignatures ?? []) {
      const head = await held(the, content.sender, against, what, async () => {
        const note = noteText(coded);
        const found = await byAKey(assertionKeys(the, content.sender), content.sender, (key) => verifyCosignature(note, key, content.sender));
        if (found.origin !== content.recipient) throw noProof(`a cosignature of ${shown(found.origin)}, sent to another`);
        return found;
      });
      if (!head) continue;
      await held(the, head.origin, against, `${what}, its cosignatures`, () => {
        if (same(roots.get(`${head.size} ${head.origin}`) ?? head.root, head.root)) return;
        throw new Refused("ledger_diverged", `the log of ${head.origin} was cosigned with other leaves`);
      });
      count += 1;
    }
  }
  return count ? counted(count, "cosignature holds", "cosignatures hold") : "";
}

async function included(proof, head, promised) {
  if (proof.size !== head.size) throw noProof(`a proof for ${proof.size} leaves, a checkpoint of ${head.size}`);
  await verifyInclusion(proof, head.root);
  if (head.origin === promised?.log && proof.index !== promised.index) {
    throw noProof(`the seal promised index ${promised.index}; the contract has index ${proof.index}`);
  }
  return `leaf ${proof.index + 1} of ${head.size} in the log of ${head.origin}`;
}

/** HIRE-LOG-05: the checkpoint of a pack is in no message, so nobody knows when it was made: it has the root that was stated of as many leaves, and no fewer of them than
 * its owner's `Closing`. */
async function checkPacked(the, head, roots) {
  for (const { number, content } of ofType(the, "Closing")) {
    if (content.sender !== head.origin) continue;
    const { size } = await noteOf(noteText(content.checkpoint), head.origin, assertionKeys(the, head.origin));
    if (head.size < size) throw new Refused("ledger_diverged", `message ${number} has ${size} leaves, ledger/checkpoint.txt fewer`);
  }
  const place = `${head.size} ${head.origin}`;
  if (!roots.has(place)) roots.set(place, head.root);
  if (!same(roots.get(place), head.root)) throw new Refused("ledger_diverged", `the log of ${head.origin} had other leaves before, or more`);
}

/** HIRE-LOG-05: one root for each size of one log, and it is never smaller than it was before. */
function checkGrowth(heads) {
  const roots = new Map();
  let [last, most, before] = ["", 0, 0];
  for (const [at, head] of heads.toSorted(([one], [other]) => inOrder(one, other))) {
    before = at > last ? most : before; // of two signed in one second neither came first
    if (!roots.has(head.size)) roots.set(head.size, head.root);
    if (!same(roots.get(head.size), head.root) || head.size < before) {
      throw new Refused("ledger_diverged", `the log of ${head.origin} had other leaves before, or more`);
    }
    [last, most] = [at, Math.max(most, head.size)];
  }
}

async function refusals(the) {
  const { own, engagement } = the.manifest;
  let count = 0;
  for (const [path, data] of ofKind(the, "refusal")) {
    if (path !== `refusals/${await digestBytes(data)}.json`) throw invalid(`${path} is not named by its digest`);
    const { digest } = sealedOf(the);
    const envelope = decodeJson(data, FOREIGN_LIMITS);
    if (!isObject(envelope)) throw invalid(`${path} is no envelope`);
    const { predicate } = await verifyStatement(envelope, {
      ...{ attester: own, own: assertionKeys(the, own), contract: digest, artifacts: new Map([["contract", digest]]) },
      predicates: REFUSALS,
    });
    if (predicate.engagement !== engagement) throw new Refused("attestation_binding", `${path} is of another engagement`);
    if (predicate.at > shift(the.now, SKEW)) throw invalid(`${path} is of ${predicate.at}, which is after ${the.now}`);
    the.refusals.push(predicate);
    count += 1;
  }
  checkRecorded(the, "refusal", "refusals");
  const left = withheldOf(the).filter((one) => one.kind === "refusal").length;
  const named = workOf(the).flatMap((work) => work.actions.filter((one) => !one.allowed));
  const isOf = (one) => (other) => one.action === other.action && one.target === other.target;
  const statedFor = (one) => the.refusals.filter(isOf(one)).reduce((sum, { repeated = 0 }) => sum + 1 + repeated, 0);
  const missing = named.filter((one, at) => named.slice(0, at).filter(isOf(one)).length >= statedFor(one)).length;
  const said = [count ? `${counted(count, "refused action is", "refused actions are")} stated by ${own}` : "none in this pack"];
  if (left) said.push(`${left} withheld`);
  if (missing) said.push(`the work statements name ${named.length}, ${missing} of which are not stated here`);
  return said.join("; ");
}

/** As many are proved to be in the packer's log as its `Closing` says that it recorded (HIRE-PCK-10); each of these is in
 * the pack or listed as withheld. A decision is not signed, so one without a proof counts for nothing. */
function checkRecorded(the, kind, name) {
  const { own } = the.manifest;
  const proved = the.proofs.filter((one) => one.label === kind).length;
  for (const { content } of ofType(the, "Closing")) {
    const recorded = content.sender === own ? (content.recorded?.[name] ?? 0) : 0;
    if (signsNotes(the, own) && proved < recorded) {
      throw invalid(`${own} recorded ${recorded} of kind ${kind}, as its Closing says; ledger/proofs.json has ${proved}`);
    }
  }
}

/** Decisions, and what they were made from, have their names, and what was left out is listed in the one form. */
async function decisions(the) {
  const found = [];
  for (const [kind, folder, one, more, words] of [
    ["decision", "decisions", "decision", "decisions", "as recorded"],
    ["credential", "credentials", "credential", "credentials", "as looked up"],
    ["status", "status", "status list", "status lists", "as consulted"],
    ["policy", "policies", "policy", "policies", "that they name"],
  ]) {
    for (const [path, data] of ofKind(the, kind)) {
      if (path !== `${folder}/${await digestBytes(data)}.json`) throw invalid(`${path} is not named by its digest`);
    }
    const count = ofKind(the, kind).length;
    if (kind === "decision") checkRecorded(the, kind, folder);
    if (count) found.push(`${counted(count, one, more)} ${words}`);
  }
  const left = withheldOf(the);
  if (!isSortedSet(left.map((one) => `${one.kind} ${one.commitment}`))) throw invalid("withheld.json does not list each thing once, by kind and commitment");
  const counts = new Map();
  for (const { kind } of left) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  if (left.length) found.push(`withheld: ${[...counts].map(([kind, count]) => `${count} of kind ${kind}`).join(", ")}`);
  const judged = await credentials(the);
  return [found.join("; ") || "no decision in this pack, and nothing withheld", judged].filter(Boolean).join("; ");
}

// --- all of them

const STEPS = [
  ["archive and manifest", archive],
  ["DID documents", documents],
  ["messages and their proofs", messages],
  ["chains and states", chains],
  ["contract", contract],
  ["statements", statements],
  ["acceptance of the work", acceptance],
  ["ledger proofs", logs],
  ["refused actions", refusals],
  ["decisions, and what is withheld", decisions],
];

const newCase = (data, now, known, witnesses, level = 0) => ({
  ...{ data, now, known, witnesses, level, documents: new Map(), amended: [], statements: new Map(), refusals: [], early: [] },
});

/** Each step reads only what those before it verified, and the first that fails ends it. What a step could not check is
 * listed in it: it does not hold then, and those after it are looked at all the same. */
async function checked(the) {
  const steps = [];
  let failed = 0;
  for (const [at, [name, check]] of STEPS.entries()) {
    const number = at + 1;
    if (failed) {
      steps.push({ number, name, ok: false, code: "evidence_invalid", detail: `not checked: step ${failed} failed`, unchecked: [] });
      continue;
    }
    const outside = unchecked;
    unchecked = new Set();
    try {
      const detail = await check(the);
      steps.push({ number, name, ok: unchecked.size === 0, code: "", detail, unchecked: [...unchecked] });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      failed = number;
      steps.push({ number, name, ok: false, code: error.code, detail: (error.path && !error.message.startsWith(error.path) ? `${error.path}: ` : "") + error.message, unchecked: [...unchecked] });
    }
    for (const one of unchecked) outside.add(one);
    unchecked = outside;
  }
  return steps;
}

/** What each side says is owed by its last `Closing`, and what is by the moves that ended the contract, if they differ: nothing fails by it. */
async function booksOf(the) {
  const books = {};
  const sum = ({ amount, currency }) => `${amount} ${currency}`;
  for (const { content } of ofType(the, "Closing")) books[content.role] = sum(content.settlement);
  const ended = ["closing", "closed"].includes(the.engagement.state);
  if (ended && Object.keys(books).length) books.moves = sum(await leftOwed(the, the.engagement.contract.endings));
  return new Set(Object.values(books)).size > 1 ? { books } : {};
}

/** What is owed by the strongest of what ended a contract (07, HIRE-LIF-11 and HIRE-PAY-03). */
async function leftOwed(the, endings) {
  const { terms } = documentAt(the, Infinity);
  const basis = ["ruling", "release", "silence", "review", "terminate"].find((one) => endings.some((end) => end.basis === one));
  const { detail } = endings.find((end) => end.basis === basis);
  if (basis === "release") return detail;
  if (basis === "ruling") {
    const last = new Map(ofType(the, "Ruling").map(({ content }) => [content.role, content.ruling]));
    const named = await Promise.all([...last.values()].map(async (ruling) => [await digestOf(ruling), ruling]));
    return named.sort(([one], [other]) => (one < other ? -1 : 1))[0][1];
  }
  const bySilence = basis === "silence" && terms.onSilence === "accepted" && ofType(the, "Delivery").at(-1).content.outcome === "complete";
  if (bySilence || (basis === "review" && detail === "accepted")) return terms.price;
  const met = new Set((ofType(the, "Review").at(-1)?.content.criteria ?? []).filter((one) => one.met).map((one) => one.id));
  const reached = (terms.settlement.milestones ?? []).filter((one) => one.criteria.every((id) => met.has(id)));
  const percent = reached.reduce((all, one) => all + one.percent, 0);
  return { amount: amountOf((units(terms.price.amount) * BigInt(percent)) / 100n), currency: terms.price.currency };
}

/** The report on the pack in these bytes, at the instant `now`. `known` are the bytes of DID documents that the verifier
 * has from elsewhere: of a DID of which it knows any, the pack must hold no other. `witnesses`
 * are verifier keys of those who must have cosigned its checkpoint. */
async function verifyPack(data, now, known = [], witnesses = []) {
  const held = new Map();
  for (const raw of known) {
    const value = decodeJson(raw, FOREIGN_LIMITS);
    if (!isObject(value) || typeof value.id !== "string") throw documentWrong("expected a DID document");
    add(held, value.id, new DidDocument(value.id, raw));
  }
  const the = newCase(data, now, held, await Promise.all(witnesses.map(readVerifier)));
  const steps = await checked(the);
  const listed = [];
  const parties = the.manifest ? [the.manifest.own, the.manifest.peer] : [];
  for (const did of [...parties, ...(the.taken ?? []).filter((one) => !parties.includes(one))]) {
    for (const [method, key] of assertionKeys(the, did)) {
      const isKnown = held.has(did) || (await derivedDocument(did)) !== undefined;
      listed.push({ method, kind: key.kind, publicKeyMultibase: key.multikey, known: isKnown });
    }
  }
  const report = {
    ok: steps.every((step) => step.ok),
    engagement: the.manifest?.engagement ?? null,
    contract: the.sealed?.digest ?? null,
    state: the.engagement?.state ?? null,
    ...(the.early.length ? { early: the.early } : {}),
    ...(steps.every((step) => step.ok) ? await booksOf(the) : {}),
    steps,
    keys: listed,
    notJudged: the.manifest ? the.manifest.members.filter((item) => !KINDS.includes(item.kind)).map((item) => item.path) : [],
  };
  return { report, the };
}
