"""A jobType: how its jobs run, what they may be told, and whether this machine can run them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum, auto
from typing import Any

from jobs.rules.enums import ContentType
from tasks_app.executors.base import Execution, Executor, Outcome, Output, Stop, failed, note
from tasks_app.executors.environment import refused_params
from tasks_app.executors.params import Param, Refers, is_id, is_text, kinds, listed
from tasks_app.rules.substitution import RESERVED

TEXTUAL = frozenset({ContentType.TEXT, ContentType.SCRIPT})


class Others(Enum):
    """What becomes of parameters that a type does not declare."""

    #: They are taken where a placeholder names them; else they are a mistake.
    REFERRED = auto()
    #: Scalars become variables of the content's environment (X-20).
    VARIABLES = auto()
    #: They are the executor's own business; only what looks like a slip of the pen is refused.
    FREE = auto()


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobType:
    """What stands behind a name in the registry."""

    execute: Executor
    params: Mapping[str, Param] = field(default_factory=dict)
    others: Others = Others.REFERRED
    content_types: frozenset[ContentType] = TEXTUAL
    #: A shell reads the content: what stands in for a placeholder is quoted for it (X-20).
    is_shell: bool = False
    #: False: it only stands in for another type, so any content does.
    reads_content: bool = True
    #: The content is the id of an artifact, whatever the content type says.
    runs_artifact: bool = False
    #: The worker itself runs it: no process has to be started first.
    is_in_process: bool = False
    #: Whether a run with these parameters may start work on a cluster that outlives its worker.
    is_client: Callable[[Mapping[str, Any]], bool] = lambda _: False
    #: Return what is wrong with the text of the content as it will run, or None.
    content_problem: Callable[[str], str | None] = _nothing
    #: Return what is wrong with parameters that are right each by itself, naming one, or None.
    together: Callable[[Mapping[str, Any]], str | None] = _nothing
    #: Return why this machine cannot run the type, such as a client that is missing, or None.
    lack: Callable[[], str | None] = _nothing

    def content_problems(self, content: str, content_type: ContentType) -> Iterator[str]:
        """Yield what is wrong with the content of a submission, naming its field (W-4)."""
        if not self.reads_content:
            return
        if content_type not in self.content_types:
            accepted, given = kinds(self.content_types), kinds(frozenset({content_type}))
            yield f"contentType: jobs of this type take {accepted}, not {given}"
        elif self.reads_artifact(content_type):
            if not is_id(content):
                yield "content: it must be the id of an artifact"
        elif content_type is ContentType.TEXT and (problem := self.text_problem(content)):
            yield f"content: {problem}"

    def text_problem(self, text: str) -> str | None:
        """Return what is wrong with the text that is to run."""
        return self.content_problem(text) if is_text(text) else "it holds a NUL or is no valid text"

    def param_problems(self, extra: Mapping[str, Any], referred: Collection[str]) -> Iterator[str]:
        """Yield what is wrong with the parameters; placeholders refer to those ``referred``."""
        found = list(self._own_problems(extra))
        yield from found
        if not found and (problem := self.together(extra)):
            yield problem
        others = {name: extra[name] for name in extra if name not in self.params}
        yield from self._other_problems(others, referred)

    def _own_problems(self, extra: Mapping[str, Any]) -> Iterator[str]:
        for name, param in self.params.items():
            if name in extra:
                if problem := param.problem(name, extra[name]):
                    yield problem
            elif param.is_needed:
                yield f"params.{name}: it is missing; it must be {param.accepts}"

    def _other_problems(
        self, others: Mapping[str, Any], referred: Collection[str]
    ) -> Iterator[str]:
        if self.others is Others.FREE:
            yield from self._slips(others)
            return
        for name in sorted(RESERVED & others.keys()):
            yield f"params.{name}: it is the name of a placeholder; choose another"
        if self.others is Others.VARIABLES:
            yield from refused_params(others)
            return
        known = ", ".join(self.params) or "none of its own"
        for name in sorted(others.keys() - RESERVED - set(referred)):
            yield (
                f"params.{name[:64]}: this jobType does not know it (it takes {known}),"
                f" and no placeholder in the content names it"
            )

    def _slips(self, others: Mapping[str, Any]) -> Iterator[str]:
        for name in others:
            if near := get_close_matches(name[:64], self.params, n=1, cutoff=0.8):
                yield f"params.{name[:64]}: this jobType does not know it; did you mean {near[0]}?"

    def reads_artifact(self, content_type: ContentType) -> bool:
        is_jar = self.runs_artifact or content_type is ContentType.JAR
        return is_jar and self.reads_content

    def reads_script(self, content_type: ContentType) -> bool:
        return content_type is ContentType.SCRIPT and self.reads_content

    def referred(self, extra: Mapping[str, Any], kinds: Collection[Refers]) -> list[str]:
        """Return the names of what the parameters refer to, in order, each once."""
        names = (
            name
            for key, param in self.params.items()
            if param.refers in kinds and key in extra and not param.problem(key, extra[key])
            for name in listed(extra[key])
        )
        return list(dict.fromkeys(names))

    def run(self, execution: Execution, output: Output, stop: Stop) -> Outcome:
        """Run the content, unless it is told what it cannot use, or this machine cannot run it.

        Neither would be better the next time, so there is no retry. What no placeholder names was
        judged before placeholders were filled in.
        """
        if outcome := self._refusal(execution):
            note(output, outcome.message)
            return outcome
        return self.execute(execution, output, stop)

    def _refusal(self, execution: Execution) -> Outcome | None:
        if problems := list(self.param_problems(execution.extra, execution.extra.keys())):
            return failed("BAD_PARAMS", "; ".join(problems), is_final=True)
        is_file = self.reads_artifact(execution.content_type)
        if self.reads_content and not is_file and (problem := self.text_problem(execution.content)):
            return failed("BAD_CONTENT", f"content: {problem}", is_final=True)
        if lack := self.lack():
            return failed("NO_CLIENT", f"This worker cannot run the job: {lack}", is_final=True)
        return None
