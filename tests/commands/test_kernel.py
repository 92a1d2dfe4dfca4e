"""`biollm kernel`: real kernels are installed, started and judged; Vista's through a program that plays apptainer."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("ipykernel")

from biollm_widgets.commands import kernel
from biollm_widgets.errors import InputError
from biollm_widgets.kernels import trial, vista

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Kernels in containers are for Linux.")
ROOT = Path(__file__).resolve().parents[2]
IN_CONTAINER = ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER")

# Writes down what it was asked, then does what is behind the image with this Python, as the container's would.
APPTAINER = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done > "{record}"
shift
while :; do
    case "$1" in
        --nv) shift ;;
        --bind) shift 2 ;;
        --env) export "$2"; shift 2 ;;
        *) break ;;
    esac
done
export APPTAINER_CONTAINER="$1"
shift 2
exec "{python}" "$@"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A Jupyter folder with a blank in its path, on a machine that is not Vista."""
    data = tmp_path / "jupyter data"
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(data))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for name in ("TACC_SYSTEM", "SCRATCH", "JUPYTER_PATH", "HF_HOME", "LMOD_CMD", *IN_CONTAINER):
        monkeypatch.delenv(name, raising=False)
    return data


@pytest.fixture
def on_vista(home, tmp_path, monkeypatch):
    """A node of Vista without a GPU; gives the folder of the fake's programs."""
    scratch, programs, devices = tmp_path / "my scratch", tmp_path / "programs", tmp_path / "dev"
    for folder in (scratch, programs, devices):
        folder.mkdir()
    (scratch / vista.IMAGE).write_text("an image")
    write_apptainer(programs)
    monkeypatch.setenv("TACC_SYSTEM", "vista")
    monkeypatch.setenv("SCRATCH", str(scratch))
    monkeypatch.setenv("BIOLLM_DEVICES", str(devices))
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return programs


def write_apptainer(programs):
    (programs / "apptainer").write_text(APPTAINER.format(record=programs / "asked", python=sys.executable))
    (programs / "apptainer").chmod(0o755)


def biollm(*words):
    return CliRunner().invoke(
        kernel.command, [str(word) for word in words], catch_exceptions=False, standalone_mode=False
    )


def checked(name="Day4-pt-251", *words):
    result = biollm("check", name, "--json", *words)
    return result.return_value, json.loads(result.output)


def write_kernel(home, argv, name="Day4-pt-251"):
    folder = home / "kernels" / name
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": "python"}))
    return folder


def everything(folder):
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def asked(programs):
    return (programs / "asked").read_text().splitlines()


