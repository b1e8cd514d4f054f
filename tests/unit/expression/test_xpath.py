"""XPath on XML text."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_arazzo.expression.languages import VERSIONS, QueryError
from airflow_arazzo.expression.xpath import check_query, find_nodes, holds, parse_xml, select

EVERY = pytest.mark.parametrize("version", VERSIONS["xpath"])
XML = '<r><a>1</a><a k="v">2<b/></a>tail<p>2.50</p>tail<e/></r>'
SOAP = '<s:Envelope xmlns:s="urn:soap" xmlns="urn:app"><s:Body><Id>7</Id></s:Body></s:Envelope>'


@EVERY
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("/r/a[1]", ["1"]),
        ("/r/a[2]", ['<a k="v">2<b /></a>']),
        ("/r/a[2]/@k", ["v"]),
        ("/r/a/text()", ["1", "2"]),
        ("/r/e", [""]),
        ("/r/zz", []),
        ("count(/r/a)", [2]),
        ("string(/r/p)", ["2.50"]),
        ("sum(/r/p)", [Decimal("2.5")]),
        ("sum(/r/a)", [3]),
        ("1 div 4", [Decimal("0.25")]),
        ("number('x')", []),
        ("/r/p > 2", [True]),
        ("/r/a[. = 2]/@k", ["v"]),
    ],
)
def test_select(query: str, found: list[Any], version: str) -> None:
    values = select(XML, query, version)
    assert values == found
    assert [type(value) for value in values] == [type(value) for value in found]


@EVERY
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("count(/r/a) > 1", True),
        ("/r/a", True),
        ("/r/zz", False),
        ("/r/p = 2.5", True),
        ("/r/p = 2.4", False),
        ("0", False),
        ("2", True),
        ("''", False),
        ("'false'", True),
        ("false()", False),
        ("number('x')", False),
        ("not(/r/zz)", True),
        ("/r/e", True),
        ("string(/r/e)", False),
    ],
)
def test_effective_boolean_value(query: str, expected: bool, version: str) -> None:
    assert holds(XML, query, version) is expected


def test_versions_differ() -> None:
    check_query("for $x in /r/a return $x", "xpath-20")
    check_query("map{'a': 1}", "xpath-31")
    with pytest.raises(QueryError):
        check_query("map{'a': 1}", "xpath-30")
    with pytest.raises(QueryError):
        check_query("for $x in /r/a return $x", "xpath-10")
    with pytest.raises(ValueError, match="more than one item"):
        select(XML, "/r/a + 1", "xpath-31")
    assert select(XML, "/r/a + 1", "xpath-10") == [2]
    assert holds(XML, "1 div 0", "xpath-10")


def test_prefixes_are_those_of_the_document() -> None:
    assert select(SOAP, "/s:Envelope/s:Body/Id") == ["7"]
    assert select(SOAP, "/s:Envelope/s:Body/Id", "xpath-10") == []
    assert select(SOAP, "//*[local-name() = 'Id']", "xpath-10") == ["7"]
    check_query("/s:Envelope/other:Body/fn:count(*)", "")
    with pytest.raises(QueryError, match="nope"):
        select(SOAP, "/nope:Envelope")


def test_variables_are_typed() -> None:
    assert select(XML, "/r/a[. = $v]/@k", variables={"v": 2}) == ["v"]
    assert select(XML, "/r/p[. = $v]", variables={"v": Decimal("2.50")}) == ["2.50"]
    assert select(XML, "/r/a[. = $v]", variables={"v": []}) == []
    assert select(XML, "/r/a[. = $v]", variables={"v": "1' or '1' = '1"}) == []


@EVERY
@pytest.mark.parametrize(("query", "offset"), [("/r/a[", 4), ("/r/", 3), ("nope()", 0), ("1 +", 3), ("", 0)])
def test_malformed(query: str, offset: int, version: str) -> None:
    with pytest.raises(QueryError) as caught:
        check_query(query, version)
    assert caught.value.offset == pytest.approx(offset, abs=1)


@pytest.mark.parametrize(
    "call",
    [
        "doc('{file}')",
        "fn:doc('{file}')",
        "doc#1('{file}')",
        "'{file}' => doc()",
        "for-each('{file}', doc#1)",
        "function-lookup(xs:QName('fn:doc'), 1)('{file}')",
        "Q{{http://www.w3.org/2005/xpath-functions}}doc('{file}')",
        "doc-available('{file}')",
        "collection('{file}')",
        "unparsed-text('{file}')",
        "json-doc('{file}')",
        "environment-variable('PATH')",
        "available-environment-variables()",
        "transform(map{{}})",
        "load-xquery-module('{file}')",
    ],
)
def test_nothing_outside_is_reached(call: str, tmp_path: Path) -> None:
    file = tmp_path / "secret.xml"
    file.write_text("<secret/>")
    query = call.format(file=file)
    with pytest.raises(QueryError):
        check_query(query, "xpath-31")
    with pytest.raises(QueryError):
        select(XML, query)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE r [<!ENTITY x "y">]><r>&x;</r>',
        '<!DOCTYPE r SYSTEM "file:///etc/hostname"><r/>',
        "<!DOCTYPE r><r/>",
        '<?xml version="1.0"?><!-- x --><!DOCTYPE r><r/>',
    ],
)
def test_document_types_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="document type"):
        select(text, "/r")


@pytest.mark.parametrize(
    "text", ["", "text", "<r>", "<r></s>", "<r>&x;</r>", "{}", "<r/><r/>", "<r>\ud800</r>"]
)
def test_not_xml(text: str) -> None:
    with pytest.raises(ValueError, match="not XML"):
        select(text, "/r")


def test_an_encoding_declaration_does_not_matter_in_text() -> None:
    assert select('<?xml version="1.0" encoding="ISO-8859-1"?><r>é</r>', "/r") == ["é"]


@pytest.mark.parametrize("query", ["map{'a': 1}", "/r/a ! function($x) {$x}", "/r/p/error()"])
def test_what_has_no_value(query: str) -> None:
    with pytest.raises(ValueError, match="XPath"):
        select(XML, query)


def test_nodes_know_where_they_are() -> None:
    tree, namespaces = parse_xml(XML)
    [attribute] = find_nodes(tree, namespaces, "/r/a/@k")
    assert (attribute.name, attribute.parent.elem.tag) == ("k", "a")
    with pytest.raises(QueryError):
        find_nodes(tree, namespaces, "/r/[")
