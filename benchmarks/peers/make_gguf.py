"""The plan's model as a GGUF file for llama.cpp, without a vocabulary: it is given tokens."""

import json
import sys
from pathlib import Path

import gguf
import numpy as np
from safetensors import safe_open

plan = json.loads(Path(sys.argv[1]).read_text())
config = json.loads((Path(plan["model"]) / "config.json").read_text())
kinds = {"float32": gguf.GGMLQuantizationType.F32, "bfloat16": gguf.GGMLQuantizationType.BF16}
kind = kinds[plan["dtype"]]

writer = gguf.GGUFWriter(plan["gguf"], "qwen3")
writer.add_context_length(config["max_position_embeddings"])
writer.add_embedding_length(config["hidden_size"])
writer.add_block_count(config["num_hidden_layers"])
writer.add_feed_forward_length(config["intermediate_size"])
writer.add_head_count(config["num_attention_heads"])
writer.add_head_count_kv(config["num_key_value_heads"])
writer.add_key_length(config["head_dim"])
writer.add_value_length(config["head_dim"])
writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
writer.add_vocab_size(config["vocab_size"])
writer.add_tokenizer_model("none")
names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, config["num_hidden_layers"])
with safe_open(Path(plan["model"]) / "model.safetensors", framework="np") as file:
    for name in sorted(file.keys()):
        values = file.get_tensor(name).astype(np.float32)
        target = names.get_name(name, try_suffixes=(".weight",))
        low = values.ndim == 2 and plan["dtype"] != "float32"
        data = gguf.quantize(values, kind) if low else values
        writer.add_tensor(target, data, raw_dtype=kind if low else None)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
