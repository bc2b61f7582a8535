"""Architectures that others wrote, as their packages publish them: a table, and a function that
makes a network and inputs of each row.

Nothing is downloaded: the weights are random, the same in each run. To add a row, write the name of
a timm model into `TIMM`, or the name of a transformers class, what it reads and the options of its
configuration into `TRANSFORMERS`; then run `make zoo`.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lib import models
from lib.engine.contract import undisturbed
from lib.engine.refusal import NoRuleError
from lib.engine.steps import Step
from lib.engine.tracing import trace
from lib.lrp import RelevanceWarning, lrp

# One model of each family, the smallest where nothing else speaks for another.
TIMM = """
    resnet18 resnet50 resnetv2_50 resnetv2_50d_gn resnext50_32x4d seresnet50 res2net50_26w_4s
    resnest14d skresnet18 densenet121 rdnet_tiny vgg11_bn inception_v3 inception_v4 xception41
    inception_next_atto mobilenetv1_100 mobilenetv2_100 mobilenetv3_large_100
    mobilenetv4_conv_small mobilenetv4_hybrid_medium lcnet_050 tinynet_e lcnetv2_small
    efficientnet_b0 efficientnet_lite0 mnasnet_100 fbnetv3_b ghostnetv2_100 ghostnetv3_050
    repghostnet_050 mixnet_s rexnet_100 regnetx_002 regnety_002 regnetz_b16 gernet_s nfnet_l0
    nf_regnet_b1 convnext_atto convnextv2_atto convmixer_1024_20_ks9_p14 repvgg_a0 mobileone_s0
    repvit_m0_9 csatv2 cspnext_tiny cspresnet50 cs3darknet_focus_s dla34 dpn68 hrnet_w18_small
    selecsls42 tresnet_m vovnet39a ese_vovnet19b_dw hgnet_tiny hgnetv2_b0 halonet26t
    bat_resnext26ts lambda_resnet26t botnet26t_256 gcresnet33ts visformer_tiny vit_tiny_patch16_224
    deit_tiny_distilled_patch16_224 deit3_small_patch16_224 cait_xxs24_224 beit_base_patch16_224
    eva02_tiny_patch14_224 flexivit_small samvit_base_patch16_224 vit_relpos_small_patch16_224
    vit_small_patch16_rope_224 naflexvit_base_patch16_gap vit_small_patch16_dinov3 qwen3_vit_88m
    swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 pvt_v2_b0 twins_svt_small coat_lite_tiny
    coat_tiny coatnet_nano_rw_224 crossvit_9_dagger_240 convit_tiny levit_128s mobilevit_xxs
    mobilevitv2_050 maxvit_tiny_tf_224 maxvit_nano_rw_256 xcit_nano_12_p16_224 tnt_s_patch16_224
    volo_d1_224 poolformer_s12 caformer_s18 focalnet_tiny_srf mixer_s32_224 gmlp_ti16_224
    resmlp_12_224 edgenext_xx_small efficientformer_l1 efficientformerv2_s0 efficientvit_b0
    efficientvit_l1 efficientvit_m0 efficientvim_m1 fastvit_t8 fasternet_t0 starnet_s1 davit_tiny
    nest_tiny pit_ti_224 sequencer2d_s hiera_tiny_224 sam2_hiera_tiny gcvit_xxtiny mvitv2_tiny
    tiny_vit_5m_224 nextvit_small vitamin_small_224 mambaout_femto shvit_s1 swiftformer_xs
    iformer_t lowformer_b0 cpubone_nano
