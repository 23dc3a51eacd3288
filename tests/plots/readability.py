"""What every figure must be at every width: its text 8 points or larger, on the page, and nowhere on top of other text."""

from __future__ import annotations

SMALLEST = 8
"""Points."""


def drawn_text(figure, monkeypatch) -> list:
    """Text that is really drawn: matplotlib also keeps tick labels beyond the limits, which it never draws."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas, seen, draw = FigureCanvasAgg(figure), [], Text.draw
    with monkeypatch.context() as patch:
        patch.setattr(Text, "draw", lambda self, renderer: (seen.append(self), draw(self, renderer)))
        canvas.draw()
    return [text for text in seen if text.get_visible() and text.get_text().strip()]


def assert_readable(figure, monkeypatch, name: str = "") -> None:
    shown, page = drawn_text(figure, monkeypatch), figure.bbox
    assert min(text.get_fontsize() for text in shown) >= SMALLEST, name
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    for text, box in boxes:
        assert page.x0 - 2 < box.x0 < box.x1 < page.x1 + 2, (name, text)
        assert page.y0 - 2 < box.y0 < box.y1 < page.y1 + 2, (name, text)
    for k, (text, box) in enumerate(boxes):
        for other, rival in boxes[k + 1 :]:
            assert not _collide(box, rival), (name, text, other)


def _collide(a, b, slack: float = 1.5) -> bool:
    return min(a.x1, b.x1) - max(a.x0, b.x0) > slack and min(a.y1, b.y1) - max(a.y0, b.y0) > slack
