// Data Integrity proofs, messages, contracts and statements: 04, sections 4.2 and 4.5; 07, sections 7.1 to 7.4; 08,
// sections 8.1 to 8.3.

/** What the running step could not check; whoever reads "no" must also read this as no. */
let unchecked = new Set();

// --- Data Integrity

const SUITES = {
  "eddsa-jcs-2022": { kinds: ["Ed25519"], jcs: true },
  "ecdsa-jcs-2019": { kinds: ["P-256", "P-384"], jcs: true },
  "eddsa-rdfc-2022": { kinds: ["Ed25519"], jcs: false },
  "ecdsa-rdfc-2019": { kinds: ["P-256", "P-384"], jcs: false },
};
const OPTIONS = new Set(
  ["@context", "challenge", "created", "cryptosuite", "domain", "expires", "id", "nonce", "previousProof"].concat([
    ...["proofPurpose", "proofValue", "type", "verificationMethod"],
  ]),
);

function proofsOf(document) {
  const { proof } = document;
  if (!proof || (Array.isArray(proof) && !proof.length) || (isObject(proof) && !Object.keys(proof).length)) {
    throw new Refused("proof_missing", "expected a proof; came none", "/proof");
  }
  return Array.isArray(proof) ? proof : [proof];
}

function checkOptions(proof) {
  if (!isObject(proof) || !Object.keys(proof).length) throw new Refused("proof_missing", "expected a proof", "/proof");
  if (proof.type !== "DataIntegrityProof" || !has(proof, "cryptosuite")) {
    throw new Refused("suite_not_allowed", "expected a DataIntegrityProof with its cryptosuite", "/proof");
  }
  for (const [name, value] of Object.entries(proof)) {
    if (!OPTIONS.has(name)) throw new Refused("unknown_term", "expected members of a proof; came another", "/proof");
    const texts = name === "previousProof" && Array.isArray(value) ? value : [value];
    const isText = texts.length && texts.every((text) => typeof text === "string" && text);
    if (name !== "@context" && !isText) throw new Refused("schema_violation", `expected text in ${name}`, "/proof");
  }
  for (const name of ["verificationMethod", "proofPurpose", "proofValue"]) {
    if (!has(proof, name)) throw new Refused("schema_violation", `expected a proof with ${name}`, "/proof");
  }
}

function verifyOptions(proof, purpose, asked = {}) {
  const suite = has(SUITES, proof.cryptosuite) ? SUITES[proof.cryptosuite] : undefined;
  if (!suite || (asked.onlyJcs && !suite.jcs)) throw new Refused("suite_not_allowed", `expected a known suite; came ${shown(proof.cryptosuite)}`, "/proof/cryptosuite");
  if (proof.proofPurpose !== purpose) {
    throw new Refused("proof_purpose_mismatch", `expected ${purpose}; came ${shown(proof.proofPurpose)}`, "/proof/proofPurpose");
  }
  for (const member of ["challenge", "domain"]) {
    if (proof[member] !== asked[member]) throw new Refused("challenge_mismatch", `expected ${member} ${asked[member]}`, `/proof/${member}`);
  }
  const [created, expires] = ["created", "expires"].map((name) => {
    const at = has(proof, name) ? moment(proof[name]) : null;
    if (at === undefined) throw new Refused("schema_violation", "expected a time with its zone", `/proof/${name}`);
    return at;
  });
  if (created !== null && expires !== null && created > expires) {
    throw new Refused("proof_invalid", "expected created before expires", "/proof");
  }
  const now = asked.now ? micros(asked.now) : undefined;
  if (created !== null && now !== undefined && created > now + 60000000n) throw new Refused("proof_from_future", "expected a proof made by now", "/proof/created");
  if (expires !== null && now !== undefined && expires < now) throw new Refused("proof_expired", "expected a proof that is still good", "/proof/expires");
  return suite;
}

