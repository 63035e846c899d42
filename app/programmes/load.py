"""Loading a programme: read, plan, do; and again after an answer that was lost.

It keeps no state. Killed in the middle it is run again: what was made is found by its name, the rest is made.
"""

from collections.abc import Callable
from dataclasses import dataclass

from app.errors import VoucherifyRefused
from app.programmes import plan as planning
from app.programmes import project as projects
from app.programmes.caller import Caller, InterruptedWrite
from app.programmes.format import Programme
from app.programmes.steps import Plan

_AGAIN = 5
"""Times that a load reads anew after a call whose answer was lost."""


@dataclass(frozen=True)
class Target:
    """Where a programme goes."""

    caller: Caller
    sandbox: bool
    public_url: str


async def plan(target: Target, programme: Programme) -> tuple[Plan, projects.Project]:
    """What loading would do. Only reads."""
    project = await projects.read(target.caller, programme, sandbox=target.sandbox)
    return planning.make(programme, project, public_url=target.public_url), project


async def load(
    target: Target,
    programme: Programme,
    *,
    change: bool = False,
    done: Callable[[str], None] = lambda _: None,
    begun: tuple[Plan, projects.Project] | None = None,
) -> Plan:
    """Make what is missing and, with `change`, what the API can change; answers what is left.

    `begun` is a plan that was shown already; `done` is told each step.

    Raises:
        VoucherifyError: Voucherify refused a call, or can't take it.
    """
    made, project = begun or await plan(target, programme)
    for _ in range(_AGAIN):
        steps = [*made.steps, *(made.changes if change else ())]
        if not steps:
            return made
        whole = False
        try:
            for step in steps:
                await step.do(target.caller, project)
                done(step.says)
            whole = True
        except InterruptedWrite:
            done("an answer was lost: looking what is there …")
        except VoucherifyRefused as error:
            # Somebody else made it meanwhile, or the call whose answer was lost did.
            if error.code != 409:
                raise
            done("it is there already: looking again …")
        made, project = await plan(target, programme)
        if whole and not made.steps:  # what differs still was not changed by the call for it, and would not be now
            return made
    return made
