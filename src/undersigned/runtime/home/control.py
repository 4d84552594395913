"""What a state folder says about its control listener: where it binds, its token, and contexts for documents of others.

Source: protocol-spec/control.md
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec

from undersigned.encoding import FOREIGN_LIMITS, decode_json
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.jsonld import CONTEXTS, Contexts
from undersigned.runtime.files import open_private, read_file, whole_file, why

__all__ = [
    "CONTROL_TOKEN",
    "GATE_TOKEN",
    "ControlPart",
    "control_at",
    "control_token",
    "host_port",
    "named_contexts",
    "split_port",
]

CONTROL_TOKEN: Final = "control.token"  # noqa: S105  (the name of its file)
GATE_TOKEN: Final = "gate.token"  # noqa: S105

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{32,256}")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?")
_HOST_PORT: Final = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]]+)):([0-9]{1,5})")
_CONTEXT: Final = re.compile(r"https://[!-~]{1,500}")


class ControlPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the control listener binds, and by which names it is called."""

    host: str = "127.0.0.1"
    """An IP address. One that is not loopback is refused unless `names` says how it is called there."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    names: tuple[str, ...] = ()
    """Values of `Host`, beside the loopback ones, that are answered: `control.acme.example`, with a port if it has one.
    """
    contexts: Mapping[str, str] = {}
    """JSON-LD contexts of others that credentials on the control listener may use: IRI, and file relative to the state
    folder. A peer's credentials never use them.
    """

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it.

        Raises:
            ValueError: The host is no IP address.
        """
        try:
            return ip_address(self.host).is_loopback
        except ValueError as exc:
            raise ValueError(f"expected an IP address: {exc}") from exc

    @property
    def url(self) -> str:
        """Where it is reached on this machine, if the port is fixed."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def checked(self, table: str = "control") -> None:
        """Returns if this can be listened on; `table` is where it stands.

        Raises:
            ConfigurationError: `bad_configuration`: not an address, beyond loopback without `names`, a name that no
                `Host` is spelled like, or a context that is bundled.
        """
        try:
            if not self.loopback and not self.names:
                raise ValueError(f"listens on loopback unless it has names; {self.host} is not loopback")
            for name in self.names:
                if not _NAME.fullmatch(name):
                    raise ValueError(f"names: {name!a:.200} is not a lower-case name with, perhaps, a port")
            for iri in self.contexts:
                if iri in CONTEXTS or not _CONTEXT.fullmatch(iri):
                    raise ValueError(f"contexts: {iri!a:.200} is bundled, or no https URL")
        except ValueError as exc:
            raise ConfigurationError("bad_configuration", f"{table}: {exc}") from exc


def split_port(option: str, text: str) -> tuple[str, int]:
    """The host and port in `HOST:PORT`, as they are written but for brackets.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    found = _HOST_PORT.fullmatch(text)
    host, port = (found[1] or found[2], found[3]) if found is not None else ("", "0")
    if not host or int(port) > 65_535:
        raise ConfigurationError(
            "bad_configuration", f"{option}: expected HOST:PORT such as 127.0.0.1:9000, got {text[:80]!r}"
        )
    return host, int(port)


def host_port(option: str, text: str) -> tuple[str, int]:
    """The IP address and port in `HOST:PORT`; `localhost` is 127.0.0.1.

    Raises:
        ConfigurationError: As `split_port`.
    """
    host, port = split_port(option, text)
    return {"localhost": "127.0.0.1"}.get(host, host), port


def control_at(text: str, configured: ControlPart | None, option: str) -> ControlPart:
    """What `HOST:PORT` in an option or attribute asks for; the rest stays as it is configured.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    host, port = host_port(option, text)
    part = msgspec.structs.replace(configured or ControlPart(), host=host, port=port)
    try:
        part.checked()
    except ConfigurationError as exc:
        raise ConfigurationError(exc.code, f"{option}: {exc.message.removeprefix('control: ')}") from exc
    return part


def control_token(path: Path, *, make: bool = False) -> str:
    """The token in this file. Whose peer takes it has it made where there is none (`make`); whoever shows it reads it:
    a path that was mistyped has none, and one that was made there would open nothing.

    Raises:
        ConfigurationError: `bad_configuration`, there is no such file, somebody else may read it, or it holds no token;
            `key_unavailable`, it was not read or written.
    """
    try:
        if not path.exists():
            if not make:
                text = f"there is no token file {path}: a peer makes its own, in its state folder, when it needs it"
                raise ConfigurationError("bad_configuration", text)
            # Who comes second at the same moment takes the first one's.
            with suppress(FileExistsError), whole_file(path, private=True, new=True) as made:
                made.write(f"{secrets.token_urlsafe(32)}\n".encode())
        with open_private(path) as file:
            text = file.read(1024).decode("ascii", "replace").strip()
    except OSError as exc:
        raise ConfigurationError("key_unavailable", f"the token {path}: {why(exc)}") from exc
    if not _TOKEN.fullmatch(text):
        raise ConfigurationError("bad_configuration", f"{path} holds no token: remove it, and another one is made")
    return text


def named_contexts(folder: Path, part: ControlPart) -> Contexts:
    """The bundled contexts, and the documents that `part` names.

    Raises:
        ConfigurationError: `bad_configuration`, a file is no context.
    """
    if not part.contexts:
        return CONTEXTS
    found: dict[str, Mapping[str, Any]] = dict(CONTEXTS)
    for iri, name in part.contexts.items():
        try:
            value = decode_json(read_file(folder / name), FOREIGN_LIMITS)
        except (OSError, UndersignedError) as exc:
            raise ConfigurationError("bad_configuration", f"context {iri} in {folder / name}: {why(exc)}") from exc
        if not isinstance(value, dict) or "@context" not in value:
            raise ConfigurationError("bad_configuration", f"{folder / name} is no object with @context")
        found[iri] = MappingProxyType(value)
    return MappingProxyType(found)