/** The key that signed `content` under these options. */
async function verifySignature(content, proof, suite, keyFor, purpose, lowS = true) {
  const key = keyFor(proof.verificationMethod, purpose);
  if (!suite.kinds.includes(key.kind)) {
    throw new Refused("suite_not_allowed", `expected a key for ${proof.cryptosuite}; came ${key.kind}`, "/proof/verificationMethod");
  }
  // Others may leave it out, as they may write either value of s. A null is no context, and repeats none.
  const context = suite.jcs ? (content["@context"] ?? undefined) : undefined;
  const fits = has(proof, "@context") ? context !== undefined && equal(proof["@context"], context) : context === undefined || !lowS;
  if (!fits) throw new Refused("proof_invalid", "expected the document's @context in a proof of a jcs suite, and none in another", "/proof/@context");
  let signature;
  try {
    if (proof.proofValue.length > 256) throw new Refused("too_large", "expected a signature");
    signature = multibase(proof.proofValue, "z");
  } catch (error) {
    if (error instanceof Refused) throw new Refused("proof_invalid", `expected base58btc: ${error.message}`, "/proof/proofValue");
    throw error;
  }
  const size = SIGNATURE_BYTES[key.kind];
  if (signature.length !== size) throw new Refused("proof_invalid", `expected ${size} bytes; came ${signature.length}`, "/proof/proofValue");
  const hash = key.kind === "P-384" ? sha384 : sha256;
  const options = without(proof, "proofValue");
  const forms = suite.jcs
    ? [canonical(options), canonical(content)]
    : [await quadsOf({ ...options, "@context": content["@context"] }, hash), await quadsOf(content, hash)];
  const signed = concat(await hash(forms[0]), await hash(forms[1]));
  const holds = await key.holds(signature, signed, lowS);
  if (holds === undefined) unchecked.add(`signatures of ${key.kind}: this browser does not know them`);
  if (holds === false) throw new Refused("proof_invalid", "expected a signature by this key over these bytes", "/proof");
  return key;
}

/** `asked`: the time, and the challenge and domain, that are expected; `onlyJcs` of suites, and how ECDSA may be spelled. */
async function verifyProof(document, keyFor, purpose, asked = {}) {
  const proofs = proofsOf(document);
  if (proofs.length !== 1) throw new Refused("proof_invalid", `expected one proof; came ${proofs.length}`, "/proof");
  const [proof] = proofs;
  checkOptions(proof);
  if (has(proof, "previousProof")) throw new Refused("proof_invalid", "expected a proof that stands alone", "/proof");
  const suite = verifyOptions(proof, purpose, asked);
  return verifySignature(without(document, "proof"), proof, suite, keyFor, purpose, asked.lowS);
}

/** Each of `signers` signed once, in this order, each proof over the one before it, and nobody else did. */
async function verifyProofChain(document, keyFor, purpose, signers) {
  const wrong = (text) => new Refused("proof_invalid", text, "/proof");
  const proofs = proofsOf(document);
  proofs.forEach(checkOptions);
  if (proofs.length !== signers.length) throw wrong(`expected ${signers.length} proofs; came ${proofs.length}`);
  const came = proofs.map((proof) => proof.verificationMethod.split("#")[0]);
  if (!equal(came, signers)) throw wrong(`expected proofs by ${signers.join(", ")}`);
  const ids = proofs.filter((proof) => has(proof, "id")).map((proof) => proof.id);
  if (new Set(ids).size < ids.length) throw wrong("expected an id of its own on each proof");
  const used = new Set();
  for (const [place, proof] of proofs.entries()) {
    const previous = has(proof, "previousProof") ? [proof.previousProof].flat() : [];
    const expected = place ? [proofs[place - 1].id] : [];
    if (!equal(previous, expected) || (place && !has(proofs[place - 1], "id"))) throw wrong("expected a proof that builds on the one before");
    const suite = verifyOptions(proof, purpose);
    const bare = without(document, "proof");
    const content = place ? { ...bare, proof: [proofs[place - 1]] } : bare;
    used.add((await verifySignature(content, proof, suite, keyFor, purpose)).name);
  }
  if (used.size !== proofs.length) throw wrong(`expected ${proofs.length} keys; came ${used.size}`);
}

// --- messages

const CONTEXT = "https://w3id.org/hire/v1";
const MEMBER_BYTES = {
  ...{ document: 65536, credential: 65536, presentation: 131072, statements: 131072, statement: 131072 },
  ...{ ruling: 65536, parents: 163840 },
};

