// Statements of the work, and whether it was accepted: 08, section 8.6, HIRE-PCK-01, steps 6 and 7.

const WORK = "https://w3id.org/hire/attestation/work/v1";

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
