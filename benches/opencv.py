"""Times OpenCV's matchTemplate: opencv.py SCREEN TEMPLATE X Y MARGIN COUNT prints one number a line, in ms.

X, Y: where the template was taken; MARGIN: how far from there it is looked for, -1 for the whole screen.
"""

import sys
import time

import cv2

screen, template = (cv2.imread(name) for name in sys.argv[1:3])
x, y, margin, count = (int(n) for n in sys.argv[3:7])
template = cv2.cvtColor(template, cv2.COLOR_BGR2GRAY)
height, width = template.shape
for _ in range(count):
    begun = time.perf_counter()
    part = screen
    if margin >= 0:
        part = screen[max(0, y - margin):y + height + margin, max(0, x - margin):x + width + margin]
    scores = cv2.matchTemplate(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), template, cv2.TM_CCOEFF_NORMED)
    _, best, _, _ = cv2.minMaxLoc(scores)
    print((time.perf_counter() - begun) * 1000, flush=True)
    assert best > 0.99, best
