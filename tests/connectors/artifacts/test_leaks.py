"""Credentials in saved images, logs and builds, by the real scanner."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quub_audit.connectors import artifacts_leaks
from quub_audit.connectors.artifacts import ArtifactsConnector, on_this_machine
from quub_audit.connectors.base import Ledger
from quub_audit.errors import Malformed, Stale
from quub_audit.facts.artifacts import Freshness, Leaks
from quub_audit.facts.seal import Redactor, Sealer
from quub_audit.model.environment import Artifact
from tests.worlds.shopfront import PUBLISHABLE, made_up

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
COMMIT = "a" * 40
IN_ENV, IN_LAYER, IN_LOG = (made_up("quub_live_", name) for name in ("in the env", "in a layer", "in a log"))
CLEAN: Mapping[str, bytes] = {"app/main.py": b"import os\nKEY = os.environ['QUUB_API_KEY']\n"}
LEAKY: Mapping[str, bytes] = {**CLEAN, "app/settings.py": f'KEY = "{IN_LAYER}"\n'.encode()}

Ask = Callable[..., Leaks]


def tar(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def config(key: str = "") -> bytes:
    variables = ["PATH=/usr/bin", *([f"QUUB_API_KEY={key}"] if key else [])]
    history = [{"created_by": f"ENV {variable}"} for variable in variables]
    return json.dumps({"architecture": "amd64", "config": {"Env": variables}, "history": history}).encode()


def blob(content: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def docker_image(layer: bytes, key: str = "") -> bytes:
    """As `docker save` lays it out before version 25."""
    manifest = json.dumps([{"Config": "f00.json", "RepoTags": ["orders:1"], "Layers": ["l1/layer.tar"]}]).encode()
    return tar({"f00.json": config(key), "l1/VERSION": b"1.0", "l1/layer.tar": layer, "manifest.json": manifest})


def oci_image(layer: bytes, key: str = "") -> bytes:
    """An OCI layout, and as `docker save` has it since version 25: blobs are named by their digest alone."""
    described = config(key)
    manifest = json.dumps({"config": {"digest": blob(described)}, "layers": [{"digest": blob(layer)}]}).encode()
    blobs = {blob(each): each for each in (described, layer, manifest)}
    return tar({**blobs, "oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": b"{}"})


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """What is found in a file with some content, written an hour before the audit; the file is called `image.tar`."""
    made: list[ArtifactsConnector] = []

    def asked(content: bytes, *, name: str = "image.tar", commit: str = COMMIT) -> Leaks:
        path = tmp_path / name
        path.write_bytes(content)
        at = NOW.timestamp() - 3600
        os.utime(path, (at, at))
        artifact = Artifact(name="image", purpose="published", files=(str(path),), commit=commit)
        connector = ArtifactsConnector(
            (artifact,),
            Ledger(),
            Sealer(b"salt", Redactor()),
            at=NOW,
            commit_of=lambda of: COMMIT,
            store_of=lambda of: on_this_machine(lambda path: None),
        )
        made.append(connector)
        (leaks,) = connector.leaks(artifact, fresh=Freshness(max_age_days=7))
        return leaks

    yield asked
    for connector in made:
        connector.close()


def places(leaks: Leaks, *, are_samples: bool = False) -> list[str]:
    """Where values stand, inside of the file."""
    return [
        leak.location.file.removeprefix(f"{leaks.origin.file}!").removeprefix(leaks.origin.file)
        for leak in leaks.secrets
        if leak.is_sample is are_samples
    ]


LEAKY_TAR, CLEAN_TAR = tar(LEAKY), tar(CLEAN)
PACKED = gzip.compress(LEAKY_TAR, mtime=0)
PRESSED = zstd.compress(LEAKY_TAR)
GREEDY = b"\x28\xb5\x2f\xfd\x00\xa8" + zstd.compress(b"x")[6:]
"""The header of a frame that asks for a window of 2 GiB (RFC 8878, section 3.1.1.1.2)."""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(docker_image(LEAKY_TAR), ["l1/layer.tar!app/settings.py"], id="docker-layer"),
        pytest.param(docker_image(CLEAN_TAR, IN_ENV), ["f00.json"], id="docker-env"),
        pytest.param(docker_image(CLEAN_TAR), [], id="docker-clean"),
        pytest.param(oci_image(LEAKY_TAR), [f"{blob(LEAKY_TAR)}!app/settings.py"], id="oci-layer"),
        pytest.param(oci_image(PACKED), [f"{blob(PACKED)}!app/settings.py"], id="oci-gzip-layer"),
        pytest.param(oci_image(PRESSED), [f"{blob(PRESSED)}!app/settings.py"], id="oci-zstd-layer"),
        pytest.param(zstd.compress(docker_image(LEAKY_TAR)), ["l1/layer.tar!app/settings.py"], id="docker-zstd"),
        pytest.param(oci_image(CLEAN_TAR, IN_ENV), [blob(config(IN_ENV))], id="oci-env"),
        pytest.param(oci_image(gzip.compress(CLEAN_TAR)), [], id="oci-clean"),
        pytest.param(gzip.compress(docker_image(LEAKY_TAR)), ["l1/layer.tar!app/settings.py"], id="docker-packed"),
        pytest.param(zipped({"app.jar": zipped(LEAKY)}), ["app.jar!app/settings.py"], id="jar-in-zip"),
        pytest.param(f"+ export QUUB_API_KEY={IN_LOG}\n".encode(), [""], id="log"),
        pytest.param(b"+ make\nok\n", [], id="clean-log"),
        pytest.param(docker_image(tar({"app/page.js": f'const k = "{PUBLISHABLE}"'.encode()})), [], id="publishable"),
        pytest.param(docker_image(tar({"a\n\x1b[31m": LEAKY["app/settings.py"]})), ["l1/layer.tar!a��[31m"], id="name"),
    ],
)
def test_credentials_are_found_wherever_they_stand_in_a_file(ask: Ask, content: bytes, expected: list[str]) -> None:
    leaks = ask(content)

    assert places(leaks) == expected
    assert leaks.files_scanned
    assert not any(key in repr(leaks) for key in (IN_ENV, IN_LAYER, IN_LOG))


def test_what_is_made_for_browsers_is_told_as_that(ask: Ask) -> None:
    (leak,) = ask(tar({"app/page.js": f'const k = "{PUBLISHABLE}"'.encode()})).secrets

    assert (leak.is_sample, leak.sample_reason) == (True, "made for browsers")


def test_a_variable_of_an_image_counts_by_its_name_alone_unless_it_is_a_fingerprint(ask: Ask) -> None:
    fingerprint, secret = hashlib.sha1(b"a signer").hexdigest().upper(), made_up("", "a secret", 40)
    variables = [f"GPG_KEY={fingerprint}", f"QUUB_API_SECRET={secret}"]
    described = json.dumps({"config": {"Env": variables}}, indent=1).encode()
    in_layer = tar({"app/tokens.py": f'api_secret = "{secret}"\n'.encode()})

    leaks = ask(tar({blob(described): described, blob(in_layer): in_layer}))

    assert places(leaks) == [blob(described)]
    assert places(leaks, are_samples=True) == [blob(described), f"{blob(in_layer)}!app/tokens.py"]


def test_a_finding_says_line_tool_and_origin(ask: Ask) -> None:
    leaks = ask(docker_image(LEAKY_TAR))

    assert [(leak.location.line, leak.location.column) for leak in leaks.secrets] == [(1, 8)]
    assert leaks.files_scanned == 5
    assert (leaks.origin.tool, leaks.origin.commit) == ("betterleaks", COMMIT)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(docker_image(LEAKY_TAR)[:6000], "image.tar cannot be unpacked", id="inside-a-member"),
        pytest.param(tar(CLEAN)[:1024], "it is cut off or damaged", id="between-members"),
        pytest.param(gzip.compress(docker_image(CLEAN_TAR))[:-30], "cannot be read", id="gzip"),
        pytest.param(zipped(CLEAN)[:-30], "no end", id="zip"),
        pytest.param(docker_image(LEAKY_TAR[:1200]), "layer.tar cannot be unpacked", id="layer"),
        pytest.param(oci_image(PACKED[:-20]), "blobs/sha256/[0-9a-f]+ cannot be unpacked", id="gzip-layer"),
        pytest.param(oci_image(PRESSED[:-20]), "blobs/sha256/[0-9a-f]+ cannot be unpacked", id="zstd-layer"),
        pytest.param(oci_image(b"\x28\xb5\x2f\xfd" + b"x" * 99), "cannot be unpacked", id="zstd-nonsense"),
        pytest.param(oci_image(GREEDY), "cannot be unpacked: .*too much memory", id="zstd-window"),
        pytest.param(zstd.compress(docker_image(CLEAN_TAR))[:-30], "cannot be read", id="zstd"),
    ],
)
def test_an_archive_that_cannot_be_unpacked_is_an_error_that_says_where(ask: Ask, content: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        ask(content)


def test_broken_archives_of_what_is_in_a_layer_are_scanned_as_they_are(ask: Ask) -> None:
    broken = {
        "tests/bad.zip": b"PK\x03\x04" + LEAKY["app/settings.py"],
        "app/bad.gz": gzip.compress(LEAKY["app/settings.py"])[:-4],
        "app/data.zst": b"\x28\xb5\x2f\xfd",
    }

    leaks = ask(docker_image(tar(broken)))

    assert places(leaks) == ["l1/layer.tar!tests/bad.zip", "l1/layer.tar!app/bad.gz"]


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
def test_a_bomb_ends_at_the_bound(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, compress: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(artifacts_leaks, "MAX_BYTES", 4 << 20)
    bomb = docker_image(tar({"app/bomb": compress(bytes(16 << 20))}))

    with pytest.raises(Malformed, match=r"image\.tar unpacks to more than 4 MiB"):
        ask(bomb)


def test_a_swarm_of_members_ends_at_the_bound(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts_leaks, "MAX_MEMBERS", 20)

    with pytest.raises(Malformed, match=r"image\.tar holds more than 20 files"):
        ask(docker_image(tar({f"app/{number}": b"" for number in range(30)})))


def test_a_header_that_would_fill_the_memory_is_refused(ask: Ask) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40

    with pytest.raises(Malformed, match="has a header of more than 16 MiB"):
        ask(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def test_archives_inside_one_another_end_at_the_bound(ask: Ask) -> None:
    content = LEAKY["app/settings.py"]
    for _ in range(12):
        content = zipped({"in.zip": content})

    assert ask(content).files_scanned == 1


def test_an_empty_file_shows_nothing(ask: Ask) -> None:
    assert ask(b"").files_scanned == 0


def test_an_image_of_no_known_commit_is_stale(ask: Ask) -> None:
    with pytest.raises(Stale, match="does not say of which commit it is"):
        ask(docker_image(CLEAN_TAR), commit="")
