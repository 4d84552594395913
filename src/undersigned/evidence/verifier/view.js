// What people see: the verdict first, then each step, then what the pack says.

const at = (id) => document.getElementById(id);
const ENDS = ["closed", "withdrawn"];

/** The verdict in one sentence, and how it is to be shown. */
function verdictOf(report) {
  const failed = report.steps.find((step) => !step.ok && step.code);
  if (failed) return ["fails", `It does NOT hold: step ${failed.number} failed, ${failed.name} (${failed.code}).`];
  const open = report.steps.filter((step) => step.unchecked.length);
  if (open.length) {
    const what = [...new Set(open.flatMap((step) => step.unchecked))].join("; ");
    return ["open", `NOT verified: it could not be checked here, ${what}. \`undersigned verify\` can.`];
  }
  const end = ENDS.includes(report.state) ? "" : ", which is no end: the other side may hold more";
  return ["holds", `It holds (all ${report.steps.length} steps), up to the state ${report.state}${end}.`];
}

function section(title, ...children) {
  return make("section", { "aria-label": title }, make("h2", {}, title), ...children);
}

function stepsOf(report) {
  const items = report.steps.map((step) => {
    const skipped = step.detail.startsWith("not checked:");
    const [kind, mark] = step.ok ? ["ok", "holds"] : skipped ? ["skipped", "–"] : step.code ? ["no", "FAILED"] : ["unchecked", "open"];
    const detail = [step.code && !skipped ? `${step.code}: ` : "", step.detail, ...step.unchecked.map((one) => `; not checked: ${one}`)].join("");
    return make(
      "li",
      { class: kind },
      ...[String(step.number), mark, step.name, plain(detail, 1200)].map((text, column) => make("span", { class: ["number", "mark", "name", "detail"][column] }, text)),
    );
  });
  return section("Steps", make("ol", { class: "steps" }, ...items));
}

function pairs(list) {
  const shownPairs = list.filter(([, value]) => value !== undefined && value !== "");
  return make("dl", {}, ...shownPairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value instanceof Node ? value : plain(value, WHOLE))]));
}

/** A constraint of a clause in words. */
function inWords({ leftOperand: left, operator, rightOperand: right, unit, per }) {
  const values = right.join(" or ");
  if (left === "dateTime") return `${operator === "gteq" ? "from" : "until"} ${values}`;
  if (operator === "isAnyOf") return `${left} ${values}`;
  return `at most ${values} ${left === "count" ? "times" : (unit ?? "")}${per ? ` per ${per}` : ""}`;
}

/** What becomes of the data; what its writer may word freely comes last. */
function dataInWords(data) {
  return [
    data.retention === "PT0S" ? "not kept" : `kept for ${data.retention} after the end`,
    data.onward ? "may be passed on to who is hired for it" : "not passed on",
    data.training ? "models may be trained on it" : "no training",
    ...(data.classes?.length ? [`of the classes ${data.classes.join(", ")}`] : []),
    `for ${data.purpose}`,
  ].join(", ");
}

