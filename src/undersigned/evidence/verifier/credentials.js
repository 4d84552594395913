// What a pack shows of credentials (08, section 8.6, HIRE-PCK-09): presentations of the transcript, credentials that were
// looked up, status lists, and what the packer's decisions say of them. Each is judged at one time. What cannot be judged
// from the pack is named, and never counts as good.

const DECISION_LIMITS = { ...FOREIGN_LIMITS, bytes: 8388608, text: 8388608 };
const MEMBER_LIMITS = { ...FOREIGN_LIMITS, bytes: 1048576, text: 1048576 };
const MAX_ENTRIES = 8;
const MAX_LIST_BYTES = 4194304;
const MIN_LIST_BITS = 131072;

const listOf = (value) => (Array.isArray(value) ? value : [value]);
const digestOfJson = async (value) => digestBytes(canonical(value));

function objectIn(data, path, limits) {
  const value = decodeJson(data, limits);
  if (!isObject(value)) throw invalid(`${path} is no object`, path);
  return value;
}

/** Passes bytes that are the one form of what they say: a policy is the packer's making. */
function checkCanonical(data, path) {
  let said;
  try {
    said = objectIn(data, path, DECISION_LIMITS);
  } catch (error) {
    if (error instanceof Refused) throw invalid(`${path}: ${error.message}`, path);
    throw error;
  }
  if (!same(canonical(said), data)) throw invalid(`${path} is not in canonical form`, path);
}

/** A member as it is verified: JSON, or a signed text in an envelope; what is not ASCII is no signed text. */
const memberIn = (data, path) =>
  data[0] === 0x7b ? objectIn(data, path, MEMBER_LIMITS) : envelopeOf(latin1(data), CREDENTIAL_JWT);

/** What somebody signed, with a proof or as a text; `digest` is that of the member that it is. */
async function opened(document, path, digest, of = CREDENTIAL_JWT) {
  if (!isEnveloped(document, of)) return { path, document, digest: digest ?? (await digestOfJson(document)) };
  const jws = openEnvelope(document, of);
  return { path, document: jws.payload, jws, digest: digest ?? (await digestBytes(encode(jws.text))) };
}

async function credentials(the) {
  const found = {
    ...{ the, decisions: ofKind(the, "decision").map(([path, data]) => objectIn(data, path, DECISION_LIMITS)), credentials: new Map(), presented: new Map(), texts: new Set(), lookedUp: new Set() },
    ...{ shown: 0, unsound: [], held: 0, outside: 0, lists: 0, revoked: new Map(), unchecked: new Set() },
  };
  for (const one of ofType(the, "Presentation")) {
    try {
      await presented(found, one.content, one.at);
    } catch (error) {
      if (!(error instanceof Refused) || (await isReliedOn(found, one.content))) throw error;
      found.unsound.push(error.code);
    }
  }
  for (const [, data] of ofKind(the, "credential")) found.lookedUp.add(await digestBytes(data));
  for (const { inputs } of found.decisions) {
    if (isObject(inputs) && Array.isArray(inputs.lookedUp)) for (const digest of inputs.lookedUp) found.lookedUp.add(digest);
  }
  for (const [path, data] of ofKind(the, "credential")) {
    const one = await opened(memberIn(data, path), path, await digestBytes(data));
    await credential(found, one, lookedUpAt(found, "lookedUp", one.digest));
  }
  for (const [path, data] of ofKind(the, "status")) {
    const one = await opened(memberIn(data, path), path, await digestBytes(data), LIST_JWT);
    await statusList(found, one, lookedUpAt(found, "statusLists", one.digest));
  }
  for (const decision of found.decisions) decided(found, decision);
  await checkInputs(found);
  for (const [path, data] of ofKind(the, "policy")) checkCanonical(data, path);
  return [
    found.shown && counted(found.shown, "presentation is by its holder", "presentations are by their holders"),
    found.unsound.length && `${counted(found.unsound.length, "presentation does not hold, and nothing rests on it", "presentations do not hold, and nothing rests on them")}: ${found.unsound.sort().join(", ")}`,
    found.held && counted(found.held, "credential holds", "credentials hold"),
    found.outside && counted(found.outside, "credential was not valid then", "credentials were not valid then"),
    found.lists && counted(found.lists, "status list holds", "status lists hold"),
    found.revoked.size && counted(found.revoked.size, "credential is revoked or suspended in them", "credentials are revoked or suspended in them"),
    found.unchecked.size && `not checked: ${[...found.unchecked].sort().join(", ")}`,
  ].filter(Boolean).join("; ");
}

