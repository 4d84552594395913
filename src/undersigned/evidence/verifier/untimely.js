// What the other side did before its time, as far as the packer's record shows it (07, section 7.7, HIRE-LIF-34). No verdict
// rests on it: the move was taken, as it has to be.

/** Two clocks may be off by a minute each. */
const LEEWAY = 120;
const LEAST_RULING = 86400;
const HEARTBEATS = 3;

/** Since when its sender may count from this move: it may have been long under way before it was recorded. */
const earliestOf = ({ content, at }) => (content.proof && content.proof.created < at ? content.proof.created : at);

/** What is too early about a received move that applied, in a list of one or none. */
function untimely(the) {
  const claim = the.was.contract ? (CLAIMS[the.content.type]?.(the) ?? null) : null;
  if (!claim?.allowed) return [];
  const { said = the.at } = claim;
  let { what, allowed } = claim;
  if (shift(said, LEEWAY) >= allowed) {
    const refused = what === "review" && the.content.type === "Closing" ? refusedAt(the.was) : null;
    if (!refused || refused > allowed) return [];
    [what, allowed] = ["unheard", refused];
  }
  return [{ move: the.move.digest, type: the.content.type, what, said, signed: the.content.proof.created, allowed }];
}

/** When the packer, the hirer, said what a provider did not hear that closes as if it had been silent. */
const refusedAt = ({ role, cause, since, contract }) => (role === "hirer" && cause && cause === contract.refused ? since : null);

/** By type: the time that a move claims to have passed, or sets and must leave. */
const CLAIMS = {
  Closing: ({ was, content, state }) => {
    const silent = content.basis === "silence" && content.role === "provider" && state === "delivered";
    return silent ? { what: "review", allowed: reviewBy(was) } : null;
  },
  Terminate: (the) => ENDS_BY_TIME[the.content.cause]?.(the),
  Breach: (the) => leaves(the, "cureBy", durationSeconds(the.was.offer.terms.terms.termination.cure)),
  Dispute: (the) => leaves(the, "rulingBy", LEAST_RULING),
  Cancel: (the) => leaves(the, "windDown", durationSeconds(the.was.offer.terms.terms.deadlines.windDown)),
};

const ENDS_BY_TIME = {
  deadline: ({ was, content, state, seen }) => ({ what: "deadline", allowed: firstOf(content.role === "hirer" ? waitsOfHirer(was, state) : waitsOfProvider(was, state, seen)) }),
  no_ruling: ({ was }) => ({ what: "no_ruling", allowed: was.contract.rulingBy }),
  breach: ({ was, content }) => ({ what: "breach", allowed: was.contract.breaches.find((one) => one.move === content.names)?.cureBy }),
  late_seal: ({ was }) => ({ what: "late_seal", allowed: shift(was.offer.validUntil, durationSeconds(was.offer.terms.terms.sealGrace)) }),
};

const firstOf = (instants) => instants.toSorted()[0];
const leaves = (the, what, least) => ({ what, said: the.content[what], allowed: shift(earliestOf(the), least) });
const reviewBy = ({ contract, offer }) => contract.deliveredFrom && shift(contract.deliveredFrom, durationSeconds(offer.terms.terms.deadlines.review));

/** When what the hirer waits for can first have passed by its own clock. */
function waitsOfHirer({ contract, offer, state: here, since }, state) {
  const { until, finish, heartbeat } = offer.terms.terms.deadlines;
  if (!contract.began && state !== "cancelling") return [until];
  const { worksFrom } = contract;
  const due = contract.due ?? finish;
  // The time for a rework counts from when it was asked for, and not from when that was recorded here.
  const waits = [until, here === "working" && worksFrom ? shift(due, seconds(worksFrom) - seconds(since)) : due];
  // What it has heard meanwhile only it knows; nothing before it let the work begin.
  if (state === "working" && worksFrom) waits.push(shift(worksFrom, HEARTBEATS * durationSeconds(heartbeat)));
  return waits;
}

function waitsOfProvider(was, state, seen) {
  const { start, until } = was.offer.terms.terms.deadlines;
  const waits = [start, shift(until, 3600)];
  // Of suspensions it waited for the end of the last that it had heard of.
  if (state === "suspended") waits.push(was.contract.suspensions.findLast(({ sequence }) => sequence <= seen).until);
  if (state === "delivered" && was.contract.deliveredFrom) waits.push(reviewBy(was));
  return waits;
}
