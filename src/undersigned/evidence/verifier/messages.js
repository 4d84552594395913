// What a message is, and whether its sender signed it: 04, section 4.2.

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
    const { message } = error;
    const isEmpty = error.path.startsWith("/proof/") && !Object.keys(content.proof).length; // of which no member is missing
    const path = isEmpty ? "/proof" : error.path;
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
function checkInquiry({ version, versions, closesAt, respondBy, opens, limits, tender }) {
  const number = (text) => text.split(".").map(Number);
  const lowest = versions.toSorted((one, other) => number(one)[0] - number(other)[0] || number(one)[1] - number(other)[1])[0];
  if (version !== lowest) throw new Refused("schema_violation", "expected the lowest version offered", "/version");
  if (closesAt < respondBy) throw new Refused("schema_violation", "expected an instant not before respondBy", "/closesAt");
  if (!tender) return;
  if (opens !== "provider") throw new Refused("schema_violation", "expected provider, who opens in a tender", "/opens");
  if (limits.rounds !== 1) throw new Refused("schema_violation", "expected 1, since a tender has one round", "/limits/rounds");
  const { bidsClose, revealBy, awardBy } = tender;
  if (bidsClose > revealBy || revealBy > awardBy) throw new Refused("schema_violation", "expected bidsClose, revealBy and awardBy in this order", "/tender");
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
