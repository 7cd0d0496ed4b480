"""The photos of `bench_phone`: a scene's code is read as a plain one is, and one whose surroundings spoil it is not."""

from __future__ import annotations

from random import Random

import pytest
from PIL import Image

from benchmarks.screen.bench_phone import conditions, pairs, photo, reads
from sco_drivers import qr
from sco_drivers.screen.paint import paint_code
from sco_hwtest.contracts.screen import LINK, scenes

PHOTOS = 16


@pytest.mark.parametrize("name", ["qr", "plate", "checking"])
def test_a_phone_reads_the_code_of_a_scene_as_often_as_a_plain_one(name: str) -> None:
    scene = next(scene for scene in scenes() if scene.name == name)
    seen = list(pairs((800, 480), scene, PHOTOS, name))
    assert 3 <= sum(plain for _, plain in seen) < PHOTOS, seen  # neither easy nor hopeless
    assert sum(one for one, _ in seen) >= sum(plain for _, plain in seen) - 1


def test_a_paler_code_is_read_less_often() -> None:
    """Otherwise the comparison would notice nothing."""
    code = paint_code(qr.encode(LINK), 7)
    random, read = Random("pale"), [0, 0]
    for number in range(PHOTOS):
        how = conditions(random)
        for kind, (light, dark) in enumerate(((255, 0), (240, 190))):
            picture = Image.new("L", (800, 480), light)
            picture.paste(code.point(lambda index: light if index % 16 == 0 else dark), (20, 20))  # noqa: B023
            read[kind] += reads(photo(picture, (20, 20, 343), how, number))
    assert read[1] < read[0] - 1, read
