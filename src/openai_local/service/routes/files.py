"""``/v1/files``: upload, list, retrieve, content, delete."""

from __future__ import annotations

import os
import time
from pathlib import Path, PurePath

from openai.types import FileDeleted, FileObject
from openai.types.fine_tuning import FineTuningJob
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from openai_local.engine.journal import new_id
from openai_local.service.context import context, owner
from openai_local.service.errors import APIError
from openai_local.service.parameters import query_int
from openai_local.service.queue import ENDED

MOST_BYTES = 512 * 1024 * 1024


async def create(request: Request) -> Response:
    """Keep an uploaded file. It is on disk, whole, before the answer goes out."""
    if int(request.headers.get("content-length", 0)) > MOST_BYTES + 4096:
        raise APIError(413, "A file may have 512 MB at most.", param="file", code="file_too_large")
    async with request.form(max_files=1, max_fields=8) as form:
        upload, purpose = form.get("file"), form.get("purpose")
        if not isinstance(upload, UploadFile):
            raise APIError(400, "'file' is a required property", param="file", code="missing_required_parameter")
        if purpose != "fine-tune":
            message = f"This service takes files with purpose 'fine-tune', not {purpose!r}."
            raise APIError(400, message, param="purpose", code="invalid_value")
        name = PurePath(upload.filename or "upload").name
        if not name.lower().endswith(".jsonl"):
            message = f"Invalid file format for Fine-Tuning API: {name}. Must be .jsonl"
            raise APIError(400, message, param="file", code="invalid_file_format")
        service = context(request)
        id_ = new_id("file")
        size = await run_in_threadpool(_save, upload, service.home.files / id_)
    file = FileObject(
        id=id_,
        object="file",
        bytes=size,
        created_at=int(time.time()),
        filename=name,
        purpose="fine-tune",
        status="processed",
    )
    service.store.add(file, owner(request))
    return JSONResponse(file.to_dict(mode="json"))


def _save(upload: UploadFile, path: Path) -> int:
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as out:
            while chunk := upload.file.read(1 << 20):
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        size = part.stat().st_size
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return size


def list_files(request: Request) -> Response:
    """The files, newest first."""
    params = request.query_params
    purpose = {"purpose": params["purpose"]} if "purpose" in params else {}
    page = context(request).store.page(
        FileObject,
        after=params.get("after"),
        limit=query_int(request, "limit", 10000, 10000),
        order="asc" if params.get("order") == "asc" else "desc",
        **purpose,
    )
    data = [file.to_dict(mode="json") for file in page]
    ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return JSONResponse({"object": "list", "data": data, **ends, "has_more": page.has_more})


def _find(request: Request) -> FileObject:
    id_ = request.path_params["id"]
    file = context(request).store.get(FileObject, id_)
    if file is None:
        raise APIError(404, f"No such File object: {id_}", param="id")
    return file


def retrieve(request: Request) -> Response:
    """One file's description."""
    return JSONResponse(_find(request).to_dict(mode="json"))


def content(request: Request) -> Response:
    """One file's bytes."""
    file = _find(request)
    return FileResponse(context(request).home.files / file.id, media_type="application/octet-stream")


def delete(request: Request) -> Response:
    """Remove a file, unless a job that is not over needs it."""
    service, file = context(request), _find(request)
    for job in service.store.page(FineTuningJob):
        if job.status not in ENDED and file.id in (job.training_file, job.validation_file):
            message = (
                f"The file {file.id} is needed by the fine-tuning job {job.id}. Cancel the job or wait for it."
            )
            raise APIError(409, message, param="id", code="file_in_use")
    service.store.delete(FileObject, file.id)
    (service.home.files / file.id).unlink(missing_ok=True)
    return JSONResponse(FileDeleted(id=file.id, object="file", deleted=True).to_dict())


ROUTES = [
    Route("/files", create, methods=["POST"]),
    Route("/files", list_files, methods=["GET"]),
    Route("/files/{id}", retrieve, methods=["GET"]),
    Route("/files/{id}/content", content, methods=["GET"]),
    Route("/files/{id}", delete, methods=["DELETE"]),
]