/** The message in these bytes: its shape, its digest, its proof present and not yet checked. */
async function decodeMessage(raw) {
  const content = readMessage(raw);
  if (!isObject(content)) throw new Refused("bad_json", "expected a JSON object");
  if (!content.proof || (typeof content.proof === "object" && !Object.keys(content.proof).length)) {
    throw new Refused("proof_missing", "expected one Data Integrity proof; came none", "/proof");
  }
  const kind = kindOf(content);
  const most = content.type === "Problem" ? 2048 : kind.notice ? 8192 : 262144;
  if (raw.length > most) throw new Refused("too_large", `expected at most ${most} bytes; came ${raw.length}`);
  for (const [member, limit] of Object.entries(MEMBER_BYTES)) {
    if (!kind.notice && has(content, member) && canonical(content[member]).length > limit) {
      throw new Refused("too_large", `expected at most ${limit} bytes`, `/${member}`);
    }
  }
  checkMessage(content);
  if (content.type === "Inquiry") checkInquiry(content);
  checkUsage(content.usage ?? []);
  if (content.type === "Start") checkNames(content.inputs);
  return { content, raw, digest: await digestOf(content), ...kind };
}

/** What is said of a message's type, once its version, type and context are such as are taken. */
function kindOf(content) {
  if (typeof content.version === "string" && content.version !== "1.0") {
    throw new Refused("version_not_supported", `expected version 1.0; came ${shown(content.version)}`, "/version");
  }
  const kind = typeof content.type === "string" && has(DATA.types, content.type) ? DATA.types[content.type] : undefined;
  if (!kind) throw new Refused("schema_violation", `expected a type of message; came ${shown(content.type)}`, "/type");
  if (content["@context"] !== CONTEXT) throw new Refused("context_not_allowed", `expected exactly ${CONTEXT}`, "/@context");
  if (!has(content, "version")) throw new Refused("schema_violation", "expected a version; came none", "/version");
  return kind;
}

const PROOF_PATHS = ["/proof", "/document/proof", "/presentation/proof", "/contractProof"];
const valueAt = (value, path) => path.split("/").slice(1).reduce((inner, name) => (isObject(inner) ? inner[name] : undefined), value);

/** The JSON of a message; where a proof is null it is missing. */
function readMessage(raw) {
  try {
    return decodeJson(raw);
  } catch (error) {
    if (!(error instanceof Refused) || error.message !== NO_NULL) throw error;
    const value = decodeJson(raw, { ...MESSAGE_LIMITS, nulls: true });
    const path = PROOF_PATHS.find((one) => valueAt(value, one) === null);
    throw path ? new Refused("proof_missing", "expected a Data Integrity proof; came null", path) : error;
  }
}

/** Checks the closed schema of a message; about proofs it has codes of its own. */
function checkMessage(content) {
  try {
    checkLinked(DATA.schemas[content.type], content);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { path, message } = error;
    const value = valueAt(content, path);
    if (PROOF_PATHS.includes(path)) {
      if (!value || (typeof value === "object" && !Object.keys(value).length)) throw new Refused("proof_missing", message, path);
      if (Array.isArray(value)) throw new Refused("proof_invalid", message, path);
    }
    if (path.startsWith("/proof/")) {
      // Whatever else is wrong with it: of which kind a proof is, and for what, says more than another shape of it.
      const { type, cryptosuite, proofPurpose } = content.proof;
      if (type !== "DataIntegrityProof") throw new Refused("suite_not_allowed", "expected a DataIntegrityProof", "/proof/type");
      if (typeof cryptosuite !== "string" || !/^[a-z0-9][a-z0-9-]{0,63}$/.test(cryptosuite)) throw new Refused("suite_not_allowed", "expected a cryptosuite", "/proof/cryptosuite");
      if (!["assertionMethod", "authentication"].includes(proofPurpose)) throw new Refused("proof_purpose_mismatch", "expected a purpose", "/proof/proofPurpose");
    }
    throw error;
  }
}

/** What the schema cannot say of an inquiry. */
function checkInquiry({ version, versions, closesAt, respondBy }) {
  const number = (text) => text.split(".").map(Number);
  const lowest = versions.toSorted((one, other) => number(one)[0] - number(other)[0] || number(one)[1] - number(other)[1])[0];
  if (version !== lowest) throw new Refused("schema_violation", "expected the lowest version offered", "/version");
  if (closesAt < respondBy) throw new Refused("schema_violation", "expected an instant not before respondBy", "/closesAt");
}

/** One total for each unit of a clause, and no part of it that is more (HIRE-MSG-06). */
function checkUsage(usage) {
  const named = new Set();
  for (const [place, { clause, unit, amount, unproved }] of usage.entries()) {
    const name = JSON.stringify([clause, unit]);
    if (named.has(name)) throw new Refused("schema_violation", "expected one line for each unit of a clause", `/usage/${place}`);
    named.add(name);
    if (unproved !== undefined && units(unproved) > units(amount)) {
      throw new Refused("schema_violation", "expected at most the amount", `/usage/${place}/unproved`);
    }
  }
}

