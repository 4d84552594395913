// What both sides recorded: the logs, refused actions, decisions, and what is withheld: 08, section 8.6, HIRE-PCK-01, steps 8 to 10.

const LOGGED = ["Acceptance", "Seal", "Delivery", "Review", "Breach", "Dispute", "Ruling", "Terminate", "Closing"];

async function logs(the) {
  const { own } = the.manifest;
  const [checkpoint, inclusion] = [the.members.get("ledger/checkpoint.txt"), the.members.get("ledger/inclusion.json")];
  if (Boolean(checkpoint) !== Boolean(inclusion)) throw noProof("checkpoint and inclusion prove something only together");
  const [heads, against] = [[], []];
  for (const { number, content } of ofType(the, "Offer", "Acceptance", "Closing", "Receipt", "Sync")) {
    if (content.head) heads.push([content.head.at, { ...content.head, origin: content.sender, root: rawDigest(content.head.root) }]);
    if (content.checkpoint && signsNotes(the, content.sender)) {
      const stated = await held(the, content.sender, against, `message ${number}, ${content.type}`, () =>
        noteOf(noteText(content.checkpoint), content.sender, assertionKeys(the, content.sender)),
      );
      if (stated) heads.push([content.checkpointAt ?? content.proof.created, stated]);
    }
  }
  const head = checkpoint && (await noteOf(utf8(checkpoint, "log_proof_invalid"), own, assertionKeys(the, own)));
  for (const log of new Set(heads.map(([, one]) => one.origin))) {
    await held(the, log, against, "its checkpoints", () => checkGrowth(heads.filter(([, one]) => one.origin === log)));
  }
  const roots = new Map(heads.map(([, one]) => [`${one.size} ${one.origin}`, one.root]));
  if (head) await checkPacked(the, head, roots);
  const proofs = (the.proofs = await moreProofs(the, head));
  const witnessed = await witnesses(the, checkpoint && utf8(checkpoint, "log_proof_invalid"));
  const more = [await continued(the, roots, against), await cosignatures(the, roots, against), witnessed].filter(Boolean);
  if (!the.sealed) return ["no contract, and no proof of a log in this pack", ...more, ...against].join("; ");
  const leaf = written(await leafHash(concat(encode("hire/v1 contract\n"), await sha256(canonical(the.sealed.document)))));
  const { ledger, sender } = ofType(the, "Seal")[0].content;
  const promised = await held(the, sender, against, "its Seal", () => {
    if (ledger.leaf !== leaf || ledger.log !== sender) throw noProof("the seal promises a place for another leaf, or in another's log");
    return ledger;
  });
  const found = [];
  for (const { number, content } of ofType(the, "Receipt")) {
    if (content.inclusion?.leaf !== leaf) continue;
    const said = await held(the, content.sender, against, `message ${number}, Receipt`, async () =>
      included(content.inclusion, await noteOf(noteText(content.checkpoint ?? ""), content.sender, assertionKeys(the, content.sender)), promised),
    );
    if (said) found.push(said);
  }
  if (head) {
    const proof = readInclusion(decodeJson(inclusion));
    if (!same(canonical(proof), inclusion) || proof.leaf !== leaf) throw noProof("the inclusion is of another leaf, or not in canonical form");
    found.push(await included(proof, head, promised));
    const others = proofs.filter((one) => one.index !== proof.index).length;
    if (others) found.push(`${others} more leaves in the log of ${own}`);
  }
  const commitment = await digestBytes(canonical(the.sealed.document));
  const proved = head && proofs.some((one) => one.label === "contract" && one.commitment === commitment);
  if (!proved && signsNotes(the, own) && ofType(the, "Closing").some((one) => one.content.sender === own)) {
    throw noProof(`${own} signed its log, and the pack does not prove the contract in it`);
  }
  return [...(found.length ? found : [`no proof under a checkpoint of ${own} yet`]), ...more, ...against].join("; ");
}

/** What `check` of something that `sender` says of a log gives. What the packer says has to hold; what the other side says
 * and does not hold makes no pack invalid (HIRE-PCK-11): then `against` has it, and this is undefined. */
async function held(the, sender, against, what, check) {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof Refused) || sender === the.manifest.own) throw error;
    against.push(`${sender} said of a log what does not hold (${what}: ${error.code}, ${error.message})`);
    return undefined;
  }
}

