// Contracts and their changes, and what an arbiter decided: 07, sections 7.1 to 7.4 and 7.11.

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
  if (!terms) return;
  if (terms.evidence.verifier === hirer || terms.evidence.verifier === provider) throw wrong("/terms/evidence/verifier", "another than the parties");
  if (terms.arbiter === hirer || terms.arbiter === provider) throw wrong("/terms/arbiter", "another than the parties");
  checkTerms(terms, wrong);
}

const criteriaOf = (terms) => terms.deliverables.flatMap((one) => one.criteria.map((criterion) => criterion.id));

function checkTerms(terms, wrong) {
  const { deadlines, subcontracting, termination } = terms;
  const times = [deadlines.notBefore ?? deadlines.start, deadlines.start, deadlines.finish, deadlines.until];
  if (!equal(times, times.toSorted())) throw wrong("/terms/deadlines", "instants in order");
  if (subcontracting.depth > 0 !== subcontracting.allowed) throw wrong("/terms/subcontracting/depth", "0 exactly if not allowed");
  if (has(termination, "notice") !== (termination.convenience === "notice")) throw wrong("/terms/termination/notice", "a notice exactly if agreed");
  if (has(termination, "fee") !== (termination.convenience === "fee")) throw wrong("/terms/termination/fee", "a fee exactly if agreed");
  if (!/[1-9]/.test(deadlines.heartbeat)) throw wrong("/terms/deadlines/heartbeat", "a duration longer than none");
  const { fee } = termination;
  if (fee && fee.currency !== terms.price.currency) throw wrong("/terms/termination/fee", "a fee as the price is");
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
      checkOptions(proofs[place]);
      throw new Refused("proof_invalid", "expected a proof by a method that the document names", `/proof/${place}`);
    }
    if (place < proofs.length && has(proofs[place], "expires")) throw new Refused("unknown_term", "expected a proof that does not expire", `/proof/${place}`);
  }
  await verifyProofChain(document, keyFor, "assertionMethod", [parties[offerer], parties[acceptor]]);
  proofId(proofs[0]);
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

/** What the offerer's proof is named, which the acceptor's builds on. */
function proofId({ id }) {
  if (typeof id !== "string" || !id.startsWith("urn:uuid:")) throw new Refused("proof_invalid", "expected an id on the offerer's proof", "/proof/id");
  return id;
}

/** The document with the second proof behind the first. */
function countersigned(document, proof) {
  const [first] = proofsOf(document);
  if (!isObject(document.proof)) throw new Refused("proof_invalid", "expected the offerer's proof, and no list", "/proof");
  checkOptions(first);
  const id = proofId(first);
  checkOptions(proof);
  if (!equal(previousOf(proof), [id])) throw new Refused("proof_invalid", "expected a proof that builds on the offerer's", "/contractProof");
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
