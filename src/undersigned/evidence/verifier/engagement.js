// The fold: how the messages of a journal make a state, by the tables of 05 and 07. Values are not changed; each move
// gives a new one. The tables are `tables.json`, the same as everywhere.

const ENDED = ["withdrawn", "closed"];
const PERFORMED = ["sealed", "working", "suspended", "cancelling", "delivered"];
const LIMIT_EXEMPT = ["Cancel", "Terminate", "Delivery", "Review", "Closing", "Ruling", "Seal", "Withdraw"];
const WEIGHED = ["Profile", "Presentation", "Bid", "Offer"];
const MAX_MOVES = 4096;
const LONGEST_RULING = 180 * 86400;
const MAX_SAID = 8 * 1024 * 1024;
const MAX_OPEN = 64;
const MAX_DEPTH = 5;

function writtenOut(tables) {
  const rows = new Map();
  for (const row of tables) {
    for (const state of row.states) for (const role of row.roles) rows.set([state, row.type, role, row.case ?? ""].join(" "), row);
  }
  return rows;
}

const ROWS = writtenOut([...DATA.tables.negotiation, ...DATA.tables.contract]);
const LANE = writtenOut(DATA.tables.lane);
const LANE_TYPES = DATA.tables.lane.map((row) => row.type);
const rowOf = (state, type, role, which = "") => ROWS.get([state, type, role, which].join(" "));

function expect(holds, code, what) {
  if (!holds) throw new Refused(code, `expected ${what}`);
}

function begin(role, own, peer, id) {
  expect(own !== peer, "self_dealing", "two parties");
  return {
    ...{ role, own, peer, id, state: "-", lane: "idle", at: "", since: "", sent: [], got: [], unreceipted: 0, peerSaw: 0 },
    ...{ crossing: [], view: { state: "-", disputed: false, closedBy: [] }, before: null, talks: null, offer: null, acceptance: null },
    ...{ acceptedLate: false, contract: null, tabled: null, pause: null, early: [] },
  };
}

/** The engagement after a message that was sent (`mine`) or received at `at`. */
async function apply(was, move, mine, recordedAt) {
  const at = recordedAt > was.at ? recordedAt : was.at;
  const { content, digest } = move;
  const [own, other] = mine ? [was.sent, was.got] : [was.got, was.sent];
  checkParties(was, content, mine);
  if (move.notice) {
    const place = content.sequence;
    expect(!(place > 0 && place <= own.length && own[place - 1] !== content.previous), "conflicting_message", "its own position");
    return notice(was, content, mine, at, seenBy(content, other));
  }
  const place = content.sequence;
  if (place <= own.length) {
    if (own[place - 1] === digest) return was;
    throw new Refused("conflicting_message", `${content.role} sent another ${content.type} in place ${place}`);
  }
  expect(place === own.length + 1, "out_of_order", `move ${own.length + 1} of ${content.role}; came ${place}`);
  expect(content.previous === own.at(-1), "conflicting_message", `a move that follows ${own.at(-1)}`);
  const seen = seenBy(content, other);
  expect(!mine || seen === other.length, "out_of_order", "a decision on all that was recorded");
  expect(mine || seen >= was.peerSaw, "conflicting_message", "a view that does not go back");
  const crossed = !mine && seen < was.sent.length;
  const view = crossed ? peerView(was, seen) : null;
  const the = { was, move, content, mine, at, seen, crossed, state: view ? view.state : was.state };
  return record(the, view, await judge(the, view));
}

function checkParties(was, content, mine) {
  const [sender, recipient] = mine ? [was.own, was.peer] : [was.peer, was.own];
  expect(content.engagement === was.id, "wrong_negotiation", `engagement ${was.id}`);
  expect(content.recipient === recipient, "wrong_recipient", `recipient ${recipient}`);
  const role = mine ? was.role : otherRole(was.role);
  expect(content.sender === sender && content.role === role, "wrong_party", `${sender} as ${role}`);
  expect(!was.talks?.version || content.version === was.talks.version, "version_not_supported", "the version agreed on");
}

function seenBy(content, chain) {
  if (content.seen === undefined) return 0;
  const place = chain.lastIndexOf(content.seen) + 1;
  expect(place > 0, "ledger_diverged", `a move recorded here; ${content.role} has seen another`);
  return place;
}