/** Each input has a name of its own (HIRE-MSG-07). */
function checkNames(inputs) {
  const names = inputs.map((one) => one.name);
  const twice = names.findIndex((name, place) => names.indexOf(name) < place);
  if (twice >= 0) throw new Refused("schema_violation", "expected another name for each input", `/inputs/${twice}/name`);
}

const engagementId = async (hirer, provider, nonce) => `urn:hire:engagement:${await digestBytes(canonical({ hirer, nonce, provider }))}`;

/** Passes a message that its sender signed for `recipient`, lately at `now`, with the keys of these two documents. */
async function verifyMessage(message, document, own, now) {
  const { content, purpose } = message;
  const { proof } = content;
  const keyFor = (method, relationship) => {
    if (method.split("#")[0] !== content.sender) {
      throw new Refused("key_not_authorized", `expected a method of the sender ${content.sender}`, "/proof/verificationMethod");
    }
    return document.keyFor(method, relationship, now);
  };
  const suite = verifyOptions(proof, purpose);
  const key = await verifySignature(without(content, "proof"), proof, suite, keyFor, purpose);
  const no = (code, text) => new Refused(code, text, "/proof");
  if (seconds(proof.expires) - seconds(proof.created) > 86400) throw no("proof_expired", "expected a proof for at most a day");
  if (seconds(proof.created) - seconds(now) > 60) throw no("proof_from_future", `expected at most 60 s after ${now}; came ${proof.created}`);
  if (proof.expires < now) throw no("proof_expired", `expected ${now} or later; came ${proof.expires}`);
  if (content.recipient !== own.id) throw new Refused("wrong_recipient", `expected recipient ${own.id}`, "/recipient");
  if (content.sender === own.id || listedKeys(own).has(key.name)) throw new Refused("self_dealing", "expected two parties, with keys of their own");
  if (content.type === "Inquiry" && content.engagement !== (await engagementId(content.sender, content.recipient, content.nonce))) {
    throw new Refused("wrong_negotiation", "expected the engagement of these parties and nonce", "/engagement");
  }
}

/** Names of every key that a document lists for signing, also of those that are not good any more. */
function listedKeys(document) {
  const names = ["authentication", "assertionMethod"].flatMap((relationship) => [...document.listedKeys(relationship).values()]);
  return new Set(names.map((key) => key.name));
}

// --- contracts

const otherRole = (role) => (role === "hirer" ? "provider" : "hirer");
const PARTS = { Contract: "ContractDocument", Amendment: "AmendmentDocument", Release: "ReleaseDocument" };

function nameParts(id) {
  const found = /^(.+):(hirer|provider):([1-9][0-9]{0,15})$/.exec(id);
  if (!found) throw new Refused("schema_violation", `expected <engagement>:<role>:<sequence>; came ${shown(id)}`, "/id");
  return { engagement: found[1], role: found[2], sequence: Number(found[3]) };
}

/** Passes a contract, amendment or release that is well-formed and whose parts agree. */
function checkDocument(document) {
  if (canonical(without(document, "proof")).length > 65536) throw new Refused("too_large", "expected a document of at most 65536 bytes");
  const of = typeof document.type === "string" && has(PARTS, document.type) ? PARTS[document.type] : undefined;
  if (!of) throw new Refused("schema_violation", "expected another type of document", "/type");
  checkLinked({ $ref: of }, document);
  checkParts(document);
}

const isSortedSet = (list) => list.every((item, at) => at === 0 || codePointOrder(list[at - 1], item) < 0);

function codePointOrder(one, other) {
  const [a, b] = [Array.from(one), Array.from(other)].map((list) => list.map((c) => c.codePointAt(0)));
  const at = a.findIndex((point, place) => point !== b[place]);
  return at < 0 ? a.length - b.length : (a[at] ?? -1) - (b[at] ?? -1);
}

