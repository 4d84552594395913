// Data Integrity proofs: 04, section 4.5.

/** What the running step could not check; whoever reads "no" must also read this as no. */
let unchecked = new Set();

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

/** The ids of the proofs that one builds on. */
const previousOf = (proof) => (has(proof, "previousProof") ? [proof.previousProof].flat() : []);

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
    const previous = previousOf(proof);
    const expected = place ? [proofs[place - 1].id] : [];
    if (!equal(previous, expected) || (place && !has(proofs[place - 1], "id"))) throw wrong("expected a proof that builds on the one before");
    const suite = verifyOptions(proof, purpose);
    const bare = without(document, "proof");
    const content = place ? { ...bare, proof: [proofs[place - 1]] } : bare;
    used.add((await verifySignature(content, proof, suite, keyFor, purpose)).name);
  }
  if (used.size !== proofs.length) throw wrong(`expected ${proofs.length} keys; came ${used.size}`);
}