/** What a member of the packer's making says, which it writes in canonical form; undefined if it is not there. */
function packed(the, path, schema) {
  const data = the.members.get(path);
  if (!data) return undefined;
  let value;
  try {
    value = decodeJson(data, MANIFEST_LIMITS);
    checkSchema(DATA.schemas[schema], value);
  } catch (error) {
    if (error instanceof Refused) throw invalid(`${path}: ${error.message}`, path);
    throw error;
  }
  if (!same(canonical(value), data)) throw invalid(`${path} is not in canonical form`, path);
  return value;
}

const withheldOf = (the) => packed(the, "withheld.json", "WithheldList")?.withheld ?? [];

/** Proofs that moves, refusals and decisions stand in the packer's log, each of something here or listed as withheld. */
async function moreProofs(the, head) {
  const path = "ledger/proofs.json";
  const read = packed(the, path, "LogProofs");
  if (!read) return [];
  if (!head || read.size !== head.size) throw noProof(`${path} is of another tree than the checkpoint's`);
  if (read.proofs.some((one, at) => at && read.proofs[at - 1].index >= one.index)) throw noProof(`${path} does not have its proofs by place`);
  const known = await commitments(the, read.proofs);
  for (const { label, commitment, index, path: siblings } of read.proofs) {
    if (!known.has(`${label} ${commitment}`)) throw noProof(`${path}: the ${label} ${commitment} is not here`);
    const leaf = written(await leafHash(concat(encode(`hire/v1 ${label}\n`), rawDigest(commitment))));
    await verifyInclusion({ leaf, index, size: read.size, path: siblings }, head.root);
  }
  return read.proofs;
}

/** "label commitment" of everything here that has a leaf. */
async function commitments(the, proofs) {
  const known = new Set();
  const offers = new Map();
  for (const { content, message } of the.transcript) {
    if (content.type === "Offer") offers.set(message.digest, content.document);
    else if (content.type === "Acceptance" && offers.has(content.offer)) {
      const document = acceptedBy(offers.get(content.offer), content.contractProof);
      if (document) known.add(`contract ${await digestBytes(canonical(document))}`);
    }
    if (LOGGED.includes(content.type)) known.add(`move ${await digestBytes(message.raw)}`);
  }
  for (const [, data] of ofKind(the, "refusal")) known.add(`refusal ${await digestBytes(data)}`);
  for (const salt of new Set(proofs.map((one) => one.salt).filter(Boolean))) {
    for (const [, data] of ofKind(the, "decision")) known.add(`decision ${await digestBytes(concat(fromBase64url(salt.slice(1)), data))}`);
  }
  for (const one of withheldOf(the)) known.add(`${one.kind} ${one.commitment}`);
  return known;
}

/** Each line below the packer's is by a key of the witness that it names; of one whose keys are not known, that is said.
 * The witnesses that the verifier names have a line each. */
async function witnesses(the, note) {
  const [said, unknown] = [[], []];
  const lines = note ? readNote(note).signatures : [];
  for (const one of the.level ? [] : the.witnesses) {
    if (lines.some((line) => line.name === one.name && same(line.hint, one.hint))) continue;
    throw noProof(`expected a cosignature of the witness ${shown(one.name)}; the pack has ${note ? "no line by that key" : "no checkpoint"}`);
  }
  for (const { name, hint } of lines) {
    if (name === the.manifest.own) continue;
    const keys = await witnessKeys(the, name);
    if (!keys.length) {
      unknown.push(shown(name));
      continue;
    }
    let own;
    for (const key of keys) if (same(await keyHint(name, 4, key), hint)) own ??= key;
    if (!own) throw noProof(`a line of ${shown(name)} is by no key of it`);
    const { size, at } = await verifyCosignature(note, own, name);
    if (at > seconds(the.now) + SKEW) throw noProof(`${shown(name)} cosigned after ${the.now}`);
    said.push(`${name} cosigned ${size} leaves at ${instantOf(Number(at))}`);
  }
  if (unknown.length) said.push(`no DID document of the witness ${unknown.join(", ")} is here: not checked`);
  return said.join("; ");
}

