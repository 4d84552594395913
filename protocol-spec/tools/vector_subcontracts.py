"""Vectors of subcontracts: the hirer's first offer of one, with its parents, and each way in which it is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from example_parties import HIRER, INPUT, PROVIDER, SCOPE, SUITE, Party, an_id, contract, nonce, proof_on, terms
from msgspec import convert, to_builtins
from msgspec.structs import replace
from vector_journals import as_json, journal, talk_after, up_to
from vector_parts import Vector, changed, content_of, resigned, signers

from undersigned.contract import ContractDocument, Methods, Place, Subcontracting, Terms, Transcript, build_document
from undersigned.encoding import canonicalize, digest_bytes, digest_of, shift
from undersigned.messages import Offer, engagement_id
from undersigned.scope import Grant, Limit, Obligation, Prohibition, Scope, Window, compile_scope
from undersigned.transparency import contract_leaf, leaf_digest

__all__ = ["first_below", "subcontract_vectors"]

SIGNED = "2026-11-24T08:00:00Z"
ROOT = Party("root")
REPOSITORY = Grant(
    "read-repo", "repo:read", "https://git.root.example/app/*", limits=(Limit("count", "100"), Limit("EUR", "5"))
)
ABOVE = Scope(
    grants=(REPOSITORY,), prohibitions=(Prohibition("no-secrets", "repo:read", "https://git.root.example/app/keys/*"),)
)
BELOW = Scope(
    grants=(
        *SCOPE.grants,  # the input that the hirer hands over is its own
        Grant(
            "read-docs",
            "repo:read",
            "https://git.root.example/app/docs/*",
            limits=(Limit("count", "10"), Limit("EUR", "1")),
        ),
    ),
    prohibitions=ABOVE.prohibitions,
)


def subcontract_vectors() -> Iterator[Vector]:
    """All of them."""
    yield from _chains()
    yield _taken("subcontract", "a subcontract inside its parent, shown with it", _offer(), suite=SUITE)
    yield _taken("subcontract-of-an-amendment", "the parent as it was amended is what counts", _offer([_amended()]))
    begun = [_sealed(ROOT, HIRER, _terms_above(not_before="2026-11-24T12:00:00Z"))]
    yield _taken("subcontract-begins-later", "the parent has a notBefore, which its start is not before", _offer(begun))
    middle, root = _chain_of_two()
    yield _taken(
        "subcontract-two-levels", "a subcontract of a subcontract, shown up to the root", _offer([middle, root])
    )
    for name, says, inside, above, below in _clauses():
        parent = _sealed(ROOT, HIRER, _terms_above(scope=above))
        offer = _offer([parent], scope=below)
        if inside:
            yield _taken(f"subcontract-scope-{name}", says, offer)
        else:
            before = up_to("presentation-provider")
            yield journal(
                f"subcontract-scope-{name}",
                says,
                before,
                as_json(offer),
                code="scope_exceeded",
                state="ready",
            )
    for name, says, code, offer in _wrong():
        yield journal(
            f"subcontract-{name}",
            says,
            up_to("presentation-provider"),
            as_json(offer),
            code=code,
            state="ready",
        )


def _clauses() -> Iterator[tuple[str, str, bool, Scope, Scope]]:
    """(name, what it shows, whether it lies inside, scope of the parent, scope of the child), clause by clause."""
    docs = next(one for one in BELOW.grants if one.id == "read-docs")
    early, late, last = "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z"
    both, open_end = Window(not_before=early, until=late), Window(not_before=early)
    for name, says, inside, wide, narrow in (
        ("in-its-window", "in the very window of the parent's grant", True, both, both),
        ("in-an-open-window", "in part of a window that does not end", True, open_end, Window(not_before=late)),
        (
            "after-its-window",
            "a window that ends after the parent's",
            False,
            both,
            Window(not_before=early, until=last),
        ),
        ("before-its-window", "a window that begins before the parent's", False, Window(not_before=late), open_end),
        ("without-an-end", "a window without the end of the parent's", False, both, open_end),
        ("without-a-begin", "a window without the begin of the parent's", False, both, Window(until=late)),
        ("without-its-window", "no window where the parent's grant has one", False, both, None),
    ):
        yield name, says, inside, _with(replace(REPOSITORY, window=wide)), _scope(replace(docs, window=narrow))
    public = {"dataClass": ("public",)}
    for name, says, inside, conditions in (
        ("of-its-condition", "on the condition of the parent's grant", True, public),
        ("of-a-condition-more", "with a value more in a condition", False, {"dataClass": ("public", "secret")}),
        ("without-its-condition", "without the condition of the parent's grant", False, {}),
    ):
        above = _with(replace(REPOSITORY, conditions=public))
        yield name, says, inside, above, _scope(replace(docs, conditions=conditions))
    asked = _with(replace(REPOSITORY, approval=True))
    yield "with-approval", "with approval, as the parent's grant", True, asked, _scope(replace(docs, approval=True))
    yield "without-approval", "without approval, where the parent's grant asks for it", False, asked, BELOW
    (banned,) = ABOVE.prohibitions
    for name, says, inside, own in (
        (
            "prohibition-wider",
            "more forbidden than by the parent",
            True,
            replace(banned, target="https://git.root.example/app/*"),
        ),
        (
            "prohibition-narrower",
            "less forbidden than by the parent",
            False,
            replace(banned, target=f"{banned.target[:-1]}one/*"),
        ),
        (
            "prohibition-of-another-action",
            "another action forbidden than by the parent",
            False,
            replace(banned, action="repo:write"),
        ),
    ):
        yield name, says, inside, ABOVE, replace(BELOW, prohibitions=(own,))
    encoded = replace(ABOVE, prohibitions=(replace(banned, target="https://git.root.example/app/keys%3Bv=1"),))
    plain = replace(BELOW, prohibitions=(replace(banned, target="https://git.root.example/app/keys"),))
    yield "prohibition-with-parameters", "forbidden without the parameters it has above", True, encoded, plain
    duty = Obligation("destroy", "data:destroy", "https://git.root.example/app/*", until=last)
    owing = replace(ABOVE, obligations=(duty,))
    yield "with-its-obligation", "with the duty of the parent", True, owing, replace(BELOW, obligations=(duty,))
    yield "without-its-obligation", "without the duty of the parent", False, owing, BELOW
    slow = replace(BELOW, obligations=(replace(duty, until=None),))
    yield "with-a-later-obligation", "with a duty that has no end", False, owing, slow
    uri = "https://example.org/watermark"
    marked = replace(ABOVE, extensions={uri: {"strength": 2}})
    for name, says, inside, extensions in (
        ("with-its-extension", "with the extension of the parent", True, {uri: {"strength": 2}}),
        ("with-another-extension", "with another value of an extension of the parent", False, {uri: {"strength": 1}}),
        ("without-its-extension", "without an extension of the parent", False, {}),
    ):
        yield name, says, inside, marked, replace(BELOW, extensions=extensions)
    rest = replace(docs, id="read-rest", limits=(Limit("count", "90"), Limit("EUR", "4")))
    yield "with-all-of-a-limit", "two grants that take all of one together", True, ABOVE, _scope(rest)
    over = replace(rest, limits=(Limit("count", "91"), Limit("EUR", "4")))
    yield "with-more-of-a-limit", "two grants that take more of one together", False, ABOVE, _scope(over)


def _with(grant: Grant) -> Scope:
    return replace(ABOVE, grants=(grant,))


def _wrong() -> Iterator[tuple[str, str, str, Any]]:
    wide = "scope_exceeded"
    more = Grant("write-docs", "repo:write", "https://git.root.example/app/docs/*", limits=(Limit("count", "1"),))
    yield "one-action-more", "one action more than the parent allows", wide, _offer(scope=_scope(more))
    elsewhere = Grant(
        "read-docs", "repo:read", "https://git.root.example/*", limits=(Limit("count", "10"), Limit("EUR", "1"))
    )
    yield "another-target", "a target beyond the parent's", wide, _offer(scope=_scope(elsewhere))
    unlimited = Grant("read-docs", "repo:read", "https://git.root.example/app/docs/*", limits=(Limit("count", "10"),))
    yield "without-a-limit", "a limit of the parent is left out", wide, _offer(scope=_scope(unlimited))
    yield (
        "prohibition-left-out",
        "a prohibition of the parent is left out",
        wide,
        _offer(scope=replace(BELOW, prohibitions=())),
    )
    foreign = Grant(
        "read-more",
        "artifact:read",
        f"https://acme.example/artifacts/{digest_bytes(b'another')}",
        limits=(Limit("count", "1"),),
    )
    yield "another-artifact", "an artifact that is no input of its task", wide, _offer(scope=_scope(foreign))
    asked = replace(foreign, target=f"https://acme.example/artifacts?of=/{INPUT}")
    yield "input-in-a-query", "a target that ends with an input and is another one", wide, _offer(scope=_scope(asked))
    yield "dearer", "a price above the parent's", wide, _offer(price="12.01")
    yield "another-currency", "a lower price in another currency", wide, _offer(price__currency="USD")
    yield (
        "later-finish",
        "due when the parent is, which is too late",
        wide,
        _offer(deadlines__finish="2026-11-24T18:00:00Z"),
    )
    begun = [_sealed(ROOT, HIRER, _terms_above(not_before="2026-11-24T12:00:00Z"))]
    early = _offer(begun, deadlines__start="2026-11-24T11:59:59Z")
    yield "earlier-start", "to begin before the parent may, and no notBefore of its own", wide, early
    early = _offer(begun, deadlines__notBefore="2026-11-24T11:59:59Z")
    yield "earlier-not-before", "it may begin before the parent may, and is to begin after that", wide, early
    yield "later-review", "its review ends after the parent's", wide, _offer(deadlines__review="P2D")
    whole = _terms_above()
    endless = _sealed(ROOT, HIRER, replace(whole, deadlines=replace(whole.deadlines, review="PT9999999H")))
    says = "its review and the parent's end beyond the last instant, and so at one time"
    yield "endless-review", says, wide, _offer([endless], deadlines__review="PT9999999H")
    yield "later-until", "authority after the parent's end", wide, _offer(deadlines__until="2026-11-30T00:00:01Z")
    yield "less-evidence", "a statement that the parent demands is not demanded", wide, _offer(evidence__predicates=[])
    plain = _terms_above()
    for name, says, above in (
        ("no-bill", "no bill of materials, which the parent demands", replace(plain.evidence, sbom="CycloneDX 1.6")),
        ("no-manifests", "no manifests in media, which the parent demands", replace(plain.evidence, c2pa=True)),
    ):
        yield name, says, wide, _offer([_sealed(ROOT, HIRER, replace(plain, evidence=above))])
    classed = replace(plain, data_handling=replace(plain.data_handling, classes=("internal",)))
    yield "of-no-class", "data of no class, where the parent's has one", wide, _offer([_sealed(ROOT, HIRER, classed)])
    yield (
        "of-another-class",
        "data of a class that the parent has not",
        wide,
        _offer([_sealed(ROOT, HIRER, classed)], data_handling__classes=["internal", "secret"]),
    )
    yield "more-retention", "data may be kept for longer", wide, _offer(data_handling__retention="P1D")
    yield "more-training", "models may be trained on the data", wide, _offer(data_handling__training=True)
    yield "another-purpose", "data for another purpose", wide, _offer(data_handling__purpose="Anything.")
    yield "as-deep-as-its-parent", "as many levels below it as below its parent", wide, _offer(depth=2)
    kept = [_sealed(ROOT, HIRER, _terms_above(onward=False))]
    yield (
        "more-onward",
        "data may be passed on, which the parent does not allow",
        wide,
        _offer(kept, data_handling__onward=True),
    )
    onward = _sealed(ROOT, HIRER, _terms_above(inputs=(INPUT,), onward=False))
    yield "input-passed-on", "an input of the parent, which may not be passed on", wide, _offer([onward])
    never = _sealed(ROOT, HIRER, _terms_above(depth=0))
    yield "not-allowed", "the parent allows no subcontract", wide, _offer([never])
    other = _sealed(ROOT, HIRER, _terms_above(price="11"))
    yield (
        "another-parent",
        "another contract than the parent named",
        "chain_invalid",
        _offer([other], named=_offered_parent()),
    )
    yield "without-parents", "a parent that is not shown", "chain_invalid", _offer([], named=_offered_parent())
    yield "parents-of-none", "parents of a contract that names none", "chain_invalid", _offer([_parent()], named="")
    theirs = _sealed(ROOT, PROVIDER, _terms_above())
    yield "of-another-provider", "the parent of another provider", "chain_invalid", _offer([theirs])
    middle, _ = _chain_of_two()
    yield "without-its-root", "the chain ends below its root", "chain_invalid", _offer([middle])
    yield "too-deep", "six levels above it", "chain_invalid", _offer([_parent()] * 6)
    yield "another-member", "a parent with a member more", "schema_violation", _offer([{**_parent(), "note": {}}])


def _taken(name: str, says: str, offer: Any, suite: str = SUITE) -> Vector:
    before = up_to("presentation-provider", suite)
    return journal(name, says, before, as_json(offer), outcome="applies", state="offered-by-hirer")


# --- the offer


def first_below() -> Any:
    """The hirer's first offer of a subcontract, with its parent."""
    return _offer()


