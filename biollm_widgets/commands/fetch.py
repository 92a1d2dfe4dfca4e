"""`biollm fetch`: models and the data set into a cache, ahead of the hour in which they are needed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Optional, Union

import click

from biollm_widgets.dna.datasets_file import NAME, own_place
from biollm_widgets.errors import InputError
from biollm_widgets.models import cache, local, places, sharing
from biollm_widgets.models.cache import count_in_words, in_words, shown
from biollm_widgets.models.catalog import CATALOG, find, require
from biollm_widgets.models.download import Count
from biollm_widgets.models.fetch import Plan, carry_out, plan, unchecked
from biollm_widgets.models.fetch import kept as listing_kept
from biollm_widgets.models.hub import HubError, is_name
from biollm_widgets.models.places import VARIABLE, Place, Shared
from biollm_widgets.models.room import Need, announce, announce_all, listed, room

ALL = "all"
NO_LINKS = "They are plain files, where links of the cache would name their hashes"


@click.command("fetch", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--shared", "folder", metavar="DIR", help="Fill DIR for a class: all may read it, whatever the umask.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(names: tuple[str, ...], folder: Optional[str], as_json: bool) -> int:
    """Download models and data ahead: into the local cache, or into one that a class shares.

    NAME is an id on the hub or a name of `biollm models`, `coding-data` (the 65,321 sequences of the lesson) or
    `all`: DNABERT-2, ProtGPT2 and coding-data, which is also what is taken without a NAME.

    One weight format a model, and every file checked. What is needed and what is free is said before the first byte.
    A download that was stopped goes on where it was. What is there already is checked against its hash, which needs
    no network (only where the cache has no links, as after cp -rL, is the hub asked for the hashes); a damaged file is
    fetched again, and so is a tokenizer that is missing. HF_HOME says where the cache is, HF_TOKEN lets into models
    that want a login.

    For a class: fetch once with --shared into a folder that learners can get to. They set BIOLLM_SHARED_CACHE to that
    folder and read from it; nothing is written there. Where it lacks something, their own cache and the hub follow.

    \b
    Examples:
      biollm fetch
      biollm fetch DNABERT-2 ProtGPT2
      HF_HOME=$SCRATCH/cache biollm fetch all
      biollm fetch --shared $WORK/class
    """
    if folder is not None and not folder.strip():
        raise InputError("--shared names no folder (is a variable of the shell unset?); name a new or an empty one.")
    shared = None if folder is None else sharing.checked(Path(folder))
    wanted = _expanded(names)
    job = _Job(shared, ["fetch", "--shared", str(shared.folder) if shared else "", *(names or [ALL])])
    with _opened(shared):
        job.do(wanted)
    reach = None
    if shared is not None and shared.folder.is_dir():
        reach = _finish(shared, job)
    if as_json:
        models = [entry for entry in job.done if "parameters" in entry]
        data = [entry for entry in job.done if "parameters" not in entry]
        report: dict[str, Any] = {"models": models, "data": data, "errors": job.troubles}
        if shared is not None:
            report["shared"] = {"folder": str(shared.folder), "readers": reach, "variable": VARIABLE}
        click.echo(json.dumps(report, indent=1))
    else:
        for entry in job.done:
            click.echo(_sentence(entry))
        if shared is not None and job.done:
            click.echo(f"Learners read from it, and write nothing there, with: export {VARIABLE}={shared.folder}")
    for trouble in job.troubles:
        click.echo(f"biollm: {trouble}", err=True)
    return 2 if job.troubles else 0


def _expanded(names: tuple[str, ...]) -> list[str]:
    """What is asked for, once each: `all`, or nothing, is both models of the lessons and the data set."""
    both = [model.id for model in CATALOG if model.stand_in is not None]
    found: list[str] = []
    for name in names or (ALL,):
        plain = name.strip().lower().replace("_", "-")
        found += [*both, NAME] if plain == ALL else [NAME if plain == NAME else name.strip()]
    return list(dict.fromkeys(found))


class _Model:
    """A model that is asked for."""

    def __init__(self, asked: str, shared: Optional[Shared]) -> None:
        if asked and Path(asked).expanduser().is_dir():
            raise InputError(f"{asked} is a folder; there is nothing to fetch.")
        if not is_name(asked):
            raise InputError(f"{asked!r} is no model's id or name; biollm models lists them.")
        entry = require(asked, "fetch")
        self.asked, self.name = asked, asked if entry is None else entry.id
        self.place = places.own() if shared is None else shared.place(shared.hub)
        self.target = shared
        self.damaged: list[str] = []
        # A copy that is to be completed with its tokenizer, and one of which no hash is known here.
        self.partial: Optional[Path] = None
        self.unknown: Optional[Path] = None

    def there(self) -> Optional[dict[str, Any]]:
        """A report on a copy that is here and whole, of which every byte was read; a class's may be unchecked."""
        if self.target is None:
            copies = local.copies(self.name)
        else:
            snapshot = cache.snapshot(self.name, at=self.place.folder)
            copies = [] if snapshot is None else [local.Copy(snapshot, self.target)]
        for copy in copies:
            damaged = _damaged(copy)
            mine = copy.shared is None or self.target is not None
            if not mine and (damaged or not copy.reads_text):
                places.tell(local.passed_over(self.name, copy, damaged[0] if damaged else None))
                continue
            if not damaged and copy.reads_text:
                if not unchecked(copy.path):
                    return self.report(copy.path, copy.shared)
                if copy.shared is not None and self.target is None:
                    advice = f"whoever made it checks it with biollm fetch --shared {copy.shared.folder}"
                    return self.report(copy.path, copy.shared, because=f"{NO_LINKS}; {advice}.")
                self.unknown = copy.path
            elif not damaged:
                self.partial = copy.path
            self.damaged = damaged
            break  # mended, even where the class has a whole one: it may be the copy that counts
        for file in self.damaged:
            click.echo(f"{self.asked}: {file} in the cache is damaged; it is fetched again.", err=True)
        return None

    def plan(self) -> Plan:
        like = self.partial or self.unknown
        try:
            planned = plan(self.name, place=self.place, like=like)
        except HubError as problem:
            # What the instructor has already can be shared without a connection.
            kept = listing_kept(self.name) if problem.unreached and self.target is not None else None
            if kept is None:
                raise self.trouble(problem) from problem
            planned = plan(self.name, place=self.place, found=kept, like=like)
        if self.unknown is not None and planned.listing.commit != self.unknown.name:
            # Nobody who has a model waits for gigabytes of another commit, only to have it checked.
            remedy = f"for a checked one, remove {shown(self.unknown)} and give the same command again"
            raise HubError(self.name, "the hub has another commit of it by now", remedy)
        if self.partial is not None and any(file.name in cache.TOKENIZER_FILES for file in planned.files):
            click.echo(f"{self.asked}: its tokenizer is not in the cache; it is fetched.", err=True)
        return planned

    def as_it_is(self, problem: HubError) -> Optional[dict[str, Any]]:
        """A report on a copy that is here, of which the hub does not give the hashes; None without one."""
        if self.unknown is None:
            return None
        remedy = problem.remedy.removesuffix(", or give a folder")
        if problem.unreached:
            remedy += " and give the same command again to have them compared with the hub's"
        return self.report(self.unknown, self.target, because=f"{NO_LINKS}, and {problem.because}; {remedy}.")

    def trouble(self, problem: HubError) -> HubError:
        """A reason why the hub gives nothing, as a sentence on this model."""
        state = f"is not in {self.place.words}"
        if self.damaged:
            state = f"is damaged in {self.place.words} ({', '.join(self.damaged)})"
        elif self.partial is not None:
            state = f"is in {self.place.words} without its tokenizer"
        elif self.unknown is not None:
            state = f"is in {self.place.words} unchecked"
        unreached = "" if self.damaged or self.partial else problem.unreached
        return HubError(self.name, problem.because, problem.remedy, state=state, unreached=unreached)

    def fetch(self, planned: Any) -> dict[str, Any]:
        try:
            got = carry_out(planned, progress=sys.stderr.isatty())
        except HubError as problem:
            raise self.trouble(problem) from problem
        return self.report(got.path, self.target, got.downloaded, got.resumed, got.copied)

    def report(
        self,
        path: Path,
        shared: Optional[Shared],
        downloaded: int = 0,
        resumed: int = 0,
        copied: int = 0,
        because: Optional[str] = None,
    ) -> dict[str, Any]:
        """What is here; `because` is the sentence on why its files could not be checked, and what to do."""
        entry = find(self.name)
        return {
            "name": self.name,
            "path": str(path),
            "cache": "own" if shared is None else "shared",
            "parameters": cache.parameters_of(path) or (entry.parameters if entry else None),
            "weights": [file.name for file in cache.weight_files(path)],
            "bytes": cache.size_of(path),
            "downloaded_bytes": downloaded,
            "resumed_bytes": resumed,
            "copied_bytes": copied,
            "already_here": downloaded == 0 and copied == 0,
            "checked": because is None,
            "unchecked": because,
        }