/** The contract as a card for people: what both signed. */
function card(document, digest, state, came = []) {
  const { terms, organisations = {} } = document;
  // In letters that are told apart: I and l are one picture in others, and names that look alike are had for nothing.
  const name = (did) => make("code", {}, plain(did, 2048));
  const party = (role) => make("span", {}, name(document[role]), ...(organisations[role] ? [" of ", name(organisations[role])] : []));
  const rules = (name) => (terms.scope[name] ?? []).map((rule) => {
    return plain([`${rule.action} on ${rule.target}`, ...(rule.constraint ?? []).map(inWords), rule.duty ? "each time with a person's yes" : ""].filter(Boolean).join("; "), WHOLE);
  });
  const list = (items) => (items.length ? make("ul", {}, ...items.map((item) => make("li", {}, item))) : undefined);
  return pairs([
    ["Contract", digest],
    ["Hirer", party("hirer")],
    ["Provider", party("provider")],
    ["Task", `${terms.task.kind}: ${terms.task.summary}`],
    ...terms.deliverables.map((one) => ["Delivers", `${one.name} (${one.mediaType}${one.maxBytes === undefined ? "" : `, ${one.maxBytes} bytes at most`})${one.criteria.length ? ": " : ""}${one.criteria.map((criterion) => criterion.text).join("; ")}`]),
    ["May", list(rules("grants")) ?? "nothing"],
    ["Never", list(rules("prohibitions"))],
    ["Must", list(rules("obligations"))],
    ["Price", `${terms.price.amount} ${terms.price.currency}, settled by ${terms.settlement.method}`],
    ["Paid by", terms.settlement.hook],
    ...(terms.settlement.milestones ?? []).map((one) => ["Milestone", `${one.percent} % of it for ${one.name}, once met: ${one.criteria.join(", ")}`]),
    ["Start by", terms.deadlines.start],
    ["Finish by", `${terms.deadlines.finish}; authority until ${terms.deadlines.until}`],
    ["Evidence", [terms.evidence.sbom && `a bill of materials, ${terms.evidence.sbom}`, terms.evidence.c2pa && "a C2PA manifest in media", terms.evidence.predicates.join(", ") || "a statement of the work"].filter(Boolean).join("; ")],
    ["Judged by", terms.evidence.verifier && name(terms.evidence.verifier)],
    ["Arbiter", terms.arbiter && name(terms.arbiter)],
    ["Rework", terms.reworks ? `may be asked for ${terms.reworks} ${terms.reworks === 1 ? "time" : "times"}` : undefined],
    ["Silence", `where the hirer lets the time for its review pass, the work counts as ${terms.onSilence}`],
    ["Early end", { notice: (end) => `without cause, after ${end.notice}`, fee: (end) => `without cause, for ${end.fee.amount} ${end.fee.currency}` }[terms.termination.convenience]?.(terms.termination)],
    ["Subcontracts", terms.subcontracting.allowed ? `${terms.subcontracting.depth} ${terms.subcontracting.depth === 1 ? "level" : "levels"} of others may be hired for it` : undefined],
    ["Data", dataInWords(terms.dataHandling)],
    ["Under", document.parent],
    ["State", state],
    ...came,
  ]);
}

/** What a Closing says is owed, and of it. */
const owed = ({ settlement, objection }) =>
  [`${settlement.amount} ${settlement.currency} owed`, settlement.reference && `paid as ${settlement.reference}`, objection].filter(Boolean).join("; ");

const GIST = {
  Inquiry: (m) => `needs ${m.need}; the ${m.opens} makes the first offer`,
  Profile: (m) => `speaks version ${m.version}, signs with ${m.suite}`,
  Presentation: () => "shows its credentials",
  Offer: (m) => (m.document.terms ? `${m.document.type}: ${m.document.terms.price.amount} ${m.document.terms.price.currency}, until ${m.validUntil}` : `${m.document.type}: ${m.document.settlement.amount} ${m.document.settlement.currency}, until ${m.validUntil}`),
  Acceptance: () => "accepts, and signs the document",
  Seal: (m) => `seals it; it is leaf ${m.ledger.index + 1} of its log`,
  Withdraw: (m) => `withdraws: ${m.reason}`,
  Start: () => "starts the work",
  Progress: (m) => [m.percent === undefined ? "" : `${m.percent} %`, m.note].filter(Boolean).join(" ") || "still at work",
  Delivery: (m) => `delivers (${m.outcome}): ${m.artifacts.map((one) => one.name).join(", ") || "nothing"}`,
  Review: (m) => `${m.verdict}: ${m.criteria.map((one) => `${one.id} ${one.met === false ? "not met" : "met"}`).join(", ")}`,
  Closing: (m) => `closes its books, by ${m.basis}: ${owed(m)}`,
  Terminate: (m) => `ends it: ${m.cause}`,
  Cancel: (m) => `cancels: ${m.reason}`,
  Suspend: (m) => `suspends it until ${m.until}: ${m.reason}`,
  Resume: (m) => `goes on: ${m.reason}`,
  Breach: (m) => `claims a breach of ${m.clause}, to be cured by ${m.cureBy}`,
  Dispute: (m) => `disputes it, a ruling by ${m.rulingBy}: ${m.claim}`,
  Ruling: (m) => `carries the arbiter's ruling: ${m.ruling.outcome}, ${m.ruling.amount} ${m.ruling.currency}: ${m.ruling.reasons}`,
  ApprovalRequest: (m) => `asks for approval of ${m.action}`,
  Approval: (m) => (m.granted ? "says yes" : "says no"),
  Problem: (m) => `a problem: ${m.code}`,
};

