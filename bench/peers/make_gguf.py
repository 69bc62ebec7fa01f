"""Writes a model's matrices in another block format for llama.cpp: `make_gguf.py SOURCE OUT.gguf TYPE`, with TYPE Q4_0, Q4_1 or Q8_0.

SOURCE is a GGUF file, whose metadata stays, or a Hugging Face directory of the qwen2 family with a byte-level BPE tokenizer.
Rounding is that of the package gguf, without an importance matrix: it serves to measure speed, not quality.
"""

import json
import os
import sys
from pathlib import Path

import gguf
import numpy as np

TYPES = {
    "Q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
    "Q4_1": (gguf.GGMLQuantizationType.Q4_1, gguf.LlamaFileType.MOSTLY_Q4_1),
    "Q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}


def make_gguf(source: Path, out: Path, type_name: str) -> None:
    """
    @param out written under another name first, so that a file that is there is whole
    @raise ValueError for a directory of another family
    """
    draft = out.with_suffix(".part")
    write = _requantize if source.is_file() else _convert
    write(source, draft, type_name)
    os.replace(draft, out)


def _requantize(source: Path, draft: Path, type_name: str) -> None:
    reader = gguf.GGUFReader(source)
    architecture = reader.get_field(gguf.Keys.General.ARCHITECTURE).contents()
    writer = gguf.GGUFWriter(draft, architecture)
    written = {gguf.Keys.General.ARCHITECTURE, gguf.Keys.General.FILE_TYPE}
    for field in reader.fields.values():
        if field.name in written or field.name.startswith("GGUF."):
            continue
        kind = field.types[0]
        sub_type = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=sub_type)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        _add(writer, tensor.name, values, type_name)
    _finish(writer, type_name)


def _convert(source: Path, draft: Path, type_name: str) -> None:
    from safetensors import safe_open

    config = json.loads((source / "config.json").read_text())
    if config["model_type"] != "qwen2":
        raise ValueError(f"{source} is of the family {config['model_type']}; only qwen2 is written")
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    writer = gguf.GGUFWriter(draft, "qwen2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(layers)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    _add_tokenizer(writer, source)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, layers)
    with safe_open(source / "model.safetensors", framework="pt") as tensors:
        for name in tensors.keys():
            _add(writer, names.get_name(name, (".weight", ".bias")), tensors.get_tensor(name).float().numpy(), type_name)
    _finish(writer, type_name)


def _add_tokenizer(writer: gguf.GGUFWriter, source: Path) -> None:
    tokenizer = json.loads((source / "tokenizer.json").read_text())
    special = {each["content"]: each["id"] for each in tokenizer["added_tokens"]}
    vocabulary = tokenizer["model"]["vocab"] | special
    tokens = sorted(vocabulary, key=vocabulary.get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges([each if isinstance(each, str) else " ".join(each) for each in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(max(special.values()))


def _add(writer: gguf.GGUFWriter, name: str, values: np.ndarray, type_name: str) -> None:
    if values.ndim < 2:
        writer.add_tensor(name, values.astype(np.float32))
        return
    block_type = TYPES[type_name][0]
    writer.add_tensor(name, gguf.quants.quantize(values, block_type), raw_dtype=block_type)


def _finish(writer: gguf.GGUFWriter, type_name: str) -> None:
    writer.add_file_type(TYPES[type_name][1])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    make_gguf(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