class _Data:
    """The data set of the lesson."""

    name = NAME

    def __init__(self, shared: Optional[Shared]) -> None:
        # it loads pandas, which a model does not need
        from biollm_widgets.dna import datasets_chapter as chapter

        self.chapter, self.target = chapter, shared
        self.place: Place = own_place() if shared is None else shared.place(shared.data)

    def there(self) -> Optional[dict[str, Any]]:
        found, damaged = self.chapter.find(at=self.place.folder if self.target else None)
        if found is None:
            if damaged:
                click.echo(f"The copy {damaged}; it is fetched again.", err=True)
            return None
        if not found.recorded and (found.shared is None):
            self.chapter.record(found)
        return self.report(found)

    def plan(self) -> Any:
        from huggingface_hub import constants
        from huggingface_hub.errors import OfflineModeIsEnabled

        from biollm_widgets.dna.datasets_download import DownloadError
        from biollm_widgets.models.hub import explain

        if self.target is not None:  # what the instructor has already is copied
            own, _ = self.chapter.find(at=own_place().folder)
            if own is not None:
                return self.chapter.plan_copy(own, self.place)
        if constants.HF_HUB_OFFLINE:
            raise self.trouble(explain(OfflineModeIsEnabled(), self.name))
        try:
            return self.chapter.plan(self.place)
        except DownloadError as problem:
            raise self.trouble(problem) from problem

    def trouble(self, problem: HubError) -> HubError:
        because, remedy = problem.because, problem.remedy
        if problem.name != self.name:  # the address of its server
            because, remedy = f"{problem.name} {because}", "check the connection and give the same command again"
        state = f"is not in {self.place.words}"
        return HubError(self.name, because, remedy, state=state, unreached=problem.unreached)

    def fetch(self, planned: Any) -> dict[str, Any]:
        from biollm_widgets.dna.datasets_download import DownloadError

        try:
            return self.report(self.chapter.carry_out(planned, progress=sys.stderr.isatty()))
        except DownloadError as problem:
            raise self.trouble(problem) from problem

    def report(self, found: Any) -> dict[str, Any]:
        count = found.count or Count()
        return {
            "name": self.name,
            "path": str(found.path),
            "cache": "own" if found.shared is None and self.target is None else "shared",
            "rows": len(found.frame),
            "bytes": found.path.stat().st_size,
            "sha256": found.sha256,
            "checksum": "compared" if found.recorded else "recorded",
            "downloaded_bytes": count.downloaded,
            "resumed_bytes": count.resumed,
            "copied_bytes": count.copied,
            "already_here": count.downloaded == 0 and count.copied == 0,
        }


