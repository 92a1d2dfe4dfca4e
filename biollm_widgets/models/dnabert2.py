"""DNABERT-2 for transformers, the whole model in this file, without remote code.

A post-norm BERT encoder with two changes: positions enter as a linear penalty on attention (ALiBi) instead of
position embeddings, and the feed-forward block is a gated linear unit (GEGLU). It loads the published checkpoint
(`zhihan1996/DNABERT-2-117M`) by its own file layout and parameter names, needs neither Triton nor
`trust_remote_code`, and works on transformers 4.50.3 up to the newest 5.x:

    model = DNABert2Model.from_pretrained("zhihan1996/DNABERT-2-117M")

References
1) DNABERT-2, Zhou et al. 2023: https://arxiv.org/abs/2306.15006
2) ALiBi, Press et al. 2021: https://arxiv.org/abs/2108.12409, and for head counts that are no power of two, such as
   12, the authors' code: https://github.com/ofirpress/attention_with_linear_biases
3) GEGLU, Shazeer 2020: https://arxiv.org/abs/2002.05202
4) BERT, Devlin et al. 2018: https://arxiv.org/abs/1810.04805

Shapes in the margin: B sequences, L tokens, H heads, D = hidden // H, C = hidden, F = intermediate,
T = all tokens of a packed batch laid end to end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Optional, Union

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling, MaskedLMOutput, SequenceClassifierOutput

from biollm_widgets.errors import InputError

# What a padded key gets on top of its ALiBi penalty. The published code's own number: it fits half precision.
MASKED = -10000.0


class DNABert2Config(PretrainedConfig):
    """The shape of a DNABERT-2; the defaults are those of DNABERT-2-117M.

    `from_pretrained` reads the published `config.json`, which calls itself a plain `bert` and points at remote code:
    both are set right here, so that nothing is fetched and a saved model says what it is.

    Raises
    ------
    InputError
        From `from_pretrained`, when the folder or id holds another kind of model, a stock BERT above all: its weights
        would not fit, and transformers would fill the gaps with random numbers.
    ValueError
        When hidden_size does not divide into num_attention_heads.
    """

    model_type = "dnabert2"

    def __init__(
        self,
        vocab_size: int = 4096,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        hidden_dropout_prob: float = 0.1,
        attention_probs_dropout_prob: float = 0.0,
        layer_norm_eps: float = 1e-12,
        initializer_range: float = 0.02,
        type_vocab_size: int = 2,
        classifier_dropout: Optional[float] = None,
        alibi_starting_size: int = 512,
        max_position_embeddings: int = 512,
        pad_token_id: Optional[int] = 3,
        tie_word_embeddings: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("auto_map", None)  # the published file's pointer to remote code
        super().__init__(**kwargs)
        if hidden_size % num_attention_heads:
            raise ValueError(
                f"hidden_size {hidden_size} does not divide into {num_attention_heads} attention heads; "
                "choose a hidden_size that is a multiple of num_attention_heads."
            )
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.layer_norm_eps = layer_norm_eps
        self.initializer_range = initializer_range
        self.type_vocab_size = type_vocab_size
        self.classifier_dropout = classifier_dropout
        # Kept so that the published file survives a round trip. Neither is a limit: ALiBi reaches any length.
        self.alibi_starting_size = alibi_starting_size
        self.max_position_embeddings = max_position_embeddings
        self.pad_token_id = pad_token_id
        self.tie_word_embeddings = tie_word_embeddings

    @classmethod
    def get_config_dict(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> tuple[dict, dict]:
        config, unused = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        kind = config.get("model_type", cls.model_type)
        if kind not in ("bert", cls.model_type) or (kind == "bert" and "alibi_starting_size" not in config):
            found = "stock BERT (its config.json has no alibi_starting_size)" if kind == "bert" else kind
            raise InputError(
                f"{pretrained_model_name_or_path} holds a {found}, not a DNABERT-2; name a DNABERT-2 checkpoint, such "
                "as zhihan1996/DNABERT-2-117M."
            )
        if kind == "bert":
            config["model_type"] = cls.model_type
        return config, unused


def alibi_slopes(heads: int) -> list[float]:
    """One slope a head: a geometric series from 2^(-8/n) for n a power of two; for other counts the series of the
    next lower power, then every other value of the next higher one (Press et al. 2021, and the code they published).

    Returns a list of `heads` positive floats; for 12 heads 2^-1 ... 2^-8, then 2^-0.5, 2^-1.5, 2^-2.5, 2^-3.5.
    """
    if math.log2(heads).is_integer():
        start = 2.0 ** (-8.0 / heads)
        return [start ** (i + 1) for i in range(heads)]
    lower = 2 ** math.floor(math.log2(heads))
    return alibi_slopes(lower) + alibi_slopes(2 * lower)[0::2][: heads - lower]


def alibi_bias(heads: int, length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The ALiBi penalty `-slope * |i - j|`, shape (heads, length, length).

    Computed when needed and never kept as a buffer: transformers 5 fills non-persistent buffers with garbage.
    """
    slopes = torch.tensor(alibi_slopes(heads), device=device, dtype=torch.float32)
    place = torch.arange(length, device=device, dtype=torch.float32)
    distance = (place[None, :] - place[:, None]).abs()  # (L, L)
    return (-slopes[:, None, None] * distance).to(dtype)  # (H, L, L)


