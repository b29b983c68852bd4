"""What every command works with: the client of the chosen context, and jobs by their names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import typer

from sentinel_project.client import Client, Refusal
from sentinel_project.client.contexts import Context, chosen

JobRef = Annotated[str, typer.Argument(metavar="JOB", help="A job's id or its name.")]
JobRefs = Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids or names of jobs.")]
TaskId = Annotated[int, typer.Argument(metavar="TASK", min=1, help="A task's id.")]
TaskIds = Annotated[list[int], typer.Argument(metavar="TASK...", min=1, help="Ids of tasks.")]


@dataclass
class Desk:
    """One call of the program. Nothing is read or connected before a command asks for it."""

    context_name: str = ""
    timeout: float = 30

    @cached_property
    def context(self) -> Context:
        return chosen(self.context_name, os.environ)

    @cached_property
    def client(self) -> Client:
        found = self.context
        return Client(
            found.url,
            app=found.app,
            key=found.key,
            user=found.user,
            token=found.token,
            timeout=self.timeout,
        )

    def close(self) -> None:
        """Close what was opened."""
        if "client" in vars(self):
            self.client.calls.close()

    def job_id(self, reference: str) -> int:
        """Return the id of a job that is named by its id or its name."""
        if reference.isascii() and reference.isdigit():
            return int(reference)
        named = [job for job in self.client.jobs(jobName=reference) if job["jobName"] == reference]
        if len(named) > 1:
            listed = ", ".join(f"{job['jobId']} of {job['appName']}" for job in named)
            raise typer.BadParameter(f"several jobs are named {reference!r}: {listed}")
        if not named:
            raise Refusal(f"there is no job named {reference!r}")
        return named[0]["jobId"]

    def job_ids(self, references: list[str]) -> list[int]:
        return [self.job_id(reference) for reference in references]


def desk_of(ctx: typer.Context) -> Desk:
    found = ctx.find_object(Desk)
    assert found is not None
    return found
