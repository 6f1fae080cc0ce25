/*
 * QNetworkProxy, as it is passed from Python to C, and the application's proxy.
 */
#include "proxy.h"
#include "parts.h"
#include "values.h"

/* What a QNetworkProxy is passed as: (proxy, type, host, port, user, password). HTTP proxies that
 * cache only are to Berth as those that connect. The strings are the arguments'. */
bool bpy_proxy_parse(PyObject *args, PyObject **ret_proxy, berth_proxy *ret_value)
{
    int type;
    *ret_value = (berth_proxy){.type = BERTH_PROXY_DEFAULT};
    if (!PyTuple_Check(args)) {
        PyErr_SetString(PyExc_TypeError, "a proxy must be a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(args, "OisO&ss", ret_proxy, &type, &ret_value->host, bpy_port_convert,
                          &ret_value->port, &ret_value->user, &ret_value->password))
        return false;
    ret_value->type = type > BERTH_PROXY_HTTP ? BERTH_PROXY_HTTP : (berth_proxy_type)type;
    return true;
}

static PyObject *set_application_proxy(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *proxy;
    berth_proxy value;
    if (!bpy_proxy_parse(args, &proxy, &value))
        return NULL;
    if (!berth_proxy_set_application(&value))
        return PyErr_Format(PyExc_ValueError, "the proxy cannot be set");
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"set_application_proxy", set_application_proxy, METH_VARARGS,
     "set_application_proxy(proxy, type, host, port, user, password)"},
    {NULL, NULL, 0, NULL},
};

int bpy_proxy_ready(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