def _offer(parents: list[dict[str, Any]] | None = None, named: str | None = None, **changes: Any) -> Any:
    """The hirer's first offer, of a subcontract under the first of `parents`; `named` is another parent, or none."""
    talk = talk_after("presentation-provider")
    given = [_parent()] if parents is None else parents
    plain = contract(talk, "hirer", changes.pop("price", "3"))
    own = replace(
        plain.terms,
        scope=compile_scope(changes.pop("scope", BELOW), plain.id),
        deadlines=replace(plain.terms.deadlines, finish="2026-11-24T16:00:00Z", until="2026-11-29T00:00:00Z"),
        subcontracting=_depth(changes.pop("depth", 0)),
    )
    document = to_builtins(replace(plain, terms=own, proof=None))
    for path, value in changes.items():
        part, _, member = path.partition("__")
        document = changed(document, **{f"terms__{_camel(part)}__{member}": value})
    parent = (_name(given[0]["document"]) if given else "") if named is None else named
    if parent:
        document["parent"] = parent
    signed = proof_on(document, HIRER, talk.now, "assertionMethod", id=an_id(document["id"]))
    body = {
        "document": convert(signed, ContractDocument),
        "valid_until": shift(talk.now, 3600),
        "parents": tuple(given) or None,
    }
    return talk.say(Offer, "hirer", **body)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _scope(grant: Grant) -> Scope:
    others = tuple(one for one in BELOW.grants if one.id != grant.id)
    return replace(BELOW, grants=(*others, grant))