""".split()

WIDTH, WORDS_IN_ALL, PAD, CLASSES = 32, 60, 1, 10


@dataclass(frozen=True)
class Reads:
    """What a network of transformers reads: the argument of its `forward`, and n examples of it."""

    argument: str
    examples: Callable[[int], Tensor]


def words(count: int, length: int = 12) -> Tensor:
    """Sentences of different lengths, with padding behind all but the first; the first four
    numbers are kept for what a tokenizer adds, and 2 ends a sentence.
    """
    sentences = torch.randint(4, WORDS_IN_ALL, (count, length))
    for k, sentence in enumerate(sentences):
        end = length - k % 4
        sentence[end - 1] = 2
        sentence[end:] = PAD
    return sentences


WORDS = Reads("input_ids", words)
# Mixing along the sentence, or a state that runs on: what has no padding.
WHOLE = Reads("input_ids", lambda count: torch.randint(4, WORDS_IN_ALL, (count, 16)))
VECTORS = Reads("inputs_embeds", lambda count: torch.randn(count, 16, WIDTH))
IMAGES = Reads("pixel_values", lambda count: torch.rand(count, 3, 64, 64))
SOUND = Reads("input_values", lambda count: torch.randn(count, 1600))
SPECTROGRAMS = Reads("input_features", lambda count: torch.randn(count, 40, 160))
FILM = Reads("pixel_values", lambda count: torch.rand(count, 4, 3, 32, 32))
SERIES = Reads("past_values", lambda count: torch.randn(count, 32, 3))

# Many configurations know these names, some by others.
BERT = {
    "vocab_size": WORDS_IN_ALL,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "pad_token_id": PAD,
    "eos_token_id": 2,
    "bos_token_id": 0,
    "max_position_embeddings": 64,
}
GROUPED = BERT | {"num_key_value_heads": 2, "head_dim": 8}
BART = {
    "vocab_size": WORDS_IN_ALL,
    "d_model": WIDTH,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
    "pad_token_id": PAD,
    "eos_token_id": 2,
    "bos_token_id": 0,
}
T5 = {
    "vocab_size": WORDS_IN_ALL,
    "d_model": WIDTH,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
    "pad_token_id": PAD,
    "eos_token_id": 2,
}
VIT = {
    "image_size": 64,
    "patch_size": 16,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
SWIN = {
    "image_size": 64,
    "embed_dim": 16,
    "depths": [2, 2],
    "num_heads": [2, 4],
    "window_size": 4,
}
STAGES = {"hidden_sizes": [16, 32], "depths": [2, 2], "embedding_size": 16, "num_stages": 2}
SPEECH = {
    "vocab_size": WORDS_IN_ALL,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": [WIDTH] * 3,
    "conv_stride": [5, 4, 2],
    "conv_kernel": [10, 8, 3],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": WIDTH,
}
MAMBA = {
    "vocab_size": WORDS_IN_ALL,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "state_size": 8,
    "use_cache": False,  # it is written in place; to explain, nothing need be kept
}
EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2}

# class: what it reads, and the options of its configuration. A class that returns states instead
# of logits gets a head of ours: the mean of the states, and a dense layer. A word after the class
# tells two rows apart.
TRANSFORMERS: dict[str, tuple[Reads, dict]] = {
    # encoders of words
    "BertForSequenceClassification": (WORDS, BERT),
    "BertForSequenceClassification eager": (WORDS, BERT | {"attn_implementation": "eager"}),
    "BertForSequenceClassification vectors": (VECTORS, BERT),
    "RobertaForSequenceClassification": (WORDS, BERT),
    "AlbertForSequenceClassification": (WORDS, BERT | {"embedding_size": 16}),
    "DistilBertForSequenceClassification": (WORDS, BERT),
    "ElectraForSequenceClassification": (WORDS, BERT | {"embedding_size": 16}),
    "DebertaForSequenceClassification": (WORDS, BERT),
    "DebertaV2ForSequenceClassification": (WORDS, BERT | {"relative_attention": True}),
    "MPNetForSequenceClassification": (WORDS, BERT),
    "XLNetForSequenceClassification": (
        WORDS,
        {"vocab_size": WORDS_IN_ALL, "d_model": WIDTH, "n_layer": 2, "n_head": 4, "d_inner": 64}
        | {"pad_token_id": PAD},
    ),
    "FNetForSequenceClassification": (WHOLE, BERT),
    "FunnelForSequenceClassification": (
        WORDS,
        {"vocab_size": WORDS_IN_ALL, "block_sizes": [2, 2], "num_decoder_layers": 1}
        | {"d_model": WIDTH, "n_head": 4, "d_head": 8, "d_inner": 64, "pad_token_id": PAD}
        | {"bos_token_id": 0, "eos_token_id": 2},
    ),
    "ConvBertForSequenceClassification": (WORDS, BERT | {"embedding_size": WIDTH}),
    "RoFormerForSequenceClassification": (WORDS, BERT | {"embedding_size": WIDTH}),
    "NystromformerForSequenceClassification": (
        WHOLE,
        BERT | {"segment_means_seq_len": 16, "num_landmarks": 4},
    ),
    "LongformerForSequenceClassification": (WHOLE, BERT | {"attention_window": [4, 4]}),
    "BigBirdForSequenceClassification": (WORDS, BERT | {"attention_type": "original_full"}),
    "ReformerForSequenceClassification": (
        WHOLE,
        {"vocab_size": WORDS_IN_ALL, "hidden_size": WIDTH, "num_attention_heads": 4}
        | {"attention_head_size": 8, "attn_layers": ["local", "local"], "feed_forward_size": 64}
        | {"axial_pos_shape": [4, 4], "axial_pos_embds_dim": [16, 16], "local_attn_chunk_length": 4}
        | {"max_position_embeddings": 16, "is_decoder": False, "pad_token_id": PAD},
    ),
    "SqueezeBertForSequenceClassification": (WORDS, BERT | {"embedding_size": WIDTH}),
    "MobileBertForSequenceClassification": (
        WORDS,
        BERT | {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    ),
    "ModernBertForSequenceClassification": (
        WORDS,
        BERT | {"global_attn_every_n_layers": 2, "cls_token_id": 0, "sep_token_id": 2},
    ),
    "XLMForSequenceClassification": (
        WORDS,
        {"vocab_size": WORDS_IN_ALL, "emb_dim": WIDTH, "n_layers": 2, "n_heads": 4}
        | {"pad_index": PAD, "pad_token_id": PAD},
    ),
    "CanineForSequenceClassification": (
        WHOLE,
        BERT | {"local_transformer_stride": 4, "downsampling_rate": 4, "num_hash_buckets": 64},
    ),
    "T5ForSequenceClassification": (WORDS, T5 | {"decoder_start_token_id": 0}),
    "T5EncoderModel": (WORDS, T5 | {"feed_forward_proj": "gated-gelu"}),
    "BartForSequenceClassification": (WORDS, BART),
    # decoders
    "OpenAIGPTForSequenceClassification": (WORDS, BERT | {"n_positions": 64}),
    "GPT2ForSequenceClassification": (WORDS, BERT | {"n_inner": 64}),
    "GPTNeoForSequenceClassification": (
        WORDS,
        BERT | {"num_layers": 2, "attention_types": [[["global", "local"], 1]], "num_heads": 4},
    ),
    "GPTNeoXForSequenceClassification": (WORDS, BERT),
    "GPTJForSequenceClassification": (WORDS, BERT | {"rotary_dim": 4, "n_positions": 64}),
    "GPTBigCodeForSequenceClassification": (WORDS, BERT | {"n_positions": 64}),
    "CTRLForSequenceClassification": (WORDS, BERT | {"n_positions": 64, "dff": 64}),
    "OPTForSequenceClassification": (
        WORDS,
        BERT | {"ffn_dim": 64, "word_embed_proj_dim": WIDTH},
    ),
    "BloomForSequenceClassification": (WORDS, BERT),
    "MptForSequenceClassification": (WORDS, BERT | {"expansion_ratio": 2, "max_seq_len": 64}),
    "FalconForSequenceClassification": (WORDS, BERT),
    "LlamaForSequenceClassification": (WORDS, GROUPED),
    "LlamaForSequenceClassification eager": (WORDS, GROUPED | {"attn_implementation": "eager"}),
    "MistralForSequenceClassification": (WORDS, GROUPED | {"sliding_window": 4}),
    "MixtralForSequenceClassification": (WORDS, GROUPED | EXPERTS),
    "MixtralForSequenceClassification eager": (
        WORDS,
        GROUPED | EXPERTS | {"experts_implementation": "eager"},
    ),
    "GemmaForSequenceClassification": (WORDS, GROUPED),
    "Gemma2ForSequenceClassification": (WORDS, GROUPED | {"sliding_window": 4}),
    "Gemma3TextForSequenceClassification": (WORDS, GROUPED | {"sliding_window": 4}),
    "Qwen2ForSequenceClassification": (WORDS, GROUPED),
    "Qwen3ForSequenceClassification": (WORDS, GROUPED),
    "Qwen3MoeForSequenceClassification": (
        WORDS,
        GROUPED | EXPERTS | {"moe_intermediate_size": 32},
    ),
    "PhiForSequenceClassification": (WORDS, GROUPED),
    "Phi3ForSequenceClassification": (WORDS, GROUPED),
    "StableLmForSequenceClassification": (WORDS, GROUPED),
    "Olmo2ForSequenceClassification": (WORDS, GROUPED),
    "NemotronForSequenceClassification": (WORDS, GROUPED),
    "DeepseekV2ForSequenceClassification": (
        WORDS,
        BERT
        | {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8}
        | {"v_head_dim": 8, "first_k_dense_replace": 2, "num_key_value_heads": 4},
    ),
    "DiffLlamaForSequenceClassification": (WORDS, GROUPED),
    "MambaModel": (WHOLE, MAMBA),
    "MambaModel with its cache": (WHOLE, MAMBA | {"use_cache": True}),
    "Mamba2Model": (WHOLE, MAMBA | {"num_heads": 4, "head_dim": 16, "n_groups": 1}),
    "RwkvModel": (
        WHOLE,
        {"vocab_size": WORDS_IN_ALL, "hidden_size": WIDTH, "num_hidden_layers": 2}
        | {"attention_hidden_size": WIDTH, "intermediate_size": 64, "use_cache": False},
    ),
    "RecurrentGemmaModel": (
        WHOLE,
        BERT | {"lru_width": WIDTH, "num_hidden_layers": 3, "attention_window_size": 8},
    ),
    # images and films
    "ViTForImageClassification": (IMAGES, VIT),
    "DeiTForImageClassification": (IMAGES, VIT),
    "BeitForImageClassification": (IMAGES, VIT | {"use_relative_position_bias": True}),
    "Dinov2ForImageClassification": (IMAGES, VIT),
    "ViTMSNForImageClassification": (IMAGES, VIT),
    "IJepaForImageClassification": (IMAGES, VIT),
    "CLIPForImageClassification": (IMAGES, {"vision_config": VIT}),
    "SiglipForImageClassification": (IMAGES, {"vision_config": VIT}),
    "SwinForImageClassification": (IMAGES, SWIN),
    "Swinv2ForImageClassification": (IMAGES, SWIN),
    "HieraForImageClassification": (
        IMAGES,
        {"image_size": [64, 64], "embed_dim": 16, "depths": [1, 1, 2, 1]}
        | {"num_heads": [1, 2, 4, 8]},
    ),
    "FocalNetForImageClassification": (
        IMAGES,
        {"image_size": 64, "embed_dim": 16, "depths": [2, 2], "hidden_sizes": [16, 32]}
        | {"focal_levels": [2, 2], "focal_windows": [3, 3]},
    ),
    "CvtForImageClassification": (
        IMAGES,
        {"embed_dim": [16, 16, 32], "num_heads": [1, 2, 4], "depth": [1, 2, 3]},
    ),
    "PvtForImageClassification": (
        IMAGES,
        {"image_size": 64, "hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]}
        | {"num_attention_heads": [1, 1, 2, 4]},
    ),
    "PvtV2ForImageClassification": (
        IMAGES,
        {"image_size": 64, "hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]}
        | {"num_attention_heads": [1, 1, 2, 4]},
    ),
    "SegformerForImageClassification": (
        IMAGES,
        {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]}
        | {"num_attention_heads": [1, 1, 2, 4], "decoder_hidden_size": WIDTH},
    ),
    "PoolFormerForImageClassification": (
        IMAGES,
        {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]},
    ),
    "SwiftFormerForImageClassification": (
        IMAGES,
        {"embed_dims": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "image_size": 64},
    ),
    "LevitForImageClassification": (
        IMAGES,
        {"image_size": 64, "hidden_sizes": [16, 32, 32], "num_attention_heads": [2, 2, 2]}
        | {"depths": [1, 1, 1], "key_dim": [8, 8, 8]},
    ),
    "MobileViTForImageClassification": (
        IMAGES,
        {"image_size": 64, "hidden_sizes": [16, 16, 16], "neck_hidden_sizes": [8] * 6 + [32]}
        | {"num_attention_heads": 4, "aspp_out_channels": 16},
    ),
    "MobileViTV2ForImageClassification": (IMAGES, {"image_size": 64, "width_multiplier": 0.5}),
    "ConvNextForImageClassification": (IMAGES, STAGES),
    "ConvNextV2ForImageClassification": (IMAGES, STAGES),
    "ResNetForImageClassification": (IMAGES, STAGES),
    "RegNetForImageClassification": (IMAGES, STAGES | {"groups_width": 8}),
    "BitForImageClassification": (IMAGES, STAGES | {"num_groups": 4}),
    "MobileNetV1ForImageClassification": (IMAGES, {"depth_multiplier": 0.25}),
    "MobileNetV2ForImageClassification": (IMAGES, {"depth_multiplier": 0.25}),
    "EfficientNetForImageClassification": (
        IMAGES,
        {"width_coefficient": 0.5, "depth_coefficient": 0.5, "hidden_dim": 640},
    ),
    "TextNetForImageClassification": (IMAGES, {}),
    "HGNetV2ForImageClassification": (IMAGES, {}),
    "ImageGPTModel": (VECTORS, BERT | {"n_positions": 64}),
    "VideoMAEForVideoClassification": (
        FILM,
        VIT | {"image_size": 32, "num_frames": 4, "tubelet_size": 2},
    ),
    "TimesformerForVideoClassification": (FILM, VIT | {"image_size": 32, "num_frames": 4}),
    "VivitForVideoClassification": (
        FILM,
        VIT | {"image_size": 32, "num_frames": 4, "tubelet_size": [2, 16, 16]},
    ),
    # sound and series
    "Wav2Vec2ForSequenceClassification": (SOUND, SPEECH),
    "HubertForSequenceClassification": (SOUND, SPEECH),
    "WavLMForSequenceClassification": (SOUND, SPEECH),
    "UniSpeechSatForSequenceClassification": (SOUND, SPEECH),
    "SEWForSequenceClassification": (SOUND, SPEECH),
    "Data2VecAudioForSequenceClassification": (
        SOUND,
        SPEECH | {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5},
    ),
    "Wav2Vec2ConformerForSequenceClassification": (SOUND, SPEECH),
    "Wav2Vec2BertForSequenceClassification": (
        Reads("input_features", lambda count: torch.randn(count, 40, 160)),
        SPEECH | {"feature_projection_input_dim": 160},
    ),
    "ASTForAudioClassification": (
        Reads("input_values", lambda count: torch.randn(count, 64, 64)),
        VIT | {"max_length": 64, "num_mel_bins": 64},
    ),
    "WhisperForAudioClassification": (
        SPECTROGRAMS,
        BART | {"num_mel_bins": 40, "max_source_positions": 80, "classifier_proj_size": WIDTH},
    ),
    "PatchTSTModel": (
        SERIES,
        {"context_length": 32, "num_input_channels": 3, "patch_length": 4, "patch_stride": 4}
        | {"d_model": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64},
    ),
    "PatchTSMixerForTimeSeriesClassification": (
        SERIES,
        {"context_length": 32, "num_input_channels": 3, "patch_length": 4, "patch_stride": 4}
        | {"d_model": WIDTH, "num_layers": 2, "num_targets": CLASSES},
    ),
}


@dataclass(frozen=True)
class Architecture:
    """One row: how to make the network, and n inputs for it."""

    package: str
    name: str
    make: Callable[[], tuple[nn.Module, Callable[[int], Tensor]]]

    def __str__(self) -> str:
        return f"{self.package}: {self.name}"


class Scores(nn.Module):
    """A model of transformers as a map from x to scores (N, K)."""

    def __init__(self, model: nn.Module, argument: str) -> None:
        super().__init__()
        self.model, self.argument = model, argument
        self.head = nn.LazyLinear(CLASSES)  # unused where the model has logits

    def forward(self, x: Tensor) -> Tensor:
        result = self.model(**{self.argument: x}, return_dict=True)
        for name in ("logits", "prediction_outputs", "prediction_logits"):
            if getattr(result, name, None) is not None:
                return getattr(result, name)
        states = result.last_hidden_state
        return self.head(states.flatten(1, -2).mean(1))


def of_timm(name: str) -> tuple[nn.Module, Callable[[int], Tensor]]:
    import timm

    model = timm.create_model(name, pretrained=False)
    size = model.default_cfg["input_size"][-1]
    size = size if size <= 256 else 224
    return model, lambda count: torch.rand(count, 3, size, size)


def of_transformers(name: str) -> tuple[nn.Module, Callable[[int], Tensor]]:
    import transformers

    transformers.logging.set_verbosity_error()  # quicker kernels could be installed
    reads, options = TRANSFORMERS[name]
    kind = getattr(transformers, name.split()[0])
    labels = {} if "num_targets" in options else {"num_labels": CLASSES}
    config = kind.config_class(**options, **labels)
    for part in (config, getattr(config, "vision_config", None)):
        for scale in ("initializer_range", "init_std"):
            if hasattr(part, scale):  # 0.02 is meant for widths of 768: here nothing would pass
                setattr(part, scale, 0.2)
    model = Scores(kind(config), reads.argument)
    with torch.no_grad():
        model.eval()(reads.examples(1))
    if not isinstance(model.head, nn.Linear) or model.head.in_features == 0:
        del model.head
    return model, reads.examples


ARCHITECTURES = [Architecture("timm", name, partial(of_timm, name)) for name in TIMM] + [
    Architecture("transformers", name, partial(of_transformers, name)) for name in TRANSFORMERS
]
BY_NAME = {architecture.name: architecture for architecture in ARCHITECTURES}


def bring(architecture: Architecture, count: int = 2) -> tuple[nn.Module, Tensor]:
    """The network with random weights, in evaluation mode, and `count` inputs."""
    with models.seeded(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, examples = architecture.make()
        model.eval().requires_grad_(False)
        wake(model)
        calibrate(model, examples)
        return model, examples(count)


def wake(model: nn.Module) -> None:
    """Give a value to each weight that starts as good as zero: a head, the scale of a branch, the
    last norm of a residual block. The score would be 0, or a branch would do nothing.
    """
    for name, parameter in model.named_parameters():
        if parameter.abs().max() > 1e-3 or name.endswith("bias"):
            continue
        if parameter.dim() > 1 and min(parameter.shape[-2:]) > 1:
            nn.init.normal_(parameter, std=0.05)
        else:
            nn.init.constant_(parameter, 0.5)


@torch.no_grad()
def calibrate(model: nn.Module, examples: Callable[[int], Tensor], passes: int = 2) -> None:
    """The statistics of batch normalisations are those of noise, as a training would leave them."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all passes
        norm.train()
    for _ in range(passes if norms else 0):
        model(examples(4))
    for norm in norms:
        norm.eval()


