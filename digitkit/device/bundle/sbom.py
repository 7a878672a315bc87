"""The bill of materials of a bundle, as CycloneDX 1.6 JSON."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

from digitkit.device.bundle.contents import Contents
from digitkit.device.bundle.wheels import SUBSTITUTES, Wheel, applies, marker_environment
from digitkit.errors import needs_extra
from digitkit.version import __version__

try:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
    from cyclonedx.model.tool import ToolRepository
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL
    from packaging.utils import canonicalize_name
except ImportError as error:
    raise needs_extra("cyclonedx-python-lib", "digitkit bundle", "bundle") from error


def make_sbom(contents: Contents) -> bytes:
    """Describe what a bundle contains.

    Returns:
        CycloneDX 1.6 JSON. It has no timestamp, and its serial number is derived from the rest, so
        that the same contents give the same bytes.
    """
    bom = Bom(version=1, serial_number=uuid.UUID(int=0), metadata=_make_metadata(contents))
    own = bom.metadata.component
    assert own is not None
    components = {contents.own.path.name: own}
    for name, wheel in contents.different_wheels().items():
        components[name] = _make_wheel_component(wheel, ComponentType.LIBRARY)
        bom.components.add(components[name])
    for component in _make_data_components(contents):
        bom.components.add(component)
    for name, needed in _list_dependencies(contents).items():
        bom.register_dependency(components[name], [components[each] for each in sorted(needed)])
    content = json.dumps(_serialize(bom), sort_keys=True)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, content)
    return (json.dumps(_serialize(bom), indent=1, ensure_ascii=False) + "\n").encode()


def _serialize(bom: Bom) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]
    return document


def _make_metadata(contents: Contents) -> BomMetaData:
    tool = Component(type=ComponentType.APPLICATION, name="digitkit bundle", version=__version__)
    return BomMetaData(
        component=_make_wheel_component(contents.own, ComponentType.APPLICATION),
        tools=ToolRepository(components=[tool]),
        properties=[
            Property(name="digitkit:platform", value=contents.config.platform),
            Property(name="digitkit:pythons", value=" ".join(contents.config.pythons)),
        ],
    )


def _make_wheel_component(wheel: Wheel, kind: ComponentType) -> Component:
    # Wheels of one release for several Pythons differ by the file name.
    qualifiers = None if wheel.name == "digitkit" else {"file_name": wheel.path.name}
    purl = PackageURL("pypi", None, wheel.name, wheel.version, qualifiers)
    licenses: list[DisjunctiveLicense | LicenseExpression]
    if wheel.license_expression is not None:
        licenses = [LicenseExpression(wheel.license_expression)]
    else:
        licenses = [DisjunctiveLicense(name=name) for name in wheel.license_names]
    return Component(
        type=kind,
        bom_ref=purl.to_string(),
        name=wheel.name,
        version=wheel.version,
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel.sha256)],
        licenses=licenses,
    )


def _make_data_components(contents: Contents) -> Iterator[Component]:
    """The models and MNIST."""
    model, network = contents.model, ComponentType.MACHINE_LEARNING_MODEL
    for name, data in contents.shipped(r"[^/]+\.onnx").items():
        yield _make_file_component(name, data, network, "MIT")
    if model.file is not None:
        yield _make_file_component(model.name, model.file.read_bytes(), network)
    for name, data in contents.mnist.items():
        yield _make_file_component(name, data, ComponentType.DATA, "CC-BY-SA-3.0")


def _make_file_component(
    name: str, data: bytes, kind: ComponentType, license_id: str | None = None
) -> Component:
    sha256 = hashlib.sha256(data).hexdigest()
    return Component(
        type=kind,
        bom_ref=f"{name}#{sha256[:12]}",
        name=name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        licenses=[DisjunctiveLicense(id=license_id)] if license_id else [],
    )


def _list_dependencies(contents: Contents) -> dict[str, set[str]]:
    """File names of wheels to those of the wheels that they need, over all Pythons."""
    dependencies: dict[str, set[str]] = {}
    for python, wheels in contents.wheels.items():
        environment = marker_environment(python, contents.config.machine)
        files = {wheel.name: wheel.path.name for wheel in wheels}
        for wheel in (contents.own, *wheels):
            needed = dependencies.setdefault(wheel.path.name, set())
            for requirement in wheel.requires:
                name = str(canonicalize_name(requirement.name))
                name = SUBSTITUTES.get(name, name) if wheel is contents.own else name
                if name in files and applies(requirement, environment, contents.config.extras):
                    needed.add(files[name])
    return dependencies
