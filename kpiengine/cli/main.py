"""The group `kpi`: a table of commands, each imported only when it is called."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from kpiengine import __version__
from kpiengine.cli.state import State, set_debug, set_directory

COMMANDS = {
    "init": "Make a new project that runs at once.",
    "demo": "Make the example project, export everything, show a table.",
    "list": "List every metric, and what it still lacks.",
    "show": "Show a metric: definition, lineage, place, SQL.",
    "query": "Ask for metrics and print the answer.",
    "sql": "Print the SQL of a query instead of running it.",
    "export": "Write exports to Parquet.",
    "check": "Check the project's definitions, and with --data its rows.",
    "test": "Run the project's metric tests.",
    "diff": "Show which metrics' meaning changed since a git revision.",
    "schema": "Print a JSON Schema for editors.",
    "plugins": "List what is installed, and what it adds.",
    "doctor": "Tell what the set-up is, and what of it does not work.",
}
"""Name → what `kpi --help` says. The command itself is `command` in `kpiengine.cli.commands.NAME`."""

COLLECT_AFTER = 200_000
"""So many new objects are looked through for garbage at a time: what a command loads is half as many, and none is."""

PLANNED = {
    "report": "Write a self-contained page.",
    "serve": "Serve the page live.",
}
"""Commands that are known and not there yet: they say so and end with 1."""


class KpiGroup(click.Group):
    """Commands from the tables above; errors mapped to exit codes by `kpiengine.cli.errors`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order in which a new user needs them."""
        return [*COMMANDS, *PLANNED]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, its module imported now."""
        if cmd_name in COMMANDS:
            command = importlib.import_module(f"kpiengine.cli.commands.{cmd_name}").command
            assert isinstance(command, click.Command)
            return command
        if cmd_name in PLANNED:
            return _planned(cmd_name)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with a suggestion for a command that does not exist."""
        name = args[0]
        if name not in COMMANDS and name not in PLANNED and not name.startswith("-"):
            from kpiengine.errors import suggest

            ctx.fail(f'no such command "{name}"{suggest(name, self.list_commands(ctx))}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the tables: nothing is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        with formatter.section("Not there yet"):
            formatter.write_dl(list(PLANNED.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a broken pipe is told apart: our own reader went away, or an engine's connection broke."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.Abort from error  # here, since click would print an empty line for it
        except BrokenPipeError as error:
            from kpiengine.cli.errors import ReaderGone, reader_is_gone
            from kpiengine.errors import EngineError

            if reader_is_gone():
                raise ReaderGone from error
            raise EngineError("the connection to the engine was lost; run the query again") from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run, and leave by `SystemExit` with the exit code that LANGUAGE promises: 0, 1, 2 or 130."""
        state = State()
        try:
            got = super().main(
                args,
                prog_name=prog_name or "kpi",
                complete_var=complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                obj=state,
                **extra,
            )
            _finish_output()
            code = got if isinstance(got, int) else 0
        except BaseException as error:
            from kpiengine.cli.errors import exit_code

            code = exit_code(error, state)
        finally:
            state.close()
        sys.exit(code)


def _finish_output() -> None:
    """Write out what is still buffered for standard output, so that a full disk is noticed and told."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError as error:
        from kpiengine.cli.errors import ReaderGone

        raise ReaderGone from error


def _planned(name: str) -> click.Command:
    """A command that says that it is not there yet, whatever it is given."""

    @click.command(
        name,
        help=f"{PLANNED[name]}  (Not there yet.)",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    @click.pass_context
    def command(ctx: click.Context) -> None:
        click.echo(f"kpi {name} is not there yet", err=True)
        ctx.exit(1)

    return command


@click.group(
    cls=KpiGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `kpi demo`, or with `kpi init DIR` for your own. `kpi COMMAND --help` has examples.",
)
@click.version_option(__version__, "--version", prog_name="kpiengine", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, callback=set_debug, help="Show tracebacks of errors.")
@click.option(
    "-C",
    "directory",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    expose_value=False,
    callback=set_directory,
    help="The project's folder; otherwise the nearest kpi.yaml upwards from here.",
)
def cli() -> None:
    """KPIs as code: define metrics in YAML, ask for them here."""


def main() -> NoReturn:
    """The program `kpi`."""
    gc.set_threshold(COLLECT_AFTER)
    try:
        cli.main()
    except SystemExit as end:
        _leave(end)


def _leave(end: SystemExit) -> NoReturn:
    """Ends the process without taking apart all that it loaded: a seventh of a first query's time goes there.

    What was registered for the end is done, unless a query was cut off in the engine: its threads are not waited for.
    """
    code = end.code
    if not isinstance(code, int):  # Python's own way with a text, or with nothing
        raise end
    if code <= 128:
        if _has_threads():
            raise end
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or none
            stream.flush()
    os._exit(code)


def _has_threads() -> bool:
    """Whether a thread is at work that a process waits for."""
    threading = sys.modules.get("threading")
    if threading is None:
        return False
    return any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())


if __name__ == "__main__":
    main()
