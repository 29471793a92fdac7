"""Images in memory, transformed by PIL in four loader workers."""

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

WORKERS = 4
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PlainImages(Dataset):
    """The images at ``indices`` of an (n, H, W, 3) uint8 array; cropped and flipped at random when ``training``."""

    def __init__(self, images, indices, training=False):
        size = images.shape[1:3]
        random = [transforms.RandomCrop(size), transforms.RandomHorizontalFlip()] if training else []
        fixed = [] if training else [transforms.Resize(size)]
        ending = [transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]
        self.images, self.indices = images, list(indices)
        self.transform = transforms.Compose([transforms.ToPILImage(), *fixed, *random, *ending])

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, number):
        return self.transform(self.images[self.indices[number]])


class PlainPairs(Dataset):
    """Triples of a visible image, an infrared image and their label."""

    def __init__(self, images, visible, infrared, labels):
        self.sides = [PlainImages(images, side, training=True) for side in (visible, infrared)]
        self.labels = list(labels)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, number):
        return (*(side[number] for side in self.sides), int(self.labels[number]))


def batches(dataset, batch_size, workers=None):
    """Load a data set in its own order, with no more workers than there are batches."""
    if workers is None:
        workers = min(WORKERS, -(-len(dataset) // batch_size))
    return DataLoader(dataset, batch_size, num_workers=workers, pin_memory=torch.cuda.is_available())
