"""`SRALM`: an `Engine` as a model of lm-evaluation-harness, registered there as ``sra``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm

from sra_rag.attention.reattend import reattend
from sra_rag.config import SRAConfig, SRALike
from sra_rag.errors import ConfigError, ContextOverflowError
from sra_rag.generation.engine import PREFILL_CHUNK, Engine
from sra_rag.generation.prefix_cache import cache_argument, dependence
from sra_rag.generation.prompts import EncodedPrompt
from sra_rag.models.loading import load_model
from sra_rag.notation import parse_sra

__all__ = ["SRALM"]

_logger = logging.getLogger(__name__)
_SAMPLING = {"top_k", "top_p", "min_p", "typical_p", "repetition_penalty"}
_ONE = (None, 1, "1", "auto")

Request = tuple[tuple[str, str] | None, list[int], list[int]]


@register_model("sra")
class SRALM(TemplateLM):
    """A local model whose attention is sharpened, or not, for the harness's tasks.

    Requests run one by one; prefills are shared between those with one beginning, such as the choices of a question.
    Prompts that are too long lose their beginning, as with the harness's own ``hf`` model; `cut` counts them.

    Parameters
    ----------
    pretrained
        ``"embedded"``, a name on the hub, a folder or a ``.gguf`` file.
    sra
        Settings, None or ``"off"`` for off. As text, options are parted by semicolons where commas part the arguments:
        ``alpha=0.3;rows=generated``.
    dtype, device
        As ``dtype`` and ``device_map`` of `sra_rag.load_model`.
    batch_size, max_batch_size
        Given by the harness; 1 or "auto".
    max_length
        Tokens of prompt and answer; by default, and at most, the model's own.
    max_gen_toks
        Of an answer where the task names no limit.
    engine
        A loaded model to use instead.

    Attributes
    ----------
    cut
        How many prompts were too long.

    Raises
    ------
    ConfigError
        If a setting is not allowed, such as ``rows="after_context"``: the harness does not report the end of contexts.
    """

    def __init__(
        self,
        pretrained: str = "embedded",
        sra: SRALike = None,
        *,
        dtype: str = "auto",
        device: str | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        max_length: int | None = None,
        max_gen_toks: int = 256,
        engine: Engine | None = None,
    ) -> None:
        super().__init__()
        if batch_size not in _ONE or max_batch_size not in _ONE:
            raise ConfigError(f"batch_size={batch_size!r} is not allowed: requests run one by one. Leave it out.")
        self.sra = parse_sra(sra.replace(";", ",")) if isinstance(sra, str) else SRAConfig.coerce(sra)
        if self.sra is not None and self.sra.rows == "after_context":
            raise ConfigError(
                'rows="after_context" is not allowed here: the harness does not report where a prompt\'s context ends. '
                'Use rows="all" or rows="generated".'
            )
        if device is not None and device.startswith("cuda") and not torch.cuda.is_available():
            _logger.warning("device=%s is not available here; the model is put on a device that has room.", device)
            device = None  # the harness's command line asks for a GPU by default
        if engine is None:
            engine = Engine(load_model(pretrained, dtype=dtype, device_map=device or "auto"), context_window=max_length)
        self.engine = engine
        self.tokenizer = engine.loaded.tokenizer
        self.max_length = min(max_length or engine.context_window, engine.context_window)
        self.max_gen_toks = max_gen_toks
        self.cut = 0

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """The token that precedes a text whose first token's likelihood is measured too."""
        first = self.tokenizer.bos_token_id
        return self.eot_token_id if first is None else int(first)

    @property
    def tokenizer_name(self) -> str:
        """The key of the harness's caches of requests."""
        return self.engine.loaded.name.replace("/", "__")

    @property
    def device(self) -> torch.device:
        """Where the model's input goes."""
        return self.engine.loaded.device

    def get_model_info(self) -> dict[str, Any]:
        """Return what the harness's results contain about the model."""
        return {
            "model_dtype": str(self.engine.loaded.model.dtype),
            "sra": None if self.sra is None else self.sra.to_dict(),
        }

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Turn text, in which a chat template's control tokens count, into tokens."""
        encoded = self.engine.encoder.encode_rendered(string, add_bos=add_special_tokens is not False)
        return list(encoded.token_ids)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Render messages with the model's template."""
        rendered = self.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )
        return str(rendered)

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answer prompts.

        Raises
        ------
        ConfigError
            If a task sets an option of generation that is not supported.
        ContextOverflowError
            If an answer alone is longer than the model's window.
        """
        answers = []
        for number, request in enumerate(tqdm(requests, disable=disable_tqdm, desc="Answers")):
            text, given = request.args
            wanted = dict(normalize_gen_kwargs(given, self.max_gen_toks))
            sampled, new = wanted.pop("do_sample"), wanted.pop("max_gen_toks")
            temperature = wanted.pop("temperature", 0.0 if not sampled else 1.0)
            stop = tuple(filter(None, wanted.pop("until", ())))
            if wanted.keys() - _SAMPLING:
                raise ConfigError(
                    f"The task sets {', '.join(sorted(wanted.keys() - _SAMPLING))} for its answers; known are until, "
                    f"do_sample, temperature, max_gen_toks, {', '.join(sorted(_SAMPLING))}."
                )
            tokens = self.tok_encode(text)
            tokens = tokens[self._count_cut(len(tokens) + new - self.max_length, len(tokens), new) :]
            said = self.engine.generate(
                EncodedPrompt(tuple(tokens), 0),
                sra=self.sra,
                max_new_tokens=new,
                temperature=temperature if sampled else 0.0,
                stop=stop,
                seed=number,
                **(wanted if sampled else {}),
            )
            answers.append(said.text)
        return answers

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Measure the likelihood of whole texts, in nats; those beyond the window in parts, each token once."""
        found = []
        for request in tqdm(requests, disable=disable_tqdm, desc="Texts"):
            windows = get_rolling_token_windows(
                self.tok_encode(request.args[0]), self.prefix_token_id, max_seq_len=self.max_length, context_len=1
            )
            found.append(sum(self._likelihood(*make_disjoint_window(window))[0] for window in windows))
        return found

    def _loglikelihood_tokens(
        self, requests: Sequence[Request], disable_tqdm: bool = False, **kwargs: Any
    ) -> list[tuple[float, bool]]:
        return [self._likelihood(*tokens) for _, *tokens in tqdm(requests, disable=disable_tqdm, desc="Likelihoods")]

    @torch.inference_mode()
    def _likelihood(self, context: list[int], rest: list[int]) -> tuple[float, bool]:
        """Return the log-probability of `rest` after `context`, and whether each token is the likeliest.

        As in generation, the row that predicts the first token of the rest is the last row of the prompt.
        """
        # The last token predicts none and needs no place.
        cut = self._count_cut(len(context) + len(rest) - 1 - self.max_length, len(context), len(rest))
        tokens, length = [*context[cut:], *rest], len(context) - cut
        model, prefixes = self.engine.loaded.model, self.engine.prefixes
        untouched, depends = dependence(self.sra, 0, length)
        cache, cached = prefixes.take(tokens[:length], untouched, depends, model.config)
        known = cache_argument(model, cache)

        def read(ids: list[int], keep: int) -> torch.Tensor:
            inputs = torch.tensor([ids], device=self.device)
            return model(input_ids=inputs, use_cache=True, logits_to_keep=keep, **known).logits[0]

        with reattend(model, self.sra, context_length=0, prompt_length=length):
            whole = self.sra is not None and self.sra.bounds == "observed"
            size = length if whole else PREFILL_CHUNK
            last = [read(tokens[at : min(at + size, length)], 1) for at in range(cached, length, size)][-1:]
            if len(rest) > 1:
                last.append(read(rest[:-1], len(rest) - 1))
        prefixes.put(tokens[:-1], untouched, depends, cache)
        scores = torch.log_softmax(torch.cat(last).float(), dim=-1)
        targets = torch.tensor(rest, device=self.device)
        return float(scores.gather(1, targets[:, None]).sum()), bool((scores.argmax(-1) == targets).all())

    def _count_cut(self, surplus: int, prompt: int, rest: int) -> int:
        """Return how many tokens are cut from the beginning of a prompt."""
        if surplus <= 0:
            return 0
        if surplus >= prompt:
            raise ContextOverflowError(prompt, rest, self.max_length)
        self.cut += 1
        _logger.warning("A prompt lost its first %d tokens: the window holds %d. So far: %d.", surplus, self.max_length,
                        self.cut)  # fmt: skip
        return surplus
