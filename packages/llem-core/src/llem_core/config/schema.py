"""The JSON schema of an experiment file, with the sections of the installed plugins."""

from __future__ import annotations

from typing import Any

from llem_core.config.experiment import ExperimentConfig
from llem_core.contracts.section import BackendSection
from llem_core.plugins import plugins
from llem_core.plugins.suspect import why_unbuildable


def experiment_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of an experiment file.

    The section of each installed plugin is a property; a backend's section takes the shared
    inference fields too.
    """
    schema = ExperimentConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
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