# ---------------------------------------------------------------- what is known of them

# What has no rule, as "operation in the path of the module", or what else is said of the model.
REFUSED = {
    "FNetForSequenceClassification": "real in model.fnet.encoder.layer.1.fourier.self",
    "LongformerForSequenceClassification": (
        "as_strided in model.longformer.encoder.layer.0.attention.self"
    ),
    "CanineForSequenceClassification": "add in model.canine.char_embeddings",
    "MixtralForSequenceClassification": "grouped_mm in model.model.layers.1.mlp.experts",
    "Qwen3MoeForSequenceClassification": "grouped_mm in model.model.layers.1.mlp.experts",
    "DeepseekV2ForSequenceClassification": (
        "model: a tensor that was changed in place through a view of it is used again; this cannot "
        "be followed"
    ),
}

# Experts are multiplied by an operation that knows no double precision.
NOT_DOUBLE = {"MixtralForSequenceClassification", "Qwen3MoeForSequenceClassification"}

# Where sum |R| of epsilon_gamma_box is more than twice the score: the limit that holds.
LARGER = {
    "BertForSequenceClassification vectors": 13,
    "DebertaForSequenceClassification": 3,
    "XLNetForSequenceClassification": 3,
    "T5EncoderModel": 3,
    "GPTBigCodeForSequenceClassification": 3,
    "CTRLForSequenceClassification": 3,
    "MistralForSequenceClassification": 3,
    "Gemma2ForSequenceClassification": 3,
    "Qwen3ForSequenceClassification": 4,
    "PhiForSequenceClassification": 3,
    "StableLmForSequenceClassification": 3,
    "DiffLlamaForSequenceClassification": 5,
    "ViTForImageClassification": 3,
    "SiglipForImageClassification": 4,
    "Swinv2ForImageClassification": 3,
    "CvtForImageClassification": 4,
    "ConvNextForImageClassification": 3,
    "ConvNextV2ForImageClassification": 7,
    "ResNetForImageClassification": 3,
    "BitForImageClassification": 6,
    "TextNetForImageClassification": 7,
    "ImageGPTModel": 8,
    "VivitForVideoClassification": 5,
    "Wav2Vec2ForSequenceClassification": 4,
    "UniSpeechSatForSequenceClassification": 4,
    "Wav2Vec2BertForSequenceClassification": 9,
    "PatchTSMixerForTimeSeriesClassification": 6,
    "repghostnet_050": 4,
    "levit_128s": 4,
    "hiera_tiny_224": 3,
    "inception_next_atto": 3,
    "mobileone_s0": 15,
    "csatv2": 11,
    "swin_tiny_patch4_window7_224": 3,
}


