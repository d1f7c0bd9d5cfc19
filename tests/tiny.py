"""A tiny Llama with random weights, as GGUF and as the folder that training reads: small enough for any test.

It stands where the real base model would, in a cache of its own, so that everything else is the real thing.
"""

from pathlib import Path

import gguf
import numpy as np

from openai_local.models.architectures import permute
from openai_local.models.base_models import SMOLLM2
from openai_local.models.conversion import convert

WIDTH, HEADS, KV_HEADS, LAYERS, INNER = 64, 2, 1, 3, 96
CONFIG = {"model_type": "llama", "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS}
"""What an adapter has to know of it."""
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' "
    "+ '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def bytes_to_unicode() -> list[str]:
    """GPT-2's 256 printable stand-ins for bytes, in the order of the bytes."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    names, extra = {}, 0
    for byte in range(256):
        names[byte] = chr(byte) if byte in plain else chr(256 + extra)
        extra += byte not in plain
    return [names[byte] for byte in range(256)]


def make_cache(cache: Path, seed: int = 0) -> Path:
    """Put the tiny model where the built-in base belongs. Returns the cache."""
    SMOLLM2.at(cache).folder.mkdir(parents=True)
    write_gguf(SMOLLM2.at(cache).gguf, seed)
    convert(SMOLLM2.at(cache).gguf, SMOLLM2.at(cache).weights)
    return cache


def write_gguf(path: Path, seed: int = 0) -> None:
    """Write the tiny model."""
    random = np.random.default_rng(seed)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    merges = ["Ġ t", "h e", "Ġt he", "i n"]
    tokens = special + bytes_to_unicode() + [merge.replace(" ", "") for merge in merges]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(8192)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (len(tokens) - 3))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)

    def matrix(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) / shape[-1] ** 0.5).astype(np.float32)

    writer.add_tensor("token_embd.weight", matrix(len(tokens), WIDTH))
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, dtype=np.float32))
    head = WIDTH // HEADS
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{name}.weight", np.ones(WIDTH, dtype=np.float32))
        writer.add_tensor(f"{block}.attn_q.weight", permute(matrix(WIDTH, WIDTH), HEADS))
        writer.add_tensor(f"{block}.attn_k.weight", permute(matrix(head * KV_HEADS, WIDTH), KV_HEADS))
        writer.add_tensor(f"{block}.attn_v.weight", matrix(head * KV_HEADS, WIDTH))
        writer.add_tensor(f"{block}.attn_output.weight", matrix(WIDTH, WIDTH))
        writer.add_tensor(f"{block}.ffn_gate.weight", matrix(INNER, WIDTH))
        writer.add_tensor(f"{block}.ffn_up.weight", matrix(INNER, WIDTH))
        writer.add_tensor(f"{block}.ffn_down.weight", matrix(WIDTH, INNER))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
