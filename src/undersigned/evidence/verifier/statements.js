// Statements in envelopes: 08, sections 8.1 to 8.3.

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
