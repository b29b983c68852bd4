"""Applying a document: everything is asked first, so that most refusals change nothing.

The jobs are taken upstreams first. So a job can wait for one that the same document creates, and a
dependency can be turned round: what a job will wait for already stands as it shall.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Any

from jobs.rules.enums import Edit
from sentinel_project.client.answers import Preview
from sentinel_project.client.client import Client
from sentinel_project.client.document.changes import Difference, UpstreamEdit, difference
from sentinel_project.client.document.entries import LISTS, DocumentError, Wanted
from sentinel_project.client.errors import Refusal

_PREVIEWED = 3


class Action(StrEnum):
    CREATE = "create"
    EDIT = "edit"
    NOTHING = "unchanged"


@dataclass(frozen=True, slots=True)
class Step:
    """What applying does to one job, and what would come of it. ``refusal``: it would be refused.

    ``job_id`` None: it is not there yet. ``unseen``: upstreams that a preview could not look at.
    """

    wanted: Wanted
    action: Action
    job_id: int | None = None
    difference: Difference | None = None
    preview: Preview | None = None
    refusal: str = ""
    unseen: Sequence[str] = ()


class Applier:
    """Plans and applies a document for one app; knows the ids of its jobs by their names."""

    def __init__(self, client: Client, app: str) -> None:
        self._client = client
        self._ids = {job["jobName"]: job["jobId"] for job in client.jobs(appName=app)}
        self._names = {number: name for name, number in self._ids.items()}
        #: Jobs of the document whose own upstreams will change before they are waited for.
        self._moving: set[str] = set()

    def plan(self, wanted: Sequence[Wanted]) -> Iterator[Step]:
        """Yield a step for each job, upstreams first. Changes nothing."""
        ordered = _ordered([self._by_name(each) for each in wanted])
        self._refuse_unknown(ordered)
        for each in ordered:
            yield self._step(each)

    def apply(self, steps: Sequence[Step]) -> Iterator[Step]:
        """Take the steps in their order, and yield each that was taken."""
        for number, step in enumerate(steps):
            try:
                self._take(step)
            except Refusal as refusal:
                raise Refusal(
                    f"job {step.wanted.name!r}: {refusal} ({number} of {len(steps)} jobs were done"
                    " before; mend it and apply again)"
                ) from None
            yield step

    def _by_name(self, wanted: Wanted) -> Wanted:
        """Name upstreams that are the app's own, however the document names them."""
        named = [
            replace(each, upstream=self._names.get(each.upstream, each.upstream))
            if isinstance(each.upstream, int)
            else each
            for each in wanted.dependencies
        ]
        return replace(wanted, dependencies=named)

    def _refuse_unknown(self, wanted: Sequence[Wanted]) -> None:
        known = self._ids.keys() | {each.name for each in wanted}
        for each in wanted:
            for dependency in each.dependencies:
                upstream = dependency.upstream
                if isinstance(upstream, str) and upstream not in known:
                    raise DocumentError(
                        f"job {each.name!r} waits for {upstream!r}, which is neither in the"
                        " document nor among the app's jobs"
                    )

    def _step(self, wanted: Wanted) -> Step:
        job_id = self._ids.get(wanted.name)
        if job_id is None:
            return self._previewed(Step(wanted, Action.CREATE))
        found = difference(wanted, self._client.job(job_id), self._names)
        if found.upstreams:
            self._moving.add(wanted.name)
        if not found.is_edit:
            action = Action.EDIT if found.status else Action.NOTHING
            return Step(wanted, action, job_id, found)
        return self._previewed(Step(wanted, Action.EDIT, job_id, found))

    def _previewed(self, step: Step) -> Step:
        fields, unseen = self._asked(step, is_preview=True)
        preview, refusal = None, ""
        try:
            preview = self._client.preview(step.job_id, **fields, count=_PREVIEWED)
        except Refusal as refused:
            refusal = str(refused)
        return replace(step, preview=preview, refusal=refusal, unseen=unseen)

    def _take(self, step: Step) -> None:
        if step.action is Action.CREATE:
            fields, _ = self._asked(step)
            made = self._client.submit(**fields)
            self._ids[step.wanted.name] = made["jobId"]
            return
        assert step.job_id is not None
        assert step.difference is not None
        if step.difference.is_edit:
            fields, _ = self._asked(step)
            self._client.edit(step.job_id, **fields)
        if step.difference.status is not None:
            (done,) = self._client.set_job_status([step.job_id], step.difference.status)
            if done["code"]:
                raise Refusal(done["msg"])

    def _asked(self, step: Step, *, is_preview: bool = False) -> tuple[dict[str, Any], list[str]]:
        """Return what to send for a step, and the upstreams that a preview must leave out.

        Those are the ones that are not there yet, and those that may still wait for this very job.
        """
        if step.difference is None:
            status = {} if step.wanted.status is None else {"status": int(step.wanted.status)}
            fields = {**step.wanted.fields, **status}
            upstreams = [UpstreamEdit(Edit.ADD, each) for each in step.wanted.dependencies]
            schedule: Sequence[Mapping[str, Any]] = [
                {"operatorMode": 1, "expressionType": each.kind, "expression": each.text}
                for each in step.wanted.schedule
            ]
        else:
            fields = dict(step.difference.fields)
            upstreams, schedule = list(step.difference.upstreams), step.difference.schedule
        left_out = [each for each in upstreams if is_preview and self._is_unseen(each)]
        unseen = [str(each.dependency.upstream) for each in left_out]
        seen = [self._entry(each) for each in upstreams if each not in left_out]
        lists = zip(LISTS, (seen, list(schedule)), strict=True)
        return fields | {name: items for name, items in lists if items}, unseen

    def _is_unseen(self, edit: UpstreamEdit) -> bool:
        upstream = edit.dependency.upstream
        return self._id_of(edit) is None or (edit.mode is Edit.ADD and upstream in self._moving)

    def _entry(self, edit: UpstreamEdit) -> dict[str, Any]:
        return {
            "operatorMode": int(edit.mode),
            "preJobId": self._id_of(edit),
            "commonStrategy": edit.dependency.strategy,
            "offsetStrategy": edit.dependency.offset,
        }

    def _id_of(self, edit: UpstreamEdit) -> int | None:
        upstream = edit.dependency.upstream
        return upstream if isinstance(upstream, int) else self._ids.get(upstream)


def _ordered(wanted: Sequence[Wanted]) -> list[Wanted]:
    """Return the jobs upstreams first, and else in the document's order."""
    known = {each.name: each for each in wanted}
    place = {name: number for number, name in enumerate(known)}
    graph = TopologicalSorter(
        {
            each.name: [d.upstream for d in each.dependencies if d.upstream in known]
            for each in wanted
        }
    )
    try:
        graph.prepare()
    except CycleError as error:
        path = " -> ".join(map(str, error.args[1]))
        raise DocumentError(f"the jobs wait for each other in a circle: {path}") from None
    ordered: list[Wanted] = []
    while graph.is_active():
        ready = sorted(graph.get_ready(), key=lambda name: place[str(name)])
        ordered += [known[str(name)] for name in ready]
        graph.done(*ready)
    return ordered
