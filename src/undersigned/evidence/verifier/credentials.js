// What a pack shows of credentials (08, section 8.6, HIRE-PCK-09): presentations of the transcript, credentials that were
// looked up, status lists, and what the packer's decisions say of them. Each is judged at one time. What cannot be judged
// from the pack is named, and never counts as good.

const MEMBER_LIMITS = { ...FOREIGN_LIMITS, bytes: 8388608, text: 8388608 };
const MAX_LIST_BYTES = 4194304;
const MIN_LIST_BITS = 131072;

const listOf = (value) => (Array.isArray(value) ? value : [value]);
const isText = (data) => data[0] !== 0x7b;
const digestOfJson = async (value) => digestBytes(canonical(value));

function objectIn(data, path) {
  const value = decodeJson(data, MEMBER_LIMITS);
  if (!isObject(value)) throw invalid(`${path} is no object`, path);
  return value;
}

async function credentials(the) {
  const found = {
    ...{ the, decisions: ofKind(the, "decision").map(([path, data]) => objectIn(data, path)), credentials: new Map(), presented: new Map(), texts: new Set() },
    ...{ shown: 0, held: 0, outside: 0, lists: 0, revoked: [], unchecked: new Set() },
  };
  for (const one of ofType(the, "Presentation")) await presented(found, one.content, one.at);
  for (const [path, data] of ofKind(the, "credential")) {
    const digest = await digestBytes(data);
    if (isText(data)) found.unchecked.add("a credential that is signed as a text");
    else await credential(found, objectIn(data, path), digest, lookedUpAt(found, "lookedUp", digest), path);
  }
  for (const [path, data] of ofKind(the, "status")) {
    const digest = await digestBytes(data);
    if (isText(data)) found.unchecked.add("a status list that is signed as a text");
    else await statusList(found, objectIn(data, path), digest, lookedUpAt(found, "statusLists", digest), path);
  }
  for (const decision of found.decisions) decided(found, decision);
  await checkInputs(found);
  return [
    found.shown && `${found.shown} presentations are by their holders`,
    found.held && `${found.held} credentials hold`,
    found.outside && `${found.outside} credentials were not valid then`,
    found.lists && `${found.lists} status lists hold`,
    found.revoked.length && `${found.revoked.length} credentials are revoked or suspended in them`,
    found.unchecked.size && `not checked: ${[...found.unchecked].sort().join(", ")}`,
  ].filter(Boolean).join("; ");
}

/** The presentation is its sender's own, for this engagement and in answer to the other side, and so is what it shows. */
async function presented(found, { presentation, sender, recipient, engagement, answers }, at) {
  found.presented.set(await digestOfJson(presentation), sender);
  if (listOf(presentation.type).includes("EnvelopedVerifiablePresentation")) {
    found.unchecked.add("a presentation that is signed as a text");
    return;
  }
  if (presentation.holder !== sender) throw new Refused("holder_mismatch", `a presentation of ${shown(presentation.holder)}`, "/holder");
  if (presentation.engagement !== engagement) throw new Refused("wrong_negotiation", "a presentation for another engagement", "/engagement");
  if (await signedBy(found, presentation, sender, "authentication", at, { challenge: answers, domain: recipient })) found.shown += 1;
  for (const [place, one] of listOf(presentation.verifiableCredential ?? []).entries()) {
    const path = `/verifiableCredential/${place}`;
    if (!isObject(one)) throw invalid("not a credential", path);
    found.texts.add(await shownDigest(one));
    if (listOf(one.type).includes("EnvelopedVerifiableCredential")) {
      found.unchecked.add("a credential that is signed as a text");
      continue;
    }
    if (listOf(one.credentialSubject).some((subject) => !isObject(subject) || subject.id !== sender)) {
      throw new Refused("holder_mismatch", `a credential about another than ${sender}`, path);
    }
    await credential(found, one, await digestOfJson(one), at, path);
  }
}

/** The credential is its issuer's; whether it was valid then is counted. */
async function credential(found, document, digest, at, path) {
  if (!(await signedBy(found, document, issuerOf(document, path), "assertionMethod", at))) return;
  found.credentials.set(digest, document);
  if (wasValid(document, at, path)) found.held += 1;
  else found.outside += 1;
}

/** The list is its issuer's; which of the credentials here it speaks against. */
async function statusList(found, document, digest, at, path) {
  const issuer = issuerOf(document, path);
  if (!(await signedBy(found, document, issuer, "assertionMethod", at))) return;
  const encoded = isObject(document.credentialSubject) ? document.credentialSubject.encodedList : undefined;
  const no = (text) => new Refused("status_invalid", text, path);
  if (!listOf(document.type).includes("BitstringStatusListCredential") || typeof encoded !== "string") throw no("not a status list");
  if (!wasValid(document, at, path)) {
    found.unchecked.add("a status list that was not valid then");
    return;
  }
  found.lists += 1;
  let bits;
  for (const [name, one] of found.credentials) {
    for (const entry of listOf(one.credentialStatus ?? []).filter(isObject)) {
      if (!equal(entry.statusListCredential, document.id)) continue;
      if (issuerOf(one, path) !== issuer) throw new Refused("status_unavailable", "a list of another issuer", path);
      bits ??= await decodeList(encoded);
      if (typeof entry.statusListIndex !== "string" || !/^[0-9]{1,9}$/.test(entry.statusListIndex)) throw no("not the place of a credential");
      const index = Number(entry.statusListIndex);
      if (index >= 8 * bits.length) throw no(`place ${index} is not in the list`);
      if (bits[index >> 3] & (0x80 >> (index & 7))) found.revoked.push([name, digest]);
    }
  }
}

