// The numbered steps of HIRE-PCK-01 (08, section 8.6), in the order and with the codes of `undersigned verify`.

/** `1 proof holds`, `2 proofs hold`. */
const counted = (count, one, more) => `${count} ${count === 1 ? one : more}`;

const STEPS = [
  ["archive and manifest", archive],
  ["DID documents", documents],
  ["messages and their proofs", messages],
  ["chains and states", chains],
  ["contract", contract],
  ["statements", statements],
  ["acceptance of the work", acceptance],
  ["ledger proofs", logs],
  ["refused actions", refusals],
  ["decisions, and what is withheld", decisions],
];

const newCase = (data, now, known, witnesses, level = 0) => ({
  ...{ data, now, known, witnesses, level, documents: new Map(), amended: [], statements: new Map(), refusals: [], early: [] },
});

/** Each step reads only what those before it verified, and the first that fails ends it. What a step could not check is
 * listed in it: it does not hold then, and those after it are looked at all the same. */
async function checked(the) {
  const steps = [];
  let failed = 0;
  for (const [at, [name, check]] of STEPS.entries()) {
    const number = at + 1;
    if (failed) {
      steps.push({ number, name, ok: false, code: "evidence_invalid", detail: `not checked: step ${failed} failed`, unchecked: [] });
      continue;
    }
    const outside = unchecked;
    unchecked = new Set();
    try {
      const detail = await check(the);
      steps.push({ number, name, ok: unchecked.size === 0, code: "", detail, unchecked: [...unchecked] });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      failed = number;
      steps.push({ number, name, ok: false, code: error.code, detail: (error.path && !error.message.startsWith(error.path) ? `${error.path}: ` : "") + error.message, unchecked: [...unchecked] });
    }
    for (const one of unchecked) outside.add(one);
    unchecked = outside;
  }
  return steps;
}

/** What each side says is owed by its last `Closing`, and what is by the moves that ended the contract, if they differ: nothing fails by it. */
async function booksOf(the) {
  const books = {};
  const sum = ({ amount, currency }) => `${amount} ${currency}`;
  for (const { content } of ofType(the, "Closing")) books[content.role] = sum(content.settlement);
  const ended = ["closing", "closed"].includes(the.engagement.state);
  if (ended && Object.keys(books).length) books.moves = sum(await leftOwed(the, the.engagement.contract.endings));
  return new Set(Object.values(books)).size > 1 ? { books } : {};
}

/** What is owed by the strongest of what ended a contract (07, HIRE-LIF-11 and HIRE-PAY-03). */
async function leftOwed(the, endings) {
  const { terms } = documentAt(the, Infinity);
  const basis = ["ruling", "release", "silence", "review", "terminate"].find((one) => endings.some((end) => end.basis === one));
  const { detail } = endings.find((end) => end.basis === basis);
  if (basis === "release") return detail;
  if (basis === "ruling") {
    const last = new Map(ofType(the, "Ruling").map(({ content }) => [content.role, content.ruling]));
    const named = await Promise.all([...last.values()].map(async (ruling) => [await digestOf(ruling), ruling]));
    return named.sort(([one], [other]) => (one < other ? -1 : 1))[0][1];
  }
  const bySilence = basis === "silence" && terms.onSilence === "accepted" && ofType(the, "Delivery").at(-1).content.outcome === "complete";
  if (bySilence || (basis === "review" && detail === "accepted")) return terms.price;
  const met = new Set((ofType(the, "Review").at(-1)?.content.criteria ?? []).filter((one) => one.met).map((one) => one.id));
  const reached = (terms.settlement.milestones ?? []).filter((one) => one.criteria.every((id) => met.has(id)));
  const percent = reached.reduce((all, one) => all + one.percent, 0);
  return { amount: amountOf((units(terms.price.amount) * BigInt(percent)) / 100n), currency: terms.price.currency };
}

/** The report on the pack in these bytes, at the instant `now`. `known` are the bytes of DID documents that the verifier
 * has from elsewhere: of a DID of which it knows any, the pack must hold no other. `witnesses`
 * are verifier keys of those who must have cosigned its checkpoint. */
async function verifyPack(data, now, known = [], witnesses = []) {
  const held = new Map();
  for (const raw of known) {
    const value = decodeJson(raw, FOREIGN_LIMITS);
    if (!isObject(value) || typeof value.id !== "string") throw documentWrong("expected a DID document");
    add(held, value.id, new DidDocument(value.id, raw));
  }
  const the = newCase(data, now, held, await Promise.all(witnesses.map(readVerifier)));
  const steps = await checked(the);
  const listed = [];
  const parties = the.manifest ? [the.manifest.own, the.manifest.peer] : [];
  for (const did of [...parties, ...(the.taken ?? []).filter((one) => !parties.includes(one))]) {
    for (const [method, key] of assertionKeys(the, did)) {
      const isKnown = held.has(did) || (await derivedDocument(did)) !== undefined;
      listed.push({ method, kind: key.kind, publicKeyMultibase: key.multikey, known: isKnown });
    }
  }
  const report = {
    ok: steps.every((step) => step.ok),
    engagement: the.manifest?.engagement ?? null,
    contract: the.sealed?.digest ?? null,
    state: the.engagement?.state ?? null,
    ...(the.early.length ? { early: the.early } : {}),
    ...(steps.every((step) => step.ok) ? await booksOf(the) : {}),
    steps,
    keys: listed,
    notJudged: the.manifest ? the.manifest.members.filter((item) => !KINDS.includes(item.kind)).map((item) => item.path) : [],
  };
  return { report, the };
}