Item = Union[_Model, _Data]


class _Job:
    """All that is asked for: what came of it, and what went wrong."""

    def __init__(self, shared: Optional[Shared], command: Sequence[str]) -> None:
        self.shared, self.command = shared, command
        self.done: list[dict[str, Any]] = []
        self.troubles: list[str] = []

    def do(self, names: Sequence[str]) -> None:
        reports: dict[str, dict[str, Any]] = {}
        plans = self._planned(names, reports)
        # All sizes are known before anything is fetched: three models that do not fit together are refused together.
        try:
            room(one for _, one in plans)
        except InputError as problem:
            self.troubles.append(str(problem))
            plans = []
        if plans and not self.describe():
            plans = []  # what is there already is reported all the same
        self._announce([one for _, one in plans if one.missing or one.size is None])
        for item, one in plans:
            try:
                if one.missing or one.size is None:
                    click.echo(announce(one), err=True)
                reports[item.name] = item.fetch(one)
            except KeyboardInterrupt:
                click.echo(f"\nWhat has arrived of {one.name} is kept; the same command goes on from there.", err=True)
                raise
            except InputError as problem:
                self.troubles.append(str(problem))
        self.done = list(reports.values())

    def describe(self) -> bool:
        """Write into a class's cache what it is: first of all, as that is how it is known for one the next time."""
        if self.shared is None:
            return True
        try:
            sharing.describe(self.shared, self.command, version("biollm-widgets"))
        except InputError as problem:
            if str(problem) not in self.troubles:  # it is written twice: before the first byte and after the last
                self.troubles.append(str(problem))
            return False
        return True

    def _planned(self, names: Sequence[str], reports: dict[str, dict[str, Any]]) -> list[tuple[Item, Need]]:
        plans: list[tuple[Item, Need]] = []
        unreached: list[HubError] = []
        silent: Optional[HubError] = None
        item: Optional[Item] = None
        for name in names:
            try:
                item = _Data(self.shared) if name == NAME else _Model(name, self.shared)
                if (report := item.there()) is not None:
                    reports[item.name] = report
                    continue
                if silent is not None and isinstance(item, _Model) and self.shared is None:
                    raise item.trouble(silent)  # nobody waits for a silent hub twice
                plans.append((item, item.plan()))
            except HubError as problem:
                if problem.unreached and isinstance(item, _Model):
                    silent = problem
                if isinstance(item, _Model) and (here := item.as_it_is(problem)) is not None:
                    reports[item.name] = here
                elif problem.unreached:
                    unreached.append(problem)
                else:
                    self.troubles.append(str(problem))
            except InputError as problem:
                self.troubles.append(str(problem))
        self.troubles += _without_connection(unreached)
        return plans

    def _announce(self, plans: Sequence[Need]) -> None:
        warning = next(filter(None, (places.small_home(one.place.folder) for one in plans)), None)
        if warning:
            click.echo(warning, err=True)
        if len(plans) > 1:
            click.echo(announce_all(plans), err=True)


