"""interop/vc-api: the commands of its README in processes of their own, and its configuration as a suite loads it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from integration.commands import UNDERSIGNED, environment, running, undersigned
from integration.hires import free_ports
from support import ROOT, program
from undersigned.errors import ConfigurationError
from undersigned.jsonld import CONTEXTS
from undersigned.runtime import ControlPart, Home, control_at, create_home

README = (ROOT / "interop" / "vc-api" / "README.md").read_text()
PORT, CONTROL = "8105", "9000"

# What the suites do: the harness's own client sends the headers of an entry; two of the suites call http.request and
# fetch themselves, without any.
AS_A_SUITE = """
import http from 'node:http';
import {createRequire} from 'node:module';
const {implementations: [{issuers, verifiers, vpVerifiers}]} = createRequire(import.meta.url)('./localConfig.cjs');
const [by, elsewhere] = process.argv.slice(2);

const send = {
  harness: async ({endpoint, headers}, body) => {
    const {'Content-Type': type, ...rest} = {'Content-Type': 'application/json', ...headers};
    const answer = await fetch(new Request(endpoint, {
      method: 'POST', headers: {'Content-Type': type, ...rest}, body: JSON.stringify(body)}));
    return {status: answer.status, body: await answer.json()};
  },
  fetch: async ({endpoint}, body) => {
    const answer = await fetch(endpoint, {
      method: 'POST', headers: {'Content-type': 'application/json'}, body: JSON.stringify(body)});
    return {status: answer.status, body: await answer.json()};
  },
  http: ({endpoint}, body) => new Promise((resolve, reject) => {
    const text = Buffer.from(JSON.stringify(body));
    const asked = http.request(endpoint, {method: 'POST', headers: {
      'Content-Type': 'application/json', 'Content-Length': text.length, Accept: 'application/json'}}, answer => {
      const parts = [];
      answer.on('data', part => parts.push(part));
      answer.on('end', () => resolve({status: answer.statusCode, body: JSON.parse(Buffer.concat(parts))}));
    });
    asked.on('error', reject);
    asked.end(text);
  })
}[by];