def test_elsewhere_it_is_this_python_and_the_check_says_what_it_has(home):
    said = biollm("install").output
    assert f"runs this Python, {sys.executable}" in said
    spec = json.loads((home / "kernels" / "Day4-pt-251" / "kernel.json").read_text())
    assert spec["argv"] == [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    assert (spec["display_name"], spec["metadata"]) == ("Day4-pt-251", {"debugger": True})
    assert sorted(path.name for path in home.iterdir()) == ["kernels"]  # nothing half-made is left

    result = biollm("check")
    assert result.return_value == 0
    import anywidget
    import torch
    import transformers

    for line in (
        f"kernel          Day4-pt-251, in {home / 'kernels' / 'Day4-pt-251'}",
        f"{sys.version.split()[0]}, {sys.executable}",
        f"torch           {torch.__version__}",
        f"transformers    {transformers.__version__}",
        f"anywidget       {anywidget.__version__}",
        "GPU             none",
        "HF_HOME         not set",
        "s and ran a cell",
    ):
        assert line in result.output, line


def test_on_vista_it_is_the_container_started_by_a_script_that_knows_the_node(on_vista, home, tmp_path, monkeypatch):
    assert "runs TACC's container" in biollm("install").output
    spec = json.loads((home / "kernels" / "Day4-pt-251" / "kernel.json").read_text())
    assert spec["argv"] == ["/bin/sh", "{resource_dir}/start.sh", "{connection_file}"]
    status, found = checked()
    image, cache = f"{tmp_path}/my scratch/{vista.IMAGE}", f"{tmp_path}/my scratch/cache"
    assert (status, found["found"]["image"], found["found"]["hf_home"]) == (0, image, cache)
    bind = ["--bind", "/run/user:/run/user"] if Path("/run/user").is_dir() else []
    words = [*bind, "--env", f"HF_HOME={cache}", image, "python3", "-m", "ipykernel_launcher", "-f"]
    assert asked(on_vista)[:-1] == ["exec", *words]

    # The same files, now on a node with a GPU: by the driver's devices, or else by what nvidia-smi lists.
    for name in ("nvidiactl", "nvidia0"):
        (tmp_path / "dev" / name).write_text("")
    assert checked()[0] == 0
    assert asked(on_vista)[:-1] == ["exec", "--nv", *words]
    (tmp_path / "dev" / "nvidia0").unlink()  # a driver without a GPU
    assert checked()[0] == 0 and "--nv" not in asked(on_vista)
    smi = on_vista / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA GH200 120GB (UUID: GPU-0)'\n")
    smi.chmod(0o755)
    assert checked()[0] == 0 and asked(on_vista)[1] == "--nv"
    smi.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    assert checked()[0] == 0 and "--nv" not in asked(on_vista)


def test_the_start_script_is_what_sh_and_its_checker_accept(tmp_path):
    script = tmp_path / "start.sh"
    script.write_text(vista.start_script("Day4-pt-251", tmp_path / "it's an image.sif"))
    assert subprocess.run(["sh", "-n", script]).returncode == 0
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_an_image_of_ones_own_makes_a_container_anywhere_whatever_its_name(on_vista, tmp_path, monkeypatch):
    monkeypatch.delenv("TACC_SYSTEM")
    image = tmp_path / 'it\'s "my" $image.sif'
    image.write_text("")
    biollm("install", "--name", "mine", "--image", image)
    status, found = checked("mine")
    assert (status, found["found"]["image"]) == (0, str(image))


def test_apptainer_is_loaded_by_the_script_where_the_server_was_started_without(on_vista, tmp_path, monkeypatch):
    biollm("install")
    away = tmp_path / "module"
    away.mkdir()
    (on_vista / "apptainer").rename(away / "apptainer")
    lmod = tmp_path / "lmod"
    lmod.write_text(f'#!/bin/sh\n[ "$*" = "sh load tacc-apptainer" ] && echo \'export PATH="{away}:$PATH"\'\n')
    lmod.chmod(0o755)
    monkeypatch.setenv("LMOD_CMD", str(lmod))
    assert checked()[0] == 0


MISSING = {
    "SCRATCH": ("SCRATCH is not set", "log in again"),
    "image": ("There is no image at {image}", "--image FILE"),
    "apptainer": ("There is no apptainer here", "module load tacc-apptainer"),
}


@pytest.mark.parametrize("what", MISSING)
def test_what_a_container_lacks_is_a_sentence_when_it_is_installed_and_when_it_starts(
    what, on_vista, home, tmp_path, monkeypatch
):
    image = tmp_path / "my scratch" / vista.IMAGE
    expected = [part.format(image=image) for part in MISSING[what]]
    biollm("install")
    kept = everything(home)
    if what == "SCRATCH":
        monkeypatch.delenv("SCRATCH")
    else:
        {"image": image, "apptainer": on_vista / "apptainer"}[what].unlink()
    status, found = checked()
    assert status == 1
    assert found["said"][-1].startswith("Kernel Day4-pt-251: ")
    assert all(part in found["said"][-1] for part in expected)
    assert found["problem"] == "it ended before it was ready"
    assert found["remedy"] == "Do what the last line says, then check again."
    with pytest.raises(InputError) as told:
        biollm("install")
    assert expected[0] in str(told.value) and "--replace" in str(told.value)
    with pytest.raises(InputError) as told:
        biollm("install", "--name", "another")
    assert all(part in str(told.value) for part in expected)
    assert everything(home) == kept


@pytest.fixture(params=IN_CONTAINER)
def inside(request, on_vista, tmp_path, monkeypatch):
    """The container on Vista, where `biollm` runs: there is no apptainer in it."""
    (on_vista / "apptainer").unlink()
    monkeypatch.setenv("PATH", f"{on_vista}:{Path(sys.executable).parent}")
    assert shutil.which("apptainer") is None
    monkeypatch.setenv(request.param, f"{tmp_path}/my scratch/{vista.IMAGE}")


def taccs(tmp_path):
    """What TACC's own kernel.json runs."""
    return ["apptainer", "exec", "--nv", "--bind", "/run/user:/run/user", "--env", f"HF_HOME={tmp_path}/cache",
            str(tmp_path / vista.IMAGE), "python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"]  # fmt: skip


NOT_TRIED = (
    "not tried, for this runs inside a container, from where no other can be started; to try it, open a notebook"
)


@pytest.mark.parametrize("words", [[], ["--replace"]])
def test_inside_the_container_taccs_kernel_is_kept_and_nobody_says_that_it_works(inside, words, home, tmp_path):
    folder = write_kernel(home, taccs(tmp_path))
    before = everything(home)
    said = biollm("install", *words).output
    assert f"Day4-pt-251 is there; it was left as it is: {folder}\n" in said
    assert NOT_TRIED in said and "works" not in said and "move that folder" in said
    assert everything(home) == before
    done = json.loads(biollm("install", "--json").output)
    assert (done["kind"], done["tried"], done["seconds"]) == ("kept", False, 0.0)
    with pytest.raises(InputError, match=r"cannot be tried from here, .* open a notebook with it.*biollm doctor"):
        biollm("check")


def test_inside_the_container_a_fresh_account_gets_a_kernel_that_starts_outside(inside, home, on_vista, monkeypatch):
    said = biollm("install").output
    assert "runs TACC's container: " in said and NOT_TRIED in said and "started in" not in said
    before = everything(home)
    assert "is there; it was left as it is" in biollm("install", "--replace").output
    with pytest.raises(InputError, match="cannot be tried from here"):
        biollm("check")
    assert everything(home) == before
    for name in IN_CONTAINER:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{on_vista}:/usr/bin:/bin")
    write_apptainer(on_vista)
    assert checked()[0] == 0


def test_inside_the_container_one_that_is_broken_for_sure_is_told_and_replaced_when_asked(inside, home):
    folder = write_kernel(home, ["/nowhere/python", "-f", "{connection_file}"])
    with pytest.raises(InputError, match="does not work: it cannot be started"):
        biollm("install")
    said = biollm("install", "--replace").output
    assert NOT_TRIED in said and f"The old one is kept in {home / 'kernels_old' / 'Day4-pt-251-1'}" in said
    assert json.loads((folder / "kernel.json").read_text())["argv"] == vista.kernel_argv()


def test_inside_the_container_its_image_is_there_although_its_folder_is_not_seen(inside, home, tmp_path):
    (tmp_path / "my scratch" / vista.IMAGE).unlink()
    assert NOT_TRIED in biollm("install").output
    with pytest.raises(InputError, match=r"There is no image at .*other\.sif"):
        biollm("install", "--name", "other", "--image", "other.sif")


def test_inside_a_container_a_kernel_of_its_own_python_is_tried_as_everywhere(inside, home, monkeypatch):
    monkeypatch.delenv("TACC_SYSTEM")
    assert "runs this Python" in biollm("install").output
    assert checked()[0] == 0


@pytest.mark.parametrize("words", [[], ["--replace"]])
def test_a_kernel_that_works_is_never_touched(words, home):
    folder = write_kernel(home, [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--quiet"])
    before = everything(home)
    said = biollm("install", *words).output
    assert "is there and works; it was left as it is" in said and str(folder) in said
    assert everything(home) == before


@pytest.mark.parametrize("broken", ["gone", "no ipykernel", "not JSON"])
def test_one_that_does_not_work_is_told_kept_and_replaced_only_when_asked(broken, home, tmp_path):
    argv = {
        "gone": [str(tmp_path / "no python"), "-f", "{connection_file}"],
        "no ipykernel": ["/bin/sh", "-c", "echo /usr/bin/python3: No module named ipykernel_launcher >&2; exit 1"],
        "not JSON": [],
    }[broken]
    reason, remedy = {
        "gone": ("No such file or directory", "is gone"),
        "no ipykernel": (
            "it said last: /usr/bin/python3: No module named ipykernel_launcher",
            "Install ipykernel in the",
        ),
        "not JSON": ("its kernel.json cannot be read", "--replace"),
    }[broken]
    folder = write_kernel(home, argv)
    if broken == "not JSON":
        (folder / "kernel.json").write_text("{")
    before = everything(folder)
    status, found = checked()
    assert status == 1 and remedy in found["remedy"]
    with pytest.raises(InputError) as told:
        biollm("install")
    assert reason in str(told.value) and "biollm kernel install --name Day4-pt-251 --replace" in str(told.value)
    assert everything(folder) == before
    said = biollm("install", "--replace").output
    kept = home / "kernels_old" / "Day4-pt-251-1"
    assert f"The old one is kept in {kept}" in said
    assert everything(kept) == before
    assert checked()[0] == 0


def test_what_would_not_start_is_not_installed_and_the_old_one_stays(on_vista, home):
    (on_vista / "apptainer").write_text(
        "#!/bin/sh\necho 'FATAL: could not open image: exec format error' >&2\nexit 255\n"
    )
    folder = write_kernel(home, ["/bin/false"])
    before = everything(home)
    with pytest.raises(InputError, match=r"does not work here: it ended before .* FATAL: could not open image"):
        biollm("install", "--replace")
    assert everything(home) == before and folder.is_dir()


def test_one_that_hangs_is_given_up_and_nothing_of_it_stays(home, tmp_path):
    pid = tmp_path / "pid"
    write_kernel(home, ["/bin/sh", "-c", f"echo $$ > '{pid}'; echo still loading >&2; exec sleep 600"])
    start = time.monotonic()
    status, found = checked("Day4-pt-251", "--timeout", "2")
    assert time.monotonic() - start < 15
    assert (status, found["problem"], found["said"]) == (1, "it did not answer within 2 s", ["still loading"])
    assert "--timeout 600" in found["remedy"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_this_package_is_never_to_be_installed_by_its_name_which_anybody_may_take():
    line = kernel._pip({"image": "", "executable": "/my env/python"}, ["anywidget", "biollm-widgets"])
    assert line.startswith("'/my env/python' -m pip install anywidget FILE (as FILE, the wheel from your instructor")
    line = kernel._pip({"image": "/x.sif", "executable": "/usr/bin/python3"}, ["biollm-widgets"])
    assert line.startswith("apptainer exec /x.sif python3 -m pip install --user FILE (as FILE, ")
    assert "biollm-widgets" not in line


NO_IPYKERNEL = trial.Trial(False, problem="it ended", said=["/usr/bin/python3: No module named ipykernel_launcher"])


@pytest.mark.parametrize(
    "argv",
    [
        ["apptainer", "exec", "x.sif", "python3", "-m", "ipykernel_launcher"],
        vista.kernel_argv(),
        ["/bin/sh", "-c", "x"],
    ],
)
def test_where_a_container_lacks_ipykernel_no_line_is_made_of_the_program_that_starts_it(argv):
    said = kernel._remedy("mine", argv, NO_IPYKERNEL)
    assert said.startswith("Install ipykernel in the Python that it starts (in a container, inside it")
    assert "-m pip" not in said and said.endswith("biollm kernel install --name mine --replace")


def test_a_python_without_ipykernel_is_told_with_its_line():
    said = kernel._remedy("mine", [sys.executable, "-m", "ipykernel_launcher", "-f", "x"], NO_IPYKERNEL)
    assert said == f"Install ipykernel for it: {shlex.join([sys.executable])} -m pip install ipykernel"


def test_a_package_that_is_missing_is_told_with_the_line_that_brings_it(on_vista, tmp_path, monkeypatch):
    biollm("install")
    # A container without anywidget: what looks for it finds nothing.
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.metadata as m, importlib.util as u\n"
        "version, find = m.version, u.find_spec\n"
        "def without(name):\n"
        "    if name == 'anywidget': raise m.PackageNotFoundError(name)\n"
        "    return version(name)\n"
        "m.version = without\n"
        "u.find_spec = lambda name, *more: None if name == 'anywidget' else find(name, *more)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{hidden}:{ROOT}")
    result = biollm("check")
    assert result.return_value == 1
    image = f"'{tmp_path}/my scratch/{vista.IMAGE}'"
    line = f"apptainer exec {image} python3 -m pip install --user anywidget"
    assert f"anywidget       not installed; {line}" in result.output
    assert "works           started in" in result.output and result.output.rstrip().endswith(line)


def test_what_lies_in_the_current_folder_is_not_taken_for_installed(home, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH")
    here = tmp_path / "here"
    (here / "biollm_check_me").mkdir(parents=True)
    (here / "biollm_check_me" / "__init__.py").write_text("")
    monkeypatch.chdir(here)
    monkeypatch.setattr(trial, "PACKAGES", {"biollm-check-me": "biollm_check_me"})
    biollm("install")
    status, found = checked()
    assert (status, found["lacking"]) == (1, ["biollm-check-me"])


def test_a_home_that_cannot_be_written_is_a_sentence(home, may_mount):
    home.mkdir()
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c",
         f"mount --bind '{home}' '{home}' && mount -o remount,ro,bind '{home}' && "
         f"exec '{sys.executable}' -m biollm_widgets.cli kernel install"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "Read-only file system" in done.stderr and "set JUPYTER_DATA_DIR" in done.stderr


def test_a_full_disk_is_a_sentence_and_leaves_nothing(home, may_mount):
    home.mkdir()
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c",
         f"mount -t tmpfs -o size=4k,nr_inodes=100 tmpfs '{home}' && head -c 4096 /dev/zero > '{home}/full' && "
         f"'{sys.executable}' -m biollm_widgets.cli kernel install; ls -A '{home}'"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert "No space left on device" in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout.split() == ["full"]


BAD = {
    "no such kernel": (["check", "nowhere"], "no kernel named nowhere .* biollm kernel install --name nowhere"),
    "a name with a blank": (["install", "--name", "my kernel"], "'my kernel' is no name for a kernel"),
    "a name that climbs": (["install", "--name", ".."], "'..' is no name for a kernel"),
    "no image": (["install", "--image", "nothing.sif"], "There is no image at .*nothing.sif; check the name"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_a_sentence(case, home, tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    words, said = BAD[case]
    with pytest.raises(InputError, match=said):
        biollm(*words)
    assert not home.exists()


def test_a_kernel_of_another_language_is_a_sentence(home):
    folder = write_kernel(home, ["R"], "ir")
    (folder / "kernel.json").write_text(json.dumps({"argv": ["R"], "display_name": "R", "language": "R"}))
    with pytest.raises(InputError, match="speaks R; the lessons need Python"):
        biollm("check", "ir")


def test_without_jupyter_client_a_sentence_says_what_to_install(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyter_client", None)
    with pytest.raises(InputError, match="pip install jupyter_client ipykernel"):
        biollm("check")