/** The bits of an `encodedList`: one gzip member, whose inflating stops at the limit. */
async function decodeList(encoded) {
  const no = (text) => new Refused("status_invalid", text);
  let packed;
  try {
    packed = multibase(encoded, "u");
  } catch (error) {
    if (error instanceof Refused) throw no(`expected multibase of base64url: ${error.message}`);
    throw error;
  }
  const parts = [];
  let size = 0;
  try {
    for await (const part of new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))) {
      size += part.length;
      if (size > MAX_LIST_BYTES) throw no(`expected at most ${MAX_LIST_BYTES} bytes inflated`);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw no("expected one whole gzip member");
  }
  const bits = concat(...parts);
  if (8 * bits.length < MIN_LIST_BITS) throw no(`expected at least ${MIN_LIST_BITS} bits`);
  if (bits[0] === 0x1f && bits[1] === 0x8b && bits[2] === 0x08) throw no("expected bits; came gzip inside gzip");
  return bits;
}

/** A decision is about the other side, from what it presented; a yes rests on nothing that a list here speaks against. */
function decided({ the, presented: made, revoked }, decision) {
  const { peer } = the.manifest;
  const inputs = isObject(decision.inputs) ? decision.inputs : {};
  if (has(decision, "peer") && decision.peer !== peer) throw invalid(`a decision about ${shown(decision.peer)}, who is not the other side`);
  if (has(inputs, "presentation") && made.get(inputs.presentation) !== peer) {
    throw invalid("a decision from a presentation that the other side did not make here");
  }
  if (decision.outcome !== "allow") return;
  for (const [one, told] of revoked) {
    if (namedIn(inputs, "lookedUp", one) && namedIn(inputs, "statusLists", told)) {
      throw new Refused("revoked", `a decision allowed what the list ${told} speaks against: ${one}`);
    }
  }
}

/** What decisions name is here, or so many of its kind are withheld: nothing is silently missing. */
async function checkInputs({ the, decisions: all, texts: shownHere }) {
  const inputs = all.map((one) => one.inputs).filter(isObject);
  for (const [kind, name] of [["policy", "policy"], ["credential", "lookedUp"], ["status", "statusLists"]]) {
    const named = new Set(inputs.flatMap((one) => (has(one, name) ? listOf(one[name]) : [])).filter((one) => typeof one === "string"));
    for (const [, data] of ofKind(the, kind)) named.delete(await digestBytes(data));
    if (kind === "credential") for (const digest of shownHere) named.delete(digest);
    if (named.size > withheldOf(the).filter((one) => one.kind === kind).length) {
      throw invalid(`decisions name what is neither here nor withheld: ${kind} ${shown([...named].sort()[0])}`);
    }
  }
}

/** Of a credential as its holder shows it: of its JSON, or of the signed text in its envelope. */
async function shownDigest(one) {
  if (!listOf(one.type).includes("EnvelopedVerifiableCredential") || typeof one.id !== "string") return digestOfJson(one);
  return digestBytes(encode(one.id.includes(",") ? one.id.slice(one.id.indexOf(",") + 1) : ""));
}

const namedIn = (inputs, name, digest) => Array.isArray(inputs[name]) && inputs[name].includes(digest);

/** When something was looked up: at the first decision that names it, else by the end of the pack. */
function lookedUpAt({ the, decisions: all }, name, digest) {
  const times = all.filter((one) => isObject(one.inputs) && namedIn(one.inputs, name, digest) && isInstant(one.at)).map((one) => one.at);
  return times.sort()[0] ?? the.manifest.created;
}

/** Whether the signer's proof could be judged; it holds then. */
async function signedBy({ the, unchecked: left }, document, signer, purpose, at, asked) {
  const suite = isObject(document.proof) ? document.proof.cryptosuite : undefined;
  if (typeof suite === "string" && !(has(SUITES, suite) && SUITES[suite].jcs)) {
    left.add("a proof of another suite than those of canonical JSON");
    return false;
  }
  let held = [];
  try {
    held = await documentsOf(the, signer);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  if (!held.length) {
    left.add(`what is signed by ${shown(signer)}: no DID document of it is here`);
    return false;
  }
  const keyFor = (method, relationship) => {
    if (method.split("#")[0] !== signer) throw new Refused("key_not_authorized", `expected a method of ${signer}; came ${shown(method)}`);
    return keyAmong(held, method, relationship, at);
  };
  await verifyProof(document, keyFor, purpose, { now: at, onlyJcs: true, lowS: Boolean(asked), ...asked });
  return true;
}

function wasValid(document, at, path) {
  const [begins, ends] = ["validFrom", "validUntil"].map((name) => {
    const time = has(document, name) ? (typeof document[name] === "string" ? moment(document[name]) : undefined) : null;
    if (time === undefined) throw new Refused("schema_violation", `expected a time in ${name}`, path);
    return time;
  });
  return (begins === null || begins <= seconds(at)) && (ends === null || seconds(at) <= ends);
}

function issuerOf(document, path) {
  const issuer = isObject(document.issuer) ? document.issuer.id : document.issuer;
  if (typeof issuer !== "string") throw invalid(`${path} names no issuer`, path);
  return issuer;
}
