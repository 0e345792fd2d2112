"""The bundled models, each as a function whose arguments are its options.

The modules that these functions import need torch, which commands that must start quickly do without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn


def convnet(
    num_classes: int, image_size: int | tuple[int, int], width: int = 32, image_channels: int = 3
) -> nn.Module:
    """Four 3x3 convolutions with ReLU, two of them strided, and one linear layer.

    The model has about 0.13 million parameters at the default width and 32x32 pixels. It has no
    normalization layer, so training and evaluation mode are the same.

    Args:
        num_classes: the number of outputs.
        image_size: side of the input in pixels, or height and width, multiples of 4.
        width: channels of the first layer; the others have twice as many.
        image_channels: channels of the input.
    """
    from gifd_bench.tasks.models.convnet import ConvNet

    return ConvNet(num_classes, image_size, width, image_channels)


def lenet(
    num_classes: int,
    image_size: int | tuple[int, int],
    uniform_weights: bool = True,
    image_channels: int = 3,
) -> nn.Module:
    """The LeNet of DLG (Zhu et al., "Deep leakage from gradients", NeurIPS 2019) and of iDLG (Zhao et al.).

    Three 5x5 convolutions with 12 channels and strides 2, 2 and 1, each with a sigmoid, and one linear
    layer, as in DLG's release.

    Args:
        num_classes: the number of outputs.
        image_size: side of the input in pixels, or height and width, multiples of 4.
        uniform_weights: whether to draw all weights and biases from U(-0.5, 0.5), as the release does: with
            smaller ones, the sigmoids let hardly any gradient through. If false, PyTorch's own
            initialization is used.
        image_channels: channels of the input.
    """
    from gifd_bench.tasks.models.lenet import LeNet

    return LeNet(num_classes, image_size, uniform_weights, image_channels)


def resnet_cifar(
    num_classes: int,
    image_size: int | tuple[int, int],
    depth: Literal[20, 32, 44, 56] = 20,
    width: int = 16,
    image_channels: int = 3,
) -> nn.Module:
    """ResNet-20, -32, -44 or -56 for small images (He et al., CVPR 2016, section 4.2).

    A 3x3 stem, three groups of (depth - 2) / 6 blocks at full, half and quarter resolution, global average
    pooling and one linear layer. Shortcuts have no parameters (option A).

    Args:
        num_classes: the number of outputs.
        image_size: side of the input in pixels, or height and width, at least 4.
        depth: the number of layers with weights.
        width: channels of the first group; 16 in the paper. The next two groups have twice and four times
            as many.
        image_channels: channels of the input.
    """
    from gifd_bench.tasks.models.resnet_cifar import ResNetCIFAR

    return ResNetCIFAR(num_classes, image_size, depth, width, image_channels)


def timm_model(
    num_classes: int,
    image_size: int | tuple[int, int],
    architecture: str = "resnet18",
    image_channels: int = 3,
) -> nn.Module:
    """Any classifier of timm, by name.

    Args:
        num_classes: the number of outputs.
        image_size: side of the input in pixels, or height and width; not every architecture takes every
            size.
        architecture: a name from timm.list_models; a tag after a dot says which published weights are
            meant, for example `resnet18.a1_in1k`.
        image_channels: channels of the input.
    """
    from gifd_bench.tasks.models.timm_models import create

    return create(architecture, num_classes, image_size, channels=image_channels)


def torchvision_model(
    num_classes: int, image_size: int | tuple[int, int], architecture: str = "resnet18"
) -> nn.Module:
    """Any classifier of torchvision, by name.

    Args:
        num_classes: the number of outputs.
        image_size: side of the input in pixels, or height and width; not every architecture takes every
            size.
        architecture: a name from torchvision.models.list_models.
    """
    from gifd_bench.tasks.models.torchvision_models import create

    return create(architecture, num_classes, image_size)
