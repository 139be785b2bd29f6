# Prints the process and the title of the window that a click at the pointer would reach. Exit code 4: nobody can tell.
# Protocol: X11 core (QueryPointer), EWMH (_NET_WM_PID, _NET_WM_NAME).
import ctypes
import sys

try:
    x = ctypes.CDLL("libX11.so.6")
except OSError:
    sys.exit(4)
Window, Atom = ctypes.c_ulong, ctypes.c_ulong
x.XOpenDisplay.restype = ctypes.c_void_p
x.XDefaultRootWindow.argtypes, x.XDefaultRootWindow.restype = [ctypes.c_void_p], Window
x.XInternAtom.argtypes, x.XInternAtom.restype = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int], Atom
x.XQueryPointer.argtypes = [ctypes.c_void_p, Window] + [ctypes.c_void_p] * 7
x.XGetWindowProperty.argtypes = [
    ctypes.c_void_p, Window, Atom, ctypes.c_long, ctypes.c_long, ctypes.c_int, Atom
] + [ctypes.c_void_p] * 5
display = x.XOpenDisplay(None)
if not display:
    sys.exit(4)


def read(window, name):
    """A property's bytes; a number is a C long in them."""
    kind, form, count, after = Atom(), ctypes.c_int(), ctypes.c_ulong(), ctypes.c_ulong()
    data = ctypes.POINTER(ctypes.c_ubyte)()
    refs = [ctypes.byref(v) for v in (kind, form, count, after, data)]
    atom = x.XInternAtom(display, name.encode(), 0)
    if x.XGetWindowProperty(display, window, atom, 0, 256, 0, 0, *refs) != 0 or not count.value:
        return b""
    size = {8: 1, 16: 2, 32: ctypes.sizeof(ctypes.c_long)}[form.value]
    return bytes(data[: count.value * size])


top = window = x.XDefaultRootWindow(display)
while window:
    pid = window != top and read(window, "_NET_WM_PID")
    if pid:
        print(int.from_bytes(pid, sys.byteorder))
        print((read(window, "_NET_WM_NAME") or read(window, "WM_NAME")).decode("utf-8", "replace"))
        sys.exit(0)
    root, child, number = Window(), Window(), ctypes.c_int()
    refs = [ctypes.byref(v) for v in (root, child, number, number, number, number, number)]
    if not x.XQueryPointer(display, window, *refs):
        sys.exit(4)
    window = child.value
sys.exit(4)
