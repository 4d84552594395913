// The contract, its rulings, and those above and below it: 08, section 8.6, HIRE-PCK-01, step 5.

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