/** What came of the contract: of reviews the last, and of deliveries, with the one before it that held something if it holds nothing. */
function became({ transcript }) {
  const said = (type) => transcript.map((one) => one.content).filter((content) => content.type === type);
  const deliveries = said("Delivery");
  const handed = deliveries.findLast(({ artifacts }) => artifacts.length);
  const last = Object.fromEntries(said("Closing").map((one) => [one.role, one]));
  const of = (one) => (one === last[one.role] ? one.role : `${one.role}, before the dispute`);
  return [
    ...deliveries.filter((one, place) => one === handed || place === deliveries.length - 1).map((one) => ["Delivered", `${one.outcome}: ${one.artifacts.map(({ name }) => name).join(", ") || "nothing"}`]),
    ...said("Review").slice(-1).map((one) => ["Reviewed", GIST.Review(one)]),
    ...said("Terminate").map((one) => ["Ended by", `the ${one.role}: ${one.cause}`]),
    ...said("Breach").map((one) => ["Breach", `of ${one.clause}, claimed by the ${one.role}, to be cured by ${one.cureBy}`]),
    ...said("Dispute").map((one) => ["Disputed", `by the ${one.role}, who says: ${one.claim}`]),
    ...said("Ruling").map(({ ruling }) => ["Ruled", `${ruling.outcome}, ${ruling.amount} ${ruling.currency} owed, all told: ${ruling.reasons}`]),
    ...said("Closing").map((one) => ["Books", `of the ${of(one)}: ${owed(one)}`]),
  ];
}

function conversation(the) {
  const items = the.transcript.map(({ number, at: when, content }) =>
    make(
      "li",
      { class: content.role },
      make("div", { class: "who" }, `${number} · ${content.role} · recorded ${when}`),
      make("div", {}, make("strong", {}, plain(content.type)), ` ${plain(GIST[content.type]?.(content) ?? "")}`),
      make("details", {}, make("summary", {}, "as it was signed"), make("pre", {}, JSON.stringify(content, null, 1).replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "�"))),
    ),
  );
  return section("Conversation", make("ol", { class: "talk" }, ...items));
}

function keysOf(report) {
  const rows = report.keys.map((key) => make("li", {}, make("code", {}, plain(key.method)), ` ${key.kind} `, make("code", {}, key.publicKeyMultibase), key.known ? ", known" : ", the pack's own: compare it with what this DID publishes"));
  return section("Keys it was judged by", make("ul", {}, ...rows));
}

/** What the packer's own record does not allow yet; no step fails by it. */
function earlyOf(early) {
  const lines = early.map((one) => {
    if (one.what === "unheard") return make("li", {}, plain(`${one.type} (silence) came ${one.said}, signed ${one.signed}; the packer's review was made ${one.allowed}, in time`));
    const came = ["cureBy", "rulingBy", "windDown"].includes(one.what) ? "sets" : "came";
    return make("li", {}, plain(`${one.type} (${one.what}) ${came} ${one.said}, signed ${one.signed}; by the packer's record not before ${one.allowed}`));
  });
  return section("Before its time", make("ul", {}, ...lines));
}

/** Each side says for itself what is owed; that they differ, or what ended the contract says another sum, breaks nothing, and is for people or the arbiter. */
function booksDiffer(books) {
  const by = (who) => (who === "moves" ? "what ended the contract" : `the ${who}`);
  return section("What is said to be owed differs", make("ul", {}, ...Object.entries(books).map(([who, owed]) => make("li", {}, plain(`by ${by(who)}, ${owed} is owed`)))));
}

