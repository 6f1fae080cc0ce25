// The line server with Qt. (Where Qt has nothing for it, the process ends by the signal.)
#include <cstdio>
#include <cstdlib>

#include <QCoreApplication>
#include <QTcpServer>
#include <QTcpSocket>
#include <QTimer>

static const int LINE = 1000, LOW = 16 * 1024, HIGH = 64 * 1024;

static void answer(QTcpSocket *socket)
{
    while ((socket->canReadLine() || socket->bytesAvailable() >= LINE) &&
           socket->bytesToWrite() < HIGH)
        socket->write(socket->readLine(LINE).toUpper());
}

static void take(QTcpServer *server, int idle_time)
{
    while (QTcpSocket *socket = server->nextPendingConnection()) {
        auto *timer = new QTimer(socket);
        timer->setSingleShot(true);
        timer->start(idle_time);
        socket->setReadBufferSize(HIGH);
        QObject::connect(timer, &QTimer::timeout, socket, [=] { socket->abort(); });
        QObject::connect(socket, &QTcpSocket::readyRead, socket, [=] {
            timer->start();
            answer(socket);
        });
        QObject::connect(socket, &QTcpSocket::bytesWritten, socket, [=] {
            timer->start();
            if (socket->bytesToWrite() <= LOW)
                answer(socket);
        });
        QObject::connect(socket, &QTcpSocket::disconnected, socket, &QObject::deleteLater);
    }
}

int main(int count, char **arguments)
{
    QCoreApplication application(count, arguments);
    const int idle_time = count > 1 ? std::atoi(arguments[1]) : 60000; // ms
    QTcpServer server;
    QObject::connect(&server, &QTcpServer::newConnection, &server,
                     [&] { take(&server, idle_time); });
    if (!server.listen(QHostAddress::LocalHost)) {
        std::fprintf(stderr, "%s\n", qPrintable(server.errorString()));
        return 1;
    }
    std::printf("listening on port %u\n", server.serverPort());
    std::fflush(stdout);
    return QCoreApplication::exec();
}
