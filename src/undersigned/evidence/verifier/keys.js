// Public keys, DIDs and DID documents: 02-identity-and-keys. Keys are checked here before WebCrypto sees them, which
// takes an Ed25519 key of small order, under which one signature fits every message.

// --- Ed25519

const P25519 = 2n ** 255n - 19n;
const L25519 = 2n ** 252n + 27742317777372353535851937790883648493n;
const ORDER_8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
const SMALL_ORDER = new Set([0n, 1n, P25519 - 1n, ORDER_8, P25519 - ORDER_8]);

const modulo = (number, p) => ((number % p) + p) % p;

function power(base, exponent, p) {
  let result = 1n;
  for (let square = modulo(base, p); exponent > 0n; exponent >>= 1n, square = (square * square) % p) {
    if (exponent & 1n) result = (result * square) % p;
  }
  return result;
}

const inverse = (number, p) => power(number, p - 2n, p);
const D25519 = modulo(-121665n * inverse(121666n, P25519), P25519);

/** x of a point, with either sign; undefined if this y is of none. Source: RFC 8032, section 5.1.3. */
function xOf(y) {
  const square = modulo((y * y - 1n) * inverse(D25519 * y * y + 1n, P25519), P25519);
  const root = power(square, (P25519 + 3n) / 8n, P25519);
  for (const x of [root, (root * power(2n, (P25519 - 1n) / 4n, P25519)) % P25519]) if ((x * x) % P25519 === square) return x;
  return undefined;
}

