from __future__ import annotations

import re

import pytest

from edge.html_page import CSS, Html, bullets, figure, join, page, paragraph, section, table, tag, tiles, words

EVIL = "<script>\"'&"
SAFE = "&lt;script&gt;&quot;&#x27;&amp;"


def test_everything_is_escaped_once_unless_it_is_html() -> None:
    assert words(EVIL) == SAFE
    assert words(words(EVIL)) == SAFE
    assert words(1.5) == "1.5"
    assert words(Html("<b>")) == "<b>"
    assert join(["<", Html("<i>"), 3]) == "&lt;<i>3"


def test_adding_to_html_makes_plain_text_again() -> None:
    assert words(Html("<b>") + "<i>") == "&lt;b&gt;&lt;i&gt;"


def test_an_element_escapes_its_content_and_its_attributes() -> None:
    made = tag("p", EVIL, tag("b", "x"), class_=EVIL, aria_label="a", id=None)
    assert made == f'<p class="{SAFE}" aria-label="a">{SAFE}<b>x</b></p>'
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


@pytest.mark.parametrize(
    "made",
    [
        bullets([EVIL]), paragraph(EVIL), section(EVIL, EVIL), tiles([(EVIL, EVIL, EVIL)]),
        table(EVIL, [EVIL], [[EVIL]]), figure(Html("<svg></svg>"), EVIL), Html(page(EVIL, EVIL)),
    ],
)  # fmt: skip
def test_no_part_lets_markup_through(made: Html) -> None:
    assert SAFE in made
    assert EVIL not in made
    assert "<script" not in made


def test_no_items_make_no_list() -> None:
    assert bullets([]) == ""


def test_a_table_heads_its_rows_and_columns_and_sets_numbers_right() -> None:
    made = table("What", ["name", "count", "note"], [["a", 3, "b"]], text_columns=(0, 2))
    assert "<caption>What</caption>" in made
    assert '<th scope="col" class="n">count</th>' in made
    assert '<tr><th scope="row">a</th><td class="n">3</td><td>b</td></tr>' in made


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        table("What", ["name", "count"], [["a"]])


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2."""
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_marks_stand_out_in_both_themes(theme: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    assert len(blocks) == 2
    colours = dict(re.findall(r"--([\w]+): (#[0-9a-f]{6})", blocks[theme]))
    assert colours.keys() == {"page", "card", "text", "soft", "line", "truth", "c1", "c2", "c3", "c4"}
    for ground in ("page", "card"):
        for ink in ("text", "soft", "c1", "c2", "c3", "c4"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        assert contrast(colours["truth"], colours["page"]) >= 3.0