# ---------------------------------------------------------------- what comes out


@dataclass(frozen=True)
class Outcome:
    """One explanation of the first sample, or what refused it. size: sum |R| / |f|; share: sum R /
    f; gap: |sum R + absorbed - f| as a part of the larger of |f| and sum |R|.
    """

    size: float = math.nan
    share: float = math.nan
    gap: float = math.nan
    finite: bool = False
    warned: bool = False
    refused: str = ""
    seconds: float = 0.0


def outcome(model: nn.Module, x: Tensor, rules: object) -> Outcome:
    """How the explanation of the class with the highest score comes out, for all samples of x: the
    largest of each number.
    """
    with torch.no_grad():
        score = model(x.clone()).amax(1)
    began = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            relevance, layers = lrp(model, x, None, rules, return_layers=True)
        except ValueError as error:
            return Outcome(refused=refusal(error))
    seconds = time.process_time() - began
    each = relevance.flatten(1)
    whole, size = each.sum(1), each.abs().sum(1)
    absorbed = sum(layer.absorbed for layer in layers)
    gap = (whole + absorbed - score).abs() / torch.maximum(size, score.abs())
    return Outcome(
        size=(size / score.abs()).max().item(),
        share=(whole / score).max().item(),
        gap=gap.max().item(),
        finite=bool(relevance.isfinite().all()),
        # of what arrived, not of a rule that was not used
        warned=any(
            issubclass(w.category, RelevanceWarning) and "score" in str(w.message) for w in caught
        ),
        seconds=seconds,
    )


def refusal(error: ValueError) -> str:
    """What an error says of the model, in short; one that says nothing of it is raised again."""
    if isinstance(error, NoRuleError):
        return f"{error.operation} in {error.place or 'the model itself'}"
    if not str(error).startswith("model: "):
        raise error
    return str(error)


def attends(names: Iterable[str]) -> bool:
    """Whether attention is among these operations."""
    return not {"softmax", "scaled_dot_product_attention"}.isdisjoint(names)


def operations(model: nn.Module, x: Tensor) -> list[Step]:
    """The steps of the forward pass."""
    with torch.no_grad(), undisturbed(model, x):
        return trace(model, x)[1]
