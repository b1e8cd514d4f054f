from __future__ import annotations

import copy
from typing import Any

import pytest

from airflow_arazzo.engine.messages import RequestError
from airflow_arazzo.engine.replacements import apply_replacements
from airflow_arazzo.expression.model import ABSENT, Constant
from airflow_arazzo.plan.model import Replacement

ORDER = {"customer": "c", "items": [{"id": 1, "n": 1}, {"id": 2, "n": 5}], "a/b": {"~": 0}}
XML = (
    '<?xml version="1.0" encoding="ISO-8859-1"?>'
    '<s:order xmlns:s="urn:s" xmlns="urn:d" no="1"><name>é</name>'
    '<s:item s:id="7">one</s:item><!-- k --></s:order>'
)


def replace(payload: Any, target: str, new: Any, type: str = "jsonpointer", version: str = "") -> Any:
    replacement = Replacement(target, type, Constant(None), version)  # type: ignore[arg-type]
    return apply_replacements(payload, [(replacement, new)])


@pytest.mark.parametrize(
    ("target", "new", "expected"),
    [
        ("/customer", "d", {**ORDER, "customer": "d"}),
        ("/added", None, {**ORDER, "added": None}),
        ("/items/1/n", 6, {**ORDER, "items": [{"id": 1, "n": 1}, {"id": 2, "n": 6}]}),
        ("/items/-", 3, {**ORDER, "items": [*ORDER["items"], 3]}),
        ("/items/2", 3, {**ORDER, "items": [*ORDER["items"], 3]}),
        ("/a~1b/~0", 1, {**ORDER, "a/b": {"~": 1}}),
        ("#/customer", "d", {**ORDER, "customer": "d"}),
        ("", {"all": "new"}, {"all": "new"}),
        ("/customer", ABSENT, ORDER),
        ("/nowhere/at/all", ABSENT, ORDER),
    ],
)
def test_json_pointers(target: str, new: Any, expected: Any) -> None:
    before = copy.deepcopy(ORDER)
    assert replace(ORDER, target, new) == expected
    assert before == ORDER


def test_members_keep_their_places() -> None:
    assert list(replace({"a": 1, "b": 2}, "/a", 3)) == ["a", "b"]


@pytest.mark.parametrize(
    "target",
    ["/missing/n", "/items/9", "/items/01", "/items/x", "/items/-/n", "/customer/x", "no-slash", "/~2"],
)
def test_json_pointers_that_lead_nowhere(target: str) -> None:
    with pytest.raises(RequestError, match="target") as caught:
        replace(ORDER, target, 1)
    assert caught.value.code == "bad-replacement"


def test_json_paths() -> None:
    assert replace(ORDER, "$.items[?@.n > 1].n", 9, "jsonpath")["items"] == [
        {"id": 1, "n": 1},
        {"id": 2, "n": 9},
    ]
    assert replace(ORDER, "$.items[*].n", 0, "jsonpath")["items"] == [{"id": 1, "n": 0}, {"id": 2, "n": 0}]
    assert replace({"a": {"a": 1}}, "$..a", 2, "jsonpath") == {"a": 2}
    for path in ("$.none", "$[", "$.customer.x"):
        with pytest.raises(RequestError) as caught:
            replace(ORDER, path, 1, "jsonpath")
        assert caught.value.code == "bad-replacement"


@pytest.mark.parametrize("version", ["", "xpath-31", "xpath-30", "xpath-20", "xpath-10"])
@pytest.mark.parametrize(
    ("target", "new", "old", "changed"),
    [
        ("/s:order/s:item", "<2> & é", ">one<", ">&lt;2&gt; &amp; é<"),
        ("/s:order/s:item/text()", "two", ">one<", ">two<"),
        ("//s:item/@s:id", 8, 's:id="7"', 's:id="8"'),
        ("/s:order/@no", 'a"b', 'no="1"', 'no="a&quot;b"'),
    ],
)
def test_xpaths(version: str, target: str, new: Any, old: str, changed: str) -> None:
    assert replace(XML, target, new, "xpath", version) == XML.replace(old, changed)


def test_names_without_prefix_are_in_the_default_namespace() -> None:
    assert replace(XML, "/s:order/name", "z", "xpath") == XML.replace(">é<", ">z<")


@pytest.mark.parametrize(
    ("payload", "target"),
    [
        (XML, "//nothing"),
        (XML, "//s:item["),
        (XML, "count(//s:item)"),
        (XML, "doc('file:///etc/passwd')"),
        ("<a>", "//a"),
        ("no xml", "//a"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a/>', "//a"),
        ({"a": 1}, "//a"),
        ("<a>x<b/>y</a>", "/a/text()"),
    ],
)
def test_xpaths_that_are_refused(payload: Any, target: str) -> None:
    with pytest.raises(RequestError) as caught:
        replace(payload, target, "x", "xpath")
    assert caught.value.code == "bad-replacement"


def test_replacements_apply_in_their_order() -> None:
    pair = [
        (Replacement("/a", "jsonpointer", Constant(None)), {"b": 1}),
        (Replacement("/a/b", "jsonpointer", Constant(None)), 2),
    ]
    assert apply_replacements({}, pair) == {"a": {"b": 2}}
