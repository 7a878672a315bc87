"""Installs a bundle in Debian containers with a running systemd, and tries its service.

``make test-systemd``. It requires root, apt and ``apt-get install systemd-container``, and says
what it skips where a container cannot be booted. Each check prints a line.
"""

import json
import platform
import sys
import tarfile
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

from container import Container, UnavailableError, check_tools, wait_for

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "tests/arm64"))  # builds the file trees of Debian

from emulation import HarnessError
from roots import SUITES, make_root

from digitkit.device.bundle.build import build_bundle
from digitkit.device.bundle.bundle_config import BundleConfig

BUILD = PROJECT / "build/systemd"
KINDS = {"x86_64": ("amd64", "linux-x64"), "aarch64": ("arm64", "linux-arm64")}
"""The architecture of Debian and the bundle's platform, by what ``uname -m`` prints."""

SETTINGS = "/etc/digitkit.toml"
LOG = "/var/log/digitkit/readings.jsonl"
STREAM = f"""camera = "http://127.0.0.1:8000/"
retry = inf
hold = 2
format = "jsonl"
[output]
file = "{LOG}"
"""

SERVED = (
    STREAM
    + """[serve]
port = 8080
token_file = "digitkit-token"
"""
)
INFER = "ExecStart=\\nExecStart=/opt/digitkit/current/venv/bin/digitkit infer --config " + SETTINGS
"""Lines for the unit: instead of the page and the API, what a bundle without them runs."""


class Service:
    """The service in a container."""

    def __init__(self, container: Container) -> None:
        self.container = container

    def run(self, command: str) -> str:
        """The output of a command that must succeed."""
        result = self.container.run(command)
        require(result.returncode == 0, f"it fails: {command}", result)
        return result.stdout

    def show(self, *names: str) -> tuple[str, ...]:
        """Properties of the unit."""
        lines = self.run(f"systemctl show digitkit -p {','.join(names)}").splitlines()
        values = dict(line.split("=", 1) for line in lines)
        return tuple(values[name] for name in names)

    def journal(self) -> str:
        """What it has printed since it was started last."""
        return self.run(
            "journalctl -o cat _SYSTEMD_INVOCATION_ID=$(systemctl show digitkit -P InvocationID)"
        )

    def start_with(self, settings: str, unit: str = "", *, runs: str = INFER) -> None:
        """Start it with other settings, and with further lines for its unit."""
        folder = "/etc/systemd/system/digitkit.service.d"
        self.run(
            f"mkdir -p {folder}; printf '[Service]\\nRestartSec=1\\n{unit}{runs}\\n' "
            f"> {folder}/test.conf; "
            f"systemctl daemon-reload; cat > {SETTINGS} <<'END'\n{settings}\nEND\n"
            "systemctl stop digitkit; systemctl reset-failed digitkit 2>/dev/null; "
            "systemctl --no-block start digitkit"
        )

    def wait(self, *expected: str) -> None:
        """Wait for its state, such as active, running."""
        names = ("ActiveState", "SubState")
        done = wait_for(lambda: self.show(*names) == expected)
        state = self.container.run("systemctl status --no-pager -l digitkit")
        require(done, f"the service is {self.show(*names)}, not {expected}", state)


def require(condition: object, message: str, result: CompletedProcess[str] | None = None) -> None:
    """Fail with a message, and the output of a command, unless a condition holds."""
    if not condition:
        if result is not None:
            message += f"\n{(result.stdout + result.stderr).strip()[-2000:]}"
        raise HarnessError(message)


def installs(service: Service) -> str:
    """install.sh --system starts a valid unit, which waits for its camera as its own user."""
    service.run("/bundle/install.sh --system")
    service.wait("active", "running")
    verified = service.container.run("systemd-analyze verify digitkit.service 2>&1")
    # systemd before 254 does not know two keys.
    unknown = [line for line in verified.stdout.splitlines() if "'Restart" not in line]
    require(not unknown, "the unit is not valid", verified)
    process, user = service.show("MainPID", "UID")
    status = service.run(f"cat /proc/{process}/status").splitlines()
    facts = dict(line.split(":\t", 1) for line in status)
    require(set(facts["Uid"].split()) == {user} != {"0"}, f"its user is {facts['Uid']}")
    require("44" in facts["Groups"].split(), f"its groups are {facts['Groups']}")
    require(int(facts["CapEff"], 16) == 0, f"its capabilities are {facts['CapEff']}")
    return f"user {user}"


