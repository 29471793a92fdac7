"""The field's preparation: one process opens and resizes every image, collects them in a list, and saves them at once."""

import numpy as np
from PIL import Image


def prepare(paths, output, height, width):
    """Write the images as one ``.npy``."""
    images = []
    for path in paths:
        image = Image.open(path)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
        images.append(np.array(image))
    np.save(output, np.array(images))