def attention_bias(heads: int, x: Tensor, attention_mask: Optional[Tensor] = None) -> Tensor:
    """What is added to the scores of x (B, L, C): ALiBi, and the penalty on padded keys; (1 or B, heads, L, L)."""
    bias = alibi_bias(heads, x.size(1), x.device, x.dtype)[None]  # (1, H, L, L)
    if attention_mask is None:
        return bias
    return bias + (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * MASKED  # (B, H, L, L)


def alibi_strip(heads: int, length: int, device: torch.device, dtype: torch.dtype, rows: int = 512) -> Tensor:
    """The ALiBi penalty of up to `rows` neighbouring queries against every key, shape (heads, rows, 2 * length).

    The penalty depends on the distance alone, so one strip serves all blocks of queries: what queries `r ...` add for
    keys `0 ... n` stands in columns `length - r ... length - r + n`.
    """
    slopes = torch.tensor(alibi_slopes(heads), device=device, dtype=torch.float32)
    query = torch.arange(min(rows, length), device=device, dtype=torch.float32)
    key = torch.arange(-length, length, device=device, dtype=torch.float32)
    distance = (query[:, None] - key[None, :]).abs()  # (R, 2L)
    return (-slopes[:, None, None] * distance).to(dtype)  # (H, R, 2L)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
    """Attention written out, for when the probabilities are asked for: (B, H, L, D) and (B, H, L, L)."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1)) + bias  # (B, H, L, L)
    probabilities = scores.softmax(dim=-1)
    return F.dropout(probabilities, dropout) @ v, probabilities


def attend_fast(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, dropout: float = 0.0) -> Tensor:
    """The same without the probabilities, by the kernel that torch picks: (B, H, L, D)."""
    if not q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
    # cuDNN's kernel, which newer GPUs get in half precision, makes a plan for every new length: sequences that all
    # differ in length took 18 times as long. Flash attention takes no bias, so these two are what is left.
    with sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)


class SelfAttention(nn.Module):
    """Queries, keys and values in one matrix, ordered (3, heads, dim); positions come in as the bias."""

    def __init__(self, config: DNABert2Config) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.p_dropout = config.attention_probs_dropout_prob
        self.Wqkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)

    def forward(self, x: Tensor, bias: Tensor, with_weights: bool = False) -> tuple[Tensor, Optional[Tensor]]:
        B, L, C = x.shape
        qkv = self.Wqkv(x).view(B, L, 3, self.heads, C // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, L, D)
        dropout = self.p_dropout if self.training else 0.0
        if with_weights:
            out, weights = attend(q, k, v, bias, dropout)
        else:
            out, weights = attend_fast(q, k, v, bias, dropout), None
        return out.transpose(1, 2).reshape(B, L, C), weights

    def forward_packed(self, x: Tensor, lengths: Sequence[int], strip: Tensor) -> Tensor:
        """Attention within each sequence: x (T, C), sequences end to end; strip (H, R, 2 * longest) from `alibi_strip`.

        Neighbours of one length go through attention together, still without padding, so sort by length. A sequence
        longer than R is attended R queries at a time: memory grows with its length and not with the square of it.
        """
        T, C = x.shape
        R, longest = strip.size(1), strip.size(2) // 2
        qkv = self.Wqkv(x).view(T, 3, self.heads, C // self.heads)
        out = torch.empty_like(qkv[:, 0])  # (T, H, D)
        start = 0
        for length, same in groupby(lengths):
            n = len(list(same))
            stop = start + n * length
            q, k, v = (
                qkv[start:stop].view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            )  # each (n, H, length, D)
            to = out[start:stop].view(n, length, self.heads, -1)
            for row in range(0, length, R):
                some = q[:, :, row : row + R]  # (n, H, up to R, D)
                bias = strip[None, :, : some.size(2), longest - row : longest - row + length]
                if bias.is_cuda:
                    bias = bias.contiguous()  # the memory-efficient kernel wants aligned rows
                to[:, row : row + R] = attend_fast(some, k, v, bias).transpose(1, 2)
            start = stop
        return out.view(T, C)


class AttentionOutput(nn.Module):
    def __init__(self, config: DNABert2Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(out)) + x)


class Attention(nn.Module):
    def __init__(self, config: DNABert2Config) -> None:
        super().__init__()
        self.self = SelfAttention(config)
        self.output = AttentionOutput(config)


class GatedMLP(nn.Module):
    """GEGLU: one matrix makes both halves, the first goes through an exact (erf) GELU and gates the second."""

    def __init__(self, config: DNABert2Config) -> None:
        super().__init__()
        self.gated_layers = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.wo = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)  # lower case, as published

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.gated_layers(x).chunk(2, dim=-1)  # each (..., F)
        return self.layernorm(self.wo(self.dropout(F.gelu(gate) * value)) + x)  # no dropout after wo


class Layer(nn.Module):
    def __init__(self, config: DNABert2Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.mlp = GatedMLP(config)

    def forward(self, x: Tensor, bias: Tensor, with_weights: bool = False) -> tuple[Tensor, Optional[Tensor]]:
        out, weights = self.attention.self(x, bias, with_weights)
        return self.mlp(self.attention.output(out, x)), weights

    def forward_packed(self, x: Tensor, lengths: Sequence[int], strip: Tensor) -> Tensor:
        return self.mlp(self.attention.output(self.attention.self.forward_packed(x, lengths, strip), x))


class Encoder(nn.Module):
    gradient_checkpointing = False  # transformers looks for this name and sets the function beside it
    _gradient_checkpointing_func: Callable[..., tuple[Tensor, Optional[Tensor]]]
    layer: Any  # a ModuleList of Layer

    def __init__(self, config: DNABert2Config) -> None:
        super().__init__()
        self.layer = nn.ModuleList([Layer(config) for _ in range(config.num_hidden_layers)])


class Embeddings(nn.Module):
    """Word plus type; no position table. No `padding_idx` either: the published one is 0, which is [UNK], not [PAD]."""

    def __init__(self, config: DNABert2Config) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, words: Tensor, token_type_ids: Optional[Tensor] = None) -> Tensor:
        if token_type_ids is None:
            # A call, and not .weight[0]: accelerate brings offloaded weights in when a module is called.
            token_type_ids = torch.zeros(1, dtype=torch.long, device=words.device)
        return self.dropout(self.LayerNorm(words + self.token_type_embeddings(token_type_ids)))  # (..., C)


class Pooler(nn.Module):
    """What the classifier reads: the first token, [CLS], through one dense layer and a tanh."""

    def __init__(self, config: DNABert2Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor, attention_mask: Optional[Tensor] = None) -> Tensor:
        first = hidden[:, 0]  # (B, C)
        if attention_mask is not None:
            # Padding may stand on the left: take each row's first real token. argmax gives the first of equals.
            place = (attention_mask != 0).int().argmax(dim=-1)  # (B,)
            first = hidden[torch.arange(hidden.size(0), device=hidden.device), place]
        return torch.tanh(self.dense(first))


class DNABert2PreTrainedModel(PreTrainedModel):
    """What the three models share: how weights start, and what transformers may do with them."""

    config_class = DNABert2Config
    base_model_prefix = "bert"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["Layer", "Embeddings"]  # noqa: RUF012 (a list is what transformers takes, here and below)

    def _init_weights(self, module: nn.Module) -> None:
        # nn.init and not .data: transformers 5 guards nn.init so that loaded weights are not overwritten.
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, mean=0.0, std=self.config.initializer_range)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
        if isinstance(module, (nn.Linear, nn.LayerNorm)) and module.bias is not None:
            nn.init.zeros_(module.bias)


class DNABert2Model(DNABert2PreTrainedModel):
    """The encoder: token ids in, one vector a token out, and a pooled one for the sequence.

    Parameters
    ----------
    config : DNABert2Config
    add_pooling_layer : bool
        Whether to build the pooler; without it `pooler_output` is None.
    """

    _keys_to_ignore_on_load_unexpected = [r"^cls\.", r"^classifier\.", r"pooler"]  # noqa: RUF012

    def __init__(self, config: DNABert2Config, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.pooler = Pooler(config) if add_pooling_layer else None
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: Any) -> None:
        self.embeddings.word_embeddings = value

    def forward(
        self,
        input_ids: Optional[Tensor] = None,
        attention_mask: Optional[Tensor] = None,
        token_type_ids: Optional[Tensor] = None,
        inputs_embeds: Optional[Tensor] = None,
        output_attentions: Optional[bool] = None,
        output_hidden_states: Optional[bool] = None,
        return_dict: Optional[bool] = None,
    ) -> Union[BaseModelOutputWithPooling, tuple]:
        """Run the encoder on a padded batch.

        Parameters
        ----------
        input_ids : LongTensor (B, L). Any L: ALiBi has no limit.
        attention_mask : (B, L), 1 for a token and 0 for padding. Without it every position counts as a token, padding
            included, as in the published code: pass it whenever sequences differ in length.
        token_type_ids : LongTensor (B, L); 0 everywhere unless given.
        inputs_embeds : FloatTensor (B, L, C), word embeddings in place of `input_ids`.

        Returns
        -------
        BaseModelOutputWithPooling
            `last_hidden_state` (B, L, C), zero at padding; `pooler_output` (B, C); on request `hidden_states`
            (layers + 1 of (B, L, C), zero at padding too) and `attentions` (layers of (B, H, L, L), probabilities
            before dropout). A tuple in the same order with `return_dict=False`, so `model(ids)[0]` is the hidden
            states either way.

        Raises
        ------
        ValueError
            Unless exactly one of `input_ids` and `inputs_embeds` is given.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give the model either input_ids or inputs_embeds: one of the two.")
        config = self.config
        if output_attentions is None:
            output_attentions = config.output_attentions
        if output_hidden_states is None:
            output_hidden_states = config.output_hidden_states
        if return_dict is None:
            return_dict = getattr(config, "return_dict", True)
        words = self.embeddings.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds  # (B, L, C)
        x = self.embeddings(words, token_type_ids)

        # Under autocast x stays in float32, as sums with the residual do, while Wqkv gives the lower precision. The
        # bias is cast with the rest for scaled_dot_product_attention, and `attend` takes both types.
        bias = attention_bias(config.num_attention_heads, x, attention_mask)  # (1 or B, H, L, L)

        with_weights = output_attentions or getattr(config, "_attn_implementation", "sdpa") == "eager"
        hidden_states = [x] if output_hidden_states else []
        attentions: list[Any] = []
        for layer in self.encoder.layer:
            if self.encoder.gradient_checkpointing and self.training:
                x, weights = self.encoder._gradient_checkpointing_func(layer.__call__, x, bias, with_weights)
            else:
                x, weights = layer(x, bias, with_weights)
            if output_hidden_states:
                hidden_states.append(x)
            if output_attentions:
                attentions.append(weights)
        if attention_mask is not None:
            # What stands at padding is no answer to anything; the published code, which drops padding, has zeros there.
            real = attention_mask[:, :, None].to(x.dtype)  # (B, L, 1)
            hidden_states = [state * real for state in hidden_states]
            x = x * real
        pooled = self.pooler(x, attention_mask) if self.pooler is not None else None  # (B, C)

        output = BaseModelOutputWithPooling(
            last_hidden_state=x,
            pooler_output=pooled,
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
        return output if return_dict else output.to_tuple()

    def forward_packed(self, input_ids: Tensor, lengths: Sequence[int], layers: Optional[int] = None) -> Tensor:
        """Run the encoder on sequences laid end to end: no padding is computed, so nothing has to be masked.

        Parameters
        ----------
        input_ids : LongTensor (T,), the tokens of all sequences, special tokens included.
        lengths : the number of tokens of each sequence; they add up to T. Sorted ones are quicker.
        layers : stop after so many layers; 0 gives what enters the first one. All of them unless given.

        Returns
        -------
        Tensor (T, C), the same vectors that `forward` gives for each sequence alone. No dropout on attention and no
        gradient checkpointing: this is for reading embeddings.
        """
        if sum(lengths) != input_ids.numel():
            raise ValueError(f"lengths add up to {sum(lengths)}, but there are {input_ids.numel()} tokens.")
        x = self.embeddings(self.embeddings.word_embeddings(input_ids))  # (T, C)
        strip = alibi_strip(self.config.num_attention_heads, max(lengths, default=0), x.device, x.dtype)
        for layer in self.encoder.layer[:layers]:
            x = layer.forward_packed(x, lengths, strip)
        return x


class PredictionTransform(nn.Module):
    def __init__(self, config: DNABert2Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.LayerNorm(F.gelu(self.dense(hidden)))


class Predictions(nn.Module):
    def __init__(self, config: DNABert2Config) -> None:
        super().__init__()
        self.transform = PredictionTransform(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)  # weight tied to the word embeddings

    def forward(self, hidden: Tensor) -> Tensor:
        return self.decoder(self.transform(hidden))


class MaskedLMHead(nn.Module):
    def __init__(self, config: DNABert2Config) -> None:
        super().__init__()
        self.predictions = Predictions(config)


class DNABert2ForMaskedLM(DNABert2PreTrainedModel):
    """DNABERT-2 as it was pretrained: for each position, a score for every token of the vocabulary."""

    # A mapping for transformers 5; 4.50 walks over its keys as over a list.
    _tied_weights_keys = {"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight"}  # noqa: RUF012
    _keys_to_ignore_on_load_unexpected = [r"pooler", r"^classifier\."]  # noqa: RUF012

    def __init__(self, config: DNABert2Config) -> None:
        super().__init__(config)
        self.bert = DNABert2Model(config, add_pooling_layer=False)
        self.cls = MaskedLMHead(config)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        return self.cls.predictions.decoder

    def set_output_embeddings(self, new_embeddings: Any) -> None:
        self.cls.predictions.decoder = new_embeddings

    def forward(
        self,
        input_ids: Optional[Tensor] = None,
        attention_mask: Optional[Tensor] = None,
        token_type_ids: Optional[Tensor] = None,
        inputs_embeds: Optional[Tensor] = None,
        labels: Optional[Tensor] = None,
        output_attentions: Optional[bool] = None,
        output_hidden_states: Optional[bool] = None,
        return_dict: Optional[bool] = None,
    ) -> Union[MaskedLMOutput, tuple]:
        """As `DNABert2Model.forward`; `logits` is (B, L, vocabulary).

        With `labels` (B, L), -100 where there is nothing to predict, `loss` is the mean cross-entropy in nats a token.
        """
        if return_dict is None:
            return_dict = getattr(self.config, "return_dict", True)
        outputs = self.bert(
            input_ids, attention_mask, token_type_ids, inputs_embeds, output_attentions, output_hidden_states, True
        )
        logits = self.cls.predictions(outputs.last_hidden_state)  # (B, L, vocabulary)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100)
        output = MaskedLMOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )
        return output if return_dict else output.to_tuple()


class DNABert2ForSequenceClassification(DNABert2PreTrainedModel):
    """DNABERT-2 with a classification (or regression) head on the pooled [CLS] vector."""

    _keys_to_ignore_on_load_unexpected = [r"^cls\."]  # noqa: RUF012

    def __init__(self, config: DNABert2Config) -> None:
        super().__init__(config)
        self.num_labels: int = config.num_labels  # type: ignore[assignment]
        self.bert = DNABert2Model(config)
        dropout = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(config.hidden_size, self.num_labels)
        self.post_init()

    def forward(
        self,
        input_ids: Optional[Tensor] = None,
        attention_mask: Optional[Tensor] = None,
        token_type_ids: Optional[Tensor] = None,
        inputs_embeds: Optional[Tensor] = None,
        labels: Optional[Tensor] = None,
        output_attentions: Optional[bool] = None,
        output_hidden_states: Optional[bool] = None,
        return_dict: Optional[bool] = None,
    ) -> Union[SequenceClassifierOutput, tuple]:
        """As `DNABert2Model.forward`; `logits` is (B, num_labels).

        `labels` is (B,) class numbers, (B,) or (B, num_labels) floats for regression, or (B, num_labels) of 0 and 1
        for several labels at once; `config.problem_type` decides, or the labels' type the first time they are seen.
        """
        if return_dict is None:
            return_dict = getattr(self.config, "return_dict", True)
        outputs = self.bert(
            input_ids, attention_mask, token_type_ids, inputs_embeds, output_attentions, output_hidden_states, True
        )
        logits = self.classifier(self.dropout(outputs.pooler_output))  # (B, num_labels)
        loss = self.loss(logits, labels) if labels is not None else None
        output = SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )
        return output if return_dict else output.to_tuple()

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.config.problem_type is None:
            if self.num_labels == 1:
                self.config.problem_type = "regression"
            elif labels.is_floating_point():
                self.config.problem_type = "multi_label_classification"
            else:
                self.config.problem_type = "single_label_classification"
        if self.config.problem_type == "regression":
            return F.mse_loss(logits.reshape(labels.shape).float(), labels.float())
        if self.config.problem_type == "multi_label_classification":
            return F.binary_cross_entropy_with_logits(logits.float(), labels.float())
        return F.cross_entropy(logits.float(), labels.view(-1))


# So that a saved model loads by the Auto classes and is known to pipelines wherever this file has been imported.
AutoConfig.register("dnabert2", DNABert2Config)
AutoTokenizer.register(DNABert2Config, fast_tokenizer_class=PreTrainedTokenizerFast)
AutoModel.register(DNABert2Config, DNABert2Model)
AutoModelForMaskedLM.register(DNABert2Config, DNABert2ForMaskedLM)
AutoModelForSequenceClassification.register(DNABert2Config, DNABert2ForSequenceClassification)
