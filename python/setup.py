"""Builds the Python module with the library inside: pip install --no-build-isolation ./python

Needs liburing, c-ares and libidn2 with their headers, as the library does; and OpenSSL 3 for TLS, which is left
out otherwise. BERTH_IO_URING=OFF in the environment builds it without liburing, with the epoll backend alone. Its
values are those of the option of CMake.
"""

import glob
import multiprocessing.pool
import os
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Paths are relative to this folder, as setuptools wants them.
os.chdir(os.path.dirname(os.path.abspath(__file__)))


def pkg_config(option, *names):
    """What pkg-config says, as a list."""
    return subprocess.run(["pkg-config", option, *names], check=True, capture_output=True,
                          text=True).stdout.split()


def with_io_uring():
    """What BERTH_IO_URING says."""
    value = os.environ.get("BERTH_IO_URING") or "ON"
    if value.upper() in ("OFF", "NO", "FALSE", "N", "0"):
        return False
    if value.upper() not in ("ON", "YES", "TRUE", "Y", "1"):
        sys.exit(f"BERTH_IO_URING is '{value}'; it can be ON or OFF")
    return True


def library_sources():
    """The library's C files, without those for its tests and those of libberth-tls."""
    left_out = "no_uring" if with_io_uring() else "uring"
    return [path for path in glob.glob("../src/*/*.c")
            if not os.path.basename(path).startswith(("fault", "sim", left_out))
            and os.path.basename(os.path.dirname(path)) != "tls"]


def version():
    """The version in the public header."""
    with open("../include/berth/version.h", encoding="utf-8") as file:
        return file.read().partition('BERTH_VERSION_STRING "')[2].partition('"')[0]


class BuildExtension(build_ext):
    """Compiles the files at the same time."""

    def build_extensions(self):
        compiler = self.compiler

        def compile_all(sources, output_dir=None, macros=None, include_dirs=None, debug=0,
                        extra_preargs=None, extra_postargs=None, depends=None):
            _macros, objects, after, options, build = compiler._setup_compile(
                output_dir, macros, include_dirs, sources, depends, extra_postargs)
            before = compiler._get_cc_args(options, debug, extra_preargs)
            with multiprocessing.pool.ThreadPool(os.cpu_count()) as pool:
                pool.map(lambda one: compiler._compile(one, *build[one], before, after, options),
                         objects)
            return objects
        compiler.compile = compile_all
        super().build_extensions()


def has_openssl():
    """Whether there is OpenSSL 3 with its headers."""
    return subprocess.run(["pkg-config", "--exists", "openssl >= 3.0"], check=False).returncode == 0


NEEDED = ["libcares", "libidn2"]
if with_io_uring():
    NEEDED.append("liburing")
COMMON = {
    "include_dirs": ["../include", "../src"],
    "define_macros": [("_GNU_SOURCE", None), ("NDEBUG", None)],
}
FLAGS = ["-std=c11", "-O2", "-fvisibility=hidden"]

extensions = [Extension(
    "berth._berth", sorted(glob.glob("src/*.c") + library_sources()),
    extra_compile_args=[*FLAGS, *pkg_config("--cflags", *NEEDED)],
    extra_link_args=[*pkg_config("--libs", *NEEDED), "-pthread"], **COMMON)]
if has_openssl():
    extensions.append(Extension(
        "berth._tls", ["tls/module.c", "../src/base/version.c", *sorted(glob.glob("../src/tls/*.c"))],
        extra_compile_args=[*FLAGS, *pkg_config("--cflags", "openssl")],
        extra_link_args=pkg_config("--libs", "openssl"), **COMMON))

setup(
    name="berth",
    version=version(),
    description="TCP servers and clients with the names and the behaviour of PySide2",
    packages=["berth"],
    package_data={"berth": ["*.pyi", "py.typed"]},
    python_requires=">=3.9",
    cmdclass={"build_ext": BuildExtension},
    ext_modules=extensions,
)
