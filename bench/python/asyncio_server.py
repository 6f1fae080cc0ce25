"""The twin of qt_server.py on asyncio: python3 bench/python/asyncio_server.py echo|greet"""

import asyncio
import sys

GREETING = b"g" * 64


class Echo(asyncio.Protocol):
    """One connection, which gets back what it sends."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Greet(asyncio.Protocol):
    """One connection, which gets 64 bytes."""

    def connection_made(self, transport):
        transport.write(GREETING)
        transport.close()


async def main():
    kind = {"echo": Echo, "greet": Greet}[sys.argv[1]]
    server = await asyncio.get_running_loop().create_server(kind, "127.0.0.1", 0, backlog=128)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
