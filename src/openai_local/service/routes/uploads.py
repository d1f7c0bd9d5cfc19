"""``/v1/files``: upload, list, retrieve, content, delete."""

import os
import shutil
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from pathlib import PurePath
from typing import Any, BinaryIO

from openai.types import FileDeleted, FileObject
from openai.types.fine_tuning import FineTuningJob
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from openai_local.service.context import Context, context, identity, one, page
from openai_local.service.contract import pieces, refuse, said_length
from openai_local.service.errors import APIError, brief, invalid, too_long
from openai_local.service.job_records import ALIVE, describe
from openai_local.service.store import coming, going
from openai_local.training.job_folder import new_id

MOST_BYTES = 512 * 1024 * 1024
_OFFERED = frozenset({"file", "purpose"})
_MOST_NAME = 255
_PIECE = 1 << 18
_ENVELOPE = 4096  # how much longer than its file an upload may be


async def create(request: Request) -> Response:
    """Keep an uploaded file. It is on disk, whole, before the answer goes out."""
    service, who = context(request), identity(request)
    with service.quota.upload(who, said_length(request)) as came:
        form = await _form(request, came)
        try:
            refuse({name.split("[")[0]: None for name in form}, _OFFERED, {})
            upload, name = _upload(form)
            file = await run_in_threadpool(_keep, service, who.name, upload, name)
        finally:
            await form.close()
    return one(file)


async def _form(request: Request, came: Callable[[int], None]) -> FormData:
    """The fields of a multipart body; files in it go to disk as they come, and `came` is told how much."""
    too_large = APIError(413, "A file may have 512 MB at most.", param="file", code="file_too_large")

    async def counted() -> AsyncGenerator[bytes, None]:
        received = 0
        async for piece in pieces(request, MOST_BYTES + _ENVELOPE, too_large):
            received += len(piece)
            came(received)
            yield piece

    if said_length(request) > MOST_BYTES + _ENVELOPE:
        raise too_large
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise APIError(400, "A file is sent as multipart/form-data.", param="file", code="invalid_content_type")
    parser = MultiPartParser(_in_utf8(request.headers), counted(), max_files=1, max_fields=8, max_part_size=4096)
    try:
        return await parser.parse()
    except MultiPartException as error:
        said = error.message.rstrip(".")
        raise APIError(400, f"The upload is not valid multipart/form-data: {said}.", param="file") from None


def _in_utf8(headers: Headers) -> Headers:
    """The content type without an encoding: names are UTF-8, and some of Python's encodings raise or lie."""
    kind, options = parse_options_header(headers["content-type"])
    boundary = b'; boundary="' + options[b"boundary"] + b'"' if b"boundary" in options else b""
    return Headers(raw=[(b"content-type", kind + boundary)])


def _upload(form: FormData) -> tuple[UploadFile, str]:
    """The file, and its name."""
    upload, purpose = form.get("file"), form.get("purpose")
    if not isinstance(upload, UploadFile):
        raise APIError(400, "'file' is a required property", param="file", code="missing_required_parameter")
    if purpose != "fine-tune":
        message = f"This service takes files with purpose 'fine-tune', not {brief(str(purpose))!r}."
        raise invalid("purpose", message)
    name = PurePath(upload.filename or "upload").name
    if len(name) > _MOST_NAME:
        raise too_long("file.filename", "string", _MOST_NAME, len(name))
    if any(character < " " or character == "\x7f" for character in name):
        raise invalid("file", "The file's name has a character that can't be shown. Rename the file.")
    if not name.lower().endswith(".jsonl"):
        message = f"Invalid file format for Fine-Tuning API: {brief(name)}. Must be .jsonl"
        raise APIError(400, message, param="file", code="invalid_file_format")
    return upload, name


def _keep(service: Context, owner: str, upload: UploadFile, name: str) -> FileObject:
    """Write an upload to disk and into the database."""
    id_ = new_id("file")
    with coming(service.home.files / id_) as part:
        with part.open("wb") as out:
            shutil.copyfileobj(upload.file, out, 1 << 20)
            out.flush()
            os.fsync(out.fileno())
        file = describe(part, id_, name, "fine-tune")
        service.store.add(file, owner)
    return file


def list_files(request: Request) -> Response:
    """The files, newest first."""
    params = request.query_params
    order: Any = params.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid("order", "'order' must be 'asc' or 'desc'.")
    purpose: dict[str, Any] = {"purpose": params["purpose"]} if "purpose" in params else {}
    owner = identity(request).sees
    fetch = partial(context(request).store.page, FileObject, owner=owner, order=order, **purpose)
    return page(request, fetch, default=10000, highest=10000, ends=True)


def _find(request: Request) -> FileObject:
    id_ = request.path_params["id"]
    file = context(request).store.get(FileObject, id_, identity(request).sees)
    if file is None:
        raise _missing(id_)
    return file


def _missing(id_: str) -> APIError:
    return APIError(404, f"No such File object: {brief(id_)}", param="id")


def retrieve(request: Request) -> Response:
    """One file's description."""
    return one(_find(request))


def content(request: Request) -> Response:
    """One file's bytes."""
    id_ = _find(request).id
    try:
        file = (context(request).home.files / id_).open("rb")
    except FileNotFoundError:  # it is just being deleted
        raise _missing(id_) from None
    headers = {"accept-ranges": "none", "content-length": str(os.fstat(file.fileno()).st_size)}
    if request.method == "HEAD":
        file.close()
    body = () if file.closed else _whole(file)
    return StreamingResponse(body, headers=headers, media_type="application/octet-stream")


def _whole(file: BinaryIO) -> Iterator[bytes]:
    """An open file from its first byte to its last, even if it is deleted meanwhile. It is closed then."""
    with file:
        while piece := file.read(_PIECE):
            yield piece


def delete(request: Request) -> Response:
    """Remove a file, unless a job that is not over needs it."""
    service, file, who = context(request), _find(request), identity(request)
    with going(service.home.files / file.id) as go, service.store.together():
        files = ("body.training_file", "body.validation_file")
        for job, owner, *needs in service.store.table(FineTuningJob, *files, status=ALIVE):
            if file.id in needs:
                needed = "an instructor's job. Wait for it."
                if who.sees in (None, owner):
                    needed = f"the fine-tuning job {job}. Cancel the job or wait for it."
                raise APIError(409, f"The file {file.id} is needed by {needed}", param="id", code="file_in_use")
        go()
        service.store.delete(FileObject, file.id)
    return one(FileDeleted(id=file.id, object="file", deleted=True))


ROUTES = [
    Route("/files", create, methods=["POST"]),
    Route("/files", list_files, methods=["GET"]),
    Route("/files/{id}", retrieve, methods=["GET"]),
    Route("/files/{id}/content", content, methods=["GET"]),
    Route("/files/{id}", delete, methods=["DELETE"]),
]
