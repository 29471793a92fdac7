"""The community's draws as the scripts of the field make them: folders of file names, walked one after the other."""

import random


def folders_of(samples, modality):
    folders = {}
    for s in samples:
        if s.split == "test" and s.modality == modality:
            folders.setdefault((s.identity, s.camera), []).append(s.path)
    return folders


def sample_gallery(samples, modality, trial, cameras, shots=1):
    """In trial t: seed t; each identity, each camera: one image by choice, or several by sample."""
    folders = folders_of(samples, modality)
    random.seed(trial)
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
