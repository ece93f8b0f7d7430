"""Checks Kubernetes manifests against the schemas of Kubernetes and of KEDA.

Arguments: FILE...; fails if anything in them is wrong, unknown or missing. First it sees that what is
wrong is found: each way of breaking a manifest, tried on these same manifests, must be refused.
"""

import copy
import sys

import kubernetes_validate
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject

# The oldest release that knows all that the manifests use (`lifecycle.preStop.sleep`), and a new one.
KUBERNETES = ("1.30", "1.37")


def faults_of(document):
    """What is wrong with one document; nothing if all is well."""
    try:
        if document["apiVersion"].startswith("keda.sh/"):
            if document["kind"] != "ScaledObject":
                return [f"{document['kind']} is no kind of KEDA's that is used here"]
            # The model passes over what it does not know, so what it gives back must be the whole.
            model = ScaledObject.model_validate(document)
            known = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
            return list(unknown(document, known, ""))
        for release in KUBERNETES:
            kubernetes_validate.validate(document, release, strict=True)
    except Exception as fault:  # every library has its own
        return [" ".join(str(fault).split())]
    return []


def unknown(given, known, path):
    """The paths of what the schema does not know."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key in known:
                yield from unknown(value, known[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: no such field"
    elif isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        for number, (one, other) in enumerate(zip(given, known)):
            yield from unknown(one, other, f"{path}[{number}]")
    elif given != known:
        yield f"{path}: {given!r} reads as {known!r}"


def broken(document):
    """The document with one thing wrong, for each thing that can be."""
    less = copy.deepcopy(document)
    del less["kind"]
    yield "without a kind", less
    if "spec" in document:
        more = copy.deepcopy(document)
        more["spec"]["replicaz"] = 3
        yield "with an unknown field", more
    wrong = copy.deepcopy(document)
    wrong["metadata"]["name"] = {"of": "another type"}
    yield "with a wrong type", wrong


def main(files):
    faults = []
    documents = 0
    for file in files:
        with open(file, encoding="utf-8") as text:
            for document in yaml.safe_load_all(text):
                documents += 1
                name = f"{file}: {document.get('kind')} {document.get('metadata', {}).get('name')}"
                faults += [f"{name}: {fault}" for fault in faults_of(document)]
                for way, other in broken(document):
                    if not faults_of(other):
                        faults.append(f"{name}: taken for right {way}")
    for fault in faults:
        print(fault)
    print(f"{documents} manifests in {len(files)} files, {len(faults)} faults")
    return 1 if faults or not documents else 0


sys.exit(main(sys.argv[1:]))
