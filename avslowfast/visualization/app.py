"""A page on this machine that takes a video, from a file or the camera, and shows what networks make of it."""

import contextlib
import html
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from ..inference.load import meta_of
from ..inference.moments import moments
from ..inference.predictor import predict
from ..media import open_media
from ..utils.errors import one_line, UserError
from .media import has_frames
from .player import write_player

# Of a page inside the page, and of the video that was given, pixels.
_FRAME_HEIGHT, _INPUT_HEIGHT = 900, 360
# Uploads are looked through once a minute, and removed when they are an hour old; those of a tab that is closed, then.
_LOOK_SECONDS, _KEEP_SECONDS = 60, 3600


class AppError(UserError):
    """An app that cannot be built, or a file that it does not take; the message says why."""


def build_app(
    models: Sequence[nn.Module],
    *,
    topk: int = 5,
    max_seconds: float = 300.0,
    step: float | None = None,
) -> Any:
    """The app, a `gradio.Blocks`; `serving` runs it.

    Args:
        models: From `avslowfast.load_model`; each has a column of its own.
        topk: Classes that are shown.
        max_seconds: Longest file that is taken.
        step: Seconds from one window to the next; None is half a window.

    Raises:
        AppError: Gradio is not installed, or there is no model.
    """
    gradio = _gradio()
    if not models:
        raise AppError("there is no network to show; give one or more with --weights")
    listens = all(meta_of(model).only_listens for model in models)

    def recognise(path: str | None, files: list[str]) -> list[Any]:
        if not path:
            raise gradio.Error("Choose a file or record one first.", print_exception=False)
        files.append(path)
        try:
            _check(path, max_seconds)
            shown = [part for model in models for part in _shown(model, path, topk, step)]
        except Exception as error:
            line = one_line(error)
            if line is None:
                raise
            # A person sees the name that they gave, not where the file lies.
            raise gradio.Error(line.replace(path, os.path.basename(path)), print_exception=False) from None
        return [files, *shown]

    with gradio.Blocks(title="avslowfast", analytics_enabled=False, delete_cache=(_LOOK_SECONDS, _KEEP_SECONDS)) as app:
        gradio.Markdown("# What does the network see and hear?")
        taken = gradio.State([], delete_callback=_remove)
        if listens:
            source = gradio.Audio(label="Sound", type="filepath")
        else:
            source = gradio.Video(label="Video", sources=["upload", "webcam"], include_audio=True, height=_INPUT_HEIGHT)
        button = gradio.Button("Recognise", variant="primary")
        outputs = []
        with gradio.Row():
            for model in models:
                with gradio.Column(min_width=320):
                    gradio.Markdown(f"## {_name_of(model)}")
                    outputs += [gradio.Label(label="Whole file", num_top_classes=topk), gradio.HTML()]
        button.click(recognise, [source, taken], [taken, *outputs], concurrency_limit=1, api_name="recognise")
    return app


@contextlib.contextmanager
def serving(
    models: Sequence[nn.Module],
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    max_megabytes: int = 200,
    **options: Any,
) -> Iterator[Any]:
    """The running app, a `gradio.Blocks`, in the block; `block_thread` of it waits for Ctrl-C.

    Files lie in a folder of their own, which is removed at the end; nothing else can be read through the app.

    Args:
        models: From `avslowfast.load_model`.
        host: Address to listen at; the default is reached from this machine alone.
        port: Port to listen at; 0 takes a free one.
        max_megabytes: Largest file that is taken.
        **options: See `build_app`.

    Raises:
        AppError: Gradio is not installed, or the port is taken.
    """
    gradio = _gradio()
    with _own_folder():
        app = build_app(models, **options)
        try:
            app.launch(
                server_name=host,
                server_port=port or None,
                max_file_size=f"{max_megabytes}mb",
                allowed_paths=[],
                share=False,
                quiet=True,
                show_error=True,
                footer_links=[],
                # Gradio's own theme takes its fonts from the network.
                theme=gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
                prevent_thread_lock=True,
            )
        except OSError as error:
            raise AppError(f"--port {port} at {host} cannot be used ({error}); give another one") from None
        try:
            yield app
        finally:
            app.close(verbose=False)


def _gradio() -> Any:
    try:
        import gradio
    except ImportError:
        raise AppError("the app needs gradio: pip install avslowfast[app]") from None
    return gradio


@contextlib.contextmanager
def _own_folder() -> Iterator[str]:
    """A folder for what is uploaded, which gradio reads from the environment."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="avslowfast_app_") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            yield folder
        finally:
            if before is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before


def _remove(files: Sequence[str]) -> None:
    """Remove the files of a tab that was closed."""
    for path in files:
        shutil.rmtree(os.path.dirname(path), ignore_errors=True)


def _check(path: str, max_seconds: float) -> None:
    with open_media(path, frames=has_frames(path)) as reader:
        duration = reader.extent.duration
    if duration > max_seconds:
        raise AppError(f"{path}: {duration:.0f} s long, and {max_seconds:.0f} s are taken; cut it")


def _shown(model: nn.Module, path: str, topk: int, step: float | None) -> tuple[dict[str, float], str]:
    """({class: score} of the whole file, the page to play with as HTML)."""
    result = predict(model, path, topk)
    best = [
        (f"{head}: {name}" if head else name, score)
        for head, predictions in (result if isinstance(result, dict) else {"": result}).items()
        for name, _, score in predictions
    ]
    with tempfile.TemporaryDirectory() as folder:
        page = os.path.join(folder, "page.html")
        write_player(model, path, page, topk=topk, step=step, found=moments(model, path, step, progress=False))
        with open(page, encoding="utf-8") as f:
            text = f.read()
    frame = (
        f"<iframe title='What the network makes of it over time' sandbox='allow-scripts' "
        f"style='width:100%;height:{_FRAME_HEIGHT}px;border:0' srcdoc='{html.escape(text, quote=True)}'></iframe>"
    )
    return dict(best), frame


def _name_of(model: nn.Module) -> str:
    meta = meta_of(model)
    if meta.source is None:
        return f"{meta.cfg.MODEL.ARCH}: fresh weights"
    # A state of a run is named after the run's folder.
    folder, file = os.path.split(os.path.abspath(meta.source))
    run = os.path.basename(os.path.dirname(folder)) if os.path.basename(folder) == "checkpoints" else ""
    return f"{meta.cfg.MODEL.ARCH}: {run or file}"