def _depth(levels: int) -> Subcontracting:
    return Subcontracting(allowed=levels > 0, depth=levels)


# --- what stands above


def _terms_above(
    *,
    price: str = "12",
    depth: int = 2,
    inputs: tuple[str, ...] = (),
    onward: bool = True,
    scope: Scope = ABOVE,
    not_before: str | None = None,
) -> Terms:
    plain = terms("urn:hire:none", price)
    return replace(
        plain,
        task=replace(plain.task, inputs=inputs),
        scope=compile_scope(scope, "urn:hire:none"),
        subcontracting=_depth(depth),
        deadlines=replace(plain.deadlines, not_before=not_before),
        data_handling=replace(plain.data_handling, onward=onward),
    )


def _parent() -> dict[str, Any]:
    return _sealed(ROOT, HIRER, _terms_above())


def _offered_parent() -> str:
    return _name(_parent()["document"])


def _chain_of_two() -> tuple[dict[str, Any], dict[str, Any]]:
    """A contract of ours under one between two others."""
    far = Party("far root")
    root = _sealed(far, ROOT, _terms_above(price="20", depth=3))
    middle = _terms_above()
    earlier = replace(middle.deadlines, finish="2026-11-24T17:00:00Z", until="2026-11-29T12:00:00Z")
    return _sealed(ROOT, HIRER, replace(middle, deadlines=earlier), parent=_name(root["document"])), root


