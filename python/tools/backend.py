"""Builds the wheel: the backend that pyproject.toml names (PEP 517).

setup.py compiles; the wheel is put together here, because setuptools does that by the package `wheel`,
which Debian's setuptools comes without.
"""

import base64
import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _tag():
    """As cp311-cp311-linux_x86_64."""
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"{python}-{python}-{platform}"


def _said(option):
    """What setup.py says of the package."""
    return subprocess.run([sys.executable, "setup.py", option], cwd=FOLDER, check=True, text=True,
                          capture_output=True).stdout.splitlines()[-1]


def _metadata():
    with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as file:
        readme = file.read()
    return (f"Metadata-Version: 2.1\nName: berth\nVersion: {_said('--version')}\n"
            f"Summary: {_said('--description')}\nRequires-Python: >=3.9\n"
            f"Description-Content-Type: text/markdown\n\n{readme}")


def get_requires_for_build_wheel(config_settings=None):
    """Nothing but setuptools."""
    return []


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Makes the wheel; returns its name. With --config-settings built=FOLDER it is made of a package
    that is built already, as that in build/release/python."""
    name = f"berth-{_said('--version')}"
    wheel, record = f"{name}-{_tag()}.whl", []
    with tempfile.TemporaryDirectory() as folder, \
            zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w", zipfile.ZIP_DEFLATED) as out:
        def add(path, data, mode=0o644):
            entry = zipfile.ZipInfo(path)
            entry.external_attr, entry.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            out.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(data)}")

        built = (config_settings or {}).get("built") or os.path.join(folder, "built")
        if not os.path.isdir(built):
            subprocess.run([sys.executable, "setup.py", "-q", "build", "--build-base", folder,
                            "--build-lib", built], cwd=FOLDER, check=True)
        for parent, _folders, files in os.walk(built):
            for file in sorted(files):
                if file.endswith(".pyc"):
                    continue
                path = os.path.join(parent, file)
                with open(path, "rb") as opened:
                    add(os.path.relpath(path, built), opened.read(),
                        0o755 if file.endswith(".so") else 0o644)
        add(f"{name}.dist-info/METADATA", _metadata().encode())
        add(f"{name}.dist-info/WHEEL", (f"Wheel-Version: 1.0\nGenerator: berth\n"
                                        f"Root-Is-Purelib: false\nTag: {_tag()}\n").encode())
        record.append(f"{name}.dist-info/RECORD,,")
        out.writestr(f"{name}.dist-info/RECORD", "\n".join(record) + "\n")
    return wheel


def build_sdist(sdist_directory, config_settings=None):
    """Left out: the sources of the library are outside of this folder."""
    raise NotImplementedError("berth is built in its tree: pip install --no-build-isolation ./python")
