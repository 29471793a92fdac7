"""The six cameras: their places and light, and the effects of their lens, sensor and compression on a picture."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Place = Literal["hall", "office", "street", "garden", "yard"]


@dataclass(frozen=True)
class Camera:
    """A camera. Ranges are (smallest, largest). For each image, a random value is drawn from each range.

    ``cast`` multiplies red, green and blue; ``vignette`` is the light lost at the corners; ``blur`` is the radius in
    hundredths of the picture's height.
    """

    number: int
    infrared: bool
    place: Place
    exposure: tuple[float, float]
    cast: tuple[float, float, float]
    gamma: tuple[float, float]
    vignette: float
    noise: tuple[float, float]
    blur: tuple[float, float]
    quality: tuple[int, int]
    pitch: tuple[float, float]
    ambient: tuple[float, float]


CAMERAS = {
    camera.number: camera
    for camera in (
        Camera(1, False, "hall", pitch=(0.05, 0.20), ambient=(0.45, 0.60), cast=(1.06, 1.00, 0.90),
               exposure=(0.85, 1.10), gamma=(0.85, 1.05), vignette=0.10,
               noise=(0.008, 0.020), blur=(0.10, 0.30), quality=(80, 92)),
        Camera(2, False, "office", pitch=(0.10, 0.28), ambient=(0.50, 0.65), cast=(0.94, 1.00, 1.06),
               exposure=(0.70, 0.95), gamma=(0.95, 1.15), vignette=0.18,
               noise=(0.012, 0.030), blur=(0.10, 0.35), quality=(75, 90)),
        Camera(3, True, "office", pitch=(0.10, 0.28), ambient=(0.35, 0.50), cast=(1.00, 1.00, 1.00),
               exposure=(1.00, 1.40), gamma=(0.80, 1.05), vignette=0.45,
               noise=(0.010, 0.030), blur=(0.15, 0.35), quality=(72, 90)),
        Camera(4, False, "street", pitch=(0.00, 0.15), ambient=(0.30, 0.55), cast=(1.00, 1.00, 1.00),
               exposure=(0.85, 1.25), gamma=(0.90, 1.10), vignette=0.05,
               noise=(0.006, 0.015), blur=(0.10, 0.30), quality=(78, 92)),
        Camera(5, False, "garden", pitch=(0.05, 0.25), ambient=(0.35, 0.60), cast=(0.97, 1.04, 0.92),
               exposure=(0.65, 1.05), gamma=(0.95, 1.20), vignette=0.12,
               noise=(0.010, 0.025), blur=(0.15, 0.40), quality=(72, 88)),
        Camera(6, True, "yard", pitch=(0.00, 0.20), ambient=(0.30, 0.45), cast=(1.00, 1.00, 1.00),
               exposure=(0.90, 1.30), gamma=(0.85, 1.15), vignette=0.60,
               noise=(0.015, 0.038), blur=(0.15, 0.40), quality=(70, 88)),
    )
}  # fmt: skip


def develop(picture: Image.Image, camera: Camera, rng: np.random.Generator) -> Image.Image:
    """Apply a camera's exposure, colour cast, lens and noise to a picture.

    Args:
        picture: the scene, of mode RGB, or L under infrared.
        camera: the camera.
        rng: the generator of exposure, gamma, blur and noise.

    Returns:
        An RGB image of the same size.
    """
    light = np.asarray(picture, np.float32).reshape(picture.height, picture.width, -1) / np.float32(255)
    gain = np.array(camera.cast[: light.shape[2]], np.float32) * np.float32(rng.uniform(*camera.exposure))
    if not camera.infrared:
        gain *= rng.normal(1.0, 0.03, 3).astype(np.float32)
    light = light * gain * _falloff(light.shape, camera.vignette, rng)
    light = np.clip(light, 0.0, 1.0) ** np.float32(rng.uniform(*camera.gamma))
    sigma = float(rng.uniform(*camera.blur)) * picture.height / 100
    blurred = _as_image(light).filter(ImageFilter.GaussianBlur(sigma))
    noise = rng.standard_normal(light.shape, np.float32) * np.float32(rng.uniform(*camera.noise))
    return _as_image(np.asarray(blurred, np.float32).reshape(light.shape) / np.float32(255) + noise).convert("RGB")


def _falloff(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the (H, W, 1) share of light at each pixel, which falls off from a point near the middle of the picture."""
    height, width = shape[:2]
    x0, y0 = rng.uniform(0.35, 0.65), rng.uniform(0.3, 0.6)
    x = (np.arange(width, dtype=np.float32) / np.float32(width) - np.float32(x0))[None, :]
    y = (np.arange(height, dtype=np.float32) / np.float32(height) - np.float32(y0))[:, None]
    return (1.0 - np.float32(2 * strength) * (x * x + y * y))[..., None].clip(0.1, 1.0)


def _as_image(light: NDArray[np.float32]) -> Image.Image:
    levels = (light * np.float32(255) + np.float32(0.5)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