function checkParts(document) {
  const wrong = (path, text) => new Refused("schema_violation", `expected ${text}`, path);
  const { id, hirer, provider, methods, terms } = document;
  if (nameParts(id).engagement !== document.engagement) throw wrong("/id", "the engagement in front");
  if (terms && terms.id !== `${id}#terms`) throw wrong("/terms/id", "the document's id in front");
  if (terms && terms.scope.id !== `${id}#scope`) throw wrong("/terms/scope/id", "the document's id in front");
  if (hirer === provider || methods.hirer.some((method) => methods.provider.includes(method))) {
    throw new Refused("self_dealing", "expected two parties");
  }
  for (const [role, did] of [["hirer", hirer], ["provider", provider]]) {
    if (!isSortedSet(methods[role])) throw wrong(`/methods/${role}`, "a sorted set");
    if (methods[role].some((method) => method.split("#")[0] !== did)) throw wrong(`/methods/${role}`, `methods of ${did}`);
  }
  if (!terms) {
    if (units(document.settlement.amount) < 0n) throw wrong("/settlement/amount", "an amount that is not negative");
    return;
  }
  if (terms.evidence.verifier === hirer || terms.evidence.verifier === provider) throw wrong("/terms/evidence/verifier", "another than the parties");
  if (terms.arbiter === hirer || terms.arbiter === provider) throw wrong("/terms/arbiter", "another than the parties");
  checkTerms(terms, wrong);
}

const criteriaOf = (terms) => terms.deliverables.flatMap((one) => one.criteria.map((criterion) => criterion.id));

function checkTerms(terms, wrong) {
  const { deadlines, subcontracting, termination } = terms;
  const times = [deadlines.notBefore ?? deadlines.start, deadlines.start, deadlines.finish, deadlines.until];
  if (!equal(times, times.toSorted())) throw wrong("/terms/deadlines", "instants in order");
  if (units(terms.price.amount) < 0n) throw wrong("/terms/price/amount", "an amount that is not negative");
  if (subcontracting.depth > 0 !== subcontracting.allowed) throw wrong("/terms/subcontracting/depth", "0 exactly if not allowed");
  if (has(termination, "notice") !== (termination.convenience === "notice")) throw wrong("/terms/termination/notice", "a notice exactly if agreed");
  if (has(termination, "fee") !== (termination.convenience === "fee")) throw wrong("/terms/termination/fee", "a fee exactly if agreed");
  if (!/[1-9]/.test(deadlines.heartbeat)) throw wrong("/terms/deadlines/heartbeat", "a duration longer than none");
  const { fee } = termination;
  if (fee && (units(fee.amount) < 0n || fee.currency !== terms.price.currency)) throw wrong("/terms/termination/fee", "a fee as the price is");
  const once = (names) => new Set(names).size === names.length;
  if (!once(terms.evidence.predicates)) throw wrong("/terms/evidence/predicates", "each predicate once");
  const criteria = criteriaOf(terms);
  const constraints = (terms.scope.grants ?? []).flatMap((grant) => grant.constraint ?? []);
  const limits = constraints.filter((one) => ["count", "payAmount", "amount"].includes(one.leftOperand) && !has(one, "per"));
  const made = terms.deliverables.length + (has(terms.evidence, "sbom") ? 1 : 0);
  if (Math.max(criteria.length, made, limits.length) > 64) throw wrong("/terms", "no more of anything than one message can answer");
  if (!once(terms.deliverables.map((one) => one.name)) || !once(criteria)) throw wrong("/terms/deliverables", "each name once");
  const milestones = terms.settlement.milestones ?? [];
  const known = milestones.every((one) => once(one.criteria) && one.criteria.every((id) => criteria.includes(id)));
  const percent = milestones.reduce((sum, one) => sum + one.percent, 0);
  if (!known || !once(milestones.map((one) => one.name)) || percent > 100) throw wrong("/terms/settlement/milestones", "milestones that fit");
  for (const name of ["mustStayValid", "policies"]) if (!isSortedSet(terms[name])) throw wrong(`/terms/${name}`, "a sorted set");
  readScope(terms.scope);
}

