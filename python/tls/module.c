/*
 * The module berth._tls: configurations for encrypted connections, made by libberth-tls, which is
 * inside. It is a module of its own, so that OpenSSL is loaded by programs that encrypt only.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <berth/tls.h>
#include <openssl/crypto.h>
#include <stdbool.h>

enum {
    MOST_PROTOCOLS = 32
};

/* A list of str as texts; false with an exception. */
static bool texts(PyObject *list, const char *ret_texts[MOST_PROTOCOLS + 1])
{
    Py_ssize_t count = PyList_Size(list);
    if (count < 0 || count > MOST_PROTOCOLS) {
        PyErr_SetString(PyExc_ValueError, "too many protocols");
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        ret_texts[i] = PyUnicode_AsUTF8(PyList_GET_ITEM(list, i));
        if (ret_texts[i] == NULL)
            return false;
    }
    ret_texts[count] = NULL;
    return true;
}

static PyObject *new (PyObject *module, PyObject *args)
{
    (void)module;
    int side, verify, lowest, highest;
    berth_tls_options options = {.certificate = NULL};
    const char *protocols[MOST_PROTOCOLS + 1];
    char text[BERTH_TLS_TEXT_SIZE];
    PyObject *list;
    if (!PyArg_ParseTuple(args, "izzziiiO!:new", &side, &options.certificate, &options.key,
                          &options.authorities, &verify, &lowest, &highest, &PyList_Type, &list) ||
        !texts(list, protocols))
        return NULL;
    options.verify = (berth_tls_verify)verify;
    options.lowest = (berth_tls_version)lowest;
    options.highest = (berth_tls_version)highest;
    options.protocols = protocols[0] != NULL ? protocols : NULL;
    berth_tls *tls = berth_tls_new((berth_tls_side)side, &options, text);
    if (tls == NULL)
        return PyErr_Format(PyExc_ValueError, "%s", text);
    return PyCapsule_New(tls, "berth.tls", NULL); /* berth._berth.own_tls makes it end */
}

static PyObject *version(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    return Py_BuildValue("(sk)", OpenSSL_version(OPENSSL_VERSION), OpenSSL_version_num());
}

static PyMethodDef functions[] = {
    {"new", new, METH_VARARGS,
     "new(side, certificate, key, authorities, verify, lowest, highest, protocols) -> capsule"},
    {"version", version, METH_NOARGS, "version() -> (text, number): of OpenSSL"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "berth._tls",
    .m_doc = "Configurations for encrypted connections.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__tls(void);

PyMODINIT_FUNC PyInit__tls(void)
{
    return PyModule_Create(&definition);
}
