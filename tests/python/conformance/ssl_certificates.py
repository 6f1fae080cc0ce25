# What is in a certificate; keys; and none.
from PySide2.QtCore import QCoreApplication, Qt
from PySide2.QtNetwork import QSsl, QSslCertificate, QSslKey

from _certificates import CERTIFICATE, KEY, certificate, read
from _kit import say

app = QCoreApplication([])
one = certificate()
say(one.isNull(), one.subjectInfo(QSslCertificate.CommonName),
    one.issuerInfo(QSslCertificate.Organization), one.subjectInfo(QSslCertificate.CountryName),
    one.isSelfSigned(), one.isBlacklisted(), one.version(), one.subjectDisplayName(),
    one.issuerDisplayName())
say(one.toPem() == read(CERTIFICATE), len(one.serialNumber()) > 10, len(one.digest()),
    QSslCertificate(one.toDer(), QSsl.Der) == one, one == certificate(), one == QSslCertificate())
say(one.effectiveDate().daysTo(one.expiryDate()), int(one.expiryDate().timeSpec()),
    one.expiryDate().isValid())
names = one.subjectAlternativeNames()
say(sorted((int(kind), names[kind]) for kind in names))
none = QSslCertificate()
say(none.isNull(), none.subjectInfo(QSslCertificate.CommonName), none.toPem(), none.toDer(),
    none.expiryDate().isValid(), none.subjectDisplayName(), none.serialNumber(), none.version())
say(QSslCertificate(b"junk").isNull(), len(QSslCertificate.fromPath(CERTIFICATE)),
    len(QSslCertificate.fromData(read(CERTIFICATE) * 2)), QSslCertificate.fromData(b"junk"))
key = QSslKey(read(KEY), QSsl.Ec)
say(key.isNull(), int(key.algorithm()), int(key.type()), QSslKey().isNull(),
    QSslKey(b"junk", QSsl.Ec).isNull())