/** The contract or change, once document, acceptance and seal are known to belong together and to be signed. */
async function verifySealed(document, acceptance, seal, keyFor) {
  checkDocument(document);
  for (const move of [acceptance, seal]) {
    kindOf(move);
    checkMessage(move);
  }
  const { role: offerer } = nameParts(document.id);
  const acceptor = otherRole(offerer);
  const parties = { hirer: document.hirer, provider: document.provider };
  const proofs = proofsOf(document);
  for (const [place, role] of [offerer, acceptor].entries()) {
    if (place < proofs.length && !document.methods[role].includes(proofs[place]?.verificationMethod)) {
      throw new Refused("proof_invalid", "expected a proof by a method that the document names", `/proof/${place}`);
    }
    if (place < proofs.length && has(proofs[place], "expires")) throw new Refused("unknown_term", "expected a proof that does not expire", `/proof/${place}`);
  }
  await verifyProofChain(document, keyFor, "assertionMethod", [parties[offerer], parties[acceptor]]);
  const digest = await digestOf(document);
  const of = (did) => (method, purpose) => {
    if (method.split("#")[0] !== did) throw new Refused("key_not_authorized", `expected a method of ${did}`);
    return keyFor(method, purpose);
  };
  const expect = (message, members) => {
    for (const [name, expected] of Object.entries(members)) {
      if (expected === undefined || message[name] !== expected) throw new Refused("terms_mismatch", `${message.type}: expected another ${name}`);
    }
  };
  checkEnvelope(acceptance, "Acceptance", document, acceptor, parties);
  expect(acceptance, { document: digest });
  if (!equal(acceptance.contractProof, proofs[1])) throw new Refused("terms_mismatch", "the acceptance carries another proof than the document");
  await verifyProof(acceptance, of(parties[acceptor]), "authentication");
  const accepted = await digestOf(acceptance);
  checkEnvelope(seal, "Seal", document, offerer, parties);
  expect(seal, { document: digest, offer: acceptance.offer, acceptance: accepted });
  await verifyProof(seal, of(parties[offerer]), "assertionMethod");
  if (document.type === "Contract") {
    expect(acceptance, { seen: acceptance.offer });
    expect(seal, { seen: accepted, previous: acceptance.offer, sequence: nameParts(document.id).sequence + 1 });
  }
  return { document, digest, offerer };
}

function checkEnvelope(message, type, document, role, parties) {
  if (message.type !== type) throw new Refused("terms_mismatch", `expected ${type}`);
  if (message.engagement !== document.engagement) throw new Refused("wrong_negotiation", `${type}: expected another engagement`);
  if (message.role !== role || message.sender !== parties[role] || message.recipient !== parties[otherRole(role)]) {
    throw new Refused("wrong_party", `${type}: expected it from the ${role} to the other party`);
  }
}

/** The document with the second proof behind the first. */
function countersigned(document, proof) {
  const [first] = proofsOf(document);
  if (!isObject(document.proof)) throw new Refused("proof_invalid", "expected the offerer's proof, and no list", "/proof");
  checkOptions(first);
  const { id } = first;
  if (typeof id !== "string" || !id.startsWith("urn:uuid:")) throw new Refused("proof_invalid", "expected an id on the offerer's proof", "/proof/id");
  checkOptions(proof);
  if (proof.previousProof !== id) throw new Refused("proof_invalid", "expected a proof that builds on the offerer's", "/contractProof");
  return { ...document, proof: [first, proof] };
}

/** The same; undefined if the proof is none of this document: an acceptance that moves nothing makes no contract. */
function acceptedBy(document, proof) {
  try {
    return countersigned(document, proof);
  } catch (refused) {
    if (refused instanceof Refused) return undefined;
    throw refused;
  }
}

function checkRuling(ruling) {
  checkLinked(DATA.schemas.ArbiterRuling, ruling);
  if (units(ruling.amount) < 0n) throw new Refused("schema_violation", "expected 0 or more", "/amount");
}

async function verifyRuling(ruling, arbiter, keyFor) {
  checkRuling(ruling);
  await verifyProof(
    ruling,
    (method, purpose) => {
      if (method.split("#")[0] !== arbiter) throw new Refused("key_not_authorized", `expected a method of the arbiter ${arbiter}`);
      return keyFor(method, purpose);
    },
    "assertionMethod",
  );
}

// --- statements

const PAYLOAD_TYPE = "application/vnd.in-toto+json";

function fromEitherBase64(text, path) {
  const urlSafe = /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?$/.test(text);
  return fromBase64(urlSafe ? text.replaceAll("-", "+").replaceAll("_", "/") : text, "schema_violation", path);
}

/** Refuses a null, in whatever member: absent has one spelling. */
function refuseNull(value, path = "") {
  if (value === null) throw new Refused("schema_violation", "expected a value or no member; came null", path);
  if (typeof value === "object") for (const [name, inner] of Object.entries(value)) refuseNull(inner, `${path}/${name}`);
}

