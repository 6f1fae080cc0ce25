/*
 * QHostAddress: a berth_address as a Python value, and the addresses of this host's interfaces.
 *
 * Equality is strict, as in Qt. Functions that take an address also take a special address. The
 * less used methods (subnets, conversions) are written in Python.
 */
#include "host_address.h"
#include "metatype.h"
#include "parts.h"
#include "values.h"

#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

typedef struct host_address {
    PyObject_HEAD berth_address address;
    bool localhost; /* null, and made from that name */
} host_address;

static berth_address *address_of(PyObject *self)
{
    return &((host_address *)self)->address;
}

PyObject *bpy_host_address_make(berth_address address)
{
    host_address *self = PyObject_New(host_address, &bpy_host_address_type);
    if (self != NULL) {
        self->address = address;
        self->localhost = false;
    }
    return (PyObject *)self;
}

/* A special address is an int of a class of its own. */
static bool is_special(PyObject *object)
{
    return PyLong_Check(object) && strcmp(Py_TYPE(object)->tp_name, "SpecialAddress") == 0;
}

static bool wrong_type(PyObject *object)
{
    PyErr_Format(PyExc_TypeError, "a QHostAddress is required, not %s", Py_TYPE(object)->tp_name);
    return false;
}

static bool from_special(PyObject *object, berth_address *ret_address)
{
    long number = PyLong_AsLong(object);
    if (number == -1 && PyErr_Occurred())
        return false;
    bool fits = number >= 0 && number <= INT_MAX;
    *ret_address = fits ? berth_address_special((berth_special_address)number) : BERTH_ADDRESS_NULL;
    return true;
}

/* What functions take for an address. */
bool bpy_host_address_get(PyObject *object, berth_address *ret_address)
{
    if (PyObject_TypeCheck(object, &bpy_host_address_type))
        *ret_address = *address_of(object);
    else if (is_special(object))
        return from_special(object, ret_address);
    else
        return wrong_type(object);
    return true;
}

/* What is listened on for an address: for one that was made from the name "localhost" the loopback
 * address, though it is null. */
bool bpy_host_address_bindable(PyObject *object, berth_address *ret_address)
{
    if (!bpy_host_address_get(object, ret_address))
        return false;
    if (PyObject_TypeCheck(object, &bpy_host_address_type) && ((host_address *)object)->localhost)
        *ret_address = BERTH_ADDRESS_LOOPBACK;
    return true;
}

static bool is_localhost(PyObject *value)
{
    if (PyObject_TypeCheck(value, &bpy_host_address_type))
        return ((host_address *)value)->localhost;
    const char *text = PyUnicode_Check(value) ? PyUnicode_AsUTF8(value) : NULL;
    return text != NULL && strcasecmp(text, "localhost") == 0;
}

static bool from_bytes(PyObject *object, berth_address *ret_address)
{
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0)
        return false;
    bool good = view.len == 16;
    if (good)
        *ret_address = berth_address_ipv6(view.buf);
    PyBuffer_Release(&view);
    return good || wrong_type(object);
}

/* What the constructor and setAddress take; text that is no address gives the null address. */
static bool convert(PyObject *object, berth_address *ret_address)
{
    *ret_address = BERTH_ADDRESS_NULL;
    if (object == Py_None)
        return true;
    if (PyUnicode_Check(object)) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(object, &size);
        if (text == NULL)
            return false;
        if (strlen(text) == (size_t)size) /* else there is more behind a NUL */
            berth_address_parse(text, ret_address);
        return true;
    }
    if (PyLong_Check(object) && !is_special(object)) {
        unsigned long number = PyLong_AsUnsignedLong(object);
        if (number > UINT32_MAX && !PyErr_Occurred())
            PyErr_SetString(PyExc_OverflowError, "an IPv4 address must fit in 32 bits");
        *ret_address = berth_address_ipv4((uint32_t)number);
        return !PyErr_Occurred();
    }
    if (PyBytes_Check(object) || PyByteArray_Check(object))
        return from_bytes(object, ret_address);
    return bpy_host_address_get(object, ret_address);
}

static PyObject *address_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *value = NULL;
    berth_address address = BERTH_ADDRESS_NULL;
    if (!PyArg_ParseTuple(args, "|O:QHostAddress", &value))
        return NULL;
    if (value != NULL && !convert(value, &address))
        return NULL;
    host_address *self = (host_address *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->address = address;
        self->localhost = value != NULL && is_localhost(value);
    }
    return (PyObject *)self;
}

static PyObject *address_to_string(PyObject *self, PyObject *Py_UNUSED(none))
{
    char text[BERTH_ADDRESS_TEXT_SIZE];
    return PyUnicode_FromString(berth_address_format(*address_of(self), text, sizeof text));
}

static PyObject *address_repr(PyObject *self)
{
    char text[BERTH_ADDRESS_TEXT_SIZE];
    return PyUnicode_FromFormat("<%s(\"%s\")>", Py_TYPE(self)->tp_name,
                                berth_address_format(*address_of(self), text, sizeof text));
}