/** Whether something came of a presentation: a contract, or a yes of the packer. */
async function isReliedOn({ the, decisions: all }, { presentation }) {
  const digest = await digestOfJson(presentation);
  const yes = all.filter((one) => one.outcome === "allow" && isObject(one.inputs));
  return Boolean(the.sealed) || yes.some((one) => one.inputs.presentation === digest);
}

/** The presentation is its sender's own, for this engagement and in answer to the other side, and so is what it shows. */
async function presented(found, { presentation, sender, recipient, engagement, answers }, at) {
  found.presented.set(await digestOfJson(presentation), sender);
  let [content, jws] = [presentation, undefined];
  if (isEnveloped(presentation, PRESENTATION_JWT)) {
    jws = openEnvelope(presentation, PRESENTATION_JWT);
    content = jws.payload;
    onlyThese(content, OF_PRESENTATION);
  }
  if (content.holder !== sender) throw new Refused("holder_mismatch", `a presentation of ${shown(content.holder)}`, "/holder");
  if (content.engagement !== engagement) throw new Refused("wrong_negotiation", "a presentation for another engagement", "/engagement");
  if (await isSigned(found, { document: content, jws }, sender, "authentication", at, { challenge: answers, domain: recipient })) found.shown += 1;
  for (const [place, one] of listOf(has(content, "verifiableCredential") ? content.verifiableCredential : []).entries()) {
    const path = `/verifiableCredential/${place}`;
    if (!isObject(one)) throw invalid("not a credential", path);
    const signed = await opened(one, path);
    found.texts.add(signed.digest);
    if (listOf(signed.document.credentialSubject).some((subject) => !isObject(subject) || subject.id !== sender)) {
      throw new Refused("holder_mismatch", `a credential about another than ${sender}`, path);
    }
    await credential(found, signed, at);
  }
}

/** The credential is its issuer's; whether it was valid then is counted. */
async function credential(found, one, at) {
  const valid = await judged(found, one, at);
  if (valid === undefined) return;
  found.credentials.set(one.digest, one);
  if (valid) found.held += 1;
  else found.outside += 1;
}

/** The list is its issuer's; which of the credentials here it speaks against. */
async function statusList(found, one, at) {
  const { id } = one.document;
  const valid = await judged(found, one, at);
  if (valid === undefined) return;
  if (!valid) {
    found.unchecked.add("a status list that was not valid then");
    return;
  }
  if (typeof id !== "string") {
    found.unchecked.add("a status list that does not say where it is published");
    return;
  }
  const list = await readList(one);
  found.lists += 1;
  for (const [digest, named] of found.credentials) {
    try {
      if (isSetIn(found, list, one, named)) found.revoked.set(`${digest} ${one.digest}`, [digest, one.digest]);
    } catch (error) {
      if (!(error instanceof Refused) || found.lookedUp.has(digest)) throw error;
      found.unchecked.add("a status that nobody looked up");
    }
  }
}

/** Whether a place of the credential in this list is set. */
function isSetIn({ unchecked: left }, list, one, named) {
  const { document, path } = named;
  const given = has(document, "credentialStatus") ? document.credentialStatus : [];
  const entries = listOf(given).filter(isObject);
  let isSet = false;
  for (const entry of entries) {
    if (entry.statusListCredential !== one.document.id) continue;
    if (issuerOf(named) !== issuerOf(one)) throw new Refused("status_unavailable", "a list of another issuer", one.path);
    if (entries.length > MAX_ENTRIES) throw new Refused("status_invalid", `expected at most ${MAX_ENTRIES} entries`, path);
    if (!isKnownEntry(entry)) left.add("a status of another kind than revoked or suspended");
    else if (speaksAgainst(list, entry, path)) isSet = true;
  }
  return isSet;
}

/** Whether a place says what revoked or suspended is, in one bit. */
const isKnownEntry = (entry) =>
  listOf(entry.type).includes("BitstringStatusListEntry") &&
  ["revocation", "suspension"].includes(entry.statusPurpose) &&
  (!has(entry, "statusSize") || entry.statusSize === 1);

