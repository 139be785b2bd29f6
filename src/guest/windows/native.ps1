# What of Windows itself no command of PowerShell tells. Places are in pixels of the screen, whatever the scaling is.
Add-Type -TypeDefinition @'
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;

namespace Mosdat {
    public static class Native {
        [StructLayout(LayoutKind.Sequential)]
        public struct Rect { public int Left, Top, Right, Bottom; }
        [StructLayout(LayoutKind.Sequential)]
        public struct Point { public int X, Y; }
        delegate bool Each(IntPtr window, IntPtr unused);

        [DllImport("user32.dll")] public static extern bool SetProcessDPIAware();
        [DllImport("user32.dll")] static extern bool EnumWindows(Each each, IntPtr unused);
        [DllImport("user32.dll")] static extern bool IsWindowVisible(IntPtr window);
        [DllImport("user32.dll")] static extern bool IsIconic(IntPtr window);
        [DllImport("user32.dll", CharSet = CharSet.Unicode)] static extern int GetWindowText(IntPtr window, StringBuilder text, int most);
        [DllImport("user32.dll")] static extern uint GetWindowThreadProcessId(IntPtr window, out uint process);
        [DllImport("user32.dll")] static extern bool GetWindowRect(IntPtr window, out Rect rect);
        [DllImport("user32.dll")] static extern bool GetCursorPos(out Point point);
        [DllImport("user32.dll")] static extern IntPtr WindowFromPoint(Point point);
        [DllImport("user32.dll")] static extern IntPtr GetAncestor(IntPtr window, uint which);
        [DllImport("dwmapi.dll", EntryPoint = "DwmGetWindowAttribute")] static extern int Cloaked(IntPtr window, int what, out int value, int size);
        [DllImport("dwmapi.dll", EntryPoint = "DwmGetWindowAttribute")] static extern int Frame(IntPtr window, int what, out Rect value, int size);

        public static uint Process(IntPtr window) {
            uint process;
            GetWindowThreadProcessId(window, out process);
            return process;
        }
        public static string Title(IntPtr window) {
            var text = new StringBuilder(1024);
            GetWindowText(window, text, text.Capacity);
            return text.ToString();
        }
        // Those that a person sees: visible, not minimised, not kept from the screen by the compositor, with a title.
        public static IntPtr[] Shown() {
            var found = new List<IntPtr>();
            EnumWindows(delegate(IntPtr window, IntPtr unused) {
                int cloaked;
                bool hidden = Cloaked(window, 14, out cloaked, 4) == 0 && cloaked != 0;
                if (IsWindowVisible(window) && !IsIconic(window) && !hidden && Title(window) != "") found.Add(window);
                return true;
            }, IntPtr.Zero);
            return found.ToArray();
        }
        // Without the borders that nobody sees.
        public static int[] Place(IntPtr window) {
            Rect r;
            if (Frame(window, 9, out r, 16) != 0 && !GetWindowRect(window, out r)) return new int[0];
            return new int[] { r.Left, r.Top, r.Right - r.Left, r.Bottom - r.Top };
        }
        public static IntPtr BeneathPointer() {
            Point at;
            return GetCursorPos(out at) ? GetAncestor(WindowFromPoint(at), 2) : IntPtr.Zero;
        }
    }
}
'@
[void][Mosdat.Native]::SetProcessDPIAware()