static PyObject *address_compare(PyObject *self, PyObject *other, int operation)
{
    berth_address address;
    if (operation != Py_EQ && operation != Py_NE)
        Py_RETURN_NOTIMPLEMENTED;
    if (!PyObject_TypeCheck(other, &bpy_host_address_type) && !is_special(other))
        Py_RETURN_NOTIMPLEMENTED;
    if (!bpy_host_address_get(other, &address))
        return NULL;
    bool same = berth_address_equal(*address_of(self), address);
    return PyBool_FromLong(same == (operation == Py_EQ));
}

static Py_hash_t address_hash(PyObject *self)
{
    const berth_address *address = address_of(self);
    PyObject *bytes =
        PyBytes_FromStringAndSize((const char *)address, offsetof(berth_address, scope));
    Py_hash_t hash = bytes != NULL ? PyObject_Hash(bytes) : -1;
    Py_XDECREF(bytes);
    return hash;
}

static int address_bool(PyObject *self)
{
    return !berth_address_is_null(*address_of(self));
}

/* Qt numbers the protocols 0 (IPv4), 1 (IPv6), 2 (both) and -1 (none). */
static PyObject *address_protocol(PyObject *self, PyObject *Py_UNUSED(none))
{
    static const int numbers[] = {
        [BERTH_ADDRESS_FAMILY_NULL] = -1,
        [BERTH_ADDRESS_FAMILY_IPV4] = 0,
        [BERTH_ADDRESS_FAMILY_IPV6] = 1,
        [BERTH_ADDRESS_FAMILY_ANY] = 2,
    };
    return bpy_enum_value(BPY_ENUM_PROTOCOL, numbers[address_of(self)->family]);
}

static PyObject *address_set(PyObject *self, PyObject *value)
{
    bool text = PyUnicode_Check(value);
    berth_address address; /* the value may be this object */
    if (!convert(value, &address))
        return NULL;
    *address_of(self) = address;
    ((host_address *)self)->localhost = is_localhost(value);
    if (text)
        return PyBool_FromLong(!berth_address_is_null(*address_of(self)));
    Py_RETURN_NONE;
}

static PyObject *address_to_ipv4(PyObject *self, PyObject *Py_UNUSED(none))
{
    uint32_t number = 0;
    berth_address_to_ipv4(*address_of(self), &number);
    return PyLong_FromUnsignedLong(number);
}

static PyObject *address_to_ipv6(PyObject *self, PyObject *Py_UNUSED(none))
{
    berth_address address = *address_of(self);
    uint32_t number;
    if (address.family == BERTH_ADDRESS_FAMILY_IPV4 && berth_address_to_ipv4(address, &number)) {
        unsigned char mapped[16] = {[10] = 0xff, [11] = 0xff};
        memcpy(mapped + 12, address.bytes, 4);
        memcpy(address.bytes, mapped, sizeof mapped);
    }
    return PyBytes_FromStringAndSize((const char *)address.bytes, 16);
}

static PyObject *address_scope(PyObject *self, PyObject *Py_UNUSED(none))
{
    return PyUnicode_FromString(address_of(self)->scope);
}

static PyObject *address_set_scope(PyObject *self, PyObject *scope)
{
    const char *text = PyUnicode_Check(scope) ? bpy_text_of(scope) : NULL;
    if (text == NULL)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "setScopeId() takes a str");
    berth_address *address = address_of(self);
    char scoped[BERTH_ADDRESS_SCOPE_SIZE + 3];
    berth_address parsed;
    snprintf(scoped, sizeof scoped, "::%%%s", text);
    /* Blanks around an address are skipped. */
    bool blank = text[strcspn(text, " \t\n\v\f\r")] != '\0';
    if (strlen(text) >= sizeof address->scope ||
        (*text != '\0' && (blank || !berth_address_parse(scoped, &parsed))))
        return PyErr_Format(PyExc_ValueError,
                            "a scope must be the name of an interface or a number");
    if (address->family == BERTH_ADDRESS_FAMILY_IPV6)
        memcpy(address->scope, text, strlen(text) + 1);
    Py_RETURN_NONE;
}

static PyObject *address_equal_as(PyObject *self, PyObject *args)
{
    PyObject *other;
    unsigned mode = BERTH_TOLERATE_ALL;
    berth_address address;
    if (!PyArg_ParseTuple(args, "O|I:isEqual", &other, &mode) ||
        !bpy_host_address_get(other, &address))
        return NULL;
    return PyBool_FromLong(berth_address_equal_as(*address_of(self), address, mode));
}

/* ---- kinds, one row each ---- */