def _amended() -> dict[str, Any]:
    """The same parent, at first too narrow; what is shown is its amendment."""
    first = _sealed(ROOT, HIRER, _terms_above(price="1"))["document"]
    changes = {"type": "Amendment", "contract": _name(first), "amends": _name(first)}
    return _sealed(ROOT, HIRER, _terms_above(), sequence=9, **changes)


def _sealed(
    hirer: Party, provider: Party, agreed: Terms, *, parent: str | None = None, sequence: int = 3, **changes: Any
) -> dict[str, Any]:
    """A contract offered and sealed by its hirer, as `parents` carries it."""
    engagement = engagement_id(hirer.did, provider.did, nonce(f"{hirer.role} hires {provider.role}"))
    place = Place(sequence=sequence - 1, digest=digest_bytes(b"a move before"))
    document = build_document(
        engagement=engagement,
        role="hirer",
        sequence=sequence,
        hirer=hirer.did,
        provider=provider.did,
        methods=Methods(hirer=(hirer.method,), provider=(provider.method,)),
        transcript=Transcript(hirer=place, provider=place),
        terms=agreed,
        parent=parent,
    )
    bare = {**to_builtins(document), **changes}
    name = an_id(bare["id"] + json.dumps(bare["terms"]["price"]))
    offered = proof_on(bare, hirer, SIGNED, "assertionMethod", id=name)
    second = proof_on(offered, provider, SIGNED, "assertionMethod", previous_proof=name)["proof"][1]
    document_digest, offer = digest_of(bare), digest_bytes(b"the offer")
    whole = {**bare, "proof": [offered["proof"], second]}

    def said(kind: str, by: Party, to: Party, role: str, purpose: str, **members: Any) -> dict[str, Any]:
        message = {
            "@context": "https://w3id.org/hire/v1",
            "id": an_id(kind + document_digest),
            "type": kind,
            "version": "1.0",
            "engagement": engagement,
            "sender": by.did,
            "recipient": to.did,
            "role": role,
            **members,
        }
        return proof_on(message, by, SIGNED, purpose, expires=shift(SIGNED, 3600))

    about = {"offer": offer, "document": document_digest}
    place_before = {"sequence": sequence, "previous": digest_bytes(b"a move before"), "seen": offer}
    acceptance = said(
        "Acceptance", provider, hirer, "provider", "authentication", **place_before, **about, contractProof=second
    )
    accepted = digest_of({key: value for key, value in acceptance.items() if key != "proof"})
    seal = said(
        *("Seal", hirer, provider, "hirer", "assertionMethod"),
        sequence=sequence + 1,
        previous=offer,
        seen=accepted,
        **about,
        acceptance=accepted,
        ledger={"log": hirer.did, "index": 0, "leaf": leaf_digest(contract_leaf(whole))},
    )
    return {"document": whole, "acceptance": acceptance, "seal": seal}


