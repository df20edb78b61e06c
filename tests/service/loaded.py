"""All that a service needs, for a process that is then forked: `crossmargin serve` loads it piece by piece."""

import importlib

for name in (
    "own_process",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "crossmargin.cli.clearing",
    "crossmargin.cli.serve",
    "crossmargin.service.access.guard",
    "crossmargin.service.application",
    "crossmargin.service.feeding",
    "crossmargin.service.metrics",
    "crossmargin.service.processes.front",
    "crossmargin.service.rehearsal",
    "crossmargin.service.writer",
):
    importlib.import_module(name)
