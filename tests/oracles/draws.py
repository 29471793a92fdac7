"""The draws of the community protocol as the field's scripts make them: walking folders of file names one by one."""

import random


def folders_of(samples, modality):
    folders = {}
    for s in samples:
        if s.split == "test" and s.modality == modality:
            folders.setdefault((s.identity, s.camera), []).append(s.path)
    return folders


def sample_gallery(samples, modality, number, cameras, shots=1):
    """Seed with the draw's number; take one image by ``choice``, or several by ``sample``, of each identity and camera."""
    folders = folders_of(samples, modality)
    random.seed(number)
    gallery = []
    for identity in sorted({s.identity for s in samples if s.split == "test"}):
        for camera in cameras:
            files = sorted(folders.get((identity, camera), []))
            if files and shots == 1:
                gallery.append(random.choice(files))
            elif files:
                gallery.extend(random.sample(files, min(shots, len(files))))
    return gallery


def every(samples, modality):
    folders = folders_of(samples, modality)
    return [path for key in sorted(folders) for path in sorted(folders[key])]
