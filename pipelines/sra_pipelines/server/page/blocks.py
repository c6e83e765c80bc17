"""The controls of the page and what they do. Imports gradio, so it is imported only where the page is served."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

import gradio as gr

from sra_pipelines.answering.chosen_documents import DocumentChoice
from sra_pipelines.readers import FORMATS
from sra_pipelines.server.api.completions import Completions
from sra_pipelines.server.api.document_shelf import DocumentShelf
from sra_pipelines.server.page.compared_answers import answer_turn
from sra_pipelines.server.page.login import PAGE
from sra_pipelines.server.page.views import notice_view, turn_view, upload_view
from sra_rag.config import SRAConfig

__all__ = ["page_blocks"]

OFF, ON, BOTH = "Off", "On", "Both, side by side"
_ROWS = [("All rows", "all"), ("After the passages", "after_context"), ("Only the answer", "generated")]
_LONGEST_QUESTION = 4000  # characters
_LOGOUT = f'<form method="post" action="{PAGE}/logout"><button type="submit">Log out</button></form>'
_NO_ATTENTION = (
    '<p class="sra-note">The model runs on a server of its own: it is not known which passages answers attend to.</p>'
)
Said: TypeAlias = tuple[Any, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Conversation:
    """What a tab has asked so far: the views of turns that are over, and (question, answer) of those answered."""

    views: tuple[str, ...] = ()
    history: tuple[tuple[str, str], ...] = ()


def page_blocks(completions: Completions, shelf: DocumentShelf, *, keyed: bool) -> gr.Blocks:
    """Return the page.

    Parameters
    ----------
    completions
        Answers, in its queue and within its limits.
    shelf
        The documents.
    keyed
        Whether one logs in, and so can log out.
    """
    choice = DocumentChoice(completions.qa)

    def page_text(document: str, page_index: int) -> str | None:
        try:
            return next(page.text for page in shelf.index.pages(document) if page.index == page_index)
        except (KeyError, StopIteration):
            return None

    async def ask(
        question: str, documents: list[str] | None, mode: str, alpha: float, rows: str,
        past: Conversation | None, request: gr.Request,
    ) -> AsyncGenerator[Said, None]:  # fmt: skip
        past = past or Conversation()
        question = (question or "").strip()
        problem = _problem(question, shelf)
        if problem:
            yield gr.skip(), notice_view(problem), gr.skip(), gr.skip()
            return
        sra = SRAConfig(alpha=float(alpha), rows=rows)  # type: ignore[arg-type]  # it checks them
        settings: dict[str, list[SRAConfig | None]] = {OFF: [None], ON: [sra], BOTH: [None, sra]}
        qa, client = choice.of(documents or ()), str(request.request.state.client if request.request else "")
        turn = None
        async with aclosing(answer_turn(completions, qa, question, settings[mode], past.history, client)) as turns:
            async for turn in turns:
                yield gr.skip(), turn_view(turn, page_text), "", gr.skip()
        if turn is not None and turn.done and turn.columns[-1].answer is not None:
            past = dataclasses.replace(past, history=(*past.history, (question, turn.columns[-1].answer.text)))
        if turn is not None:
            past = dataclasses.replace(past, views=(*past.views, turn_view(turn, page_text)))
        yield "".join(past.views), "", "", past

    with gr.Blocks(title="sra-rag", analytics_enabled=False) as blocks:
        past = gr.State(None)
        gr.HTML(f'<header class="sra-header"><h1>Ask the documents</h1>{_LOGOUT if keyed else ""}</header>')
        with gr.Row():
            with gr.Column(scale=3, min_width=300):
                over = gr.HTML("", elem_id="sra-over")
                now = gr.HTML("", elem_id="sra-now")
                question = gr.Textbox(
                    label="Question", placeholder="When does the agreement end?", lines=1, max_lines=6,
                    max_length=_LONGEST_QUESTION, elem_id="sra-question", autofocus=True,
                )  # fmt: skip
                with gr.Row():
                    send = gr.Button("Ask", variant="primary", elem_id="sra-ask", min_width=90)
                    stop = gr.Button("Stop", elem_id="sra-stop", min_width=90)
                    new = gr.Button("New conversation", elem_id="sra-new", min_width=120)
            with gr.Column(scale=1, min_width=280):
                documents = gr.Dropdown(
                    _names(shelf), multiselect=True, value=[], label="Documents to ask",
                    info="None chosen: all of them.", elem_id="sra-documents",
                )  # fmt: skip
                # Not a control of the library: those take paths of the host from clients. See routes.py, page.js.
                gr.HTML(upload_view(sorted(FORMATS), completions.settings.max_upload_bytes), elem_id="sra-upload")
                refresh = gr.Button("Show the documents that are there now", elem_id="sra-refresh")
                mode = gr.Radio([OFF, ON, BOTH], value=ON, label="Reattention", elem_id="sra-mode")
                alpha = gr.Slider(
                    0, 1, value=0.2, step=0.05, label="Alpha", info="Strength; 0 is off.", elem_id="sra-alpha"
                )
                rows = gr.Radio(_ROWS, value="all", label="Sharpened rows", elem_id="sra-rows")
                if not completions.qa.engine.sees_attention:
                    gr.HTML(_NO_ATTENTION)
        inputs, outputs = [question, documents, mode, alpha, rows, past], [over, now, question, past]
        asked = gr.on(
            [question.submit, send.click], ask, inputs, outputs, show_progress="hidden", concurrency_limit=None,
            trigger_mode="once", api_name="ask", api_visibility="undocumented",
        )  # fmt: skip
        stop.click(lambda: notice_view("Stopped."), None, now, cancels=[asked], api_visibility="private")
        new.click(lambda: ("", "", None), None, [over, now, past], cancels=[asked], api_visibility="private")
        gr.on(
            [blocks.load, refresh.click], lambda chosen: _documents(shelf, chosen), documents, documents,
            show_progress="hidden", api_visibility="private",
        )  # fmt: skip
    blocks.queue(default_concurrency_limit=None, api_open=False)
    return blocks


def _problem(question: str, shelf: DocumentShelf) -> str:
    if not question:
        return "The question is empty. Ask something."
    if len(question) > _LONGEST_QUESTION:
        return f"The question is longer than {_LONGEST_QUESTION:,} characters. Ask a shorter one."
    if not shelf.documents():
        return "There are no documents yet. Add some, then ask."
    return ""


def _names(shelf: DocumentShelf) -> list[str]:
    return [about.name for about in shelf.documents()]


def _documents(shelf: DocumentShelf, chosen: Sequence[str] | None) -> gr.Dropdown:
    names = _names(shelf)
    return gr.Dropdown(names, value=[name for name in chosen or () if name in names])