/** The row by which the move applies; undefined if it is void. */
async function judge(the, view) {
  const { was, move, content } = the;
  const inLane = isInLane(was, content.type);
  let row = inLane ? laneRow(the) : rowIn(was.state, content, was.contract);
  const tooSoon = row && !inLane && isTooSoon(the);
  const moves = was.sent.length + was.got.length;
  if (was.contract) {
    const ends = LIMIT_EXEMPT.includes(content.type) && (row || content.type !== "Withdraw");
    expect(moves < MAX_MOVES || ends, "round_limit", "a move that ends it");
    const said = (was.contract.said?.[content.role] ?? 0) + move.raw.length;
    expect((ends && !tooSoon) || said <= MAX_SAID, "too_large", "a move that ends it");
  } else if (was.talks && WEIGHED.includes(content.type)) {
    expect(was.talks.used + move.raw.length <= was.talks.bytes, "too_large", "a shorter negotiation");
  }
  if (!row || tooSoon) {
    if (inLane || tooSoon || (view && !isAgain(the) && next(view, stepOf(content, null)) !== undefined)) {
      if (content.type === "Ruling") GUARDS[the.state === "closing" ? "rules_after_all" : "rules_on_dispute"](the);
      if (content.type === "Review") GUARDS.reviews_delivery(the);
      return undefined;
    }
    throw noRow(was, content);
  }
  if (row.check) await GUARDS[row.check](the);
  return row;
}

const isInLane = (was, type) => was.contract !== null && LANE_TYPES.includes(type);

function rowIn(state, content, contract) {
  let which = "";
  if (content.type === "Review") which = content.verdict === "rework" ? "rework" : "final";
  else if (content.type === "Closing") {
    if (state === "closing") which = contract?.closedBy.includes(otherRole(content.role)) ? "last" : "first";
    else if (content.basis === "silence") which = "silence";
  }
  return rowOf(state, content.type, content.role, which);
}

function isTooSoon({ was: { contract, state }, content, crossed, seen }) {
  if (!contract || !crossed) return false;
  const unseen = contract.disputes.length > 0 && !knows(content, seen, contract.disputes);
  const unended = contract.disputes.length > 0 && !knows(content, seen, contract.resolved);
  if (content.type === "Dispute") return unseen || unreleased(content, seen, contract);
  if (content.type === "Terminate") return state === "disputed" && unseen;
  if (content.type === "Closing") return unended;
  return content.type === "Ruling" && state === "closing" && unended;
}

/** Whether it is a dispute by who knows of one. */
const isAgain = ({ was, content, seen }) => content.type === "Dispute" && was.contract !== null && knows(content, seen, was.contract.disputes);

/** Whether there is a release that the sender had not seen. */
const unreleased = (content, seen, { released }) => released !== null && !knows(content, seen, [released]);

/** What a delivery or review beside an accepted document makes of it: who knows of both seals no more (HIRE-LAN-08). */
function overtaken(the) {
  const { was, content, seen } = the;
  const { tabled } = was;
  const first = ["Delivery", "Review"].includes(content.type) && tabled?.agreed && !tabled.overtaken;
  return first && knows(content, seen, [tabled.agreed]) ? { tabled: { ...tabled, overtaken: mark(the) } } : {};
}

const knows = (content, seen, marks) => marks.some((mark) => mark.role === content.role || seen >= mark.sequence);

function noRow(was, content) {
  const text = `${content.role} sent ${content.type} in state ${was.state}, which allows no such move`;
  if (content.type === "Acceptance" && was.state === `accepted-by-${content.role}`) return new Refused("already_contracted", text);
  if (content.type === "Delivery" && content.role === "provider" && was.contract?.accepted) return new Refused("already_fulfilled", text);
  const cases = ["", "final", "rework", "silence", "first", "last"];
  const others = cases.some((which) => rowOf(was.state, content.type, otherRole(content.role), which));
  return new Refused(others ? "wrong_party" : "wrong_state", text);
}

// --- what a move makes of the engagement

async function record(the, view, row) {
  const { was, move, content, mine, at, seen } = the;
  const inLane = isInLane(was, content.type);
  const step = stepOf(content, inLane ? (was.tabled?.kind ?? "") : null);
  let now = mine
    ? {
        ...was,
        ...{ at, sent: [...was.sent, move.digest], unreceipted: was.unreceipted + 1, crossing: [...was.crossing, step] },
        before: ["Acceptance", "Seal"].includes(content.type) ? null : was,
      }
    : {
        ...was,
        ...{ at, got: [...was.got, move.digest], unreceipted: unreceipted(was, seen), peerSaw: seen, before: null },
        crossing: was.crossing.filter((one) => one.sequence > seen),
        view: goesOn(peerView(was, seen), step),
      };
  if (row && !mine) now.early = [...was.early, ...untimely(the)];
  if (row && inLane) now = { ...now, ...(await laneFacts(the, row)) };
  else if (row) {
    now.pause = null;
    if (row.next !== was.state) now = { ...now, state: row.next, since: at, cause: move.digest };
    now = { ...now, ...(await FACTS[content.type]?.(the)), ...overtaken(the) };
    if (!was.contract && now.talks) now.talks = { ...now.talks, used: now.talks.used + move.raw.length };
  } else if (was.contract && !inLane) now = { ...now, contract: await voidFacts(the), ...overtaken(the) };
  if (was.contract && !inLane) now.contract = { ...now.contract, endings: [...was.contract.endings, ...endingOf(the)] };
  if (was.contract && (!row || !LIMIT_EXEMPT.includes(content.type) || content.type === "Withdraw")) {
    const before = was.contract.said ?? {};
    now.contract = { ...now.contract, said: { ...before, [content.role]: (before[content.role] ?? 0) + move.raw.length } };
  }
  if (now.contract?.began && content.role === "provider") now.contract = { ...now.contract, heardAt: at };
  return now;
}

