"""The build backend of `greeting`, inside its own source (PEP 517), so that nothing is fetched to build it."""

import base64
import hashlib
import zipfile
from pathlib import Path

INFO = "greeting-1.0.dist-info"
METADATA = "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\nSummary: Says hello\nLicense: Apache-2.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: backend (1.0)\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    files = {
        "greeting.py": Path("greeting.py").read_bytes(),
        f"{INFO}/METADATA": METADATA.encode(),
        f"{INFO}/WHEEL": WHEEL.encode(),
    }
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{INFO}/RECORD"] = f"{record}{INFO}/RECORD,,\n".encode()
    name = "greeting-1.0-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in files.items():
            # With one time for all, the same source gives the same wheel.
            wheel.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), data)
    return name


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
