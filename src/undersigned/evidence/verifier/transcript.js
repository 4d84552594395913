// DID documents, messages with their proofs, and the chains and states that they make: 08, section 8.6, HIRE-PCK-01, steps 2 to 4.

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

// --- messages and chains

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