def _damaged(copy: local.Copy) -> list[str]:
    """The files of a copy that are closed or damaged; all of them are read for that."""
    quick = local.fault_of(copy)
    try:
        return sorted({*cache.differing(copy.path), *([quick] if quick else [])})
    except OSError:
        return [quick or cache.CONFIG]


def _without_connection(troubles: list[HubError]) -> list[str]:
    """One sentence on all that could not be asked for, as there is no connection."""
    if len(troubles) < 2:
        return [str(one) for one in troubles]
    names = listed([one.name for one in troubles])
    where = "the class's cache" if "the class's" in str(troubles[0]) else "the local cache"
    if all(one.unreached == "off" for one in troubles):
        why, remedy = troubles[0].because, "unset HF_HUB_OFFLINE"
    else:
        why = "there is no connection" if NAME in names else troubles[0].because
        remedy = "check the connection"
    return [f"{names} are not in {where} and {why}; {remedy} and give the same command again."]


@contextmanager
def _opened(shared: Optional[Shared]) -> Iterator[None]:
    """While a class's cache is filled, and however that ends, all may read what is in it."""
    if shared is None:
        yield
        return
    with sharing.readable():
        try:
            yield
        finally:
            if shared.folder.is_dir():
                sharing.open_up(shared)


def _finish(shared: Shared, job: _Job) -> str:
    """Describe a class's cache as it is now, and see who gets there."""
    with sharing.readable():
        job.describe()
        closed = sharing.open_up(shared)
    if closed:
        job.troubles.append(
            f"{closed[0]} could not be opened for all to read{f' (nor {len(closed) - 1} more)' * (len(closed) > 1)}; "
            f"whoever owns it gives chmod -R a+rX {shared.folder}."
        )
    who, obstacle = sharing.readers(shared)
    if obstacle:
        click.echo(obstacle, err=True)
    return who


def _sentence(entry: dict[str, Any]) -> str:
    if "rows" in entry:
        noted = "as it was written down" if entry["checksum"] == "compared" else "now written down beside it"
        what = f"{entry['rows']:,} sequences, {in_words(entry['bytes'])}, SHA-256 {entry['sha256'][:12]}… {noted}"
        where = Path(entry["path"]).parent
    else:
        weights = entry["weights"]
        files = ", ".join(weights) if len(weights) < 3 else f"{len(weights)} files of weights"
        what = f"{in_words(entry['bytes'])} with {files}"
        if entry["parameters"]:
            what = f"{count_in_words(entry['parameters'])} parameters, {what}"
        where = Path(entry["path"]).parents[2]
    how = "was here already, whole and checked" if entry["already_here"] else "is here, whole and checked"
    because = entry.get("unchecked")
    if because:
        how = "is here already; its files could not be checked"
    if entry["resumed_bytes"]:
        how += f" ({in_words(entry['resumed_bytes'])} of it from an earlier, broken download)"
    if entry["copied_bytes"]:
        how += f" ({in_words(entry['copied_bytes'])} of it copied from another cache on this computer)"
    cache_of = "the class's cache at " if entry["cache"] == "shared" else ""
    said = f"{entry['name']} {how}: {what}, in {cache_of}{shown(where)}"
    return f"{said}. {because}" if because else said