#define KINDS(X)                                           \
    X(isNull, berth_address_is_null)                       \
    X(isLoopback, berth_address_is_loopback)               \
    X(isMulticast, berth_address_is_multicast)             \
    X(isBroadcast, berth_address_is_broadcast)             \
    X(isLinkLocal, berth_address_is_link_local)            \
    X(isSiteLocal, berth_address_is_site_local)            \
    X(isUniqueLocalUnicast, berth_address_is_unique_local) \
    X(isGlobal, berth_address_is_global)

#define KIND_FUNCTION(name, function)                                       \
    static PyObject *kind_##name(PyObject *self, PyObject *Py_UNUSED(none)) \
    {                                                                       \
        return PyBool_FromLong(function(*address_of(self)));                \
    }
#define KIND_ENTRY(name, function) {#name, kind_##name, METH_NOARGS, #name "() -> bool"},

KINDS(KIND_FUNCTION)

static PyMethodDef address_methods[] = {
    KINDS(KIND_ENTRY){"toString", address_to_string, METH_NOARGS, "toString() -> str"},
    {"protocol", address_protocol, METH_NOARGS, "protocol() -> NetworkLayerProtocol"},
    {"setAddress", address_set, METH_O,
     "setAddress(address): with a str, returns whether it is an address"},
    {"toIPv4Address", address_to_ipv4, METH_NOARGS, "toIPv4Address() -> int: 0 if it is none"},
    {"toIPv6Address", address_to_ipv6, METH_NOARGS, "toIPv6Address() -> bytes: 16 of them"},
    {"scopeId", address_scope, METH_NOARGS, "scopeId() -> str"},
    {"setScopeId", address_set_scope, METH_O, "setScopeId(scope): the scope of an IPv6 address"},
    {"isEqual", address_equal_as, METH_VARARGS,
     "isEqual(address, mode=TolerantConversion) -> bool"},
    {NULL, NULL, 0, NULL},
};

static PyNumberMethods address_number = {.nb_bool = address_bool};

PyTypeObject bpy_host_address_type = {
    PyVarObject_HEAD_INIT(&bpy_metatype, 0).tp_name = "berth.QtNetwork.QHostAddress",
    .tp_doc = "QHostAddress(address=None): made from a str, a special address or a number",
    .tp_basicsize = sizeof(host_address),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = address_new,
    .tp_repr = address_repr,
    .tp_hash = address_hash,
    .tp_richcompare = address_compare,
    .tp_as_number = &address_number,
    .tp_methods = address_methods,
};

/* ---- the interfaces of this host ---- */

static PyObject *one_address(const struct sockaddr *name)
{
    if (name->sa_family == AF_INET)
        return bpy_host_address_make(
            berth_address_ipv4(ntohl(((const struct sockaddr_in *)name)->sin_addr.s_addr)));
    const struct sockaddr_in6 *inet6 = (const struct sockaddr_in6 *)name;
    berth_address address = berth_address_ipv6(inet6->sin6_addr.s6_addr);
    char scope[IF_NAMESIZE];
    if (inet6->sin6_scope_id != 0 && if_indextoname(inet6->sin6_scope_id, scope) != NULL)
        snprintf(address.scope, sizeof address.scope, "%s", scope);
    return bpy_host_address_make(address);
}

/* A list of (interface, address, netmask or None, flags), in the system's order. */
static PyObject *interface_addresses(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    PyObject *list = PyList_New(0);
    for (const struct ifaddrs *one = all; list != NULL && one != NULL; one = one->ifa_next) {
        const struct sockaddr *name = one->ifa_addr;
        if (name == NULL || (name->sa_family != AF_INET && name->sa_family != AF_INET6))
            continue;
        PyObject *mask =
            one->ifa_netmask != NULL ? one_address(one->ifa_netmask) : Py_NewRef(Py_None);
        PyObject *entry =
            Py_BuildValue("(sNNI)", one->ifa_name, one_address(name), mask, one->ifa_flags);
        if (entry == NULL || PyList_Append(list, entry) < 0)
            Py_CLEAR(list);
        Py_XDECREF(entry);
    }
    freeifaddrs(all);
    return list;
}

static PyObject *parse_subnet(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *text;
    berth_subnet subnet;
    if (!PyArg_ParseTuple(args, "s:parse_subnet", &text))
        return NULL;
    if (!berth_subnet_parse(text, &subnet))
        return Py_BuildValue("(Ni)", bpy_host_address_make(BERTH_ADDRESS_NULL), -1);
    return Py_BuildValue("(Ni)", bpy_host_address_make(subnet.address), subnet.prefix);
}

static PyMethodDef functions[] = {
    {"interface_addresses", interface_addresses, METH_NOARGS,
     "interface_addresses() -> list of (interface, address, netmask, flags)"},
    {"parse_subnet", parse_subnet, METH_VARARGS, "parse_subnet(text) -> (address, prefix)"},
    {NULL, NULL, 0, NULL},
};

int bpy_host_address_ready(PyObject *module)
{
    if (PyModule_AddFunctions(module, functions) < 0)
        return -1;
    return bpy_add_type(module, &bpy_host_address_type);
}
