# Prints elements of the accessibility tree as JSON. QUERY: {"roles": [...], "name": "...", "app": "...", "hidden": false};
# what is empty says nothing, and with "hidden" what closed menus hold is told, too.
# Exit codes: 4 a library is missing, 5 there is no accessibility bus. Protocol: AT-SPI 2, through libatspi.
import json
import os
import sys
import time
import warnings

warnings.simplefilter("ignore")
SECONDS = 20.0
MOST_NODES = 20000
MOST_FOUND = 500
MOST_CHILDREN = 2000
MOST_DEPTH = 60
MOST_TEXT = 20000


def stop(code, words):
    print(words, file=sys.stderr)
    sys.exit(code)


try:
    import gi

    gi.require_version("Atspi", "2.0")
    from gi.repository import Atspi, Gio, GLib
except (ImportError, ValueError) as error:
    stop(4, error)


def wake():
    """Programs tell nothing until somebody asks for accessibility (org.a11y.Status)."""
    bus = Gio.bus_get_sync(Gio.BusType.SESSION)

    def call(method, arguments):
        return bus.call_sync(
            "org.a11y.Bus", "/org/a11y/bus", "org.freedesktop.DBus.Properties", method, arguments, None, 0, 5000, None
        )

    name = ("org.a11y.Status", "IsEnabled")
    if not call("Get", GLib.Variant("(ss)", name)).unpack()[0]:
        call("Set", GLib.Variant("(ssv)", (*name, GLib.Variant("b", True))))
        time.sleep(1)


try:
    wake()
    Atspi.set_timeout(3000, 3000)
    Atspi.init()
    desktop = Atspi.get_desktop(0)
except GLib.Error as error:
    stop(5, error.message)

query = json.loads(os.environ["QUERY"])
roles, wanted, program = set(query["roles"]), query["name"].casefold(), query["app"].casefold()
until = time.monotonic() + SECONDS
found, unreadable, seen, cut = [], [], 0, False


# What D-Bus and the toolkits say of an element that has gone meanwhile; anything else is a program that does not answer.
GONE = ("does not exist", "doesn't exist", "o such object", "nknown object", "no longer exists")


def gone(error):
    return any(words in error.message for words in GONE)


def value(node):
    """What it holds: a text, or a number."""
    text = node.get_text_iface()
    if text is not None:
        count = Atspi.Text.get_character_count(text)
        return Atspi.Text.get_text(text, 0, min(count, MOST_TEXT)), count <= MOST_TEXT
    number = node.get_value_iface()
    if number is not None:
        return "%.10g" % Atspi.Value.get_current_value(number), True
    return None, True


def tell(node, role, name, way, pid, app):
    place = None
    component = node.get_component_iface()
    if component is not None:
        e = Atspi.Component.get_extents(component, Atspi.CoordType.SCREEN)
        place = [e.x, e.y, e.width, e.height]
    text, whole = (None, True) if role == "password text" else value(node)
    states = [s.value_nick for s in node.get_state_set().get_states()]
    found.append(
        {
            "role": role,
            "name": name,
            "states": states,
            "place": place,
            "path": way,
            "pid": pid,
            "app": app,
            "value": text,
            "whole": whole,
        }
    )


def walk(node, way, pid, app):
    global seen, cut
    if time.monotonic() > until or seen >= MOST_NODES or len(found) >= MOST_FOUND or len(way) > MOST_DEPTH:
        cut = True
        return
    seen += 1
    role, name = node.get_role_name(), node.get_name() or ""
    if (not roles or role in roles) and wanted in name.casefold():
        tell(node, role, name, way, pid, app)
    # Nothing that a closed menu holds is on the screen, and a program may have hundreds of them.
    if role in ("menu", "popup menu") and not query["hidden"]:
        if not node.get_state_set().contains(Atspi.StateType.SHOWING):
            return
    count = node.get_child_count()
    if count > MOST_CHILDREN:
        cut = True
    for i in range(min(count, MOST_CHILDREN)):
        try:
            child = node.get_child_at_index(i)
            if child is not None:
                walk(child, way + [[role, name]], pid, app)
        except GLib.Error as error:
            if not gone(error):
                raise


for i in range(desktop.get_child_count()):
    app = None
    try:
        root = desktop.get_child_at_index(i)
        if root is None:
            continue
        app = root.get_name() or ""
        if program in app.casefold():
            pid = root.get_process_id()
            for j in range(root.get_child_count()):
                try:
                    window = root.get_child_at_index(j)
                    if window is not None:
                        walk(window, [], pid, app)
                except GLib.Error as error:
                    if not gone(error):
                        raise
    except GLib.Error as error:
        unreadable.append("%s: %s" % (app or "a program", error.message))

print(json.dumps({"nodes": found, "unreadable": unreadable, "seen": seen, "cut": cut}))
