#!/usr/bin/python3
"""A window that does what a case of the truth table needs: texts, buttons, and trouble at a time of one's choice."""
import argparse
import os
import sys
import time

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, GLib, Gtk  # noqa: E402

CSS = b"* { font-family: 'DejaVu Sans'; font-size: 14pt; }"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", default="Truth")
    parser.add_argument("--label", action="append", default=[], help="a text, one below the other")
    parser.add_argument("--button", action="append", default=[], help="pressed, it writes 'NAME was pressed'")
    parser.add_argument("--dead-button", action="append", default=[], help="a button that cannot be pressed")
    parser.add_argument("--silent-button", action="append", default=[], help="a button that does nothing")
    parser.add_argument("--late", help="SECONDS:TEXT, a text that comes later")
    parser.add_argument("--gone", help="SECONDS:TEXT, a text that goes later")
    parser.add_argument("--popup", help="FILE:MILLISECONDS:TEXT, a window that comes when the file is there, and goes")
    parser.add_argument("--hang", type=float, help="seconds after which nothing is answered any more")
    parser.add_argument("--die", help="SECONDS:CODE, ends with this exit code, or by this signal if it is negative")
    parser.add_argument("--at", help="X,Y of the window; else in the middle")
    parser.add_argument("--size", default="480x320")
    args = parser.parse_args()

    style = Gtk.CssProvider()
    style.load_from_data(CSS)
    Gtk.StyleContext.add_provider_for_screen(
        Gdk.Screen.get_default(), style, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION
    )
    width, height = (int(n) for n in args.size.split("x"))
    window = Gtk.Window(title=args.title, default_width=width, default_height=height)
    if args.at:
        window.move(*(int(n) for n in args.at.split(",")))
    else:
        window.set_position(Gtk.WindowPosition.CENTER)
    box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=16, margin=24)
    window.add(box)
    for text in args.label:
        box.pack_start(Gtk.Label(label=text, xalign=0), False, False, 0)
    told = Gtk.Label(label="", xalign=0)

    def button(text, pressed=None, alive=True):
        made = Gtk.Button(label=text, sensitive=alive, halign=Gtk.Align.START)
        if pressed:
            made.connect("clicked", pressed)
        box.pack_start(made, False, False, 0)

    for text in args.button:
        button(text, lambda _b, name=text: told.set_text(f"{name} was pressed"))
    for text in args.dead_button:
        button(text, alive=False)
    for text in args.silent_button:
        button(text)
    box.pack_end(told, False, False, 0)

    def after(seconds, run):
        GLib.timeout_add(int(float(seconds) * 1000), lambda: run() and False)

    if args.late:
        seconds, text = args.late.split(":", 1)
        late = Gtk.Label(label="", xalign=0)
        box.pack_start(late, False, False, 0)
        after(seconds, lambda: late.set_text(text))
    if args.gone:
        seconds, text = args.gone.split(":", 1)
        gone = Gtk.Label(label=text, xalign=0)
        box.pack_start(gone, False, False, 0)
        after(seconds, gone.hide)
    if args.popup:
        sign, stays, text = args.popup.split(":", 2)

        def popup():
            note = Gtk.Window(type=Gtk.WindowType.POPUP)
            note.add(Gtk.Label(label=text, margin=24))
            note.move(200, 80)
            note.show_all()
            after(float(stays) / 1000, note.destroy)

        def look():
            if os.path.exists(os.path.expanduser(sign)):
                popup()
                return False
            return True

        GLib.timeout_add(100, look)
    if args.hang is not None:
        after(args.hang, lambda: time.sleep(3600))
    if args.die:
        seconds, code = args.die.split(":")

        def die():
            print("truth: dying as asked", file=sys.stderr, flush=True)
            if int(code) < 0:
                os.kill(os.getpid(), -int(code))
            os._exit(int(code))

        after(seconds, die)
    window.connect("destroy", Gtk.main_quit)
    window.show_all()
    Gtk.main()


if __name__ == "__main__":
    main()
