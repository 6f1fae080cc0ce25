"""A small binding: an echo server and its client, by ctypes. It calls the library, and the
library calls it. What it does not use it does not declare: the sizes say so.

    BERTH_LIBRARY=/usr/lib/libberth.so.0 python3 binding.py
"""

import ctypes
import os
import sys

berth = ctypes.CDLL(os.environ.get("BERTH_LIBRARY", "libberth.so.0"), use_errno=True)


class Address(ctypes.Structure):  # a value: passed and returned by value
    _fields_ = [("family", ctypes.c_uint8), ("bytes", ctypes.c_uint8 * 16), ("scope", ctypes.c_char * 16)]


Event = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
Unused = ctypes.c_void_p


class ServerHandlers(ctypes.Structure):  # as many slots as this binding knows
    _fields_ = [("new_connection", Event)]


class SocketHandlers(ctypes.Structure):
    _fields_ = [("ready_read", Event), ("bytes_written", Unused), ("connected", Event), ("disconnected", Event)]


def declare(name, result, *arguments):
    function = getattr(berth, name)
    function.restype, function.argtypes = result, arguments
    return function


pointer, size, boolean = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_bool
server_new = declare("berth_server_new_sized", pointer, pointer, pointer, size, pointer)
server_listen = declare("berth_server_listen", boolean, pointer, Address, ctypes.c_uint16)
server_port = declare("berth_server_port", ctypes.c_uint16, pointer)
server_error = declare("berth_server_error_string", ctypes.c_char_p, pointer)
socket_error = declare("berth_socket_error_string", ctypes.c_char_p, pointer)
server_next = declare("berth_server_next_pending_connection", pointer, pointer)
socket_new = declare("berth_socket_new_sized", pointer, pointer, pointer, size, pointer)
socket_set_handlers = declare("berth_socket_set_handlers_sized", None, pointer, pointer, size, pointer)
socket_connect = declare("berth_socket_connect_to_address", boolean, pointer, Address, ctypes.c_uint16)
socket_read = declare("berth_socket_read", ctypes.c_ssize_t, pointer, pointer, size)
socket_write = declare("berth_socket_write", ctypes.c_ssize_t, pointer, ctypes.c_char_p, size)
socket_disconnect = declare("berth_socket_disconnect_from_host", None, pointer)
socket_free = declare("berth_socket_free", None, pointer)
address_special = declare("berth_address_special", Address, ctypes.c_int)
loop_run = declare("berth_loop_run", ctypes.c_int, pointer)
loop_stop = declare("berth_loop_stop", None, pointer, ctypes.c_int)

objects = {}  # the user pointer is a number, which finds the object: C keeps nothing of Python's
failures = []


def handler(method):
    """Nothing may be thrown through C: a handler that fails says so, and the loop ends."""

    def called(native, user):
        try:
            method(objects.get(user), native)
        except BaseException as error:
            failures.append(error)
            loop_stop(None, 1)

    return Event(called)


def read(native):
    buffer = ctypes.create_string_buffer(4096)
    count = socket_read(native, buffer, len(buffer))
    return buffer.raw[:max(count, 0)]


def echo(_, native):
    data = read(native)
    socket_write(native, data, len(data))


def take(_, native):
    connection = server_next(native)
    if connection:
        socket_set_handlers(connection, ctypes.byref(echoing), ctypes.sizeof(echoing), None)


class Client:
    def __init__(self, port):
        objects[id(self)] = self
        self.received = b""
        self.native = socket_new(None, ctypes.byref(asking), ctypes.sizeof(asking), id(self))
        if not self.native:  # the error of NULL is that of errno
            raise MemoryError(socket_error(None).decode())
        socket_connect(self.native, address_special(2), port)  # BERTH_SPECIAL_LOOPBACK

    def connected(self, native):
        socket_write(native, b"hello\n", 6)

    def ready_read(self, native):
        self.received += read(native)
        if self.received.endswith(b"\n"):
            socket_disconnect(native)

    def disconnected(self, native):
        del objects[id(self)]
        socket_free(native)
        loop_stop(None, 0)


# The structs, and the functions in them, have to stay as long as an object of the library has them.
serving = ServerHandlers(handler(take))
echoing = SocketHandlers(handler(echo), None, Event(), handler(lambda _, native: socket_free(native)))
asking = SocketHandlers(handler(Client.ready_read), None, handler(Client.connected),
                        handler(Client.disconnected))

server = server_new(None, ctypes.byref(serving), ctypes.sizeof(serving), None)
if not server or not server_listen(server, address_special(2), 0):
    sys.exit(server_error(server).decode())
client = Client(server_port(server))
status = loop_run(None)
print("received:", client.received)
if failures:
    raise failures[0]
sys.exit(0 if status == 0 and client.received == b"hello\n" and not objects else 1)