/** Payload and signers of an envelope, once a key of `own` (method -> key) signed it. */
async function verifyEnvelope(envelope, own) {
  if (typeof envelope.payload === "string" && envelope.payload.length > 174766) throw new Refused("too_large", "expected a payload of at most 131072 bytes", "/payload");
  refuseNull(envelope);
  checkSchema(DATA.schemas.Envelope, envelope);
  if (!envelope.signatures.length) throw new Refused("proof_missing", "expected a signature in the envelope", "/signatures");
  const payload = fromEitherBase64(envelope.payload, "/payload");
  const type = encode(envelope.payloadType);
  const signed = concat(encode(`DSSEv1 ${type.length} ${envelope.payloadType} ${payload.length} `), payload);
  const holding = new Map();
  for (const [place, one] of envelope.signatures.entries()) {
    const signature = fromEitherBase64(one.sig, `/signatures/${place}/sig`);
    const hinted = own.has(one.keyid ?? "") ? [one.keyid] : [];
    for (const name of [...hinted, ...[...own.keys()].filter((method) => !hinted.includes(method))]) {
      const key = own.get(name);
      if ([...holding.values()].includes(key)) continue;
      const holds = await key.holds(signature, signed);
      if (holds === undefined) unchecked.add(`signatures of ${key.kind}: this browser does not know them`);
      if (holds !== false) {
        holding.set(name, key);
        break;
      }
    }
  }
  if (!holding.size) {
    const strangers = envelope.signatures.every((one) => one.keyid && !own.has(one.keyid));
    if (strangers) throw new Refused("attester_not_trusted", "expected a signature by a key of the one who states it");
    throw new Refused("proof_invalid", "expected a signature that holds");
  }
  if (envelope.signatures.length > 1) throw new Refused("proof_invalid", "expected one signature", "/signatures");
  if (envelope.payloadType !== PAYLOAD_TYPE) throw new Refused("proof_invalid", `expected ${PAYLOAD_TYPE}`, "/payloadType");
  return { payload, signers: [...holding.keys()].sort() };
}

/** What a provider may claim of what it delivers; a verdict is not among it, for nobody judges its own work. */
const OF_WORK = {
  "https://w3id.org/hire/attestation/work/v1": {
    ...{ schema: "WorkPredicate", attester: (p) => p.provider, contract: (p) => p.contract, task: (p) => p.task },
    inputs: (p) => p.inputs.map((one) => one.digest),
    engagement: (p) => p.engagement,
    usage: (p) => p.usage,
  },
  "https://slsa.dev/provenance/v1": {
    ...{ schema: "ProvenancePredicate", attester: (p) => p.runDetails.builder.id, inputs: () => [] },
    contract: (p) => p.buildDefinition.externalParameters.contract,
    task: (p) => p.buildDefinition.externalParameters.task,
    engagement: () => undefined,
  },
};
/** What may stand in a review. */
const VERDICTS = {
  "https://slsa.dev/verification_summary/v1": {
    ...{ schema: "AcceptancePredicate", attester: (p) => p.verifier.id },
    contract: (p) => written(fromHex(p.policy.digest.sha256)),
  },
};
const REFUSALS = {
  "https://w3id.org/hire/attestation/refusal/v1": { schema: "RefusalPredicate", attester: (p) => p.gate, contract: (p) => p.contract },
};

/** The statement in this envelope, once it is the attester's, about these artifacts (name -> digest or bytes), of this
 * contract. */
async function verifyStatement(envelope, { attester, own, contract, artifacts, predicates, otherThan = new Set() }) {
  for (const method of own.keys()) if (method.split("#")[0] !== attester) throw new Refused("attester_not_trusted", `expected keys of ${attester}`);
  const { payload, signers } = await verifyEnvelope(envelope, own);
  if (signers.every((method) => otherThan.has(own.get(method).name))) throw new Refused("attester_not_trusted", `${attester} signs by a key of the one whose work it judges`);
  const statement = decodeJson(payload, FOREIGN_LIMITS);
  if (!isObject(statement)) throw new Refused("bad_json", "expected a statement");
  if (Array.isArray(statement.subject) && statement.subject.length > 64) throw new Refused("too_large", "expected at most 64 subjects", "/subject");
  refuseNull(statement);
  checkSchema(DATA.schemas.Statement, statement);
  const unchecked = [];
  const names = statement.subject.map((subject) => subject.name);
  if (new Set(names).size < names.length) throw new Refused("digest_mismatch", "expected each subject once", "/subject");
  for (const [place, subject] of statement.subject.entries()) {
    if (!artifacts.has(subject.name)) throw new Refused("digest_mismatch", `no artifact named ${shown(subject.name)} was delivered`, `/subject/${place}`);
    const path = `/subject/${place}/digest`;
    // By it the contract's messages name the artifact: without the bytes nothing else can be held against them.
    if (!has(subject.digest, "sha256")) throw new Refused("digest_mismatch", "expected a digest by sha256", path);
    for (const name of await checkDigests(subject, artifacts.get(subject.name), path)) unchecked.push(`${name} of ${shown(subject.name)}`);
  }
  const of = has(predicates, statement.predicateType) ? predicates[statement.predicateType] : undefined;
  if (!of) throw new Refused("attester_not_trusted", "no such kind of claim is taken", "/predicateType");
  const { predicate } = statement;
  checkSchema(DATA.schemas[of.schema], predicate, "/predicate");
  checkPredicate(of.schema, predicate);
  if (of.attester(predicate) !== attester) throw new Refused("attester_not_trusted", `expected a claim of ${attester}`);
  if (of.contract(predicate) !== contract) throw new Refused("attestation_binding", `expected a statement under contract ${contract}`);
  return { statement, predicate, signers, of, unchecked };
}

