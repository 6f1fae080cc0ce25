/*
 * The peer that Berth is modelled on: a server on Qt 5, written as Qt's documentation recommends
 * (the examples Fortune Server, Blocking Fortune Client and Threaded Fortune Server), and no better
 * or worse than a careful user would write it.
 *
 * The normal course: newConnection takes the sockets; readyRead reads what there is into a buffer
 * on the stack, since QIODevice::read needs no allocation where readAll does, and writes it back;
 * `disconnected` is connected to deleteLater. TCP_NODELAY is QAbstractSocket::LowDelayOption, set
 * on each connection that lasts; a greeting is one write and the end, which nothing holds back. A
 * source keeps a block in the output, and adds the next from bytesWritten.
 *
 * Waiting: waitForNewConnection, nextPendingConnection, write, disconnectFromHost,
 * waitForDisconnected, with no event loop. Handing over: incomingConnection is overridden, and has
 * a worker that lives in another thread make the socket from the descriptor, by a queued call.
 *
 * Encrypted, incomingConnection is overridden, and makes a QSslSocket, as the documentation of
 * QSslSocket has it; it is served from `encrypted` on.
 *
 * Qt 5 asks the kernel for a backlog of 50, and has no function for another; it is raised on the
 * listening descriptor, so that a burst does not wait for retransmissions. The dispatcher is Qt's
 * own one on poll (QT_NO_GLIB): it costs less than GLib's.
 *
 * Failures: those of common.h; a connection that fails is deleted when it is disconnected, and the
 * others go on.
 */
#include "common.h"

#include <cerrno>
#include <sys/socket.h>

#include <QCoreApplication>
#include <QFile>
#include <QSslConfiguration>
#include <QSslKey>
#include <QSslSocket>
#include <QTcpServer>
#include <QTcpSocket>
#include <QThread>

namespace
{

enum server_cell cell;

void echo(QTcpSocket *socket)
{
    char buffer[SERVER_BLOCK];
    for (;;) {
        const qint64 got = socket->read(buffer, sizeof(buffer));
        if (got <= 0)
            return;
        socket->write(buffer, got);
    }
}

void swallow(QTcpSocket *socket)
{
    char buffer[SERVER_BLOCK];
    while (socket->read(buffer, sizeof(buffer)) > 0)
        continue;
}

void pour(QTcpSocket *socket)
{
    if (socket->bytesToWrite() < SERVER_BLOCK)
        socket->write(server_block, SERVER_BLOCK);
}

void serve(QTcpSocket *socket)
{
    QObject::connect(socket, &QAbstractSocket::disconnected, socket, &QObject::deleteLater);
    if (cell == CELL_GREET || cell == CELL_HANDOVER_GREET) {
        socket->write(server_greeting, SERVER_GREETING);
        socket->disconnectFromHost();
        return;
    }
    socket->setSocketOption(QAbstractSocket::LowDelayOption, 1);
    if (cell == CELL_SOURCE) {
        QObject::connect(socket, &QIODevice::bytesWritten, socket, [socket] { pour(socket); });
        pour(socket);
        return;
    }
    if (cell == CELL_SINK)
        QObject::connect(socket, &QIODevice::readyRead, socket, [socket] { swallow(socket); });
    else
        QObject::connect(socket, &QIODevice::readyRead, socket, [socket] { echo(socket); });
}

/* Hands each connection over to a thread of its own. */
class Distributor : public QTcpServer
{
  public:
    Distributor()
    {
        worker.moveToThread(&thread);
        thread.start();
    }

  protected:
    void incomingConnection(qintptr descriptor) override
    {
        QMetaObject::invokeMethod(
            &worker,
            [descriptor, this] {
                auto *socket = new QTcpSocket(&worker);
                if (socket->setSocketDescriptor(descriptor))
                    serve(socket);
                else
                    delete socket;
            },
            Qt::QueuedConnection);
    }

  private:
    QThread thread;
    QObject worker;
};

/* Its connections are encrypted. */
class Encryptor : public QTcpServer
{
  public:
    explicit Encryptor(const char *path)
    {
        QFile file(path);
        if (!file.open(QIODevice::ReadOnly))
            server_fail("cannot open the certificate", ENOENT);
        const QByteArray pem = file.readAll();
        configuration = QSslConfiguration::defaultConfiguration();
        configuration.setLocalCertificate(QSslCertificate(pem));
        configuration.setPrivateKey(QSslKey(pem, QSsl::Ec));
        configuration.setProtocol(QSsl::TlsV1_2OrLater);
        configuration.setPeerVerifyMode(QSslSocket::VerifyNone);
    }

  protected:
    void incomingConnection(qintptr descriptor) override
    {
        auto *socket = new QSslSocket(this);
        socket->setSslConfiguration(configuration);
        if (!socket->setSocketDescriptor(descriptor)) {
            delete socket;
            return;
        }
        QObject::connect(socket, &QSslSocket::encrypted, socket, [socket] { serve(socket); });
        socket->startServerEncryption();
    }

  private:
    QSslConfiguration configuration;
};

void listen_on(QTcpServer &server, unsigned port)
{
    if (!server.listen(QHostAddress::LocalHost, quint16(port))) {
        qWarning("%s", qPrintable(server.errorString()));
        exit(1);
    }
    if (listen(int(server.socketDescriptor()), SERVER_BACKLOG) < 0)
        server_fail("cannot raise the backlog", errno);
    server_ready(server.serverPort());
}

[[noreturn]] void serve_by_waiting(QTcpServer &server)
{
    for (;;) {
        if (!server.waitForNewConnection(-1))
            server_fail("cannot wait for a connection", EIO);
        while (QTcpSocket *socket = server.nextPendingConnection()) {
            socket->write(server_greeting, SERVER_GREETING);
            socket->disconnectFromHost();
            if (socket->state() != QAbstractSocket::UnconnectedState)
                socket->waitForDisconnected(1000);
            delete socket;
        }
    }
}

} // namespace

int main(int argc, char **argv)
{
    struct server_options options;
    server_parse(argc, argv, SERVES_ON_ONE_THREAD | SERVES_OTHERWISE, &options);
    cell = options.cell;
    qputenv("QT_NO_GLIB", "1");
    QCoreApplication application(argc, argv);
    if (cell == CELL_HANDOVER || cell == CELL_HANDOVER_GREET) {
        Distributor distributor;
        listen_on(distributor, options.port);
        return QCoreApplication::exec();
    }
    if (options.tls) {
        Encryptor encryptor(options.tls);
        listen_on(encryptor, options.port);
        return QCoreApplication::exec();
    }
    QTcpServer server;
    if (cell == CELL_WAIT) {
        listen_on(server, options.port);
        serve_by_waiting(server);
    }
    QObject::connect(&server, &QTcpServer::newConnection, &server, [&server] {
        while (QTcpSocket *socket = server.nextPendingConnection())
            serve(socket);
    });
    listen_on(server, options.port);
    return QCoreApplication::exec();
}
