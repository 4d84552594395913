// Elements of the page, and the graph of what came of what. What a pack says is text and nothing else: no markup is ever
// made of it.

const SVG = "http://www.w3.org/2000/svg";

/** More than a message has with each character escaped: what was agreed is not cut, or what matters is put behind the cut. */
const WHOLE = 2 ** 20;

/** A character that does not show, as an escape that does. */
function visible(c) {
  const code = c.codePointAt(0).toString(16);
  return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
}

/** Text of strangers on one line: control, format and private characters escaped, and cut. */
function plain(value, limit = 400) {
  const shown = (c) => (/\s/u.test(c) ? " " : /\p{C}/u.test(c) ? visible(c) : c);
  const text = [...String(value)].slice(0, limit + 1).map(shown).join("");
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const make = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const draw = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
/** A text in so many characters, with both ends: two long names are often one as far as a box is wide. */
const fitted = (text, limit) => (text.length <= limit ? text : `${text.slice(0, limit - 9)}…${text.slice(-8)}`);
const short = (digest) => (digest ? `${digest.slice(0, 12)}…` : "");

const BOX = { width: 152, height: 50, across: 182, down: 66 };

/** Who signed what, and what it was made from: columns from the parties to the end of the hire. */
function provenance(the, sound) {
  const { manifest } = the;
  const columns = [];
  const edges = [];
  const boxes = new Map();
  const box = (id, column, label, sub, kind = "") => {
    if (boxes.has(id)) return;
    (columns[column] ??= []).push(id);
    boxes.set(id, { id, column, place: columns[column].length - 1, label: plain(label), sub: plain(sub), kind });
  };
  const edge = (from, to, how) => edges.push({ from, to, how });
  const dids = { [manifest.role]: manifest.own, [otherRole(manifest.role)]: manifest.peer };
  for (const role of ["hirer", "provider"]) box(role, 0, role, dids[role], role);
  const sealed = the.sealed;
  if (sealed) {
    box("contract", 1, "contract", short(sealed.digest));
    edge("hirer", "contract", "signed");
    edge("provider", "contract", "signed");
    for (const [number, change] of the.amended) {
      box(`amendment ${number}`, 1, "amendment", `message ${number}`);
      edge("contract", `amendment ${number}`, "amended by");
    }
    for (const input of sealed.document.terms.task.inputs) {
      box(`input ${input}`, 1, "input", short(input), "hirer");
      edge("hirer", `input ${input}`, "gave");
    }
  }
  for (const { content, message, number } of ofType(the, "Delivery")) {
    const id = `delivery ${message.digest}`;
    box(id, 2, `delivery, round ${content.round}`, content.outcome, "provider");
    if (sealed) edge("contract", id, "under which");
    edge("provider", id, "delivered");
    for (const input of sealed?.document.terms.task.inputs ?? []) edge(`input ${input}`, id, "used");
    for (const artifact of content.artifacts) {
      box(`artifact ${artifact.digest}`, 3, artifact.name, short(artifact.digest), "provider");
      edge(id, `artifact ${artifact.digest}`, "made");
    }
    for (const [at, { statement }] of (the.statements.get(message.digest) ?? []).entries()) {
      const said = `statement ${number} ${at}`;
      box(said, 4, statement.predicateType.split("/").slice(-2).join(" "), "stated by the provider", "provider");
      for (const artifact of content.artifacts) edge(`artifact ${artifact.digest}`, said, "described by");
    }
  }
  for (const { content, number } of ofType(the, "Review")) {
    box(`review ${number}`, 5, `review: ${content.verdict}`, "stated by the hirer", "hirer");
    edge(`delivery ${content.delivery}`, `review ${number}`, "reviewed in");
    const before = [...boxes.keys()].filter((id) => id.startsWith("statement "));
    for (const id of before) edge(id, `review ${number}`, "read for");
  }
  for (const { content, number } of ofType(the, "Closing", "Terminate", "Ruling", "Withdraw")) {
    box(`end ${number}`, 6, content.type, content.basis ?? content.cause ?? content.reason ?? "", content.role);
    edge([...boxes.keys()].findLast((id) => id.startsWith("review ")) ?? (sealed ? "contract" : content.role), `end ${number}`, "ended by");
  }
  for (const refusal of the.refusals) {
    const id = `refusal ${refusal.action} ${refusal.target}`;
    box(id, 2, `refused: ${refusal.action}`, refusal.clause, manifest.role);
    edge("contract", id, "refused under");
  }
  return drawn(columns.filter(Boolean), boxes, edges, sound);
}

function drawn(columns, boxes, edges, sound) {
  const rows = Math.max(...columns.map((column) => column.length));
  const [width, height] = [columns.length * BOX.across, rows * BOX.down + 8];
  columns.forEach((column, x) => {
    const top = (height - column.length * BOX.down) / 2;
    column.forEach((id, y) => Object.assign(boxes.get(id), { x: x * BOX.across + 4, y: top + y * BOX.down + 6 }));
  });
  const lines = edges.map(({ from, to, how }) => {
    const [one, other] = [boxes.get(from), boxes.get(to)];
    if (!one || !other) return null;
    const [x1, y1, x2, y2] = [one.x + BOX.width, one.y + BOX.height / 2, other.x, other.y + BOX.height / 2];
    const bend = Math.max(24, (x2 - x1) / 2);
    const path = x2 > x1 ? `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` : `M${one.x + BOX.width / 2} ${one.y + BOX.height}L${other.x + BOX.width / 2} ${other.y}`;
    return draw("path", { d: path, "marker-end": "url(#tip)" }, draw("title", {}, `${one.label} ${how} ${other.label}`));
  });
  const nodes = [...boxes.values()].map(({ x, y, label, sub, kind }) =>
    draw(
      "g",
      { class: `${kind} ${sound ? "" : "unproved"}` },
      draw("title", {}, `${label}: ${sub}`),
      draw("rect", { x, y, width: BOX.width, height: BOX.height, rx: 8 }),
      // A window of its own: letters can be wider than they are counted.
      draw("svg", { x, y, width: BOX.width, height: BOX.height }, draw("text", { x: 10, y: 21 }, fitted(label, 20)), draw("text", { x: 10, y: 38, class: "sub" }, fitted(sub, 22))),
    ),
  );
  const tip = draw("marker", { id: "tip", viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, draw("path", { d: "M0 0L8 4L0 8" }));
  const name = "Graph of the hire: who signed what, and what it was made from";
  const graph = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": name }, draw("defs", {}, tip), ...lines, ...nodes);
  const said = edges.map(({ from, to, how }) => [boxes.get(from), how, boxes.get(to)]).filter(([one, , other]) => one && other);
  const words = said.map(([one, how, other]) => make("li", {}, `${one.label} (${one.sub}) ${how} ${other.label} (${other.sub})`));
  return [make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": name }, graph), make("details", {}, make("summary", {}, "The graph in words"), make("ul", {}, ...words))];
}