/** The keys that cosign for a witness, as far as they are known here; its name may be no DID at all. */
async function witnessKeys(the, name) {
  const brought = the.witnesses.filter((one) => one.name === name).map((one) => one.key);
  try {
    const held = await documentsOf(the, name);
    const listed = held.flatMap((one) => [...one.keys("assertionMethod", the.manifest.created).values()]);
    return [...brought, ...listed.filter((key) => key.kind === "Ed25519")];
  } catch (error) {
    if (error instanceof Refused) return brought;
    throw error;
  }
}

/** Each head continues the one that it says, where that is in the pack. */
async function continued(the, roots, against) {
  const [count, left] = [[], []];
  for (const { number, content } of ofType(the, "Offer", "Acceptance", "Closing")) {
    const consistency = content.head?.consistency ?? content.consistency;
    if (!consistency) continue;
    await held(the, content.sender, against, `message ${number}, ${content.type}`, async () => {
      const size = content.head?.size ?? readCheckpoint(readNote(noteText(content.checkpoint)).text).size;
      const [old, root] = [consistency.size, size].map((one) => roots.get(`${one} ${content.sender}`));
      if (old && root) await verifyConsistency(consistency.size, old, size, root, consistency.path);
      (old && root ? count : left).push(content);
    });
  }
  const said = count.length ? [`${counted(count.length, "head continues", "heads continue")} what was stated before`] : [];
  if (left.length) said.push(`${counted(left.length, "head continues", "heads continue")} what this pack does not have: not checked`);
  return said.join("; ");
}

/** Each cosignature is its sender's, of the recipient's log, and contradicts no checkpoint of the packer's. What the packer
 * cosigned and the other side contradicts here, it may have been shown elsewhere. */
async function cosignatures(the, roots, against) {
  let count = 0;
  for (const { number, content } of ofType(the, "Acceptance", "Seal", "Closing")) {
    const what = `message ${number}, ${content.type}`;
    for (const coded of content.cosignatures ?? []) {
      const head = await held(the, content.sender, against, what, async () => {
        const note = noteText(coded);
        const found = await byAKey(assertionKeys(the, content.sender), content.sender, (key) => verifyCosignature(note, key, content.sender));
        if (found.origin !== content.recipient) throw noProof(`a cosignature of ${shown(found.origin)}, sent to another`);
        return found;
      });
      if (!head) continue;
      await held(the, head.origin, against, `${what}, its cosignatures`, () => {
        if (same(roots.get(`${head.size} ${head.origin}`) ?? head.root, head.root)) return;
        throw new Refused("ledger_diverged", `the log of ${head.origin} was cosigned with other leaves`);
      });
      count += 1;
    }
  }
  return count ? counted(count, "cosignature holds", "cosignatures hold") : "";
}

async function included(proof, head, promised) {
  if (proof.size !== head.size) throw noProof(`a proof for ${proof.size} leaves, a checkpoint of ${head.size}`);
  await verifyInclusion(proof, head.root);
  if (head.origin === promised?.log && proof.index !== promised.index) {
    throw noProof(`the seal promised index ${promised.index}; the contract has index ${proof.index}`);
  }
  return `leaf ${proof.index + 1} of ${head.size} in the log of ${head.origin}`;
}

/** HIRE-LOG-05: the checkpoint of a pack is in no message, so nobody knows when it was made: it has the root that was stated of as many leaves, and no fewer of them than
 * its owner's `Closing`. */
async function checkPacked(the, head, roots) {
  for (const { number, content } of ofType(the, "Closing")) {
    if (content.sender !== head.origin) continue;
    const { size } = await noteOf(noteText(content.checkpoint), head.origin, assertionKeys(the, head.origin));
    if (head.size < size) throw new Refused("ledger_diverged", `message ${number} has ${size} leaves, ledger/checkpoint.txt fewer`);
  }
  const place = `${head.size} ${head.origin}`;
  if (!roots.has(place)) roots.set(place, head.root);
  if (!same(roots.get(place), head.root)) throw new Refused("ledger_diverged", `the log of ${head.origin} had other leaves before, or more`);
}

