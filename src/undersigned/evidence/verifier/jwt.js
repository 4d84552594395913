// Credentials and presentations that are signed as a whole, as text, in an envelope: 11-credentials, sections 11.2 and
// 11.3. The header says which of three algorithms it is and whose key, and nothing else.

const CREDENTIALS_CONTEXT = "https://www.w3.org/ns/credentials/v2";
const CREDENTIAL_JWT = { typ: "vc+jwt", cty: "vc", type: "EnvelopedVerifiableCredential", bytes: 65536 };
const LIST_JWT = { ...CREDENTIAL_JWT, bytes: 1048576 };
const PRESENTATION_JWT = { typ: "vp+jwt", cty: "vp", type: "EnvelopedVerifiablePresentation", bytes: 98304 };
const HEADER_BYTES = 4096;
const ALGORITHMS = { Ed25519: "Ed25519", EdDSA: "Ed25519", ES256: "P-256", ES384: "P-384" };
const HEADER = new Set(["alg", "kid", "typ", "cty"]);
const ENVELOPE = new Set(["@context", "id", "type"]);
const OF_PRESENTATION = new Set(
  ["@context", "id", "type", "holder", "engagement", "verifiableCredential"].concat(["iss", "aud", "nonce", "jti", "iat", "nbf", "exp"]),
);

const isEnveloped = (document, of) => listOf(document.type).includes(of.type);
const envelopeOf = (text, of) => ({ "@context": CREDENTIALS_CONTEXT, id: `data:application/${of.typ},${text}`, type: of.type });

function onlyThese(document, names) {
  const unknown = Object.keys(document).filter((name) => !names.has(name));
  if (unknown.length) throw new Refused("unknown_term", `expected ${[...names].join(", ")}; came ${shown(unknown[0])}`);
}

/** What an envelope holds, read and not verified. */
function openEnvelope(document, of) {
  onlyThese(document, ENVELOPE);
  const alone = (value, expected) => equal(value, expected) || equal(value, [expected]);
  if (!alone(document["@context"], CREDENTIALS_CONTEXT)) throw new Refused("context_not_allowed", `expected ${CREDENTIALS_CONTEXT} alone`);
  const wrong = (text) => new Refused("schema_violation", text);
  if (!alone(document.type, of.type)) throw wrong(`expected ${of.type} alone`);
  const prefix = `data:application/${of.typ},`;
  if (typeof document.id !== "string" || !document.id.startsWith(prefix)) throw wrong(`expected ${prefix} and a text`);
  const jws = readJws(document.id.slice(prefix.length), of);
  if (isEnveloped(jws.payload, of)) throw wrong("expected no envelope in an envelope");
  return jws;
}

function readJws(text, of) {
  const most = Math.floor((4 * (of.bytes + HEADER_BYTES)) / 3);
  if ([...text].length > most) throw new Refused("too_large", `expected at most ${most} characters`);
  const parts = text.split(".");
  if (parts.length !== 3) throw new Refused("schema_violation", `expected three parts of a ${of.typ}; came ${parts.length}`);
  const header = jsonIn(parts[0], HEADER_BYTES);
  onlyThese(header, HEADER);
  const { alg, typ, kid } = header;
  if (typeof alg !== "string" || !has(ALGORITHMS, alg)) throw new Refused("suite_not_allowed", `expected ${Object.keys(ALGORITHMS).join(" or ")}; came ${shown(alg)}`);
  if (typ !== of.typ || (has(header, "cty") && header.cty !== of.cty)) {
    throw new Refused("proof_purpose_mismatch", `expected ${of.typ} of ${of.cty}; came ${shown(typ)} of ${shown(header.cty)}`);
  }
  if (typeof kid !== "string" || !matches(DATA.didUrl, kid) || !kid.includes("#")) throw new Refused("key_not_authorized", `expected a DID URL with a fragment as kid; came ${shown(kid)}`);
  const kind = ALGORITHMS[alg];
  const signature = fromBase64url(parts[2]);
  if (signature.length !== SIGNATURE_BYTES[kind]) throw new Refused("proof_invalid", `expected a signature of ${SIGNATURE_BYTES[kind]} bytes`);
  return { text, kind, method: kid, signature, signed: encode(`${parts[0]}.${parts[1]}`), payload: jsonIn(parts[1], of.bytes) };
}

