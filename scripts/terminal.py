"""Draws text as a terminal shows it, for pictures of real runs in the documents."""

import html

COMMAND, OUTPUT, REMARK = "#8ad08a", "#e6e6e6", "#8a9099"
NO_BREAK = "\u00a0"  # browsers draw several blanks as one


def draw(path, lines, columns):
    """lines: (colour, text); the colour does not matter for an empty text."""
    width, height = 8 * columns + 24, 18 * len(lines) + 22
    with open(path, "w", encoding="utf-8") as file:
        file.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">\n'
                   % (width, height, width, height))
        file.write('<rect x="0.5" y="0.5" width="%d" height="%d" rx="6" fill="#1d2025" '
                   'stroke="#3d444d"/>\n' % (width - 1, height - 1))
        file.write('<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13">\n')
        for number, (colour, line) in enumerate(lines):
            if line:
                file.write('<text x="12" y="%d" fill="%s" textLength="%d">%s</text>\n'
                           % (18 * number + 25, colour, 8 * len(line),
                              html.escape(line).replace(" ", NO_BREAK)))
        file.write("</g>\n</svg>\n")


