"""How long and how many images are kept."""

from __future__ import annotations

import pytest

from adapters.types import Media
from gateway.images import cache as module
from gateway.images.cache import LIFETIME, Cache


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(clock):
    return Cache(clock)


def image(size: int = 4) -> Media:
    return Media("image", "A" * size)


def room(monkeypatch, images: int, size: int = 4) -> None:
    """Let so many images of this size fit, by URLs of one letter."""
    monkeypatch.setattr(module, "CAPACITY", images * (size + 1 + module._ENTRY))


def test_an_image_is_kept_by_its_url(cache):
    cache.put("a", image())

    assert cache.get("a") == image()
    assert cache.get("b") is None


def test_an_image_is_kept_for_a_while_only(cache, clock):
    cache.put("a", image())
    clock.now += LIFETIME - 1
    assert cache.get("a")
    clock.now += 1
    assert cache.get("a") is None
    clock.now -= 1
    assert cache.get("a") is None


def test_to_be_asked_for_does_not_make_an_image_younger(cache, clock):
    cache.put("a", image())
    for _ in range(4):
        clock.now += LIFETIME / 4
        cache.get("a")

    assert cache.get("a") is None


def test_the_one_that_was_asked_for_longest_ago_goes_first(cache, monkeypatch):
    room(monkeypatch, 3)
    for url in "abc":
        cache.put(url, image())
    cache.get("a")
    cache.put("d", image())

    assert [url for url in "abcd" if cache.get(url)] == ["a", "c", "d"]


def test_a_large_image_takes_the_place_of_several(cache, monkeypatch):
    room(monkeypatch, 3, size=1000)
    for url in "abc":
        cache.put(url, image(1000))
    cache.put("d", image(1000 + 1025))

    assert [url for url in "abcd" if cache.get(url)] == ["c", "d"]


def test_one_that_is_larger_than_all_room_is_not_kept_and_displaces_nothing(cache, monkeypatch):
    room(monkeypatch, 1)
    cache.put("a", image())
    cache.put("b", image(5))

    assert [url for url in "ab" if cache.get(url)] == ["a"]


def test_long_urls_and_small_images_count(cache, monkeypatch):
    monkeypatch.setattr(module, "CAPACITY", 10 * module._ENTRY)
    for number in range(20):
        cache.put(f"{number:03}", image(0))
    assert sum(cache.get(f"{number:03}") is not None for number in range(20)) == 9

    cache.put("u" * 9 * module._ENTRY, image(0))
    assert sum(cache.get(f"{number:03}") is not None for number in range(20)) == 0


def test_an_image_that_is_put_twice_counts_once(cache, monkeypatch):
    room(monkeypatch, 2)
    cache.put("a", image())
    for _ in range(5):
        cache.put("b", image())

    assert cache.get("a")
    assert cache.get("b")