const told = [];
for(const {id, options, tags, ...endpoint} of issuers) {
  const credential = {
    '@context': ['https://www.w3.org/ns/credentials/v2'],
    type: ['VerifiableCredential'],
    issuer: id,
    credentialSubject: {id: 'did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b', name: 'ExampleClaim'}
  };
  const {status, body} = await send(endpoint, {credential, options});
  const issued = body.verifiableCredential;
  const options2 = {checks: ['proof']};
  const good = await send(verifiers[0], {verifiableCredential: issued, options: options2});
  issued.credentialSubject.name = 'Changed';
  const bad = await send(verifiers[0], {verifiableCredential: issued, options: options2});
  told.push({tags, issued: status, suite: issued.proof.cryptosuite, good: good.status, bad: bad.status});
}
const none = await send(vpVerifiers[0], {verifiablePresentation: {}, options: {checks: []}});
if(elsewhere && by !== 'harness') {
  await send({endpoint: elsewhere}, {});
}
console.log(JSON.stringify({told, none: none.status}));
"""


def commands(language: str) -> list[str]:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


class Suite:
    """A daemon as the README starts it, and where it is."""

    def __init__(self, folder: Path, control: str, port: str) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{control}"
        self.port = port
        self.control = control


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    folder = tmp_path_factory.mktemp("interop")
    port, control = map(str, free_ports(2))
    init, serve = (line.replace(PORT, port).replace(CONTROL, control) for line in commands("console"))
    assert undersigned(*shlex.split(init)[1:], "--key", "P-256", folder=folder).code == 0
    with running([*UNDERSIGNED, *shlex.split(serve)[1:]], folder, "stop it with") as process:
        where = process.until("control at")
        assert f"http://127.0.0.1:{control};" in where
        assert "suite/control.token" in where
        yield Suite(folder, control, port)
        ended = process.end(signal.SIGTERM)
        assert (folder / "suite" / "control.token").read_text().strip() not in ended.out + ended.err
    assert ended.code == 0


def node(daemon: Suite, *arguments: str) -> dict[str, Any]:
    (copy, *_) = commands("sh")[0].split(" && ")
    subprocess.run(["sh", "-c", copy], cwd=daemon.folder, env=environment(UNDERSIGNED=str(ROOT)), check=True)
    (daemon.folder / "suite.mjs").write_text(AS_A_SUITE)
    env = environment(UNDERSIGNED_HOME=str(daemon.folder / "suite"), BASE_URL=daemon.url)
    ran = subprocess.run(
        [program("node"), "suite.mjs", *arguments],
        cwd=daemon.folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("by", ["harness", "fetch", "http"])
def test_the_configuration_reaches_every_entry(daemon: Suite, by: str) -> None:
    """Each issuer signs with the suite that it is tagged with; what was changed is 400, as the suites expect."""
    heard = node(daemon, by)
    suites = [one["suite"] for one in heard["told"]]
    assert suites == ["eddsa-rdfc-2022", "eddsa-jcs-2022", "ecdsa-rdfc-2019", "ecdsa-jcs-2019"]
    for one in heard["told"]:
        assert one["suite"] in one["tags"]
        assert (one["issued"], one["good"], one["bad"]) == (201, 200, 400)
    assert heard["none"] == 400


@pytest.mark.parametrize("by", ["fetch", "http"])
def test_the_token_goes_nowhere_else(daemon: Suite, by: str) -> None:
    seen: list[dict[str, str]] = []

    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            node(daemon, by, f"http://127.0.0.1:{server.server_port}/credentials/issue")
        finally:
            server.shutdown()
            thread.join()
    assert len(seen) == 1
    assert "authorization" not in seen[0]


def test_by_hand(daemon: Suite) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    (line,) = (line for line in commands("sh") if line.startswith("curl"))
    line = line.replace(PORT, daemon.port).replace(CONTROL, daemon.control)

    def run(text: str) -> dict[str, Any]:
        ran = subprocess.run(["sh", "-c", text], cwd=daemon.folder, capture_output=True, check=True, timeout=60)
        return json.loads(ran.stdout)

    assert run(line)["verifiableCredential"]["proof"]["cryptosuite"] == "eddsa-rdfc-2022"
    assert run(line.replace("control.token", "undersigned.toml | head -c 9"))["code"] == "unauthorized"


def test_the_readme_names_a_context_as_the_configuration_takes_it(tmp_path: Path) -> None:
    text = re.findall(r"^```toml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[0]
    folder = create_home(tmp_path / "named", name="Acme", local=True).path
    with (folder / "undersigned.toml").open("a") as file:
        file.write(f"\n{text}")
    home = Home(folder)
    assert home.configuration.control is not None
    with pytest.raises(ConfigurationError, match=r"examples-v2\.jsonld"):
        home.contexts(home.configuration.control)
    (folder / "examples-v2.jsonld").write_text(
        '{"@context": {"@vocab": "https://www.w3.org/ns/credentials/examples#"}}'
    )
    found = home.contexts(home.configuration.control)
    assert set(found) - set(CONTEXTS) == {"https://www.w3.org/ns/credentials/examples/v2"}


@pytest.mark.parametrize("where", ["9000", "0.0.0.0:9000", "127.0.0.1:x", "example.com:9000", "127.0.0.1:70000", ":9"])
def test_where_control_does_not_listen(where: str) -> None:
    """HIRE-CTL-01."""
    with pytest.raises(ConfigurationError) as caught:
        control_at(where, None, "--control")
    assert caught.value.code == "bad_configuration"


def test_what_the_command_line_says_of_control_leaves_the_rest_as_configured() -> None:
    configured = ControlPart(port=1, names=("control.acme.example",))
    for where, host in (("127.0.0.1:9", "127.0.0.1"), ("localhost:9", "127.0.0.1"), ("[::1]:9", "::1")):
        assert control_at(where, None, "--control") == ControlPart(host=host, port=9)
        assert control_at(where, configured, "--control") == ControlPart(host=host, port=9, names=configured.names)
    assert control_at("0.0.0.0:9", configured, "--control").host == "0.0.0.0"