def reads(service: Service) -> str:
    """A stream's readings go to the journal and to a log file of its own user."""
    service.run(
        "systemd-run --quiet --unit=camera -p Environment=PYTHONDONTWRITEBYTECODE=1 "
        "/opt/digitkit/current/venv/bin/python /tests/systemd/camera.py "
        "/bundle/sample/page.jpg 8000"
    )
    service.start_with(STREAM)
    expected = service.run("cat /bundle/sample/expected.txt").strip()
    done = wait_for(lambda: service.container.run(f"test -s {LOG}").returncode == 0)
    require(done, f"no reading: {service.journal()}")
    line = service.run(f"head -n 1 {LOG}").strip()
    require(json.loads(line)["text"] == expected, f"it reads {line}")
    require(line in service.journal().splitlines(), "the journal has other readings")
    owner = service.run(f"stat -c '%u %a' {LOG}").strip()
    require(owner == f"{service.show('UID')[0]} 640", f"owner and mode are {owner}")
    return " ".join(expected.split())


def stops(service: Service) -> str:
    """SIGTERM ends it with exit code 0 while it reads."""
    service.run("systemctl stop digitkit")
    names = ("ActiveState", "Result", "ExecMainCode", "ExecMainStatus", "NRestarts")
    end = service.show(*names)
    require(end == ("inactive", "success", "1", "0", "0"), f"it ends with {end}")
    return "exit code 0"


def hangs(service: Service) -> str:
    """The watchdog ends a process that hangs, and it is started again."""
    service.start_with(STREAM, "WatchdogSec=3\\n")
    service.wait("active", "running")
    (before,) = service.show("MainPID")
    service.run(f"kill -STOP {before}")
    done = wait_for(lambda: service.show("NRestarts") != ("0",))
    require(done, f"it is not started again: {service.journal()}")
    service.wait("active", "running")
    (after,) = service.show("MainPID")
    require(after not in ("0", before), "it is the same process")
    return "started again"


def wrong_settings(service: Service) -> str:
    """Wrong settings end it for good, with exit code 78; once they are right it starts."""
    # The last one is where the service may not look.
    models = ("none.onnx", "/home/pi/mine.onnx")
    wrong = ("fsp = 5", "fps = ", "# no camera", "camera = 'seven'")
    wrong += tuple(f"camera = '0'\nmodel = '{model}'" for model in models)
    for line in wrong:
        service.start_with(line)
        service.wait("failed", "failed")
        end = service.show("ExecMainStatus", "NRestarts")
        require(end == ("78", "0"), f"{line}: exit code, restarts: {end}")
    service.start_with(STREAM)
    service.wait("active", "running")
    return f"exit code 78, no restart; {len(wrong)} mistakes"


def missing_camera(service: Service) -> str:
    """A camera that is missing is tried again, although `retry` says not to wait for it."""
    service.start_with('camera = "/dev/video9"\nretry = 0')
    done = wait_for(lambda: int(service.show("NRestarts")[0]) >= 2)
    require(done, f"it is not started again: {service.show('NRestarts', 'ExecMainStatus')}")
    return "started again"


ASK = """
import json, sys, urllib.error, urllib.request
token = open("/etc/digitkit-token").read().strip()
url = "http://127.0.0.1:8080/api/" + sys.argv[1]
try:
    urllib.request.urlopen(url)
    sys.exit("it requires no token")
except urllib.error.HTTPError as error:
    assert error.code == 401, error
request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
print(json.dumps(json.load(urllib.request.urlopen(request))))
"""