function jsonIn(part, bytes) {
  const value = decodeJson(fromBase64url(part), { ...FOREIGN_LIMITS, bytes, text: Math.max(bytes, MESSAGE_LIMITS.text) });
  if (!isObject(value)) throw new Refused("schema_violation", "expected a JSON object");
  return value;
}

/** First and last second of a text that is signed by `signer`, once it says as a JWT what it says as a document. */
function checkClaims(claims, signer) {
  const wrong = (name) => new Refused("schema_violation", `expected another ${name}, or none`, `/${name}`);
  for (const name of ["vc", "vp"]) if (has(claims, name)) throw wrong(name);
  for (const [name, expected] of [["iss", signer], ["jti", claims.id]]) {
    if (has(claims, name) && (typeof claims[name] !== "string" || claims[name] !== expected)) throw wrong(name);
  }
  const [, begins, ends] = ["iat", "nbf", "exp"].map((name) => secondsIn(claims, name));
  if (ends === 946684800) throw wrong("exp"); // before it lies no instant of ours
  return [begins, ends === null ? null : ends - 1];
}

function secondsIn(claims, name) {
  if (!has(claims, name)) return null;
  const at = claims[name];
  if (!Number.isInteger(at) || at < 946684800 || at >= 32503680000) throw new Refused("schema_violation", `expected whole seconds since 1970 in ${name}`, `/${name}`);
  return at;
}

/** The same of a credential, which may be shown to anybody and is secured once. */
function checkCredentialClaims(claims, issuer) {
  for (const name of ["proof", "aud", "cnf", "nonce"]) if (has(claims, name)) throw new Refused("schema_violation", `expected no ${name} in a credential that is a text`, `/${name}`);
  const bounds = checkClaims(claims, issuer);
  if (has(claims, "sub")) {
    const subjects = listOf(claims.credentialSubject);
    if (typeof claims.sub !== "string" || subjects.length !== 1 || !isObject(subjects[0]) || subjects[0].id !== claims.sub) {
      throw new Refused("schema_violation", "expected the one subject's id in sub", "/sub");
    }
  }
  return bounds;
}

/** Passes a presentation that answers this challenge, is for this domain, and in time. */
function checkAnswer({ payload }, { challenge, domain }, now) {
  for (const [name, expected] of [["nonce", challenge], ["aud", domain]]) {
    if (payload[name] !== expected) throw new Refused("challenge_mismatch", `expected ${name} ${expected}; came ${shown(payload[name])}`);
  }
  const [begins, ends] = checkClaims(payload, payload.holder);
  if (begins !== null && begins > seconds(now) + 60) throw new Refused("proof_from_future", `expected a presentation for ${now}`);
  if (ends !== null && seconds(now) > ends) throw new Refused("proof_expired", `expected a presentation that is good at ${now}`);
}

/** Passes what the key that `kid` names signed by `now`. */
async function verifyJws(jws, keyFor, purpose, now) {
  const made = secondsIn(jws.payload, "iat");
  if (made !== null && made > seconds(now) + 60) throw new Refused("proof_from_future", "expected a text signed by now");
  const key = keyFor(jws.method, purpose);
  if (key.kind !== jws.kind) throw new Refused("suite_not_allowed", `expected a key of ${jws.kind}; came ${key.kind}`);
  const holds = await key.holds(jws.signature, jws.signed, false);
  if (holds === undefined) unchecked.add(`signatures of ${key.kind}: this browser does not know them`);
  if (holds === false) throw new Refused("proof_invalid", "expected a signature by this key over this text");
}
