"""GGUF files: converted once to safetensors in the user's cache, and loaded from there.

Unpacking the quantized weights takes most of the loading time, so it is done once for each file. The conversion runs
under a file lock in a temporary folder that is renamed when it is complete, and a list of its files with their sizes is
checked at each use: processes that start together all work, and an incomplete copy is never loaded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from sra_rag.errors import ModelLoadError, first_line
from sra_rag.models.cache import cache_folder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

__all__ = ["LAYOUT", "file_sha256", "gguf_model_folder", "is_complete", "is_unpacked", "unpack_once", "unpacked_folder"]

LAYOUT = "v2"
"""Part of the name of each folder of unpacked weights; raised when what is written there changes."""

_MANIFEST = "sra-rag-files.json"
_ANSWER = "The answer is 42"  # a text that no chat template contains

logger = logging.getLogger(__name__)


def gguf_model_folder(file: Path) -> Path:
    """Return the folder with a GGUF file's model in transformers' format, converting it on first use.

    Parameters
    ----------
    file
        The GGUF file. Copies of it under other names share one folder.

    Raises
    ------
    ModelLoadError
        If there is no such file, it cannot be read, or the cache cannot be written.
    """
    if not file.is_file():
        raise ModelLoadError(f"There is no file {str(file)!r}. Give the path of a .gguf file.")
    try:
        digest = _known_sha256(file)
    except OSError as error:
        raise ModelLoadError(f"The file {str(file)!r} cannot be read: {first_line(error)}.") from error
    return unpack_once(file, unpacked_folder(digest))


def unpacked_folder(sha256: str) -> Path:
    """Return where the unpacked weights of the GGUF file with this SHA-256 are kept, whether they are there or not."""
    return cache_folder() / "models" / f"gguf-{sha256[:24]}-{LAYOUT}"


def is_unpacked(file: Path) -> bool:
    """Return whether the weights of a GGUF file are unpacked already.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    """
    return is_complete(unpacked_folder(_known_sha256(file)))


def is_complete(folder: Path) -> bool:
    """Return whether a folder holds all files of a conversion, each with the size that was written."""
    try:
        sizes = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        return bool(sizes) and all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def unpack_once(gguf: Path, folder: Path) -> Path:
    """Convert a GGUF file into a folder, unless a complete conversion is there already.

    Raises
    ------
    ModelLoadError
        If the file cannot be read, or the folder cannot be written.
    """
    if is_complete(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if not is_complete(folder):
                logger.info("Unpacking %s once, into %s", gguf.name, folder)
                _convert(gguf, folder)
    except ModelLoadError:
        raise
    except OSError as error:
        raise ModelLoadError(
            f"The unpacked weights of {gguf.name} cannot be written to {folder.parent}: {first_line(error)}. Free some "
            "space (2 bytes for each parameter), or set SRA_RAG_CACHE to a folder that can be written."
        ) from error
    return folder


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _known_sha256(file: Path) -> str:
    """Return the SHA-256 of a file, kept in the cache until the file changes."""
    path = file.resolve()
    state = path.stat()
    key = [str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
    record = cache_folder() / "models" / "sha256" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:24]}.json"
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        if known["file"] == key:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    digest = file_sha256(path)
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(prefix=f".{record.name}-", dir=record.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as content:
            json.dump({"file": key, "sha256": digest}, content)
        Path(partial).replace(record)
    except OSError as error:
        logger.debug("The SHA-256 of %s cannot be kept: %s", path, error)
    return digest


@dataclasses.dataclass(frozen=True, slots=True)
class _Header:
    """What a GGUF file states about itself; `dtype` is the one that its weights are kept in."""

    architecture: str
    parts: int
    dtype: torch.dtype


def _read_header(gguf: Path) -> _Header:
    import torch
    from gguf import GGMLQuantizationType, GGUFReader

    try:
        reader = GGUFReader(gguf)
        architecture = reader.fields["general.architecture"].contents()
        split = reader.fields.get("split.count")
        types = {tensor.tensor_type for tensor in reader.tensors if len(tensor.shape) > 1}
    except Exception as error:  # its reader raises whatever numpy does on damaged bytes
        raise ModelLoadError(
            f"{str(gguf)!r} is not a GGUF file, or is damaged or incomplete: {first_line(error)}. Fetch it again."
        ) from error
    dtype = torch.bfloat16
    if types and types <= {GGMLQuantizationType.F32, GGMLQuantizationType.F16}:
        dtype = torch.float32 if GGMLQuantizationType.F32 in types else torch.float16
    return _Header(str(architecture), int(split.contents()) if split else 1, dtype)


def _read(gguf: Path) -> tuple[Any, PreTrainedTokenizerBase]:
    """Read model and tokenizer from a GGUF file, its weights unpacked."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    header = _read_header(gguf)
    if header.parts > 1:
        raise ModelLoadError(
            f"{str(gguf)!r} is one of {header.parts} parts of a model. Join them with llama.cpp's 'llama-gguf-split "
            "--merge' and give the joined file."
        )
    try:
        model, information = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=header.dtype,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    except (ValueError, KeyError, NotImplementedError, TypeError, AttributeError) as error:
        known = header.architecture in GGUF_SUPPORTED_ARCHITECTURES
        reason = first_line(error) if known else f"readable are {', '.join(sorted(GGUF_SUPPORTED_ARCHITECTURES))}"
        raise ModelLoadError(
            f"{str(gguf)!r} holds a model of the architecture {header.architecture!r}, which cannot be read from GGUF: "
            f"{reason}. Give the original checkpoint: a name on the hub, or a folder with config.json and safetensors."
        ) from error
    missing = sorted(information["missing_keys"])
    if missing:
        raise ModelLoadError(
            f"{str(gguf)!r} (architecture {header.architecture!r}) lacks {len(missing)} weights of the model, such as "
            f"{missing[0]}. Fetch a complete file, or give the original checkpoint."
        )
    return model, tokenizer


def _convert(gguf: Path, folder: Path) -> None:
    for leftover in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        model, tokenizer = _read(gguf)
        ends = _end_tokens(tokenizer)
        if ends:
            model.generation_config.eos_token_id = ends if len(ends) > 1 else ends[0]
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        sizes = {file.name: file.stat().st_size for file in sorted(partial.iterdir())}
        (partial / _MANIFEST).write_text(json.dumps(sizes, indent=1), encoding="utf-8")
        partial.chmod(0o755)
        if folder.exists():  # incomplete, or files were removed from it
            shutil.rmtree(folder)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _end_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that end an answer: the tokenizer's own, and the one that the chat template writes after it.

    A GGUF file names one token only, and in some (Gemma, Llama 3) that is the end of a text and not of a turn.
    """
    ends = [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]
    after = _text_after_answer(tokenizer)
    ids = tokenizer(after, add_special_tokens=False).input_ids if after else []
    if ids and ids[0] in tokenizer.added_tokens_decoder and ids[0] not in ends:
        ends.append(int(ids[0]))
    return ends


def _text_after_answer(tokenizer: PreTrainedTokenizerBase) -> str:
    if not tokenizer.chat_template:
        return ""
    messages = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": _ANSWER}]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    except Exception as error:  # a template is code of the model's publisher
        logger.debug("The chat template cannot write an answer, so no end of a turn is taken from it: %s", error)
        return ""
    return str(text).rpartition(_ANSWER)[2].lstrip()
