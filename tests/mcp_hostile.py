"""An MCP server that does not keep to the protocol, as a process: what it does is named by its argument.

It writes each line that it reads to the file in its second argument, so that a test sees what got through.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def flood() -> None:
    """Answers to ids that the client is about to use, for ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for id in range(2, 12):
            say({"id": id, "result": {"content": []}})
        time.sleep(0.001)


def main(how: str, seen: str) -> None:
    sys.stderr.write("the server says hello to its operator\n")
    with open(seen, "a") as log:
        if how == "leaves-children":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            log.write(json.dumps({"pids": [os.getpid(), child.pid]}) + "\n")
        if how == "left":  # only who holds its output is still there
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdin=subprocess.DEVNULL)
            return
        if how == "hides-children":
            there, here = os.pipe()
            if not os.fork():
                os.setsid()
                if not os.fork():
                    os.write(here, str(os.getpid()).encode())
                    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
                    os.dup2(0, 1)
                    os.dup2(0, 2)
                    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"])
                os._exit(0)
            os.wait()
            log.write(json.dumps({"pids": [os.getpid(), int(os.read(there, 20))]}) + "\n")
        log.write(json.dumps({"ours": [name for name in os.environ if name.startswith("UNDERSIGNED_")]}) + "\n")
        log.flush()
        if how == "deaf":
            log.write(json.dumps({"pids": [os.getpid()]}) + "\n")
            log.flush()
            time.sleep(600)
        for line in sys.stdin:
            log.write(line)
            log.flush()
            message = json.loads(line)
            if "method" not in message or "id" not in message:
                continue
            id = message["id"]
            if how == "asks":
                say({"id": "s1", "method": "sampling/createMessage", "params": {"messages": []}})
                say({"id": id, "method": "ping"})
            if how == "ahead" and id == 1:
                threading.Thread(target=flood, daemon=True).start()
            if how == "endless":
                while True:
                    sys.stdout.write("x" * 65536)
            if how == "ends":
                return
            if how == "silent":
                continue
            if how == "others":
                say({"id": 999, "result": {"content": []}})
                say({"id": str(id), "result": {"content": []}})
                sys.stdout.write("Listening on port 80\n")
                say({"id": id, "result": {"content": [], "resultType": "input_required"}})
                continue
            say({"id": id, "result": {"content": [], "tools": [{"name": "git_status"}] * 2}})


if __name__ == "__main__":
    main(*sys.argv[1:])
