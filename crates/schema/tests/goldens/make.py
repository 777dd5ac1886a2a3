"""Writes sdks.json: what the vendors' own libraries make of some schemas.

Run by hand, with the packages below; the fixture that it wrote is committed, so no test needs Python.

    python -m venv venv && venv/bin/pip install openai anthropic google-genai
    venv/bin/python make.py > sdks.json
"""

import copy
import importlib.metadata
import json

from anthropic.lib._parse._transform import transform_schema
from google.genai import types
from google.genai._transformers import process_schema
from openai.lib._pydantic import _ensure_strict_json_schema


def obj(properties, required=None, **more):
    required = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": required, **more}


STRING, INTEGER = {"type": "string"}, {"type": "integer"}

SCHEMAS = {
    "all required": obj({"name": STRING, "age": INTEGER, "ok": {"type": "boolean"}, "x": {"type": "number"}}),
    "titles and descriptions": obj(
        {"name": {"type": "string", "title": "Name", "description": "Who."}}, title="Person", description="One."
    ),
    "nested": obj({"inner": obj({"a": STRING}), "list": {"type": "array", "items": obj({"b": INTEGER})}}),
    "enum": obj({"colour": {"type": "string", "enum": ["red", "green"]}}),
    "constant": obj({"kind": {"type": "string", "const": "a"}}),
    "union": obj({"value": {"anyOf": [STRING, INTEGER]}}),
    "nullable": obj({"value": {"anyOf": [STRING, {"type": "null"}]}}),
    "definitions": obj(
        {"first": {"$ref": "#/$defs/point"}, "all": {"type": "array", "items": {"$ref": "#/$defs/point"}}},
        **{"$defs": {"point": obj({"x": INTEGER, "y": INTEGER})}},
    ),
    "recursion": obj(
        {"root": {"$ref": "#/$defs/node"}},
        **{
            "$defs": {
                "node": obj({"n": INTEGER, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}),
            }
        },
    ),
    "reference with a description": obj(
        {"first": {"$ref": "#/$defs/point", "description": "Where it starts."}},
        **{"$defs": {"point": obj({"x": INTEGER})}},
    ),
    "one of all": obj({"value": {"allOf": [{"type": "string"}]}}),
    "optional": obj({"name": STRING, "age": INTEGER}, required=["name"]),
    "default": obj({"limit": {"type": "integer", "default": 5}}),
    "numbers in a range": obj({"n": {"type": "integer", "minimum": 1, "maximum": 9}}),
    "text of a length": obj({"s": {"type": "string", "minLength": 1, "maxLength": 9}}),
    "pattern": obj({"s": {"type": "string", "pattern": "^[a-z]+$"}}),
    "format": obj({"at": {"type": "string", "format": "date-time"}}),
    "unknown format": obj({"at": {"type": "string", "format": "phone"}}),
    "one item": obj({"list": {"type": "array", "items": STRING, "minItems": 1}}),
    "few items": obj({"list": {"type": "array", "items": STRING, "minItems": 2, "maxItems": 4}}),
    "one of": obj({"value": {"oneOf": [STRING, INTEGER]}}),
    "map": obj({"map": {"type": "object", "additionalProperties": INTEGER}}),
    "two of all": obj({"value": {"allOf": [obj({"a": STRING}), obj({"b": STRING})]}}),
    "types in a list": obj({"value": {"type": ["string", "null"]}}),
}


def openai(schema):
    return _ensure_strict_json_schema(schema, path=(), root=schema)


def google(schema):
    process_schema(schema, None)
    return types.Schema.model_validate(schema).model_dump(mode="json", by_alias=True, exclude_none=True)


def tried(transform, schema):
    try:
        return transform(copy.deepcopy(schema))
    except Exception as error:  # what a library refuses is a result too
        return {"refused": type(error).__name__}


def main():
    versions = {name: importlib.metadata.version(name) for name in ("openai", "anthropic", "google-genai")}
    cases = [
        {
            "name": name,
            "schema": schema,
            "openai": tried(openai, schema),
            "anthropic": tried(transform_schema, schema),
            "gemini-openapi": tried(google, schema),
        }
        for name, schema in SCHEMAS.items()
    ]
    print(json.dumps({"versions": versions, "cases": cases}, indent=1))


main()