function speaksAgainst({ purposes, bits }, entry, path) {
  const no = (text) => new Refused("status_invalid", text, path);
  const { statusListIndex: written, statusListCredential: url } = entry;
  if (typeof written !== "string" || !/^(?:0|[1-9][0-9]{0,8})$/.test(written)) throw no("not the place of a credential");
  if (!/^https?:\/\/[!-~]{1,2000}$/.test(url)) throw no("not the URL of a list");
  if (!purposes.includes(entry.statusPurpose)) throw no(`expected a list for ${entry.statusPurpose}`);
  const index = Number(written);
  if (index >= 8 * bits.length) throw no(`place ${index} is not in the list`);
  return (bits[index >> 3] & (0x80 >> (index & 7))) !== 0;
}

/** Purposes and bits of a list: 02, section 2.12. */
async function readList({ document, path }) {
  const no = (text) => new Refused("status_invalid", text, path);
  if (!listOf(document.type).includes("BitstringStatusListCredential")) throw no("not a status list");
  if (has(document, "credentialStatus")) throw no("a list has no status of its own");
  const subjects = listOf(document.credentialSubject);
  if (subjects.length !== 1 || !isObject(subjects[0])) throw no("expected one list");
  const { type, statusPurpose, encodedList } = subjects[0];
  if (!listOf(type).includes("BitstringStatusList")) throw no("expected BitstringStatusList");
  const purposes = listOf(statusPurpose);
  if (!purposes.length || !purposes.every((one) => typeof one === "string" && one)) throw no("expected a purpose");
  if (has(subjects[0], "ttl") && !(Number.isInteger(subjects[0].ttl) && subjects[0].ttl >= 0)) throw no("expected milliseconds");
  if (typeof encodedList !== "string" || encodedList.length > 1048576) throw no("expected the bits as text");
  return { purposes, bits: await decodeList(encodedList) };
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
  for (const [one, told] of revoked.values()) {
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

const namedIn = (inputs, name, digest) => Array.isArray(inputs[name]) && inputs[name].includes(digest);

/** When something was looked up: at the first decision that names it, else by the end of the pack. */
function lookedUpAt({ the, decisions: all }, name, digest) {
  const times = all.filter((one) => isObject(one.inputs) && namedIn(one.inputs, name, digest) && isInstant(one.at)).map((one) => one.at);
  return times.sort()[0] ?? the.manifest.created;
}

/** Whether it was valid then, once it is its issuer's; undefined if that cannot be judged. */
async function judged(found, one, at) {
  const { document, jws, path } = one;
  const [first, last] = jws ? checkCredentialClaims(document, issuerOf(one)) : [null, null];
  if (!(await isSigned(found, one, issuerOf(one), "assertionMethod", at))) return undefined;
  const [begins, ends] = ["validFrom", "validUntil"].map((name) => {
    const time = has(document, name) ? moment(document[name]) : null;
    if (time === undefined) throw new Refused("schema_violation", `expected a time in ${name}`, path);
    return time;
  });
  const [now, second] = [micros(at), seconds(at)];
  const [begun, over] = [begins !== null && begins > now, ends !== null && ends < now];
  return !begun && !over && (first === null || first <= second) && (last === null || second <= last);
}

/** Whether the signer's proof, or its signature of the text, could be judged; it holds then. */
async function isSigned({ the, unchecked: left }, { document, jws }, signer, purpose, at, asked) {
  const proof = Array.isArray(document.proof) && document.proof.length === 1 ? document.proof[0] : document.proof;
  const suite = isObject(proof) ? proof.cryptosuite : undefined;
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
  if (jws) {
    if (asked) checkAnswer(jws, asked, at);
    await verifyJws(jws, keyFor, purpose, at);
  } else await verifyProof(document, keyFor, purpose, { now: at, onlyJcs: true, lowS: Boolean(asked), ...asked });
  return true;
}

function issuerOf({ document, path }) {
  const issuer = isObject(document.issuer) ? document.issuer.id : document.issuer;
  if (typeof issuer !== "string") throw invalid(`${path} names no issuer`, path);
  return issuer;
}
