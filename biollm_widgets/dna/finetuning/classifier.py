"""DNABERT-2's classifier with two short cuts for training, the arithmetic being the same.

The head reads only the first position, [CLS]. So in the last layer nothing but that position has to go through the
attention's output and the feed-forward block: of a layer's 16 C^2 multiplications a token, 3 C^2 are left (C = hidden,
intermediate 4 C). And with the lower layers frozen, what they give can be computed once, stored, and fed in here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional, Union

import torch
from torch import Tensor
from transformers.modeling_outputs import SequenceClassifierOutput

from biollm_widgets.models.dnabert2 import DNABert2ForSequenceClassification, Layer, attend_fast, attention_bias


class FineTunedClassifier(DNABert2ForSequenceClassification):
    """A `DNABert2ForSequenceClassification` that can begin above the layers whose output is stored.

    What it saves is a plain checkpoint of that class, names and config.

    Attributes
    ----------
    first_layer : int
        The layer that `hidden` is the input of; as many layers as there are when `hidden` is the last one's output.
    """

    first_layer: int = 0

    def forward(  # type: ignore[override]
        self,
        input_ids: Optional[Tensor] = None,
        attention_mask: Optional[Tensor] = None,
        token_type_ids: Optional[Tensor] = None,
        inputs_embeds: Optional[Tensor] = None,
        labels: Optional[Tensor] = None,
        output_attentions: Optional[bool] = None,
        output_hidden_states: Optional[bool] = None,
        return_dict: Optional[bool] = None,
        hidden: Optional[Tensor] = None,
    ) -> Union[SequenceClassifierOutput, tuple]:
        """As `DNABert2ForSequenceClassification.forward`, or from `hidden` (B, L, C), the input of `first_layer`."""
        looked_into = output_attentions or output_hidden_states or self.config.output_hidden_states
        if hidden is None and (looked_into or return_dict is False):
            return super().forward(
                input_ids,
                attention_mask,
                token_type_ids,
                inputs_embeds,
                labels,
                output_attentions,
                output_hidden_states,
                return_dict,
            )
        if hidden is None:
            words = self.bert.embeddings.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
            x, first = self.bert.embeddings(words, token_type_ids), 0  # (B, L, C)
        else:
            x, first = hidden, self.first_layer
        assert self.bert.pooler is not None
        pooled = self.bert.pooler(self.first_position(x, attention_mask, first))  # (B, C)
        logits = self.classifier(self.dropout(pooled))  # (B, labels)
        loss = self.loss(logits, labels) if labels is not None else None
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def first_position(self, x: Tensor, mask: Optional[Tensor], first: int) -> Tensor:
        """Layers `first` to the last on x (B, L, C); gives their output at [CLS] alone, (B, 1, C)."""
        layers = self.bert.encoder.layer[first:]
        if len(layers) == 0:
            return x[:, :1]
        bias = attention_bias(self.config.num_attention_heads, x, mask)
        for layer in layers[:-1]:
            x = self.run_layer(layer, x, bias)
        return last_layer_at_cls(layers[-1], x, bias)

    def below(self, input_ids: Tensor, mask: Optional[Tensor], layers: int) -> Tensor:
        """What the first `layers` layers give, (B, L, C)."""
        x = self.bert.embeddings(self.bert.embeddings.word_embeddings(input_ids))
        bias = attention_bias(self.config.num_attention_heads, x, mask)
        for layer in self.bert.encoder.layer[:layers]:
            x = self.run_layer(layer, x, bias)
        return x

    def run_layer(self, layer: Layer, x: Tensor, bias: Tensor) -> Tensor:
        """One layer, its inner values kept for the backward pass or, with gradient checkpointing, computed again."""
        if self.bert.encoder.gradient_checkpointing and self.training:
            return self.bert.encoder._gradient_checkpointing_func(layer.__call__, x, bias, False)[0]
        return layer(x, bias)[0]

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        """As transformers does; the config names the public class, which loads this file anywhere."""
        saved = super().save_pretrained(save_directory, *args, **kwargs)
        path = Path(save_directory) / "config.json"
        if path.exists():
            config = json.loads(path.read_text(encoding="utf-8"))
            config["architectures"] = [DNABert2ForSequenceClassification.__name__]
            path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return saved


def last_layer_at_cls(layer: Layer, x: Tensor, bias: Tensor) -> Tensor:
    """A layer of which only the first position is wanted: x (B, L, C) -> (B, 1, C)."""
    attention = layer.attention.self
    B, L, C = x.shape
    qkv = attention.Wqkv(x).view(B, L, 3, attention.heads, C // attention.heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, L, D)
    dropout = attention.p_dropout if attention.training else 0.0
    out = attend_fast(q[:, :, :1], k, v, bias[:, :, :1], dropout)
    first = out.transpose(1, 2).reshape(B, 1, C)
    return layer.mlp(layer.attention.output(first, x[:, :1]))


def states_to_store(model: FineTunedClassifier, input_ids: Tensor, mask: Optional[Tensor]) -> Tensor:
    """What `forward(hidden=...)` begins with: the input of `first_layer`, (B, L, C).

    When no layer is left above it, only [CLS], (B, 1, C).
    """
    with torch.inference_mode():
        if model.first_layer < len(model.bert.encoder.layer):
            return model.below(input_ids, mask, model.first_layer)
        x = model.bert.embeddings(model.bert.embeddings.word_embeddings(input_ids))
        return model.first_position(x, mask, 0)
