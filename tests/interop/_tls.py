"""Certificates of the tests that encrypt: made with the openssl command, in a folder of the test."""

import os
import shutil
import ssl
import subprocess

import _support

if not shutil.which("openssl"):
    _support.skip("the openssl command is not installed")


def openssl(*arguments, **options):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               "timeout": _support.PATIENCE, **options}
    return subprocess.run(["openssl", *map(str, arguments)], **options)


class Certificate:
    """A certificate for these names, signed by itself or by another one, and its key."""

    def __init__(self, folder, name, names="DNS:localhost,IP:127.0.0.1", days=30, by=None):
        self.file = os.path.join(folder, name + ".pem")
        self.key = os.path.join(folder, name + ".key.pem")
        self.option = "%s,%s" % (self.file, self.key)
        made = openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                       "-days", 30, "-subj", "/CN=" + name, "-addext", "subjectAltName=" + names,
                       "-keyout", self.key, "-out", self.file,
                       *(("-CA", by.file, "-CAkey", by.key) if by else ()))
        if made.returncode == 0 and days < 0:  # "req" refuses that
            made = openssl("x509", "-in", self.file, "-signkey", self.key, "-days", days,
                           "-out", self.file)
        assert made.returncode == 0, made.stderr
        with open(self.file) as file:
            self.der = ssl.PEM_cert_to_DER_cert(file.read())

    def copy_to(self, other):
        """Puts both files into the place of another one, each at once."""
        for mine, its in ((self.key, other.key), (self.file, other.file)):
            shutil.copy(mine, its + ".new")
            os.rename(its + ".new", its)

    def trust(self):
        """A client's context that trusts this one only."""
        return ssl.create_default_context(cafile=self.file)


def trust_all():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
