"""Times other readers of text: readers.py rapidocr|tesseract PNG COUNT prints {"ms": [...], "lines": [...]}."""

import json
import subprocess
import sys
import time


def rapidocr():
    import logging
    logging.disable(logging.CRITICAL)
    from rapidocr import RapidOCR
    engine = RapidOCR()
    return lambda png: list(engine(png).txts or [])


def tesseract():
    def read(png):
        # 11: sparse text, in no order, as screens have it.
        out = subprocess.run(['tesseract', png, '-', '--psm', '11'], check=True, capture_output=True, text=True)
        return [line for line in out.stdout.splitlines() if line.strip()]
    return read


name, png, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
read = {'rapidocr': rapidocr, 'tesseract': tesseract}[name]()
times, lines = [], []
for _ in range(count):
    begun = time.perf_counter()
    lines = read(png)
    times.append((time.perf_counter() - begun) * 1000)
json.dump({'ms': times, 'lines': lines}, sys.stdout)
