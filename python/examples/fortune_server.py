#!/usr/bin/env python3
"""Fortune server: whoever connects is sent one fortune, and the connection ends.

    python3 fortune_server.py [--address A] [--port P] [--count N] [--cpp]       with PySide2
    python3 -m berth.run fortune_server.py ...                                   with Berth

The first line says the address and the port. After N fortunes, if asked for, the program ends.
"""

import fortune_service


class Server(fortune_service.Server):
    def __init__(self, options):
        super().__init__(options)
        self.newConnection.connect(self.serve)

    def serve(self):
        connection = self.nextPendingConnection()
        connection.disconnected.connect(connection.deleteLater)
        connection.disconnected.connect(self.count)
        connection.write(self.block())
        connection.disconnectFromHost()


if __name__ == "__main__":
    fortune_service.run("Sends a fortune to whoever connects.", Server)