def _name(document: dict[str, Any]) -> str:
    return str(document.get("contract") or digest_of({key: value for key, value in document.items() if key != "proof"}))


# --- chains, verified whole


def _chains() -> Iterator[Vector]:
    """What an offer carries, as whoever is hired verifies it: proofs, acceptances and seals included."""

    def chain(name: str, says: str, above: list[dict[str, Any]], own: Any = None, **expected: Any) -> Vector:
        child = as_json(own or _offer([_parent()]))["document"]
        given = {"document": child, "parents": above}
        case = {"kind": "chain", "keys": signers(HIRER, ROOT)}
        return Vector(f"contracts/chain-{name}", says, canonicalize(given), case, expected)

    good = _parent()
    yield chain(
        "holds",
        "a subcontract with its parent, signed by both of its parties and sealed",
        [good],
        parents=[_name(good["document"])],
    )
    unsealed = {**good, "seal": {name: value for name, value in good["seal"].items() if name != "proof"}}
    yield chain("unsealed", "a parent whose seal nobody signed", [unsealed], code="proof_missing")
    dearer = _offer(price="12.01")
    says = "a price above that of a parent whose seal nobody signed"
    yield chain("dearer-and-unsealed", says, [unsealed], dearer, code="scope_exceeded")
    middle, root = _chain_of_two()
    dearer = _offer([middle, root], price="12.01")
    says = "a price above its parent's, and a member more beside what stands above that"
    yield chain("dearer-with-a-member-more", says, [middle, {**root, "note": {}}], dearer, code="schema_violation")
    noted = resigned({**good["acceptance"], "note": "More."}, HIRER)
    now = digest_of(content_of(noted))
    follows = {**good, "acceptance": noted, "seal": resigned(changed(good["seal"], acceptance=now, seen=now), ROOT)}
    says = "a parent whose Acceptance has a member that its schema lacks"
    yield chain("acceptance-with-a-member-more", says, [follows], code="unknown_term")
    follows = {**good, "seal": resigned({**good["seal"], "note": "More."}, ROOT)}
    says = "a parent whose Seal has a member that its schema lacks"
    yield chain("seal-with-a-member-more", says, [follows], code="unknown_term")
    for name, move, members in (
        ("acceptance-of-another-proof", "acceptance", {"contractProof__created": "2026-11-24T07:00:00Z"}),
        ("seal-of-another-offer", "seal", {"offer": digest_of({})}),
    ):
        says = f"a parent with the {name.replace('-', ' ')}, which is not signed anew"
        yield chain(name, says, [{**good, move: changed(good[move], **members)}], code="terms_mismatch")
    early = {"created": "2026-11-24T08:00:00Z", "expires": "2026-11-24T07:59:59Z"}
    for name, move, signer in (("acceptance", "acceptance", HIRER), ("seal", "seal", ROOT)):
        ends = {**good, move: resigned(good[move], signer, **early)}
        says = f"a parent whose {name} ends before it begins"
        yield chain(f"{name}-ends-before-it-begins", says, [ends], code="proof_invalid")
    signed = good["document"]
    one = {**good, "document": {**signed, "proof": signed["proof"][0]}}
    yield chain("one-proof", "a parent that only its hirer signed", [one], code="proof_invalid")
    unproved = {**good, "document": content_of(signed)}
    yield chain("no-proof", "a parent that nobody signed", [unproved], code="proof_missing")
    for place, whose in enumerate(("first", "second")):
        proofs = [{**proof} for proof in signed["proof"]]
        del proofs[place]["verificationMethod"]
        bare = {**good, "document": {**signed, "proof": proofs}}
        says = f"a parent whose {whose} proof names no method"
        yield chain(f"{whose}-proof-without-a-method", says, [bare], code="schema_violation")
    wider = changed(good, document__terms__price__amount="99")
    yield chain("changed", "a parent whose terms were changed under its proofs", [wider], code="chain_invalid")