/** What a move says about how the contract ends, also one that moves nothing (07, HIRE-LIF-11): in a list of one or none. */
function endingOf({ content, state }) {
  if (content.type === "Terminate") return [{ basis: "terminate" }];
  if (content.type === "Ruling") return [{ basis: "ruling" }];
  if (content.type === "Review" && content.verdict !== "rework") return [{ basis: "review", detail: content.verdict }];
  const silent = content.type === "Closing" && content.basis === "silence" && content.role === "provider" && state === "delivered";
  return silent ? [{ basis: "silence" }] : [];
}

const unreceipted = (was, seen) => Math.max(0, Math.min(was.sent.length - seen, was.unreceipted));

const STANDING = new Set(["Suspend", "Cancel", "Terminate", "Delivery", "Review", "Closing", "Ruling", "Withdraw"]);

/** Whether a move that was refused for good gives up its place (HIRE-NEG-19). */
function givesWay(was, digest) {
  const sequence = was.sent.indexOf(digest) + 1;
  return was.crossing.some((own) => own.sequence === sequence && (!STANDING.has(own.kind) || own.which === "lane"));
}

function notice(was, content, mine, at, seenUpTo) {
  const chain = mine ? was.got : was.sent;
  let seen = seenUpTo;
  let now = { ...was, at };
  if (content.type === "Receipt") {
    seen = Math.max(seen, ...content.of.map((digest) => chain.indexOf(digest) + 1));
    if (content.waiting) now.pause = { role: content.role, until: content.waiting.until };
  }
  if (!mine) {
    const open = was.sent.slice(was.sent.length - was.unreceipted);
    const saw = content.sequence <= was.got.length ? Math.max(was.peerSaw, seen) : was.peerSaw;
    if (content.type === "Problem" && content.final && open.includes(content.of) && givesWay(was, content.of)) {
      const place = was.sent.indexOf(content.of);
      let before = was.before;
      while (before && before.sent.length > place) before = before.before;
      if (before) {
        // N9: its place is free again, with those of what was said after it.
        const heard = was.contract && before.contract ? { ...before.contract, heardAt: was.contract.heardAt, progress: was.contract.progress } : before.contract;
        return { ...before, at, contract: heard, peerSaw: Math.min(saw, place) };
      }
    }
    now.peerSaw = saw;
    now.unreceipted = unreceipted(was, seen);
    if (seen >= was.sent.length) now.before = null;
  }
  const { contract } = now;
  if (content.type === "Progress" && contract && content.role === "provider" && content.contract === contract.digest && content.number > contract.progress) {
    now = { ...now, contract: { ...contract, progress: content.number, heardAt: at } };
  }
  return now;
}

// --- the state that the other side was in (rule C7)

function stepOf(content, lane) {
  let which = "";
  if (lane !== null) which = content.type === "Seal" && lane === "Release" ? "release" : "lane";
  else if (content.type === "Review") which = content.verdict === "rework" ? "rework" : "final";
  else if (content.type === "Closing") which = content.basis === "silence" ? "silence" : "";
  else if (content.type === "Terminate") which = content.cause === "no_ruling" ? "no_ruling" : "";
  return { sequence: content.sequence, role: content.role, kind: content.type, which };
}

function next(view, { kind, role, which }) {
  const { state } = view;
  if (LANE_TYPES.includes(kind) && which) return which === "release" && !ENDED.includes(state) ? "closing" : state;
  if (["Dispute", "Closing"].includes(kind) && view.closedBy.includes(role)) return undefined;
  if (kind === "Dispute" && view.disputed) return undefined;
  let looked = which;
  if (kind === "Terminate") {
    if ((which === "no_ruling") !== (state === "disputed")) return undefined;
    looked = "";
  }
  if (kind === "Closing" && state === "closing") looked = view.closedBy.includes(otherRole(role)) ? "last" : "first";
  return rowOf(state, kind, role, looked)?.next;
}

function goesOn(view, step) {
  const state = next(view, step);
  if (state === undefined) return view;
  if (step.kind === "Dispute") return { state, disputed: true, closedBy: [] };
  return { state, disputed: view.disputed, closedBy: step.kind === "Closing" ? [...view.closedBy, step.role] : view.closedBy };
}

const peerView = (was, seen) => was.crossing.filter((step) => step.sequence <= seen).reduce(goesOn, was.view);
