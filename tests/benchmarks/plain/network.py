"""Three whole ResNets; of two of them only the stems are used."""

import torch
from torch import nn
from torchvision.models import resnet


class PlainNetwork(nn.Module):
    """The network of the paper's section 3.1, with the weights of ``ours``."""

    def __init__(self, ours):
        super().__init__()
        self.visible, self.infrared, self.base = (getattr(resnet, ours.backbone)(weights=None) for _ in range(3))
        for module in self.base.layer4[0].modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
        self.neck = nn.BatchNorm1d(ours.embedding_size)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(ours.embedding_size, ours.num_classes, bias=False)
        for name, stem in ours.stems.items():
            for part in ("conv1", "bn1"):
                getattr(getattr(self, name), part).load_state_dict(getattr(stem, part).state_dict())
        for name, layer in ours.trunk.items():
            getattr(self.base, name).load_state_dict(layer.state_dict())
        self.neck.load_state_dict(ours.neck.state_dict())
        self.classifier.load_state_dict(ours.classifier.state_dict())

    def stem(self, images, modality):
        """Apply the modality's own layers to images."""
        own = getattr(self, modality)
        return own.maxpool(own.relu(own.bn1(own.conv1(images))))

    def maps(self, features):
        """Return the maps of layer3 and of layer4."""
        layer3 = self.base.layer3(self.base.layer2(self.base.layer1(features)))
        return layer3, self.base.layer4(layer3)

    def embed(self, images, modality):
        """Embed images as unit vectors."""
        return nn.functional.normalize(pool(self.maps(self.stem(images, modality))[1]), dim=1)

    def groups(self, learning_rate):
        """Group the parameters for the optimizer; all but neck and classifier have a tenth of the learning rate."""
        head = [*self.neck.parameters(), *self.classifier.parameters()]
        known = {id(parameter) for parameter in head}
        rest = [parameter for parameter in self.parameters() if id(parameter) not in known]
        return [{"params": rest, "lr": 0.1 * learning_rate}, {"params": head, "lr": learning_rate}]


def pool(maps):
    """Take the generalised mean over the positions."""
    flat = maps.view(maps.shape[0], maps.shape[1], -1)
    return (torch.mean(flat**3.0, dim=-1) + 1e-12) ** (1 / 3.0)
