"""Ask the format's own validator about a crate, without a network; run by the Python of .venv-dist.

The validator reads what the terms of a crate mean from the web. The package `rocrate` holds a copy, which it is given here.
"""

import json
import logging
import sys
from importlib import resources

import requests
from rdflib.plugins.shared.jsonld import context
from rocrate.rocrate import ROCrate
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

TERMS = json.loads(resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_text(encoding="utf-8"))
# the copy is of version 1.3 of the format, in which this term has moved; the crates are of version 1.1
TERMS["@context"]["ComputationalWorkflow"] = "https://bioschemas.org/ComputationalWorkflow"
read = context.source_to_json


def answer(_, url, **options):
    """Return what the web would say to the validator itself."""
    response = requests.Response()
    response.status_code = 200 if url.startswith("https://w3id.org/ro/crate/") else 404
    response.headers["Content-Type"] = "application/ld+json"
    response._content = json.dumps(TERMS).encode()
    return response


def known(source, *further, **options):
    """Return what the web would say to the reader of linked data."""
    return (TERMS, None) if str(source).startswith("https://w3id.org/ro/crate/") else read(source, *further, **options)


context.source_to_json = known
HttpRequester.get = answer
logging.disable()
settings = {
    "rocrate_uri": sys.argv[1],
    "profile_identifier": "workflow-run-crate-0.5",
    "requirement_severity": models.Severity.REQUIRED,
    "offline": True,
}
found = services.validate(services.ValidationSettings(**settings))
for issue in found.get_issues():
    print(f"{issue.severity.name} {issue.check.identifier}: {issue.message}")
n_entities = len(ROCrate(sys.argv[1]).get_entities())
print(f"{len(found.executed_checks)} checks, {len(found.get_issues())} faults, {n_entities} entities read back")
sys.exit(bool(found.get_issues()))