function show({ report, the }, name, isZip) {
  const [kind, said] = verdictOf(report);
  const sound = kind === "holds";
  const taken = /^taken from the pack: (.+)/.exec(report.steps[1]?.detail)?.[1];
  const notes = sound && taken ? [make("p", {}, `The keys of ${plain(taken)} are the pack's own: compare them with what these names publish.`)] : [];
  if (!sound && !isZip) notes.push(make("p", {}, `${plain(name)} is no evidence pack: expected a zip, as \`undersigned export\` writes it.`));
  const parts = [...notes, stepsOf(report)];
  if (the.transcript) {
    if (!sound) parts.push(make("p", { class: "unverified" }, "What follows is what the pack says. It was not verified."));
    const contract = the.sealed ?? null;
    if (contract) parts.push(section("Contract", card(contract.document, contract.digest, report.state, became(the))));
    for (const [number, change] of the.amended) parts.push(section(`Amendment, message ${number}`, card(change, change.contract, "in force from its seal")));
    if (the.early.length) parts.push(earlyOf(the.early));
    if (report.books) parts.push(booksDiffer(report.books));
    parts.push(section("What came of what", ...provenance(the, sound)), conversation(the));
    if (the.refusals.length) {
      const refused = the.refusals.map((one) => make("li", {}, plain(`${one.at}: ${one.action} on ${one.target}, by ${one.clause}: ${one.reason}`, 900)));
      parts.push(section("Refused actions", make("ul", {}, ...refused)));
    }
    parts.push(keysOf(report));
    if (report.notJudged.length) {
      parts.push(section("Not judged here", make("p", {}, "Of kinds that this page does not know: their digests hold, and nothing else was looked at."), make("ul", {}, ...report.notJudged.map((path) => make("li", {}, plain(path))))));
    }
  }
  parts.push(make("section", {}, make("details", {}, make("summary", {}, "The report as JSON"), make("pre", { id: "report" }, JSON.stringify(report, null, 1)))));
  at("found").replaceChildren(...parts);
  at("found").hidden = false;
  tell(kind, said);
}

function tell(kind, said) {
  at("verdict").className = kind;
  at("verdict").textContent = said;
}

let turn = 0;
let chosen = [];

async function bytesOf(file) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new Error(`${file.name} cannot be read: it is a folder, is too large, or was changed or taken away since it was chosen`);
  }
}

/** Judges these files, one pack and DID documents that are known, by the time and the witnesses that the page says. */
async function judgeFiles(files) {
  turn += 1;
  const mine = turn;
  chosen = [...files];
  at("found").hidden = true;
  at("found").replaceChildren();
  tell("busy", "Checking…");
  try {
    if (!globalThis.crypto?.subtle) throw new Error("this browser gives no cryptography to a page from here; open it as a file, or by https");
    const read = await Promise.all(chosen.map(async (file) => [file.name, await bytesOf(file)]));
    const packs = read.filter(([name]) => !name.toLowerCase().endsWith(".json"));
    if (packs.length !== 1) throw new Error(`expected one pack; came ${packs.length}${packs.length ? ": open one after the other" : ""}`);
    const now = at("now").value.trim() || instantOf(Math.floor(Date.now() / 1000));
    if (!isInstant(now)) throw new Error("expected a time such as 2026-11-24T09:00:00Z, in the years 2000 to 2999");
    const known = read.filter(([name]) => name.toLowerCase().endsWith(".json")).map(([, data]) => data);
    const [name, data] = packs[0];
    const found = await verifyPack(data, now, known, at("witnesses").value.split(/\s+/).filter(Boolean));
    if (mine === turn) show(found, name, data[0] === 0x50 && data[1] === 0x4b); // "PK"
  } catch (error) {
    if (mine === turn) tell("fails", `NOT verified: ${plain(error.message)}`);
  }
  if (mine === turn && document.activeElement?.type !== "text") at("verdict").focus(); // nobody who writes is led away
}

const zone = at("open");
at("files").addEventListener("click", (event) => (event.target.value = "")); // so that the same file can be chosen again
at("files").addEventListener("change", (event) => event.target.files.length && judgeFiles(event.target.files));
for (const name of ["now", "witnesses"]) {
  // A verdict that stands here is by what is written here.
  at(name).addEventListener("change", () => chosen.length && judgeFiles(chosen));
}
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    zone.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) judgeFiles(event.dataTransfer.files);
  });
}
const inside = at("pack").textContent;
if (inside) judgeFiles([{ name: "pack.zip", arrayBuffer: async () => fromBase64(inside, "bad_json").buffer }]);
