"""The JSON schemas of experiment and study files, with the sections of the installed plugins."""

from __future__ import annotations

import re
from typing import Any

from llem_core.config.execution import ExecutionConfig
from llem_core.config.experiment import ExperimentConfig
from llem_core.config.study import LONGEST_NAME, NAME
from llem_core.contracts.config import BackendSection
from llem_core.plugins import plugins
from llem_core.plugins.problems import why_unbuildable

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def experiment_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of an experiment file.

    The section of each installed plugin is a property; a backend's section takes the shared
    inference fields too.
    """
    schema = ExperimentConfig.model_json_schema()
    schema["$schema"] = _DIALECT
    schema["additionalProperties"] = False
    definitions = schema.setdefault("$defs", {})
    definitions.pop("Section", None)
    properties = schema["properties"]
    shared = {name: properties[name] for name in sorted(BackendSection.SHARED_FIELDS)}
    known = plugins()
    for name in known.section_names():
        model = known.section(name)
        assert model is not None
        if why_unbuildable(model):  # `llem config` tells of it
            continue
        section = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(section.pop("$defs", {}))
        if issubclass(model, BackendSection):
            section["properties"] = {**section.get("properties", {}), **shared}
        definitions[model.__name__] = section
        properties[name] = {"$ref": f"#/$defs/{model.__name__}"}
    return schema


def study_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a study file: the fields of an experiment, and the study's.

    No field is required, since each may come from ``base``, ``sweep`` or ``experiments``. The
    first part of a swept path is checked, not the values.
    """
    experiment = experiment_schema()
    fields = experiment["properties"]
    execution = _execution_schema()
    roots = "|".join(map(re.escape, fields))
    return {
        "$schema": _DIALECT,
        "title": "Study",
        "description": "Experiments × cycles.",
        "type": "object",
        "additionalProperties": False,
        "properties": {**_STUDY_FIELDS, **fields},
        "$defs": {
            **experiment["$defs"],
            **execution.pop("$defs", {}),
            "ExecutionConfig": execution,
            "Grid": {
                "type": "object",
                "propertyNames": {"pattern": rf"^({roots})(\..+)?$"},
                "additionalProperties": {"type": "array", "minItems": 1},
            },
            "Differences": {
                "type": "object",
                "additionalProperties": False,
                "properties": fields,
            },
        },
    }


def _execution_schema() -> dict[str, Any]:
    """The schema of ``execution``, with a property for the section of each installed launcher."""
    schema = ExecutionConfig.model_json_schema(ref_template="#/$defs/{model}")
    schema["additionalProperties"] = False
    definitions = schema.setdefault("$defs", {})
    definitions.pop("Section", None)
    launchers = plugins().launchers
    for name in launchers.names():
        model = launchers.get(name).section
        if model is None or why_unbuildable(model):
            continue
        section = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(section.pop("$defs", {}))
        definitions[model.__name__] = section
        schema["properties"][name] = {"$ref": f"#/$defs/{model.__name__}"}
    return schema


_GRID = {"$ref": "#/$defs/Grid"}
_STUDY_FIELDS = {
    "name": {
        "type": "string",
        "pattern": f"^{NAME.pattern}$",
        "maxLength": LONGEST_NAME,
        "description": "Name of the study and of its folder.",
    },
    "base": {
        "type": "string",
        "description": "Path of an experiment file whose fields lie under this file's.",
    },
    "sweep": {
        "anyOf": [_GRID, {"type": "array", "items": _GRID}, {"type": "null"}],
        "description": "Dotted paths to lists, of which every combination is taken; of a list of "
        "such mappings, the union.",
    },
    "experiments": {
        "anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Differences"}}, {"type": "null"}],
        "description": "Experiments, each by the fields in which it differs from the shared ones.",
    },
    "execution": {"$ref": "#/$defs/ExecutionConfig"},
    "launcher": {
        "type": ["string", "null"],
        "description": "What gives each run its process: execution.launcher, said shorter.",
    },
}
"""Keys of a study file that no experiment file has; what they refer to is in ``study_schema``."""