/** What a statement tells of the contract beside its name is as the contract has it, and its usage that of the delivery. */
function checkTold({ predicate, of }, engagement, task, inputs, usage) {
  if ((of.engagement(predicate) ?? engagement) !== engagement) throw new Refused("attestation_binding", `expected the engagement ${engagement}`);
  if (!of.inputs(predicate).every((digest) => inputs.includes(digest))) throw new Refused("attestation_binding", "an input that the contract has not");
  if (of.task(predicate) !== task) throw new Refused("attestation_binding", `expected the task ${shown(task)}`);
  const lines = (list) => JSON.stringify(list.map(({ clause, unit, amount }) => JSON.stringify([clause, unit, amount])).sort());
  if (of.usage && lines(of.usage(predicate)) !== lines(usage)) throw new Refused("attestation_binding", "the statement and the delivery say other usage");
}

/** What a verdict tells of the engagement and of the statements that were delivered is so. */
async function checkVerdict({ predicate }, engagement, statements) {
  for (const name of [predicate.resourceUri, predicate.policy.uri ?? predicate.resourceUri]) {
    if (!name.startsWith(`${engagement}:`)) throw new Refused("attestation_binding", `expected a document of ${engagement}`);
  }
  const delivered = new Set();
  for (const { payload } of statements) {
    if (typeof payload !== "string") continue; // its text form would be base64 of something
    try {
      delivered.add(await digestBytes(fromEitherBase64(payload, "/payload")));
    } catch (error) {
      if (!(error instanceof Refused)) throw error; // what is no envelope has no statement
    }
  }
  const unknown = predicate.inputAttestations.find((one) => !delivered.has(written(fromHex(one.digest.sha256))));
  if (unknown) throw new Refused("attestation_binding", "a statement that was not delivered");
}

/** What a schema cannot say. */
function checkPredicate(schema, predicate) {
  const passed = predicate.verificationResult === "PASSED";
  if (schema === "AcceptancePredicate" && passed !== (predicate.verifiedLevels[0] === "HIRE_ACCEPTED")) {
    throw new Refused("schema_violation", "expected a level that fits the result", "/predicate");
  }
  if (schema === "WorkPredicate" && predicate.startedOn > predicate.finishedOn) {
    throw new Refused("schema_violation", "expected finishedOn not before startedOn", "/predicate");
  }
}

/** Returns the names of those beside sha256 that could not be checked, where only the digest of an artifact is at hand. */
async function checkDigests(subject, artifact, path) {
  const unchecked = [];
  const lengths = { sha256: 64, sha384: 96, sha512: 128 };
  const names = Object.keys(subject.digest).filter((name) => has(lengths, name));
  if (!names.length) throw new Refused("digest_mismatch", "expected a digest by sha256, sha384 or sha512", path);
  for (const name of names) {
    const value = subject.digest[name];
    let right = value.length === lengths[name] && /^[0-9a-f]+$/.test(value);
    if (right && typeof artifact === "string" && name !== "sha256") unchecked.push(name);
    else if (right && typeof artifact === "string") right = value === hex(rawDigest(artifact));
    else if (right) right = value === hex(new Uint8Array(await crypto.subtle.digest(name.replace("sha", "SHA-"), artifact)));
    if (!right) throw new Refused("digest_mismatch", `${name} of ${shown(subject.name)} is not that of the artifact`, `${path}/${name}`);
  }
  return unchecked;
}