/** HIRE-LOG-05: one root for each size of one log, and it is never smaller than it was before. */
function checkGrowth(heads) {
  const roots = new Map();
  let [last, most, before] = ["", 0, 0];
  for (const [at, head] of heads.toSorted(([one], [other]) => inOrder(one, other))) {
    before = at > last ? most : before; // of two signed in one second neither came first
    if (!roots.has(head.size)) roots.set(head.size, head.root);
    if (!same(roots.get(head.size), head.root) || head.size < before) {
      throw new Refused("ledger_diverged", `the log of ${head.origin} had other leaves before, or more`);
    }
    [last, most] = [at, Math.max(most, head.size)];
  }
}

async function refusals(the) {
  const { own, engagement } = the.manifest;
  let count = 0;
  for (const [path, data] of ofKind(the, "refusal")) {
    if (path !== `refusals/${await digestBytes(data)}.json`) throw invalid(`${path} is not named by its digest`);
    const { digest } = sealedOf(the);
    const envelope = decodeJson(data, FOREIGN_LIMITS);
    if (!isObject(envelope)) throw invalid(`${path} is no envelope`);
    const { predicate } = await verifyStatement(envelope, {
      ...{ attester: own, own: assertionKeys(the, own), contract: digest, artifacts: new Map([["contract", digest]]) },
      predicates: REFUSALS,
    });
    if (predicate.engagement !== engagement) throw new Refused("attestation_binding", `${path} is of another engagement`);
    if (predicate.at > shift(the.now, SKEW)) throw invalid(`${path} is of ${predicate.at}, which is after ${the.now}`);
    the.refusals.push(predicate);
    count += 1;
  }
  checkRecorded(the, "refusal", "refusals");
  const left = withheldOf(the).filter((one) => one.kind === "refusal").length;
  const named = workOf(the).flatMap((work) => work.actions.filter((one) => !one.allowed));
  const isOf = (one) => (other) => one.action === other.action && one.target === other.target;
  const statedFor = (one) => the.refusals.filter(isOf(one)).reduce((sum, { repeated = 0 }) => sum + 1 + repeated, 0);
  const missing = named.filter((one, at) => named.slice(0, at).filter(isOf(one)).length >= statedFor(one)).length;
  const said = [count ? `${counted(count, "refused action is", "refused actions are")} stated by ${own}` : "none in this pack"];
  if (left) said.push(`${left} withheld`);
  if (missing) said.push(`the work statements name ${named.length}, ${missing} of which are not stated here`);
  return said.join("; ");
}

/** As many are proved to be in the packer's log as its `Closing` says that it recorded (HIRE-PCK-10); each of these is in
 * the pack or listed as withheld. A decision is not signed, so one without a proof counts for nothing. */
function checkRecorded(the, kind, name) {
  const { own } = the.manifest;
  const proved = the.proofs.filter((one) => one.label === kind).length;
  for (const { content } of ofType(the, "Closing")) {
    const recorded = content.sender === own ? (content.recorded?.[name] ?? 0) : 0;
    if (signsNotes(the, own) && proved < recorded) {
      throw invalid(`${own} recorded ${recorded} of kind ${kind}, as its Closing says; ledger/proofs.json has ${proved}`);
    }
  }
}

/** Decisions, and what they were made from, have their names, and what was left out is listed in the one form. */
async function decisions(the) {
  const found = [];
  for (const [kind, folder, one, more, words] of [
    ["decision", "decisions", "decision", "decisions", "as recorded"],
    ["credential", "credentials", "credential", "credentials", "as looked up"],
    ["status", "status", "status list", "status lists", "as consulted"],
    ["policy", "policies", "policy", "policies", "that they name"],
  ]) {
    for (const [path, data] of ofKind(the, kind)) {
      if (path !== `${folder}/${await digestBytes(data)}.json`) throw invalid(`${path} is not named by its digest`);
    }
    const count = ofKind(the, kind).length;
    if (kind === "decision") checkRecorded(the, kind, folder);
    if (count) found.push(`${counted(count, one, more)} ${words}`);
  }
  const left = withheldOf(the);
  if (!isSortedSet(left.map((one) => `${one.kind} ${one.commitment}`))) throw invalid("withheld.json does not list each thing once, by kind and commitment");
  const counts = new Map();
  for (const { kind } of left) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  if (left.length) found.push(`withheld: ${[...counts].map(([kind, count]) => `${count} of kind ${kind}`).join(", ")}`);
  const judged = await credentials(the);
  return [found.join("; ") || "no decision in this pack, and nothing withheld", judged].filter(Boolean).join("; ");
}