def serves(service: Service) -> str:
    """As it is installed, it answers those who have the token, and keeps what it reads."""
    service.start_with(SERVED, runs="")
    expected = service.run("cat /bundle/sample/expected.txt").split()
    ask = f"/opt/digitkit/current/venv/bin/python -c '{ASK}'"

    def has_read() -> bool:
        answer = service.container.run(f"{ask} readings")
        if answer.returncode:
            return False
        texts = {line["number"]["text"] for line in json.loads(answer.stdout)["readings"]}
        return texts >= set(expected)

    done = wait_for(has_read)
    require(
        done, f"it does not answer: {service.journal()}", service.container.run(f"{ask} health")
    )
    health = json.loads(service.run(f"{ask} health"))
    require(health["status"] == "ok", f"its health is {health}")
    (user,) = service.show("UID")
    owner = service.run("stat -Lc '%u %a' /var/lib/digitkit/history.db").strip()
    require(owner == f"{user} 600", f"owner and mode of the history are {owner}")
    doctor = service.run("digitkit doctor --no-camera --json || true")
    found = {one["name"]: one for one in json.loads(doctor)["checks"]}
    require(found["serve"]["state"] == "ok", f"doctor finds {found['serve']}")
    service.run("systemctl stop digitkit")
    end = service.show("Result", "ExecMainStatus")
    require(end == ("success", "0"), f"it ends with {end}")
    return f"health, history, doctor; {found['serve']['found']}"


def is_removed(service: Service) -> str:
    """uninstall.sh removes it while it runs."""
    service.start_with(STREAM)
    service.wait("active", "running")
    service.run("/bundle/uninstall.sh --system --yes --purge")
    left = service.show("LoadState", "MainPID")
    require(left == ("not-found", "0"), f"left: {left}")
    paths = ("/opt/digitkit", SETTINGS, "/var/log/digitkit", "/usr/local/bin/digitkit")
    paths += ("/etc/digitkit-token", "/var/lib/digitkit", "/var/lib/private/digitkit")
    for path in paths:
        require(service.container.run(f"test -e {path}").returncode == 1, f"{path} is left")
    return "nothing is left"


CHECKS = (installs, reads, stops, hangs, wrong_settings, missing_camera, serves, is_removed)


def make_bundle(name: str, folder: Path) -> Path:
    """Build a bundle of this checkout for a platform; returns its unpacked folder."""
    config = BundleConfig(folder / "b.tar.gz", tuple(SUITES.values()), name, web=True)
    bundle = build_bundle(config, log=print)
    with tarfile.open(bundle.path) as archive:
        archive.extractall(folder, filter="data")
    return folder / bundle.folder


def check_all(suite: str, root: Path, bundle: Path) -> bool:
    """Run the checks, each of which rests on those before it; returns whether all passed."""
    with Container(root, {"/bundle": bundle, "/tests": PROJECT / "tests"}) as container:
        service = Service(container)
        for check in CHECKS:
            name = f"{suite}: {check.__name__.replace('_', ' ')}"
            try:
                print(f"ok   {name}: {check(service)}", flush=True)
            except HarnessError as error:
                print(f"FAIL {name}: {error}", flush=True)
                return False
    return True


def main() -> int:
    """Run all checks; 1 if one fails."""
    kind = KINDS.get(platform.machine())
    if kind is None:
        raise UnavailableError(f"there is no bundle for {platform.machine()}")
    check_tools()
    architecture, name = kind
    BUILD.mkdir(parents=True, exist_ok=True)
    roots = {}
    for suite in SUITES:
        roots[suite] = make_root(
            *(suite, BUILD), architecture=architecture, is_emulated=False, more="systemd"
        )
        (roots[suite] / "etc/machine-id").touch()  # else it is a first boot, which asks questions
        with Container(roots[suite], {}):  # before a bundle is built in vain
            pass
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        bundle = make_bundle(name, Path(folder))
        passed = [check_all(suite, root, bundle) for suite, root in roots.items()]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UnavailableError as error:
        print(f"test-systemd: skipped: {error}")
    except HarnessError as error:
        sys.exit(f"test-systemd: {error}")
