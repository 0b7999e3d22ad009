"""The moving picture of README.md: chapter 2's first figure, as a reader moves it.

    python tools/make_gif.py        _build/html -> book/figures/moving.gif (needs chromium and the built book)
"""

import io
from pathlib import Path

from PIL import Image

from browser import chromium

ROOT = Path(__file__).parent.parent
ENDS = [(0, step) for step in (1, 2, 3, 4)] + [(program, 3) for program in (1, 2, 3)] + [(3, 2), (0, 2)]


def main():
    pictures = []
    with chromium(color_scheme="light", viewport={"width": 1100, "height": 1000}) as context:
        page = context.new_page()
        page.goto((ROOT / "_build/html/book/02_gae.html").as_uri(), timeout=120_000)
        figure = page.locator("figure.ck-slider").first
        for program, step in ENDS:
            figure.locator("fieldset").nth(1).locator("input").nth(program).check()
            dial = figure.get_by_role("slider")
            dial.press("Home")
            for _ in range(step):
                dial.press("ArrowRight")
            pictures.append(Image.open(io.BytesIO(figure.screenshot())).convert("RGB"))
    size = (720, round(720 * pictures[0].height / pictures[0].width))
    frames = [picture.resize(size).quantize(32) for picture in pictures]
    frames[0].save(ROOT / "book/figures/moving.gif", save_all=True, append_images=frames[1:], duration=1500, loop=0)


if __name__ == "__main__":
    main()
