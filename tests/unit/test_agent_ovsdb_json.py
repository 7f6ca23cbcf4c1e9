"""The fast JSON parser against the library's own, on whole and on cut texts."""

import json

import ovs.json
from hypothesis import given
from hypothesis import strategies as st

from agent.ovsdb_json import Parser

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
MESSAGES = st.dictionaries(TEXT, VALUES, max_size=3)


def read(kind, pieces):
    """Return the values in a stream that comes in *pieces*, as ``ovs.jsonrpc`` reads it."""
    found, parser = [], None
    for piece in pieces:
        rest = piece
        while rest:
            parser = parser or kind()
            rest = rest[parser.feed(rest) :]
            if parser.is_done():
                found.append(parser.finish())
                parser = None
    return found


@given(st.lists(MESSAGES, min_size=1, max_size=3), st.lists(st.integers(1, 9)), st.booleans())
def test_every_message_is_read_however_the_stream_is_cut(messages, cuts, ascii_only):
    stream = "".join(json.dumps(each, ensure_ascii=ascii_only) for each in messages)
    pieces, place = [], 0
    for length in cuts:
        pieces.append(stream[place : place + length])
        place += length
    pieces.append(stream[place:])
    assert read(Parser, pieces) == messages
    assert read(Parser, list(stream)) == messages


@given(MESSAGES)
def test_it_reads_what_the_librarys_own_parser_reads(message):
    stream = json.dumps(message)
    assert read(Parser, [stream]) == read(ovs.json.Parser, [stream])


def test_what_is_no_message_is_said_to_be_wrong():
    for text in ("}", "]", "{]", "hello", '"text"', "{'a': 1}", "[" * 5000 + "]" * 5000):
        assert isinstance(read(Parser, [text])[0], str), text