/** The sum of two points in extended coordinates. Source: RFC 8032, section 5.1.4. */
function sumOf([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = ((y1 - x1) * (y2 - x2)) % P25519;
  const b = ((y1 + x1) * (y2 + x2)) % P25519;
  const c = (2n * t1 * t2 * D25519) % P25519;
  const d = (2n * z1 * z2) % P25519;
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [(e * f) % P25519, (g * h) % P25519, (f * g) % P25519, (e * h) % P25519];
}

function isOfPrimeOrder(x, y) {
  let sum = [0n, 1n, 1n, 0n];
  let double = [x, y, 1n, (x * y) % P25519];
  for (let left = L25519; left > 0n; left >>= 1n, double = sumOf(double, double)) if (left & 1n) sum = sumOf(sum, double);
  return modulo(sum[0], P25519) === 0n && modulo(sum[1] - sum[2], P25519) === 0n;
}

/** Passes only 32 bytes that encode, in the one canonical way, a point of the prime-order group. */
function checkEd25519(raw) {
  if (raw.length !== 32) throw documentWrong(`expected 32 bytes of an Ed25519 key; came ${raw.length}`);
  const y = littleEndian(raw) & (2n ** 255n - 1n);
  if (y >= P25519 || SMALL_ORDER.has(y)) throw new Refused("key_weak", "expected a canonical Ed25519 key of full order; came a weak one");
  const x = xOf(y);
  if (x === undefined) throw documentWrong("expected an Ed25519 key; came bytes that are no point");
  if (!isOfPrimeOrder(x, y)) throw new Refused("key_weak", "expected an Ed25519 key of prime order; came one of mixed order");
}

// --- P-256 and P-384

const CURVES = {
  "P-256": {
    size: 32,
    hash: "SHA-256",
    p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  "P-384": {
    size: 48,
    hash: "SHA-384",
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    order: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
};

/** Both coordinates of a compressed point, 04 in front, as WebCrypto takes them. */
function uncompressed(kind, raw) {
  const { size, p, b } = CURVES[kind];
  if (raw.length !== size + 1 || (raw[0] !== 2 && raw[0] !== 3)) throw documentWrong(`expected a compressed ${kind} key`);
  const x = bigEndian(raw.subarray(1));
  const square = modulo(x * x * x - 3n * x + b, p);
  const root = power(square, (p + 1n) / 4n, p); // both primes are 3 modulo 4
  if (x >= p || (root * root) % p !== square) throw documentWrong(`expected a ${kind} key; came bytes that are no point`);
  const y = Number(root & 1n) === raw[0] - 2 ? root : p - root;
  return concat([4], toBytes(x, size), toBytes(y, size));
}

// --- keys

const SIGNATURE_BYTES = { Ed25519: 64, "P-256": 64, "P-384": 96 };
const keys = new Map();

class Key {
  constructor(kind, raw) {
    this.kind = kind;
    this.raw = raw;
    this.name = `${kind} ${hex(raw)}`;
    if (kind === "Ed25519") checkEd25519(raw);
    else this.point = uncompressed(kind, raw);
  }

  get multikey() {
    return `z${base58(concat({ Ed25519: [0xed, 0x01], "P-256": [0x80, 0x24], "P-384": [0x81, 0x24] }[this.kind], this.raw))}`;
  }

  async imported() {
    const algorithm = this.kind === "Ed25519" ? { name: "Ed25519" } : { name: "ECDSA", namedCurve: this.kind };
    try {
      this.crypto ??= await crypto.subtle.importKey("raw", this.point ?? this.raw, algorithm, false, ["verify"]);
    } catch (error) {
      if (error.name !== "NotSupportedError") throw error;
    }
    return this.crypto;
  }

  /** Whether `signature` is by this key over `data`; undefined if this browser cannot tell. */
  async holds(signature, data, lowS = true) {
    if (signature.length !== SIGNATURE_BYTES[this.kind]) return false;
    const half = signature.length / 2;
    if (this.kind === "Ed25519") {
      // S below the order, and an R that is canonical and not of small order: each has one spelling.
      const y = littleEndian(signature.subarray(0, 32)) & (2n ** 255n - 1n);
      if (littleEndian(signature.subarray(half)) >= L25519 || y >= P25519 || SMALL_ORDER.has(y)) return false;
    } else if (lowS && bigEndian(signature.subarray(half)) > CURVES[this.kind].order / 2n) return false;
    const key = await this.imported();
    if (!key) return undefined;
    const algorithm = this.kind === "Ed25519" ? { name: "Ed25519" } : { name: "ECDSA", hash: CURVES[this.kind].hash };
    return crypto.subtle.verify(algorithm, key, signature, data);
  }
}

function keyOf(kind, raw) {
  const name = `${kind} ${hex(raw)}`;
  if (!keys.has(name)) keys.set(name, new Key(kind, raw));
  return keys.get(name);
}

const documentWrong = (text) => new Refused("did_document_invalid", text);

/** Runs `read`, and calls what it refuses a document that is not well-formed. */
function asDocument(read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refused && error.code !== "key_weak") throw documentWrong(error.message);
    throw error;
  }
}

function fromMultikey(text) {
  return asDocument(() => {
    if (text.length > 512) throw documentWrong("expected a Multikey of at most 512 characters");
    const data = multibase(text, "z");
    for (const [kind, first, second] of [["Ed25519", 0xed, 0x01], ["P-256", 0x80, 0x24], ["P-384", 0x81, 0x24]]) {
      if (data[0] === first && data[1] === second) return keyOf(kind, data.slice(2));
    }
    throw documentWrong("expected an Ed25519, P-256 or P-384 key");
  });
}

function fromJwk(jwk) {
  return asDocument(() => {
    const secret = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
    const isText = typeof jwk.kty === "string" && typeof jwk.crv === "string"; // a list of one text would be written as that text
    const kind = { "OKP Ed25519": "Ed25519", "EC P-256": "P-256", "EC P-384": "P-384" }[`${jwk.kty} ${jwk.crv}`];
    if (!isText || !kind || secret.some((name) => has(jwk, name))) throw documentWrong("expected a public JWK of a kind that is used");
    const algorithms = { Ed25519: ["Ed25519", "EdDSA"], "P-256": ["ES256"], "P-384": ["ES384"] }[kind];
    const mayVerify = !has(jwk, "key_ops") || (Array.isArray(jwk.key_ops) && jwk.key_ops.includes("verify"));
    if ((has(jwk, "use") ? jwk.use : "sig") !== "sig" || !algorithms.includes(has(jwk, "alg") ? jwk.alg : algorithms[0]) || !mayVerify) {
      throw documentWrong("expected a JWK for signatures");
    }
    const coordinate = (name) => {
      if (typeof jwk[name] !== "string" || jwk[name].length > 128) throw documentWrong("expected base64url of a coordinate");
      return fromBase64url(jwk[name]);
    };
    const x = coordinate("x");
    if (kind === "Ed25519") return keyOf(kind, x);
    const y = coordinate("y");
    if (x.length !== CURVES[kind].size || y.length !== CURVES[kind].size) throw documentWrong("expected coordinates of full length");
    const key = keyOf(kind, concat([2 + (y.at(-1) & 1)], x));
    if (!same(key.point, concat([4], x, y))) throw documentWrong("expected coordinates on the curve");
    return key;
  });
}

// --- DIDs

const DID_CONTEXT = "https://www.w3.org/ns/did/v1";
const RELATIONSHIPS = ["authentication", "assertionMethod", "keyAgreement", "capabilityInvocation", "capabilityDelegation"];

function parseDidUrl(text) {
  if (typeof text !== "string" || text.length > 2048 || !matches(DATA.didUrl, text)) {
    throw documentWrong(`expected a DID URL; came ${shown(text)}`);
  }
  const [, did, method, specific] = /^(did:([a-z0-9]+):([^/?#]+))/.exec(text);
  return { did, method, specific, fragment: text.includes("#") };
}

function parseDid(text) {
  const parsed = parseDidUrl(text);
  if (parsed.did !== text) throw documentWrong(`expected a DID without more; came ${shown(text)}`);
  return parsed;
}

/** Passes the one spelling of `host[%3Aport][:segment]...`, where the host is a public name, or localhost with a port. */
function checkWeb(location) {
  const [authority, ...path] = location.split(":");
  const [host, port = ""] = authority.split(/%3A(.*)/s);
  const labels = host.split(".");
  const last = (labels.at(-1) || labels.at(-2) || "").toLowerCase();
  const forbidden = () => new Refused("did_forbidden_address", `expected a public host name; came ${shown(host)}`);
  if (/%5b/i.test(host) || /^[0-9]+$/.test(last) || last.startsWith("0x") || (last === "localhost" && host !== "localhost")) throw forbidden();
  if (host.length > 253 || !labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label))) {
    throw documentWrong(`expected a lower-case host name; came ${shown(host)}`);
  }
  if (labels.length === 1 && host !== "localhost") throw forbidden();
  const isPort = /^[1-9][0-9]{0,4}$/.test(port) && Number(port) <= 65535;
  if (authority.includes("%3A") && !isPort) throw documentWrong("expected a port from 1 to 65535");
  const isPlain = (segment) => /^[A-Za-z0-9._-]{1,255}$/.test(segment) && /[^.]/.test(segment);
  if (!path.every(isPlain)) throw documentWrong("expected plain path segments");
  if (host === "localhost" && !port) throw forbidden();
}

/** The document that follows from a DID; undefined of a DID whose document is published. */
async function derivedDocument(did) {
  const { method, specific } = parseDid(did);
  if (method === "key") {
    const key = fromMultikey(specific);
    if (key.multikey !== specific) throw documentWrong("expected the one spelling of the key");
    return documentOf(did, specific, { type: "Multikey", publicKeyMultibase: specific }, "https://w3id.org/security/multikey/v1");
  }
  if (method === "jwk") {
    const jwk = asDocument(() => decodeJson(fromBase64url(specific), FOREIGN_LIMITS));
    if (!isObject(jwk)) throw documentWrong("expected a JWK");
    fromJwk(jwk);
    return documentOf(did, "0", { type: "JsonWebKey", publicKeyJwk: jwk }, "https://w3id.org/security/jwk/v1");
  }
  if (method === "web") checkWeb(specific);
  if (method === "webvh") {
    const [scid, ...location] = specific.split(":");
    if (!/^Qm[1-9A-HJ-NP-Za-km-z]{44}$/.test(scid)) throw documentWrong("expected did:webvh:<SCID>:<host>");
    checkWeb(location.join(":"));
  }
  return undefined;
}

function documentOf(did, fragment, method, context) {
  const name = `${did}#${fragment}`;
  const signing = RELATIONSHIPS.filter((relationship) => relationship !== "keyAgreement");
  const document = {
    "@context": [DID_CONTEXT, context],
    id: did,
    verificationMethod: [{ id: name, controller: did, ...method }],
    ...Object.fromEntries(signing.map((relationship) => [relationship, [name]])),
  };
  return new DidDocument(did, canonical(document));
}

const PRIVATE = ["secretKeyMultibase", "secretKeyJwk", "privateKeyMultibase", "privateKeyJwk", "privateKeyBase58"];
const ENCODINGS = ["publicKeyMultibase", "publicKeyJwk", "publicKeyBase58", "publicKeyPem", "publicKeyHex"];

class DidDocument {
  constructor(did, raw) {
    parseDid(did);
    const document = asDocument(() => decodeJson(raw, FOREIGN_LIMITS));
    if (!isObject(document)) throw documentWrong("expected a DID document");
    if (document.id !== did) throw documentWrong(`expected the document of ${did}`);
    this.id = did;
    this.raw = raw;
    this.json = document;
    this.methods = new Map();
    this.allowed = new Map();
    const list = (name) => {
      const entries = has(document, name) ? document[name] : [];
      if (!Array.isArray(entries)) throw documentWrong(`expected a list in ${name}`);
      return entries;
    };
    const objects = (name) => {
      if (!list(name).every(isObject)) throw documentWrong(`expected objects in ${name}`);
      return list(name);
    };
    for (const entry of objects("verificationMethod")) this.add(entry);
    for (const relationship of RELATIONSHIPS) {
      const names = list(relationship).map((entry) => {
        if (typeof entry === "string") return this.absolute(entry);
        if (isObject(entry)) return this.add(entry);
        throw documentWrong(`expected methods or their names in ${relationship}`);
      });
      this.allowed.set(relationship, [...new Set(names)]);
    }
    objects("service");
  }

  add(entry) {
    if (![entry.id, entry.type, entry.controller].every((one) => typeof one === "string")) {
      throw documentWrong("expected text for id, type and controller of a method");
    }
    const url = this.absolute(entry.id);
    if (this.methods.has(url)) throw documentWrong(`expected one method of each name; came ${shown(url)} twice`);
    this.methods.set(url, entry);
    return url;
  }

  absolute(name) {
    const url = name.startsWith("#") ? this.id + name : name;
    if (!parseDidUrl(url).fragment) throw documentWrong("expected a name with a fragment");
    return url;
  }

  /** The method of this DID's own that a relationship lists, whether it is good any more or not. */
  listed(url, relationship) {
    const no = (text) => new Refused("key_not_authorized", text);
    if (!this.allowed.get(relationship).includes(url)) throw no(`${shown(url)} is not listed under ${relationship}`);
    if (url.split("#")[0] !== this.id) throw no(`expected a key of ${this.id}; came ${shown(url)}`);
    const method = this.methods.get(url);
    if (!method) throw no(`${shown(url)} is listed, but not in the document`);
    if (method.controller !== this.id) throw no(`${shown(url)} has another controller than ${this.id}`);
    return method;
  }

  keyFor(url, relationship, now) {
    const no = (text) => new Refused("key_not_authorized", text);
    const method = this.listed(url, relationship);
    if (has(method, "revoked")) throw no("the method is revoked");
    if (has(method, "expires")) {
      if (!isInstant(method.expires)) throw documentWrong("expected an instant in expires");
      if (now > method.expires) throw no(`the method expires ${method.expires}, and then was ${now}`);
    }
    return readKey(method);
  }

  /** Method -> key, of those that may do what `relationship` says at `now`. */
  keys(relationship, now) {
    return this.readable(relationship, (name) => this.keyFor(name, relationship, now));
  }

  /** The same of all that it lists, also of those that are not good any more. */
  listedKeys(relationship) {
    return this.readable(relationship, (name) => readKey(this.listed(name, relationship)));
  }

  readable(relationship, read) {
    const found = new Map();
    for (const name of this.allowed.get(relationship)) {
      try {
        found.set(name, read(name));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      }
    }
    return found;
  }
}

function readKey(method) {
  const given = ENCODINGS.filter((name) => has(method, name));
  if (PRIVATE.some((name) => has(method, name)) || given.length !== 1) throw documentWrong("expected one encoding of a public key");
  const value = method[given[0]];
  const [text, jwk] = [typeof value === "string" && given[0] === "publicKeyMultibase", isObject(value) && given[0] === "publicKeyJwk"];
  if (["Multikey", "Ed25519VerificationKey2020"].includes(method.type) && text) {
    const key = fromMultikey(value);
    if (method.type !== "Multikey" && key.kind !== "Ed25519") throw documentWrong("expected an Ed25519 key");
    return key;
  }
  if (["JsonWebKey", "JsonWebKey2020"].includes(method.type) && jwk) return fromJwk(value);
  throw documentWrong("expected Multikey, JsonWebKey or Ed25519VerificationKey2020");
}
